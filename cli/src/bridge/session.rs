//! Session of one agent: passes its ops to the relay, and the relay's items to it.

use super::change_signal::ChangeSignal;
use super::delivery::{AgentDelivery, Content, Item};
use super::execution::{OpContext, empty_result};
use super::gateway::{Cause, GRACE, Gateway};
use super::line::{self, Attempt, BridgeLine, Choice, ShownMessage};
use super::media::PlacedDelivery;
use super::monitor::BusyMark;
use super::op::OpLabel;
use super::op_queue::OpQueue;
use super::reader::Reader;
use super::runner::{InFlightLimits, OpOrigin, OpRunner, Step};
use super::unsettled::Unsettled;
use super::writer::Writer;
use super::{Agent, AgentEnd};
use crate::approvals::PromptPolicy;
use futures_util::future::FutureExt;
use relayline_core::command::{Command, Failure, FailureKind};
use relayline_core::output::Notice;
use serde_json::Value;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Number of events after which the task yields.
const MAX_EVENTS: usize = 64;
/// Maximum number of ops started at a time, so that a busy agent does not starve other events.
const MAX_OPS: usize = 256;

/// Event of a session.
enum Event {
    /// A request to stop, and its reason.
    Stop(&'static str),
    Incoming(Box<Option<Item>>),
    /// The files of a delivery are on the machine of its agent.
    Placed(Box<AgentDelivery>),
    /// Ops were read or completed, lines were written, or there may be room for another request.
    Changed,
    /// The timer has expired.
    Time,
}

/// Pipes of an agent, with the threads that read and write them.
struct AgentPipes {
    reader: Reader,
    writer: Writer,
}

impl OpOrigin for AgentPipes {
    fn queue<T>(&self, change: impl FnOnce(&mut OpQueue) -> T) -> T {
        self.reader.with(change)
    }

    fn takes_results(&self) -> bool {
        self.writer.takes_results()
    }

    fn write(&self, line: &BridgeLine<'_>) {
        self.writer.urgent_later(line.text());
    }

    fn log_invalid(&self, about: &OpLabel, message: &str) {
        let OpLabel { op, chat } = about;
        tracing::warn!(op, chat, why = message, "invalid");
    }

    fn log_failed(&self, about: &OpLabel, failure: &Failure) {
        let OpLabel { op, chat } = about;
        tracing::warn!(op, chat, kind = failure.kind.name(), why = failure.message, "failed");
    }
}

pub(super) struct Session<'g> {
    gateway: &'g mut Gateway,
    /// Ops of the agent, and its pipes.
    ops: OpRunner<AgentPipes>,
    unsettled: Unsettled,
    changes: ChangeSignal,
    timer: Option<(Instant, smol::Timer)>,
    /// True if another agent may follow this one.
    is_replaceable: bool,
    /// Deadline for the last ops of a replaceable agent whose output has ended.
    draining: Option<Instant>,
    /// Delivery whose files are put on the machine of the agent. No further one is taken meanwhile.
    placing: Option<PlacedDelivery>,
    /// Number of the latest delivery.
    newest: u64,
    busy: BusyMark,
}

impl<'g> Session<'g> {
    pub(super) fn start(gateway: &'g mut Gateway, agent: Agent) -> io::Result<Session<'g>> {
        let (unsettled, changes) = (Unsettled::default(), ChangeSignal::default());
        let Agent { from, to, errors: _, is_replaceable } = agent;
        let writer =
            Writer::start(to, &gateway.settings, unsettled.clone(), gateway.auto_ack, changes.clone())?;
        let relay = gateway.relay.clone();
        let chat_of = Box::new(move |delivery| relay.chat_of(delivery));
        let PromptPolicy { chat: approval_chat, approvers } = gateway.prompts.clone();
        let reader = Reader::start(from, &gateway.settings, changes.clone(), chat_of, approval_chat)?;
        let (relay, media) = (gateway.relay.clone(), gateway.media.clone());
        let (monitor, queue) = (gateway.monitor.clone(), gateway.queue_prompts());
        let context = OpContext { relay, queue, media, monitor, approvers };
        let ops = OpRunner::new(
            AgentPipes { reader, writer },
            context,
            Some(unsettled.clone()),
            InFlightLimits::AGENT,
        );
        let busy = gateway.monitor.busy_mark();
        let session = Session {
            gateway,
            ops,
            unsettled,
            changes,
            timer: None,
            is_replaceable,
            draining: None,
            placing: None,
            newest: 0,
            busy,
        };
        // A later agent has missed the notice.
        if session.gateway.take_missed_connected() {
            session.connected();
        }
        Ok(session)
    }

    fn reader(&self) -> &Reader {
        &self.ops.origin.reader
    }

    fn writer(&self) -> &Writer {
        &self.ops.origin.writer
    }

    /// Serves the agent until it or the relay has ended.
    pub(super) async fn serve(mut self) -> AgentEnd {
        let mut handled = 0;
        let end = loop {
            if let Some(end) = self.advance() {
                break end;
            }
            let event = self.event().await;
            self.handle(event);
            handled += 1;
            if handled % MAX_EVENTS == 0 {
                self.writer().wake();
                smol::future::yield_now().await;
            }
        };
        if self.gateway.has_ended() {
            self.finish().await;
        }
        let dropped = self.writer().abandon();
        if dropped > 0 && !self.writer().is_closed() {
            tracing::warn!(lines = dropped, "lines_dropped");
        }
        // unsettled deliveries are redelivered.
        self.unsettled.refuse_all();
        end
    }

    /// Does all work that is possible now. Returns the end once the agent or the relay has ended; for the relay it is
    /// `OutputEnded`.
    fn advance(&mut self) -> Option<AgentEnd> {
        self.begin_ops();
        let has_ops = !self.ops.is_done() || !self.reader().with(|ops| ops.is_empty());
        let is_busy = has_ops || self.writer().has_events();
        self.busy.set(is_busy);
        let now = Instant::now();
        if self.check_reading(now) {
            return Some(AgentEnd::InputClosed);
        }
        if self.gateway.has_ended() || self.gateway.is_overdue(now) {
            return Some(AgentEnd::OutputEnded);
        }
        if self.writer().is_closed() {
            // The agent does not read: buffered events stay with the connector.
            if self.is_replaceable {
                return Some(AgentEnd::InputClosed);
            }
            self.leave(Cause::InputClosed, None);
        }
        if self.reader().with(|ops| ops.is_done()) {
            if !self.is_replaceable {
                self.leave(Cause::OutputEnded, None);
            } else {
                let until = *self.draining.get_or_insert(now + self.gateway.budget());
                if self.ops.is_idle() || now >= until {
                    return Some(AgentEnd::OutputEnded);
                }
            }
        }
        None
    }

    /// Starts ops in order, while there is room and up to a bound. Returns true if none is left that could be started.
    fn begin_ops(&mut self) -> bool {
        for _ in 0..MAX_OPS {
            match self.ops.step() {
                Step::Started => {}
                Step::Idle => return true,
                Step::Disconnect(id, about) if self.gateway.is_of_worker() => {
                    let why = "the gateway is not this agent's alone: end the agent instead";
                    self.ops.complete(id, &about, Err(Failure::new(FailureKind::Definite, why)));
                }
                Step::Disconnect(id, about) => self.leave(Cause::Requested, Some((id, about))),
            }
        }
        self.changes.set();
        false
    }

    /// Checks whether the agent reads, and sets the timer. Returns true if the agent must end: it does not read, and is on
    /// another machine.
    fn check_reading(&mut self, now: Instant) -> bool {
        let status = self.writer().read_status();
        status.log();
        if status.has_timed_out && self.gateway.is_of_worker() {
            return true;
        }
        if status.has_timed_out {
            self.leave(Cause::DoesNotRead, None);
        }
        let looks = status.deadline.filter(|_| self.gateway.cause().is_none());
        let due = looks.into_iter().chain(self.draining).chain(self.gateway.deadline()).min();
        // At least 1 ms ahead: a deadline in the past would loop.
        let due = due.map(|due| due.max(now + Duration::from_millis(1)));
        match (due, &self.timer) {
            (None, _) => self.timer = None,
            (Some(due), Some((set, _))) if *set <= due && *set > now => {}
            (Some(due), _) => self.timer = Some((due, smol::Timer::at(due))),
        }
        false
    }

    async fn event(&mut self) -> Event {
        poll_fn(|cx| {
            let event = self.poll_event(cx);
            if event.is_pending() {
                // Events that came together are written together.
                self.writer().wake();
            }
            event
        })
        .await
    }

    /// Polls for the next event. The order matters: results come before later items, and ops come before the items that
    /// they may stop.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Poll::Ready(reason) = self.gateway.poll_stop(cx) {
            return Poll::Ready(Event::Stop(reason));
        }
        if self.ops.poll_completed(cx).is_ready()
            || self.changes.poll(cx).is_ready()
            || self.ops.poll_room(cx).is_ready()
        {
            return Poll::Ready(Event::Changed);
        }
        if let Some(placing) = &mut self.placing
            && let Poll::Ready(delivery) = placing.poll_unpin(cx)
        {
            self.placing = None;
            return Poll::Ready(Event::Placed(delivery));
        }
        let events = self.writer().takes_events()
            && self.draining.is_none()
            && self.placing.is_none()
            && !self.answers_are_old();
        let urgent = self.writer().takes_results();
        if let Poll::Ready(incoming) = self.gateway.poll_incoming(cx, events && urgent, urgent) {
            return Poll::Ready(Event::Incoming(Box::new(incoming)));
        }
        if self.timer.as_mut().is_some_and(|(_, timer)| timer.poll_unpin(cx).is_ready()) {
            self.timer = None;
            return Poll::Ready(Event::Time);
        }
        Poll::Pending
    }

    /// Returns true if further deliveries could evict one that a queued op answers (M-7). Half of the limit is reserved for
    /// deliveries that are queued already.
    fn answers_are_old(&self) -> bool {
        let most = self.gateway.relay.config().machine.limits.reply_targets as u64 / 2;
        let oldest = self.reader().with(|ops| ops.oldest_answered());
        oldest.is_some_and(|oldest| oldest.number() + most <= self.newest)
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Stop(reason) => self.leave(Cause::Stopped(reason), None),
            Event::Incoming(incoming) => {
                if let Some(incoming) = self.gateway.note_end(*incoming) {
                    self.forward(incoming);
                }
            }
            Event::Placed(delivery) => self.deliver(*delivery),
            Event::Changed | Event::Time => {}
        }
    }

    /// Finishes after the end of the relay: completes all ops, and writes the last lines.
    async fn finish(&mut self) {
        let until = self.gateway.ends_by().max(Instant::now() + GRACE);
        self.ops.stop_waiting();
        self.reader().with(OpQueue::seal);
        while Instant::now() < until {
            if self.begin_ops() && self.ops.is_done() {
                break;
            }
            self.last_event(until).await;
        }
        self.reader().with(OpQueue::close);
        // L-10: once, and after all results.
        if let Some(fatal) = self.gateway.fatal() {
            self.urgent(&BridgeLine::fatal(&fatal));
        }
        self.writer().finish();
        while !self.writer().is_terminated() && Instant::now() < until {
            self.last_event(until).await;
        }
    }

    async fn last_event(&mut self, until: Instant) {
        self.timer = Some((until, smol::Timer::at(until)));
        let event = self.event().await;
        self.handle(event);
    }

    /// Begins the graceful disconnect (L-14). `asked` is the op that requested it.
    fn leave(&mut self, cause: Cause, asked: Option<(Option<Value>, OpLabel)>) {
        if !self.gateway.begin_leaving(cause) && asked.is_none() {
            return;
        }
        tracing::info!(reason = cause.text(), "leaving");
        let (id, about) = asked.unwrap_or_default();
        match self.gateway.relay.submit(Command::Disconnect) {
            Ok(answer) => {
                self.ops.add(id, about, async { answer.await.and_then(|_| empty_result()) }.boxed())
            }
            Err(refused) if id.is_some() => self.ops.complete(id, &about, Err(refused.into_parts().1)),
            // The relay has ended already.
            Err(_) => {}
        }
    }

    fn urgent(&self, line: &BridgeLine<'_>) {
        self.ops.origin.write(line);
    }

    fn forward(&mut self, item: Item) {
        match item {
            Item::Delivery(delivery) => match self.gateway.media.place(delivery) {
                Ok(delivery) => self.deliver(*delivery),
                Err(placing) => self.placing = Some(placing),
            },
            Item::Interrupt { session_key, chat_id } => {
                self.urgent(&BridgeLine::Interrupt { session_key: &session_key, chat_id: &chat_id });
            }
            Item::Notice(notice) => self.notice(&notice),
            // The end is written last.
            Item::Fatal(_) => {}
        }
    }

    fn deliver(&mut self, delivery: AgentDelivery) {
        let AgentDelivery { content, session_key, media, settlement } = delivery;
        let (number, buffered) = (settlement.id().number(), settlement.is_buffered());
        self.newest = number;
        let attempt = Attempt::of(&settlement);
        let text = match &content {
            Content::Message(event) => BridgeLine::Message {
                delivery: number,
                buffered,
                attempt,
                session_key: &session_key,
                message: ShownMessage::of(event, &media),
                raw: line::verbatim(event.raw.as_deref()),
            }
            .text(),
            Content::PromptAnswer(event) => {
                let choice = Choice::of(event);
                BridgeLine::PromptAnswer { delivery: number, buffered, attempt, choice }.text()
            }
            Content::Forward(forward, raw) => {
                let raw = line::verbatim(raw.as_deref());
                BridgeLine::Passthrough { delivery: number, buffered, attempt, forward, raw }.text()
            }
        };
        self.writer().event_later(text, settlement);
    }

    fn notice(&self, notice: &Notice) {
        match notice {
            Notice::Connected { .. } | Notice::Platform { .. } => self.connected(),
            Notice::Disconnected { code, reason, retry_in } => self.urgent(&BridgeLine::Disconnected {
                code: *code,
                reason: self.gateway.reason(*retry_in).unwrap_or(reason),
                retry_in_ms: retry_in.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
            }),
            Notice::DeadLetter { reason, buffer_id, line } => {
                self.urgent(&BridgeLine::DeadLetter { reason, buffer_id: buffer_id.as_deref(), line });
            }
            Notice::StalePrompt { answer } => {
                self.urgent(&BridgeLine::StalePrompt { choice: Choice::of(answer) });
            }
            Notice::UnauthorizedAnswer { answer } => {
                self.urgent(&BridgeLine::UnauthorizedAnswer { choice: Choice::of(answer) });
            }
            Notice::UnknownFrame { kind, raw } => {
                if let Some(raw) = line::verbatim(Some(raw)) {
                    self.urgent(&BridgeLine::Frame { kind, raw });
                }
            }
            // The `disconnected` line and the results contain the same.
            Notice::Dormant { .. } | Notice::Resumed | Notice::Stopped => {}
            _ => {}
        }
    }

    fn connected(&self) {
        let descriptors = self.gateway.relay.descriptors();
        let is_upstream = self.gateway.relay.authorization_is_upstream();
        if let Some(line) = BridgeLine::connected(&descriptors, is_upstream) {
            self.urgent(&line);
        }
    }
}
