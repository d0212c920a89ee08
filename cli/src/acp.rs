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

use crate::bridge::{AgentKind, Agents, ControlSocket, End, Monitor};
use crate::exec::Current;
use crate::gateway::{HostLimits, RuntimeName};
use crate::signals::Shutdown;
use crate::sleep::SleepOptions;
pub(crate) use flags::{AcpArguments, prompt_prefix};
use host::AcpHost;
use relayline_acp::{AcpMachine, StopCause};
use relayline_control::config::GatewayConfig;
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

pub(crate) use files::MessageFiles;
pub(crate) use reader::{LineReader, ReadLine, log_stderr};
pub(crate) use session_file::SessionFile;
pub(crate) use start::{conclude, start};

/// Parts of an ACP host.
#[derive(Debug)]
pub(crate) struct AcpOptions {
    pub(crate) machine: AcpMachine,
    /// File with the sessions; without one they are kept in memory.
    pub(crate) state: Option<SessionFile>,
    pub(crate) files: MessageFiles,
    /// Port of the metrics page.
    pub(crate) metrics: Option<TcpListener>,
    /// Control socket.
    pub(crate) control: Option<ControlSocket>,
    /// Set if the gateway sleeps while it has no work.
    pub(crate) sleep: Option<SleepOptions>,
    pub(crate) limits: HostLimits,
    /// True if the agent's commands are declared to Discord: no others were named.
    pub(crate) declares_commands: bool,
    /// Handle to kill the agent that does not answer.
    pub(crate) current: Current,
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
    let (metrics, control, sleep) = (options.metrics.take(), options.control.take(), options.sleep.take());
    runtime.host(config, |relay, inbox| async move {
        let monitor = Monitor::new(AgentKind::Acp, control.as_ref().map(ControlSocket::monitor));
        if let Some(listener) = metrics {
            runtime.serve_metrics(&relay, listener, &monitor)?;
        }
        let transfers = options.limits.agent.media_transfers;
        // The machine of the agent decides who may answer.
        let serve_control =
            |socket: ControlSocket| socket.serve(&relay, &monitor, shutdown, transfers, Arc::default());
        let control = control.map(serve_control).transpose()?;
        sleep.map(|sleep| sleep.start(&relay, &monitor, shutdown)).transpose()?;
        let end = AcpHost::new(relay, inbox, options, shutdown, monitor).serve(agents).await;
        if let Some(control) = control {
            control.finish().await;
        }
        end
    })?
}

/// Returns an error for a file of a flag.
fn file_error(flag: &str, path: &Path, error: impl std::fmt::Display) -> String {
    format!("{flag} {}: {error}", path.display())
}
