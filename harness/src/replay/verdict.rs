//! Result of a check, and its text form.

use super::value_diff::diff_lines;
use relayline_core::trace::printable;
use serde_json::Value;
use std::fmt;

/// Kind of a difference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DifferenceKind {
    /// A frame of the gateway on this dial, counted from 1.
    Frame(usize),
    /// The gateway's close of this dial.
    Close(usize),
    /// The bearer token of this dial. Tokens are not shown.
    Token(usize),
    /// A dial that only one side made.
    Dial,
    /// A wait before a dial outside the allowed range.
    Wait,
    /// The fatal end.
    Fatal,
    /// A message for the host.
    Message,
    /// An interrupt for the host.
    Interrupt,
}

/// One side of a difference.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct ComparedEvent {
    /// Position: `file:line, t_ms 13`, or virtual time in milliseconds.
    pub at: String,
    /// Line of the file, for a recorded event.
    pub line: Option<usize>,
    /// Time in milliseconds since the start.
    pub t_ms: u64,
    /// Value as JSON.
    pub value: Value,
}

/// A difference between the run and the recording.
#[derive(Clone, PartialEq, Debug)]
pub struct Difference {
    /// Kind of the difference.
    pub kind: DifferenceKind,
    /// Recorded event; `None` if only the replay has one.
    pub recorded: Option<ComparedEvent>,
    /// Event of the replay; `None` if only the recording has one. Additions that the protocol allows are left out if
    /// both sides have an event.
    pub ours: Option<ComparedEvent>,
    /// Recorded events right before it, one per line.
    pub before: Vec<String>,
    /// Position of a recorded frame among those of its dial.
    pub(crate) recorded_position: Option<usize>,
    /// Position of a replayed frame among those of its dial.
    pub(crate) position: Option<usize>,
}

impl Difference {
    pub(super) fn new(
        kind: DifferenceKind,
        recorded: Option<ComparedEvent>,
        ours: Option<ComparedEvent>,
    ) -> Self {
        Difference { kind, recorded, ours, before: Vec::new(), recorded_position: None, position: None }
    }
}

/// A difference that a rule requires.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct AppliedDeparture {
    /// Id of the rule, such as `L-14`.
    pub rule: &'static str,
    /// Index in [`DEPARTURES`](super::DEPARTURES).
    pub departure: usize,
    /// The difference.
    pub difference: Difference,
}

/// Result of a check.
#[derive(Debug)]
pub struct Verdict {
    /// Name of the session.
    pub name: String,
    /// Differences that rules require.
    pub departs: Vec<AppliedDeparture>,
    /// All other differences.
    pub differences: Vec<Difference>,
}

impl Verdict {
    /// Returns true if all differences are required by rules.
    pub fn passes(&self) -> bool {
        self.differences.is_empty()
    }

    /// Removes the differences outside these times, in milliseconds since the start, both inclusive. The recorded time
    /// counts, if there is one.
    pub fn keep_within(&mut self, from_ms: u64, until_ms: u64) {
        let is_within = |difference: &Difference| {
            let side = difference.recorded.as_ref().or(difference.ours.as_ref());
            side.is_none_or(|said| (from_ms..=until_ms).contains(&said.t_ms))
        };
        self.departs.retain(|used| is_within(&used.difference));
        self.differences.retain(is_within);
    }
}

/// Writes one line if there is no difference, else the differences as readable text.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        if self.passes() {
            let mut rules: Vec<&str> = self.departs.iter().map(|used| used.rule).collect();
            rules.sort_unstable();
            rules.dedup();
            write!(f, "ok {name}")?;
            return if rules.is_empty() { Ok(()) } else { write!(f, "  departs: {}", rules.join(", ")) };
        }
        let count = self.differences.len();
        write!(f, "FAIL {name}: {count} difference{}", if count == 1 { "" } else { "s" })?;
        self.differences.iter().try_for_each(|difference| write!(f, "\n{difference}"))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            DifferenceKind::Frame(dial) => format!("a frame of the gateway on dial {dial}"),
            DifferenceKind::Close(dial) => format!("the gateway's close of dial {dial}"),
            DifferenceKind::Token(dial) => format!("the bearer token of dial {dial} (neither is shown)"),
            DifferenceKind::Dial => "a dial".to_owned(),
            DifferenceKind::Wait => "a wait before a dial, outside what L-5 allows,".to_owned(),
            DifferenceKind::Fatal => "the fatal end".to_owned(),
            DifferenceKind::Message => "a message to the host".to_owned(),
            DifferenceKind::Interrupt => "an interrupt to the host".to_owned(),
        };
        write!(
            f,
            "  {what} {}",
            match (&self.recorded, &self.ours) {
                (Some(_), None) => "is missing",
                (None, Some(_)) => "was not recorded",
                _ => "differs",
            }
        )?;
        let is_pair = self.recorded.is_some() && self.ours.is_some();
        for (mark, side, said) in [('-', "recorded", &self.recorded), ('+', "ours", &self.ours)] {
            match said {
                Some(said) if is_pair => write!(f, "\n    {mark} {side:<8}  {}", said.at)?,
                Some(said) => {
                    write!(f, "\n    {mark} {side:<8}  {}: {}", said.at, printable(said.value.to_string()))?
                }
                None => write!(f, "\n    {mark} {side:<8}  nothing")?,
            }
        }
        if let (Some(recorded), Some(ours)) = (&self.recorded, &self.ours) {
            for line in diff_lines(&recorded.value, &ours.value) {
                write!(f, "\n      {}", printable(line))?;
            }
        }
        if !self.before.is_empty() {
            write!(f, "\n    recorded before it")?;
        }
        self.before.iter().try_for_each(|line| write!(f, "\n      {}", printable(line.clone())))
    }
}
