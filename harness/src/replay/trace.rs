//! Trace entries of the recorded host, and the JSON lines of a trace.

use relayline_core::time::Time;
pub use relayline_core::trace::Entry;
use serde_json::{Value, json};
use std::time::Duration;

/// Returns the JSON line of an entry, without a newline. It is the entry's object, with the field `session` in front.
pub fn json_line(session: &str, entry: &Entry) -> String {
    format!("{{\"session\":{},{}", json!(session), &entry.to_json()[1..])
}

/// Returns the entry of a call for which the machine gets no command, because it acts by itself.
pub(super) fn no_command(at: Time, call: &str) -> Entry {
    host_call(at, call, call.to_owned())
}

/// Returns the entry of a query and its result.
pub(super) fn query_result(at: Time, call: &str, value: &Value) -> Entry {
    host_call(at, call, format!("{call} -> {value}")).with("result", value)
}

/// Returns the entry of a call that this version does not know.
pub(super) fn unknown_call(at: Time, call: &str) -> Entry {
    host_call(at, call, format!("{call} (not known, skipped)")).with("known", false)
}

/// Returns the entry of a call that is not made, because the answer was declined (O-7).
pub(super) fn withheld_call(at: Time, call: &str) -> Entry {
    host_call(at, call, format!("{call} (not made: the answer was declined)")).with("made", false)
}

/// Returns the entry of a new gateway process.
pub(super) fn new_process(at: Time) -> Entry {
    Entry::remark(at, "process", "the recorded gateway had ended and dials again: a new process begins")
}

/// Returns the entry of a clock jump: the recorded gateway dialed sooner than the machine would have.
pub(super) fn clock_jump(at: Time, wait: Duration) -> Entry {
    let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    Entry::remark(at, "clock", format!("{ms} ms ahead, since the recorded gateway dials now"))
        .with("ahead_ms", ms)
}

/// Returns the entry of a counter that has increased.
pub(super) fn counter_increase(at: Time, counter: &str, by: u64) -> Entry {
    let times = if by > 1 { format!(", {by} times") } else { String::new() };
    Entry::remark(at, "counted", format!("{counter}{times}")).with("by", by).with("counter", counter)
}

/// Returns the entry of a recorded note.
pub(super) fn note(at: Time, text: &str) -> Entry {
    Entry::remark(at, "note", text)
}

/// Returns the entry of a call of the recorded host.
fn host_call(at: Time, call: &str, text: String) -> Entry {
    Entry::remark(at, "host", text).with("call", call)
}
