//! The last lines of all sessions, from which a recording is made.

use crate::recording::{GAP, Header, LineContent, RecordedLine};
use serde_json::{Map, json};
use std::collections::{BTreeMap, VecDeque};

/// Limits of the lines that are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RingLimits {
    /// Maximum number of lines; 20,000 by default.
    pub lines: usize,
    /// Maximum size of these lines in bytes; 32 MiB by default.
    pub bytes: usize,
}

impl Default for RingLimits {
    fn default() -> Self {
        RingLimits { lines: 20_000, bytes: 32 << 20 }
    }
}

/// Maximum number of dials whose beginning is kept after it left the ring.
const BEGUN: usize = 256;

#[derive(Debug)]
struct KeptLine {
    session: usize,
    dial: Option<u32>,
    role: LineRole,
    json: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LineRole {
    Begins,
    Ends,
    Other,
}

/// The last lines. Beginnings of dials that go on are kept besides, since a recording needs them.
#[derive(Debug)]
pub(super) struct LineRing {
    limits: RingLimits,
    lines: VecDeque<KeptLine>,
    bytes: usize,
    /// Dials that have begun before the first line: their beginnings.
    begun: BTreeMap<(usize, u32), String>,
    /// Number of lines that have left, by session.
    left: BTreeMap<usize, u64>,
}

impl LineRing {
    pub(super) fn new(limits: RingLimits) -> LineRing {
        LineRing { limits, lines: VecDeque::new(), bytes: 0, begun: BTreeMap::new(), left: BTreeMap::new() }
    }

    pub(super) fn push(&mut self, session: usize, line: &RecordedLine) {
        let role = match &line.what {
            LineContent::Connect { .. } => LineRole::Begins,
            LineContent::Close { .. } | LineContent::Drop { .. } | LineContent::Reject { .. } => {
                LineRole::Ends
            }
            _ => LineRole::Other,
        };
        let json = line.to_json();
        self.bytes += json.len();
        self.lines.push_back(KeptLine { session, dial: line.dial(), role, json });
        while self.lines.len() > self.limits.lines || (self.bytes > self.limits.bytes && self.lines.len() > 1)
        {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(KeptLine { session, dial, role, json }) = self.lines.pop_front() else { return };
        self.bytes -= json.len();
        *self.left.entry(session).or_default() += 1;
        match (role, dial) {
            (LineRole::Begins, Some(dial)) => {
                self.begun.insert((session, dial), json);
                if self.begun.len() > BEGUN {
                    self.begun.pop_first();
                }
            }
            (LineRole::Ends, Some(dial)) => _ = self.begun.remove(&(session, dial)),
            _ => {}
        }
    }

    /// Drops all lines.
    pub(super) fn clear(&mut self) {
        while !self.lines.is_empty() {
            self.drop_oldest();
        }
    }

    /// Returns the number of lines that have left.
    pub(super) fn left(&self) -> u64 {
        self.left.values().sum()
    }

    /// Returns the lines of a session as a recording. Lines that have left are a gap, after the beginnings of the dials that
    /// go on.
    pub(super) fn recording(&self, session: usize, header: &Header) -> String {
        let lines: Vec<&KeptLine> = self.lines.iter().filter(|line| line.session == session).collect();
        let mut text = header.to_json() + "\n";
        let mut add = |json: &str| {
            text.push_str(json);
            text.push('\n');
        };
        let left = self.left.get(&session).copied().unwrap_or(0);
        if left > 0 {
            let begun: Vec<&String> =
                self.begun.range((session, 0)..(session + 1, 0)).map(|(_, json)| json).collect();
            begun.iter().for_each(|json| add(json));
            let rest = Map::from_iter([("lines".to_owned(), json!(left - begun.len() as u64))]);
            // Its time is that of the next line, and never before that of the last beginning.
            let last = lines.first().map(|line| &line.json).or_else(|| begun.last().copied());
            let t_ms = last.and_then(|json| time_of(json)).unwrap_or(0);
            add(&RecordedLine { number: 0, t_ms, what: LineContent::Other(GAP.to_owned()), rest }.to_json());
        }
        lines.iter().for_each(|line| add(&line.json));
        text
    }
}

/// Returns the time of a line.
fn time_of(json: &str) -> Option<u64> {
    serde_json::from_str::<Map<_, _>>(json).ok()?.get("t_ms")?.as_u64()
}
