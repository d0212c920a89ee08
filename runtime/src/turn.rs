//! Turn of a delivery, as a guard.

use crate::relay::Relay;
use relayline_core::op::{Turn as Bracket, TurnState};
use relayline_core::output::DeliveryId;

/// Turn in progress: the agent works on a delivery. Users see a reaction on their message and a typing indicator until the
/// turn ends, if the platform supports them.
///
/// Dropping the guard ends the turn as failed. Indicators are best effort: failures are ignored.
#[derive(Debug)]
#[must_use = "dropping a turn ends it as failed"]
pub struct Turn {
    relay: Relay,
    delivery: DeliveryId,
    has_ended: bool,
}

impl Turn {
    pub(crate) fn begin(relay: &Relay, delivery: DeliveryId) -> Self {
        let turn = Turn { relay: relay.clone(), delivery, has_ended: false };
        turn.enter(TurnState::Begin);
        turn
    }

    /// Ends the turn: the agent has answered.
    pub fn done(mut self) {
        self.end(TurnState::Done);
    }

    /// Ends the turn: the agent has failed.
    pub fn failed(mut self) {
        self.end(TurnState::Failed);
    }

    /// Ends the turn: a user has stopped it. Streamed replies to the delivery end with the text that is shown.
    pub fn stopped(mut self) {
        self.end(TurnState::Stopped);
    }

    fn end(&mut self, state: TurnState) {
        self.has_ended = true;
        self.enter(state);
    }

    fn enter(&self, state: TurnState) {
        // Indicators are best effort.
        let _ = self.relay.submit(Bracket::new(self.delivery, state));
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.has_ended {
            self.end(TurnState::Failed);
        }
    }
}
