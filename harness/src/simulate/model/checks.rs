//! Checks of the model: at any time, after a tick, and when the machine is drained.

use super::requests::RequestKind;
use super::{Model, ModelSocket};
use crate::simulate::oracle::Oracle;
use relayline_core::config::Timing;
use relayline_core::machine::RelayMachine;
use relayline_core::output::{Conn, Phase};
use relayline_core::stats::Stats;
use relayline_core::time::Time;
use std::sync::LazyLock;
use std::time::Duration;

impl Model {
    /// Records the machine's phase, and pauses of reading, after each call.
    pub(crate) fn observe(&mut self, machine: &RelayMachine) {
        self.phase = machine.phase();
        let open = match self.phase {
            Phase::Handshaking | Phase::Connected | Phase::Idle | Phase::Closing => true,
            Phase::Waiting | Phase::Dialing | Phase::Stopped | Phase::Revoked => false,
        };
        let paused = open && !machine.wants_read();
        if paused != self.dials.paused {
            self.dials.paused = paused;
            self.dials.record_input(self.now);
        }
    }

    /// Checks a machine whose outputs are all taken.
    pub(crate) fn check_drained(&mut self, oracle: &mut Oracle, machine: &RelayMachine, host_takes: bool) {
        let over = self.is_over();
        let overdue = self.requests.pending.iter().find(|(_, pending)| pending.due.is_some());
        oracle.check("O-1", "answered-completes-at-once", overdue.is_none(), || {
            format!("{overdue:?} still waits")
        });
        oracle.check("L-16", "interrupts-get-through", self.interrupts.is_empty() || over, || {
            format!("{:?} did not reach the host", self.interrupts)
        });
        oracle.check("I-3", "stale-answers-are-told", self.stale.is_empty() || over, || {
            format!("{:?}", self.stale)
        });
        oracle.check("I-8", "unauthorized-answers-are-told", self.unauthorized.is_empty() || over, || {
            format!("{:?}", self.unauthorized)
        });
        oracle.check("A-3", "dead-letters-are-told", self.dead_letters.is_empty() || over, || {
            format!("{:?} were not", self.dead_letters)
        });
        oracle.check("L-4", "a-descriptor-connects", !self.conn.is_to_connect || over, || {
            "it did not".to_owned()
        });
        oracle.check("L-10", "revoked-is-fatal", !self.must_be_fatal, || "the host was not told".to_owned());
        oracle.check("L-14", "left-is-stopped", !self.must_stop, || "the host was not told".to_owned());
        oracle.check("L-9", "dials-at-once", !self.must_dial || over, || "it does not dial".to_owned());
        oracle
            .check("L-13", "sleep-is-told", !self.must_sleep || over, || "the host was not told".to_owned());
        self.check_phase(oracle, machine);
        self.check_written(oracle);
        if host_takes && !over {
            let early = self.early();
            let first = self.inbox.waiting.iter().find(|first| Some(first.conn) != early);
            let waits = first.filter(|first| {
                (first.entry.is_none() && first.post.is_none()) || !self.has_too_many_unsettled()
            });
            oracle.check("A-6", "what-waits-is-handed-over", waits.is_none(), || format!("{waits:?} waits"));
        }
        let unanswered = self.inbox.posts.unanswered();
        oracle
            .check("H-6", "who-waits-is-answered", unanswered.is_none(), || format!("{unanswered:?} is not"));
        let held = machine.usage();
        self.check_usage(oracle, machine, &held);
        self.check_seals(oracle, &held);
        self.check_indicators(oracle, machine, &held);
        self.check_turn_timeouts(oracle, machine);
        self.check_counters(oracle, machine.stats());
    }

    /// Compares the machine's counters with the model's, if either has changed.
    fn check_counters(&mut self, oracle: &mut Oracle, stats: &Stats) {
        if !self.has_counted && self.compared.as_ref() == Some(stats) {
            return;
        }
        (self.has_counted, self.compared) = (false, Some(stats.clone()));
        for (((name, value), rule), expected) in stats.iter().zip(&*RULES_OF_COUNTERS).zip(&self.counts) {
            let Some(rule) = rule.filter(|_| value != *expected) else { continue };
            oracle.fail(rule, "counters-tell-the-truth", || {
                format!("{name} is {value}, and should be {expected}")
            });
        }
    }

    /// Checks that everything that may be written is written, if the socket has room.
    fn check_written(&self, oracle: &mut Oracle) {
        let Some(conn) = self.dials.open().filter(|_| self.can_write && self.dials.closing.is_none()) else {
            return;
        };
        let owed = self.inbox.owed.iter().find(|((of, _), _)| *of == conn.number());
        oracle.check("A-1", "taken-is-acknowledged", owed.is_none(), || format!("{owed:?} is owed"));
        let unwritten = self.requests.pending.iter().find(|(_, pending)| {
            !pending.written
                && matches!(
                    pending.kind,
                    RequestKind::Asked | RequestKind::Info | RequestKind::Typing | RequestKind::Prompt
                )
        });
        oracle.check("O-3", "accepted-is-written", unwritten.is_none(), || format!("{unwritten:?}"));
    }

    fn check_phase(&self, oracle: &mut Oracle, machine: &RelayMachine) {
        let phase = machine.phase();
        let fits = match phase {
            Phase::Waiting => self.dials.socket == ModelSocket::None && !self.is_over(),
            Phase::Dialing => matches!(self.dials.socket, ModelSocket::Dialing(_)),
            Phase::Handshaking => self.dials.open().is_some() && self.dials.up.is_none(),
            Phase::Connected | Phase::Idle => self.dials.open().is_some() && self.dials.up.is_some(),
            Phase::Closing => self.dials.open().is_some(),
            Phase::Stopped => self.has_stopped,
            Phase::Revoked => self.is_fatal,
        };
        oracle
            .check("L-6", "the-phase-is-what-it-seems", fits, || format!("{phase:?}, with {:?}", self.dials));
    }

    /// Checks the machine after a tick at its latest time.
    pub(crate) fn check_after_tick(&mut self, oracle: &mut Oracle, machine: &RelayMachine) {
        self.turns.end_tick();
        let due = machine.deadline();
        oracle.check("L-15", "nothing-stays-due", due.is_none_or(|(due, _)| due > self.now), || {
            format!("{due:?} is due at {}", self.now)
        });
        let timing = self.config.timing.clone();
        self.check_timeouts(oracle, &timing);
        if let Some(leaving) = self.dials.leaving.filter(|_| !self.is_over()) {
            // After a jump of the clock the close begins late, but still has its full time.
            let closed = self.dials.closing.map_or(Time::ZERO, |(at, _)| at + timing.close_timeout);
            let end = (leaving + timing.disconnect_budget).max(closed);
            oracle.check("L-14", "disconnects-in-time", self.now <= end, || {
                format!("it should have ended at {end}")
            });
        }
        match self.dials.socket {
            ModelSocket::None => {
                let latest = self.dials.latest().filter(|_| !self.is_over());
                oracle.check("L-5", "dials-in-time", latest.is_none_or(|latest| self.now <= latest), || {
                    format!("no dial at {}, and {latest:?} is over", self.now)
                });
            }
            ModelSocket::Dialing(conn) => {
                let end = self.dials.since + timing.dial_timeout;
                oracle.check("L-4", "a-dial-ends-in-time", self.now <= end, || {
                    format!("{conn} began at {}", self.dials.since)
                });
            }
            ModelSocket::Open(conn) => self.check_open_timeouts(oracle, conn, &timing),
        }
    }

    fn check_open_timeouts(&self, oracle: &mut Oracle, conn: Conn, timing: &Timing) {
        if self.dials.up.is_none() && self.dials.closing.is_none() {
            let end = self.dials.since + timing.handshake_timeout + timing.close_timeout;
            // The close frame may have to wait for the socket.
            oracle.check("L-4", "a-handshake-ends-in-time", self.now <= end || !self.can_write, || {
                format!("{conn} opened at {}", self.dials.since)
            });
        }
        if let Some((closed, _)) = self.dials.closing {
            let end = closed + timing.close_timeout;
            oracle.check("L-4", "a-close-ends-in-time", self.now <= end, || {
                format!("{conn} closed at {closed}")
            });
        } else if !self.dials.paused {
            let (heard, pinged) = (self.dials.heard, self.dials.pinged);
            let end = match pinged {
                Some(pinged) => pinged + timing.ping_timeout,
                None if self.can_write => heard + timing.ping_interval,
                None => Time::NEVER,
            };
            oracle.check("L-11", "silence-ends-a-connection", self.now <= end, || {
                format!("{conn} was heard of at {heard}, and pinged at {pinged:?}")
            });
        }
    }

    /// Checks that no request waits longer than its timeout.
    fn check_timeouts(&self, oracle: &mut Oracle, timing: &Timing) {
        let late = self.requests.pending.iter().find(|(_, pending)| {
            let most = match pending.kind {
                RequestKind::Asked
                | RequestKind::Info
                | RequestKind::Typing
                | RequestKind::Prompt
                | RequestKind::Interrupt => timing.request_timeout,
                RequestKind::GoIdle | RequestKind::GoDormant => timing.idle_timeout,
                RequestKind::State | RequestKind::Now => Duration::ZERO,
                // `disconnects-in-time` checks these.
                RequestKind::Disconnect | RequestKind::Stream => return false,
            };
            self.now.since(pending.since) > most
        });
        let overdue = self.inbox.posts.overdue(self.now, timing.delivery_timeout);
        oracle.check("H-6", "answers-in-time", overdue.is_none(), || {
            format!("{overdue:?} waits at {}", self.now)
        });
        oracle
            .check("O-4", "completes-in-time", late.is_none(), || format!("{late:?} waits at {}", self.now));
    }
}

/// Rule of each counter, in the order of [`Stats::iter`]; `None` for one that the model does not predict. Counters are
/// compared after almost each event, so no name is searched then.
static RULES_OF_COUNTERS: LazyLock<Vec<Option<&'static str>>> = LazyLock::new(|| {
    let stats = Stats::default();
    let rule =
        |name: &str| PREDICTED_COUNTERS.iter().find(|(counter, _)| *counter == name).map(|(_, rule)| *rule);
    stats.iter().map(|(name, _)| rule(name)).collect()
});

/// Counters that the model predicts, with their rules.
const PREDICTED_COUNTERS: &[(&str, &str)] = &[
    ("malformed_lines", "W-3"),
    ("overlong_lines", "W-5"),
    ("unknown_frames", "W-4"),
    ("keyless_interrupts", "L-16"),
    ("unusable_events", "A-3"),
    ("silent_interactions", "P-6"),
    ("undecodable_bodies", "P-1"),
    ("unwanted_forwards", "P-2"),
    ("foreign_answers", "I-3"),
    ("late_answers", "I-3"),
    ("stale_answers", "I-3"),
    ("unauthorized_answers", "I-8"),
    ("prompts_evicted", "I-2"),
    ("duplicates", "A-4"),
    ("waiters_dropped", "A-4"),
    ("early_dropped", "L-17"),
    ("dropped_at_end", "X-2"),
    ("refusals", "L-9"),
    ("dials", "L-6"),
    ("handshakes", "L-4"),
    ("delivered", "A-6"),
    ("acks", "A-1"),
    ("not_accepted", "O-3"),
    ("dropped_ops", "D-6"),
    ("turns_evicted", "O-15"),
    ("http_requests", "H-6"),
    ("unknown_http_requests", "H-6"),
    ("unsigned_deliveries", "C-3"),
    ("slow_deliveries", "H-6"),
    ("overlong_deliveries", "H-6"),
    ("unusable_deliveries", "H-6"),
    ("deliveries_turned_away", "H-6"),
    ("deliveries_expired", "H-6"),
];
