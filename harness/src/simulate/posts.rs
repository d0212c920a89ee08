//! Signed deliveries over HTTP: what somebody posts to the gateway's own server, well signed or not (H-6).

use super::random::Random;
use super::setup::DELIVERY_KEY;
use super::users::{self, Told};
use super::world::World;
use relayline_core::secret::Secret;
use relayline_core::signature;
use relayline_core::webhook::{Body, WebhookRequest};
use serde_json::{Value, json};
use std::time::Duration;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// A delivery of that serial number.
    Event(u64),
    Interrupt,
    /// An interrupt for nobody.
    Keyless,
    NoJson,
    NoEvent,
    Health,
    Nowhere,
    WrongMethod,
}

/// What is wrong with how it is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    WrongKey,
    Malformed,
    TooLong,
    TooSlow,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) what: What,
    pub(crate) fault: Option<Fault>,
    /// When it says that it was signed; none without a signature.
    pub(crate) signed_at: Option<u64>,
    pub(crate) told: Option<Told>,
    pub(crate) session_key: String,
}

impl Post {
    fn body(&self) -> Vec<u8> {
        let value = match self.what {
            What::Event(serial) => {
                let event = self.told.as_ref().map(|told| Value::Object(told.content.clone()));
                let mut body = json!({"type": "message", "event": event}).to_string();
                if serial.is_multiple_of(4) {
                    // W-11.
                    body.insert_str(1, "\"n\":-Infinity,");
                }
                return body.into_bytes();
            }
            What::Interrupt | What::Keyless => json!({"type": "interrupt", "session_key": self.session_key}),
            What::NoEvent => json!({"type": "message", "event": []}),
            What::NoJson => return b"{\"type\":\"message\",\"event\":{\"text\":".to_vec(),
            What::Health | What::Nowhere | What::WrongMethod => return Vec::new(),
        };
        value.to_string().into_bytes()
    }

    fn route(&self) -> (&'static str, &'static str) {
        match self.what {
            What::Event(_) | What::NoJson | What::NoEvent => ("POST", "/"),
            What::Interrupt | What::Keyless => ("POST", "/interrupt"),
            What::Health => ("GET", "/healthz"),
            What::Nowhere => ("POST", "/relay"),
            What::WrongMethod => ("GET", "/"),
        }
    }
}

impl World<'_> {
    /// Somebody posts something.
    pub(crate) fn post(&mut self, random: &mut Random) {
        let what = match random.below(30) {
            0..12 => self.new_event(random),
            12..21 => self.old_event(random),
            21..24 => What::Interrupt,
            24 => What::Keyless,
            25 => What::NoJson,
            26 => What::NoEvent,
            27 => What::Health,
            28 => What::Nowhere,
            _ => What::WrongMethod,
        };
        let told = match what {
            What::Event(serial) => self.told.get(&serial).cloned(),
            _ => None,
        };
        let fault = match random.below(24) {
            0 => Some(Fault::WrongKey),
            1 => Some(Fault::Malformed),
            2 => Some(Fault::TooLong),
            3 => Some(Fault::TooSlow),
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
            if what == What::Keyless { String::new() } else { format!("agent:main:{}", random.below(5)) };
        let post = Post { what, fault, signed_at, told, session_key };
        // Some send it again at once, as who lost the answer does.
        for _ in 0..if random.chance(10) { random.between(2, 12) } else { 1 } {
            self.hand_in(&post);
        }
    }

    /// Messages of one chat, and each of them again: so copies wait for several twins, and take the places of those that
    /// the host refuses.
    pub(crate) fn post_twice(&mut self, random: &mut Random) {
        let span = Duration::from_millis(random.below(20_000));
        self.refuse_for(span);
        let (chat, user) = (random.pick(&self.setup.chats).clone(), random.below(4));
        let posts: Vec<Post> = (0..random.between(2, 5))
            .map(|_| {
                let serial = self.next_serial();
                let told = users::message(serial, &chat, user, true, random.index(9));
                self.told.insert(serial, told.clone());
                let signed_at = Some(self.connector_now().unix_s);
                let session_key = String::new();
                Post { what: What::Event(serial), fault: None, signed_at, told: Some(told), session_key }
            })
            .collect();
        for post in posts.iter().chain(&posts) {
            self.hand_in(post);
        }
        // It takes none of the copies until it has settled several.
        if random.chance(70) {
            self.be_slow_for(span);
        }
    }

    fn new_event(&mut self, random: &mut Random) -> What {
        let serial = self.next_serial();
        let chat = random.pick(&self.setup.chats).clone();
        let mut told = users::message(serial, &chat, random.below(4), !random.chance(5), random.index(9));
        if random.chance(10)
            && let Some(Value::Object(source)) = told.content.get_mut("source")
        {
            // An id that is not remembered of its chat (M-1).
            source.insert("user_id".to_owned(), "u".repeat(1100).into());
        }
        self.told.insert(serial, told);
        What::Event(serial)
    }

    /// What came before, over HTTP or not.
    fn old_event(&mut self, random: &mut Random) -> What {
        let back = random.index(12);
        let known =
            |(serial, told): (&u64, &Told)| (!told.is_forward && told.key.is_some()).then_some(*serial);
        match self.told.iter().rev().filter_map(known).nth(back) {
            Some(serial) => What::Event(serial),
            None => self.new_event(random),
        }
    }

    fn hand_in(&mut self, post: &Post) {
        if !self.is_awake() {
            return;
        }
        let bytes = post.body();
        let key = Secret::from(if post.fault == Some(Fault::WrongKey) { "another" } else { DELIVERY_KEY });
        let timestamp = post.signed_at.map(|at| at.to_string());
        let signature = post.signed_at.map(|at| match post.fault {
            Some(Fault::Malformed) => "zz".to_owned(),
            Some(Fault::WrongKey | Fault::TooLong | Fault::TooSlow) | None => {
                signature::sign(&bytes, &key, at)
            }
        });
        let (method, path) = post.route();
        let head = WebhookRequest {
            method,
            path,
            timestamp: timestamp.as_deref(),
            signature: signature.as_deref(),
            body: Body::Whole(b""),
        };
        self.with_life(|world, life, now| {
            let body = match post.fault {
                // Where the answer does not hang on the body nobody reads it.
                _ if !life.machine.wants_body(now, &head) => Body::Whole(b""),
                Some(Fault::TooLong) => Body::TooLong,
                Some(Fault::TooSlow) => Body::TooSlow,
                Some(Fault::WrongKey | Fault::Malformed) | None => Body::Whole(&bytes),
            };
            life.model.told(now);
            let waiting = life.machine.held().waiting_event_bytes;
            let received = life.machine.handle_webhook(now, &WebhookRequest { body, ..head });
            world
                .log
                .say(world.t, format_args!("{method} {path} {:?} {:?}: {received:?}", post.what, post.fault));
            life.model.posted(&mut world.judge, post, now.unix_s, waiting, &received);
        });
        self.drain();
    }
}
