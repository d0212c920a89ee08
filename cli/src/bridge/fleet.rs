//! Agents of workers, whose gateway this is: each has a session here, and its pipes end at the bus.

mod files;
mod pipes;

use super::gateway::{Gateway, GatewayParts};
use super::session::Session;
use super::{Agent, AgentEnd, ChangeSignal};
pub(crate) use files::{RemoteFile, RemoteFiles};
use futures_util::future::{FutureExt, LocalBoxFuture};
use futures_util::stream::{FuturesUnordered, StreamExt};
use pipes::{Pipe, RemoteReader, RemoteWriter};
use relayline_core::time::Time;
use relayline_queue::clock;
use relayline_queue::fleet::AgentClaim;
use relayline_queue::fleet::leader::{Claimed, Fleet, FleetOutput, FleetStats};
use relayline_queue::id::AgentId;
use relayline_queue::inbox::{DurableInbox, DurableQueue};
use relayline_queue::jetstream::{FleetBus, FleetSubject};
use relayline_queue::output::{AgentEnd as QueuedEnd, ClaimRefused};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

/// Part that sessions' threads, the bus and the task share.
#[derive(Debug)]
pub(crate) struct FleetShared {
    state: Mutex<State>,
    /// There may be room for an agent's bytes, or its pipe is closed.
    room: Condvar,
    changes: ChangeSignal,
}

#[derive(Debug)]
struct State {
    /// `None` before the queue is open.
    fleet: Option<Fleet>,
    pipes: BTreeMap<AgentId, Arc<Pipe>>,
}

impl FleetShared {
    pub(crate) fn new() -> Arc<FleetShared> {
        let state = Mutex::new(State { fleet: None, pipes: BTreeMap::new() });
        Arc::new(FleetShared { state, room: Condvar::new(), changes: ChangeSignal::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the pipes of an agent. Those who wait for them are woken without the lock.
    fn pipe(&self, agent: &AgentId) -> Option<Arc<Pipe>> {
        self.lock().pipes.get(agent).cloned()
    }

    fn stats(&self) -> FleetStats {
        self.lock().fleet.as_ref().map(Fleet::stats).unwrap_or_default()
    }

    /// Handles a frame of a worker. The bus calls it on its thread.
    pub(crate) fn handle_frame(&self, frame: &[u8]) {
        self.change(|fleet| fleet.handle_frame(clock::now(), frame));
    }

    /// Changes the fleet, and wakes the task.
    fn change(&self, change: impl FnOnce(&mut Fleet)) {
        if let Some(fleet) = &mut self.lock().fleet {
            change(fleet);
        }
        self.room.notify_all();
        self.changes.set();
    }
}

/// Workers of a gateway.
pub(crate) struct FleetHost {
    shared: Arc<FleetShared>,
    queue: DurableQueue,
    bus: FleetBus,
    parts: GatewayParts,
}

/// Session of an agent that is to be served.
type Serving<'g> = FuturesUnordered<LocalBoxFuture<'g, AgentId>>;

impl FleetHost {
    pub(crate) fn new(
        shared: Arc<FleetShared>,
        queue: DurableQueue,
        bus: FleetBus,
        parts: GatewayParts,
    ) -> FleetHost {
        let term = queue.limits().lease;
        let fleet = Fleet::new(queue.epoch().unwrap_or_default(), term, clock::now());
        shared.lock().fleet = Some(fleet);
        let of_fleet = shared.clone();
        parts.monitor.set_fleet(move || of_fleet.stats());
        FleetHost { shared, queue, bus, parts }
    }

    /// Serves the agents of workers, until the gateway ends.
    pub(crate) async fn serve(&self, gateway: &Gateway, until: impl Future<Output = ()>) {
        let mut serving = Serving::new();
        let mut until = std::pin::pin!(until.fuse());
        let mut is_over = false;
        let mut timer: Option<(Time, smol::Timer)> = None;
        loop {
            self.perform(gateway, &mut serving);
            if is_over && serving.is_empty() {
                return;
            }
            let deadline = self.shared.lock().fleet.as_ref().and_then(Fleet::deadline);
            if timer.as_ref().map(|(set, _)| *set) != deadline {
                let now = clock::now();
                // At least 1 ms ahead: a deadline in the past would loop.
                let after = |due: Time| smol::Timer::after(due.since(now).max(Duration::from_millis(1)));
                timer = deadline.map(|due| (due, after(due)));
            }
            poll_fn(|cx| {
                if !is_over && until.as_mut().poll(cx).is_ready() {
                    is_over = true;
                    return Poll::Ready(());
                }
                if let Poll::Ready(worker) = self.queue.poll_lease_lost(cx) {
                    self.shared.change(|fleet| fleet.handle_lease_lost(clock::now(), &worker));
                    return Poll::Ready(());
                }
                if let Poll::Ready(Some(agent)) = serving.poll_next_unpin(cx) {
                    self.shared.lock().pipes.remove(&agent);
                    // Otherwise the worker keeps it for the next leader.
                    if !gateway.is_leaving() {
                        self.shared.change(|fleet| fleet.handle_end(clock::now(), &agent));
                    }
                    return Poll::Ready(());
                }
                if timer.as_mut().is_some_and(|(_, timer)| timer.poll_unpin(cx).is_ready()) {
                    timer = None;
                    self.shared.change(|fleet| fleet.handle_tick(clock::now()));
                    return Poll::Ready(());
                }
                self.shared.changes.poll(cx)
            })
            .await;
        }
    }

    /// Lets workers look for the next leader. `hands_over` is false if another one leads already.
    pub(crate) fn finish(&self, hands_over: bool) {
        let mut outputs = Vec::new();
        if let Some(fleet) = &mut self.shared.lock().fleet {
            fleet.handle_end_of_lead(clock::now(), hands_over);
            outputs.extend(std::iter::from_fn(|| fleet.poll_output()));
        }
        for output in outputs {
            if let FleetOutput::Broadcast(frame) = output {
                self.bus.publish(FleetSubject::Workers, frame);
            }
        }
    }

    /// Performs the outputs of the machine.
    fn perform(&self, gateway: &Gateway, serving: &mut Serving<'_>) {
        loop {
            let output = self.shared.lock().fleet.as_mut().and_then(Fleet::poll_output);
            let Some(output) = output else { return };
            match output {
                FleetOutput::Publish { worker, frame } => {
                    self.bus.publish(FleetSubject::Worker(&worker), frame)
                }
                FleetOutput::Broadcast(frame) => self.bus.publish(FleetSubject::Workers, frame),
                FleetOutput::Claim { worker, call, agents } => {
                    let claimed = self.claim(gateway, &worker, &agents, serving);
                    match &claimed {
                        Ok(claimed) => {
                            let refused = claimed.refused.len();
                            tracing::info!(worker, agents = agents.len(), refused, "worker_joined");
                        }
                        Err(why) => tracing::warn!(worker, why, "worker_refused"),
                    }
                    self.shared.change(|fleet| {
                        fleet.handle_claimed(clock::now(), &worker, call, &agents, claimed);
                    });
                }
                FleetOutput::Renew { worker } => {
                    // A worker that is not accepted any more learns it from its next frame.
                    let _ = self.queue.worker(&worker);
                }
                FleetOutput::Started(agent) => match self.queue.claim(&agent, &[], &[]) {
                    Ok((inbox, _)) => self.start(gateway, inbox, serving),
                    Err(ClaimRefused::NotLeading) => {}
                    Err(_) => self.shared.change(|fleet| fleet.handle_end(clock::now(), &agent)),
                },
                FleetOutput::Wrote(agent, bytes) => {
                    if let Some(pipe) = self.shared.pipe(&agent) {
                        pipe.fill(bytes);
                    }
                }
                FleetOutput::Ended(agent, error) => {
                    if let Some(pipe) = self.shared.pipe(&agent) {
                        pipe.close(error);
                    }
                    self.shared.room.notify_all();
                }
                FleetOutput::FileAnswer { agent, call, answer, bytes } => {
                    if let Some(pipe) = self.shared.pipe(&agent) {
                        pipe.answer(call, (answer, bytes));
                    }
                }
                FleetOutput::WorkerEnded { worker } => {
                    tracing::info!(worker, "worker_left");
                    self.queue.worker_ended(&worker);
                }
                _ => {}
            }
        }
    }

    /// Gives a worker a lease, and claims what its agents have.
    fn claim(
        &self,
        gateway: &Gateway,
        worker: &str,
        agents: &[AgentClaim],
        serving: &mut Serving<'_>,
    ) -> Result<Claimed, String> {
        self.queue.worker(worker).map_err(|error| error.to_string())?;
        let mut claimed = Claimed::default();
        for claim in agents {
            let agent = AgentId::of_worker(worker, &claim.agent);
            match self.queue.claim(&agent, &claim.held, &claim.settling) {
                Ok((inbox, ended)) => {
                    claimed.ended.extend(ended);
                    self.start(gateway, inbox, serving);
                }
                Err(ClaimRefused::Ended) => claimed.refused.push(claim.agent.clone()),
                Err(error) => return Err(error.to_string()),
            }
        }
        self.queue.claims_done(worker);
        Ok(claimed)
    }

    /// Begins to serve an agent.
    fn start(&self, gateway: &Gateway, inbox: DurableInbox, serving: &mut Serving<'_>) {
        let agent = inbox.id().clone();
        let pipe = Arc::new(Pipe::default());
        self.shared.lock().pipes.insert(agent.clone(), pipe.clone());
        let shared = self.shared.clone();
        let from = RemoteReader::new(shared.clone(), pipe.clone(), agent.clone());
        let to = RemoteWriter::new(shared, pipe.clone(), agent.clone());
        let pipes = Agent { from: Box::new(from), to: Box::new(to), errors: None, is_replaceable: true };
        let files = RemoteFiles::new(self.shared.clone(), pipe.clone(), agent.clone());
        let parts = GatewayParts { media: self.parts.media.of_worker(files), ..self.parts.clone() };
        let Some(mut gateway) = gateway.for_claimed(inbox, parts) else { return };
        let serve = async move {
            let monitor = gateway.monitor.clone();
            monitor.note_agent_started();
            let ended = match Session::start(&mut gateway, pipes) {
                Ok(session) => session.serve().await,
                Err(error) => {
                    tracing::error!(%error, "session_not_started");
                    AgentEnd::OutputEnded
                }
            };
            monitor.note_agent_ended();
            let end = match (pipe.error(), ended) {
                (Some(None), _) => QueuedEnd::Planned,
                (Some(Some(error)), _) => QueuedEnd::Crashed(error),
                (None, ended) => QueuedEnd::Crashed(ended.of_entry().to_owned()),
            };
            gateway.end_claimed(&end);
            // The writer's thread may still wait for room.
            pipe.close(None);
            agent
        };
        serving.push(serve.boxed_local());
    }
}
