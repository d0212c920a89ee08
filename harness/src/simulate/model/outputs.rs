//! Checks of the machine's outputs.

use super::dials::{AfterEnd, ClosePurpose, RefusalKind};
use super::inbox::InboundItem;
use super::requests::Pending;
use super::sessions::ModelSession;
use super::{ConnectionState, DeadLetter, Model, ModelSocket, RequestKind};
use crate::simulate::oracle::Oracle;
use crate::simulate::users::serial;
use relayline_core::command::{Failure, FailureKind, Reply};
use relayline_core::event::Event;
use relayline_core::output::{Action, Conn, Content, Delivery, Notice};
use relayline_core::session_key::session_key;
use relayline_core::time::Now;
use relayline_core::token;
use std::time::Duration;

impl Model {
    /// Checks an action.
    pub(crate) fn check_action(&mut self, oracle: &mut Oracle, now: Now, action: &Action) {
        oracle.check("L-10", "fatal-is-last", !self.is_fatal, || format!("{action:?} after it"));
        let is_stopped = matches!(action, Action::Notify(Notice::Stopped));
        oracle.check("L-14", "stopped-is-last", !self.has_stopped || is_stopped, || {
            format!("{action:?} after it")
        });
        match action {
            Action::Dial { conn, token } => {
                self.check_dial(oracle, now, *conn, token.as_ref().map(|token| token.expose()))
            }
            Action::Drop { conn } => self.check_drop(oracle, *conn),
            Action::Complete { id, result } => match self.requests.completed(id.number(), result) {
                Err((invariant, found)) => oracle.fail("O-3", invariant, || found),
                Ok(pending) => self.check_completion(oracle, id.number(), &pending, result),
            },
            Action::Interrupt { session_key, chat_id } => {
                let expected = self.interrupts.pop_front();
                let fits = expected.as_ref().is_some_and(|(key, chat)| key == session_key && chat == chat_id);
                oracle
                    .check("L-16", "interrupts-are-exact", fits, || format!("{action:?}, not {expected:?}"));
            }
            Action::Notify(notice) => self.check_notice(oracle, notice),
            Action::Respond { id, answer } => self.check_response(oracle, id.number(), answer),
            Action::Fatal(fatal) => {
                let is_expected = self.must_be_fatal && !fatal.retryable && self.requests.pending.is_empty();
                oracle.check("L-10", "fatal-when-revoked", is_expected, || {
                    format!("revoked: {}, {:?} pending", self.must_be_fatal, self.requests.pending)
                });
                self.must_be_fatal = false;
                self.is_fatal = true;
                self.dials.over = true;
            }
        }
    }

    /// Checks the time and the token of a dial.
    fn check_dial(&mut self, oracle: &mut Oracle, now: Now, conn: Conn, token: Option<&str>) {
        self.must_dial = false;
        self.places.dialed();
        self.count("dials", 1);
        match self.dials.dial(conn, self.now) {
            Err((rule, invariant, found)) => oracle.fail(rule, invariant, || found),
            Ok(()) => oracle.count("L-5"),
        }
        let Some(credentials) = &self.config.credentials else {
            oracle.check("L-2", "no-credentials-no-token", token.is_none(), || "a token".to_owned());
            return;
        };
        let expected =
            token::mint(&credentials.gateway_id, &credentials.secret, now.unix_s, token::TOKEN_TTL_S);
        oracle.check("L-2", "each-dial-has-its-own-token", token == Some(expected.expose()), || {
            format!("the token of dial {conn} was not minted for it")
        });
    }

    /// Checks that a dropped socket has a reason.
    fn check_drop(&mut self, oracle: &mut Oracle, conn: Conn) {
        let timing = &self.config.timing;
        let closed_for = self.dials.closing.map(|(at, _)| self.now.since(at));
        let silent = self.now.since(self.dials.heard);
        let has_reason = match self.dials.socket {
            ModelSocket::None => false,
            ModelSocket::Dialing(_) => {
                self.dials.leaving.is_some() || self.now.since(self.dials.since) >= timing.dial_timeout
            }
            // A close frame that cannot be written may be due for the same time.
            ModelSocket::Open(_) => {
                closed_for.is_some_and(|since| since >= timing.close_timeout)
                    || silent >= timing.ping_interval + timing.ping_timeout
                    || (self.dials.closing.is_none() && !self.can_write)
            }
        };
        oracle.check("L-4", "drops-have-a-reason", has_reason && self.dials.is_current(conn), || {
            format!("{conn} was dropped: {:?}", self.dials)
        });
    }

    /// Checks the result of a request.
    fn check_completion(
        &mut self,
        oracle: &mut Oracle,
        id: u64,
        pending: &Pending,
        result: &Result<Reply, Failure>,
    ) {
        oracle.count("O-3");
        self.placed.remove(&id);
        match (pending.kind, result) {
            (RequestKind::Prompt, Ok(Reply::Prompted { prompt_id, .. })) => {
                let known = self.prompts.id_of(id);
                oracle.check("I-1", "a-prompt-keeps-its-id", known == Some(prompt_id), || {
                    format!("{prompt_id} was sent as {known:?}")
                });
            }
            (RequestKind::Prompt, Err(failure)) if failure.kind != FailureKind::Ambiguous => {
                self.prompts.failed(id)
            }
            (RequestKind::GoIdle | RequestKind::GoDormant, Ok(Reply::Idle { confirmed: true })) => {
                oracle.check("L-12", "idleness-is-confirmed-by-the-peer", self.conn.has_idle_ack, || {
                    format!("request {id} was confirmed by nobody")
                });
                self.conn.is_idle = true;
                self.conn.may_sleep |= pending.kind == RequestKind::GoDormant;
            }
            (RequestKind::Stream, _) => {
                let is_whole = self.stream_completed(oracle, &pending.stream, result);
                if let Ok(Reply::Streamed { message_ids, .. }) = result
                    && is_whole
                    // The end of a stream whose chat was forgotten goes to the default platform (M-3).
                    && self.places.is_sure()
                {
                    self.finished_streams.push((message_ids.clone(), pending.text.clone()));
                }
            }
            (RequestKind::State, _) => self.stream_state_completed(oracle, &pending.stream, result),
            (RequestKind::Info, Ok(Reply::ChatInfo { name, .. })) => {
                oracle.check("X-1", "names-are-cut", name.len() <= 1024, || format!("{} bytes", name.len()));
            }
            // Other results change nothing in the model.
            _ => {}
        }
    }

    /// Checks a notice for the host.
    fn check_notice(&mut self, oracle: &mut Oracle, notice: &Notice) {
        match notice {
            Notice::Connected { descriptor, .. } => {
                oracle.check(
                    "D-3",
                    "the-limit-is-the-descriptors",
                    descriptor.max_message_length == self.limit,
                    || format!("{}, not {}", descriptor.max_message_length, self.limit),
                );
                oracle.check("L-4", "connected-by-a-descriptor", self.conn.is_to_connect, || {
                    "no descriptor came".to_owned()
                });
                self.conn.is_to_connect = false;
                self.conn.has_early_error = false;
            }
            Notice::Disconnected { reason, retry_in, .. } => {
                oracle.check("L-18", "ends-have-a-reason", !reason.is_empty(), || "none".to_owned());
                self.check_end_reason(oracle, reason);
                self.check_disconnect(oracle, *retry_in);
            }
            Notice::Dormant { retry_in } => {
                let waits = retry_in.is_none_or(|span| span >= self.config.timing.dormant_delay);
                let is_expected = self.must_sleep && waits;
                oracle.check("L-13", "sleeps-when-confirmed", is_expected, || format!("{notice:?}"));
                self.must_sleep = false;
            }
            Notice::Resumed => oracle.count("L-13"),
            Notice::Stopped => {
                let is_expected = self.dials.leaving.is_some() && self.requests.pending.is_empty();
                oracle.check("L-14", "stopped-when-left", is_expected, || {
                    format!("{:?} pending", self.requests.pending)
                });
                self.must_stop = false;
                self.has_stopped = true;
                self.dials.over = true;
                self.dials.socket = ModelSocket::None;
            }
            Notice::StalePrompt { answer } => {
                let found = serial_of(&answer.text, answer.source.message_id.as_deref());
                let expected = self.stale.pop_front();
                oracle.check("I-3", "stale-answers-are-exact", expected == Some(found), || {
                    format!("{found:?}, not {expected:?}")
                });
            }
            Notice::UnauthorizedAnswer { answer } => {
                let found = serial_of(&answer.text, answer.source.message_id.as_deref());
                let expected = self.unauthorized.pop_front();
                oracle.check("I-8", "unauthorized-answers-are-exact", expected == Some(found), || {
                    format!("{found:?}, not {expected:?}")
                });
            }
            Notice::ConnectorError { text } => {
                oracle.check("X-5", "errors-are-told", self.errors > 0 && !text.is_empty(), || {
                    format!("{notice:?}")
                });
                self.errors = self.errors.saturating_sub(1);
            }
            Notice::DeadLetter { buffer_id, line, .. } => {
                let letter = DeadLetter { entry: buffer_id.clone(), line: line.clone() };
                let expected = self.dead_letters.pop_front();
                oracle.check("A-9", "dead-letters-are-exact", expected.as_ref() == Some(&letter), || {
                    format!("{letter:?}, not {expected:?}")
                });
            }
            Notice::Platform { .. } => oracle.count("D-8"),
            _ => {}
        }
    }

    /// Checks what the reason of a disconnect adds: bytes of an unfinished line (W-10), and an early error.
    fn check_end_reason(&mut self, oracle: &mut Oracle, reason: &str) {
        let bytes = self.line.len();
        let is_expected = match bytes {
            0 => !reason.contains("without a newline are pending"),
            _ => reason.ends_with(&format!("{bytes} bytes without a newline are pending")),
        };
        oracle.check("W-10", "an-end-tells-of-half-a-line", is_expected, || {
            format!("{bytes} bytes are held: {reason}")
        });
        let quotes_error = reason.contains("; the connector said: ");
        let had_error = std::mem::take(&mut self.conn.has_early_error);
        oracle.check("X-5", "an-early-error-is-told", quotes_error == had_error, || reason.to_owned());
    }

    /// Checks the end of a dial or connection, and starts the state after it. `retry_in` is the wait before the next
    /// dial, if there will be one.
    fn check_disconnect(&mut self, oracle: &mut Oracle, retry_in: Option<Duration>) {
        let (ModelSocket::Dialing(conn) | ModelSocket::Open(conn)) = self.dials.socket else {
            return oracle.fail("L-18", "ends-are-told-once", || "there was nothing to end".to_owned());
        };
        let was_up = self.dials.up.is_some();
        let waiting = self.requests.pending.iter().find(|(_, pending)| pending.kind.needs_connection());
        oracle.check("O-4", "an-end-fails-what-waits", waiting.is_none(), || {
            format!("{waiting:?} still waits")
        });
        let refusal = self.dials.refusal();
        count_refusal(oracle, refusal);
        // The gateway went dormant, and the socket ended before the close frame could be written.
        if self.conn.may_sleep {
            self.dials.closing.get_or_insert((self.now, ClosePurpose::Dormant));
        }
        let is_dormant = self.dials.closing.is_some_and(|(_, purpose)| purpose == ClosePurpose::Dormant);
        let next = self.dials.ended(self.now, &self.config.timing);
        self.check_retry(oracle, next, retry_in);
        self.streams_disconnected();
        self.disconnect_turns();
        self.drop_items_of(conn, was_up);
        if matches!(next, AfterEnd::Fatal | AfterEnd::Stopped) {
            self.reject_pending();
        }
        if self.must_be_fatal {
            let dropped = self.inbox.clear();
            self.count("dropped_at_end", dropped);
        }
        self.must_sleep = is_dormant && refusal.is_none() && matches!(next, AfterEnd::Wait(..));
        self.forget_line();
        self.conn = ConnectionState::default();
    }

    /// Checks the wait before the next dial, and notes the action that must follow.
    fn check_retry(&mut self, oracle: &mut Oracle, next: AfterEnd, retry_in: Option<Duration>) {
        let (is_expected, rule) = match (next, retry_in) {
            (AfterEnd::Fatal, None) => {
                self.must_be_fatal = true;
                (true, "L-10")
            }
            (AfterEnd::Stopped, None) => {
                self.must_stop = true;
                (true, "L-14")
            }
            (AfterEnd::Dial, Some(wait)) => {
                self.must_dial = true;
                (wait.is_zero(), "L-9")
            }
            (AfterEnd::Wait(from, to), Some(wait)) => ((from..=to).contains(&wait), "L-5"),
            (AfterEnd::Fatal | AfterEnd::Stopped | AfterEnd::Dial | AfterEnd::Wait(..), _) => (false, "L-5"),
        };
        oracle.check(rule, "the-wait-is-as-it-must", is_expected, || format!("{retry_in:?}, not {next:?}"));
    }

    /// Drops the items that the host cannot get because their connection has ended, and reopens the prompts that they
    /// answered.
    fn drop_items_of(&mut self, conn: Conn, was_up: bool) {
        let (dropped, unanswered) = self.inbox.end(conn.number(), was_up);
        self.count("early_dropped", dropped);
        for prompt in unanswered {
            self.reopen(&prompt);
        }
    }

    /// Checks a delivery to the host.
    pub(crate) fn check_delivery(&mut self, oracle: &mut Oracle, delivery: &Delivery) {
        self.count("delivered", 1);
        let number = delivery.id.number();
        oracle.check("A-6", "deliveries-are-numbered", number == self.last_delivery + 1, || {
            format!("{number}")
        });
        self.last_delivery = number;
        let Some((serial, chat)) = self.serial_and_chat(&delivery.content) else {
            return oracle.fail("P-2", "known-deliveries", || format!("{delivery:?}"));
        };
        self.inbox.open = self.acknowledges_on();
        let early = self.early();
        let unsettled_bytes = self.inbox.unsettled_bytes();
        match self.inbox.take_for_host(number, serial, &chat, early) {
            Err(found) => oracle.fail("A-7", "handed-over-in-order-and-once", || {
                format!("{serial:?} was handed over: {found}")
            }),
            Ok(item) => {
                if item.entry.is_some() || item.post.is_some() {
                    let entry_bytes = item.entry.as_ref().map_or(0, String::len);
                    self.inbox.weights.insert(number, delivery.content.weight() + entry_bytes);
                    let max = self.config.limits.unsettled_bytes;
                    oracle.check("X-1", "what-is-unsettled-is-bounded", unsettled_bytes < max, || {
                        format!("{unsettled_bytes} bytes were unsettled already, at most {max}")
                    });
                }
                self.check_delivered_item(oracle, &item, delivery, early);
            }
        }
    }

    /// Returns the serial number of a delivery, and its chat; `None` for content of an unknown kind.
    fn serial_and_chat(&self, content: &Content) -> Option<(Option<u64>, String)> {
        match content {
            Content::Message(event) | Content::PromptAnswer(event) => {
                let source = &event.source;
                let chat = format!("{} {}", source.platform, source.chat_id);
                Some((serial_of(&event.text, source.message_id.as_deref()), chat))
            }
            Content::Forward(forward) => {
                let serial = serial(&forward.path);
                let item = self.inbox.waiting.iter().find(|waiting| waiting.serial == serial);
                Some((serial, item.map(|item| item.chat.clone()).unwrap_or_default()))
            }
            _ => None,
        }
    }

    /// Checks that a delivery is this item. `early` is the connection whose handshake is not complete.
    fn check_delivered_item(
        &mut self,
        oracle: &mut Oracle,
        item: &InboundItem,
        delivery: &Delivery,
        early: Option<u32>,
    ) {
        oracle.check(
            "A-7",
            "handed-over-in-order-and-once",
            item.entry.is_some() == delivery.buffered,
            || format!("{item:?} is not what was handed over"),
        );
        oracle
            .check("L-17", "nothing-before-the-handshake", Some(item.conn) != early, || format!("{item:?}"));
        if let Content::Message(event) | Content::PromptAnswer(event) = &delivery.content {
            self.check_session(oracle, item, event);
            self.places.delivered(delivery.id.number(), event);
        }
        let is_answer = matches!(delivery.content, Content::PromptAnswer(_));
        oracle.check("I-3", "answers-never-are-messages", is_answer == item.is_answer, || {
            format!("{item:?} as {:?}", delivery.content)
        });
    }

    /// Checks the thread and the session of an event.
    fn check_session(&self, oracle: &mut Oracle, item: &InboundItem, event: &Event) {
        let Some(ModelSession { thread, key }) = &item.session else { return };
        let source = &event.source;
        let found = session_key(source, self.config.sessions, None);
        let rule = if source.platform == "slack" { "S-7" } else { "S-5" };
        let is_expected = found == *key && source.thread_id.as_deref() == thread.as_deref();
        oracle.check(rule, "events-have-their-session", is_expected, || {
            format!("{found} in thread {:?}, not {key} in {thread:?}", source.thread_id)
        });
    }
}

/// Counts the check of the rule that decides on a refusal.
fn count_refusal(oracle: &mut Oracle, refusal: Option<RefusalKind>) {
    match refusal {
        Some(RefusalKind::Cold) => oracle.count("L-7"),
        Some(RefusalKind::Expired) => oracle.count("L-8"),
        Some(RefusalKind::Once | RefusalKind::ForGood) => oracle.count("L-9"),
        None => {}
    }
}

/// Returns the serial number in a delivery's text, else in its message id.
fn serial_of(text: &str, message_id: Option<&str>) -> Option<u64> {
    serial(text).or_else(|| message_id.and_then(serial))
}
