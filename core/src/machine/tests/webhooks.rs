//! H-6, C-3: signed webhook requests, and the single response to each.

use super::driver::{EPOCH_S, Rig, buffered, inbound};
use crate::command::Command;
use crate::config::Config;
use crate::limits::{NamedLimits, Slot};
use crate::output::Timer;
use crate::secret::Secret;
use crate::signature::sign;
use crate::webhook::{Body, WebhookOutcome, WebhookRequest};

/// A valid request, with fields that a test can change.
#[derive(Clone, Copy)]
struct Post<'a> {
    method: &'a str,
    path: &'a str,
    body: Body<'a>,
    key: &'a str,
    /// Seconds by which the sender's clock is behind.
    skew: i64,
    timestamp: Option<&'a str>,
    signature: Option<&'a str>,
    headers: bool,
}

const GOOD: Post<'_> = Post {
    method: "POST",
    path: "/",
    body: Body::Whole(br#"{"type":"message","event":{"text":"hi"}}"#),
    key: "dk",
    skew: 0,
    timestamp: None,
    signature: None,
    headers: true,
};

fn keyed(config: &mut Config) {
    config.delivery_keys = vec![Secret::new("dk")];
}

/// Returns a body that delivers a message with this id to this chat.
fn message(chat: &str, id: &str) -> String {
    let frame = inbound(chat, id);
    frame.replacen("inbound", "message", 1)
}

impl Rig {
    /// Passes a request. Returns `waits 1`, or the status and the problem.
    fn ask(&mut self, post: Post<'_>) -> String {
        let at = self.now.unix_s.saturating_add_signed(-post.skew);
        let body = match post.body {
            Body::Whole(body) => body,
            Body::TooLong | Body::TooSlow | Body::NoRoom => b"",
        };
        let (timestamp, signature) = (at.to_string(), sign(body, &Secret::new(post.key), at));
        let request = WebhookRequest {
            method: post.method,
            path: post.path,
            timestamp: post.headers.then_some(post.timestamp.unwrap_or(&timestamp)),
            signature: post.headers.then_some(post.signature.unwrap_or(&signature)),
            body: post.body,
        };
        let wanted = self.machine.wants_body(self.now, &request);
        let received = self.machine.handle_webhook(self.now, &request);
        let shown = match &received {
            WebhookOutcome::Pending(id) => format!("waits {}", id.number()),
            WebhookOutcome::Responded(answer) => format!("{} {answer}", answer.status()),
        };
        // The body does not change a response that does not depend on it.
        if !wanted && !matches!(post.body, Body::Whole(b"")) {
            assert_eq!(self.ask(Post { body: Body::Whole(b""), ..post }), shown);
        }
        self.drain();
        shown
    }

    /// Passes a request with this body to `/`.
    fn post(&mut self, body: &str) -> String {
        self.ask(Post { body: Body::Whole(body.as_bytes()), ..GOOD })
    }

    fn count(&self, name: &str) -> u64 {
        self.machine.stats().iter().find(|(known, _)| *known == name).unwrap().1
    }
}

/// A server reads no body of a client that cannot have signed it.
#[test]
fn h_6_a_body_is_read_only_if_it_can_be_signed() {
    let rig = Rig::up_with(keyed);
    let (now, signature) = (rig.now.unix_s.to_string(), sign(b"{}", &Secret::new("dk"), EPOCH_S));
    for (method, path, timestamp, expected) in [
        ("POST", "/", Some(now.as_str()), true),
        ("POST", "/interrupt", Some(now.as_str()), true),
        ("POST", "/", Some("1"), false),
        ("POST", "/", None, false),
        ("POST", "/other", Some(now.as_str()), false),
        ("GET", "/healthz", Some(now.as_str()), false),
    ] {
        let request =
            WebhookRequest { method, path, timestamp, signature: Some(&signature), body: Body::Whole(b"") };
        assert_eq!(rig.machine.wants_body(rig.now, &request), expected, "{method} {path} {timestamp:?}");
    }
}

/// H-6, C-3: each reason for a rejection has its status and its counter, and the host hears nothing.
#[test]
fn h_6_an_invalid_request_is_answered_at_once() {
    let body = |text: &'static str| Post { body: Body::Whole(text.as_bytes()), ..GOOD };
    let interrupt = |text: &'static str| Post { path: "/interrupt", ..body(text) };
    let deep = format!(r#"{{"type":"message","event":{{"x":{}{}}}}}"#, "[".repeat(127), "]".repeat(127));
    let other = sign(b"{}", &Secret::new("dk"), EPOCH_S);
    for (post, expected, counter) in [
        (Post { path: "/other", ..GOOD }, "404 there are POST /", "unknown_http_requests"),
        (Post { path: "", ..GOOD }, "404", "unknown_http_requests"),
        (Post { method: "GET", ..GOOD }, "405 this path takes POST", "unknown_http_requests"),
        (Post { method: "PUT", path: "/interrupt", ..GOOD }, "405", "unknown_http_requests"),
        (Post { path: "/healthz", ..GOOD }, "405 this path takes GET", "unknown_http_requests"),
        (Post { key: "other", ..GOOD }, "401 the signature is of", "unsigned_deliveries"),
        (Post { headers: false, ..GOOD }, "401 the header x-relay-timestamp", "unsigned_deliveries"),
        (Post { timestamp: Some("1e9"), ..GOOD }, "401 x-relay-timestamp is no", "unsigned_deliveries"),
        (Post { signature: Some("00"), ..GOOD }, "401 x-relay-signature is no", "unsigned_deliveries"),
        (Post { skew: 301, ..GOOD }, "401 signed more than 300 s", "unsigned_deliveries"),
        (Post { skew: -301, ..GOOD }, "401 signed more than 300 s", "unsigned_deliveries"),
        // A replay with another body.
        (Post { signature: Some(&other), ..GOOD }, "401 the signature is of", "unsigned_deliveries"),
        // A body that is not verified is not parsed.
        (Post { key: "other", ..body("{") }, "401", "unsigned_deliveries"),
        (Post { key: "other", ..interrupt("{") }, "401", "unsigned_deliveries"),
        (Post { body: Body::TooLong, ..GOOD }, "413 the body is longer", "overlong_deliveries"),
        (Post { body: Body::TooLong, skew: 301, ..GOOD }, "401", "unsigned_deliveries"),
        (Post { body: Body::TooSlow, ..GOOD }, "408 the body did not", "slow_deliveries"),
        (Post { body: Body::TooSlow, headers: false, ..GOOD }, "401", "unsigned_deliveries"),
        (Post { body: Body::NoRoom, ..GOOD }, "503 as many bodies are being read", "deliveries_turned_away"),
        (Post { body: Body::NoRoom, headers: false, ..GOOD }, "401", "unsigned_deliveries"),
        (
            Post { body: Body::Whole(b"{\"type\":\"\xff\"}"), ..GOOD },
            "400 the body is not UTF-8",
            "unusable_deliveries",
        ),
        (body(""), "400 the body is not a JSON object", "unusable_deliveries"),
        (body("{"), "400 the body is not a JSON object", "unusable_deliveries"),
        (body("[]"), "400 the body is not a JSON object", "unusable_deliveries"),
        (Post { body: Body::Whole(deep.as_bytes()), ..GOOD }, "400 the body nests", "unusable_deliveries"),
        (body(r#"{"event":{}}"#), "400 the body's `type` is not", "unusable_deliveries"),
        (body(r#"{"type":"interrupt","event":{}}"#), "400 the body's `type`", "unusable_deliveries"),
        (body(r#"{"type":"message"}"#), "400 the body has no `event`", "unusable_deliveries"),
        (body(r#"{"type":"message","event":[]}"#), "400 the body has no `event`", "unusable_deliveries"),
        (
            interrupt(r#"{"type":"message","session_key":"k"}"#),
            "400 the body's `type`",
            "unusable_deliveries",
        ),
        (
            interrupt(r#"{"type":"interrupt","session_key":""}"#),
            "400 the interrupt has no",
            "unusable_deliveries",
        ),
        (interrupt(r#"{"type":"interrupt","session_key":true}"#), "400", "unusable_deliveries"),
    ] {
        let mut rig = Rig::with(keyed);
        rig.log();
        let answer = rig.ask(post);
        assert!(answer.starts_with(expected), "{expected}: {answer}");
        assert!(rig.count(counter) > 0, "{expected}: {counter}");
        rig.expect(&[]);
        assert_eq!(rig.count("delivered"), 0, "{expected}");
    }
}

/// H-6, C-3: any key of a rotation is accepted. Without a key, nothing is.
#[test]
fn h_6_any_key_of_a_rotation_is_accepted_and_none_is_401() {
    for (keys, expected) in [
        (&["dk"][..], "waits 1"),
        (&["new", "dk"], "waits 1"),
        (&["dk", "old"], "waits 1"),
        (&["new", "old"], "401 the signature is of another key, body or timestamp"),
        (&[""], "401 no delivery key is configured: set GATEWAY_RELAY_DELIVERY_KEY"),
        (&[], "401 no delivery key is configured: set GATEWAY_RELAY_DELIVERY_KEY"),
    ] {
        let mut rig = Rig::with(|config| {
            config.delivery_keys = keys.iter().map(|key| Secret::new(*key)).collect();
        });
        assert_eq!(rig.ask(GOOD), expected, "{keys:?}");
        for skew in [300, -300] {
            let answer = rig.ask(Post { skew, ..GOOD });
            assert_eq!(answer.starts_with("waits"), expected.starts_with("waits"), "{keys:?} {skew}");
        }
        let health = Post { method: "GET", path: "/healthz", headers: false, ..GOOD };
        assert_eq!(rig.ask(health), "200 ok", "{keys:?}");
    }
}

/// H-6: a message takes the usual path, and is answered once the host has settled it.
#[test]
fn h_6_a_message_is_answered_once_the_host_settles_it() {
    let mut rig = Rig::up_with(keyed);
    assert_eq!(rig.post(&message("c", "1")), "waits 1");
    assert_eq!(rig.post(&message("c", "2")), "waits 2");
    rig.expect(&["deliver 1 live c 1", "deliver 2 live c 2"]);
    rig.wait(5000);
    rig.expect(&[]);
    rig.taken(2);
    rig.reject(1);
    rig.expect(&["http 2 200 ok", "http 1 503 the host could not take it; send it again later"]);
    // Settling again is harmless, as always.
    rig.taken(1);
    rig.expect(&[]);
    assert_eq!((rig.count("refused"), rig.count("stray_settles"), rig.count("dials")), (1, 1, 1));
    // M-1: the chat is remembered from it.
    assert_eq!(rig.machine.chat("c").unwrap().platform, "discord");
}

#[test]
fn h_6_a_webhook_event_counts_as_authenticated() {
    let mut rig = Rig::with(|config| {
        keyed(config);
        config.credentials = None;
    });
    rig.room = false;
    rig.post(&message("c", "1"));
    let delivery = rig.machine.poll_delivery(rig.now).unwrap();
    let crate::output::Content::Message(event) = delivery.content else { panic!("a message") };
    assert!(event.via_authenticated_relay, "E-9");
}

/// H-6: a sender without a response sends again, and so may an eavesdropper. A-4 decides.
#[test]
fn h_6_a_4_a_repeated_message_is_a_duplicate() {
    let mut rig = Rig::up_with(keyed);
    rig.post(&message("c", "1"));
    // Its duplicate waits for the same outcome, and so does a buffered duplicate.
    assert_eq!(rig.post(&message("c", "1")), "waits 2");
    rig.line(&buffered("c", "1", "b1"));
    rig.expect(&["deliver 1 live c 1"]);
    rig.taken(1);
    rig.expect(&["http 1 200 ok", "http 2 200 ok", r#"> {"type":"inbound_ack","bufferId":"b1"}"#]);
    // An accepted delivery is recognised.
    assert_eq!(rig.post(&message("c", "1")), "waits 3");
    rig.expect(&["http 3 200 ok"]);
    rig.line(&inbound("c", "1"));
    rig.expect(&[]);
    // A refused delivery is forgotten, and its duplicate is delivered in its place.
    rig.post(&message("c", "2"));
    rig.post(&message("c", "2"));
    rig.reject(2);
    rig.expect(&[
        "deliver 2 live c 2",
        "http 4 503 the host could not take it; send it again later",
        "deliver 3 live c 2",
    ]);
    rig.taken(3);
    rig.expect(&["http 5 200 ok"]);
    assert_eq!(rig.count("duplicates"), 2);
    // At most eight duplicates wait for one delivery.
    for _ in 0..10 {
        rig.post(&message("c", "3"));
    }
    rig.expect(&[
        "deliver 4 live c 3",
        "http 15 503 too many duplicates of it wait for the host; send it again later",
    ]);
}

/// H-6: the host has `delivery_timeout` to settle. A delivery that it has not seen by then is never handed out.
#[test]
fn h_6_a_time_out_says_whether_the_host_has_it() {
    let mut rig = Rig::with(keyed);
    rig.log();
    rig.post(&message("c", "1"));
    rig.room = false;
    rig.post(&message("c", "2"));
    rig.expect(&["deliver 1 live c 1"]);
    rig.wait(9999);
    rig.log();
    rig.wait(1);
    rig.expect(&[
        "http 1 504 the host has said nothing in time; send it again later",
        "http 2 503 the host has not taken it in time; send it again later",
    ]);
    rig.room = true;
    rig.tick();
    assert_eq!(rig.count("deliveries_expired"), 2);
    // The host's late settlement counts for the next try.
    rig.post(&message("c", "1"));
    rig.taken(1);
    rig.expect(&["http 3 200 ok"]);
    rig.post(&message("c", "2"));
    rig.expect(&["deliver 2 live c 2"]);
}

#[test]
fn h_6_the_time_limit_is_a_timer() {
    let mut rig = Rig::with(keyed);
    rig.ask(GOOD);
    let timers = std::iter::from_fn(|| {
        let (_, timer) = rig.machine.deadline()?;
        rig.next();
        Some(timer)
    });
    assert!(timers.take(50).any(|timer| timer == Timer::Webhook));
}

/// H-6: webhooks do not depend on the connection: it may be waiting, dialing, or in a handshake that holds early events
/// back (L-17).
#[test]
fn h_6_deliveries_need_no_connection() {
    let mut rig = Rig::with(keyed);
    rig.log();
    rig.post(&message("c", "1"));
    rig.expect(&["deliver 1 live c 1"]);
    rig.opened();
    rig.line(&inbound("early", "e"));
    rig.post(&message("c", "2"));
    rig.lost();
    rig.post(&message("c", "3"));
    let log = rig.log();
    let delivered: Vec<_> = log.iter().filter(|line| line.starts_with("deliver")).collect();
    assert_eq!(delivered, ["deliver 2 live c 2", "deliver 3 live c 3"]);
    (1..=3).for_each(|delivery| rig.taken(delivery));
    rig.expect(&["http 1 200 ok", "http 2 200 ok", "http 3 200 ok"]);
}

/// L-16: an interrupt overtakes events that wait for room, and is answered at once.
#[test]
fn h_6_l_16_an_interrupt_overtakes_events() {
    let mut rig = Rig::up_with(keyed);
    rig.room = false;
    rig.line(&inbound("c", "1"));
    let body = br#"{"type":"interrupt","session_key":"agent:main:dm:1","chat_id":7,"more":1}"#;
    let post = Post { path: "/interrupt", body: Body::Whole(body), ..GOOD };
    assert_eq!(rig.ask(post), "waits 1");
    rig.expect(&["interrupt agent:main:dm:1 7", "http 1 200 ok"]);
}

/// I-3: an answer to a prompt that is not open concerns nobody, and must not be sent again.
#[test]
fn h_6_i_3_a_silent_prompt_answer_is_done() {
    let mut rig = Rig::up_with(keyed);
    let answer = |prompt: &str| {
        format!(
            r#"{{"type":"message","event":{{"prompt_response":{{"prompt_id":"{prompt}","option_id":"y"}}}}}}"#
        )
    };
    assert_eq!(rig.post(&answer("another.process")), "waits 1");
    rig.expect(&["http 1 200 ok"]);
    assert_eq!(rig.count("foreign_answers"), 1);
}

/// X-1, A-6: at most as many wait as the settings allow. If the host's queue is full none does, however much is read
/// ahead.
#[test]
fn h_6_x_1_pending_requests_are_bounded() {
    let mut rig = Rig::up_with(|config| {
        keyed(config);
        config.limits.deliveries = 2;
    });
    rig.ask(GOOD);
    rig.ask(GOOD);
    let busy = "503 as many deliveries wait for the host as `deliveries` allows; send it again later";
    assert_eq!(rig.ask(GOOD), busy);
    rig.taken(1);
    assert_eq!(rig.ask(GOOD), "waits 3");

    for least in ["host_queue", "host_queue_bytes", "dedupe"] {
        let mut rig = Rig::up_with(|config| {
            keyed(config);
            let Some(Slot::Size(size, _)) = config.limits.slot(least) else { panic!("a size") };
            *size = 1;
        });
        rig.room = false;
        rig.line(&inbound("c", "1"));
        let full = "503 the host's queue is full; send it again later";
        assert_eq!((rig.ask(GOOD), rig.post(&message("c", "2"))), (full.into(), full.into()), "{least}");
        // Room is made when the host takes a delivery.
        assert!(rig.machine.poll_delivery(rig.now).is_some());
        assert_eq!(rig.ask(GOOD), "waits 1", "{least}");
    }
    // An accepted delivery needs no room to be recognised.
    let mut rig = Rig::up_with(|config| {
        keyed(config);
        config.limits.host_queue = 1;
    });
    rig.line(&inbound("c", "1"));
    rig.room = false;
    rig.line(&inbound("c", "2"));
    rig.log();
    assert_eq!(rig.ask(GOOD), "503 the host's queue is full; send it again later");
    assert_eq!(rig.post(&message("c", "1")), "waits 1");
    rig.expect(&["http 1 200 ok"]);
    // Actions that are not taken do not pile up either.
    let mut rig = Rig::up_with(keyed);
    let body = br#"{"type":"interrupt","session_key":"k"}"#;
    let request = WebhookRequest {
        method: "POST",
        path: "/interrupt",
        timestamp: Some(&rig.now.unix_s.to_string()),
        signature: Some(&sign(body, &Secret::new("dk"), rig.now.unix_s)),
        body: Body::Whole(body),
    };
    let busy = (0..2000).filter(|_| {
        matches!(rig.machine.handle_webhook(rig.now, &request), WebhookOutcome::Responded(answer) if answer.status() == 503)
    });
    assert_eq!(busy.count(), 2000 - 512);
}

/// H-6, L-10, L-14: at the end all pending requests are answered, and no more are accepted.
#[test]
fn h_6_at_the_end_everything_is_answered() {
    let mut rig = Rig::up_with(keyed);
    rig.post(&message("c", "1"));
    rig.room = false;
    rig.post(&message("c", "2"));
    rig.log();
    rig.submit(Command::Disconnect);
    assert_eq!(rig.ask(GOOD), "503 the relay is being disconnected; send it again later");
    rig.wait(5000);
    let log = rig.log();
    let tail = &log[log.len() - 4..];
    let gone = "503 the relay was disconnected; send it again later";
    assert_eq!(
        tail,
        [format!("http 1 {gone}"), format!("http 2 {gone}"), "r1 done".into(), "stopped".into()]
    );
    // One request was refused, and two waited.
    assert_eq!((rig.count("deliveries_turned_away"), rig.count("http_requests")), (3, 3));
    let health = Post { method: "GET", path: "/healthz", ..GOOD };
    for post in [GOOD, health] {
        assert_eq!(rig.ask(post), "503 the relay is disconnected; send it again later");
    }
    // The host's late settlement has no effect.
    rig.taken(1);
    rig.room = true;
    rig.tick();
    rig.expect(&[]);

    let mut rig = Rig::up_with(|config| {
        keyed(config);
        config.confirm_revocation = false;
    });
    rig.post(&message("c", "1"));
    rig.log();
    rig.closed(4401, "revoked");
    let log = rig.log();
    let gone = "503 the relay is disabled: this gateway was revoked; send it again later";
    assert_eq!(
        log[log.len() - 2..],
        [format!("http 1 {gone}"), "fatal relay_disabled retryable=false".into()]
    );
    assert_eq!(rig.ask(GOOD), gone);
    rig.expect(&[]);
}

#[test]
fn h_6_answers_are_json() {
    use crate::webhook::WebhookResponse;
    assert_eq!(WebhookResponse::Done.body(), r#"{"ok":true}"#);
    let refused = WebhookResponse::NotAllowed { allow: "POST" };
    assert_eq!(refused.allow(), Some("POST"));
    assert_eq!(refused.body(), r#"{"ok":false,"error":"this path takes POST alone"}"#);
    let unusable = WebhookResponse::Unusable(r#"the body's `type` is not "message""#);
    let read: serde_json::Value = serde_json::from_str(&unusable.body()).unwrap();
    assert_eq!(read["error"], r#"the body's `type` is not "message""#);
}

/// A-7: a duplicate that replaces a refused or lost delivery also takes its place in the order of arrival.
#[test]
fn h_6_a_7_a_duplicate_takes_the_place_of_a_lost_delivery() {
    let order = |rig: &mut Rig| -> Vec<String> {
        let log = rig.log().into_iter();
        log.filter_map(|line| Some(line.strip_prefix("deliver ")?.rsplit(' ').next()?.to_owned())).collect()
    };
    // Refused, one after the other.
    let mut rig = Rig::up_with(keyed);
    for id in ["1", "2", "1", "2"] {
        rig.post(&message("c", id));
    }
    rig.room = false;
    rig.post(&message("c", "3"));
    order(&mut rig);
    rig.reject(1);
    rig.reject(2);
    rig.room = true;
    rig.drain();
    assert_eq!(order(&mut rig), ["1", "2", "3"]);
    // Lost with a connection whose handshake was not complete.
    let mut rig = Rig::with(keyed);
    rig.opened();
    for id in ["1", "2"] {
        rig.line(&inbound("c", id));
    }
    for id in ["1", "2"] {
        rig.post(&message("c", id));
    }
    assert_eq!(order(&mut rig), [""; 0]);
    rig.lost();
    assert_eq!(order(&mut rig), ["1", "2"]);
    // Timed out at the first sender, while other deliveries wait before it.
    let mut rig = Rig::up_with(keyed);
    rig.room = false;
    rig.line(&inbound("c", "0"));
    rig.ask(Post { body: Body::Whole(message("c", "1").as_bytes()), ..GOOD });
    rig.wait(5_000);
    rig.ask(Post { body: Body::Whole(message("c", "1").as_bytes()), ..GOOD });
    rig.wait(5_001);
    rig.room = true;
    rig.drain();
    assert_eq!(order(&mut rig), ["0", "1"]);
}

/// A duplicate of a delivery that no host has seen counts as unseen, too.
#[test]
fn h_6_a_duplicate_of_an_unseen_delivery_is_503() {
    let mut rig = Rig::with(keyed);
    rig.opened();
    rig.line(&inbound("c", "1"));
    rig.post(&message("c", "1"));
    rig.log();
    rig.wait(10_000);
    rig.expect(&["http 1 503 the host has not taken it in time; send it again later"]);
    assert_eq!(rig.machine.stats().delivered, 0);
}
