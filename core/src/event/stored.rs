//! Events in a store: a JSON form from which the same event is read again.

use super::Event;
use serde::{Deserialize, Serialize};

/// Event and the facts that its JSON form for hosts leaves out.
#[derive(Serialize)]
struct Stored<'e> {
    event: &'e Event,
    #[serde(skip_serializing_if = "is_false")]
    is_platform_assumed: bool,
    #[serde(skip_serializing_if = "is_false")]
    is_scope_a_guild: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<&'e str>,
}

/// The same, read.
#[derive(Deserialize)]
struct Restored {
    event: Event,
    #[serde(default)]
    is_platform_assumed: bool,
    #[serde(default)]
    is_scope_a_guild: bool,
    #[serde(default)]
    raw: Option<Box<str>>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // Serde passes it so.
fn is_false(value: &bool) -> bool {
    !value
}

impl Event {
    /// Writes the event for a store, as JSON. [`from_stored`](Self::from_stored) reads the same event.
    pub fn to_stored(&self) -> Vec<u8> {
        let (is_platform_assumed, is_scope_a_guild) =
            (self.source.is_platform_assumed, self.source.is_scope_a_guild);
        let stored = Stored { event: self, is_platform_assumed, is_scope_a_guild, raw: self.raw.as_deref() };
        // All keys are strings, so writing to memory does not fail.
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// Reads an event that [`to_stored`](Self::to_stored) wrote. Returns `None` for anything else. Fields that are not
    /// known are ignored.
    pub fn from_stored(stored: &[u8]) -> Option<Event> {
        let Restored { mut event, is_platform_assumed, is_scope_a_guild, raw } =
            serde_json::from_slice(stored).ok()?;
        (event.source.is_platform_assumed, event.source.is_scope_a_guild) =
            (is_platform_assumed, is_scope_a_guild);
        event.raw = raw;
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(event: &Event) {
        assert_eq!(Event::from_stored(&event.to_stored()).as_ref(), Some(event));
    }

    #[test]
    fn every_field_is_stored() {
        let full = r#"{"text":"a\u0000\"é\ud83d\ude00","message_type":"poll","message_id":"m","reply_to_message_id":7,
            "source":{"platform":"slack","chat_id":"c","chat_type":"huddle","chat_name":"n","user_id":"u","user_name":"v",
            "user_id_alt":"x","chat_id_alt":"y","thread_id":"t","chat_topic":"p","scope_id":"s","parent_chat_id":"q",
            "message_id":"o","profile":"f","auto_thread_initial_name":"i","prospective_thread_id":"r",
            "auto_thread_created":true,"is_bot":false,"message_is_edit":true,"one_to_one_verified":false},
            "reply_to":{"text":"b","author":"w","is_own":true},
            "media_urls":["https://a","https://b"],
            "media":[{"url":"https://a","kind":"gif","mime":"image/gif","size":9,"filename":"g","caption":"k"}],
            "context":[{"text":"before","source":{"user_name":"z"}}],"context_error":true,
            "prompt_response":{"prompt_id":"1","option_id":"2","label":"l","prompt_message_id":"3"}}"#;
        let mut event = Event::read(full).unwrap();
        event.is_interaction = true;
        event.values = vec!["1".into(), String::new().into()];
        event.target =
            Some(super::super::Target { id: "9".into(), name: Some("n".into()), ..Default::default() });
        event.via_authenticated_relay = true;
        event.raw = Some("{\"text\":1}".into());
        check(&event);
        check(&Event::default());
    }

    /// A platform or scope that the event does not name itself must not become one that it names.
    #[test]
    fn assumed_values_stay_assumed() {
        for raw in [r#"{"source":{"chat_id":"c"}}"#, r#"{"source":{"platform":"relay","guild_id":"g"}}"#] {
            let event = Event::read(raw).unwrap();
            check(&event);
            let again = Event::from_stored(&event.to_stored()).unwrap();
            assert_eq!(again.source.named_platform(), event.source.named_platform());
            assert_eq!(again.source.own_scope_id(), event.source.own_scope_id());
        }
    }

    #[test]
    fn other_bytes_are_no_stored_event() {
        for bytes in ["", "{}", "[]", r#"{"event":{"text":7}}"#, "\u{0}"] {
            assert_eq!(Event::from_stored(bytes.as_bytes()), None, "{bytes}");
        }
        // A later version may have more fields, and an earlier one fewer.
        let other = br#"{"event":{"text":"a","new":1},"also":2}"#;
        assert_eq!(Event::from_stored(other).unwrap().text, "a");
    }

    proptest! {
        #[test]
        fn what_is_stored_is_read_again(text: String, chat in "\\PC{0,40}", kind in "[a-z]{1,8}", id: Option<u64>) {
            let event = serde_json::json!({
                "text": text, "message_type": kind, "message_id": id, "source": {"chat_id": chat, "user_name": text},
                "media_urls": [text, chat], "media": [{"url": text, "kind": kind, "size": id}],
            });
            check(&Event::read(&event.to_string()).unwrap());
        }
    }
}
