//! Checks of the machine's outputs.

use super::dials::{AfterEnd, ClosePurpose, RefusalKind};
use super::inbox::InboundItem;
use super::{DeadLetter, Model, ModelSocket, RequestKind};
use crate::simulate::oracle::Oracle;
use crate::simulate::users::serial;
use relayline_core::command::{FailureKind, Reply};
use relayline_core::event::Event;
use relayline_core::output::{Action, Conn, Content, Delivery, Notice};
use relayline_core::session_key::session_key;
use relayline_core::time::Now;
use relayline_core::token;
use std::time::Duration;

impl Model {
    /// Checks an action.
    pub(crate) fn action(&mut self, oracle: &mut Oracle, now: Now, action: &Action) {
        oracle.check("L-10", "fatal-is-last", !self.is_fatal, || format!("{action:?} after it"));
        let last = matches!(action, Action::Notify(Notice::Stopped));
        oracle.check("L-14", "stopped-is-last", !self.has_stopped || last, || format!("{action:?} after it"));
        match action {
            Action::Dial { conn, token } => {
                self.dialed(oracle, now, *conn, token.as_ref().map(|token| token.expose()))
            }
            Action::Drop { conn } => self.dropped(oracle, *conn),
            Action::Complete { id, result } => {
                let pending = self.requests.completed(id.number(), result);
                match pending {
                    Err((invariant, found)) => oracle.fail("O-3", invariant, || found),
                    Ok(pending) => self.completed(oracle, id.number(), &pending, result),
                }
            }
            Action::Interrupt { session_key, chat_id } => {
                let expected = self.interrupts.pop_front();
                let fits = expected.as_ref().is_some_and(|(key, chat)| key == session_key && chat == chat_id);
                oracle
                    .check("L-16", "interrupts-are-exact", fits, || format!("{action:?}, not {expected:?}"));
            }
            Action::Notify(notice) => self.notice(oracle, notice),
            Action::Respond { id, answer } => self.check_response(oracle, id.number(), answer),
            Action::Fatal(fatal) => {
                let fits = self.must_be_fatal && !fatal.retryable && self.requests.pending.is_empty();
                oracle.check("L-10", "fatal-when-revoked", fits, || {
                    format!("revoked: {}, {:?} pending", self.must_be_fatal, self.requests.pending)
                });
                self.must_be_fatal = false;
                self.is_fatal = true;
                self.dials.over = true;
            }
        }
    }

    fn dialed(&mut self, oracle: &mut Oracle, now: Now, conn: Conn, token: Option<&str>) {
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
    fn dropped(&mut self, oracle: &mut Oracle, conn: Conn) {
        let timing = &self.config.timing;
        let closed_for = self.dials.closing.map(|(at, _)| self.now.since(at));
        let silent = self.now.since(self.dials.heard);
        let reason = match self.dials.socket {
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
        oracle.check("L-4", "drops-have-a-reason", reason && self.dials.is_current(conn), || {
            format!("{conn} was dropped: {:?}", self.dials)
        });
    }

    fn completed(
        &mut self,
        oracle: &mut Oracle,
        id: u64,
        pending: &super::requests::Pending,
        result: &Result<Reply, relayline_core::command::Failure>,
    ) {
        oracle.count("O-3");
        self.placed.remove(&id);
        match (pending.sort, result) {
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
                oracle.check("L-12", "idleness-is-confirmed-by-the-peer", self.idle_acked, || {
                    format!("request {id} was confirmed by nobody")
                });
                self.is_idle = true;
                self.may_sleep |= pending.sort == RequestKind::GoDormant;
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

    fn notice(&mut self, oracle: &mut Oracle, notice: &Notice) {
        match notice {
            Notice::Connected { descriptor, .. } => {
                oracle.check(
                    "D-3",
                    "the-limit-is-the-descriptors",
                    descriptor.max_message_length == self.limit,
                    || format!("{}, not {}", descriptor.max_message_length, self.limit),
                );
                oracle.check("L-4", "connected-by-a-descriptor", self.is_to_connect, || {
                    "no descriptor came".to_owned()
                });
                self.is_to_connect = false;
                self.has_early_error = false;
            }
            Notice::Disconnected { reason, retry_in, .. } => {
                oracle.check("L-18", "ends-have-a-reason", !reason.is_empty(), || "none".to_owned());
                self.check_end_reason(oracle, reason);
                self.disconnected(oracle, *retry_in);
            }
            Notice::Dormant { retry_in } => {
                let least = self.config.timing.dormant_delay;
                oracle.check("L-13", "sleeps-when-confirmed", self.must_sleep && *retry_in >= least, || {
                    format!("{notice:?}")
                });
                self.must_sleep = false;
            }
            Notice::Resumed => oracle.count("L-13"),
            Notice::Stopped => {
                let fits = self.dials.leaving.is_some() && self.requests.pending.is_empty();
                oracle.check("L-14", "stopped-when-left", fits, || {
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
            Notice::ConnectorError { text } => {
                oracle.check("X-5", "errors-are-told", self.errors > 0 && !text.is_empty(), || {
                    format!("{notice:?}")
                });
                self.errors = self.errors.saturating_sub(1);
            }
            Notice::DeadLetter { buffer_id, line, .. } => {
                let told = DeadLetter { entry: buffer_id.clone(), line: line.clone() };
                let expected = self.dead_letters.pop_front();
                oracle.check("A-9", "dead-letters-are-exact", expected.as_ref() == Some(&told), || {
                    format!("{told:?}, not {expected:?}")
                });
            }
            // A changed descriptor is reported, too.
            Notice::Platform { .. } => oracle.count("D-8"),
            _ => {}
        }
    }

    /// Checks the additions to the reason of an end (W-10, X-5).
    fn check_end_reason(&mut self, oracle: &mut Oracle, reason: &str) {
        let held = self.line.len();
        let pending = format!("{held} bytes without a newline are pending");
        let tells = reason.contains("without a newline are pending");
        let fits = if held > 0 { reason.ends_with(&pending) } else { !tells };
        oracle.check("W-10", "an-end-tells-of-half-a-line", fits, || {
            format!("{held} bytes are held: {reason}")
        });
        let complains = reason.contains("; the connector said: ");
        let expected = std::mem::take(&mut self.has_early_error);
        oracle.check("X-5", "an-early-error-is-told", complains == expected, || reason.to_owned());
    }

    fn disconnected(&mut self, oracle: &mut Oracle, retry_in: Option<Duration>) {
        let conn = match self.dials.socket {
            ModelSocket::None => {
                return oracle.fail("L-18", "ends-are-told-once", || "there was nothing to end".to_owned());
            }
            ModelSocket::Dialing(conn) | ModelSocket::Open(conn) => conn.number(),
        };
        let was_up = self.dials.up.is_some();
        let waiting = self.requests.pending.iter().find(|(_, pending)| pending.sort.needs_connection());
        oracle.check("O-4", "an-end-fails-what-waits", waiting.is_none(), || {
            format!("{waiting:?} still waits")
        });
        let is_refused = self.dials.refusal().is_some();
        match self.dials.refusal() {
            Some(RefusalKind::Cold) => oracle.count("L-7"),
            Some(RefusalKind::Expired) => oracle.count("L-8"),
            Some(RefusalKind::Once | RefusalKind::ForGood) => oracle.count("L-9"),
            None => {}
        }
        // The gateway went dormant, and the socket ended before the close frame could be written.
        if self.may_sleep {
            self.dials.closing.get_or_insert((self.now, ClosePurpose::Dormant));
        }
        let sleeps = self.dials.closing.is_some_and(|(_, purpose)| purpose == ClosePurpose::Dormant);
        let next = self.dials.ended(self.now, &self.config.timing);
        let (fits, rule) = match (next, retry_in) {
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
            (AfterEnd::Wait(from, to), Some(wait)) => (from <= wait && wait <= to, "L-5"),
            (AfterEnd::Fatal | AfterEnd::Stopped | AfterEnd::Dial | AfterEnd::Wait(..), _) => (false, "L-5"),
        };
        oracle.check(rule, "the-wait-is-as-it-must", fits, || format!("{retry_in:?}, not {next:?}"));
        self.streams_disconnected();
        self.turns_disconnected();
        let (dropped, unanswered) = self.inbox.end(conn, was_up);
        self.count("early_dropped", dropped);
        for prompt in unanswered {
            self.reopen(&prompt);
        }
        if matches!(next, AfterEnd::Fatal | AfterEnd::Stopped) {
            self.reject_pending();
        }
        if self.must_be_fatal {
            let dropped = self.inbox.clear();
            self.count("dropped_at_end", dropped);
        }
        self.must_sleep = sleeps && !is_refused && matches!(next, AfterEnd::Wait(..));
        self.forget_line();
        self.bad_descriptor = false;
        self.is_to_connect = false;
        self.refused_here = false;
        self.may_sleep = false;
        self.is_idle = false;
        self.idle_requests = 0;
        self.going_idle_frames = 0;
        self.idle_acked = false;
        self.dials.resumed = false;
    }

    /// Checks a delivery to the host.
    pub(crate) fn delivery(&mut self, oracle: &mut Oracle, delivery: &Delivery) {
        self.count("delivered", 1);
        let number = delivery.id.number();
        oracle.check("A-6", "deliveries-are-numbered", number == self.last_delivery + 1, || {
            format!("{number}")
        });
        self.last_delivery = number;
        let (serial, chat) = match &delivery.content {
            Content::Message(event) | Content::PromptAnswer(event) => {
                let source = &event.source;
                let chat = format!("{} {}", source.platform, source.chat_id);
                (serial_of(&event.text, source.message_id.as_deref()), chat)
            }
            Content::Forward(forward) => {
                let serial = serial(&forward.path);
                let waits = self.inbox.waiting.iter().find(|waiting| waiting.serial == serial);
                (serial, waits.map(|waits| waits.chat.clone()).unwrap_or_default())
            }
            _ => return oracle.fail("P-2", "known-deliveries", || format!("{delivery:?}")),
        };
        let is_answer = matches!(delivery.content, Content::PromptAnswer(_));
        self.inbox.open = self.acknowledges_on();
        let early = self.early();
        let unsettled = self.inbox.unsettled_bytes();
        match self.inbox.take_for_host(number, serial, &chat, early) {
            Err(found) => oracle.fail("A-7", "handed-over-in-order-and-once", || {
                format!("{serial:?} was handed over: {found}")
            }),
            Ok(arrived) => {
                if arrived.entry.is_some() || arrived.post.is_some() {
                    let entry = arrived.entry.as_ref().map_or(0, String::len);
                    self.inbox.weights.insert(number, delivery.content.weight() + entry);
                    let most = self.config.limits.unsettled_bytes;
                    oracle.check("X-1", "what-is-unsettled-is-bounded", unsettled < most, || {
                        format!("{unsettled} bytes were unsettled already, at most {most}")
                    });
                }
                oracle.check(
                    "A-7",
                    "handed-over-in-order-and-once",
                    arrived.entry.is_some() == delivery.buffered,
                    || format!("{arrived:?} is not what was handed over"),
                );
                oracle.check("L-17", "nothing-before-the-handshake", Some(arrived.conn) != early, || {
                    format!("{arrived:?}")
                });
                if let Content::Message(event) | Content::PromptAnswer(event) = &delivery.content {
                    self.session(oracle, &arrived, event);
                    self.places.delivered(number, event);
                }
                oracle.check("I-3", "answers-never-are-messages", is_answer == arrived.is_answer, || {
                    format!("{arrived:?} as {:?}", delivery.content)
                });
            }
        }
    }
}

impl Model {
    /// Checks the thread and the session of an event.
    fn session(&self, oracle: &mut Oracle, arrived: &InboundItem, event: &Event) {
        let Some((thread, key)) = &arrived.session else { return };
        let source = &event.source;
        let found = session_key(source, self.config.sessions, None);
        let rule = if source.platform == "slack" { "S-7" } else { "S-5" };
        let fits = found == *key && source.thread_id.as_deref() == thread.as_deref();
        oracle.check(rule, "events-have-their-session", fits, || {
            format!("{found} in thread {:?}, not {key} in {thread:?}", source.thread_id)
        });
    }
}

/// Returns the serial number in a delivery's text, else in its message id.
fn serial_of(text: &str, message_id: Option<&str>) -> Option<u64> {
    serial(text).or_else(|| message_id.and_then(serial))
}
