//! Decisions about sleeping: when a gateway goes dormant, and what wakes it. Without a clock or I/O.

use relayline_core::output::Phase;
use std::time::{Duration, Instant};

/// State of the connection, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Link {
    Connected,
    /// Closed, without a time for the next dial.
    Held,
    /// Closed, until the next dial.
    Waiting,
    /// Dialing, idle or closing.
    Changing,
}

impl Link {
    /// Returns the state for a phase. `is_due` says that the time of the next dial is known.
    pub(super) fn of(phase: Phase, is_due: bool) -> Link {
        match phase {
            Phase::Connected => Link::Connected,
            Phase::Waiting if is_due => Link::Waiting,
            Phase::Waiting => Link::Held,
            Phase::Dialing
            | Phase::Handshaking
            | Phase::Idle
            | Phase::Closing
            | Phase::Stopped
            | Phase::Revoked => Link::Changing,
        }
    }
}

/// Work of the host at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// True if a turn is open, a delivery is unsettled, or a request is in flight.
    pub(super) is_busy: bool,
    /// Time since the last activity.
    pub(super) idle_for: Duration,
}

/// Action for the task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SleepAction {
    /// Close the gate, and ask the connector to buffer.
    GoDormant,
    /// Open the gate: the gateway stays connected.
    Stay,
    /// Dial.
    Resume,
    /// Open the gate: ops have a connection, or fail.
    Open,
    /// Say that the machine may be suspended.
    Announce,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Awake,
    /// The connector was asked to buffer, at this time.
    Asking(Instant),
    /// The connector buffers, and the connection closes.
    Closing,
    Asleep,
    /// The gateway dials after a sleep.
    Waking,
}

#[derive(Debug)]
pub(super) struct Sleeper {
    /// Time without work after which the gateway sleeps.
    after: Duration,
    state: State,
    link: Link,
    /// Time of the next look at the work; `None` while the gateway cannot go dormant.
    due: Option<Instant>,
    /// Start of the connection.
    connected: Option<Instant>,
}

impl Sleeper {
    pub(super) fn new(after: Duration) -> Sleeper {
        Sleeper { after, state: State::Awake, link: Link::Waiting, due: None, connected: None }
    }

    /// Returns the time of the next [`handle_tick`](Self::handle_tick).
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due.filter(|_| self.state == State::Awake)
    }

    /// Returns true if the gateway sleeps.
    pub(super) fn is_asleep(&self) -> bool {
        self.state == State::Asleep
    }

    /// Handles a change of the connection.
    pub(super) fn handle_link(&mut self, now: Instant, link: Link) -> Option<SleepAction> {
        if std::mem::replace(&mut self.link, link) == link {
            return None;
        }
        self.connected = (link == Link::Connected).then_some(now);
        self.due = self.connected.and_then(|since| since.checked_add(self.after));
        match (self.state, link) {
            (State::Closing, Link::Held) => {
                self.state = State::Asleep;
                Some(SleepAction::Announce)
            }
            // A failed dial: ops fail as always.
            (State::Closing | State::Asleep | State::Waking, Link::Connected | Link::Waiting) => {
                self.state = State::Awake;
                Some(SleepAction::Open)
            }
            (State::Asleep, Link::Changing) => {
                // The host has resumed by itself.
                self.state = State::Waking;
                None
            }
            (State::Awake | State::Asking(_), _)
            | (State::Closing | State::Waking, Link::Changing)
            | (State::Asleep | State::Waking, Link::Held) => None,
        }
    }

    /// Looks at the work when it is due.
    pub(super) fn handle_tick(&mut self, now: Instant, work: Work) -> Option<SleepAction> {
        if self.state != State::Awake || self.due.is_none_or(|due| due > now) {
            return None;
        }
        let connected_for =
            self.connected.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let idle_for = work.idle_for.min(connected_for);
        if !work.is_busy && idle_for >= self.after {
            self.state = State::Asking(now);
            self.due = None;
            return Some(SleepAction::GoDormant);
        }
        // The end of work is an activity, so that nothing is missed in between.
        let wait = if work.is_busy { self.after } else { self.after - idle_for };
        self.due = now.checked_add(wait);
        None
    }

    /// Handles the answer to [`SleepAction::GoDormant`]. `confirmed` says that the connector buffers.
    pub(super) fn handle_answer(&mut self, now: Instant, confirmed: bool, work: Work) -> Option<SleepAction> {
        let State::Asking(asked) = self.state else { return None };
        if !confirmed {
            self.state = State::Awake;
            self.due = now.checked_add(self.after).filter(|_| self.link == Link::Connected);
            return Some(SleepAction::Stay);
        }
        if work.is_busy || work.idle_for < now.saturating_duration_since(asked) {
            self.state = State::Waking;
            return Some(SleepAction::Resume);
        }
        // The connection may have closed before the answer was handled.
        let has_closed = self.link == Link::Held;
        self.state = if has_closed { State::Asleep } else { State::Closing };
        has_closed.then_some(SleepAction::Announce)
    }

    /// Handles a request to wake up.
    pub(super) fn handle_wake(&mut self) -> Option<SleepAction> {
        match self.state {
            State::Asking(_) | State::Closing | State::Asleep => {
                self.state = State::Waking;
                Some(SleepAction::Resume)
            }
            // It waits after a failed dial.
            State::Awake if self.link == Link::Waiting => Some(SleepAction::Resume),
            State::Awake | State::Waking => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(600);
    const QUIET: Work = Work { is_busy: false, idle_for: AFTER };
    const BUSY: Work = Work { is_busy: true, idle_for: AFTER };

    fn idle_for(seconds: u64) -> Work {
        Work { is_busy: false, idle_for: Duration::from_secs(seconds) }
    }

    /// Returns a sleeper that is connected, and the time.
    fn connected() -> (Sleeper, Instant) {
        let (mut sleeper, now) = (Sleeper::new(AFTER), Instant::now());
        assert_eq!(sleeper.handle_link(now, Link::Changing), None);
        assert_eq!(sleeper.deadline(), None);
        assert_eq!(sleeper.handle_link(now, Link::Connected), None);
        (sleeper, now)
    }

    /// Returns a sleeper that is asleep, and the time.
    fn asleep() -> (Sleeper, Instant) {
        let (mut sleeper, now) = connected();
        let now = now + AFTER;
        assert_eq!(sleeper.handle_tick(now, QUIET), Some(SleepAction::GoDormant));
        assert_eq!(sleeper.handle_answer(now, true, QUIET), None);
        // A change that does not matter here.
        assert_eq!(sleeper.handle_link(now, Link::Connected), None);
        assert_eq!(sleeper.handle_link(now, Link::Changing), None);
        assert_eq!(sleeper.handle_link(now, Link::Held), Some(SleepAction::Announce));
        assert!(sleeper.is_asleep());
        (sleeper, now)
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn it_sleeps_after_the_time_without_work() {
        let (mut sleeper, start) = connected();
        assert_eq!(sleeper.deadline(), Some(start + AFTER));
        assert_eq!(sleeper.handle_tick(start + seconds(599), QUIET), None);
        // The last activity was 100 s ago, so that 500 s are missing.
        let now = start + AFTER;
        assert_eq!(sleeper.handle_tick(now, idle_for(100)), None);
        assert_eq!(sleeper.deadline(), Some(now + seconds(500)));
        assert_eq!(sleeper.handle_tick(now + seconds(500), QUIET), Some(SleepAction::GoDormant));
        assert_eq!(sleeper.deadline(), None);
    }

    #[test]
    fn it_does_not_sleep_with_work() {
        let (mut sleeper, start) = connected();
        for turn in 1..10 {
            let now = start + AFTER * turn;
            assert_eq!(sleeper.handle_tick(now, BUSY), None);
            assert_eq!(sleeper.deadline(), Some(now + AFTER));
        }
    }

    #[test]
    fn a_connection_counts_as_an_activity() {
        let (mut sleeper, now) = asleep();
        assert_eq!(sleeper.handle_wake(), Some(SleepAction::Resume));
        let now = now + seconds(3600);
        assert_eq!(sleeper.handle_link(now, Link::Changing), None);
        assert_eq!(sleeper.handle_link(now, Link::Connected), Some(SleepAction::Open));
        assert_eq!(sleeper.deadline(), Some(now + AFTER));
        assert_eq!(sleeper.handle_tick(now + seconds(1), QUIET), None);
        assert_eq!(sleeper.handle_tick(now + AFTER, QUIET), Some(SleepAction::GoDormant));
    }

    #[test]
    fn an_unconfirmed_sleep_is_tried_again_later() {
        let (mut sleeper, start) = connected();
        let now = start + AFTER;
        sleeper.handle_tick(now, QUIET);
        let answered = now + seconds(5);
        assert_eq!(sleeper.handle_answer(answered, false, QUIET), Some(SleepAction::Stay));
        assert_eq!(sleeper.deadline(), Some(answered + AFTER));
        // The connection was lost meanwhile: the next one counts.
        let (mut sleeper, start) = connected();
        let now = start + AFTER;
        sleeper.handle_tick(now, QUIET);
        sleeper.handle_link(now, Link::Held);
        assert_eq!(sleeper.handle_answer(now, false, QUIET), Some(SleepAction::Stay));
        assert_eq!(sleeper.deadline(), None);
    }

    #[test]
    fn an_activity_while_it_falls_asleep_wakes_it() {
        for work in [BUSY, idle_for(1)] {
            let (mut sleeper, start) = connected();
            let now = start + AFTER;
            sleeper.handle_tick(now, QUIET);
            assert_eq!(sleeper.handle_answer(now + seconds(2), true, work), Some(SleepAction::Resume));
            assert_eq!(sleeper.handle_link(now, Link::Changing), None);
            assert_eq!(sleeper.handle_link(now, Link::Connected), Some(SleepAction::Open));
        }
    }

    #[test]
    fn a_wake_is_heard_in_every_state() {
        let (mut sleeper, start) = connected();
        assert_eq!(sleeper.handle_wake(), None, "it is connected");
        sleeper.handle_tick(start + AFTER, QUIET);
        assert_eq!(sleeper.handle_wake(), Some(SleepAction::Resume), "it asks");
        assert_eq!(sleeper.handle_wake(), None, "it wakes already");
        assert_eq!(sleeper.handle_answer(start + AFTER, true, QUIET), None, "the answer is late");
        let (mut sleeper, start) = connected();
        sleeper.handle_tick(start + AFTER, QUIET);
        sleeper.handle_answer(start + AFTER, true, QUIET);
        assert_eq!(sleeper.handle_wake(), Some(SleepAction::Resume), "it closes");
        let (mut sleeper, now) = asleep();
        assert_eq!(sleeper.handle_wake(), Some(SleepAction::Resume), "it sleeps");
        // The dial fails: ops fail, and the next wake dials at once.
        assert_eq!(sleeper.handle_link(now, Link::Changing), None);
        assert_eq!(sleeper.handle_link(now, Link::Waiting), Some(SleepAction::Open));
        assert_eq!(sleeper.handle_wake(), Some(SleepAction::Resume), "it waits");
    }

    #[test]
    fn a_host_that_resumes_by_itself_is_awake() {
        let (mut sleeper, now) = asleep();
        assert_eq!(sleeper.handle_link(now, Link::Changing), None);
        assert!(!sleeper.is_asleep());
        assert_eq!(sleeper.handle_link(now, Link::Connected), Some(SleepAction::Open));
    }

    #[test]
    fn a_close_before_the_answer_counts() {
        let (mut sleeper, start) = connected();
        let now = start + AFTER;
        sleeper.handle_tick(now, QUIET);
        assert_eq!(sleeper.handle_link(now, Link::Held), None);
        assert_eq!(sleeper.handle_answer(now, true, QUIET), Some(SleepAction::Announce));
    }
}
