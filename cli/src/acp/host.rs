//! Task between an ACP agent and the relay: passes events to the machine, and performs what it returns.

mod outputs;

use super::files::MessageFiles;
use super::reader::{LineReader, ReadLine, log_stderr};
use super::session_file::SessionFile;
use super::{AcpEnd, AcpOptions};
use crate::bridge::{
    Agent, AgentEnd, AgentSettlement, Agents, BusyMark, Cause, ChangeSignal, Content, End, Gateway, Item,
    QueuePrompts, Unsettled, Writer, settle,
};
use crate::exec::Current;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use relayline_acp::{AcpDelivery, AcpMachine, AcpStats, ChatAbilities, HostResult, OpId, StopCause};
use relayline_core::command::Command;
use relayline_core::event::Event as Message;
use relayline_core::output::Notice;
use relayline_core::time::Time;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Maximum number of lines of the agent that are handled before other events.
const MAX_LINES: usize = 64;
/// Maximum number of commands in flight while lines of the agent are read and messages are taken.
const MAX_IN_FLIGHT: usize = 512;
/// Minimum time between two log entries with the machine's counters.
const STATS_INTERVAL: Duration = Duration::from_secs(60);
/// Maximum time for the last lines of turns when the gateway stops.
const FAREWELL: Duration = Duration::from_millis(1500);

/// Id of the machine among the agents of the queue.
const QUEUE_AGENT: &str = "agent-1";

/// Event of the host.
enum HostEvent {
    /// A request to stop, and its reason.
    Stop(&'static str),
    Completed(OpId, HostResult),
    Saved(io::Result<()>),
    /// Another agent has started; `None` if there is no other.
    Started(io::Result<Option<Agent>>),
    Incoming(Option<Item>),
    /// Lines were read or written.
    Changed,
    /// The timer has expired.
    Time,
}

/// Pipes of a running agent.
struct Pipes {
    reader: LineReader,
    writer: Writer,
    /// Time at which its reading is to be checked again.
    reads_by: Option<Instant>,
}

pub(super) struct AcpHost {
    gateway: Gateway,
    busy: BusyMark,
    /// Prompts of the queue; `None` without one.
    prompts: Option<QueuePrompts>,
    machine: AcpMachine,
    /// Origin of the machine's time.
    origin: Instant,
    agent: Option<Pipes>,
    changes: ChangeSignal,
    /// Commands in flight.
    in_flight: FuturesUnordered<BoxFuture<'static, (OpId, HostResult)>>,
    /// Files that are fetched. They are bounded by the turns and their files, and do not hold back the agent.
    fetches: FuturesUnordered<BoxFuture<'static, (OpId, HostResult)>>,
    /// Unsettled deliveries by number. The machine settles each once.
    settlements: BTreeMap<u64, AgentSettlement>,
    files: MessageFiles,
    state: Option<SessionFile>,
    is_unsaved: bool,
    /// True if the agent's commands are declared to Discord.
    declares_commands: bool,
    saving: Option<BoxFuture<'static, io::Result<()>>>,
    current: Current,
    /// Cause and time of the request to stop, until the disconnect begins.
    stopping: Option<(Cause, Instant)>,
    unusable: Option<StopCause>,
    /// Counters in the log, and their time.
    logged: (AcpStats, Instant),
    timer: Option<(Instant, smol::Timer)>,
}

impl AcpHost {
    pub(super) fn new(mut gateway: Gateway, options: AcpOptions) -> AcpHost {
        let AcpOptions { machine, state, files, declares_commands, current, .. } = options;
        let busy = gateway.monitor.busy_mark();
        // The machine serves its agents one after another: for the queue it is one agent.
        gateway.begin_agent(QUEUE_AGENT);
        let prompts = gateway.queue_prompts();
        AcpHost {
            gateway,
            busy,
            prompts,
            machine,
            origin: Instant::now(),
            agent: None,
            changes: ChangeSignal::default(),
            in_flight: FuturesUnordered::new(),
            fetches: FuturesUnordered::new(),
            settlements: BTreeMap::new(),
            files,
            state,
            is_unsaved: false,
            declares_commands,
            saving: None,
            current,
            stopping: None,
            unusable: None,
            logged: (AcpStats::default(), Instant::now()),
            timer: None,
        }
    }

    /// Serves agents until there is no further one, or until the relay has ended.
    pub(super) async fn serve(mut self, agents: &mut impl Agents) -> io::Result<AcpEnd> {
        let mut error = None;
        while !self.advance() {
            match self.event(agents).await {
                HostEvent::Started(Err(failed)) => {
                    error = Some(failed);
                    self.stop(Cause::OutputEnded);
                }
                event => self.handle(event),
            }
            smol::future::yield_now().await;
        }
        self.save_at_the_end().await;
        self.log_stats();
        tracing::debug!(relay = ?self.gateway.relay.stats(), "ended");
        if let Some(error) = error {
            return Err(error);
        }
        Ok(match (self.gateway.fatal(), self.unusable.take()) {
            (Some(fatal), _) => AcpEnd::Gateway(End::Disabled(fatal)),
            (None, Some(cause)) => AcpEnd::Unusable(cause),
            (None, None) => {
                AcpEnd::Gateway(End::Disconnected(self.gateway.cause().unwrap_or(Cause::OutputEnded)))
            }
        })
    }

    fn now(&self) -> Time {
        Time::ZERO + self.origin.elapsed()
    }

    /// Does all work that is possible now. Returns true once the host has ended.
    fn advance(&mut self) -> bool {
        self.read_lines();
        self.perform_outputs();
        let is_busy = !self.machine.is_idle() || !self.in_flight.is_empty() || !self.fetches.is_empty();
        self.busy.set(is_busy);
        self.gateway.monitor.set_acp(self.machine.stats());
        let now = Instant::now();
        self.check_agent();
        if let Some((cause, since)) = self.stopping
            && self.gateway.cause().is_none()
            && (self.machine.is_idle() || now >= since + FAREWELL)
        {
            self.gateway.begin_leaving(cause);
            tracing::info!(reason = cause.text(), "leaving");
            // It is refused only if the relay has ended.
            let _answer = self.gateway.relay.submit(Command::Disconnect);
        }
        if now >= self.logged.1 + STATS_INTERVAL {
            self.log_stats();
        }
        self.set_timer(now);
        self.gateway.has_ended() || self.gateway.is_overdue(now)
    }

    /// Passes lines of the agent to the machine, while there is room for what they cause.
    fn read_lines(&mut self) {
        for _ in 0..MAX_LINES {
            let Some(Pipes { reader, writer, .. }) = &self.agent else { return };
            if !writer.takes_results() || self.in_flight.len() >= MAX_IN_FLIGHT {
                return;
            }
            let Some(line) = reader.pop() else { return };
            let now = self.now();
            match line {
                ReadLine::Whole(line) => self.machine.handle_line(now, &line),
                ReadLine::TooLong => self.machine.handle_overlong_line(),
            }
            self.perform_outputs();
        }
        self.changes.set();
    }

    /// Logs the counters that are not 0, if one has changed.
    fn log_stats(&mut self) {
        let stats = self.machine.stats();
        let (former, _) = std::mem::replace(&mut self.logged, (stats, Instant::now()));
        if stats != former {
            let stats: Vec<_> = stats.all().filter(|(_, count)| *count > 0).collect();
            tracing::debug!(?stats, "acp_stats");
        }
    }

    /// Handles the end of the agent: of its output or of its input.
    fn check_agent(&mut self) {
        let Some(Pipes { reader, writer, reads_by }) = &mut self.agent else { return };
        let status = writer.read_status();
        status.log();
        *reads_by = status.deadline;
        if !reader.is_done() && !writer.is_closed() && !status.has_timed_out {
            return;
        }
        if status.has_timed_out {
            tracing::warn!(why = Cause::DoesNotRead.text(), "agent_killed");
            self.kill_agent();
        }
        self.agent = None;
        self.gateway.monitor.note_agent_ended();
        let now = self.now();
        self.machine.handle_agent_ended(now);
        self.perform_outputs();
    }

    fn set_timer(&mut self, now: Instant) {
        let machine = self.machine.deadline().map(|due| self.origin + due.since(Time::ZERO));
        let farewell = self.stopping.filter(|_| self.gateway.cause().is_none());
        let farewell = farewell.map(|(_, since)| since + FAREWELL);
        let hung = self.agent.as_ref().and_then(|agent| agent.reads_by);
        let due = [machine, farewell, hung, self.gateway.deadline()].into_iter().flatten().min();
        // At least 1 ms ahead: a deadline in the past would loop.
        let due = due.map(|due| due.max(now + Duration::from_millis(1)));
        match (due, &self.timer) {
            (None, _) => self.timer = None,
            (Some(due), Some((set, _))) if *set == due => {}
            (Some(due), _) => self.timer = Some((due, smol::Timer::at(due))),
        }
    }

    async fn event(&mut self, agents: &mut impl Agents) -> HostEvent {
        poll_fn(|cx| self.poll_event(cx, agents)).await
    }

    /// Polls for the next event. Results come before later items. The agent's lines come last: they never end if it floods,
    /// and each event is followed by some of them.
    fn poll_event(&mut self, cx: &mut Context<'_>, agents: &mut impl Agents) -> Poll<HostEvent> {
        if let Poll::Ready(reason) = self.gateway.poll_stop(cx) {
            return Poll::Ready(HostEvent::Stop(reason));
        }
        if self.timer.as_mut().is_some_and(|(_, timer)| timer.poll_unpin(cx).is_ready()) {
            self.timer = None;
            return Poll::Ready(HostEvent::Time);
        }
        if let Poll::Ready(Some((id, result))) = self.in_flight.poll_next_unpin(cx) {
            return Poll::Ready(HostEvent::Completed(id, result));
        }
        if let Poll::Ready(Some((id, result))) = self.fetches.poll_next_unpin(cx) {
            return Poll::Ready(HostEvent::Completed(id, result));
        }
        if let Some(saving) = &mut self.saving
            && let Poll::Ready(result) = saving.poll_unpin(cx)
        {
            return Poll::Ready(HostEvent::Saved(result));
        }
        if self.agent.is_none()
            && self.stopping.is_none()
            // It is cancel-safe, so that it can be created anew for each poll.
            && let Poll::Ready(agent) = pin!(agents.next(Some(AgentEnd::OutputEnded))).poll(cx)
        {
            return Poll::Ready(HostEvent::Started(agent));
        }
        let takes_prompts = self.agent.as_ref().is_none_or(|agent| agent.writer.takes_events());
        let has_room = self.in_flight.len() < MAX_IN_FLIGHT;
        let events = takes_prompts && has_room && self.machine.takes_deliveries();
        if let Poll::Ready(incoming) = self.gateway.poll_incoming(cx, events, true) {
            return Poll::Ready(HostEvent::Incoming(incoming));
        }
        self.changes.poll(cx).map(|()| HostEvent::Changed)
    }

    fn handle(&mut self, event: HostEvent) {
        let now = self.now();
        match event {
            HostEvent::Stop(reason) => self.stop(Cause::Stopped(reason)),
            HostEvent::Completed(id, result) => self.machine.handle_result(now, id, result),
            HostEvent::Saved(result) => self.saved(result),
            HostEvent::Started(Ok(Some(agent))) => {
                if let Err(error) = self.started(agent) {
                    tracing::warn!(%error, "agent_unreadable");
                    self.kill_agent();
                }
            }
            // The supervisor says why there is no other agent.
            HostEvent::Started(_) => self.stop(Cause::OutputEnded),
            HostEvent::Incoming(incoming) => {
                if let Some(incoming) = self.gateway.note_end(incoming) {
                    self.receive(now, incoming);
                }
            }
            HostEvent::Changed => {}
            HostEvent::Time => self.machine.handle_tick(now),
        }
    }

    fn started(&mut self, agent: Agent) -> io::Result<()> {
        let Agent { from, to, errors, is_replaceable: _ } = agent;
        let (settings, changes) = (&self.gateway.settings, &self.changes);
        let writer = Writer::start(to, settings, Unsettled::default(), true, changes.clone())?;
        let reader = LineReader::start(from, changes.clone())?;
        errors.map(log_stderr).transpose()?;
        self.agent = Some(Pipes { reader, writer, reads_by: None });
        self.gateway.monitor.note_agent_started();
        let now = self.now();
        self.machine.handle_agent_started(now);
        Ok(())
    }

    fn receive(&mut self, now: Time, item: Item) {
        match item {
            Item::Delivery(delivery) => match delivery.content {
                Content::Message(event) | Content::PromptAnswer(event) => {
                    self.deliver(now, event, delivery.session_key, delivery.settlement);
                }
                // Nothing asks for forwards here.
                Content::Forward(..) => settle(delivery.settlement, true),
            },
            Item::Interrupt { session_key, .. } => self.machine.handle_interrupt(now, &session_key),
            Item::Notice(notice) => match *notice {
                Notice::Connected { .. } => self.machine.handle_connected(now),
                Notice::Disconnected { .. } | Notice::Dormant { .. } | Notice::Stopped => {
                    self.machine.handle_disconnected(now);
                }
                // The relay logs the other notices.
                _ => {}
            },
            // The gateway notes the end before.
            Item::Fatal(_) => {}
        }
    }

    fn deliver(&mut self, now: Time, event: Box<Message>, session_key: String, settlement: AgentSettlement) {
        let (id, is_buffered) = (settlement.id(), settlement.is_buffered());
        let descriptor = self.gateway.relay.capabilities(&event.source.chat_id);
        let abilities = descriptor.map(|descriptor| ChatAbilities::of(&descriptor)).unwrap_or_default();
        self.settlements.insert(id.number(), settlement);
        self.machine.handle_delivery(now, AcpDelivery { id, session_key, event, abilities, is_buffered });
    }

    /// Begins to stop the gateway: turns end with a line, and then the relay disconnects.
    fn stop(&mut self, cause: Cause) {
        if self.stopping.is_none() {
            self.stopping = Some((cause, Instant::now()));
            let now = self.now();
            self.machine.handle_shutdown(now);
        }
    }
}
