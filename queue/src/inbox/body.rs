//! Bodies of entries: what a host gets, as it is stored. Later versions must read them.

use crate::encoding::{Bytes, DecodeError, decode, encode};
use crate::id::EntryId;
use relayline_core::event::Event;
use relayline_core::passthrough::Forward;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Kinds of this version, as they are written.
const KINDS: [&str; 3] = ["message", "answer", "forward"];

/// Content of an entry.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Body {
    Message(Box<Event>),
    /// Answer to a prompt.
    Answer(Box<Event>),
    Forward(StoredForward),
}

/// Platform's request, and the JSON as which it came, if that is kept.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct StoredForward {
    pub(super) forward: Box<Forward>,
    pub(super) raw: Option<Box<str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Encoded {
    Message(Box<RawValue>),
    Answer(Box<RawValue>),
    Forward {
        forward: Box<RawValue>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        raw: Option<Box<str>>,
    },
}

/// Returns JSON as it is stored.
fn json(bytes: Vec<u8>) -> Box<RawValue> {
    // It was just written as JSON.
    let text = String::from_utf8(bytes).unwrap_or_default();
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

impl Body {
    /// Encodes the body for the store.
    pub(super) fn encode(&self) -> Bytes {
        encode(&match self {
            Body::Message(event) => Encoded::Message(json(event.to_stored())),
            Body::Answer(event) => Encoded::Answer(json(event.to_stored())),
            Body::Forward(StoredForward { forward, raw }) => {
                let forward = json(serde_json::to_vec(forward).unwrap_or_default());
                Encoded::Forward { forward, raw: raw.clone() }
            }
        })
    }

    /// Decodes the body of an entry.
    ///
    /// # Errors
    /// The body is damaged, or a newer version wrote it.
    pub(super) fn decode(id: EntryId, bytes: &[u8]) -> Result<Body, DecodeError> {
        let place = format!("the body of entry {id}");
        let damaged =
            || DecodeError::Damaged { place: place.clone(), why: "its event cannot be read".to_owned() };
        let event = |json: &RawValue| Event::from_stored(json.get().as_bytes()).map(Box::new);
        match decode(&place, bytes, &KINDS)? {
            Encoded::Message(json) => event(&json).map(Body::Message).ok_or_else(damaged),
            Encoded::Answer(json) => event(&json).map(Body::Answer).ok_or_else(damaged),
            Encoded::Forward { forward, raw } => {
                let (forward, _) = Forward::read(forward.get()).ok_or_else(damaged)?;
                Ok(Body::Forward(StoredForward { forward: Box::new(forward), raw }))
            }
        }
    }

    /// Returns the event, if it is one.
    pub(super) fn event(&self) -> Option<&Event> {
        match self {
            Body::Message(event) | Body::Answer(event) => Some(event),
            Body::Forward(_) => None,
        }
    }
}

/// Returns the body of an entry as JSON, for an operator: the message or the forward; `None` if it cannot be read.
pub fn entry_json(id: EntryId, bytes: &[u8]) -> Option<serde_json::Value> {
    match Body::decode(id, bytes).ok()? {
        Body::Message(event) | Body::Answer(event) => serde_json::to_value(&*event).ok(),
        Body::Forward(stored) => serde_json::to_value(&*stored.forward).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(json: &str) -> Box<Event> {
        Box::new(Event::from_stored(format!(r#"{{"event":{json}}}"#).as_bytes()).unwrap())
    }

    /// These bytes are in people's files.
    #[test]
    fn bodies_of_version_1_are_read() {
        let message = r#"[1,{"message":{"event":{"text":"hi","message_type":"text","source":{"platform":"discord","chat_id":"7","chat_type":"dm"}}}}]"#;
        let answer = message.replace("message\":{\"event", "answer\":{\"event");
        let forward = r#"[1,{"forward":{"forward":{"platform":"sms","botId":"1","method":"POST","path":"/x","headers":[["a","b"]],"bodyB64":"aGk="},"raw":"{}"}}]"#;
        for text in [message, &answer, forward] {
            let body = Body::decode(EntryId(1), text.as_bytes()).unwrap();
            assert_eq!(Body::decode(EntryId(1), &body.encode()).unwrap(), body, "{text}");
        }
        let Ok(Body::Message(read)) = Body::decode(EntryId(1), message.as_bytes()) else { panic!() };
        assert_eq!((&*read.text, &*read.source.chat_id), ("hi", "7"));
        let Ok(Body::Forward(read)) = Body::decode(EntryId(1), forward.as_bytes()) else { panic!() };
        assert_eq!((read.forward.body.as_slice(), read.raw.as_deref()), (b"hi".as_slice(), Some("{}")));
        assert_eq!(entry_json(EntryId(1), message.as_bytes()).unwrap()["text"], "hi");
    }

    #[test]
    fn a_body_is_what_was_stored() {
        let text = r#"{"text":"a","source":{"platform":"slack","chat_id":"C1","thread_id":"9"},"media":[]}"#;
        for body in [Body::Message(event(text)), Body::Answer(event(text))] {
            assert_eq!(Body::decode(EntryId(3), &body.encode()).unwrap(), body);
        }
    }

    #[test]
    fn damaged_and_newer_bodies_are_distinguished() {
        let error = |text: &str| Body::decode(EntryId(3), text.as_bytes()).unwrap_err().to_string();
        assert!(error(r#"[1,{"voice":{}}]"#).contains("a newer version"), "{}", error("[1]"));
        assert!(error(r#"[1,{"message":7}]"#).starts_with("the body of entry 3 is damaged"));
    }
}
