//! The relay of the bridge, which may outlive an agent: its items, and its end.

use super::media::Media;
use super::monitor::Monitor;
use super::settings::AgentSettings;
use crate::approvals::PromptPolicy;
use crate::signals::Shutdown;
use futures_util::future::{BoxFuture, Fuse, FutureExt};
use futures_util::stream::StreamExt;
use relayline_core::command::Command;
use relayline_core::output::{Fatal, Phase};
use relayline_runtime::{Inbox, Incoming, Relay, Watch};
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Cause of a disconnect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cause {
    /// The agent's output ended.
    OutputEnded,
    /// The agent closed its input.
    InputClosed,
    /// The agent requested it.
    Requested,
    /// A request to stop, for instance a signal.
    Stopped(&'static str),
    /// The agent writes and does not read.
    DoesNotRead,
}

impl Cause {
    /// Returns the text for people.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Cause::OutputEnded => "the agent's output ended",
            Cause::InputClosed => "the agent closed its input",
            Cause::Requested => "the agent asked to disconnect",
            Cause::Stopped(reason) => reason,
            Cause::DoesNotRead => "the agent writes and does not read",
        }
    }
}

/// End of the relay.
#[derive(Clone, Debug)]
pub(crate) struct GatewayEnd {
    fatal: Option<Fatal>,
    since: Instant,
}

pub(crate) struct Gateway {
    pub(crate) relay: Relay,
    inbox: Inbox,
    /// Detects the end while the inbox is not polled.
    watch: Watch,
    stop: Fuse<BoxFuture<'static, &'static str>>,
    pub(crate) settings: AgentSettings,
    pub(crate) auto_ack: bool,
    pub(crate) media: Media,
    pub(crate) monitor: Monitor,
    /// Where the agent's prompts are shown, and who may answer them.
    pub(crate) prompts: PromptPolicy,
    /// Cause and time of the disconnect.
    leaving: Option<(Cause, Instant)>,
    pub(crate) ended: Option<GatewayEnd>,
    /// True if the current agent has missed the notice of the connection.
    missed_connected: bool,
}

/// Time beyond its budget after which a disconnect is abandoned.
pub(crate) const GRACE: Duration = Duration::from_millis(250);

impl Gateway {
    pub(crate) fn new(
        relay: Relay,
        inbox: Inbox,
        shutdown: &Shutdown,
        settings: AgentSettings,
        auto_ack: bool,
        media: Media,
        monitor: Monitor,
    ) -> Gateway {
        let (watch, stop) = (relay.watch(), shutdown.triggered().boxed().fuse());
        Gateway {
            relay,
            inbox,
            watch,
            stop,
            settings,
            auto_ack,
            media,
            monitor,
            prompts: PromptPolicy::default(),
            leaving: None,
            ended: None,
            missed_connected: false,
        }
    }

    pub(crate) fn cause(&self) -> Option<Cause> {
        self.leaving.map(|(cause, _)| cause)
    }

    pub(crate) fn fatal(&self) -> Option<Fatal> {
        self.ended.as_ref().and_then(|end| end.fatal.clone())
    }

    /// Returns true if the relay is connected and a new agent has missed the notice.
    pub(crate) fn take_missed_connected(&mut self) -> bool {
        let missed_connected = std::mem::replace(&mut self.missed_connected, true);
        missed_connected && matches!(self.relay.phase(), Phase::Connected | Phase::Idle)
    }

    /// Returns the budget of a disconnect (L-14).
    pub(crate) fn budget(&self) -> Duration {
        self.relay.config().machine.timing.disconnect_budget
    }

    /// Sets the cause of the disconnect. Returns false if there is one already. The caller submits the disconnect.
    pub(crate) fn begin_leaving(&mut self, cause: Cause) -> bool {
        let is_first = self.leaving.is_none();
        self.leaving.get_or_insert_with(|| (cause, Instant::now()));
        is_first
    }

    /// Returns the time by which the relay must have ended after a disconnect or a revocation.
    pub(crate) fn ends_by(&self) -> Instant {
        let since = self.leaving.map(|(_, since)| since);
        since.or(self.ended.as_ref().map(|end| end.since)).unwrap_or_else(Instant::now) + self.budget()
    }

    /// Returns the time at which a disconnect is abandoned.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.leaving.map(|(_, since)| since + self.budget() + GRACE)
    }

    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|due| now >= due)
    }

    /// Returns the reason for the `disconnected` line if the gateway itself disconnected.
    pub(crate) fn reason(&self, retry_in: Option<Duration>) -> Option<&'static str> {
        self.cause().filter(|_| retry_in.is_none()).map(Cause::text)
    }

    /// Polls for a request to stop. Ready once.
    pub(crate) fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
        self.stop.poll_unpin(cx)
    }

    /// Polls for items: all with `events`, else interrupts and notices with `urgent`, else the end only.
    pub(crate) fn poll_incoming(
        &mut self,
        cx: &mut Context<'_>,
        events: bool,
        urgent: bool,
    ) -> Poll<Option<Incoming>> {
        if self.ended.is_some() {
            return Poll::Pending;
        }
        if events {
            return self.inbox.poll_next_unpin(cx);
        }
        let mut has_ended = || loop {
            match self.watch.poll_next_unpin(cx) {
                Poll::Ready(Some(_)) => {}
                Poll::Ready(None) => break true,
                Poll::Pending => break false,
            }
        };
        if urgent || has_ended() { self.inbox.poll_urgent(cx) } else { Poll::Pending }
    }

    /// Notes the end of the relay. Returns other items, which are for the agent.
    pub(crate) fn note_end(&mut self, incoming: Option<Incoming>) -> Option<Incoming> {
        let fatal = match incoming {
            Some(Incoming::Fatal(fatal)) => Some(fatal),
            None => None,
            other => return other,
        };
        self.ended = Some(GatewayEnd { fatal, since: Instant::now() });
        None
    }

    /// Waits for `what` without an agent: notices and interrupts are dropped, and events stay queued. Returns `None` if the
    /// relay ends first, or on a request to stop.
    pub(crate) async fn without_agent<T>(&mut self, what: impl Future<Output = T>) -> Option<T> {
        let mut what = std::pin::pin!(what);
        loop {
            let next = poll_fn(|cx| {
                if let Poll::Ready(done) = what.as_mut().poll(cx) {
                    return Poll::Ready(Ok(done));
                }
                if let Poll::Ready(reason) = self.poll_stop(cx) {
                    self.begin_leaving(Cause::Stopped(reason));
                }
                if self.leaving.is_some() {
                    return Poll::Ready(Err(()));
                }
                if let Poll::Ready(incoming) = self.poll_incoming(cx, false, true) {
                    self.note_end(incoming);
                    self.missed_connected = true;
                    return Poll::Ready(Err(()));
                }
                Poll::Pending
            });
            match next.await {
                Ok(done) => return Some(done),
                Err(()) if self.leaving.is_some() || self.ended.is_some() => return None,
                Err(()) => {}
            }
        }
    }

    /// Disconnects without an agent, and waits for the end.
    pub(crate) async fn leave_without_agent(&mut self, cause: Cause) {
        self.begin_leaving(cause);
        // It is refused only if the relay has ended.
        let _answer = self.relay.submit(Command::Disconnect);
        let mut timer = smol::Timer::at(self.ends_by());
        while self.ended.is_none() {
            let incoming = poll_fn(|cx| match timer.poll_unpin(cx) {
                Poll::Ready(_) => Poll::Ready(None),
                Poll::Pending => self.poll_incoming(cx, false, true),
            });
            let incoming = incoming.await;
            self.note_end(incoming);
        }
    }
}
