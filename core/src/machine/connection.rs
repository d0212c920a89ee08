//! One dial after another (L): the effects of the lifecycle table, and the timers.

use super::{DialFailure, RelayMachine};
use crate::command::{Reply, RequestId};
use crate::lifecycle::{Effect, Row, Signal, State, TABLE, When, arrow};
use crate::outbox::Item;
use crate::output::{Action, Conn, Notice, RELAY_DISABLED, Timer};
use crate::time::Time;
use crate::token::{self, TOKEN_TTL_S};
use crate::upgrade::Refusal;
use std::time::Duration;

/// What a close leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Then {
    Backoff,
    Dial,
    Sleep,
}

/// The host's disconnect, under way (L-14).
#[derive(Debug)]
struct Leaving {
    began: Time,
    ids: Vec<RequestId>,
}

/// Who waits for idleness to be confirmed (L-12).
#[derive(Debug)]
pub(super) struct Idler {
    pub(super) id: RequestId,
    /// Whether to go dormant then (L-13).
    pub(super) dormant: bool,
    /// For how long.
    until: Time,
}

/// The present connection, and what outlives it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) conn: Conn,
    /// When the present state's time is up: the next dial's time, or a time-out.
    due: Time,
    /// The last sign of life, or when listening began anew.
    heard: Time,
    /// When the ping went out that has not been followed by anything.
    pinged: Option<Time>,
    /// A ping is to be written.
    pub(super) ping: bool,
    /// When this connection's handshake was completed; `None` once it has ended.
    up_since: Option<Time>,
    /// Failed attempts since the back-off started over (L-5).
    attempt: u32,
    /// A handshake has been completed at some time (L-7).
    pub(super) ever_up: bool,
    /// The next dial that reaches an auth verdict decides (L-9).
    mark: bool,
    /// This connection was dialled under the mark.
    on_trial: bool,
    /// Dials are held until then, and since when (L-13).
    hold: Option<(Time, Time)>,
    then: Then,
    /// Why we close, as the host will be told.
    why: String,
    /// Shortest wait before the next dial, as the last refused upgrade asked for it (L-18).
    retry_after: Duration,
    /// Text of the first `error` frame before the handshake.
    pub(super) complaint: Option<String>,
    /// Bytes of the unterminated line that the connection ended in (W-10).
    unfinished: usize,
    /// Going idle was asked for: when the first who waits for its confirmation has waited long enough.
    pub(super) idle_asked: Option<Time>,
    pub(super) idle_confirmed: bool,
    /// The connector was asked on this connection, and has not confirmed in time.
    idle_lapsed: bool,
    pub(super) idlers: Vec<Idler>,
    /// An entry must come again, and why.
    pub(super) must_redeliver: Option<&'static str>,
    leaving: Option<Leaving>,
}

impl Link {
    pub(super) fn new(now: Time) -> Self {
        Link {
            conn: Conn(0),
            due: now,
            heard: now,
            pinged: None,
            ping: false,
            up_since: None,
            attempt: 0,
            ever_up: false,
            mark: false,
            on_trial: false,
            hold: None,
            then: Then::Backoff,
            why: String::new(),
            retry_after: Duration::ZERO,
            complaint: None,
            unfinished: 0,
            idle_asked: None,
            idle_confirmed: false,
            idle_lapsed: false,
            idlers: Vec::new(),
            must_redeliver: None,
            leaving: None,
        }
    }

    /// Silence counts from `now`.
    pub(super) fn listen_anew(&mut self, now: Time) {
        self.heard = now;
        self.pinged = None;
        // One that could not be written yet would ask what is known by now.
        self.ping = false;
    }

    pub(super) fn is_up(&self) -> bool {
        self.up_since.is_some()
    }

    /// How many disconnects wait for the end.
    pub(super) fn leavers(&self) -> usize {
        self.leaving.as_ref().map_or(0, |leaving| leaving.ids.len())
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }
}

impl RelayMachine {
    /// Takes the row of the table that fits, if one does. `code` and `reason` are what the host is told of an end.
    pub(super) fn step(&mut self, signal: Signal, code: Option<u16>, reason: &str) {
        let fits =
            |row: &Row| row.from.contains(&self.state) && row.on.contains(&signal) && self.holds(row.when);
        let Some(place) = TABLE.iter().position(fits) else { return };
        let row = &TABLE[place];
        self.transitions[arrow(place, self.state, signal)] += 1;
        for effect in row.emit {
            self.effect(*effect, row.to, code, reason);
        }
        self.state = row.to;
        // What was true of the socket says nothing of the next.
        if !matches!(self.state, State::Handshaking | State::Up | State::Closing) {
            self.link.ping = false;
        }
    }

    fn holds(&self, when: When) -> bool {
        match when {
            When::Always => true,
            When::Held => self.is_held(),
            When::Leaving => self.link.leaving.is_some(),
            When::Idle => self.link.idle_confirmed || self.link.idle_asked.is_some(),
            When::ThenDial => self.link.then == Then::Dial,
            When::ThenHeldDial => self.link.then == Then::Dial && self.is_held(),
            When::ThenSleep => self.link.then == Then::Sleep,
        }
    }

    fn is_held(&self) -> bool {
        self.link.hold.is_some_and(|(until, _)| until > self.now)
    }

    fn effect(&mut self, effect: Effect, to: State, code: Option<u16>, reason: &str) {
        match effect {
            Effect::Dial => self.dial(),
            Effect::Drop => self.actions.push_back(Action::Drop { conn: self.link.conn }),
            Effect::Hello => {
                self.inbox.begin();
                for at in 0..self.config.identities.len() {
                    self.outbox.push(Item::Hello(at));
                }
                self.link.listen_anew(self.now);
                self.link.due = self.now + self.span(self.config.timing.handshake_timeout);
            }
            Effect::TellConnected => self.tell_connected(),
            Effect::Close => self.begin_close(Then::Backoff, reason),
            Effect::CloseThenDial => self.begin_close(Then::Dial, "resumed by the host"),
            Effect::CloseThenSleep => self.begin_close(Then::Sleep, "dormant"),
            Effect::End => self.end(),
            Effect::Backoff => {
                let wait = self.backoff(self.config.timing.backoff_most);
                self.link.due = self.now + wait;
            }
            Effect::BackoffRefused => {
                let wait = self.backoff(self.config.timing.backoff_refused_most);
                self.link.due = self.now + wait;
            }
            Effect::Now => self.link.due = self.now,
            Effect::Sleep => self.link.due = self.now + self.span(self.config.timing.dormant_delay),
            Effect::TellDisconnected => self.tell_disconnected(to, code, reason),
            Effect::TellDormant => {
                let retry_in = self.redial_at().since(self.now);
                self.notify(Notice::Dormant { retry_in });
            }
            Effect::TellResumed => self.notify(Notice::Resumed),
            Effect::LiftHold => self.link.hold = None,
            Effect::Mark => self.link.mark = true,
            Effect::Stop => self.stop(),
            Effect::Fatal => {
                self.turn_all_away("the relay is disabled: this gateway was revoked");
                self.stats.dropped_at_end += self.inbox.clear();
                self.complete_leaving();
                self.actions.push_back(Action::Fatal(RELAY_DISABLED));
            }
        }
    }

    fn dial(&mut self) {
        self.stats.dials += 1;
        self.link.conn = Conn(self.link.conn.0.wrapping_add(1));
        self.link.on_trial = self.link.mark;
        self.link.then = Then::Backoff;
        self.link.hold = None;
        self.link.retry_after = Duration::ZERO;
        self.link.complaint = None;
        self.link.due = self.now + self.span(self.config.timing.dial_timeout);
        // A descriptor holds for one connection (D-8); the last ones tell what changes (D-10).
        if !self.descriptors.is_empty() {
            let unheard = std::mem::replace(&mut self.former, std::mem::take(&mut self.descriptors));
            // A platform that a short connection said nothing of is compared with what was last said of it.
            for former in unheard {
                let is_new = self.former.iter().all(|known| known.platform != former.platform);
                if is_new && self.former.len() < self.config.identities.len() {
                    self.former.push(former);
                }
            }
        }
        let token = self.config.credentials.as_ref().map(|credentials| {
            token::mint(&credentials.gateway_id, &credentials.secret, self.unix_s, TOKEN_TTL_S)
        });
        self.actions.push_back(Action::Dial { conn: self.link.conn, token });
    }

    /// Counts a failed attempt and returns the wait after it: a uniform draw from [d/2, d] (L-5), but no less than
    /// the refused upgrade asked for (L-18).
    fn backoff(&mut self, most: Duration) -> Duration {
        self.link.attempt = self.link.attempt.saturating_add(1);
        let timing = &self.config.timing;
        let doublings = self.link.attempt.saturating_sub(1).min(31);
        let longest = self.span(timing.backoff_first.saturating_mul(1 << doublings).min(most));
        let us = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.seed.draw_between(us.div_ceil(2), us)).max(self.link.retry_after)
    }

    fn tell_connected(&mut self) {
        self.stats.handshakes += 1;
        self.link.ever_up = true;
        self.link.up_since = Some(self.now);
        // This dial has reached its verdict; a refusal from now on falls on a connection that is on trial, or on
        // one that is not (L-9).
        self.link.mark = false;
        if let Some(descriptor) = self.descriptors.first().cloned() {
            let former = self.former.first();
            let changed = former.map(|former| descriptor.changes_from(former)).unwrap_or_default();
            self.notify(Notice::Connected { descriptor, changed });
        }
        self.link.complaint = None;
    }

    fn tell_disconnected(&mut self, to: State, code: Option<u16>, reason: &str) {
        // What we closed for tells more than the peer's echo of it.
        let why = std::mem::take(&mut self.link.why);
        let reason = match (why.is_empty(), reason.is_empty(), code) {
            (false, _, _) => why,
            (true, false, _) => reason.to_owned(),
            (true, true, Some(code)) => format!("closed with code {code}"),
            (true, true, None) => "the connection was lost".to_owned(),
        };
        let reason = self.with_remarks(reason, code);
        let retry_in = match to {
            State::Waiting => Some(self.redial_at().since(self.now)),
            State::Stopped | State::Revoked => None,
            // The next dial follows at once.
            State::Dialing | State::Handshaking | State::Up | State::Closing => Some(Duration::ZERO),
        };
        self.notify(Notice::Disconnected { code, reason, retry_in });
    }

    /// Adds what else is known of an end: who displaced this gateway, an error frame, an unterminated line.
    fn with_remarks(&mut self, mut reason: String, code: Option<u16>) -> String {
        if code.is_some_and(|code| is_displaced(code, &reason)) {
            let id = self.config.credentials.as_ref().map(|credentials| credentials.gateway_id.as_str());
            let which = id.map_or_else(|| "of this one's".to_owned(), |id| format!("{id:?}"));
            reason.push_str(&format!(": another gateway with the id {which} is connected"));
        }
        if let Some(said) = self.link.complaint.take() {
            reason.push_str(&format!("; the connector said: {said}"));
        }
        if let bytes @ 1.. = std::mem::take(&mut self.link.unfinished) {
            reason.push_str(&format!("; {bytes} bytes without a newline are pending"));
        }
        reason
    }

    fn begin_close(&mut self, then: Then, why: &str) {
        self.link.then = then;
        // A close that is under way keeps the reason that it began for (L-17).
        if self.state != State::Closing {
            why.clone_into(&mut self.link.why);
            self.fail_unwritten("the connection is being closed");
            self.outbox.close(match then {
                Then::Backoff => "",
                Then::Dial => "resume",
                Then::Sleep => "dormant",
            });
            self.link.due = self.now + self.span(self.config.timing.close_timeout);
        }
    }

    /// The connection or dial is over.
    fn end(&mut self) {
        self.link.unfinished = self.splitter.held();
        self.fail_unwritten("the connection was lost before it was written");
        self.fail_written("the connection was lost before the answer came");
        self.hold_streams("the connection was lost");
        self.drop_turns();
        self.finish_idlers(false);
        self.stats.moot_acks += self.outbox.clear();
        self.splitter.reset();
        if !self.link.is_up() {
            let mut unanswered = Vec::new();
            self.stats.early_dropped += self.inbox.drop_early(self.link.conn, &mut unanswered);
            for prompt in unanswered {
                self.reopen(prompt);
            }
        }
        self.stats.moot_acks += self.inbox.drop_moot(self.link.conn);
        let held = self
            .link
            .up_since
            .take()
            .is_some_and(|since| self.now.since(since) >= self.config.timing.backoff_reset);
        if held {
            self.link.attempt = 0;
        }
        self.link.idle_asked = None;
        self.link.idle_confirmed = false;
        self.link.idle_lapsed = false;
        self.link.must_redeliver = None;
        self.paused = false;
    }

    fn stop(&mut self) {
        self.fail_unwritten("the relay was disconnected");
        self.fail_written("the relay was disconnected before the answer came");
        self.turn_all_away("the relay was disconnected");
        self.complete_leaving();
        self.notify(Notice::Stopped);
    }

    fn complete_leaving(&mut self) {
        for id in self.link.leaving.take().map(|leaving| leaving.ids).unwrap_or_default() {
            self.actions.push_back(Action::Complete { id, result: Ok(Reply::Done) });
        }
    }

    pub(super) fn notify(&mut self, notice: Notice) {
        self.actions.push_back(Action::Notify(notice));
    }

    /// Something was received (L-11).
    pub(super) fn heard(&mut self) {
        self.link.listen_anew(self.now);
    }

    pub(super) fn dial_failed(&mut self, failure: DialFailure<'_>) {
        if self.state != State::Dialing {
            self.stats.stale_inputs += 1;
            return;
        }
        match failure {
            DialFailure::Unanswered(reason) => self.step(Signal::DialFailed, None, reason),
            DialFailure::Refused(refusal) => self.upgrade_refused(refusal),
        }
    }

    /// L-9: only the connector's own 401 is an auth refusal.
    fn upgrade_refused(&mut self, refusal: Refusal<'_>) {
        let secret = self.config.credentials.as_ref().map(|credentials| &credentials.secret);
        let reason = refusal.reason(secret.as_slice());
        let asked = refusal.retry_after(self.unix_s).unwrap_or_default();
        self.link.retry_after = asked.min(self.config.timing.retry_after_most);
        match refusal.verdict() {
            Some(error) => self.refused(error == "expired", None, &reason),
            None if refusal.is_foreign() => {
                self.stats.credentials_refused += 1;
                self.step(Signal::CredentialsRefused, None, &reason);
            }
            None => self.step(Signal::DialFailed, None, &reason),
        }
    }

    pub(super) fn closed(&mut self, code: Option<u16>, reason: &str) {
        match self.state {
            // A socket that ends before it was said to be open was a dial.
            State::Dialing if code != Some(4401) => self.step(Signal::DialFailed, code, reason),
            State::Dialing | State::Handshaking | State::Up | State::Closing if code == Some(4401) => {
                self.refused(reason == "expired", code, reason);
            }
            State::Dialing | State::Handshaking | State::Up | State::Closing => {
                self.step(Signal::Lost, code, reason);
            }
            State::Waiting | State::Stopped | State::Revoked => self.stats.stale_inputs += 1,
        }
    }

    /// What an auth refusal means (L-7, L-8, L-9).
    fn refused(&mut self, expired: bool, code: Option<u16>, reason: &str) {
        self.stats.refusals += 1;
        // A close of our own does not hide a refusal.
        self.link.why.clear();
        let signal = self.verdict(expired);
        self.step(signal, code, reason);
    }

    fn verdict(&self, expired: bool) -> Signal {
        if !self.link.ever_up {
            Signal::RefusedCold
        } else if expired {
            Signal::RefusedExpired
        } else if self.link.on_trial || !self.config.confirm_revocation || self.config.credentials.is_none() {
            Signal::RefusedForGood
        } else {
            Signal::RefusedOnce
        }
    }

    /// Holds dials for that long from now (L-13).
    pub(super) fn hold(&mut self, span: Duration) {
        // Held again and again it is one hold: it lasts `hold_most` in all. One that ran out while no dial waited
        // for it is none.
        let running = self.link.hold.filter(|(until, _)| *until > self.now || self.state == State::Waiting);
        let began = running.map_or(self.now, |(_, began)| began);
        let until = (self.now + span).min(began + self.config.timing.hold_most);
        self.link.hold = Some((until, began));
    }

    /// Lifts the hold, and is served again (L-12, L-13).
    pub(super) fn resume(&mut self) {
        self.link.hold = None;
        // A confirmation that has not come yet must not lead to sleep any more.
        for idler in &mut self.link.idlers {
            idler.dormant = false;
        }
        self.step(Signal::Resume, None, "");
    }

    /// Goes idle, or dormant, for this request.
    pub(super) fn go_idle(&mut self, id: RequestId, dormant: bool) {
        if self.link.idle_confirmed {
            // Nobody asks twice (L-12).
            self.link.idlers.push(Idler { id, dormant, until: self.now });
            return self.be_idle();
        }
        let until = self.ask_idle(self.config.timing.idle_timeout);
        self.link.idlers.push(Idler { id, dormant, until });
    }

    /// Asks the connector to buffer from now on (L-12); until when that is waited for.
    fn ask_idle(&mut self, within: Duration) -> Time {
        let until = self.now + self.span(within);
        if self.link.idle_asked.is_none() {
            self.outbox.push(Item::GoingIdle);
        }
        self.link.idle_asked = Some(self.link.idle_asked.map_or(until, |asked| asked.min(until)));
        until
    }

    /// No confirmation has come in time for who has waited longest, or for anybody where the host leaves.
    fn idle_lapsed(&mut self) {
        let (now, leaves) = (self.now, self.link.leaving.is_some());
        let over = self.link.idlers.extract_if(.., |idler| leaves || idler.until <= now).collect();
        self.complete_idlers(over, false);
        self.link.idle_asked = self.link.idlers.iter().map(|idler| idler.until).min();
        if self.link.idle_asked.is_none() {
            // All stays as it was: so the connector must not be told to fall silent any more (L-12).
            self.link.idle_lapsed |= !self.outbox.take_back_going_idle();
        }
    }

    /// The connector's confirmation (L-12).
    pub(super) fn idle_confirmed(&mut self) {
        if self.link.idle_asked.take().is_none() {
            self.stats.stray_idle_acks += 1;
            // Late as it is, the connector buffers from now on: the host must be able to resume.
            self.link.idle_confirmed |= self.link.idle_lapsed;
            return;
        }
        self.link.idle_confirmed = true;
        // The confirmation of an earlier question answers one that is not written yet.
        self.outbox.take_back_going_idle();
        self.be_idle();
    }

    /// Tells all who wait that idleness is confirmed, and sleeps if one of them wants to.
    fn be_idle(&mut self) {
        let dormant = self.link.idlers.iter().any(|idler| idler.dormant);
        self.finish_idlers(true);
        if dormant && self.link.leaving.is_none() {
            self.step(Signal::GoDormant, None, "");
        }
    }

    fn finish_idlers(&mut self, confirmed: bool) {
        let idlers = std::mem::take(&mut self.link.idlers);
        self.complete_idlers(idlers, confirmed);
    }

    fn complete_idlers(&mut self, idlers: Vec<Idler>, confirmed: bool) {
        for Idler { id, .. } in idlers {
            self.actions.push_back(Action::Complete { id, result: Ok(Reply::Idle { confirmed }) });
        }
    }

    /// Begins to leave, or joins who is leaving already (L-14).
    pub(super) fn disconnect(&mut self, id: RequestId) {
        match &mut self.link.leaving {
            Some(leaving) => leaving.ids.push(id),
            None => {
                self.link.leaving = Some(Leaving { began: self.now, ids: vec![id] });
                let was_asked = self.link.idle_confirmed || self.link.idle_lapsed;
                if self.state == State::Up && !was_asked {
                    self.ask_idle(self.config.timing.disconnect_idle_timeout);
                }
            }
        }
    }

    /// Whether there is nothing left to wait for before the close (L-14).
    pub(super) fn leave_if_due(&mut self) {
        let Some(leaving) = &self.link.leaving else { return };
        let answered = self.link.idle_asked.is_none() && self.requests.is_empty() && self.outbox.is_empty();
        if self.state != State::Up || answered || self.now >= self.last_call(leaving.began) {
            self.step(Signal::Leave, None, "disconnected by the host");
        }
    }

    /// Until when written requests may still be answered: a second of the budget is the close's.
    fn last_call(&self, began: Time) -> Time {
        let timing = &self.config.timing;
        began + self.span(timing.disconnect_budget.saturating_sub(timing.close_timeout))
    }

    /// once nothing is in flight, a refused entry is fetched again over a new connection.
    pub(super) fn redeliver_if_due(&mut self) {
        if let Some(why) = self.link.must_redeliver
            && self.state == State::Up
            && self.link.idle_asked.is_none()
            // Who is idle fetches nothing: the entry comes when the host resumes (L-12).
            && !self.link.idle_confirmed
            && self.requests.is_empty()
            && !self.inbox.is_owed(self.link.conn)
        {
            self.step(Signal::Redeliver, None, why);
        }
    }

    /// Every timer that runs, at most one of a kind.
    pub(super) fn timers(&self) -> [Option<(Time, Timer)>; 8] {
        let due = self.link.due;
        let phase = match self.state {
            State::Waiting => Some((self.redial_at(), Timer::Redial)),
            State::Dialing => Some((due, Timer::Dial)),
            State::Handshaking => Some((due, Timer::Handshake)),
            State::Closing => Some((due, Timer::Close)),
            State::Up | State::Stopped | State::Revoked => None,
        };
        let silence = match self.state {
            State::Handshaking | State::Up => Some(match self.link.pinged {
                Some(pinged) => (pinged + self.span(self.config.timing.ping_timeout), Timer::Silence),
                None => (self.link.heard + self.span(self.config.timing.ping_interval), Timer::Ping),
            }),
            State::Waiting | State::Dialing | State::Closing | State::Stopped | State::Revoked => None,
        };
        let leaving = self.link.leaving.as_ref().filter(|_| self.state == State::Up);
        [
            phase,
            silence,
            self.requests.next_timeout().map(|at| (at, Timer::Request)),
            self.streams.next_due().map(|at| (at, Timer::Stream)),
            self.turns.next_due().map(|at| (at, Timer::Turn)),
            self.link.idle_asked.map(|at| (at, Timer::Idle)),
            leaving.map(|leaving| (self.last_call(leaving.began), Timer::Disconnect)),
            self.unanswered.next_timeout().map(|at| (at, Timer::Delivery)),
        ]
    }

    pub(super) fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Redial => self.step(Signal::DialDue, None, ""),
            Timer::Dial => self.step(Signal::DialTimedOut, None, "the dial took too long"),
            Timer::Handshake => {
                self.step(Signal::HandshakeTimedOut, None, "no descriptor came in time");
            }
            Timer::Close => self.step(Signal::CloseTimedOut, None, "the peer did not answer our close frame"),
            Timer::Ping => {
                if self.paused {
                    // We are not listening: a missing answer would say nothing.
                    self.link.listen_anew(self.now);
                } else {
                    self.link.pinged = Some(self.now);
                }
                self.link.ping = true;
            }
            Timer::Silence => self.step(Signal::Silent, None, "nothing was received for too long"),
            Timer::Request => self.expire_request(),
            Timer::Stream => self.stream_due(),
            Timer::Turn => self.turn_due(),
            Timer::Idle => self.idle_lapsed(),
            // `after` leaves.
            Timer::Disconnect => {}
            Timer::Delivery => self.expire_delivery(),
        }
    }

    /// When the next dial comes, the host's hold included.
    fn redial_at(&self) -> Time {
        self.link.hold.map_or(self.link.due, |(until, _)| self.link.due.max(until))
    }
}

/// Whether a close says that another gateway with the same id has taken this one's place (L-18).
fn is_displaced(code: u16, reason: &str) -> bool {
    matches!(code, 1000 | 4000) && reason == "replaced"
}
