//! Webhook requests to the gateway's server, correctly signed or not (H-6).

use super::random::Random;
use super::setup::DELIVERY_KEY;
use super::users::{self, UserEvent};
use super::world::World;
use relayline_core::secret::Secret;
use relayline_core::signature;
use relayline_core::webhook::{Body, WebhookRequest};
use serde_json::{Value, json};
use std::time::Duration;

/// Kind of a webhook request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PostKind {
    /// An event with that serial number.
    Event(u64),
    Interrupt,
    /// An interrupt without a session key.
    Keyless,
    NoJson,
    NoEvent,
    Health,
    Nowhere,
    WrongMethod,
}

/// Fault of a webhook request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PostFault {
    WrongKey,
    Malformed,
    TooLong,
    TooSlow,
}

/// A webhook request.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) kind: PostKind,
    pub(crate) fault: Option<PostFault>,
    /// Time of the signature; `None` without a signature.
    pub(crate) signed_at: Option<u64>,
    pub(crate) event: Option<UserEvent>,
    pub(crate) session_key: String,
}

impl Post {
    fn body(&self) -> Vec<u8> {
        let value = match self.kind {
            PostKind::Event(serial) => {
                let event = self.event.as_ref().map(|user_event| Value::Object(user_event.content.clone()));
                let mut body = json!({"type": "message", "event": event}).to_string();
                if serial.is_multiple_of(4) {
                    // W-11.
                    body.insert_str(1, "\"n\":-Infinity,");
                }
                return body.into_bytes();
            }
            PostKind::Interrupt | PostKind::Keyless => {
                json!({"type": "interrupt", "session_key": self.session_key})
            }
            PostKind::NoEvent => json!({"type": "message", "event": []}),
            PostKind::NoJson => return b"{\"type\":\"message\",\"event\":{\"text\":".to_vec(),
            PostKind::Health | PostKind::Nowhere | PostKind::WrongMethod => return Vec::new(),
        };
        value.to_string().into_bytes()
    }

    fn route(&self) -> (&'static str, &'static str) {
        match self.kind {
            PostKind::Event(_) | PostKind::NoJson | PostKind::NoEvent => ("POST", "/"),
            PostKind::Interrupt | PostKind::Keyless => ("POST", "/interrupt"),
            PostKind::Health => ("GET", "/healthz"),
            PostKind::Nowhere => ("POST", "/relay"),
            PostKind::WrongMethod => ("GET", "/"),
        }
    }
}

impl World<'_> {
    /// Sends a random webhook request.
    pub(crate) fn post(&mut self, random: &mut Random) {
        let kind = match random.below(30) {
            0..12 => self.new_event(random),
            12..21 => self.old_event(random),
            21..24 => PostKind::Interrupt,
            24 => PostKind::Keyless,
            25 => PostKind::NoJson,
            26 => PostKind::NoEvent,
            27 => PostKind::Health,
            28 => PostKind::Nowhere,
            _ => PostKind::WrongMethod,
        };
        let user_event = match kind {
            PostKind::Event(serial) => self.users.events.get(&serial).cloned(),
            _ => None,
        };
        let fault = match random.below(24) {
            0 => Some(PostFault::WrongKey),
            1 => Some(PostFault::Malformed),
            2 => Some(PostFault::TooLong),
            3 => Some(PostFault::TooSlow),
            _ => None,
        };
        let by_its_clock = self.connector_now().unix_s;
        let signed_at = match random.below(24) {
            0 => None,
            1 => Some(by_its_clock - 301 - random.below(1000)),
            2 => Some(by_its_clock + 301 + random.below(1000)),
            3 => Some(by_its_clock - 290),
            _ => Some(by_its_clock),
        };
        let session_key =
            if kind == PostKind::Keyless { String::new() } else { format!("agent:main:{}", random.below(5)) };
        let post = Post { kind, fault, signed_at, event: user_event, session_key };
        // Some senders repeat a request at once, as if the response was lost.
        for _ in 0..if random.chance(10) { random.between(2, 12) } else { 1 } {
            self.submit_post(&post);
        }
    }

    /// Sends messages of one chat, and each of them again. Duplicates wait for several deliveries, and replace those
    /// that the host refuses.
    pub(crate) fn post_twice(&mut self, random: &mut Random) {
        let span = Duration::from_millis(random.below(20_000));
        self.refuse_deliveries_for(span);
        let (chat, user) = (random.pick(&self.setup.chats).clone(), random.below(4));
        let posts: Vec<Post> = (0..random.between(2, 5))
            .map(|_| {
                let serial = self.next_serial();
                let user_event = users::message(serial, &chat, user, true, random.index(9));
                self.users.events.insert(serial, user_event.clone());
                let signed_at = Some(self.connector_now().unix_s);
                let session_key = String::new();
                Post {
                    kind: PostKind::Event(serial),
                    fault: None,
                    signed_at,
                    event: Some(user_event),
                    session_key,
                }
            })
            .collect();
        for post in posts.iter().chain(&posts) {
            self.submit_post(post);
        }
        // The host polls none of the duplicates until it has settled several deliveries.
        if random.chance(70) {
            self.slow_host_for(span);
        }
    }

    fn new_event(&mut self, random: &mut Random) -> PostKind {
        let serial = self.next_serial();
        let chat = random.pick(&self.setup.chats).clone();
        let mut user_event =
            users::message(serial, &chat, random.below(4), !random.chance(5), random.index(9));
        if random.chance(10)
            && let Some(Value::Object(source)) = user_event.content.get_mut("source")
        {
            // An id that is too long to be remembered (M-1).
            source.insert("user_id".to_owned(), "u".repeat(1100).into());
        }
        self.users.events.insert(serial, user_event);
        PostKind::Event(serial)
    }

    /// Returns an earlier event, from either transport.
    fn old_event(&mut self, random: &mut Random) -> PostKind {
        let back = random.index(12);
        let known = |(serial, user_event): (&u64, &UserEvent)| {
            (!user_event.is_forward && user_event.key.is_some()).then_some(*serial)
        };
        match self.users.events.iter().rev().filter_map(known).nth(back) {
            Some(serial) => PostKind::Event(serial),
            None => self.new_event(random),
        }
    }

    fn submit_post(&mut self, post: &Post) {
        if !self.is_awake() {
            return;
        }
        let bytes = post.body();
        let key =
            Secret::from(if post.fault == Some(PostFault::WrongKey) { "another" } else { DELIVERY_KEY });
        let timestamp = post.signed_at.map(|at| at.to_string());
        let signature = post.signed_at.map(|at| match post.fault {
            Some(PostFault::Malformed) => "zz".to_owned(),
            Some(PostFault::WrongKey | PostFault::TooLong | PostFault::TooSlow) | None => {
                signature::sign(&bytes, &key, at)
            }
        });
        let (method, path) = post.route();
        let mut request = WebhookRequest::new(method, path, Body::Whole(b""));
        (request.timestamp, request.signature) = (timestamp.as_deref(), signature.as_deref());
        self.with_process(|world, process, now| {
            request.body = match post.fault {
                // A body that the response does not depend on is not read.
                _ if !process.machine.wants_body(now, &request) => Body::Whole(b""),
                Some(PostFault::TooLong) => Body::TooLong,
                Some(PostFault::TooSlow) => Body::TooSlow,
                Some(PostFault::WrongKey | PostFault::Malformed) | None => Body::Whole(&bytes),
            };
            process.model.advance_clock(now);
            let waiting = process.machine.usage().waiting_event_bytes;
            let received = process.machine.handle_webhook(now, &request);
            world.log.trace_line(
                world.now,
                format_args!("{method} {path} {:?} {:?}: {received:?}", post.kind, post.fault),
            );
            process.model.posted(&mut world.oracle, post, now.unix_s, waiting, &received);
        });
        self.drain();
    }
}
