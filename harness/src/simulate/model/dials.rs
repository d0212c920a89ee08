//! Dials, closes and ends of the gateway (L), modelled from outside observations only.

use relayline_core::config::Timing;
use relayline_core::output::Conn;
use relayline_core::time::Time;
use std::time::Duration;

/// State of the gateway's socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ModelSocket {
    None,
    Dialing(Conn),
    Open(Conn),
}

/// Meaning of an auth refusal (L-7, L-8, L-9).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RefusalKind {
    Cold,
    Expired,
    Once,
    ForGood,
}

/// Purpose of the gateway's close frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ClosePurpose {
    Resume,
    Dormant,
    Other,
}

/// Required action after the end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AfterEnd {
    /// A wait between these durations.
    Wait(Duration, Duration),
    /// A dial at once.
    Dial,
    /// None, because the host has disconnected.
    Stopped,
    /// None, because the gateway is revoked.
    Fatal,
}

#[derive(Debug)]
pub(crate) struct Dials {
    pub(crate) socket: ModelSocket,
    /// Start of the dial, or end of the upgrade.
    pub(crate) since: Time,
    /// Time at which this connection's handshake completed.
    pub(crate) up: Option<Time>,
    pub(crate) ever_up: bool,
    /// Time of the last input.
    pub(crate) heard: Time,
    /// Time of a ping without input after it.
    pub(crate) pinged: Option<Time>,
    /// Time and purpose of the gateway's close frame.
    pub(crate) closing: Option<(Time, ClosePurpose)>,
    /// True if reading was paused at the last look. Silence has no meaning then.
    pub(crate) paused: bool,
    attempts: u32,
    revocation_suspected: bool,
    is_probe: bool,
    refusal: Option<RefusalKind>,
    /// True if something other than the connector refused the credentials (L-9).
    pub(crate) is_foreign: bool,
    /// Wait that the refused upgrade asked for (L-18).
    pub(crate) retry_after: Duration,
    /// Time since which the host holds dials.
    pub(crate) held_since: Option<Time>,
    hold_until: Time,
    /// Earliest and latest time of the next dial, unless the host changes them.
    pub(crate) next: Option<(Time, Time)>,
    /// True if the host has resumed: a dial is allowed at any time.
    pub(crate) resumed: bool,
    pub(crate) leaving: Option<Time>,
    pub(crate) over: bool,
    last_conn: u32,
    pub(crate) hellos: usize,
}

impl Dials {
    pub(crate) fn new(now: Time) -> Self {
        Dials {
            socket: ModelSocket::None,
            since: now,
            up: None,
            ever_up: false,
            heard: now,
            pinged: None,
            closing: None,
            paused: false,
            attempts: 0,
            revocation_suspected: false,
            is_probe: false,
            refusal: None,
            is_foreign: false,
            retry_after: Duration::ZERO,
            held_since: None,
            hold_until: Time::ZERO,
            next: Some((now, now)),
            resumed: false,
            leaving: None,
            over: false,
            last_conn: 0,
            hellos: 0,
        }
    }

    /// Returns the open connection.
    pub(crate) fn open(&self) -> Option<Conn> {
        match self.socket {
            ModelSocket::Open(conn) => Some(conn),
            ModelSocket::None | ModelSocket::Dialing(_) => None,
        }
    }

    pub(crate) fn is_current(&self, conn: Conn) -> bool {
        matches!(self.socket, ModelSocket::Dialing(of) | ModelSocket::Open(of) if of == conn)
    }

    /// Records a dial. The error is the reason for which it is not allowed.
    pub(crate) fn dial(&mut self, conn: Conn, now: Time) -> Result<(), (&'static str, &'static str, String)> {
        let at = format!("dial {conn} at {now}");
        if self.over {
            return Err(("L-10", "no-dial-after-the-end", at));
        }
        if self.socket != ModelSocket::None {
            return Err(("L-6", "one-dial-at-a-time", format!("{at}, with {:?}", self.socket)));
        }
        if conn.number() <= self.last_conn {
            return Err(("L-6", "dials-have-new-names", at));
        }
        let (from, _) = self.next.unwrap_or((now, now));
        let from = from.max(self.hold_until);
        if now < from && !self.resumed {
            return Err(("L-5", "no-dial-too-early", format!("{at}, not before {from}")));
        }
        self.last_conn = conn.number();
        self.socket = ModelSocket::Dialing(conn);
        self.since = now;
        self.up = None;
        self.closing = None;
        self.refusal = None;
        self.is_probe = self.revocation_suspected;
        self.held_since = None;
        self.hold_until = Time::ZERO;
        self.next = None;
        self.resumed = false;
        self.hellos = 0;
        Ok(())
    }

    pub(crate) fn opened(&mut self, conn: Conn, now: Time) {
        if self.socket == ModelSocket::Dialing(conn) {
            self.socket = ModelSocket::Open(conn);
            self.since = now;
            self.record_input(now);
        }
    }

    /// Records input from the peer.
    pub(crate) fn record_input(&mut self, now: Time) {
        self.heard = now;
        self.pinged = None;
    }

    pub(crate) fn connected(&mut self, now: Time) {
        self.up = Some(now);
        self.ever_up = true;
        self.revocation_suspected = false;
    }

    /// Records an auth refusal of the current dial or connection.
    pub(crate) fn refused(&mut self, is_expired: bool, confirms: bool) {
        self.refusal = Some(if !self.ever_up {
            RefusalKind::Cold
        } else if is_expired {
            RefusalKind::Expired
        } else if self.is_probe || !confirms {
            RefusalKind::ForGood
        } else {
            RefusalKind::Once
        });
    }

    pub(crate) fn refusal(&self) -> Option<RefusalKind> {
        self.refusal
    }

    pub(crate) fn hold(&mut self, now: Time, span: Duration, timing: &Timing) {
        let runs = self.hold_until > now || self.socket == ModelSocket::None;
        let since = self.held_since.filter(|_| runs).unwrap_or(now);
        self.held_since = Some(since);
        self.hold_until = (now + span).min(since + timing.hold_most);
    }

    pub(crate) fn end_hold(&mut self) {
        self.held_since = None;
        self.hold_until = Time::ZERO;
    }

    /// Records the end of the current dial or connection. Returns the required action.
    pub(crate) fn ended(&mut self, now: Time, timing: &Timing) -> AfterEnd {
        let held = self.up.take().is_some_and(|since| now.since(since) >= timing.backoff_reset);
        if held {
            self.attempts = 0;
        }
        let (closing, refusal) = (self.closing.take(), self.refusal.take());
        let is_foreign = std::mem::take(&mut self.is_foreign);
        let asked = std::mem::take(&mut self.retry_after).min(timing.retry_after_most);
        self.socket = ModelSocket::None;
        let hold = self.hold_until.since(now);
        let (mut least, mut most) = (Duration::ZERO, Duration::ZERO);
        // The host had resumed, and the socket ended before the close frame could be written (L-12).
        let resumed = std::mem::take(&mut self.resumed);
        let closing = closing.map(|(_, purpose)| purpose).or(resumed.then_some(ClosePurpose::Resume));
        let next = match (refusal, closing) {
            (Some(RefusalKind::ForGood), _) => AfterEnd::Fatal,
            _ if self.leaving.is_some() => AfterEnd::Stopped,
            (Some(RefusalKind::Once), _) => {
                self.revocation_suspected = true;
                if hold.is_zero() { AfterEnd::Dial } else { AfterEnd::Wait(hold, hold) }
            }
            (None, Some(ClosePurpose::Resume)) if hold.is_zero() => AfterEnd::Dial,
            (None, Some(ClosePurpose::Resume)) => AfterEnd::Wait(hold, hold),
            (None, Some(ClosePurpose::Dormant)) => {
                (least, most) = (timing.dormant_delay, timing.dormant_delay);
                AfterEnd::Wait(least.max(hold), most.max(hold))
            }
            (Some(RefusalKind::Cold | RefusalKind::Expired) | None, _) => {
                self.attempts = self.attempts.saturating_add(1);
                let doubled = timing.backoff_first.saturating_mul(1 << (self.attempts - 1).min(31));
                let longest = if is_foreign { timing.backoff_refused_most } else { timing.backoff_most };
                most = doubled.min(longest);
                least = (most / 2).max(asked);
                most = most.max(asked);
                AfterEnd::Wait(least.max(hold), most.max(hold))
            }
        };
        self.next = match next {
            // The host may hold dials longer, or for less time.
            AfterEnd::Wait(from, to) if !hold.is_zero() => Some((now + least.min(from), now + most.min(to))),
            AfterEnd::Wait(from, to) => Some((now + from, now + to)),
            AfterEnd::Dial => Some((now, now)),
            AfterEnd::Stopped | AfterEnd::Fatal => None,
        };
        next
    }

    /// Returns the latest time of the next dial, including the host's hold.
    pub(crate) fn latest(&self) -> Option<Time> {
        let (_, to) = self.next?;
        Some(to.max(self.hold_until))
    }
}

/// Returns the wait of a `Retry-After` at that time; zero if it is not valid (RFC 9110, 10.2.3).
pub(crate) fn retry_after(text: Option<&str>, unix_s: u64) -> Duration {
    let Some(text) = text else { return Duration::ZERO };
    if let Ok(seconds) = text.parse() {
        return Duration::from_secs(seconds);
    }
    let now = std::time::UNIX_EPOCH + Duration::from_secs(unix_s);
    let due = httpdate::parse_http_date(text).unwrap_or(now);
    due.duration_since(now).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use relayline_core::config::{Config, Identity};

    /// No run reaches this: the close of a resume is queued, and the socket ends first.
    #[test]
    fn l_12_a_resume_dials_at_once_after_any_end() {
        let identity = Identity::new("discord", "");
        let config = Config::new(identity);
        for (resumed, closing, at_once) in [
            (true, None, true),
            (true, Some(ClosePurpose::Resume), true),
            (false, None, false),
            (false, Some(ClosePurpose::Other), false),
        ] {
            let mut dials = Dials::new(Time::ZERO);
            dials.connected(Time::ZERO);
            dials.resumed = resumed;
            dials.closing = closing.map(|purpose| (Time::ZERO, purpose));
            let next = dials.ended(Time::ZERO, &config.timing);
            assert_eq!(next == AfterEnd::Dial, at_once, "{resumed} {closing:?}: {next:?}");
        }
    }
}
