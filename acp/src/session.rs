//! Sessions: one conversation of a chat, its session at the agent, its turn, and the messages that wait for it.

use crate::delivery::AcpDelivery;
use crate::turn::Turn;
use relayline_core::time::Time;
use std::collections::VecDeque;

/// Way to open a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Opening {
    New,
    /// Continue a known session without its history.
    Resume,
    /// Continue a known session, which replays its history.
    Load,
}

/// State of a session at the agent.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum SessionPhase {
    Closed,
    Opening,
    Open {
        /// The agent's id of the session.
        id: String,
    },
}

/// Message that waits for its turn.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct WaitingMessage {
    pub(crate) delivery: AcpDelivery,
    /// Number in the order of arrival over all sessions.
    pub(crate) arrival: u64,
    /// True if its delivery is settled before its turn begins.
    pub(crate) is_settled: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Session {
    pub(crate) phase: SessionPhase,
    pub(crate) turn: Option<Turn>,
    pub(crate) waiting: VecDeque<WaitingMessage>,
    /// Time of the end of the latest turn.
    pub(crate) used: Time,
    /// True if the chat is still to be informed that the agent does not remember the conversation.
    pub(crate) announces_new: bool,
}

impl Session {
    pub(crate) fn new() -> Session {
        Session {
            phase: SessionPhase::Closed,
            turn: None,
            waiting: VecDeque::new(),
            used: Time::ZERO,
            announces_new: false,
        }
    }

    /// Returns true if a turn is in progress or a message waits.
    pub(crate) fn is_busy(&self) -> bool {
        self.turn.is_some() || !self.waiting.is_empty()
    }

    /// Returns true if it counts among the open sessions.
    pub(crate) fn is_open(&self) -> bool {
        self.phase != SessionPhase::Closed
    }

    /// Returns the agent's id of the session, if it is open.
    pub(crate) fn id(&self) -> Option<&str> {
        match &self.phase {
            SessionPhase::Open { id } => Some(id),
            SessionPhase::Closed | SessionPhase::Opening => None,
        }
    }
}
