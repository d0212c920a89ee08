//! A host and a socket in one: feeds a machine, and records its outputs as lines for tests to compare.

use crate::command::{Command, Failure, Reply, RequestId};
use crate::config::{Config, Credentials, Identity};
use crate::machine::{DialFailure, IoEvent, RelayMachine};
use crate::op::SendMessage;
use crate::output::{Action, Conn, Content, DeliveryId, Notice, Outcome, Transmit};
use crate::time::{Now, Time};
use crate::upgrade::Refusal;
use std::sync::Arc;
use std::time::Duration;

/// Wall-clock seconds at the machine's origin.
pub(super) const EPOCH_S: u64 = 1_800_000_000;

/// Returns the required fields of a descriptor for `platform`, with `more` fields.
pub(super) fn descriptor(platform: &str, more: &str) -> String {
    format!(
        r#"{{"type":"descriptor","descriptor":{{"contract_version":1,"platform":"{platform}","label":"P","max_message_length":2000,"supports_draft_streaming":false,"supports_edit":true,"supports_threads":true,"markdown_dialect":"discord","len_unit":"chars"{more}}}}}"#
    )
}

/// Returns a live inbound frame with a message id.
pub(super) fn inbound(chat: &str, id: &str) -> String {
    format!(
        r#"{{"type":"inbound","event":{{"text":"hi","message_id":"{id}","source":{{"platform":"discord","chat_id":"{chat}"}}}}}}"#
    )
}

/// Returns the same frame from the connector's buffer.
pub(super) fn buffered(chat: &str, id: &str, entry: &str) -> String {
    let frame = inbound(chat, id);
    format!(r#"{},"bufferId":"{entry}"}}"#, &frame[..frame.len() - 1])
}

/// Returns a command that sends a message to a chat.
pub(super) fn send(chat: &str, content: &str) -> Command {
    Command::from(SendMessage::new(chat, content))
}

/// A machine driven by a test. Times are in milliseconds. After every input all outputs are drained, if the host has
/// `room` and the socket is `writable`.
pub(super) struct Rig {
    pub(super) machine: RelayMachine,
    pub(super) now: Now,
    pub(super) room: bool,
    pub(super) writable: bool,
    /// Tokens of all dials, in order; `None` for an unauthenticated one.
    pub(super) tokens: Vec<Option<String>>,
    log: Vec<String>,
    out: Vec<u8>,
}

impl Rig {
    /// Creates a machine with credentials and every default, for `discord`. It has begun to dial.
    pub(super) fn new() -> Rig {
        Rig::with(|_| ())
    }

    /// Creates a machine with a changed configuration.
    pub(super) fn with(change: impl FnOnce(&mut Config)) -> Rig {
        Rig::seeded(7, change)
    }

    /// Creates a machine with a changed configuration and this seed.
    pub(super) fn seeded(seed: u8, change: impl FnOnce(&mut Config)) -> Rig {
        let identity = Identity::new("discord", "42");
        let mut config = Config::new(identity);
        config.credentials = Some(Credentials::new("gw-1", "hunter2"));
        change(&mut config);
        let now = Now { mono: Time::ZERO, unix_s: EPOCH_S };
        let mut rig = Rig {
            machine: RelayMachine::new(Arc::new(config), [seed; 32], now),
            now,
            room: true,
            writable: true,
            tokens: Vec::new(),
            log: Vec::new(),
            out: Vec::new(),
        };
        rig.drain();
        rig
    }

    /// Creates a connected machine, with an empty log.
    pub(super) fn up() -> Rig {
        Rig::up_with(|_| ())
    }

    pub(super) fn up_with(change: impl FnOnce(&mut Config)) -> Rig {
        let mut rig = Rig::with(change);
        rig.connect();
        rig
    }

    /// Completes the dial that is under way, and clears the log.
    pub(super) fn connect(&mut self) {
        self.opened();
        self.line(&descriptor("discord", ""));
        self.log.clear();
    }

    pub(super) fn conn(&self) -> Conn {
        self.machine.conn.id()
    }

    /// Lets this many milliseconds pass, with a tick at every deadline on the way, as a driver would.
    pub(super) fn wait(&mut self, ms: u64) {
        let end = self.now.mono + Duration::from_millis(ms);
        while let Some((due, _)) = self.machine.deadline().filter(|(due, _)| *due < end) {
            self.set(due.max(self.now.mono));
            self.tick();
        }
        self.set(end);
        self.tick();
    }

    /// Sets the clock without an input to the machine.
    pub(super) fn set(&mut self, mono: Time) {
        self.now = Now { mono, unix_s: EPOCH_S + mono.as_millis() / 1000 };
    }

    pub(super) fn tick(&mut self) {
        self.machine.handle_tick(self.now);
        self.drain();
    }

    /// Moves the clock to this time, and ticks once.
    pub(super) fn jump_to(&mut self, ms: u64) {
        self.set(Time::from_millis(ms));
        self.tick();
    }

    /// Moves the clock to the next deadline, and ticks.
    pub(super) fn next(&mut self) {
        let (due, _) = self.machine.deadline().unwrap();
        self.set(due);
        self.tick();
    }

    pub(super) fn opened(&mut self) {
        let conn = self.conn();
        self.io(IoEvent::Opened { conn });
    }

    pub(super) fn closed(&mut self, code: u16, reason: &str) {
        let conn = self.conn();
        self.io(IoEvent::Closed { conn, code: Some(code), reason });
    }

    pub(super) fn lost(&mut self) {
        let conn = self.conn();
        self.io(IoEvent::Closed { conn, code: None, reason: "reset by peer" });
    }

    pub(super) fn dial_failed(&mut self, status: Option<u16>, body: &str) {
        let conn = self.conn();
        let failure = match status {
            Some(status) => DialFailure::Refused(Refusal::new(status, body.as_bytes())),
            None => DialFailure::Unanswered("connection refused"),
        };
        self.io(IoEvent::DialFailed { conn, failure });
    }

    /// Refuses the upgrade in this way.
    pub(super) fn refused_by(&mut self, refusal: Refusal<'_>) {
        let conn = self.conn();
        self.io(IoEvent::DialFailed { conn, failure: DialFailure::Refused(refusal) });
    }

    pub(super) fn io(&mut self, event: IoEvent<'_>) {
        self.machine.handle_io(self.now, event);
        self.drain();
    }

    /// Passes one line from the connector.
    pub(super) fn line(&mut self, line: &str) {
        let taken = self.bytes(format!("{line}\n").as_bytes());
        assert_eq!(taken, line.len() + 1, "all is consumed");
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> usize {
        let conn = self.conn();
        self.bytes_on(conn, bytes)
    }

    pub(super) fn bytes_on(&mut self, conn: Conn, bytes: &[u8]) -> usize {
        let taken = self.machine.handle_bytes(self.now, conn, bytes);
        self.drain();
        taken
    }

    /// Submits a command that must be accepted.
    pub(super) fn submit(&mut self, command: Command) -> RequestId {
        let id = self.machine.submit(self.now, command).expect("accepted");
        self.drain();
        id
    }

    /// Submits a command that must be refused. Returns the reason.
    pub(super) fn refused(&mut self, command: Command) -> String {
        let given = command.clone();
        let (back, failure) = self.machine.submit(self.now, command).expect_err("refused").into_parts();
        assert_eq!(back, given, "O-6: the command is handed back");
        self.drain();
        format!("{}: {}", failure.kind.name(), failure.message)
    }

    /// Passes the connector's answer to a request.
    pub(super) fn answer(&mut self, id: RequestId, result: &str) {
        let wire_id = self.machine.wire_id(id);
        self.line(&format!(r#"{{"type":"outbound_result","requestId":"{wire_id}","result":{result}}}"#));
    }

    pub(super) fn settle(&mut self, delivery: u64, outcome: Outcome) {
        self.machine.settle(self.now, DeliveryId(delivery), outcome);
        self.drain();
    }

    pub(super) fn taken(&mut self, delivery: u64) {
        self.settle(delivery, Outcome::Accepted);
    }

    pub(super) fn reject(&mut self, delivery: u64) {
        self.settle(delivery, Outcome::Refused);
    }

    /// Returns the outputs since the last call.
    pub(super) fn log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    /// Asserts the outputs since the last call.
    #[track_caller]
    pub(super) fn expect(&mut self, expected: &[&str]) {
        assert_eq!(self.log(), expected);
    }

    /// Returns the time until the next deadline.
    pub(super) fn until_deadline_us(&self) -> u64 {
        let (due, _) = self.machine.deadline().expect("a timer runs");
        due.as_micros() - self.now.mono.as_micros()
    }

    pub(super) fn drain(&mut self) {
        loop {
            let before = self.log.len();
            let mut has_output = self.machine.has_output();
            while let Some(action) = self.machine.poll_action() {
                assert!(has_output, "{action:?} came of no output");
                let line = self.action(action);
                self.log.push(line);
                has_output = self.machine.has_output();
            }
            if self.writable
                && let Some(transmit) = self.machine.poll_transmit(self.now, &mut self.out)
            {
                assert!(has_output, "{transmit:?} came of no output");
                let line = self.transmit(&transmit);
                self.log.push(line);
            }
            let has_delivery = self.machine.has_delivery();
            if self.room
                && let Some(delivery) = self.machine.poll_delivery(self.now)
            {
                assert!(has_delivery, "{delivery:?} came of no delivery");
                let how = if delivery.buffered { "buffered" } else { "live" };
                let what = match &delivery.content {
                    Content::Message(event) => {
                        let source = &event.source;
                        let id = event.any_message_id().map_or("-", |id| id);
                        format!("{} {id}", source.chat_id)
                    }
                    Content::PromptAnswer(event) => {
                        let response = event.prompt_response.as_ref().unwrap();
                        let user = event.source.user_id.as_deref().unwrap_or("-");
                        format!("answer {} {} by {user}", response.prompt_id, response.option_id)
                    }
                    Content::Forward(forward) => format!("forward {} {}", forward.platform, forward.path),
                };
                self.log.push(format!("deliver {} {how} {what}", delivery.id.number()));
            }
            if self.log.len() == before {
                // No output is left that was reported as available, so that a waiting task is not woken in vain.
                assert!(!(self.writable && self.machine.has_output()), "there is no output");
                assert!(!(self.room && self.machine.has_delivery()), "there is no delivery");
                return;
            }
        }
    }

    fn action(&mut self, action: Action) -> String {
        match action {
            Action::Dial { conn, token } => {
                self.tokens.push(token.map(|token| token.expose().to_owned()));
                format!("dial {conn}")
            }
            Action::Drop { conn } => format!("drop {conn}"),
            Action::Complete { id, result } => format!("r{} {}", id.number(), shown(&result)),
            Action::Interrupt { session_key, chat_id } => format!("interrupt {session_key} {chat_id}"),
            Action::Respond { id, answer } => format!("http {} {} {answer}", id.number(), answer.status()),
            Action::Notify(notice) => match notice {
                Notice::Connected { descriptor, changed } => {
                    format!("connected {} {changed:?}", descriptor.platform)
                }
                Notice::Platform { descriptor, changed } => {
                    format!("platform {} {changed:?}", descriptor.platform)
                }
                Notice::Disconnected { code, reason, retry_in } => {
                    let code = code.map_or("-".to_owned(), |code| code.to_string());
                    let retry = match retry_in {
                        None => "never",
                        Some(wait) if wait.is_zero() => "at once",
                        Some(_) => "later",
                    };
                    format!("disconnected {code} {reason}; again {retry}")
                }
                Notice::Dormant { retry_in } => match retry_in {
                    Some(wait) => format!("dormant {wait:?}"),
                    None => "dormant until resumed".into(),
                },
                Notice::Resumed => "resumed".into(),
                Notice::Stopped => "stopped".into(),
                Notice::StalePrompt { answer } => {
                    format!("stale prompt {}", answer.prompt_response.as_ref().unwrap().prompt_id)
                }
                Notice::UnauthorizedAnswer { answer } => {
                    format!("unauthorized answer {}", answer.prompt_response.as_ref().unwrap().prompt_id)
                }
                Notice::ConnectorError { text } => format!("error {text}"),
                Notice::UnknownFrame { kind, raw } => format!("frame {kind} {raw}"),
                Notice::DeadLetter { reason, buffer_id, .. } => {
                    format!("dead letter {buffer_id:?}: {reason}")
                }
            },
            Action::Fatal(fatal) => format!("fatal {} retryable={}", fatal.code, fatal.retryable),
        }
    }

    fn transmit(&self, transmit: &Transmit) -> String {
        match transmit {
            Transmit::Frame { conn } => {
                assert_eq!(*conn, self.conn());
                let text = std::str::from_utf8(&self.out).unwrap();
                let text = text.strip_suffix('\n').expect("W-6: a newline at the end");
                // The n-th id is shown as `rn`.
                match text.find(r#""requestId":""#) {
                    Some(at) => {
                        let id = &text[at + 13..at + 45];
                        let number = u64::from_str_radix(&id[16..], 16).unwrap();
                        format!("> {}", text.replace(id, &format!("r{number}")))
                    }
                    None => format!("> {text}"),
                }
            }
            Transmit::Ping { conn } => format!("> ping {conn}"),
            Transmit::Close { conn, code, reason } => format!("> close {conn} {code} {reason}"),
        }
    }
}

fn shown(result: &Result<Reply, Failure>) -> String {
    match result {
        Ok(Reply::Done) => "done".into(),
        Ok(Reply::Sent { message_id, thread_id, auto_thread_name }) => {
            let mut sent = format!("sent {}", message_id.as_deref().unwrap_or("-"));
            for text in [thread_id, auto_thread_name].into_iter().flatten() {
                sent.push_str(&format!(" {text}"));
            }
            sent
        }
        Ok(Reply::ChatInfo { name, chat_type }) => format!("chat {name} {chat_type}"),
        Ok(Reply::Prompted { prompt_id, message_id }) => {
            format!("prompted {prompt_id} {}", message_id.as_deref().unwrap_or("-"))
        }
        Ok(Reply::Thread { thread_id }) => format!("thread {}", thread_id.as_deref().unwrap_or("-")),
        Ok(Reply::Streamed { message_ids, auto_thread: None }) => format!("streamed {message_ids:?}"),
        Ok(Reply::Streamed { message_ids, auto_thread: Some(thread) }) => {
            format!("streamed {message_ids:?} {} {}", thread.id, thread.name)
        }
        Ok(Reply::Raw { result }) => format!("raw {}", serde_json::Value::Object(result.clone())),
        Ok(Reply::Idle { confirmed }) => format!("idle confirmed={confirmed}"),
        Err(failure) => format!("{}: {}", failure.kind.name(), failure.message),
    }
}
