//! The bridge: what an agent in any language reads and writes, a JSON object a line.
//!
//! Four things are independent of each other: reading the agent (a thread), writing to it (a thread), the connection
//! (the relay's own task), and the request to stop. What lies between them is bounded:
//!
//! - [`ops`]: ops that were read and wait for room among the requests in flight. When it is full nothing is read.
//! - [`lines`]: lines for the agent. Events have a budget, at which the inbox is left alone, so that the machine's
//!   back-pressure acts. Results, notices and interrupts have one of their own, at which nothing is read.
//!
//! [`session`] is one agent's life, [`gateway`] the relay's.

mod answer;
mod gateway;
mod held;
mod line;
mod lines;
mod media;
mod op;
mod ops;
mod parts;
mod reader;
#[cfg(test)]
mod schema;
mod session;
mod settings;
mod tagged;
#[cfg(all(test, unix))]
mod tests;
mod wake;
mod writer;

use crate::gateway::RuntimeName;
use crate::signals::Shutdown;
pub(crate) use gateway::Cause;
use gateway::Gateway;
use media::Media;
pub(crate) use media::{MediaFolder, remove_drafts};
pub(crate) use op::names as op_names;
use relayline_control::config::GatewayConfig;
use relayline_core::output::Fatal;
use session::Session;
pub(crate) use settings::AgentSettings;
use std::io::{self, Read, Write};
use std::net::TcpListener;

/// What an agent writes, and where it reads.
pub(crate) struct Agent {
    pub(crate) from: Box<dyn Read + Send>,
    pub(crate) to: Box<dyn Write + Send>,
    /// Whether another may follow: the end of this one's output is then not the gateway's.
    pub(crate) replaceable: bool,
}

/// How an agent ended while the gateway stays connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AgentEnd {
    /// Its output ended.
    OutputEnded,
    /// It closed its input.
    InputClosed,
}

/// Supplies a gateway's agents, one after another.
pub(crate) trait Agents {
    /// Starts the next agent; `last` is how the one before it ended. With none to follow (`None`) the gateway
    /// disconnects. The future is dropped when the gateway is to end meanwhile.
    fn next(&mut self, last: Option<AgentEnd>) -> impl Future<Output = io::Result<Option<Agent>>>;
}

/// A single agent, which none follows.
pub(crate) struct OneAgent(pub(crate) Option<Agent>);

impl Agents for OneAgent {
    async fn next(&mut self, _: Option<AgentEnd>) -> io::Result<Option<Agent>> {
        Ok(self.0.take())
    }
}

#[derive(Debug)]
pub(crate) struct Options {
    /// Take buffered deliveries once their line is written.
    pub(crate) auto_ack: bool,
    /// Where the metrics page is asked for.
    pub(crate) metrics: Option<TcpListener>,
    pub(crate) settings: AgentSettings,
    /// Where files that the agent names lie.
    pub(crate) media: MediaFolder,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum End {
    /// It has disconnected, and why.
    Disconnected(Cause),
    /// The gateway was revoked (L-10).
    Disabled(Fatal),
}

/// Runs a gateway for its agents until there is no further one, or until it is asked to stop. It returns within the
/// disconnect budget from then on, whatever the agent does: a thread that is blocked by the agent is left behind.
pub(crate) fn run(
    runtime: RuntimeName,
    config: GatewayConfig,
    agents: &mut impl Agents,
    options: Options,
    shutdown: &Shutdown,
) -> io::Result<End> {
    let Options { auto_ack, metrics, settings, media } = options;
    let media = Media::new(media, settings.media_transfers);
    runtime.host(config, |relay, inbox| async move {
        if let Some(listener) = metrics {
            runtime.serve_metrics(&relay, listener)?;
        }
        let gateway = Gateway::new(relay, inbox, shutdown, settings, auto_ack, media);
        serve(gateway, agents).await
    })?
}

async fn serve(mut gateway: Gateway, agents: &mut impl Agents) -> io::Result<End> {
    let mut last = None;
    while gateway.over.is_none() && gateway.cause().is_none() {
        let next = gateway.without_agent(agents.next(last)).await;
        match next {
            Some(Ok(Some(agent))) => last = Some(Session::start(&mut gateway, agent)?.serve().await),
            Some(Ok(None)) => gateway.leave_without_agent(Cause::OutputEnded).await,
            Some(Err(error)) => {
                gateway.leave_without_agent(Cause::OutputEnded).await;
                return Err(error);
            }
            // It is to stop, or is over.
            None => {
                if let Some(cause) = gateway.cause() {
                    gateway.leave_without_agent(cause).await;
                }
            }
        }
    }
    tracing::debug!(stats = ?gateway.relay.stats(), "ended");
    Ok(match gateway.fatal() {
        Some(fatal) => End::Disabled(fatal),
        None => End::Disconnected(gateway.cause().unwrap_or(Cause::OutputEnded)),
    })
}
