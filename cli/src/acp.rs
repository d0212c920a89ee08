//! Agents that speak the Agent Client Protocol: `run --acp`. The crate `relayline-acp` decides; this module has the pipes,
//! the relay and the files.
//!
//! [`start()`] starts it, and [`host`] is the task between the agent and the relay. `reader.rs` reads the agent's lines
//! and its stderr on threads, the bridge's writer writes to it, `files.rs` fetches the files of messages, and
//! `session_file.rs` saves the sessions.

mod files;
mod flags;
mod host;
mod reader;
mod session_file;
mod start;

use crate::approvals::PromptPolicy;
use crate::bridge::{
    AgentKind, Agents, ControlServer, End, Facilities, Gateway, GatewayParts, MediaFolder, Options, hand_over,
};
use crate::exec::Current;
use crate::gateway::{HostLimits, RuntimeName};
use crate::queue::QueueStart;
use crate::signals::Shutdown;
pub(crate) use flags::{AcpArguments, prompt_prefix};
use host::AcpHost;
use relayline_acp::{AcpMachine, StopCause};
use relayline_control::config::GatewayConfig;
use relayline_queue::inbox::DurableQueue;
use relayline_runtime::Relay;
use std::io;
use std::path::Path;

pub(crate) use files::MessageFiles;
pub(crate) use reader::{LineReader, ReadLine, log_stderr};
pub(crate) use session_file::SessionFile;
pub(crate) use start::{conclude, machine, message_files, session_file, start};

/// Parts of an ACP host.
#[derive(Debug)]
pub(crate) struct AcpOptions {
    pub(crate) machine: AcpMachine,
    /// File with the sessions; without one they are kept in memory.
    pub(crate) state: Option<SessionFile>,
    pub(crate) files: MessageFiles,
    pub(crate) facilities: Facilities,
    pub(crate) limits: HostLimits,
    /// True if the agent's commands are declared to Discord: no others were named.
    pub(crate) declares_commands: bool,
    /// Handle to kill the agent that does not answer.
    pub(crate) current: Current,
    /// Durable queue, if there is one.
    pub(crate) queue: Option<QueueStart>,
}

/// End of an ACP host.
#[derive(Debug)]
pub(crate) enum AcpEnd {
    Gateway(End),
    /// The agent cannot be used.
    Unusable(StopCause),
}

/// Runs a gateway for its ACP agents until there is no further one, until one cannot be used, or until a request to stop.
pub(crate) fn run(
    runtime: RuntimeName,
    mut config: GatewayConfig,
    agents: &mut impl Agents,
    mut options: AcpOptions,
    shutdown: &Shutdown,
) -> io::Result<AcpEnd> {
    // A file can have the key, and nothing here has a use for forwards.
    config.machine.passthrough = false;
    // Answers to prompts arrive as messages: an answer of somebody who may not give it leaves the prompt open.
    config.machine.prompts = false;
    let observer = options.facilities.observer();
    match options.queue.take() {
        None => runtime.host(config, observer, |relay, inbox| async move {
            let (parts, control) = options.begin(runtime, &relay, None, shutdown)?;
            serve(AcpHost::new(Gateway::new(relay, inbox, parts), options), agents, control).await
        })?,
        Some(queue) => {
            let served = runtime.host_with_queue(config, queue, observer, |queue| async move {
                let relay = queue.relay().clone();
                let (parts, control) = options.begin(runtime, &relay, Some(&queue), shutdown)?;
                let gateway = Gateway::queued(queue.clone(), parts);
                let end = serve(AcpHost::new(gateway, options), agents, control).await;
                hand_over(&queue).await.and(end)
            })?;
            // The text says what to do.
            served.map_err(io::Error::other)
        }
    }
}

async fn serve(
    host: AcpHost,
    agents: &mut impl Agents,
    control: Option<ControlServer>,
) -> io::Result<AcpEnd> {
    let end = host.serve(agents).await;
    if let Some(control) = control {
        control.finish().await;
    }
    end
}

impl AcpOptions {
    /// Begins to serve the metrics page, the control socket and the inspector, and lets the gateway sleep. Returns the parts of
    /// the gateway.
    fn begin(
        &mut self,
        runtime: RuntimeName,
        relay: &Relay,
        queue: Option<&DurableQueue>,
        shutdown: &Shutdown,
    ) -> io::Result<(GatewayParts, Option<ControlServer>)> {
        let options = Options {
            auto_ack: true,
            facilities: std::mem::take(&mut self.facilities),
            settings: self.limits.agent.clone(),
            kind: AgentKind::Acp,
            // The transfers of a bridge, which is not in use here.
            media: MediaFolder::none(),
            // The machine of the agent decides who may answer.
            prompts: PromptPolicy::default(),
        };
        options.begin(runtime, relay, queue, shutdown)
    }
}

/// Returns an error for a file of a flag.
fn file_error(flag: &str, path: &Path, error: impl std::fmt::Display) -> String {
    format!("{flag} {}: {error}", path.display())
}
