//! Traces of a machine's inputs and outputs. Each entry is a line of text for people, or a JSON object for programs.
//! Replays, logs at trace level and snapshots show these.
//!
//! No entry contains a bearer token. Request ids are shown as their counters, so that traces do not depend on the
//! seed. Everything else is shown unchanged: events and frames contain users' texts, so log traces only on request.
//!
//! The driver of a machine creates an entry before each input and after each output.

mod inputs;
mod lines;
mod outputs;
#[cfg(test)]
mod tests;

pub use lines::{Ids, Lines};

use crate::command::Failure;
use crate::time::Time;
use crate::webhook::WebhookResponse;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt;

/// Input or output of a machine, or a remark of its driver. Displays as a line of text without a newline. Sockets are
/// numbered by dial.
#[derive(Clone, Debug)]
pub struct Entry {
    at: Time,
    name: &'static str,
    text: String,
    /// JSON of the fields, each after a comma.
    fields: Vec<u8>,
}

impl Entry {
    /// Creates the entry of a remark of the driver. `name` has at most 9 characters.
    pub fn remark(at: Time, name: &'static str, text: impl Into<String>) -> Entry {
        Entry { at, name, text: printable(text.into()), fields: Vec::new() }
    }

    /// Adds a field to the JSON object. The text does not show it.
    #[must_use]
    pub fn with(mut self, field: &'static str, value: impl Serialize) -> Entry {
        self.fields.extend_from_slice(b",\"");
        self.fields.extend_from_slice(field.as_bytes());
        self.fields.extend_from_slice(b"\":");
        let begin = self.fields.len();
        if serde_json::to_writer(&mut self.fields, &value).is_err() {
            // Only a map whose keys are not strings can fail.
            self.fields.truncate(begin);
            self.fields.extend_from_slice(b"null");
        }
        self
    }

    /// Returns the time by the host's clock.
    pub fn at(&self) -> Time {
        self.at
    }

    /// Returns the name: the second word of the text, and `what` in the JSON object.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the JSON object as one line without a newline. It begins with `t_us` and `what`.
    pub fn to_json(&self) -> String {
        let fields = String::from_utf8_lossy(&self.fields);
        format!("{{\"t_us\":{},\"what\":{}{fields}}}", self.at.as_micros(), json!(self.name))
    }

    fn with_failure(self, failure: &Failure) -> Entry {
        let mut value = json!({"kind": failure.kind.name(), "message": failure.message});
        if let Some(code) = &failure.code {
            value["code"] = Value::from(code.as_str());
        }
        self.with("error", value)
    }

    fn with_response(self, response: &WebhookResponse) -> Entry {
        self.with("status", response.status()).with("why", response.to_string())
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9} {:<10}{}", self.at.to_string(), self.name, self.text)
    }
}

/// Returns a text that is safe for one line of a terminal: control characters are escaped as in JSON.
pub fn printable(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    text.chars().fold(String::with_capacity(text.len()), |mut clean, c| {
        if c.is_control() {
            clean.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            clean.push(c);
        }
        clean
    })
}
