//! Webhook requests: immediate responses, waiting senders, and one response for each (H-6).

use super::Model;
use super::inbox::InboundItem;
use super::sessions::session;
use crate::simulate::oracle::Oracle;
use crate::simulate::posts::{Post, PostFault, PostKind};
use relayline_core::time::Time;
use relayline_core::webhook::{WebhookOutcome, WebhookResponse};
use serde_json::Value;
use std::collections::BTreeMap;

/// Senders that wait for a response.
#[derive(Debug, Default)]
pub(crate) struct Posts {
    waiting: BTreeMap<u64, WaitingSender>,
}

#[derive(Debug)]
struct WaitingSender {
    since: Time,
    /// Required status of the response, once it is known.
    status: Option<u16>,
}

impl Posts {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Sets the status of a waiting sender. A sender that was answered is ignored.
    pub(crate) fn set_status(&mut self, post: u64, status: u16) {
        if let Some(waiting) = self.waiting.get_mut(&post) {
            waiting.status.get_or_insert(status);
        }
    }

    /// Returns a sender that should have been answered.
    pub(crate) fn unanswered(&self) -> Option<u64> {
        self.waiting.iter().find(|(_, waiting)| waiting.status.is_some()).map(|(post, _)| *post)
    }

    /// Returns a sender that has waited longer than `most`.
    pub(crate) fn overdue(&self, now: Time, most: std::time::Duration) -> Option<u64> {
        self.waiting.iter().find(|(_, waiting)| now.since(waiting.since) > most).map(|(post, _)| *post)
    }
}

/// Maximum difference of a signature's time from the clock, in seconds (C-3).
const MAX_SKEW_S: u64 = 300;

impl Model {
    /// Checks the immediate result of a request. `waiting` is the size of the waiting events.
    pub(crate) fn posted(
        &mut self,
        oracle: &mut Oracle,
        post: &Post,
        unix_s: u64,
        waiting: usize,
        received: &WebhookOutcome,
    ) {
        self.count("http_requests", 1);
        let expected = self.expected(post, unix_s, waiting);
        let found = match received {
            WebhookOutcome::Responded(answer) => Some(answer.status()),
            WebhookOutcome::Pending(_) => None,
        };
        oracle.check("H-6", "a-request-is-answered-as-it-must", found == expected, || {
            format!("{post:?} at {unix_s}: {received:?}, not {expected:?}")
        });
        if let Some(counter) = found.and_then(counter) {
            self.count(counter, 1);
        }
        if let WebhookOutcome::Pending(id) = received {
            self.expect_response(oracle, id.number(), post);
        }
    }

    /// Returns the status of an immediate response; `None` if the sender waits.
    fn expected(&self, post: &Post, unix_s: u64, waiting: usize) -> Option<u16> {
        let is_fresh = post.signed_at.is_some_and(|at| at.abs_diff(unix_s) <= MAX_SKEW_S);
        let keyed = !self.config.delivery_keys.is_empty();
        if self.is_over() {
            return Some(503);
        }
        match post.kind {
            PostKind::Nowhere => return Some(404),
            PostKind::WrongMethod => return Some(405),
            PostKind::Health => return Some(200),
            PostKind::Event(_)
            | PostKind::Interrupt
            | PostKind::Keyless
            | PostKind::NoJson
            | PostKind::NoEvent => {}
        }
        // A request without a readable body cannot be verified, and its status says that.
        match post.fault {
            _ if !keyed || !is_fresh => return Some(401),
            Some(PostFault::TooLong) => return Some(413),
            Some(PostFault::TooSlow) => return Some(408),
            Some(PostFault::WrongKey | PostFault::Malformed) => return Some(401),
            None => {}
        }
        match post.kind {
            PostKind::Keyless | PostKind::NoJson | PostKind::NoEvent => Some(400),
            PostKind::Event(_) => self.is_rejected(post, waiting).then_some(503),
            PostKind::Interrupt | PostKind::Nowhere | PostKind::WrongMethod | PostKind::Health => None,
        }
    }

    fn is_rejected(&self, post: &Post, waiting: usize) -> bool {
        // A duplicate of an accepted event needs no room.
        !post
            .event
            .as_ref()
            .and_then(|user_event| user_event.key.as_ref())
            .is_some_and(|key| self.inbox.has_accepted(key))
            && (self.dials.leaving.is_some()
                || !self.has_room(waiting)
                || self.is_held_up(waiting)
                || self.inbox.in_flight() >= self.config.limits.dedupe
                || self.inbox.posts.waiting.len() >= self.config.limits.deliveries)
    }

    fn expect_response(&mut self, oracle: &mut Oracle, id: u64, post: &Post) {
        let waiting = WaitingSender { since: self.now, status: None };
        let is_new = self.inbox.posts.waiting.insert(id, waiting).is_none();
        oracle.check("H-6", "requests-have-new-names", is_new, || format!("{id} was used before"));
        match (post.kind, &post.event) {
            (PostKind::Event(serial), Some(user_event)) => {
                let answers = user_event.prompt().map(str::to_owned);
                let (chat, key) = (user_event.chat.clone(), user_event.key.clone());
                let event = Value::Object(user_event.content.clone());
                self.places.seen(&event);
                let session = (!user_event.is_forward).then(|| session(&self.config, &event));
                self.arrive(
                    oracle,
                    InboundItem {
                        serial: Some(serial),
                        chat,
                        user: user_event.user.clone(),
                        session,
                        key,
                        entry: None,
                        conn: 0,
                        post: Some(id),
                        is_answer: answers.is_some(),
                        answers,
                        place: 0,
                    },
                );
            }
            _ => {
                self.interrupts.push_back((post.session_key.clone(), String::new()));
                self.inbox.posts.set_status(id, 200);
            }
        }
    }

    /// Checks the response to a sender that waited.
    pub(super) fn check_response(&mut self, oracle: &mut Oracle, id: u64, answer: &WebhookResponse) {
        let status = answer.status();
        let Some(waiting) = self.inbox.posts.waiting.remove(&id) else {
            return oracle.fail("H-6", "one-answer-each", || format!("{id} does not wait: {answer:?}"));
        };
        let expected = waiting.status.unwrap_or_else(|| {
            let expired = self.now.since(waiting.since) >= self.config.timing.delivery_timeout;
            let ends = self.dials.leaving.is_some() && self.dials.socket == super::ModelSocket::None;
            match expired || ends {
                true => self.abandon_post(id, !expired),
                false => 0,
            }
        });
        oracle.check("H-6", "the-answer-is-what-became-of-it", status == expected, || {
            format!("{id} is answered {status}, and must be {expected}")
        });
    }

    /// Abandons a request. Returns the status of its response.
    fn abandon_post(&mut self, id: u64, at_end: bool) -> u16 {
        let (is_unseen, unanswered) = self.inbox.abandon(id);
        if let Some(prompt) = unanswered {
            self.reopen(&prompt);
        }
        self.count(if at_end { "deliveries_turned_away" } else { "deliveries_expired" }, 1);
        if at_end || is_unseen { 503 } else { 504 }
    }

    /// Abandons all requests without a status, at the end of the process.
    pub(super) fn reject_pending(&mut self) {
        let ids: Vec<u64> = self.inbox.posts.waiting.keys().copied().collect();
        for id in ids {
            // A sender with a status only waits for its response.
            if self.inbox.posts.waiting.get(&id).is_some_and(|waiting| waiting.status.is_none()) {
                let status = self.abandon_post(id, true);
                self.inbox.posts.set_status(id, status);
            }
        }
    }
}

/// Returns the counter of an immediate response with this status.
fn counter(status: u16) -> Option<&'static str> {
    match status {
        400 => Some("unusable_deliveries"),
        401 => Some("unsigned_deliveries"),
        404 | 405 => Some("unknown_http_requests"),
        408 => Some("slow_deliveries"),
        413 => Some("overlong_deliveries"),
        503 => Some("deliveries_turned_away"),
        _ => None,
    }
}
