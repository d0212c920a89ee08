//! Bridge between the relay and an agent in any language, with one JSON object per line.
//!
//! Four activities are independent of each other: reading the agent (a thread), writing to it (a thread), the connection
//! (the relay's task), and the request to stop. The queues between them are bounded:
//!
//! - [`op_queue`]: ops that wait for room among the requests in flight. When it is full nothing is read.
//! - [`line_queue`]: lines for the agent. When the budget of events is used up, the inbox is not polled, so that the machine's
//!   back-pressure applies. When that of results, notices and interrupts is used up, nothing is read.
//!
//! [`session`] serves one agent, [`runner`] runs its ops, [`gateway`] holds the relay. [`control`] serves clients beside the
//! agent.

mod change_signal;
mod control;
mod delivery;
mod execution;
#[cfg(feature = "jetstream")]
mod fleet;
mod gateway;
mod inspected;
mod jobs;
mod line;
mod line_queue;
mod media;
mod monitor;
mod op;
mod op_deserializer;
mod op_queue;
mod parts;
mod prompt_request;
mod queue_prompts;
mod reader;
mod runner;
#[cfg(test)]
mod schema;
mod session;
mod settings;
mod status;
#[cfg(all(test, unix))]
mod tests;
mod unsettled;
mod writer;

use crate::approvals::PromptPolicy;
use crate::gateway::RuntimeName;
use crate::inspector::InspectorPort;
use crate::signals::Shutdown;
use crate::sleep::SleepOptions;
pub(crate) use change_signal::ChangeSignal;
#[cfg(unix)]
pub(crate) use control::connect_socket;
pub(crate) use control::{ControlServer, ControlSettings, ControlSocket, remove_socket};
pub(crate) use delivery::{AgentSettlement, Content, Item};
#[cfg(feature = "jetstream")]
pub(crate) use fleet::{FleetHost, FleetShared};
pub(crate) use gateway::{Cause, Gateway, GatewayParts};
pub(crate) use jobs::{hand_over, run_jobs};
#[cfg(feature = "jetstream")]
pub(crate) use media::{Draft, MediaFile};
pub(crate) use media::{Media, MediaFolder, media_kind, remove_drafts};
pub(crate) use monitor::{AgentKind, BusyMark, Monitor};
pub(crate) use op::{OpLabel, names as op_names};
pub(crate) use parts::submit_when_room;
pub(crate) use queue_prompts::QueuePrompts;
use relayline_control::config::GatewayConfig;
use relayline_core::output::Fatal;
use relayline_queue::inbox::DurableQueue;
use relayline_runtime::Relay;
use relayline_runtime::observe::WireObserver;
use session::Session;
pub(crate) use settings::AgentSettings;
pub(crate) use status::{DurableStatus, ErrorStatus, GatewayStatus, QueueStatus};
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
pub(crate) use unsettled::{Unsettled, settle};
pub(crate) use writer::Writer;

/// Pipes of an agent.
pub(crate) struct Agent {
    pub(crate) from: Box<dyn Read + Send>,
    pub(crate) to: Box<dyn Write + Send>,
    /// Its stderr, if that is not the gateway's.
    pub(crate) errors: Option<Box<dyn Read + Send>>,
    /// True if another agent may follow: the end of this one's output does not end the gateway then.
    pub(crate) is_replaceable: bool,
}

/// End of an agent while the gateway stays connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AgentEnd {
    /// Its output ended.
    OutputEnded,
    /// It closed its input.
    InputClosed,
}

impl AgentEnd {
    /// Returns the error of an entry that the agent had.
    pub(crate) fn of_entry(self) -> &'static str {
        match self {
            AgentEnd::OutputEnded => "the agent ended while it had the entry",
            AgentEnd::InputClosed => "the agent closed its input while it had the entry",
        }
    }
}

/// Source of a gateway's agents.
pub(crate) trait Agents {
    /// Starts the next agent. `last` is the end of the previous one. `None` disconnects the gateway. The future is
    /// dropped if the gateway ends meanwhile.
    fn next(&mut self, last: Option<AgentEnd>) -> impl Future<Output = io::Result<Option<Agent>>>;
}

/// Source of a single agent.
pub(crate) struct OneAgent(pub(crate) Option<Agent>);

impl Agents for OneAgent {
    async fn next(&mut self, _: Option<AgentEnd>) -> io::Result<Option<Agent>> {
        Ok(self.0.take())
    }
}

/// Facilities of a gateway beside its agents. Each is there if it is requested.
#[derive(Debug, Default)]
pub(crate) struct Facilities {
    /// Port of the metrics page.
    pub(crate) metrics: Option<TcpListener>,
    /// Control socket.
    pub(crate) control: Option<ControlSocket>,
    /// Set if the gateway sleeps while it has no work.
    pub(crate) sleep: Option<SleepOptions>,
    /// Port of the inspector.
    pub(crate) inspector: Option<InspectorPort>,
}

impl Facilities {
    /// Returns the observer of the gateway's wire, if one is needed.
    pub(crate) fn observer(&self) -> Option<Arc<dyn WireObserver>> {
        self.inspector.as_ref().map(InspectorPort::observer)
    }
}

#[derive(Debug)]
pub(crate) struct Options {
    /// Acknowledge buffered deliveries once their line is written.
    pub(crate) auto_ack: bool,
    pub(crate) facilities: Facilities,
    pub(crate) settings: AgentSettings,
    /// Way in which the agents are connected.
    pub(crate) kind: AgentKind,
    /// Folder of the agent's files.
    pub(crate) media: MediaFolder,
    /// Handling of the agent's prompts: the chat that shows them, and the users who may answer.
    pub(crate) prompts: PromptPolicy,
}

/// End of the gateway.
#[derive(Debug)]
pub(crate) enum End {
    /// It was disconnected for this cause.
    Disconnected(Cause),
    /// The gateway was revoked (L-10).
    Disabled(Fatal),
}

/// Runs a gateway for its agents until there is no further one, or until a request to stop. From then on it returns within
/// the disconnect budget, whatever the agent does: it abandons a thread that is blocked by the agent.
pub(crate) fn run(
    runtime: RuntimeName,
    config: GatewayConfig,
    agents: &mut impl Agents,
    options: Options,
    shutdown: &Shutdown,
) -> io::Result<End> {
    let observer = options.facilities.observer();
    runtime.host(config, observer, |relay, inbox| async move {
        let (parts, control) = options.begin(runtime, &relay, None, shutdown)?;
        let end = serve(Gateway::new(relay, inbox, parts), agents).await;
        if let Some(control) = control {
            control.finish().await;
        }
        end
    })?
}

impl Options {
    /// Begins to serve the metrics page, the control socket and the inspector, and lets the gateway sleep. Returns the parts of
    /// the gateway's agents.
    pub(crate) fn begin(
        self,
        runtime: RuntimeName,
        relay: &Relay,
        queue: Option<&DurableQueue>,
        shutdown: &Shutdown,
    ) -> io::Result<(GatewayParts, Option<ControlServer>)> {
        let Options { auto_ack, facilities, settings, kind, media, prompts } = self;
        let Facilities { metrics, control, sleep, inspector } = facilities;
        let media = Media::new(media, settings.media_transfers);
        let monitor = Monitor::new(kind, control.as_ref().map(ControlSocket::monitor));
        if let Some(queue) = queue {
            monitor.set_queue(queue.clone());
        }
        if let Some(listener) = metrics {
            runtime.serve_metrics(relay, listener, &monitor)?;
        }
        let serve_control = |socket: ControlSocket| {
            socket.serve(relay, &monitor, shutdown, settings.media_transfers, prompts.approvers.clone())
        };
        let control = control.map(serve_control).transpose()?;
        let inspect = |port: InspectorPort| port.start(runtime, inspected::inspected(relay, &monitor));
        let inspector = inspector.map(inspect).transpose()?.map(Arc::new);
        sleep.map(|sleep| sleep.start(relay, &monitor, shutdown)).transpose()?;
        let shutdown = shutdown.clone();
        Ok((GatewayParts { shutdown, settings, auto_ack, media, monitor, prompts, inspector }, control))
    }
}

async fn serve(mut gateway: Gateway, agents: &mut impl Agents) -> io::Result<End> {
    serve_agents(&mut gateway, agents, None).await?;
    Ok(end_of(&gateway))
}

/// One of the jobs that are served from a queue.
#[derive(Clone, Copy, Debug)]
struct Job<'j> {
    id: &'j str,
    /// True if its end ends the gateway.
    is_alone: bool,
}

/// Serves agents, one after another, until there is no further one or the gateway ends.
async fn serve_agents(
    gateway: &mut Gateway,
    agents: &mut impl Agents,
    job: Option<Job<'_>>,
) -> io::Result<()> {
    let mut last = None;
    while !gateway.has_ended() && gateway.cause().is_none() {
        let next = gateway.without_agent(agents.next(last)).await;
        match next {
            Some(Ok(Some(mut agent))) => {
                let monitor = gateway.monitor.clone();
                monitor.note_agent_started();
                if let Some(Job { id, is_alone }) = job {
                    // The end of its output must not disconnect the others.
                    agent.is_replaceable |= !is_alone;
                    gateway.begin_agent(id);
                }
                let end = Session::start(gateway, agent)?.serve().await;
                gateway.end_agent(end);
                last = Some(end);
                monitor.note_agent_ended();
            }
            Some(Ok(None)) if job.is_some_and(|job| !job.is_alone) => return Ok(()),
            Some(Ok(None)) => gateway.leave_without_agent(Cause::OutputEnded).await,
            Some(Err(error)) => {
                gateway.leave_without_agent(Cause::OutputEnded).await;
                return Err(error);
            }
            // A request to stop, or the end of the relay.
            None => {
                if let Some(cause) = gateway.cause() {
                    gateway.leave_without_agent(cause).await;
                }
            }
        }
    }
    Ok(())
}

fn end_of(gateway: &Gateway) -> End {
    tracing::debug!(stats = ?gateway.relay.stats(), "ended");
    match gateway.fatal() {
        Some(fatal) => End::Disabled(fatal),
        None => End::Disconnected(gateway.cause().unwrap_or(Cause::OutputEnded)),
    }
}
