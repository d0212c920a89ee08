//! What a replay is asked for, and what comes of it.

use super::session::Session;
use super::trace::Entry;
use relayline_core::output::{Conn, Fatal};
use relayline_core::time::Time;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How the connector's messages reach the machine. None of it may change what the machine does (W-1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReplayOptions {
    /// Into which pieces each message is cut; whole by default.
    pub cut: Cut,
    /// When the machine's outputs are taken; after each message by default.
    pub drain: Drain,
}

/// Into which pieces a message is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Cut {
    /// None: all of it at once.
    #[default]
    Whole,
    /// Single bytes.
    Bytes,
    /// Pieces of 1 to 16 bytes, drawn from this seed.
    Random(u64),
}

/// When the machine's outputs are taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Drain {
    /// After each message of the connector.
    #[default]
    Messages,
    /// After each piece of one. Interrupts then overtake fewer deliveries (L-16): the same things happen, in each
    /// lane in the same order, but the lanes may interleave otherwise.
    Pieces,
}

/// What came of a replay.
#[derive(Debug)]
pub struct ReplayRun {
    /// All that happened, in order.
    pub trace: Vec<Entry>,
    pub(crate) session: Arc<Session>,
    pub(crate) dials: Vec<ReplayedDial>,
    pub(crate) messages: Vec<(Time, Value)>,
    pub(crate) interrupts: Vec<(Time, Value)>,
    pub(crate) fatal: Option<(Time, Fatal)>,
    pub(crate) waits: Vec<Wait>,
    /// Calls that would have said once more what was declined: they wrote nothing (O-7).
    pub(crate) withheld: BTreeSet<usize>,
}

/// One dial of the machine.
#[derive(Debug)]
pub(crate) struct ReplayedDial {
    pub(crate) conn: Conn,
    pub(crate) at: Time,
    /// Why, as the end before it tells.
    pub(crate) after: WaitCause,
    /// The recorded dial that answered it.
    pub(crate) answered: Option<usize>,
    /// Whether its token is the recorded one; `None` where that cannot be told.
    pub(crate) token_is_right: Option<bool>,
    pub(crate) frames: Vec<WrittenFrame>,
    pub(crate) closed: Option<(Time, u16)>,
}

/// One frame of ours.
#[derive(Debug)]
pub(crate) struct WrittenFrame {
    pub(crate) at: Time,
    pub(crate) text: String,
    /// Number of the recorded request that it stands for, where there is one.
    pub(crate) stands_for: Option<usize>,
    /// It shows that a turn is under way, as the machine does by itself (O-15).
    pub(crate) is_sign: bool,
}

/// What came before a dial.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WaitCause {
    /// Nothing: it is the first.
    Nothing,
    /// A refusal of a connection whose handshake was complete, which may be tried once more (L-9).
    Refusal,
    /// Any other end of a connection, or a dial that came to nothing.
    Loss,
}

/// One wait between dials, and what L-5 allows for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wait {
    pub(crate) at: Time,
    pub(crate) wait: Duration,
    pub(crate) least: Duration,
    pub(crate) most: Duration,
}
