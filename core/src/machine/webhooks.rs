//! Coordination of webhook requests (H-6): what is taken in, and the one response of each.

use super::RelayMachine;
use crate::delivery::{Answer, Asked, DeliveryRequest, Received};
use crate::event::Event;
use crate::inbox::{Abandoned, Origin};
use crate::lifecycle::State;
use crate::output::{Action, HttpId};
use crate::time::{Now, clamp_timeout};

/// # Deliveries over HTTP
impl RelayMachine {
    /// Whether the answer to a request hangs on its body, of which `delivery_body` bytes are taken at most. Where it
    /// does not, there is no need to read it: hand the request in without one.
    pub fn wants_body(&self, now: Now, request: &DeliveryRequest<'_>) -> bool {
        self.is_open().is_ok() && request.wants_body(&self.config.delivery_keys, now.unix_s)
    }

    /// A request to the server of signed deliveries (H-6). Nothing of its body is read before its signature is
    /// verified (C-3).
    ///
    /// A message goes the way of one on the WebSocket, whether that is up or not: the same duplicates, chats and
    /// prompts. Its answer waits for [`settle`](Self::settle), for `delivery_timeout` at most, and comes as
    /// [`Action::Respond`]; that of an interrupt comes right behind its [`Action::Interrupt`] (L-16). A request that is sent again, by a sender that
    /// has heard nothing or by somebody who listened in, is known by its message id and not delivered twice.
    ///
    /// A client that goes away meanwhile need not be told of.
    pub fn handle_delivery(&mut self, now: Now, request: &DeliveryRequest<'_>) -> Received {
        self.advance(now);
        self.stats.http_requests += 1;
        let asked = self
            .is_open()
            .and_then(|()| request.read(&self.config.delivery_keys, self.unix_s, self.config.raw_events));
        let take_in = |asked| self.account_actions(|machine| machine.take_in(asked));
        let received = match asked.and_then(take_in) {
            Ok(received) => received,
            Err(answer) => Received::Answered(answer),
        };
        if let Received::Answered(answer) = &received {
            self.count(answer);
        }
        self.settle_state();
        received
    }

    fn take_in(&mut self, asked: Asked) -> Result<Received, Answer> {
        match asked {
            Asked::Health => Ok(Received::Answered(Answer::Done)),
            Asked::Interrupt { session_key, chat_id } => {
                let id = self.begin_to_wait();
                self.actions.push_back(Action::Interrupt { session_key, chat_id });
                // In this order: once it is answered the host has it.
                self.respond(id, Answer::Done);
                Ok(Received::Waits(id))
            }
            Asked::Message(event) => self.take_in_message(*event),
        }
    }

    fn take_in_message(&mut self, event: Event) -> Result<Received, Answer> {
        let key = self.key_of(&event);
        // What was taken before needs no room.
        if !key.is_some_and(|key| self.inbox.has_taken(key)) {
            let full = !self.inbox.has_room() || self.inbox.is_full();
            let busy = self.webhooks.len() >= self.config.limits.deliveries.max(1);
            if self.is_leaving() || full || busy {
                return Err(Answer::NotTaken(match (self.is_leaving(), full) {
                    (true, _) => "the relay is being disconnected",
                    (false, true) => "the host's queue is full",
                    (false, false) => "as many deliveries wait for the host as `deliveries` allows",
                }));
            }
        }
        let id = self.begin_to_wait();
        self.on_event(event, key, Origin::Http(id));
        Ok(Received::Waits(id))
    }

    fn begin_to_wait(&mut self) -> HttpId {
        self.webhooks.add(self.now + clamp_timeout(self.config.timing.delivery_timeout))
    }

    /// Answers a request that waits; one that has its answer already does not get a second.
    pub(super) fn respond(&mut self, id: HttpId, answer: Answer) {
        if self.webhooks.remove(id) {
            self.actions.push_back(Action::Respond { id, answer });
        }
    }

    /// Answers the oldest request, which has waited too long.
    pub(super) fn time_out_webhook(&mut self) {
        let Some(id) = self.webhooks.oldest() else { return };
        self.stats.deliveries_expired += 1;
        let answer = match self.abandon(id) {
            Abandoned::Unseen { .. } => Answer::NotTaken("the host has not taken it in time"),
            Abandoned::Handed => Answer::NoWord,
        };
        self.respond(id, answer);
    }

    /// Rejects all requests that wait: it is over for good.
    pub(super) fn reject_pending(&mut self, why: &'static str) {
        while let Some(id) = self.webhooks.oldest() {
            self.stats.deliveries_turned_away += 1;
            self.abandon(id);
            self.respond(id, Answer::NotTaken(why));
        }
    }

    fn abandon(&mut self, id: HttpId) -> Abandoned {
        let abandoned = self.inbox.abandon(id);
        if let Abandoned::Unseen { unanswered: Some(prompt) } = abandoned {
            self.reopen(prompt);
        }
        abandoned
    }

    /// Whether anything can be taken in, or even asked.
    fn is_open(&self) -> Result<(), Answer> {
        match self.conn.state() {
            State::Revoked => Err(Answer::NotTaken("the relay is disabled: this gateway was revoked")),
            State::Stopped => Err(Answer::NotTaken("the relay is disconnected")),
            _ if self.is_backed_up() => Err(Answer::NotTaken("the gateway is busy")),
            _ => Ok(()),
        }
    }

    fn count(&mut self, answer: &Answer) {
        let stats = &mut self.stats;
        let counter = match answer {
            Answer::Done => return,
            Answer::NotFound | Answer::NotAllowed { .. } => &mut stats.unknown_http_requests,
            Answer::Unsigned(_) => &mut stats.unsigned_deliveries,
            Answer::TooSlow => &mut stats.slow_deliveries,
            Answer::TooLong => &mut stats.overlong_deliveries,
            Answer::Unusable(_) => &mut stats.unusable_deliveries,
            Answer::NotTaken(_) => &mut stats.deliveries_turned_away,
            Answer::NoWord => &mut stats.deliveries_expired,
        };
        *counter += 1;
    }
}
