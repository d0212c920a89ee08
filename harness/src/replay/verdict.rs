//! What comes of a check, and how a person reads it.

use super::value_diff::diff_lines;
use relayline_core::trace::printable;
use serde_json::Value;
use std::fmt;

/// What of a session differs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DifferenceKind {
    /// A frame of the gateway on this dial, counted from 1.
    Frame(usize),
    /// The gateway's close of this dial.
    Close(usize),
    /// The bearer token of this dial; neither is shown (C-4).
    Token(usize),
    /// A dial that one side did not make.
    Dial,
    /// A wait before a dial, which L-5 does not allow.
    Wait,
    /// The fatal end.
    Fatal,
    /// A message that the host got.
    Message,
    /// An interrupt that the host got.
    Interrupt,
}

/// One side of a difference.
#[derive(Clone, PartialEq, Debug)]
pub struct ComparedEvent {
    /// Where: `file:line, t_ms 13`, or our virtual time in milliseconds.
    pub at: String,
    /// The line of the file, where it is a recorded one.
    pub line: Option<usize>,
    /// When, in milliseconds since the start.
    pub t_ms: u64,
    /// What, as JSON.
    pub value: Value,
}

/// Something in which the run and the recording differ.
#[derive(Clone, PartialEq, Debug)]
pub struct Difference {
    /// What it is.
    pub kind: DifferenceKind,
    /// What was recorded; `None` when only we did something.
    pub recorded: Option<ComparedEvent>,
    /// What we did; `None` when only the recorded gateway did something. Additions that M-2 and M-3 allow are left
    /// out where there is something to compare with.
    pub ours: Option<ComparedEvent>,
    /// What was recorded right before it, a line each.
    pub before: Vec<String>,
    /// The position of a recorded frame among those of its dial.
    pub(crate) recorded_position: Option<usize>,
    /// The position of a frame of ours among those of its dial.
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

/// A difference that a rule asks for.
#[derive(Clone, PartialEq, Debug)]
pub struct AppliedDeparture {
    /// The rule, `L-14` for instance.
    pub rule: &'static str,
    /// The place in [`DEPARTURES`](super::DEPARTURES).
    pub departure: usize,
    /// What differs.
    pub difference: Difference,
}

/// What comes of a check.
#[derive(Debug)]
pub struct Verdict {
    /// The session's name.
    pub name: String,
    /// Differences that rules ask for.
    pub departs: Vec<AppliedDeparture>,
    /// All others.
    pub differences: Vec<Difference>,
}

impl Verdict {
    /// Whether nothing differs but what rules ask for.
    pub fn passes(&self) -> bool {
        self.differences.is_empty()
    }

    /// Leaves out what lies elsewhere than between these times, in milliseconds since the start, both included. The
    /// recorded time counts, where something was recorded.
    pub fn keep_within(&mut self, from_ms: u64, until_ms: u64) {
        let is_within = |difference: &Difference| {
            let side = difference.recorded.as_ref().or(difference.ours.as_ref());
            side.is_none_or(|said| (from_ms..=until_ms).contains(&said.t_ms))
        };
        self.departs.retain(|used| is_within(&used.difference));
        self.differences.retain(is_within);
    }
}

/// One line where all is well, else the differences as a person can read them.
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
        let missing = |side: &Option<ComparedEvent>| side.is_none();
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
            match (missing(&self.recorded), missing(&self.ours)) {
                (false, true) => "is missing",
                (true, false) => "was not recorded",
                (true, true) | (false, false) => "differs",
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
