//! The relay of the bridge, which may outlive an agent: its items, and its end.

use super::AgentEnd;
use super::delivery::Item;
use super::media::Media;
use super::monitor::Monitor;
use super::queue_prompts::QueuePrompts;
use super::settings::AgentSettings;
use crate::approvals::PromptPolicy;
use crate::inspector::Inspector;
use crate::signals::Shutdown;
use futures_util::future::{BoxFuture, Fuse, FutureExt};
use futures_util::stream::StreamExt;
use relayline_core::command::Command;
use relayline_core::output::{Fatal, Phase};
use relayline_queue::inbox::{DurableInbox, DurableQueue};
use relayline_queue::output::AgentEnd as QueuedEnd;
use relayline_runtime::{Inbox, Relay, Watch};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
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

/// Part of a gateway that all of its agents share.
#[derive(Debug, Default)]
struct Lifetime {
    /// Cause and time of the disconnect.
    leaving: Cell<Option<(Cause, Instant)>>,
    ended: RefCell<Option<GatewayEnd>>,
}

/// Source of an agent's items.
enum Source {
    /// The relay itself, for a single agent.
    Relay(Inbox),
    /// The queue, which is served while there is an agent.
    Queue(DurableQueue, Option<DurableInbox>),
}

/// The relay as one agent sees it.
pub(crate) struct Gateway {
    pub(crate) relay: Relay,
    source: Source,
    /// Detects the end while the source is not polled.
    watch: Watch,
    stop: Fuse<BoxFuture<'static, &'static str>>,
    pub(crate) settings: AgentSettings,
    pub(crate) auto_ack: bool,
    pub(crate) media: Media,
    pub(crate) monitor: Monitor,
    /// Handling of the agent's prompts: the chat that shows them, and the users who may answer.
    pub(crate) prompts: PromptPolicy,
    /// Inspector, which is served until the last gateway is dropped.
    _inspector: Option<Arc<Inspector>>,
    lifetime: Rc<Lifetime>,
    /// True if the agent is on another machine. The gateway does not end with it.
    is_of_worker: bool,
    /// True if the current agent has missed the notice of the connection.
    missed_connected: bool,
}

/// Time beyond its budget after which a disconnect is abandoned.
pub(crate) const GRACE: Duration = Duration::from_millis(250);

/// Parts of a [`Gateway`] besides its relay.
#[derive(Clone)]
pub(crate) struct GatewayParts {
    pub(crate) shutdown: Shutdown,
    pub(crate) settings: AgentSettings,
    pub(crate) auto_ack: bool,
    pub(crate) media: Media,
    pub(crate) monitor: Monitor,
    pub(crate) prompts: PromptPolicy,
    /// Inspector, if there is one.
    pub(crate) inspector: Option<Arc<Inspector>>,
}

impl Gateway {
    /// Creates a gateway for a single agent.
    pub(crate) fn new(relay: Relay, inbox: Inbox, parts: GatewayParts) -> Gateway {
        Gateway::with_source(relay, Source::Relay(inbox), parts)
    }

    /// Creates a gateway for the first of several agents, which get entries of the queue.
    pub(crate) fn queued(queue: DurableQueue, parts: GatewayParts) -> Gateway {
        Gateway::with_source(queue.relay().clone(), Source::Queue(queue, None), parts)
    }

    fn with_source(relay: Relay, source: Source, parts: GatewayParts) -> Gateway {
        let GatewayParts { shutdown, settings, auto_ack, media, monitor, prompts, inspector } = parts;
        let (watch, stop) = (relay.watch(), shutdown.triggered().boxed().fuse());
        // An agent of a queue may be added after the connection.
        let missed_connected = matches!(source, Source::Queue(..));
        Gateway {
            relay,
            source,
            watch,
            stop,
            settings,
            auto_ack,
            media,
            monitor,
            prompts,
            _inspector: inspector,
            lifetime: Rc::default(),
            is_of_worker: false,
            missed_connected,
        }
    }

    /// Creates the same gateway for another agent of the queue.
    pub(crate) fn for_another_agent(&self, parts: GatewayParts) -> Option<Gateway> {
        let queue = self.queue()?.clone();
        let mut other = Gateway::queued(queue, parts);
        other.lifetime = self.lifetime.clone();
        Some(other)
    }

    /// Creates the same gateway for an agent of a worker, which has its entries already.
    #[cfg(feature = "jetstream")]
    pub(crate) fn for_claimed(&self, inbox: DurableInbox, parts: GatewayParts) -> Option<Gateway> {
        let mut other = self.for_another_agent(parts)?;
        if let Source::Queue(_, of_agent) = &mut other.source {
            *of_agent = Some(inbox);
        }
        other.is_of_worker = true;
        Some(other)
    }

    /// Returns true once the gateway ends, or has ended.
    #[cfg(feature = "jetstream")]
    pub(crate) fn is_leaving(&self) -> bool {
        self.cause().is_some() || self.has_ended()
    }

    /// Ends an agent of a worker. If the gateway ends, the agent keeps what it has.
    #[cfg(feature = "jetstream")]
    pub(crate) fn end_claimed(&mut self, end: &QueuedEnd) {
        let is_leaving = self.is_leaving();
        if let Source::Queue(_, inbox) = &mut self.source
            && let Some(inbox) = inbox.take()
        {
            if is_leaving { inbox.leave() } else { inbox.end(end) }
        }
    }

    /// Returns the queue, if there is one.
    pub(crate) fn queue(&self) -> Option<&DurableQueue> {
        match &self.source {
            Source::Relay(_) => None,
            Source::Queue(queue, _) => Some(queue),
        }
    }

    /// Lets an agent of the queue have entries. Does nothing without a queue.
    pub(crate) fn begin_agent(&mut self, id: &str) {
        if let Source::Queue(queue, inbox) = &mut self.source {
            // The former agent of this id has ended.
            drop(inbox.take());
            *inbox = queue.agent(id).ok();
        }
    }

    /// Gives what an agent of the queue has not settled to others. Does nothing without a queue.
    pub(crate) fn end_agent(&mut self, end: AgentEnd) {
        if let Source::Queue(_, inbox) = &mut self.source
            && let Some(inbox) = inbox.take()
        {
            inbox.end(&QueuedEnd::Crashed(end.of_entry().to_owned()));
        }
    }

    /// Returns the prompts of this agent in the queue; `None` without one.
    pub(crate) fn queue_prompts(&self) -> Option<QueuePrompts> {
        match &self.source {
            Source::Relay(_) => None,
            Source::Queue(queue, inbox) => {
                let agent = inbox.as_ref().map(|inbox| inbox.id().as_str());
                Some(QueuePrompts::new(queue.clone(), agent))
            }
        }
    }

    /// Returns true if the agent is on another machine.
    pub(crate) fn is_of_worker(&self) -> bool {
        self.is_of_worker
    }

    /// Returns true once the relay has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.lifetime.ended.borrow().is_some()
    }

    pub(crate) fn cause(&self) -> Option<Cause> {
        self.lifetime.leaving.get().map(|(cause, _)| cause)
    }

    pub(crate) fn fatal(&self) -> Option<Fatal> {
        self.lifetime.ended.borrow().as_ref().and_then(|end| end.fatal.clone())
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
    pub(crate) fn begin_leaving(&self, cause: Cause) -> bool {
        let is_first = self.lifetime.leaving.get().is_none();
        if is_first {
            self.lifetime.leaving.set(Some((cause, Instant::now())));
            if let Some(queue) = self.queue() {
                queue.drain();
            }
        }
        is_first
    }

    /// Returns the time by which the relay must have ended after a disconnect or a revocation.
    pub(crate) fn ends_by(&self) -> Instant {
        let since = self.lifetime.leaving.get().map(|(_, since)| since);
        let ended = self.lifetime.ended.borrow().as_ref().map(|end| end.since);
        since.or(ended).unwrap_or_else(Instant::now) + self.budget()
    }

    /// Returns the time at which a disconnect is abandoned.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.lifetime.leaving.get().map(|(_, since)| since + self.budget() + GRACE)
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
    ) -> Poll<Option<Item>> {
        loop {
            if self.has_ended() {
                return Poll::Pending;
            }
            let is_wanted = events || urgent || self.poll_end(cx);
            let item = match &mut self.source {
                _ if !is_wanted => return Poll::Pending,
                Source::Relay(inbox) if events => {
                    inbox.poll_next_unpin(cx).map(|incoming| incoming.map(Item::of_relay))
                }
                Source::Relay(inbox) => inbox.poll_urgent(cx).map(|incoming| incoming.map(Item::of_relay)),
                Source::Queue(_, Some(inbox)) if events => {
                    inbox.poll_next_unpin(cx).map(|incoming| incoming.map(Item::of_queue))
                }
                Source::Queue(_, Some(inbox)) => {
                    inbox.poll_urgent(cx).map(|incoming| incoming.map(Item::of_queue))
                }
                Source::Queue(queue, None) => {
                    let fatal = queue.fatal();
                    return if self.poll_end(cx) {
                        Poll::Ready(fatal.map(Item::Fatal))
                    } else {
                        Poll::Pending
                    };
                }
            };
            match item {
                Poll::Ready(Some(Some(item))) => return Poll::Ready(Some(item)),
                Poll::Ready(None) => return Poll::Ready(None),
                // An item of a later version.
                Poll::Ready(Some(None)) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Polls for the end of the relay.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            match self.watch.poll_next_unpin(cx) {
                Poll::Ready(Some(_)) => {}
                Poll::Ready(None) => return true,
                Poll::Pending => return false,
            }
        }
    }

    /// Notes the end of the relay. Returns other items, which are for the agent.
    pub(crate) fn note_end(&mut self, item: Option<Item>) -> Option<Item> {
        let fatal = match item {
            Some(Item::Fatal(fatal)) => Some(fatal),
            None => None,
            other => return other,
        };
        let mut ended = self.lifetime.ended.borrow_mut();
        ended.get_or_insert_with(|| GatewayEnd { fatal, since: Instant::now() });
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
                if self.cause().is_some() {
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
                Err(()) if self.cause().is_some() || self.has_ended() => return None,
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
        while !self.has_ended() {
            let incoming = poll_fn(|cx| match timer.poll_unpin(cx) {
                Poll::Ready(_) => Poll::Ready(None),
                Poll::Pending => self.poll_incoming(cx, false, true),
            });
            let incoming = incoming.await;
            self.note_end(incoming);
        }
    }
}
