//! Feed of a wire: a bounded queue between the sockets and the thread that describes what they carry.

use crate::recorder::UpgradeRejection;
use crate::recording::Side;
use hyper::body::Bytes;
use relayline_core::machine::DialFailure;
use relayline_core::output::{Phase, Timer};
use relayline_core::time::Time;
use relayline_runtime::observe::{WireEvent, WireObserver, WireSide};
use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Limits of a feed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct FeedLimits {
    /// Maximum number of events that wait; 32,768 by default.
    pub events: usize,
    /// Maximum size of these events in bytes; 32 MiB by default.
    pub bytes: usize,
}

impl Default for FeedLimits {
    fn default() -> Self {
        FeedLimits { events: 32_768, bytes: 32 << 20 }
    }
}

/// Event of a feed. Its content is for [`LiveSessions`](super::LiveSessions) only.
pub struct FeedEvent {
    pub(super) t_ms: u64,
    pub(super) dial: u32,
    pub(super) what: FeedContent,
    /// Number of events that were lost right before it.
    pub(super) lost_before: u64,
}

impl fmt::Debug for FeedEvent {
    /// Prints no content: a target may have a secret in its query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedEvent")
            .field("t_ms", &self.t_ms)
            .field("dial", &self.dial)
            .finish_non_exhaustive()
    }
}

pub(super) enum FeedContent {
    Dial { target: String, gateway_id: Option<String>, has_token: bool },
    Unanswered(String),
    Refused(UpgradeRejection),
    Message { by: Side, bytes: Bytes },
    Close { by: Side, code: Option<u16>, reason: String },
    Cut { by: Side, reason: String },
    Phase(Phase),
    Timer(Timer),
    Counted(&'static str),
    Unknown,
}

impl FeedContent {
    fn of(event: &WireEvent<'_>) -> FeedContent {
        match *event {
            WireEvent::Dial { target, gateway_id, has_token } => FeedContent::Dial {
                target: target.to_owned(),
                gateway_id: gateway_id.map(str::to_owned),
                has_token,
            },
            WireEvent::DialFailed(DialFailure::Unanswered(why)) => FeedContent::Unanswered(why.to_owned()),
            WireEvent::DialFailed(DialFailure::Refused(refusal)) => FeedContent::Refused(UpgradeRejection {
                status: refusal.status,
                body: refusal.body.to_vec(),
                is_cut: !refusal.is_whole,
                has_challenge: refusal.has_challenge,
                retry_after: refusal.retry_after.map(str::to_owned),
                location: refusal.location.map(str::to_owned),
            }),
            WireEvent::Message { by, bytes } => FeedContent::Message { by: side(by), bytes: bytes.clone() },
            WireEvent::Close { by, code, reason } => {
                FeedContent::Close { by: side(by), code, reason: reason.to_owned() }
            }
            WireEvent::Cut { by, reason } => FeedContent::Cut { by: side(by), reason: reason.to_owned() },
            WireEvent::Phase(phase) => FeedContent::Phase(phase),
            WireEvent::Timer(timer) => FeedContent::Timer(timer),
            WireEvent::Counted(counter) => FeedContent::Counted(counter),
            _ => FeedContent::Unknown,
        }
    }

    /// Returns true if nothing follows on the dial.
    pub(super) fn ends_dial(&self) -> bool {
        matches!(self, FeedContent::Cut { .. } | FeedContent::Unanswered(_) | FeedContent::Refused(_))
    }

    /// Returns the approximate size in memory.
    fn size(&self) -> usize {
        let fixed = 160;
        fixed
            + match self {
                FeedContent::Message { bytes, .. } => bytes.len(),
                FeedContent::Refused(refused) => refused.body.len(),
                FeedContent::Unanswered(text) => text.len(),
                FeedContent::Close { reason, .. } | FeedContent::Cut { reason, .. } => reason.len(),
                FeedContent::Dial { target, .. } => target.len(),
                FeedContent::Phase(_)
                | FeedContent::Timer(_)
                | FeedContent::Counted(_)
                | FeedContent::Unknown => 0,
            }
    }
}

fn side(side: WireSide) -> Side {
    match side {
        WireSide::Gateway => Side::Gateway,
        WireSide::Connector => Side::Connector,
    }
}

/// Observer of a wire that queues its events for another thread.
#[derive(Debug)]
pub struct LiveFeed {
    limits: FeedLimits,
    state: Mutex<FeedState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct FeedState {
    events: VecDeque<FeedEvent>,
    bytes: usize,
    /// Time of the last event.
    last: Time,
    /// Number of events that were lost.
    lost: u64,
    /// Number of events that were lost since the last queued one.
    lost_since: u64,
    is_closed: bool,
    /// True while the reader waits.
    is_awaited: bool,
}

impl LiveFeed {
    /// Creates an empty feed.
    pub fn new(limits: FeedLimits) -> LiveFeed {
        LiveFeed { limits, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Takes all events. Waits for one, up to a time; then there may be none. Returns `None` once the feed is closed and
    /// empty.
    pub fn take(&self, timeout: Duration) -> Option<VecDeque<FeedEvent>> {
        let mut state = self.lock();
        if state.events.is_empty() && !state.is_closed {
            state.is_awaited = true;
            let awaited = self
                .changed
                .wait_timeout_while(state, timeout, |state| state.events.is_empty() && !state.is_closed);
            state = awaited.unwrap_or_else(PoisonError::into_inner).0;
            state.is_awaited = false;
        }
        state.bytes = 0;
        let events = mem::take(&mut state.events);
        if events.is_empty() && state.is_closed { None } else { Some(events) }
    }

    /// Ends the feed. Further events are ignored.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Returns the number of events that were lost for want of room.
    pub fn lost(&self) -> u64 {
        self.lock().lost
    }

    fn lock(&self) -> MutexGuard<'_, FeedState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WireObserver for LiveFeed {
    fn observe(&self, at: Time, dial: u32, event: WireEvent<'_>) {
        let what = FeedContent::of(&event);
        let size = what.size();
        let mut state = self.lock();
        if state.is_closed {
            return;
        }
        if state.events.len() >= self.limits.events || state.bytes + size > self.limits.bytes {
            state.lost += 1;
            state.lost_since += 1;
            return;
        }
        state.bytes += size;
        // A thread may have read the clock before another one, and note its event after that.
        state.last = state.last.max(at);
        let (t_ms, lost_before) = (state.last.as_millis(), mem::take(&mut state.lost_since));
        state.events.push_back(FeedEvent { t_ms, dial, what, lost_before });
        // A wake-up is a system call, so only a reader that waits gets one.
        if mem::take(&mut state.is_awaited) {
            drop(state);
            self.changed.notify_one();
        }
    }
}
