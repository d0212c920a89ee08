//! Turns: a message, its prompt, and what is shown of the agent's work until the answer is complete.

use crate::answer::AnswerText;
use crate::config::AcpLimits;
use crate::delivery::{AcpDelivery, TurnOrigin};
use crate::output::OpId;
use crate::permission::Permission;
use crate::progress::TurnProgress;
use crate::prompt::FileResult;
use crate::texts;
use agent_client_protocol_schema::StopReason;
use relayline_core::event::Media;
use relayline_core::op::TurnState;
use relayline_core::output::Outcome;
use relayline_core::time::Time;
use std::collections::BTreeMap;
use std::time::Duration;

/// Time after which an operation that failed for want of a connection or of room is tried again.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(5);

/// End of a turn, whatever ended it. It is the only event that ends one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TurnEnd {
    /// The agent ended it.
    Finished(StopReason),
    /// The agent could not begin or continue it.
    Failed,
    /// A user or the connector interrupted it.
    Cancelled,
    /// The agent's process ended.
    AgentDied,
    /// The agent reported nothing for too long.
    Silent,
    /// The gateway is being stopped.
    Shutdown,
}

impl TurnEnd {
    /// Returns the line for the chat, if there is one.
    pub(crate) fn line(self, is_redelivered: bool) -> Option<&'static str> {
        match self {
            TurnEnd::Finished(StopReason::EndTurn) | TurnEnd::Cancelled => None,
            TurnEnd::Finished(StopReason::MaxTokens) => {
                Some("The agent stopped here: it reached its limit of tokens.")
            }
            TurnEnd::Finished(StopReason::MaxTurnRequests) => {
                Some("The agent stopped here: it reached its limit of requests in one turn.")
            }
            TurnEnd::Finished(StopReason::Refusal) => Some("The agent refused to continue."),
            TurnEnd::Finished(_) => Some(texts::STOPPED),
            TurnEnd::Failed => Some(texts::CANNOT),
            TurnEnd::AgentDied if is_redelivered => Some(texts::DIED_RETRY),
            TurnEnd::AgentDied => Some(texts::DIED),
            TurnEnd::Silent => Some(texts::SILENT),
            TurnEnd::Shutdown => Some(texts::SHUTDOWN),
        }
    }

    /// Returns the state in which its bracket ends.
    fn bracket(self) -> TurnState {
        match self {
            TurnEnd::Finished(StopReason::Refusal)
            | TurnEnd::Failed
            | TurnEnd::AgentDied
            | TurnEnd::Silent => TurnState::Failed,
            TurnEnd::Finished(StopReason::Cancelled) | TurnEnd::Cancelled | TurnEnd::Shutdown => {
                TurnState::Stopped
            }
            TurnEnd::Finished(_) => TurnState::Done,
        }
    }

    /// Returns the outcome of its delivery, if that is settled at the end.
    pub(crate) fn outcome(self) -> Outcome {
        match self {
            TurnEnd::Finished(_) | TurnEnd::Cancelled | TurnEnd::Silent => Outcome::Accepted,
            TurnEnd::Failed | TurnEnd::AgentDied | TurnEnd::Shutdown => Outcome::Refused,
        }
    }

    fn has_succeeded(self) -> bool {
        self.bracket() == TurnState::Done
    }
}

/// File of a message, and its result once it was fetched.
pub(crate) type MessageFile = (Media, Option<FileResult>);

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum TurnPhase {
    /// Files of the message are fetched.
    Fetching {
        delivery: AcpDelivery,
        files: Vec<MessageFile>,
        pending: BTreeMap<OpId, usize>,
        /// Bytes of the contents that were fetched.
        inlined: usize,
    },
    /// The agent works.
    Prompted,
    /// The agent was asked to stop. The turn ends as `end`.
    Cancelling { end: TurnEnd, until: Time },
    /// The turn has ended, and the rest of the answer is being sent.
    Closing(Closing),
}

/// Rest of a turn that has ended.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Closing {
    pub(crate) end: TurnEnd,
    /// Line that is still to be sent, since there is no text to which it could be added.
    pub(crate) line: Option<&'static str>,
    pub(crate) is_line_sent: bool,
    /// Time at which the rest is dropped.
    pub(crate) until: Time,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Turn {
    pub(crate) origin: TurnOrigin,
    pub(crate) phase: TurnPhase,
    pub(crate) answer: AnswerText,
    pub(crate) progress: TurnProgress,
    /// Open permission requests by the ids of their prompts.
    pub(crate) permissions: BTreeMap<String, Permission>,
    /// Time of the agent's latest report.
    pub(crate) heard: Time,
    /// True once its delivery is settled.
    pub(crate) is_settled: bool,
    /// True once its bracket has ended.
    pub(crate) is_bracket_closed: bool,
    /// True once its answer names its place: the relay may have forgotten its delivery.
    pub(crate) names_place: bool,
    /// Time until which nothing is sent: an operation failed, and can be tried again.
    pub(crate) retry_at: Option<Time>,
}

impl Turn {
    pub(crate) fn new(now: Time, delivery: AcpDelivery, platforms: &[String]) -> Turn {
        Turn {
            origin: TurnOrigin::of(&delivery, platforms),
            phase: TurnPhase::Fetching { delivery, files: Vec::new(), pending: BTreeMap::new(), inlined: 0 },
            answer: AnswerText::default(),
            progress: TurnProgress::default(),
            permissions: BTreeMap::new(),
            heard: now,
            is_settled: false,
            is_bracket_closed: false,
            names_place: false,
            retry_at: None,
        }
    }

    /// Returns true if the agent works on it.
    pub(crate) fn is_prompted(&self) -> bool {
        matches!(self.phase, TurnPhase::Prompted)
    }

    /// Returns the state of its bracket at its end, and whether it succeeded, once it has ended.
    pub(crate) fn ended(&self) -> Option<(TurnState, bool)> {
        match &self.phase {
            TurnPhase::Closing(closing) => Some((closing.end.bracket(), closing.end.has_succeeded())),
            _ => None,
        }
    }

    /// Notes that an operation was not sent. Unless its delivery may be the cause, it is tried again after a while.
    pub(crate) fn note_unsent(&mut self, now: Time) {
        if std::mem::replace(&mut self.names_place, true) {
            self.retry_at = Some(now + RETRY_AFTER);
        }
    }

    /// Returns true if something can be sent now.
    pub(crate) fn may_send(&self, now: Time) -> bool {
        self.retry_at.is_none_or(|at| at <= now)
    }

    /// Returns when it needs a tick.
    pub(crate) fn deadline(&self, is_connected: bool, limits: &AcpLimits) -> Option<Time> {
        let is_sending = is_connected && self.retry_at.is_none();
        let shown = self.answer.deadline().into_iter().chain(self.progress.deadline()).min();
        let shown = shown.filter(|_| is_sending && self.is_prompted());
        let retry = self.retry_at.filter(|_| is_connected);
        let expiry = self.permissions.values().map(|permission| permission.expires).min();
        let own = match &self.phase {
            TurnPhase::Fetching { .. } => Some(self.heard + limits.acp_fetch_timeout),
            TurnPhase::Prompted => expiry.is_none().then_some(self.heard + limits.acp_silence_timeout),
            TurnPhase::Cancelling { until, .. } => Some(*until),
            TurnPhase::Closing(closing) => Some(closing.until),
        };
        [shown, retry, expiry, own].into_iter().flatten().min()
    }
}
