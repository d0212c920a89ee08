//! One agent's life on the bridge: its ops go to the relay, and what comes in goes to it.

use super::answer::{Answer, Answered, Begun, Outcome, begin, definite, nothing};
use super::gateway::{Cause, GRACE, Gateway};
use super::held::Held;
use super::line::{self, Line};
use super::lines::Remark;
use super::op::{About, Asked};
use super::ops::{Op, Ops, Work};
use super::reader::Reader;
use super::wake::Wake;
use super::writer::Writer;
use super::{Agent, AgentEnd};
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use relayline_core::command::Command;
use relayline_core::output::Notice;
use relayline_runtime::Incoming;
use serde_json::Value;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Events that are handled at a time before other tasks of the same thread get their chance.
const MOST_EVENTS: usize = 64;
/// Ops that are begun at a time: an agent that writes without end must not keep the rest waiting.
const MOST_OPS: usize = 256;
/// How an answer to an invalid line begins.
const ANSWERED: &str = r#"{"event":"invalid""#;

/// What happens next.
enum Event {
    /// A request to stop, and its reason.
    Stop(&'static str),
    Answered(Box<Answered>),
    Incoming(Box<Option<Incoming>>),
    /// Ops were read, or lines were written.
    Changed,
    /// There may be room for another request.
    Room,
    /// It is time to look.
    Time,
}

pub(super) struct Session<'g> {
    gateway: &'g mut Gateway,
    reader: Reader,
    writer: Writer,
    held: Held,
    wake: Wake,
    /// Ops that are under way.
    answers: FuturesUnordered<Answer>,
    /// Set while an op waits for room.
    room: Option<BoxFuture<'static, ()>>,
    timer: Option<(Instant, smol::Timer)>,
    /// Another agent may follow this one.
    replaceable: bool,
    /// The agent's output has ended, and it is replaceable: until when its last ops are waited for.
    draining: Option<Instant>,
    /// Number of the last delivery that was taken.
    newest: u64,
}

impl<'g> Session<'g> {
    pub(super) fn start(gateway: &'g mut Gateway, agent: Agent) -> io::Result<Session<'g>> {
        let (held, wake) = (Held::default(), Wake::default());
        let Agent { from, to, replaceable } = agent;
        let writer = Writer::start(to, &gateway.settings, held.clone(), gateway.auto_ack, wake.clone())?;
        let relay = gateway.relay.clone();
        let chat_of = Box::new(move |delivery| relay.chat_of(delivery));
        let reader = Reader::start(from, &gateway.settings, wake.clone(), chat_of)?;
        let answers = FuturesUnordered::new();
        let (room, timer, draining) = (None, None, None);
        let session = Session {
            gateway,
            reader,
            writer,
            held,
            wake,
            answers,
            room,
            timer,
            replaceable,
            draining,
            newest: 0,
        };
        // A later agent has missed the notice.
        if session.gateway.begins_connected() {
            session.connected();
        }
        Ok(session)
    }

    /// Serves the agent until it has ended or the relay is over.
    pub(super) async fn serve(mut self) -> AgentEnd {
        let mut handled = 0;
        let end = loop {
            if let Some(end) = self.advance() {
                break end;
            }
            let event = self.event().await;
            self.handle(event);
            handled += 1;
            if handled % MOST_EVENTS == 0 {
                smol::future::yield_now().await;
            }
        };
        if self.gateway.over.is_some() {
            self.wind_up().await;
        }
        let dropped = self.writer.abandon();
        if dropped > 0 && !self.writer.is_closed() {
            tracing::warn!(lines = dropped, "lines_dropped");
        }
        // What a dead agent held comes again (A-2).
        self.held.refuse_all();
        end
    }

    /// Does all that can be done now. Returns how the agent has ended, once it has.
    fn advance(&mut self) -> Option<AgentEnd> {
        self.begin_ops();
        let now = Instant::now();
        self.look(now);
        if self.gateway.over.is_some() || self.gateway.is_overdue(now) {
            return Some(AgentEnd::OutputEnded);
        }
        if self.writer.is_closed() {
            // Nobody reads any more: what is buffered stays with the connector.
            if self.replaceable {
                return Some(AgentEnd::InputClosed);
            }
            self.leave(Cause::InputClosed, None);
        }
        if self.reader.with(|ops| ops.is_done()) {
            if !self.replaceable {
                self.leave(Cause::OutputEnded, None);
            } else {
                let until = *self.draining.get_or_insert(now + self.gateway.budget());
                if self.answers.is_empty() || now >= until {
                    return Some(AgentEnd::OutputEnded);
                }
            }
        }
        None
    }

    /// Begins the ops that there is room for, in order, up to a bound. Whether none is left that could be begun.
    fn begin_ops(&mut self) -> bool {
        for _ in 0..MOST_OPS {
            let takes_results = self.writer.takes_results();
            let room = self.room.is_none() && takes_results;
            let op = self.reader.with(|ops| {
                ops.pause(!takes_results);
                ops.pop(room)
            });
            let Some(op) = op else { return true };
            if !self.begin(op) {
                return true;
            }
        }
        self.wake.wake();
        false
    }

    /// Begins an op; `false` when there is no room for it.
    fn begin(&mut self, op: Op) -> bool {
        let Op { id, about, work, weight, answers } = op;
        let asked = match work {
            Work::Asked(Asked::Disconnect) => {
                self.leave(Cause::Asked, Some((id, about)));
                return true;
            }
            Work::Asked(asked) => asked,
            Work::Wrong(message) => {
                self.answered(id, &about, Err(definite(message)));
                return true;
            }
            Work::Invalid { line, message } => {
                let About { op, chat } = about;
                tracing::warn!(op, chat, why = message, "invalid");
                // Answered, an agent that writes back what it reads would go on for ever.
                if line.starts_with(ANSWERED) {
                    return true;
                }
                self.urgent(&Line::Invalid { line: &line, message: &message });
                return true;
            }
        };
        let room = self.gateway.relay.room();
        match begin(asked, &self.gateway.relay, &self.held, &self.gateway.media) {
            Begun::Done(outcome) => self.answered(id, &about, outcome),
            Begun::UnderWay(outcome) => self
                .answers
                .push(async move { Answered { id, about, outcome: outcome.await, kept: None } }.boxed()),
            Begun::Parts(chat, outcome) => {
                self.reader.with(|ops| ops.begin_parts(&chat, weight));
                let kept = Some((Some(chat), weight));
                self.answers
                    .push(async move { Answered { id, about, outcome: outcome.await, kept } }.boxed());
            }
            Begun::Transfer(outcome) => {
                self.reader.with(|ops| ops.begin_transfer(weight));
                let kept = Some((None, weight));
                self.answers
                    .push(async move { Answered { id, about, outcome: outcome.await, kept } }.boxed());
            }
            Begun::NoRoom(asked) => {
                self.reader
                    .with(|ops| ops.put_back(Op { id, about, work: Work::Asked(asked), weight, answers }));
                self.room = Some(room.boxed());
                return false;
            }
        }
        true
    }

    /// Looks whether the agent reads.
    fn look(&mut self, now: Instant) {
        let look = self.writer.look();
        match look.remark {
            Some(Remark::Silent(span)) => {
                let why = format!("the agent has not read for {} s", span.as_secs());
                tracing::warn!(why, "agent_does_not_read");
            }
            Some(Remark::Resumed(span)) => {
                let why = format!("the agent reads again, after {} s", span.as_secs());
                tracing::warn!(why, "agent_reads_again");
            }
            None => {}
        }
        if look.is_hopeless {
            self.leave(Cause::DoesNotRead, None);
        }
        let looks = look.deadline.filter(|_| self.gateway.cause().is_none());
        let due = looks.into_iter().chain(self.draining).chain(self.gateway.deadline()).min();
        // One that has passed is not waited for again and again.
        let due = due.map(|due| due.max(now + Duration::from_millis(1)));
        match (due, &self.timer) {
            (None, _) => self.timer = None,
            (Some(due), Some((set, _))) if *set <= due && *set > now => {}
            (Some(due), _) => self.timer = Some((due, smol::Timer::at(due))),
        }
    }

    async fn event(&mut self) -> Event {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// The order matters: results go ahead of what has come after them, and ops ahead of what they may stop.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Poll::Ready(reason) = self.gateway.poll_stop(cx) {
            return Poll::Ready(Event::Stop(reason));
        }
        if let Poll::Ready(Some(answered)) = self.answers.poll_next_unpin(cx) {
            return Poll::Ready(Event::Answered(Box::new(answered)));
        }
        if self.wake.poll(cx).is_ready() {
            return Poll::Ready(Event::Changed);
        }
        if self.room.as_mut().is_some_and(|room| room.poll_unpin(cx).is_ready()) {
            return Poll::Ready(Event::Room);
        }
        let events = self.writer.takes_events() && self.draining.is_none() && !self.answers_are_old();
        let urgent = self.writer.takes_results();
        if let Poll::Ready(incoming) = self.gateway.poll_incoming(cx, events && urgent, urgent) {
            return Poll::Ready(Event::Incoming(Box::new(incoming)));
        }
        if self.timer.as_mut().is_some_and(|(_, timer)| timer.poll_unpin(cx).is_ready()) {
            self.timer = None;
            return Poll::Ready(Event::Time);
        }
        Poll::Pending
    }

    /// Whether further deliveries could push out one that an op waits to answer (M-7). Half of the memory is left to
    /// deliveries that are on their way here already.
    fn answers_are_old(&self) -> bool {
        let most = self.gateway.relay.config().machine.limits.reply_targets as u64 / 2;
        let oldest = self.reader.with(|ops| ops.oldest_answered());
        oldest.is_some_and(|oldest| oldest.number() + most <= self.newest)
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Stop(reason) => self.leave(Cause::Stopped(reason), None),
            Event::Answered(answered) => {
                let Answered { id, about, outcome, kept } = *answered;
                match kept {
                    Some((Some(chat), weight)) => self.reader.with(|ops| ops.end_parts(&chat, weight)),
                    Some((None, weight)) => self.reader.with(|ops| ops.end_transfer(weight)),
                    None => {}
                }
                self.answered(id, &about, outcome);
            }
            Event::Incoming(incoming) => {
                if let Some(incoming) = self.gateway.sort(*incoming) {
                    self.tell(incoming);
                }
            }
            Event::Room => self.room = None,
            Event::Changed | Event::Time => {}
        }
    }

    /// The relay is over: all that was asked has its answer, or gets it now, and the last lines are written.
    async fn wind_up(&mut self) {
        let until = self.gateway.ends_by().max(Instant::now() + GRACE);
        self.room = None;
        self.reader.with(Ops::seal);
        while Instant::now() < until {
            if self.begin_ops() && self.answers.is_empty() && self.room.is_none() {
                break;
            }
            self.last_event(until).await;
        }
        self.reader.with(Ops::close);
        // Once and last (L-10): after the results of all that failed with it.
        if let Some(fatal) = self.gateway.fatal() {
            self.urgent(&Line::fatal(&fatal));
        }
        self.writer.finish();
        while !self.writer.is_over() && Instant::now() < until {
            self.last_event(until).await;
        }
    }

    async fn last_event(&mut self, until: Instant) {
        self.timer = Some((until, smol::Timer::at(until)));
        let event = self.event().await;
        self.handle(event);
    }

    /// Begins the graceful end (L-14); `asked` is the op that wants its result.
    fn leave(&mut self, cause: Cause, asked: Option<(Option<Value>, About)>) {
        if !self.gateway.begin_leaving(cause) && asked.is_none() {
            return;
        }
        // What comes of it, the relay tells as the host's wish.
        tracing::info!(reason = cause.text(), "leaving");
        let (id, about) = asked.unwrap_or_default();
        match self.gateway.relay.submit(Command::Disconnect) {
            Ok(answer) => self.answers.push(
                async move {
                    let outcome = answer.await.and_then(|_| nothing());
                    Answered { id, about, outcome, kept: None }
                }
                .boxed(),
            ),
            Err(refused) if id.is_some() => self.answered(id, &about, Err(refused.into_parts().1)),
            // It is over already.
            Err(_) => {}
        }
    }

    fn answered(&self, id: Option<Value>, about: &About, outcome: Outcome) {
        match (id, outcome) {
            (Some(id), outcome) => self.urgent(&Line::result(&id, &outcome)),
            (None, Err(failure)) => {
                let About { op, chat } = about;
                tracing::warn!(op, chat, kind = failure.kind.name(), why = failure.message, "failed");
            }
            (None, Ok(_)) => {}
        }
    }

    fn urgent(&self, line: &Line<'_>) {
        self.writer.urgent(line.text());
    }

    fn tell(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Message(delivery) => {
                self.newest = delivery.id().number();
                let session_key = delivery.session_key();
                let line = Line::Message {
                    delivery: delivery.id().number(),
                    buffered: delivery.is_buffered(),
                    session_key: &session_key,
                    message: delivery.message(),
                    raw: line::verbatim(delivery.raw()),
                };
                let text = line.text();
                self.writer.event(text, delivery.into_parts().1);
            }
            Incoming::PromptAnswer(delivery) => {
                self.newest = delivery.id().number();
                let (prompt_id, option_id) = line::choice(delivery.message());
                let line = Line::PromptAnswer {
                    delivery: delivery.id().number(),
                    buffered: delivery.is_buffered(),
                    prompt_id,
                    option_id,
                    source: &delivery.message().source,
                    raw: line::verbatim(delivery.raw()),
                };
                let text = line.text();
                self.writer.event(text, delivery.into_parts().1);
            }
            Incoming::Forward(delivery) => {
                self.newest = delivery.id().number();
                let line = Line::Passthrough {
                    delivery: delivery.id().number(),
                    buffered: delivery.is_buffered(),
                    forward: delivery.forward(),
                    raw: line::verbatim(delivery.raw()),
                };
                let text = line.text();
                self.writer.event(text, delivery.into_parts().1);
            }
            Incoming::Interrupt { session_key, chat_id } => {
                self.urgent(&Line::Interrupt { session_key: &session_key, chat_id: &chat_id });
            }
            Incoming::Notice(notice) => self.notice(&notice),
            // Only the end itself, which is told last. The bridge is of one version with the runtime: there is
            // nothing else yet.
            _ => {}
        }
    }

    fn notice(&self, notice: &Notice) {
        match notice {
            Notice::Connected { .. } | Notice::Platform { .. } => self.connected(),
            Notice::Disconnected { code, reason, retry_in } => self.urgent(&Line::Disconnected {
                code: *code,
                reason: self.gateway.reason(*retry_in).unwrap_or(reason),
                retry_in_ms: retry_in.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
            }),
            Notice::DeadLetter { reason, buffer_id, line } => {
                self.urgent(&Line::DeadLetter { reason, buffer_id: buffer_id.as_deref(), line });
            }
            Notice::StalePrompt { answer } => {
                let (prompt_id, option_id) = line::choice(answer);
                let (source, raw) = (&answer.source, line::verbatim(answer.raw.as_deref()));
                self.urgent(&Line::StalePrompt { prompt_id, option_id, source, raw });
            }
            Notice::UnknownFrame { kind, raw } => {
                if let Some(raw) = line::verbatim(Some(raw)) {
                    self.urgent(&Line::Frame { kind, raw });
                }
            }
            // `disconnected` and the results have said it.
            Notice::Dormant { .. } | Notice::Resumed | Notice::Stopped => {}
            _ => {}
        }
    }

    fn connected(&self) {
        let descriptors = self.gateway.relay.descriptors();
        let is_upstream = self.gateway.relay.authorization_is_upstream();
        if let Some(line) = Line::connected(&descriptors, is_upstream) {
            self.urgent(&line);
        }
    }
}
