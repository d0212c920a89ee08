//! Options and result of a replay.

use super::session::Session;
use super::trace::Entry;
use relayline_core::output::{Conn, Fatal, Phase, Timer};
use relayline_core::time::Time;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Options of a replay. The machine's behavior must not depend on them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct ReplayOptions {
    /// Size of the pieces of each message. Default: whole messages.
    pub cut: Cut,
    /// Time at which the machine's outputs are taken. Default: after each message.
    pub drain: Drain,
}

impl ReplayOptions {
    /// Creates options that cut each message.
    pub fn cut(cut: Cut) -> ReplayOptions {
        ReplayOptions { cut, drain: Drain::default() }
    }

    /// Sets the time at which the machine's outputs are taken.
    #[must_use]
    pub fn drain(self, drain: Drain) -> ReplayOptions {
        ReplayOptions { drain, ..self }
    }
}

/// Size of the pieces that a message is cut into.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Cut {
    /// The whole message.
    #[default]
    Whole,
    /// Single bytes.
    Bytes,
    /// Pieces of 1 to 16 bytes, drawn from this seed.
    Random(u64),
}

/// Time at which the machine's outputs are taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Drain {
    /// After each message of the connector.
    #[default]
    Messages,
    /// After each piece of a message. Interrupts then overtake fewer deliveries: the order within each lane is the
    /// same, but lanes may interleave differently.
    Pieces,
}

/// Result of a replay.
#[derive(Debug)]
pub struct ReplayRun {
    /// All trace entries, in order.
    pub trace: Vec<Entry>,
    pub(crate) session: Arc<Session>,
    pub(crate) dials: Vec<ReplayedDial>,
    pub(crate) messages: Vec<(Time, Value)>,
    pub(crate) interrupts: Vec<(Time, Value)>,
    pub(crate) fatal: Option<(Time, Fatal)>,
    pub(crate) waits: Vec<Wait>,
    /// Changes of the machine that no line of the recording shows, in order.
    pub(crate) steps: Vec<MachineStep>,
    /// Calls that would have repeated a declined answer. They wrote nothing (O-7).
    pub(crate) withheld: BTreeSet<usize>,
}

/// A change of the machine, with its place in the recording.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MachineStep {
    /// Position of the last line that was played.
    pub(crate) line: usize,
    pub(crate) at: Time,
    pub(crate) change: MachineChange,
}

/// Change of the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MachineChange {
    /// The connection entered this phase.
    Phase(Phase),
    /// A timer fired.
    Timer(Timer),
    /// A counter of ignored input has increased.
    Counted(&'static str),
}

/// A dial of the machine.
#[derive(Debug)]
pub(crate) struct ReplayedDial {
    pub(crate) conn: Conn,
    pub(crate) at: Time,
    /// Cause of the wait before the dial.
    pub(crate) after: WaitCause,
    /// Recorded dial that answered it.
    pub(crate) answered: Option<usize>,
    /// True if its token is the recorded one; `None` if that is unknown.
    pub(crate) token_is_right: Option<bool>,
    pub(crate) frames: Vec<WrittenFrame>,
    pub(crate) closed: Option<(Time, u16)>,
}

/// A frame that the machine wrote.
#[derive(Debug)]
pub(crate) struct WrittenFrame {
    pub(crate) at: Time,
    pub(crate) text: String,
    /// Number of the recorded request that it corresponds to.
    pub(crate) counterpart: Option<usize>,
    /// True for an indicator of a turn that the machine writes by itself (O-15).
    pub(crate) is_indicator: bool,
}

/// Event before a dial.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WaitCause {
    /// None: it is the first dial.
    Nothing,
    /// An auth refusal of a connection with a complete handshake, which allows one more try (L-9).
    Refusal,
    /// Another end of a connection, or a failed dial.
    Loss,
}

/// A wait between dials, with the bounds of L-5.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wait {
    pub(crate) at: Time,
    pub(crate) wait: Duration,
    pub(crate) least: Duration,
    pub(crate) most: Duration,
}
