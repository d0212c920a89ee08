//! Current connection: its state, its timers, and what is known of its end (L).

use crate::config::Timing;
use crate::keepalive::KeepAlive;
use crate::lifecycle::{AfterClose, Idleness, State};
use crate::output::{Conn, Timer};
use crate::time::Time;
use std::time::Duration;

/// Trust in our credentials (L-7, L-9). It outlives connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trust {
    /// No handshake was ever completed.
    Unproven,
    /// A handshake was completed.
    Proven,
    /// Refused since: dials are probes until one reaches a verdict, and a refusal of that connection is final.
    RevocationSuspected,
}

/// Current connection or dial, or the wait for the next one.
#[derive(Debug)]
pub(crate) struct Connection {
    id: Conn,
    state: State,
    trust: Trust,
    /// Deadline of the dial, the handshake or our close.
    deadline: Time,
    keepalive: KeepAlive,
    /// Time of the handshake's completion; `None` once the connection has ended.
    up_since: Option<Time>,
    /// Reason of our close, for the host.
    close_reason: String,
    /// Text of the first `error` frame before the handshake.
    complaint: Option<String>,
    /// Reason why a buffered entry must come again.
    redelivery: Option<&'static str>,
}

/// Facts about the end of a connection that its reason names.
pub(crate) struct Remarks<'a> {
    pub(crate) gateway_id: Option<&'a str>,
    /// Bytes of the line that the connection ended in (W-10).
    pub(crate) unfinished: usize,
}

impl Connection {
    pub(crate) fn new(now: Time) -> Self {
        Connection {
            id: Conn(0),
            state: State::Waiting,
            trust: Trust::Unproven,
            deadline: now,
            keepalive: KeepAlive::new(now),
            up_since: None,
            close_reason: String::new(),
            complaint: None,
            redelivery: None,
        }
    }

    pub(crate) fn id(&self) -> Conn {
        self.id
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn trust(&self) -> Trust {
        self.trust
    }

    /// Returns whether `conn` is the socket that is open.
    pub(crate) fn is_open(&self, conn: Conn) -> bool {
        self.state.has_socket() && conn == self.id
    }

    /// Returns the connection whose socket is open and whose handshake was not completed, though it may be closing
    /// already (L-17).
    pub(crate) fn early(&self) -> Option<Conn> {
        (self.state.has_socket() && !self.was_up()).then_some(self.id)
    }

    /// Returns whether the handshake was completed, though the connection may be closing by now.
    pub(crate) fn was_up(&self) -> bool {
        self.up_since.is_some()
    }

    /// Returns whether acknowledgements can still be written: our own close frame is not queued.
    pub(crate) fn takes_acks(&self, conn: Conn) -> bool {
        conn == self.id && matches!(self.state, State::Handshaking | State::Up(_))
    }

    /// Begins the next dial. The caller sets the state with [`enter`](Self::enter) afterwards.
    pub(crate) fn begin_dial(&mut self, deadline: Time) -> Conn {
        self.id = Conn(self.id.0.wrapping_add(1));
        self.deadline = deadline;
        self.complaint = None;
        self.id
    }

    pub(crate) fn begin_handshake(&mut self, now: Time, deadline: Time) {
        // A ping that was not written to the last socket does not affect this one.
        self.keepalive.restart(now);
        self.deadline = deadline;
    }

    /// Completes the handshake.
    pub(crate) fn complete_handshake(&mut self, now: Time) {
        self.up_since = Some(now);
        self.complaint = None;
        if self.trust == Trust::Unproven {
            self.trust = Trust::Proven;
        }
    }

    /// Begins a close of our own. Returns the reason for its frame.
    pub(crate) fn begin_close(&mut self, then: AfterClose, reason: &str, deadline: Time) -> &'static str {
        let (sent, reason) = match then {
            AfterClose::Retry | AfterClose::Stop => ("", reason),
            AfterClose::Redial => ("resume", "resumed by the host"),
            AfterClose::Sleep => ("dormant", "dormant"),
        };
        reason.clone_into(&mut self.close_reason);
        self.deadline = deadline;
        sent
    }

    /// Ends the connection or dial. Returns how long it was up.
    pub(crate) fn end(&mut self, now: Time) -> Option<Duration> {
        self.redelivery = None;
        let since = self.up_since.take()?;
        // A suspicion is used up by the connection that reached a verdict (L-9).
        self.trust = Trust::Proven;
        Some(now.since(since))
    }

    pub(crate) fn suspect_revocation(&mut self) {
        self.trust = Trust::RevocationSuspected;
    }

    pub(crate) fn enter(&mut self, state: State) {
        self.state = state;
    }

    /// Forgets the reason of our close: an auth refusal matters more.
    pub(crate) fn forget_close_reason(&mut self) {
        self.close_reason.clear();
    }

    /// Keeps an `error` frame's text, where it may explain a handshake that then fails.
    pub(crate) fn complain(&mut self, text: &str) {
        if !self.was_up() && self.complaint.is_none() {
            self.complaint = Some(text.to_owned());
        }
    }

    pub(crate) fn must_redeliver(&mut self, why: &'static str) {
        self.redelivery = Some(why);
    }

    /// Returns why a buffered entry must come again, where a new connection could be made for it.
    pub(crate) fn redelivery(&self) -> Option<&'static str> {
        match self.state {
            State::Up(Idleness::Active | Idleness::Lapsed) => self.redelivery,
            _ => None,
        }
    }

    /// Counts silence from now (L-11).
    pub(crate) fn heard(&mut self, now: Time) {
        self.keepalive.restart(now);
    }

    pub(crate) fn ping(&mut self, now: Time, is_reading: bool) {
        self.keepalive.ping(now, is_reading);
    }

    pub(crate) fn wants_ping(&self) -> bool {
        self.keepalive.wants_ping()
    }

    /// Returns whether a ping is to be written, once.
    pub(crate) fn take_ping(&mut self) -> bool {
        self.keepalive.take_ping()
    }

    /// Returns the deadline of the state and that of the keep-alive. [`Redial`](crate::redial::Redial) has the time of
    /// the next dial.
    pub(crate) fn timers(&self, timing: &Timing) -> [Option<(Time, Timer)>; 2] {
        let own = match self.state {
            State::Dialing => Some(Timer::Dial),
            State::Handshaking => Some(Timer::Handshake),
            State::Closing(_) => Some(Timer::Close),
            State::Waiting | State::Up(_) | State::Stopped | State::Revoked => None,
        };
        let listens = matches!(self.state, State::Handshaking | State::Up(_));
        [own.map(|timer| (self.deadline, timer)), listens.then(|| self.keepalive.deadline(timing))]
    }

    /// Takes the reason of the end, for the host: the peer's, or that of our own close, and what else is known.
    pub(crate) fn take_end_reason(&mut self, code: Option<u16>, reason: &str, known: Remarks<'_>) -> String {
        let ours = std::mem::take(&mut self.close_reason);
        let mut text = match (ours.is_empty(), reason.is_empty(), code) {
            // Our own reason says more than the peer's echo of it.
            (false, _, _) => ours,
            (true, false, _) => reason.to_owned(),
            (true, true, Some(code)) => format!("closed with code {code}"),
            (true, true, None) => "the connection was lost".to_owned(),
        };
        if code.is_some_and(|code| is_displaced(code, &text)) {
            let which = known.gateway_id.map_or_else(|| "of this one's".to_owned(), |id| format!("{id:?}"));
            text.push_str(&format!(": another gateway with the id {which} is connected"));
        }
        if let Some(said) = self.complaint.take() {
            text.push_str(&format!("; the connector said: {said}"));
        }
        if known.unfinished > 0 {
            text.push_str(&format!("; {} bytes without a newline are pending", known.unfinished));
        }
        text
    }
}

/// Returns whether a close says that another gateway with the same id has taken this one's place (L-18).
fn is_displaced(code: u16, reason: &str) -> bool {
    matches!(code, 1000 | 4000) && reason == "replaced"
}
