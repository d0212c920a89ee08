//! Messages and interrupts of the chats.

use super::AcpMachine;
use crate::config::{Busy, Settling};
use crate::delivery::AcpDelivery;
use crate::session::{Session, SessionPhase, WaitingMessage};
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
        if self.is_full() {
            return self.refuse(&delivery);
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
        let arrival = self.arrivals;
        session.waiting.push_back(WaitingMessage { delivery, arrival, is_settled: false });
        if is_busy && self.config.busy == Busy::Interrupt {
            self.cancel_turn(now, &key);
        }
        self.pump(now);
        self.settle_blocked(&key, arrival);
    }

    /// Settles a buffered message that waits for the end of a turn. The connector sends one buffered message
    /// after another: the answer or the `/stop` that ends that turn would wait behind this one.
    fn settle_blocked(&mut self, key: &str, arrival: u64) {
        let (is_ready, settles_at_end) = (self.agent().is_some(), self.settles_at_end());
        let Some(session) = self.sessions.get_mut(key) else { return };
        let has_no_room = is_ready && session.phase == SessionPhase::Closed;
        if settles_at_end || (session.turn.is_none() && !has_no_room) {
            return;
        }
        let waiting = session.waiting.iter_mut().find(|waiting| waiting.arrival == arrival);
        if let Some(waiting) = waiting.filter(|waiting| waiting.delivery.is_buffered) {
            waiting.is_settled = true;
            let delivery = waiting.delivery.id;
            self.settle(delivery, Outcome::Accepted);
        }
    }

    /// Returns true if no further message can wait.
    fn is_full(&self) -> bool {
        let limits = &self.config.limits;
        let (count, bytes) = self.waiting;
        count >= limits.acp_waiting || bytes >= limits.acp_waiting_bytes
    }

    /// Refuses a message. One that is not delivered again is answered with a line.
    fn refuse(&mut self, delivery: &AcpDelivery) {
        self.stats.messages_rejected += 1;
        if delivery.is_buffered {
            return self.settle(delivery.id, Outcome::Refused);
        }
        self.say(delivery.id, texts::FULL);
        self.settle(delivery.id, Outcome::Accepted);
    }

    /// Handles the connector's request to stop the turn of exactly this session.
    pub fn handle_interrupt(&mut self, now: Time, session_key: &str) {
        self.cancel_turn(now, session_key);
        self.pump(now);
    }

    fn handle_stop(&mut self, now: Time, delivery: &AcpDelivery) {
        let turn = self.sessions.get(&delivery.session_key).and_then(|session| session.turn.as_ref());
        let is_cancelling = turn.is_some_and(|turn| matches!(turn.phase, TurnPhase::Cancelling { .. }));
        let text = match self.cancel_turn(now, &delivery.session_key) {
            true => texts::STOPPED,
            false if is_cancelling => texts::STOPPING,
            false => texts::NOTHING_TO_STOP,
        };
        self.say(delivery.id, text);
        self.settle(delivery.id, Outcome::Accepted);
        self.pump(now);
    }

    /// Returns the message of a turn that was not prompted yet to the front of its session's queue.
    pub(super) fn return_turn(&mut self, key: &str) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(Turn { phase: TurnPhase::Fetching { delivery, .. }, is_settled, .. }) = session.turn.take()
        else {
            return;
        };
        self.waiting.0 += 1;
        self.waiting.1 += delivery.weight();
        // Before all others.
        session.waiting.push_front(WaitingMessage { delivery, arrival: 0, is_settled });
    }

    /// Returns true if deliveries are settled only at the end of their turns.
    pub(super) fn settles_at_end(&self) -> bool {
        self.config.settling == Settling::TurnEnded
    }
}
