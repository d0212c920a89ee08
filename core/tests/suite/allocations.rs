//! Counts the allocations of the steady state. Tables, queues and buffers are warm, and the chat is known.
//!
//! An event makes one allocation for itself, one for each text of over 24 bytes, and one for its entry's id if it has
//! one.

use crate::served::{NOW, served};
use allocation_counter::measure;
use relayline_core::command::Command;
use relayline_core::config::Credentials;
use relayline_core::machine::{IoEvent, RelayMachine};
use relayline_core::op::{Interrupt, SendMessage};
use relayline_core::output::{Action, Conn, Outcome};
use serde_json::json;

/// Small, so that it fills while warming up.
const DEDUPE: usize = 64;

struct Warm {
    machine: RelayMachine,
    conn: Conn,
    out: Vec<u8>,
    next: usize,
}

impl Warm {
    fn new() -> Warm {
        let (machine, conn) = served(|config| {
            config.credentials = Some(Credentials::new("gw", "hunter2"));
            config.limits.dedupe = DEDUPE;
        });
        let mut warm = Warm { machine, conn, out: Vec::with_capacity(4096), next: 0 };
        for _ in 0..3 * DEDUPE {
            let (live, buffered) = (warm.inbound(false), warm.inbound(true));
            warm.serve(&live);
            warm.serve(&buffered);
            warm.write();
            let answer = warm.request(send());
            warm.answer(&answer);
        }
        warm
    }

    /// Returns an inbound frame that was not seen before.
    fn inbound(&mut self, buffered: bool) -> Vec<u8> {
        self.next += 1;
        let id = self.next;
        let entry = if buffered { format!(r#","bufferId":"entry-{id}""#) } else { String::new() };
        format!(
            "{{\"type\":\"inbound\",\"event\":{{\"text\":\"a \\\"word\\\" or two\\n\",\"message_type\":\"text\",\
             \"message_id\":\"{id}\",\"source\":{{\"platform\":\"discord\",\"chat_id\":\"123456\",\
             \"chat_type\":\"channel\",\"user_id\":\"77\",\"user_name\":\"Ann\",\"guild_id\":\"99\"}}}}{entry}}}\n"
        )
        .into_bytes()
    }

    /// Passes a frame from the socket to the host, which accepts it.
    fn serve(&mut self, frame: &[u8]) {
        let taken = self.machine.handle_bytes(NOW, self.conn, frame);
        assert_eq!(taken, frame.len());
        let delivery = self.machine.poll_delivery(NOW).expect("a delivery");
        self.machine.settle(NOW, delivery.id, Outcome::Accepted);
    }

    /// Writes all frames. Returns their number.
    fn write(&mut self) -> usize {
        let mut out = std::mem::take(&mut self.out);
        let frames = std::iter::from_fn(|| self.machine.poll_transmit(NOW, &mut out)).count();
        self.out = out;
        frames
    }

    /// Submits a command and writes it. Returns the answer to come.
    fn request(&mut self, command: Command) -> Vec<u8> {
        let id = self.machine.submit(NOW, command).expect("accepted");
        assert_eq!(self.write(), 1);
        let id = self.machine.wire_id(id);
        format!(
            "{{\"type\":\"outbound_result\",\"requestId\":\"{id}\",\"result\":{{\"success\":true,\
             \"message_id\":\"5554\"}}}}\n"
        )
        .into_bytes()
    }

    fn answer(&mut self, frame: &[u8]) {
        self.machine.handle_bytes(NOW, self.conn, frame);
        let actions = std::iter::from_fn(|| self.machine.poll_action());
        assert!(actions.filter(|action| matches!(action, Action::Complete { .. })).count() == 1);
    }
}

fn send() -> Command {
    let metadata = json!({"thread_id": "5", "nested": {"list": [1, 2.5, "three"]}, "scope_id": null});
    Command::from(
        SendMessage::new("123456", "an answer with \"quotes\", \n and 😀")
            .reply_to("7")
            .metadata(metadata.as_object().cloned().unwrap()),
    )
}

/// Asserts that `run` makes at most `most` allocations. Freed memory does not count.
fn count(what: &str, most: u64, run: impl FnOnce()) {
    let made = measure(run).count_total;
    assert!(made <= most, "{what}: {made} allocations, {most} are allowed");
}

/// An event with every field of section E makes at most four: beside those of a plain one, the list of its attachments
/// and the text of its context.
#[test]
fn an_event_with_every_field_makes_four_at_most() {
    let mut warm = Warm::new();
    let source = json!({
        "platform": "discord", "chat_id": "123456", "chat_type": "thread", "chat_name": "n", "user_id": "77",
        "user_name": "Ann", "user_display_name": "A", "user_handle": "@a", "thread_id": "t", "chat_topic": "c",
        "user_id_alt": "u", "chat_id_alt": "x", "scope_id": "99", "guild_id": "99", "parent_chat_id": "p",
        "message_id": "m", "profile": "coder", "auto_thread_created": true, "auto_thread_initial_name": "i",
        "prospective_thread_id": "q", "is_bot": false, "message_is_edit": false, "one_to_one_verified": true,
    });
    let frame = |id: u32| {
        let event = json!({
            "text": "a \"word\"\n", "message_type": "photo", "message_id": format!("full-{id}"),
            "reply_to_message_id": "r", "source": source, "media_urls": ["https://a", "https://b"],
            "media": [{"url": "https://b", "kind": "image", "mime": "image/png", "size": 5, "filename": "f",
                "caption": "c"}, {"url": "https://a", "kind": "voice"}],
            "reply_to": {"text": "t", "author": "a", "is_own": true},
            "context": [{"text": "one", "source": {"user_name": "x"}}, {"text": "two", "source": {"user_id": "y"}}],
            "context_error": false,
        });
        let mut line =
            json!({"type": "inbound", "event": event, "bufferId": format!("entry-full-{id}")}).to_string();
        line.push('\n');
        line.into_bytes()
    };
    for id in 0..3 {
        warm.serve(&frame(id));
        warm.write();
    }
    let last = frame(3);
    count("an event with every field", 4, || warm.serve(&last));
}

#[test]
fn an_inbound_event_makes_two_at_most() {
    let mut warm = Warm::new();
    let live = warm.inbound(false);
    count("a live event", 1, || warm.serve(&live));
    let buffered = warm.inbound(true);
    count("a buffered event, its acknowledgement included", 2, || {
        warm.serve(&buffered);
        assert_eq!(warm.write(), 1);
    });
    // Also cut into two messages: the splitter's tail is warm.
    let (first, second) = (warm.inbound(false), warm.inbound(false));
    warm.machine.handle_bytes(NOW, warm.conn, &first[..100]);
    warm.serve(&first[100..]);
    count("an event in two pieces", 1, || {
        warm.machine.handle_bytes(NOW, warm.conn, &second[..100]);
        warm.serve(&second[100..]);
    });
}

#[test]
fn a_result_makes_one_at_most() {
    let mut warm = Warm::new();
    let answer = warm.request(send());
    count("a result", 1, || warm.answer(&answer));
}

#[test]
fn a_send_makes_none() {
    let mut warm = Warm::new();
    let command = send();
    count("submitting, encoding and writing", 0, || {
        // The machine drops the command itself.
        warm.machine.submit(NOW, command).expect("accepted");
        assert_eq!(warm.write(), 1);
    });
    let mut warm = Warm::new();
    let command = Command::Interrupt(Interrupt::new(""));
    count("an interrupt", 0, || {
        warm.machine.submit(NOW, command).expect("accepted");
        assert_eq!(warm.write(), 1);
        assert!(warm.machine.poll_action().is_some());
    });
}

#[test]
fn an_acknowledgement_and_idle_polls_make_none() {
    let mut warm = Warm::new();
    let buffered = warm.inbound(true);
    warm.serve(&buffered);
    count("writing an acknowledgement", 0, || assert_eq!(warm.write(), 1));
    let mut out = Vec::new();
    count("idle polls", 0, || {
        for _ in 0..100 {
            warm.machine.handle_tick(NOW);
            assert!(warm.machine.deadline().is_some());
            assert!(warm.machine.poll_action().is_none());
            assert!(warm.machine.poll_delivery(NOW).is_none());
            assert!(warm.machine.poll_transmit(NOW, &mut out).is_none());
            assert!(warm.machine.wants_read());
            warm.machine.handle_io(NOW, IoEvent::Alive { conn: warm.conn });
            assert_eq!(warm.machine.handle_bytes(NOW, warm.conn, b"\n"), 1);
        }
    });
    let duplicate = warm.inbound(false);
    warm.serve(&duplicate);
    count("a duplicate", 2, || {
        warm.machine.handle_bytes(NOW, warm.conn, &duplicate);
    });
}
