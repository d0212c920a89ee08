//! Interpretation of the connector's bytes (W, D-8, A-3).

use super::inbox::{ArrivalOutcome, InboundItem};
use super::prompts::PromptState;
use super::sessions::session;
use super::{DeadLetter, Model};
use crate::simulate::json_variants;
use crate::simulate::oracle::Oracle;
use crate::simulate::users::{EventClass, UserEvent, UserEvents, serial};
use relayline_core::output::Conn;
use serde_json::Value;

impl Model {
    /// Records the bytes that the machine has taken from a socket.
    pub(crate) fn bytes(&mut self, oracle: &mut Oracle, user_events: &UserEvents, conn: Conn, bytes: &[u8]) {
        if self.dials.open() != Some(conn) {
            oracle.count("L-6");
            return;
        }
        self.dials.record_input(self.now);
        for byte in bytes {
            if *byte != b'\n' {
                if !self.is_overlong {
                    self.line.push(*byte);
                }
                if self.line.len() > self.config.limits.max_line_bytes {
                    let head = std::mem::take(&mut self.line);
                    self.is_overlong = true;
                    self.count("overlong_lines", 1);
                    self.dead_letter(None, &head);
                    oracle.count("W-5");
                }
            } else if !std::mem::take(&mut self.is_overlong) {
                let line = std::mem::take(&mut self.line);
                self.line(oracle, user_events, conn.number(), &line);
            }
        }
    }

    pub(super) fn forget_line(&mut self) {
        self.line.clear();
        self.is_overlong = false;
    }

    fn line(&mut self, oracle: &mut Oracle, user_events: &UserEvents, conn: u32, line: &[u8]) {
        if line.iter().all(u8::is_ascii_whitespace) {
            oracle.count("W-2");
            return;
        }
        let Some(frame) = read(line) else {
            self.count("malformed_lines", 1);
            oracle.count("W-3");
            return self.unreadable(oracle, conn, line);
        };
        let entry = entry(&frame);
        let kind = frame["type"].as_str().unwrap_or_default();
        match kind {
            "inbound" => return self.inbound(oracle, user_events, conn, (&frame, line), entry),
            "passthrough_forward" => return self.forward(oracle, user_events, conn, (&frame, line), entry),
            "inbound_ack" => return self.count("unknown_frames", 1),
            "outbound_result" => self.result(&frame),
            "descriptor" => self.descriptor(oracle, &frame),
            "interrupt_inbound" => {
                let text = |name: &str| frame[name].as_str().unwrap_or_default().to_owned();
                oracle.count("L-16");
                match text("session_key") {
                    key if key.is_empty() => self.count("keyless_interrupts", 1),
                    key => self.interrupts.push_back((key, text("chat_id"))),
                }
            }
            "going_idle_ack" => {
                self.conn.has_idle_ack = true;
                // A late confirmation counts, too: the connector buffers from now on.
                self.conn.is_idle |= self.conn.going_idle_frames > 0;
            }
            "error" => {
                oracle.count("X-5");
                self.count("error_frames", 1);
                self.errors += 1;
                self.conn.has_early_error |= self.dials.up.is_none();
            }
            _ => {
                oracle.count("W-4");
                self.count("unknown_frames", 1);
            }
        }
        self.acknowledge_unusable(conn, entry);
    }

    /// Handles an unreadable line: its entry is acknowledged, and the host gets a dead letter. The workload made
    /// the line, so its readable part is known.
    fn unreadable(&mut self, oracle: &mut Oracle, conn: u32, line: &[u8]) {
        let made = json_variants::UNREADABLE.iter().find(|(unreadable, _)| *unreadable == line);
        let before = json_variants::without_junk(line).and_then(|line| read(&line));
        if let Some(frame) = &before {
            oracle.count("A-9");
            let text =
                [&frame["event"]["text"], &frame["forward"]["path"]].into_iter().find_map(Value::as_str);
            // The host has the line as a dead letter.
            self.inbox.accounted_for.extend(text.and_then(serial));
        }
        let entry = made.map(|(_, id)| (*id).to_owned()).or_else(|| entry(before.as_ref()?));
        let names = ["\"inbound\"", "\"passthrough_forward\"", "\"bufferId\""];
        let text = String::from_utf8_lossy(line);
        if entry.is_some()
            || (names.iter().any(|name| text.contains(name))
                && !line.starts_with(b"{\"type\":\"inbound_ack\""))
        {
            self.dead_letter(entry.clone(), line);
        }
        self.acknowledge_unusable(conn, entry);
    }

    /// Expects a dead letter for a line. No line is long enough to be truncated.
    fn dead_letter(&mut self, entry: Option<String>, line: &[u8]) {
        self.dead_letters.push_back(DeadLetter { entry, line: String::from_utf8_lossy(line).into_owned() });
    }

    /// Acknowledges an entry that no host can receive.
    fn acknowledge_unusable(&mut self, conn: u32, entry: Option<String>) {
        self.inbox.open = self.acknowledges_on();
        self.inbox.owe(conn, entry);
    }

    fn inbound(
        &mut self,
        oracle: &mut Oracle,
        user_events: &UserEvents,
        conn: u32,
        (frame, line): (&Value, &[u8]),
        entry: Option<String>,
    ) {
        let Some(event) = frame.get("event").filter(|event| event.is_object()) else {
            self.count("unusable_events", 1);
            self.dead_letter(entry.clone(), line);
            return self.acknowledge_unusable(conn, entry);
        };
        self.places.seen(event);
        let serial = event["text"].as_str().and_then(serial);
        let known = serial.and_then(|serial| user_events.get(&serial));
        let source = |name: &str| match &event["source"][name] {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let platform = Some(source("platform")).filter(|platform| !platform.is_empty());
        let chat = format!("{} {}", platform.unwrap_or_else(|| "relay".to_owned()), source("chat_id"));
        let key = known.and_then(|known| known.key.clone());
        // An answer without an id is identified by its entry.
        let by_entry = || entry.as_ref().filter(|_| event["prompt_response"].is_object());
        let key = key.or_else(|| by_entry().map(|entry| format!("answer {entry}")));
        let answers = known.and_then(UserEvent::prompt).map(str::to_owned);
        let is_answer = answers.is_some();
        let session = Some(session(&self.config, event));
        let user = source("user_id");
        let post = None;
        let arrived =
            InboundItem { serial, chat, user, session, key, entry, conn, post, is_answer, answers, place: 0 };
        self.arrive(oracle, arrived);
    }

    fn forward(
        &mut self,
        oracle: &mut Oracle,
        user_events: &UserEvents,
        conn: u32,
        (frame, line): (&Value, &[u8]),
        entry: Option<String>,
    ) {
        if !frame["forward"].is_object() {
            self.count("unusable_events", 1);
            self.dead_letter(entry.clone(), line);
            return self.acknowledge_unusable(conn, entry);
        }
        let serial = frame["forward"]["path"].as_str().and_then(serial);
        let Some(known) = serial.and_then(|serial| user_events.get(&serial)) else {
            // An invalid line of the workload, with a platform that nobody uses.
            self.count("unwanted_forwards", 1);
            return self.acknowledge_unusable(conn, entry);
        };
        self.count("undecodable_bodies", u64::from(known.is_undecodable));
        let key = entry.as_ref().map(|entry| format!("forward {entry}"));
        let mut arrived = InboundItem {
            serial,
            chat: known.chat.clone(),
            user: known.user.clone(),
            session: None,
            key,
            entry,
            conn,
            post: None,
            answers: None,
            is_answer: false,
            place: 0,
        };
        if matches!(known.class, EventClass::Message | EventClass::Answer(_)) {
            self.places.seen_interaction(known.chat.split_once(' ').map_or("", |(_, chat)| chat));
        }
        match &known.class {
            EventClass::Message => self.arrive(oracle, arrived),
            EventClass::Answer(prompt) => {
                arrived.answers = Some(prompt.clone());
                arrived.is_answer = true;
                self.arrive(oracle, arrived);
            }
            EventClass::Raw if self.config.passthrough => self.arrive(oracle, arrived),
            EventClass::Raw => {
                oracle.count("P-2");
                self.count("unwanted_forwards", 1);
                self.discard(arrived);
            }
            EventClass::Silent => {
                oracle.count("P-6");
                self.count("silent_interactions", 1);
                self.discard(arrived);
            }
        }
    }

    fn discard(&mut self, arrived: InboundItem) {
        self.inbox.accounted_for.extend(arrived.serial);
        self.inbox.open = self.acknowledges_on();
        self.inbox.acknowledge(arrived.conn, arrived.entry, arrived.post);
    }

    pub(super) fn arrive(&mut self, oracle: &mut Oracle, mut arrived: InboundItem) {
        let is_double = arrived.key.as_ref().is_some_and(|key| self.inbox.knows(key));
        if let Some(prompt) = arrived.answers.clone() {
            if is_double {
                // A duplicate shares the outcome of its first copy, and answers nothing itself.
                arrived.answers = None;
            } else {
                oracle.count("I-3");
                match self.prompts.state_of(&prompt, self.now) {
                    PromptState::Open if !self.prompts.may_answer(&prompt, arrived.author()) => {
                        oracle.count("I-8");
                        self.count("unauthorized_answers", 1);
                        self.unauthorized.push_back(arrived.serial);
                        return self.discard(arrived);
                    }
                    PromptState::Open => self.prompts.answer(&prompt),
                    PromptState::Answered => {
                        self.count("late_answers", 1);
                        return self.discard(arrived);
                    }
                    PromptState::Foreign => {
                        self.count("foreign_answers", 1);
                        return self.discard(arrived);
                    }
                    PromptState::Stale => {
                        self.count("stale_answers", 1);
                        self.stale.push_back(arrived.serial);
                        return self.discard(arrived);
                    }
                }
            }
        }
        self.inbox.open = self.acknowledges_on();
        let is_buffered = arrived.entry.is_some();
        match self.inbox.arrive(arrived, self.early()) {
            ArrivalOutcome::Queued => {}
            ArrivalOutcome::Waits => oracle.count("A-4"),
            ArrivalOutcome::Dropped => {
                oracle.count("A-4");
                self.count("waiters_dropped", 1);
                // The entry is not acknowledged, so it must come again.
                self.conn.must_redeliver |= is_buffered;
            }
            ArrivalOutcome::Duplicate => {
                oracle.count("A-4");
                self.count("duplicates", 1);
            }
        }
    }

    fn result(&mut self, frame: &Value) {
        let number = frame["requestId"]
            .as_str()
            .and_then(|id| id.strip_prefix(&self.prefix))
            .filter(|_| !self.prefix.is_empty());
        let number =
            number.filter(|half| half.len() == 16).and_then(|half| u64::from_str_radix(half, 16).ok());
        if let Some(number) = number {
            self.stream_frame_answered(number, frame.get("result"));
            self.turns.in_flight.remove(&number);
            self.requests.answered(number, frame.get("result"));
            if self.requests.is_unasked(number) {
                // A further answer in the same message has no open prompt.
                self.prompts.failed(number);
            }
        }
    }

    fn descriptor(&mut self, oracle: &mut Oracle, frame: &Value) {
        oracle.count("D-8");
        let usable = limit(&frame["descriptor"]);
        self.count("dropped_ops", usable.map_or(0, |_| dropped_ops(&frame["descriptor"])));
        if self.dials.up.is_some() && usable.is_some() {
            self.places.described(&frame["descriptor"]);
        }
        if self.dials.up.is_some()
            || self.dials.closing.is_some()
            || self.conn.is_to_connect
            || self.conn.has_bad_descriptor
        {
            return;
        }
        match usable {
            Some(limit) => {
                self.places.described(&frame["descriptor"]);
                self.conn.is_to_connect = true;
                self.limit = limit;
                self.count("handshakes", 1);
                // Lines of the same read count as read after the handshake.
                self.dials.connected(self.now);
            }
            None => {
                oracle.count("L-17");
                self.conn.has_bad_descriptor = true;
            }
        }
    }
}

/// Returns the number of op names that are too long to be kept (D-6). The workload never lists too many.
fn dropped_ops(descriptor: &Value) -> u64 {
    let ops = descriptor["supported_ops"].as_array();
    let too_long = |op: &&Value| op.as_str().is_some_and(|op| op.len() > 1024);
    ops.map_or(0, |ops| ops.iter().filter(too_long).count() as u64)
}

/// Returns the message limit of a usable descriptor (D-1, D-3, D-7). The workload's numbers are small, so floats are
/// exact.
fn limit(descriptor: &Value) -> Option<u64> {
    let whole = |name: &str| {
        let field = descriptor.get(name)?;
        let number = field.as_f64().or_else(|| field.as_str()?.parse().ok())?;
        format!("{number}").parse::<u64>().ok()
    };
    let texts = ["platform", "label", "markdown_dialect"].iter().all(|name| descriptor[name].is_string());
    let mut flags = ["supports_draft_streaming", "supports_edit", "supports_threads"].iter();
    let usable =
        texts && flags.all(|name| descriptor[name].is_boolean()) && descriptor.get("len_unit").is_some();
    (usable && whole("contract_version")? >= 1)
        .then(|| whole("max_message_length").filter(|limit| *limit > 0).unwrap_or(4096))
}

/// Parses a frame: an object with a string `type`. Lone surrogates (W-7) and Python's constants (W-11) are not errors.
/// The workload never writes those constants as text.
fn read(line: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(line).ok()?;
    let repaired = text.replace("\\ud800", "\\ufffd").replace("-Infinity", "null");
    let repaired = repaired.replace("Infinity", "null").replace("NaN", "null");
    let frame: Value = serde_json::from_str(&repaired).ok()?;
    frame.get("type")?.as_str()?;
    Some(frame)
}

/// Returns the id of the connector's entry: a non-empty string or an integer (W-8).
fn entry(frame: &Value) -> Option<String> {
    match frame.get("bufferId")? {
        Value::String(id) if !id.is_empty() => Some(id.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}
