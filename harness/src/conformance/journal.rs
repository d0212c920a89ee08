//! Journal of a scenario: observations in lanes, with a place up to which each was read, and the session's recording.

use super::pattern::Variables;
use crate::recording::{Data, Header, LineContent, RecordedLine, Recording};
use relayline_core::json::weight_of_fields;
use serde_json::{Map, Value, json};
use std::time::Instant;

/// Maximum number of observations of a scenario. A program that exceeds it fails.
const MAX_ENTRIES: usize = 20_000;
/// Maximum weight of all observations, in bytes.
const MAX_ENTRY_BYTES: usize = 64 << 20;
/// Maximum number of bytes of a recording's lines. Further ones are left out.
const MAX_RECORDED_BYTES: usize = 8 << 20;
/// Maximum length of the name of something that a program does not support, in characters.
const MAX_FEATURE_CHARS: usize = 100;

/// Source of observations. Each has its own order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lane {
    /// What the player saw of the protocol: dials, frames, closes.
    Protocol,
    /// What it saw below: messages and pings.
    Wire,
    /// Lines of the bridge.
    Bridge,
}

impl Lane {
    /// Returns the lane whose observations a pattern is about.
    pub(super) fn of(pattern: &Value) -> Lane {
        // Alternatives are about one lane.
        let first = pattern.get("$any_of").and_then(|alternatives| alternatives.get(0));
        let pattern = first.unwrap_or(pattern);
        match pattern.get("saw").and_then(Value::as_str) {
            Some("message" | "ping" | "pong") => Lane::Wire,
            Some(_) => Lane::Protocol,
            None => Lane::Bridge,
        }
    }

    fn place(self) -> usize {
        match self {
            Lane::Protocol => 0,
            Lane::Wire => 1,
            Lane::Bridge => 2,
        }
    }
}

/// The journal.
#[derive(Debug)]
pub(super) struct Journal {
    started: Instant,
    entries: [Vec<Value>; 3],
    entry_bytes: usize,
    /// Number of entries of each lane that expectations have read.
    read: [usize; 3],
    lines: Vec<RecordedLine>,
    recorded_bytes: usize,
    is_full: bool,
    /// First thing that the program has said it does not support.
    unsupported: Option<String>,
}

impl Journal {
    pub(super) fn new() -> Journal {
        Journal {
            started: Instant::now(),
            entries: Default::default(),
            entry_bytes: 0,
            read: [0; 3],
            lines: Vec::new(),
            recorded_bytes: 0,
            is_full: false,
            unsupported: None,
        }
    }

    /// Adds an observation.
    pub(super) fn note(&mut self, lane: Lane, entry: Value) {
        if lane == Lane::Bridge && entry.get("event").is_some_and(|event| event == "unsupported") {
            let feature = entry.get("feature").and_then(Value::as_str).unwrap_or("a step");
            self.unsupported.get_or_insert_with(|| feature.chars().take(MAX_FEATURE_CHARS).collect());
        }
        self.entry_bytes += entry.as_object().map_or(0, weight_of_fields);
        let entries = &mut self.entries[lane.place()];
        match entries.len() < MAX_ENTRIES && self.entry_bytes <= MAX_ENTRY_BYTES {
            true => entries.push(entry),
            false => self.is_full = true,
        }
    }

    /// Adds a message of a socket, with the number of its connection in `field`. Returns its text.
    pub(super) fn note_message(&mut self, field: &str, conn: u32, data: &Data) -> String {
        let (kind, text) = match data {
            Data::Text(text) => ("text", text.clone()),
            Data::Binary(bytes) => ("binary", String::from_utf8_lossy(bytes).into_owned()),
        };
        self.note(Lane::Wire, json!({"saw": "message", field: conn, "kind": kind, "text": text}));
        text
    }

    /// Returns true if observations were lost.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Returns what the program does not support, if it has said so.
    pub(super) fn unsupported(&self) -> Option<&str> {
        self.unsupported.as_deref()
    }

    /// Returns the unread entry that matches first, with the variables that it sets. Checks `without` against the
    /// entries before it, and against all unread ones if none matches.
    pub(super) fn find(&self, pattern: &Value, without: Option<&Value>, variables: &Variables) -> Search {
        let lane = Lane::of(pattern).place();
        let unread = self.entries[lane].iter().enumerate().skip(self.read[lane]);
        for (at, entry) in unread {
            if let Some(set) = variables.matched(pattern, entry) {
                return Search::Found { at: at + 1, set };
            }
            if without.is_some_and(|without| variables.matched(without, entry).is_some()) {
                return Search::Forbidden(entry.clone());
            }
        }
        // `without` may be about another lane.
        let other = without.filter(|without| Lane::of(without).place() != lane);
        match other.and_then(|without| self.seen(without, variables)) {
            Some(entry) => Search::Forbidden(entry),
            None => Search::Nothing,
        }
    }

    /// Returns the first unread entry that matches.
    pub(super) fn seen(&self, pattern: &Value, variables: &Variables) -> Option<Value> {
        let lane = Lane::of(pattern).place();
        let unread = self.entries[lane].iter().skip(self.read[lane]);
        unread.clone().find(|entry| variables.matched(pattern, entry).is_some()).cloned()
    }

    /// Marks the entries of a pattern's lane as read, up to the place that a search returned.
    pub(super) fn mark_read(&mut self, pattern: &Value, at: usize) {
        let read = &mut self.read[Lane::of(pattern).place()];
        *read = at.max(*read);
    }

    /// Returns the last unread entry of a pattern's lane: the best guess of what came in place of a match. Prefers
    /// entries of the same kind.
    pub(super) fn last_unread(&self, pattern: &Value) -> Option<&Value> {
        let lane = Lane::of(pattern).place();
        let kind = |value: &Value| {
            let name = |field: &str| value.get(field).map(ToString::to_string);
            let frame = value.get("frame").and_then(|frame| frame.get("type")).map(ToString::to_string);
            (name("saw"), name("event"), frame)
        };
        let unread = &self.entries[lane][self.read[lane].min(self.entries[lane].len())..];
        unread.iter().rev().find(|entry| kind(entry) == kind(pattern)).or_else(|| unread.last())
    }

    /// Returns the end of the connection that may explain why nothing matched, unless the pattern is about it.
    pub(super) fn meanwhile(&self, pattern: &Value) -> Option<String> {
        let saw = |entry: &Value, name: &str| entry.get("saw").is_some_and(|saw| saw == name);
        let lane = Lane::Protocol.place();
        let mut unread = self.entries[lane].iter().skip(self.read[lane]);
        let is_redial = |entry: &Value| {
            saw(entry, "dial") && entry.get("dial").and_then(Value::as_u64).is_some_and(|dial| dial > 1)
        };
        let ended = unread.rfind(|entry| saw(entry, "closed") || is_redial(entry));
        let alternatives = pattern.get("$any_of").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut expected = std::iter::once(pattern).chain(alternatives);
        if expected.any(|pattern| saw(pattern, "closed") || saw(pattern, "dial")) {
            return None;
        }
        let ended = ended?;
        let code = ended.get("code").filter(|code| !code.is_null());
        let code = code.map(|code| format!(" with code {code}")).unwrap_or_default();
        let reason = ended.get("reason").and_then(Value::as_str).filter(|reason| !reason.is_empty());
        let reason = reason.map(|reason| format!(" and the reason {reason:?}")).unwrap_or_default();
        Some(match saw(ended, "closed") {
            true => format!("meanwhile the connection has ended{code}{reason}"),
            false => "meanwhile it has dialed again".to_owned(),
        })
    }

    /// Adds a line to the recording.
    pub(super) fn record(&mut self, what: LineContent) {
        let weight = match &what {
            LineContent::Gateway(data) | LineContent::Connector(data) => data.bytes().len(),
            LineContent::Note(text) => text.len(),
            _ => 64,
        };
        self.recorded_bytes += weight;
        if self.recorded_bytes > MAX_RECORDED_BYTES {
            return;
        }
        let t_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let number = self.lines.len() + 2;
        self.lines.push(RecordedLine { number, t_ms, what, rest: Map::new() });
    }

    /// Returns the recording as text.
    pub(super) fn recording(self, title: &str) -> String {
        let recorded_from = concat!("relayline conformance ", env!("CARGO_PKG_VERSION")).to_owned();
        let header = Header { title: title.to_owned(), recorded_from, ..Header::default() };
        let recording = Recording { file: String::new(), header, lines: self.lines };
        let mut text = Vec::new();
        // Writing to memory does not fail.
        let _ = recording.write(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// Result of a search.
pub(super) enum Search {
    /// An entry matches. `at` is the place after it.
    Found { at: usize, set: Variables },
    /// An entry that must not come has come.
    Forbidden(Value),
    /// Nothing matches yet.
    Nothing,
}
