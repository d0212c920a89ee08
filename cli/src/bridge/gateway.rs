//! The relay's life, which may be longer than an agent's: what comes in, why it is to end, and by when.

use super::media::Media;
use super::settings::AgentSettings;
use crate::signals::Shutdown;
use futures_util::future::{BoxFuture, Fuse, FutureExt};
use futures_util::stream::StreamExt;
use relayline_core::command::Command;
use relayline_core::output::{Fatal, Phase};
use relayline_runtime::{Inbox, Incoming, Relay, Watch};
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Why the gateway disconnects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cause {
    /// The agent's output ended.
    OutputEnded,
    /// The agent closed its input.
    InputClosed,
    /// The agent asked to.
    Asked,
    /// It was asked to stop, by a signal for instance.
    Stopped(&'static str),
    /// The agent writes and does not read.
    DoesNotRead,
}

impl Cause {
    /// What people are told.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Cause::OutputEnded => "the agent's output ended",
            Cause::InputClosed => "the agent closed its input",
            Cause::Asked => "the agent asked to disconnect",
            Cause::Stopped(reason) => reason,
            Cause::DoesNotRead => "the agent writes and does not read",
        }
    }
}

/// The relay is over, and how.
#[derive(Clone, Debug)]
pub(super) struct Over {
    fatal: Option<Fatal>,
    since: Instant,
}

pub(super) struct Gateway {
    pub(super) relay: Relay,
    inbox: Inbox,
    /// Tells of the end where nothing is taken from the inbox.
    watch: Watch,
    stop: Fuse<BoxFuture<'static, &'static str>>,
    pub(super) settings: AgentSettings,
    pub(super) auto_ack: bool,
    pub(super) media: Media,
    /// Why it disconnects, and since when.
    leaving: Option<(Cause, Instant)>,
    pub(super) over: Option<Over>,
    /// What the connection can do was told to no agent that is there.
    untold: bool,
}

/// What a disconnect may take over its budget before it is given up on.
pub(super) const GRACE: Duration = Duration::from_millis(250);

impl Gateway {
    pub(super) fn new(
        relay: Relay,
        inbox: Inbox,
        shutdown: &Shutdown,
        settings: AgentSettings,
        auto_ack: bool,
        media: Media,
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
            leaving: None,
            over: None,
            untold: false,
        }
    }

    pub(super) fn cause(&self) -> Option<Cause> {
        self.leaving.map(|(cause, _)| cause)
    }

    pub(super) fn fatal(&self) -> Option<Fatal> {
        self.over.as_ref().and_then(|over| over.fatal.clone())
    }

    /// Whether an agent that begins is to be told that it is connected: it has missed the notice.
    pub(super) fn begins_connected(&mut self) -> bool {
        let untold = std::mem::replace(&mut self.untold, true);
        untold && matches!(self.relay.phase(), Phase::Connected | Phase::Idle)
    }

    /// What a disconnect may take in all (L-14).
    pub(super) fn budget(&self) -> Duration {
        self.relay.config().machine.timing.disconnect_budget
    }

    /// Notes why it disconnects; `false` when it does already. The disconnect itself is the caller's to submit.
    pub(super) fn begin_leaving(&mut self, cause: Cause) -> bool {
        let is_first = self.leaving.is_none();
        self.leaving.get_or_insert_with(|| (cause, Instant::now()));
        is_first
    }

    /// When it is to have ended, from the disconnect or the revocation on.
    pub(super) fn ends_by(&self) -> Instant {
        let since = self.leaving.map(|(_, since)| since);
        since.or(self.over.as_ref().map(|over| over.since)).unwrap_or_else(Instant::now) + self.budget()
    }

    /// When to give up on a disconnect that does not end.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.leaving.map(|(_, since)| since + self.budget() + GRACE)
    }

    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|due| now >= due)
    }

    /// What `disconnected` says of an end that was ours.
    pub(super) fn reason(&self, retry_in: Option<Duration>) -> Option<&'static str> {
        self.cause().filter(|_| retry_in.is_none()).map(Cause::text)
    }

    /// Ready when it is asked to stop, once.
    pub(super) fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
        self.stop.poll_unpin(cx)
    }

    /// Polls for what comes in: with `events` all of it, else with `urgent` interrupts and notices, else only the end.
    pub(super) fn poll_incoming(
        &mut self,
        cx: &mut Context<'_>,
        events: bool,
        urgent: bool,
    ) -> Poll<Option<Incoming>> {
        if self.over.is_some() {
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

    /// Notes the end, and gives back what is the agent's to hear.
    pub(super) fn sort(&mut self, incoming: Option<Incoming>) -> Option<Incoming> {
        let fatal = match incoming {
            Some(Incoming::Fatal(fatal)) => Some(fatal),
            None => None,
            other => return other,
        };
        self.over = Some(Over { fatal, since: Instant::now() });
        None
    }

    /// Waits for `what` with no agent there: notices and interrupts are for nobody, and events wait. `None` when the
    /// relay is over, or is to end, first.
    pub(super) async fn without_agent<T>(&mut self, what: impl Future<Output = T>) -> Option<T> {
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
                    self.sort(incoming);
                    self.untold = true;
                    return Poll::Ready(Err(()));
                }
                Poll::Pending
            });
            match next.await {
                Ok(done) => return Some(done),
                Err(()) if self.leaving.is_some() || self.over.is_some() => return None,
                Err(()) => {}
            }
        }
    }

    /// Disconnects with no agent there, and waits for the end.
    pub(super) async fn leave_without_agent(&mut self, cause: Cause) {
        self.begin_leaving(cause);
        // It is refused only where it is over already.
        let _answer = self.relay.submit(Command::Disconnect);
        let mut timer = smol::Timer::at(self.ends_by());
        while self.over.is_none() {
            let incoming = poll_fn(|cx| match timer.poll_unpin(cx) {
                Poll::Ready(_) => Poll::Ready(None),
                Poll::Pending => self.poll_incoming(cx, false, true),
            });
            let incoming = incoming.await;
            self.sort(incoming);
        }
    }
}
