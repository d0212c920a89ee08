//! Gate of ops: closed while the gateway sleeps. An op that needs the connection wakes the gateway, and waits.

use crate::bridge::ChangeSignal;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use relayline_core::output::Phase;
use relayline_runtime::Relay;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::task::{Context, Poll};

/// State of the gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum GateState {
    #[default]
    Open,
    /// The gateway sleeps, or falls asleep.
    Asleep,
    /// The gateway dials after a sleep.
    Waking,
}

/// Gate that those who submit ops share with the sleeper's task. Open for a gateway that never sleeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct SleepGate(Arc<(RwLock<GateState>, ChangeSignal)>);

impl SleepGate {
    /// Requests the gateway to wake up. Does nothing if it is connected.
    pub(crate) fn request_wake(&self) {
        self.0.1.set();
    }

    /// Polls for a request to wake up since the last one. One task waits for it.
    pub(super) fn poll_wake(&self, cx: &Context<'_>) -> Poll<()> {
        self.0.1.poll(cx)
    }

    /// Returns true while the gateway sleeps.
    pub(crate) fn is_asleep(&self) -> bool {
        *self.0.0.read().unwrap_or_else(PoisonError::into_inner) == GateState::Asleep
    }

    /// Keeps the gate open until the result is dropped; `None` if it is closed.
    pub(crate) fn enter(&self) -> Option<OpenGate<'_>> {
        let state = self.0.0.read().unwrap_or_else(PoisonError::into_inner);
        (*state == GateState::Open).then_some(OpenGate(state))
    }

    /// Locks the gate, after the ops that are being submitted.
    pub(super) fn lock(&self) -> RwLockWriteGuard<'_, GateState> {
        self.0.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the gateway. The result is ready once it is connected, or has failed to connect.
    pub(crate) fn wake_up(&self, relay: &Relay) -> BoxFuture<'static, ()> {
        self.request_wake();
        let mut states = relay.watch();
        async move {
            while let Some(state) = states.next().await {
                // Of a gateway that sleeps the time of the next dial is not known.
                let has_failed = state.phase == Phase::Waiting && state.next_dial.is_some();
                if has_failed || state.phase == Phase::Connected {
                    return;
                }
            }
        }
        .boxed()
    }
}

/// Proof that the gate is open.
#[derive(Debug)]
pub(crate) struct OpenGate<'g>(#[expect(dead_code, reason = "it is held")] RwLockReadGuard<'g, GateState>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_gate_lets_nothing_through() {
        let gate = SleepGate::default();
        assert!(gate.enter().is_some());
        for (state, is_open) in
            [(GateState::Asleep, false), (GateState::Waking, false), (GateState::Open, true)]
        {
            *gate.lock() = state;
            assert_eq!(gate.enter().is_some(), is_open, "{state:?}");
        }
    }

    #[test]
    fn a_wake_is_kept_until_it_is_polled() {
        let gate = SleepGate::default();
        let cx = Context::from_waker(std::task::Waker::noop());
        assert!(gate.poll_wake(&cx).is_pending());
        gate.clone().request_wake();
        assert!(gate.poll_wake(&cx).is_ready());
        assert!(gate.poll_wake(&cx).is_pending());
    }
}
