//! Observation of a wire: what both sides send, for a tool such as an inspector.
//!
//! Without an observer it costs a branch per message. Credentials of an upgrade do not reach an observer; frames are
//! passed on as they are.

use crate::trace::ORDINARY;
use hyper::body::Bytes;
use relayline_core::machine::{DialFailure, RelayMachine};
use relayline_core::output::{Phase, Timer};
use relayline_core::stats::Stats;
use relayline_core::time::Time;
use std::fmt;
use std::sync::Arc;

/// One end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WireSide {
    /// The gateway.
    Gateway,
    /// The connector.
    Connector,
}

/// Event on a wire, or of the machine that uses it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum WireEvent<'a> {
    /// A gateway dials.
    Dial {
        /// Path and query of the URL. A query may be secret.
        target: &'a str,
        /// Id of the gateway, if it is known.
        gateway_id: Option<&'a str>,
        /// True if the upgrade has a token.
        has_token: bool,
    },
    /// The dial has failed.
    DialFailed(DialFailure<'a>),
    /// A message was queued for writing, or was read.
    Message {
        /// Side that sent it.
        by: WireSide,
        /// Payload.
        bytes: &'a Bytes,
    },
    /// A close frame was queued for writing, or was read.
    Close {
        /// Side that sent it.
        by: WireSide,
        /// Code, if there is one.
        code: Option<u16>,
        /// Reason; may be empty.
        reason: &'a str,
    },
    /// The end of a dial that had opened a connection: without a close frame, or after one.
    Cut {
        /// Side that ended it.
        by: WireSide,
        /// Error of the connection; empty after a close frame.
        reason: &'a str,
    },
    /// The gateway's connection has this phase from now on.
    Phase(Phase),
    /// A timer of the gateway has fired.
    Timer(Timer),
    /// A counter of the gateway has increased, other than one that increases in normal operation.
    Counted(&'static str),
}

/// Observer of a wire.
pub trait WireObserver: Send + Sync {
    /// Notes an event of a dial, at a time since the start. Dials are counted from 1; an event before the first has 0.
    ///
    /// It is called with locks held: it must return at once, and must not call the gateway.
    fn observe(&self, at: Time, dial: u32, event: WireEvent<'_>);
}

impl fmt::Debug for dyn WireObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireObserver").finish_non_exhaustive()
    }
}

/// Observer of a dial, with its number.
#[derive(Clone, Debug)]
pub(crate) struct DialObserver {
    observer: Arc<dyn WireObserver>,
    dial: u32,
}

impl DialObserver {
    pub(crate) fn new(observer: Arc<dyn WireObserver>, dial: u32) -> DialObserver {
        DialObserver { observer, dial }
    }

    pub(crate) fn note(&self, at: Time, event: WireEvent<'_>) {
        self.observer.observe(at, self.dial, event);
    }
}

/// Phase and counters of a machine, as its observer knows them.
#[derive(Debug)]
pub(crate) struct ObservedMachine {
    observer: DialObserver,
    phase: Option<Phase>,
    /// `None` before the first comparison.
    stats: Option<Stats>,
}

impl ObservedMachine {
    pub(crate) fn new(observer: Arc<dyn WireObserver>) -> ObservedMachine {
        ObservedMachine { observer: DialObserver::new(observer, 0), phase: None, stats: None }
    }

    /// Begins a dial. Returns its observer.
    pub(crate) fn begin(&mut self, dial: u32) -> &DialObserver {
        self.observer.dial = dial;
        &self.observer
    }

    pub(crate) fn observer(&self) -> &DialObserver {
        &self.observer
    }

    /// Reports the changes of the machine since the last call.
    pub(crate) fn compare(&mut self, at: Time, machine: &RelayMachine) {
        let phase = machine.phase();
        if self.phase != Some(phase) {
            self.phase = Some(phase);
            self.observer.note(at, WireEvent::Phase(phase));
        }
        let stats = machine.stats();
        if self.stats.as_ref() != Some(stats) {
            let before = self.stats.replace(stats.clone());
            let grown = before.iter().flat_map(|before| stats.since(before));
            for (counter, _) in grown.filter(|(counter, _)| !ORDINARY.contains(counter)) {
                self.observer.note(at, WireEvent::Counted(counter));
            }
        }
    }
}
