//! Lines between a leader's bridge and an agent, as a worker reads and changes them: the numbers of deliveries are the
//! worker's, since an agent outlives leaders.

use crate::id::{EntryId, HandOutId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Code of the error of an op that fails because its gateway does not lead.
pub const NOT_LEADING: &str = "not_leading";

/// Fields of a line, as they were written.
type Fields<'l> = BTreeMap<Cow<'l, str>, &'l RawValue>;

/// Op of an agent, with its fields as they were written.
#[derive(Debug)]
pub(super) struct OpLine<'l> {
    fields: Fields<'l>,
    pub(super) op: String,
    /// Id as JSON; `None` if the op has none.
    pub(super) id: Option<&'l str>,
    pub(super) delivery: Option<u64>,
}

/// Meaning of an op for its delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Settles {
    /// It is done.
    Done,
    /// It is refused.
    Refused,
}

impl<'l> OpLine<'l> {
    /// Reads an op; `None` if the line is not one. The leader then says so.
    pub(super) fn read(line: &'l [u8]) -> Option<OpLine<'l>> {
        let fields: Fields<'_> = serde_json::from_slice(line).ok()?;
        let op = serde_json::from_str(fields.get("op")?.get()).ok()?;
        let id = fields.get("id").map(|id| id.get()).filter(|id| *id != "null");
        let delivery = fields.get("delivery").and_then(|number| serde_json::from_str(number.get()).ok());
        Some(OpLine { fields, op, id, delivery })
    }

    /// Returns the meaning for the delivery, if the op settles it.
    pub(super) fn settles(&self) -> Option<Settles> {
        let state =
            self.fields.get("state").and_then(|state| serde_json::from_str::<String>(state.get()).ok());
        match (self.op.as_str(), state.as_deref()) {
            ("ack", _) | ("turn", Some("done" | "stopped")) => Some(Settles::Done),
            ("refuse", _) | ("turn", Some("failed")) => Some(Settles::Refused),
            _ => None,
        }
    }

    /// Writes the op with another delivery and another id, where they are given.
    pub(super) fn with(&self, delivery: Option<u64>, id: Option<&str>) -> Vec<u8> {
        let number = delivery.and_then(|number| RawValue::from_string(number.to_string()).ok());
        let id = id.and_then(|id| RawValue::from_string(id.to_owned()).ok());
        let mut fields = self.fields.clone();
        fields.extend(number.as_deref().map(|number| ("delivery".into(), number)));
        fields.extend(id.as_deref().map(|id| ("id".into(), id)));
        text(&fields)
    }
}

/// Writes the op that settles a delivery.
pub(super) fn settlement(settles: Settles, delivery: u64, id: &str) -> Vec<u8> {
    let op = if settles == Settles::Done { "ack" } else { "refuse" };
    format!(r#"{{"op":"{op}","delivery":{delivery},"id":{id}}}"#).into_bytes()
}

/// Line of a leader's bridge.
#[derive(Debug)]
pub(super) enum EventLine<'l> {
    /// A hand-out of an entry, with its number among the leader's deliveries.
    HandOut(HandOutId, u64, HandOutLine<'l>),
    /// The result of the op with this id.
    Result {
        id: &'l str,
        /// True if the gateway does not lead any more: nothing has happened.
        is_not_leading: bool,
    },
    Other,
}

/// Line of a hand-out, with its fields as they were written.
#[derive(Debug)]
pub(super) struct HandOutLine<'l>(Fields<'l>);

#[derive(Deserialize)]
struct Kind<'l> {
    #[serde(borrow)]
    event: Cow<'l, str>,
}

#[derive(Deserialize)]
struct HandOutFields {
    delivery: u64,
    entry: EntryId,
    attempt: u32,
}

#[derive(Deserialize)]
struct ResultFields<'l> {
    #[serde(borrow)]
    id: &'l RawValue,
    #[serde(default)]
    error: Option<ErrorFields>,
}

#[derive(Deserialize)]
struct ErrorFields {
    #[serde(default)]
    code: Option<String>,
}

impl<'l> EventLine<'l> {
    /// Reads a line. One that is not understood is passed on as it is.
    pub(super) fn read(line: &'l [u8]) -> EventLine<'l> {
        EventLine::try_read(line).unwrap_or(EventLine::Other)
    }

    fn try_read(line: &'l [u8]) -> Option<EventLine<'l>> {
        let Kind { event } = serde_json::from_slice(line).ok()?;
        match event.as_ref() {
            "message" | "prompt_answer" | "passthrough" => {
                let HandOutFields { delivery, entry, attempt } = serde_json::from_slice(line).ok()?;
                let fields = serde_json::from_slice(line).ok()?;
                Some(EventLine::HandOut(HandOutId { entry, attempt }, delivery, HandOutLine(fields)))
            }
            "result" => {
                let ResultFields { id, error } = serde_json::from_slice(line).ok()?;
                let code = error.and_then(|error| error.code);
                Some(EventLine::Result { id: id.get(), is_not_leading: code.as_deref() == Some(NOT_LEADING) })
            }
            _ => None,
        }
    }
}

impl HandOutLine<'_> {
    /// Writes the line with another number of the delivery. `event` comes first, as in every line.
    pub(super) fn with_delivery(&self, number: u64) -> Vec<u8> {
        #[derive(Serialize)]
        struct Line<'l> {
            event: &'l RawValue,
            delivery: u64,
            #[serde(flatten)]
            rest: Fields<'l>,
        }
        let mut rest = self.0.clone();
        rest.remove("delivery");
        match rest.remove("event") {
            Some(event) => text(&Line { event, delivery: number, rest }),
            None => Vec::new(),
        }
    }
}

/// Writes the result of an op that failed. `id` is JSON.
pub(super) fn failure(id: &str, kind: &str, message: &str) -> Vec<u8> {
    let message = serde_json::Value::from(message);
    format!(r#"{{"event":"result","id":{id},"ok":false,"error":{{"kind":"{kind}","message":{message}}}}}"#)
        .into()
}

/// Writes the result of an op that has no data. `id` is JSON.
pub(super) fn success(id: &str) -> Vec<u8> {
    format!(r#"{{"event":"result","id":{id},"ok":true,"result":{{}}}}"#).into()
}

/// Writes the line of a connection that ended.
pub(super) fn disconnected(reason: &str) -> Vec<u8> {
    let reason = serde_json::Value::from(reason);
    format!(r#"{{"event":"disconnected","code":null,"reason":{reason},"retry_in_ms":null}}"#).into()
}

fn text(value: &impl Serialize) -> Vec<u8> {
    // All keys are strings, so writing to memory does not fail.
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(line: Vec<u8>) -> String {
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn an_op_keeps_its_other_fields_as_they_are() {
        let line =
            br#"{"op":"reply","id":{"a":1},"delivery":5,"content":"\ud800 x","n":12345678901234567890123}"#;
        let op = OpLine::read(line).unwrap();
        assert_eq!(
            (op.op.as_str(), op.id, op.delivery, op.settles()),
            ("reply", Some(r#"{"a":1}"#), Some(5), None)
        );
        assert_eq!(
            text_of(op.with(Some(9), None)),
            r#"{"content":"\ud800 x","delivery":9,"id":{"a":1},"n":12345678901234567890123,"op":"reply"}"#
        );
        for line in ["", "[]", "{}", r#"{"op":7}"#, r#"{"op":"ack""#] {
            assert!(OpLine::read(line.as_bytes()).is_none(), "{line}");
        }
    }

    #[test]
    fn settlements_are_recognized() {
        for (line, settles) in [
            (r#"{"op":"ack","delivery":1}"#, Some(Settles::Done)),
            (r#"{"op":"refuse","delivery":1,"id":null}"#, Some(Settles::Refused)),
            (r#"{"op":"turn","delivery":1,"state":"done"}"#, Some(Settles::Done)),
            (r#"{"op":"turn","delivery":1,"state":"stopped"}"#, Some(Settles::Done)),
            (r#"{"op":"turn","delivery":1,"state":"failed"}"#, Some(Settles::Refused)),
            (r#"{"op":"turn","delivery":1,"state":"begin"}"#, None),
            (r#"{"op":"send","delivery":1}"#, None),
        ] {
            let op = OpLine::read(line.as_bytes()).unwrap();
            assert_eq!((op.settles(), op.id), (settles, None), "{line}");
        }
    }

    #[test]
    fn a_hand_out_gets_another_number() {
        let line = br#"{"event":"message","delivery":3,"buffered":true,"attempt":2,"redelivered":true,"entry":17,"message":{"text":"hi"}}"#;
        let EventLine::HandOut(id, 3, line) = EventLine::read(line) else { panic!() };
        assert_eq!(id, HandOutId { entry: EntryId(17), attempt: 2 });
        let text = text_of(line.with_delivery(8));
        assert!(text.starts_with(r#"{"event":"message","delivery":8,"#), "{text}");
        assert!(text.contains(r#""message":{"text":"hi"}"#) && text.contains(r#""entry":17"#), "{text}");
    }

    #[test]
    fn a_result_says_whether_its_gateway_leads() {
        let own = failure(r#""a""#, "definite", "say \"no\"");
        assert!(matches!(EventLine::read(&own), EventLine::Result { id: r#""a""#, is_not_leading: false }));
        let line = br#"{"event":"result","id":7,"ok":false,"error":{"kind":"definite","message":"x","code":"not_leading"}}"#;
        assert!(matches!(EventLine::read(line), EventLine::Result { id: "7", is_not_leading: true }));
        assert!(matches!(EventLine::read(&success("7")), EventLine::Result { id: "7", .. }));
        assert!(matches!(EventLine::read(&disconnected("gone")), EventLine::Other));
    }
}
