//! What a recording's host does besides driving the machine, for the trace; and a trace's lines of JSON.

use relayline_core::time::Time;
pub use relayline_core::trace::{Entry, Happened};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// An entry's line of JSON, without a newline: `session` first, then what the entry says.
pub fn json_line(session: &str, entry: &Entry) -> String {
    format!("{{\"session\":{},{}", json!(session), &entry.to_json()[1..])
}

/// The host made a call that asks the machine for nothing: it does by itself what the host waits for.
pub(super) fn waited(at: Time, call: &str) -> Entry {
    host(at, call, call.to_owned(), None)
}

/// The host looked, and found this.
pub(super) fn looked(at: Time, call: &str, value: Value) -> Entry {
    host(at, call, format!("{call} -> {value}"), Some(("result", value)))
}

/// The recorded host made a call that this version does not know.
pub(super) fn skipped(at: Time, call: &str) -> Entry {
    host(at, call, format!("{call} (not known, skipped)"), Some(("known", json!(false))))
}

/// A new process of the gateway.
pub(super) fn began(at: Time) -> Entry {
    let text = "the recorded gateway had ended and dials again: a new process begins".to_owned();
    Entry { at, what: Happened::Remark { name: "process", text, fields: Map::new() } }
}

/// The recorded gateway dialled sooner than the machine would have.
pub(super) fn jumped(at: Time, wait: Duration) -> Entry {
    let ms = wait.as_millis();
    let text = format!("{ms} ms ahead, since the recorded gateway dials now");
    let fields = [("ahead_ms".to_owned(), json!(u64::try_from(ms).unwrap_or(u64::MAX)))];
    Entry { at, what: Happened::Remark { name: "clock", text, fields: Map::from_iter(fields) } }
}

/// Something that came was passed over, so many times.
pub(super) fn counted(at: Time, counter: &str, by: u64) -> Entry {
    let times = if by > 1 { format!(", {by} times") } else { String::new() };
    let fields = [("counter".to_owned(), json!(counter)), ("by".to_owned(), json!(by))];
    Entry {
        at,
        what: Happened::Remark {
            name: "counted",
            text: format!("{counter}{times}"),
            fields: fields.into_iter().collect(),
        },
    }
}

/// What somebody noted at that time.
pub(super) fn noted(at: Time, text: &str) -> Entry {
    Entry { at, what: Happened::Remark { name: "note", text: text.to_owned(), fields: Map::new() } }
}

fn host(at: Time, call: &str, text: String, more: Option<(&str, Value)>) -> Entry {
    let fields = [("call", json!(call))].into_iter().chain(more);
    let fields: Map<String, Value> = fields.map(|(name, value)| (name.to_owned(), value)).collect();
    Entry { at, what: Happened::Remark { name: "host", text, fields } }
}
