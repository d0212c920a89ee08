//! Coordinates successive connections (L): the effects of the lifecycle table, and the timers.

use super::{CREDENTIALS_REJECTED, DialFailure, RelayMachine};
use crate::command::{Reply, RequestId};
use crate::conn::{Remarks, Trust};
use crate::lifecycle::{self, AfterClose, Condition, Effect, Idleness, Signal, State};
use crate::outbox::Item;
use crate::output::{Action, Notice, RELAY_DISABLED, Timer};
use crate::time::{Time, clamp_timeout};
use crate::token::{self, TOKEN_TTL_S};
use crate::upgrade::Refusal;
use std::time::Duration;

/// The host's disconnect, in progress (L-14).
#[derive(Debug)]
pub(super) struct Disconnect {
    began: Time,
    pub(super) ids: Vec<RequestId>,
}

/// End of a connection, as the peer or the network gave it.
#[derive(Clone, Copy, Default)]
struct Cause<'a> {
    code: Option<u16>,
    reason: &'a str,
}

impl RelayMachine {
    /// Takes the first row of the table that fits. Returns whether there is one. If the connection ends, `reason` is
    /// reported to the host.
    pub(super) fn step(&mut self, signal: Signal, reason: &str) -> bool {
        self.step_for(signal, Cause { code: None, reason })
    }

    fn step_for(&mut self, signal: Signal, cause: Cause<'_>) -> bool {
        let taken = lifecycle::transition(self.conn.state(), signal, |when| self.holds(when));
        let Some((row, place)) = taken else { return false };
        self.transitions[place] += 1;
        // Read before the line is discarded, and reported with the end of the connection (W-10).
        let unfinished = self.splitter.pending_bytes();
        for effect in row.emit {
            self.effect(*effect, row.to, cause, unfinished);
        }
        self.conn.enter(row.to);
        true
    }

    fn holds(&self, when: Condition) -> bool {
        match when {
            Condition::Always => true,
            Condition::Leaving => self.is_leaving(),
            Condition::Holding => self.redial.is_held(self.now),
            Condition::NeverConnected => self.conn.trust() == Trust::Unproven,
            Condition::Final => match self.conn.trust() {
                Trust::Unproven => false,
                Trust::Proven => !self.config.confirm_revocation || self.config.credentials.is_none(),
                Trust::RevocationSuspected => true,
            },
            Condition::Unwritten => self.outbox.has_going_idle(),
        }
    }

    fn effect(&mut self, effect: Effect, to: State, cause: Cause<'_>, unfinished: usize) {
        let timing = &self.config.timing;
        match effect {
            Effect::Dial => self.dial(),
            Effect::Drop => self.actions.push_back(Action::Drop { conn: self.conn.id() }),
            Effect::Hello => {
                self.inbox.begin_connection();
                for at in 0..self.config.identities.len() {
                    self.outbox.push(Item::Hello(at));
                }
                let deadline = self.now + clamp_timeout(timing.handshake_timeout);
                self.conn.begin_handshake(self.now, deadline);
            }
            Effect::NotifyConnected => self.notify_connected(),
            Effect::AskIdle => self.outbox.push(Item::GoingIdle),
            Effect::WithdrawIdle => self.outbox.withdraw_going_idle(),
            Effect::Close => self.begin_close(to, cause.reason),
            Effect::End => self.end(),
            Effect::Backoff => self.back_off(timing.backoff_most),
            Effect::BackoffRefused => self.back_off(timing.backoff_refused_most),
            Effect::Now => self.redial.schedule(self.now),
            Effect::Sleep => self.redial.schedule(self.now + clamp_timeout(timing.dormant_delay)),
            Effect::NotifyDisconnected => self.notify_disconnected(to, cause, unfinished),
            Effect::NotifyDormant => {
                let retry_in = self.retry_in();
                self.notify(Notice::Dormant { retry_in });
            }
            Effect::NotifyResumed => self.notify(Notice::Resumed),
            Effect::LiftHold => self.redial.lift_hold(),
            Effect::Suspect => self.conn.suspect_revocation(),
            Effect::Stop => self.stop(),
            Effect::Fatal => {
                self.reject_pending("the relay is disabled: this gateway was revoked");
                self.stats.dropped_at_end += self.inbox.clear();
                self.complete_disconnects();
                self.actions.push_back(Action::Fatal(RELAY_DISABLED));
            }
        }
    }

    fn dial(&mut self) {
        self.stats.dials += 1;
        self.redial.begin();
        let conn = self.conn.begin_dial(self.now + clamp_timeout(self.config.timing.dial_timeout));
        // Descriptors apply to one connection (D-8). The last ones are kept to tell what changes (D-10).
        if !self.descriptors.is_empty() {
            let unheard =
                std::mem::replace(&mut self.previous_descriptors, std::mem::take(&mut self.descriptors));
            // A platform without a descriptor on a short connection is compared with its last descriptor.
            for former in unheard {
                let is_new = self.previous_descriptors.iter().all(|known| known.platform != former.platform);
                if is_new && self.previous_descriptors.len() < self.config.identities.len() {
                    self.previous_descriptors.push(former);
                }
            }
        }
        let token = self.config.credentials.as_ref().map(|credentials| {
            token::mint(&credentials.gateway_id, &credentials.secret, self.unix_s, TOKEN_TTL_S)
        });
        self.actions.push_back(Action::Dial { conn, token });
    }

    fn back_off(&mut self, most: Duration) {
        self.redial.back_off(self.now, &mut self.seed, &self.config.timing, most);
    }

    fn notify_connected(&mut self) {
        self.stats.handshakes += 1;
        self.conn.complete_handshake(self.now);
        if let Some(descriptor) = self.descriptors.first().cloned() {
            let former = self.previous_descriptors.first();
            let changed = former.map(|former| descriptor.changes_from(former)).unwrap_or_default();
            self.notify(Notice::Connected { descriptor, changed });
        }
    }

    fn notify_disconnected(&mut self, to: State, Cause { code, reason }: Cause<'_>, unfinished: usize) {
        let gateway_id = self.config.credentials.as_ref().map(|credentials| credentials.gateway_id.as_str());
        let reason = self.conn.take_end_reason(code, reason, Remarks { gateway_id, unfinished });
        let retry_in = match to {
            State::Waiting => self.retry_in(),
            State::Stopped | State::Revoked => None,
            // The next dial follows at once.
            State::Dialing | State::Handshaking | State::Up(_) | State::Closing(_) => Some(Duration::ZERO),
        };
        self.notify(Notice::Disconnected { code, reason, retry_in });
    }

    /// Returns the time until the next dial; `None` under a hold without a bound.
    fn retry_in(&self) -> Option<Duration> {
        let due = self.redial.due();
        (due < Time::NEVER).then(|| due.since(self.now))
    }

    fn begin_close(&mut self, to: State, reason: &str) {
        let then = match to {
            State::Closing(then) => then,
            _ => AfterClose::Retry,
        };
        self.fail_unwritten("the connection is being closed");
        self.finish_idling(false);
        let deadline = self.now + clamp_timeout(self.config.timing.close_timeout);
        let sent = self.conn.begin_close(then, reason, deadline);
        self.outbox.close(sent);
    }

    /// Ends everything that belongs to the connection or dial.
    fn end(&mut self) {
        self.fail_unwritten("the connection was lost before it was written");
        self.fail_written("the connection was lost before the answer came");
        self.hold_streams("the connection was lost");
        self.turns.clear();
        self.finish_idling(false);
        self.stats.late_acks += self.outbox.clear();
        self.splitter.reset();
        let conn = self.conn.id();
        let was_up = self.conn.end(self.now);
        if was_up.is_none() {
            let mut unanswered = Vec::new();
            self.stats.early_dropped += self.inbox.drop_early(conn, &mut unanswered);
            for prompt in unanswered {
                self.reopen(prompt);
            }
        }
        self.stats.late_acks += self.inbox.drop_buffered_duplicates(conn);
        if was_up.is_some_and(|time| time >= self.config.timing.backoff_reset) {
            self.redial.reset();
        }
        self.is_reading_paused = false;
    }

    fn stop(&mut self) {
        self.fail_unwritten("the relay was disconnected");
        self.fail_written("the relay was disconnected before the answer came");
        self.reject_pending("the relay was disconnected");
        self.complete_disconnects();
        self.notify(Notice::Stopped);
    }

    fn complete_disconnects(&mut self) {
        for id in self.disconnect.take().map(|disconnect| disconnect.ids).unwrap_or_default() {
            self.complete(id, Ok(Reply::Done));
        }
    }

    pub(super) fn notify(&mut self, notice: Notice) {
        self.actions.push_back(Action::Notify(notice));
    }

    pub(super) fn dial_failed(&mut self, failure: DialFailure<'_>) {
        if self.conn.state() != State::Dialing {
            self.stats.stale_inputs += 1;
            return;
        }
        match failure {
            DialFailure::Unanswered(reason) => {
                self.step(Signal::DialFailed, reason);
            }
            DialFailure::Refused(refusal) => self.upgrade_refused(refusal),
        }
    }

    /// Handles a refused upgrade. Only the connector's own 401 is an auth refusal (L-9).
    fn upgrade_refused(&mut self, refusal: Refusal<'_>) {
        let secret = self.config.credentials.as_ref().map(|credentials| &credentials.secret);
        let reason = refusal.reason(secret.as_slice());
        let asked = refusal.retry_after(self.unix_s).unwrap_or_default();
        self.redial.retry_after(asked.min(self.config.timing.retry_after_most));
        let cause = Cause { code: None, reason: &reason };
        match refusal.verdict() {
            Some(error) => self.refused(error == "expired", cause),
            None if refusal.is_foreign() => {
                self.stats.credentials_refused += 1;
                self.step_for(Signal::CredentialsRefused, cause);
            }
            None => {
                self.step_for(Signal::DialFailed, cause);
            }
        }
    }

    pub(super) fn closed(&mut self, code: Option<u16>, reason: &str) {
        let cause = Cause { code, reason };
        match self.conn.state() {
            State::Waiting | State::Stopped | State::Revoked => self.stats.stale_inputs += 1,
            _ if code == Some(CREDENTIALS_REJECTED) => self.refused(reason == "expired", cause),
            // A socket that ends before it was said to be open was a dial.
            State::Dialing => {
                self.step_for(Signal::DialFailed, cause);
            }
            State::Handshaking | State::Up(_) | State::Closing(_) => {
                self.step_for(Signal::Lost, cause);
            }
        }
    }

    fn refused(&mut self, expired: bool, cause: Cause<'_>) {
        self.stats.refusals += 1;
        self.conn.forget_close_reason();
        self.step_for(if expired { Signal::RefusedExpired } else { Signal::Refused }, cause);
    }

    /// Holds dials for `span` from now (L-13).
    pub(super) fn hold(&mut self, span: Duration) {
        let is_waiting = self.conn.state() == State::Waiting;
        self.redial.hold(self.now, span, is_waiting, &self.config.timing);
    }

    /// Lifts the hold, and resumes (L-12, L-13).
    pub(super) fn resume(&mut self) {
        self.redial.lift_hold();
        self.step(Signal::Resume, "");
    }

    /// Goes idle, or dormant, for this request.
    pub(super) fn go_idle(&mut self, id: RequestId, dormant: bool) {
        let until = self.now + clamp_timeout(self.config.timing.idle_timeout);
        self.idle_waiters.push(id, dormant, until);
        if self.conn.state() == State::Up(Idleness::Idle) {
            // The connector is not asked twice (L-12).
            self.finish_idling(true);
        } else {
            self.step(Signal::GoIdle, "");
        }
    }

    /// Ends the requests whose confirmation timed out: the oldest, or all if the host is disconnecting.
    fn idle_timed_out(&mut self) {
        let over = self.idle_waiters.time_out(self.now, self.is_leaving());
        self.complete_idle(over, false);
        if self.idle_waiters.deadline().is_none() {
            self.step(Signal::IdleTimedOut, "");
        }
    }

    /// Handles the connector's confirmation (L-12).
    pub(super) fn idle_confirmed(&mut self) {
        self.stats.stray_idle_acks += u64::from(!self.conn.state().awaits_idle());
        if self.step(Signal::IdleConfirmed, "") {
            self.finish_idling(true);
        }
    }

    /// Ends the wait for idleness. If idleness is confirmed, a host that asked for dormancy goes dormant.
    fn finish_idling(&mut self, confirmed: bool) {
        let (ids, dormant) = self.idle_waiters.take();
        self.complete_idle(ids, confirmed);
        if confirmed && dormant && !self.is_leaving() {
            self.step(Signal::GoDormant, "");
        }
    }

    fn complete_idle(&mut self, ids: Vec<RequestId>, confirmed: bool) {
        for id in ids {
            self.complete(id, Ok(Reply::Idle { confirmed }));
        }
    }

    /// Begins to disconnect, or joins a disconnect in progress (L-14).
    pub(super) fn begin_disconnect(&mut self, id: RequestId) {
        if let Some(disconnect) = &mut self.disconnect {
            return disconnect.ids.push(id);
        }
        self.disconnect = Some(Disconnect { began: self.now, ids: vec![id] });
        if let State::Up(Idleness::Active | Idleness::Asked) = self.conn.state() {
            let within = clamp_timeout(self.config.timing.disconnect_idle_timeout);
            self.idle_waiters.expect_by(self.now + within);
            self.step(Signal::GoIdle, "");
        }
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.disconnect.is_some()
    }

    /// Closes the connection of a disconnect if nothing is left to wait for (L-14).
    pub(super) fn leave_if_due(&mut self) {
        let Some(disconnect) = &self.disconnect else { return };
        let state = self.conn.state();
        let is_answered = !state.awaits_idle() && self.requests.is_empty() && self.outbox.is_empty();
        if !state.is_up() || is_answered || self.now >= self.last_call(disconnect.began) {
            self.step(Signal::Leave, "disconnected by the host");
        }
    }

    /// Returns the time until which written requests may still be answered: the last second of the budget is for the
    /// close.
    fn last_call(&self, began: Time) -> Time {
        let timing = &self.config.timing;
        began + clamp_timeout(timing.disconnect_budget.saturating_sub(timing.close_timeout))
    }

    /// Fetches a refused entry again over a new connection, once nothing is in flight.
    pub(super) fn redeliver_if_due(&mut self) {
        if let Some(why) = self.conn.redelivery()
            && self.requests.is_empty()
            && !self.inbox.has_unsettled(self.conn.id())
        {
            self.step(Signal::Redeliver, why);
        }
    }

    /// Returns all running timers, at most one of each kind.
    pub(super) fn timers(&self) -> [Option<(Time, Timer)>; 9] {
        let state = self.conn.state();
        let redial = (state == State::Waiting).then(|| (self.redial.due(), Timer::Redial));
        let [phase, silence] = self.conn.timers(&self.config.timing);
        let leaving = self.disconnect.as_ref().filter(|_| state.is_up());
        [
            redial,
            phase,
            silence,
            self.requests.next_timeout().map(|at| (at, Timer::Request)),
            self.streams.next_due().map(|at| (at, Timer::Stream)),
            self.turns.next_due().map(|at| (at, Timer::Turn)),
            self.idle_waiters.deadline().map(|at| (at, Timer::Idle)),
            leaving.map(|disconnect| (self.last_call(disconnect.began), Timer::Disconnect)),
            self.webhooks.next_timeout().map(|at| (at, Timer::Webhook)),
        ]
    }

    pub(super) fn fire(&mut self, timer: Timer) {
        let (signal, reason) = match timer {
            Timer::Redial => (Signal::DialDue, ""),
            Timer::Dial => (Signal::DialTimedOut, "the dial took too long"),
            Timer::Handshake => (Signal::HandshakeTimedOut, "no descriptor came in time"),
            Timer::Close => (Signal::CloseTimedOut, "the peer did not answer our close frame"),
            Timer::Silence => (Signal::Silent, "nothing was received for too long"),
            Timer::Ping => return self.conn.ping(self.now, !self.is_reading_paused),
            Timer::Request => return self.time_out_request(),
            Timer::Stream => return self.streams.rest_over(),
            Timer::Turn => return self.turn_due(),
            Timer::Idle => return self.idle_timed_out(),
            // `settle_state` closes the connection.
            Timer::Disconnect => return,
            Timer::Webhook => return self.time_out_webhook(),
        };
        self.step(signal, reason);
    }
}
