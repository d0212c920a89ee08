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

/// The host's answer was declined: what the recorded host said all the same is not said (O-7).
pub(super) fn withheld(at: Time, call: &str) -> Entry {
    host(at, call, format!("{call} (not made: the answer was declined)"), Some(("made", json!(false))))
}

/// A new process of the gateway.
pub(super) fn began(at: Time) -> Entry {
    remark(
        at,
        "process",
        "the recorded gateway had ended and dials again: a new process begins".to_owned(),
        [],
    )
}

/// The recorded gateway dialled sooner than the machine would have.
pub(super) fn jumped(at: Time, wait: Duration) -> Entry {
    let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let text = format!("{ms} ms ahead, since the recorded gateway dials now");
    remark(at, "clock", text, [("ahead_ms", json!(ms))])
}

/// Something that came was passed over, so many times.
pub(super) fn counted(at: Time, counter: &str, by: u64) -> Entry {
    let times = if by > 1 { format!(", {by} times") } else { String::new() };
    remark(at, "counted", format!("{counter}{times}"), [("counter", json!(counter)), ("by", json!(by))])
}

/// What somebody noted at that time.
pub(super) fn noted(at: Time, text: &str) -> Entry {
    remark(at, "note", text.to_owned(), [])
}

fn host(at: Time, call: &str, text: String, more: Option<(&str, Value)>) -> Entry {
    remark(at, "host", text, [("call", json!(call))].into_iter().chain(more))
}

fn remark<'a>(
    at: Time,
    name: &'static str,
    text: String,
    fields: impl IntoIterator<Item = (&'a str, Value)>,
) -> Entry {
    let fields: Map<String, Value> =
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Entry { at, what: Happened::Remark { name, text, fields } }
}
