//! Coordination of webhook requests and their responses (H-6).

use super::RelayMachine;
use crate::event::Event;
use crate::inbox::{Abandoned, Origin};
use crate::lifecycle::State;
use crate::output::{Action, HttpId};
use crate::time::{Now, clamp_timeout};
use crate::webhook::{WebhookContent, WebhookOutcome, WebhookRequest, WebhookResponse};

/// # Webhooks
impl RelayMachine {
    /// Returns whether the response to a request depends on its body, of which at most `delivery_body` bytes are read.
    /// If it does not, pass the request without a body.
    pub fn wants_body(&self, now: Now, request: &WebhookRequest<'_>) -> bool {
        self.is_open().is_ok() && request.wants_body(&self.config.delivery_keys, now.unix_s)
    }

    /// Handles a request to the webhook server (H-6). Its body is read only after its signature is verified (C-3).
    ///
    /// A message takes the same path as one on the WebSocket, whether that is up or not: the same duplicates, chats and
    /// prompts. Its response waits for [`settle`](Self::settle), for `delivery_timeout` at most, and comes as
    /// [`Action::Respond`]. The response to an interrupt follows its [`Action::Interrupt`] at once (L-16). A repeated
    /// request, from a client that got no response or from an eavesdropper, is recognized by its message id and not
    /// delivered twice.
    ///
    /// There is nothing to do for a client that goes away.
    pub fn handle_webhook(&mut self, now: Now, request: &WebhookRequest<'_>) -> WebhookOutcome {
        self.advance(now);
        self.stats.http_requests += 1;
        let asked = self
            .is_open()
            .and_then(|()| request.read(&self.config.delivery_keys, self.unix_s, self.config.raw_events));
        let take_in = |asked| self.account_actions(|machine| machine.take_in(asked));
        let received = match asked.and_then(take_in) {
            Ok(received) => received,
            Err(answer) => WebhookOutcome::Responded(answer),
        };
        if let WebhookOutcome::Responded(answer) = &received {
            self.count(answer);
        }
        self.settle_state();
        received
    }

    fn take_in(&mut self, asked: WebhookContent) -> Result<WebhookOutcome, WebhookResponse> {
        match asked {
            WebhookContent::Health => Ok(WebhookOutcome::Responded(WebhookResponse::Done)),
            WebhookContent::Interrupt { session_key, chat_id } => {
                let id = self.begin_to_wait();
                self.actions.push_back(Action::Interrupt { session_key, chat_id });
                // The order matters: an answered request counts as received by the host.
                self.respond(id, WebhookResponse::Done);
                Ok(WebhookOutcome::Pending(id))
            }
            WebhookContent::Message(event) => self.take_in_message(event),
        }
    }

    fn take_in_message(&mut self, event: Box<Event>) -> Result<WebhookOutcome, WebhookResponse> {
        let key = self.key_of(&event);
        // A duplicate of an accepted delivery needs no room.
        if !key.is_some_and(|key| self.inbox.has_accepted(key)) {
            let full = !self.inbox.has_room() || self.inbox.is_full();
            let busy = self.webhooks.len() >= self.config.limits.deliveries.max(1);
            if self.is_leaving() || full || busy {
                return Err(WebhookResponse::Unavailable(match (self.is_leaving(), full) {
                    (true, _) => "the relay is being disconnected",
                    (false, true) => "the host's queue is full",
                    (false, false) => "as many deliveries wait for the host as `deliveries` allows",
                }));
            }
        }
        let id = self.begin_to_wait();
        self.on_event(event, key, Origin::Http(id));
        Ok(WebhookOutcome::Pending(id))
    }

    fn begin_to_wait(&mut self) -> HttpId {
        self.webhooks.add(self.now + clamp_timeout(self.config.timing.delivery_timeout))
    }

    /// Answers a pending request. A request that was answered already is not answered again.
    pub(super) fn respond(&mut self, id: HttpId, answer: WebhookResponse) {
        if self.webhooks.remove(id) {
            self.actions.push_back(Action::Respond { id, answer });
        }
    }

    /// Answers the oldest request, which timed out.
    pub(super) fn time_out_webhook(&mut self) {
        let Some(id) = self.webhooks.oldest() else { return };
        self.stats.deliveries_expired += 1;
        let answer = match self.abandon(id) {
            Abandoned::Unseen { .. } => WebhookResponse::Unavailable("the host has not taken it in time"),
            Abandoned::Delivered => WebhookResponse::Timeout,
        };
        self.respond(id, answer);
    }

    /// Rejects all pending requests, since the relay has ended.
    pub(super) fn reject_pending(&mut self, why: &'static str) {
        while let Some(id) = self.webhooks.oldest() {
            self.stats.deliveries_turned_away += 1;
            self.abandon(id);
            self.respond(id, WebhookResponse::Unavailable(why));
        }
    }

    fn abandon(&mut self, id: HttpId) -> Abandoned {
        let abandoned = self.inbox.abandon(id);
        if let Abandoned::Unseen { unanswered: Some(prompt) } = abandoned {
            self.reopen(prompt);
        }
        abandoned
    }

    /// Checks that requests are accepted.
    fn is_open(&self) -> Result<(), WebhookResponse> {
        match self.conn.state() {
            State::Revoked => {
                Err(WebhookResponse::Unavailable("the relay is disabled: this gateway was revoked"))
            }
            State::Stopped => Err(WebhookResponse::Unavailable("the relay is disconnected")),
            _ if self.are_actions_full() => Err(WebhookResponse::Unavailable("the gateway is busy")),
            _ => Ok(()),
        }
    }

    fn count(&mut self, answer: &WebhookResponse) {
        let stats = &mut self.stats;
        let counter = match answer {
            WebhookResponse::Done => return,
            WebhookResponse::NotFound | WebhookResponse::NotAllowed { .. } => {
                &mut stats.unknown_http_requests
            }
            WebhookResponse::Unsigned(_) => &mut stats.unsigned_deliveries,
            WebhookResponse::TooSlow => &mut stats.slow_deliveries,
            WebhookResponse::TooLong => &mut stats.overlong_deliveries,
            WebhookResponse::Unusable(_) => &mut stats.unusable_deliveries,
            WebhookResponse::Unavailable(_) => &mut stats.deliveries_turned_away,
            WebhookResponse::Timeout => &mut stats.deliveries_expired,
        };
        *counter += 1;
    }
}
