//! Messages and interrupts of the chats.

use super::AcpMachine;
use crate::config::{Busy, Settling};
use crate::delivery::AcpDelivery;
use crate::session::{Session, WaitingMessage};
use crate::texts;
use crate::turn::{Turn, TurnPhase};
use relayline_core::output::Outcome;
use relayline_core::time::Time;

/// Command by which a user ends the turn.
const STOP: &str = "/stop";

impl AcpMachine {
    /// Handles a message, or an answer to a prompt.
    pub fn handle_delivery(&mut self, now: Time, delivery: AcpDelivery) {
        if self.is_stopping {
            return self.settle(delivery.id, Outcome::Refused);
        }
        if delivery.event.prompt_response.is_some() {
            return self.handle_press(now, &delivery);
        }
        if self.answers_permission(now, &delivery) {
            return self.settle(delivery.id, Outcome::Accepted);
        }
        if delivery.event.text.trim().eq_ignore_ascii_case(STOP) {
            return self.handle_stop(now, &delivery);
        }
        let limits = &self.config.limits;
        let session = self.sessions.entry(delivery.session_key.clone()).or_insert_with(Session::new);
        let is_full = session.waiting.len() >= limits.acp_session_waiting;
        let is_busy = session.is_busy();
        if is_full || (is_busy && self.config.busy == Busy::Reject) {
            self.stats.messages_rejected += 1;
            self.say(delivery.id, if is_full { texts::FULL } else { texts::BUSY });
            return self.settle(delivery.id, Outcome::Accepted);
        }
        let key = delivery.session_key.clone();
        self.arrivals += 1;
        self.waiting.0 += 1;
        self.waiting.1 += delivery.weight();
        session.waiting.push_back(WaitingMessage { delivery, arrival: self.arrivals });
        if is_busy && self.config.busy == Busy::Interrupt {
            self.cancel_turn(now, &key);
        }
        self.pump(now);
    }

    /// Handles the connector's request to stop the turn of exactly this session.
    pub fn handle_interrupt(&mut self, now: Time, session_key: &str) {
        self.cancel_turn(now, session_key);
        self.pump(now);
    }

    fn handle_stop(&mut self, now: Time, delivery: &AcpDelivery) {
        let is_stopped = self.cancel_turn(now, &delivery.session_key);
        self.say(delivery.id, if is_stopped { texts::STOPPED } else { texts::NOTHING_TO_STOP });
        self.settle(delivery.id, Outcome::Accepted);
        self.pump(now);
    }

    /// Returns the message of a turn that was not prompted yet to the front of its session's queue.
    pub(super) fn return_turn(&mut self, key: &str) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(Turn { phase: TurnPhase::Fetching { delivery, .. }, .. }) = session.turn.take() else {
            return;
        };
        self.waiting.0 += 1;
        self.waiting.1 += delivery.weight();
        // Before all others.
        session.waiting.push_front(WaitingMessage { delivery, arrival: 0 });
    }

    /// Returns true if deliveries are settled only at the end of their turns.
    pub(super) fn settles_at_end(&self) -> bool {
        self.config.settling == Settling::TurnEnded
    }
}
