//! Start of `run --acp`: its flags and files, the agent, and the exit code.

use super::{AcpArguments, AcpEnd, AcpOptions, MessageFiles, SessionFile};
use crate::boot;
use crate::bridge::{Cause, End};
use crate::exec::AgentStderr;
use crate::fail;
use crate::gateway::HostLimits;
use crate::restart::{Restart, RestartLimits, Restarts};
use crate::run::{self, RunArguments};
use crate::supervisor::Supervisor;
use relayline_acp::{AcpMachine, Settling};
use relayline_control::config::GatewayConfig;
use relayline_control::settings::Resolved;
use serde_json::Value;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// Runs a gateway for an agent that speaks the Agent Client Protocol. Prints errors, and returns the exit code.
///
/// # Errors
/// It was not started: the exit code, after the error was printed.
pub(crate) fn start(
    arguments: &RunArguments,
    resolved: Resolved,
    limits: HostLimits,
    manifest: Option<Vec<Value>>,
) -> Result<ExitCode, ExitCode> {
    let (runtime, command) = (arguments.gateway.network.runtime, arguments.acp.command());
    let settling = if arguments.queue.is_given() { Settling::TurnEnded } else { Settling::default() };
    let machine = machine(&arguments.acp, &limits, &resolved.config, settling)?;
    let state = session_file(&arguments.acp, &machine)?;
    let files = message_files(arguments.media.dir(), &limits)?;
    let facilities = arguments.facilities(&limits.control)?;
    let mut config = boot::ready(runtime, resolved).map_err(|error| fail(1, error))?;
    let declares_commands = manifest.is_none();
    arguments.configure(&mut config, manifest.or_else(|| machine.command_manifest()));
    if let Some(warning) = arguments.acp.warning() {
        tracing::warn!(warning, "configuration");
    }
    let (shutdown, current) = run::watch_signals()?;
    let queue = arguments.acquire_queue(&config, limits.queue.clone(), &shutdown)?;
    let when = arguments.restart.unwrap_or(Restart::OnFailure);
    let restarts = Restarts::new(when, RestartLimits::of(&limits.agent));
    let stderr = AgentStderr::Piped;
    let started = Supervisor::start(command, stderr, restarts, current.clone(), shutdown.clone());
    let (supervisor, mut agents) = started.map_err(|error| {
        // Without its arguments, which can have keys.
        let program = command.first().map_or("", String::as_str);
        fail(1, format_args!("--acp {program}: {error}"))
    })?;
    let options = AcpOptions { machine, state, files, facilities, limits, declares_commands, current, queue };
    let ended = super::run(runtime, config, &mut agents, options, &shutdown);
    drop(agents);
    let failure = supervisor.wait();
    Ok(conclude(ended, failure))
}

/// Returns the machine of an agent, as its flags make it, with the saved sessions.
///
/// # Errors
/// A flag or the file of the sessions is wrong: the exit code, after the error was printed.
pub(crate) fn machine(
    arguments: &AcpArguments,
    limits: &HostLimits,
    gateway: &GatewayConfig,
    settling: Settling,
) -> Result<AcpMachine, ExitCode> {
    let mut config = arguments.config(&limits.acp).map_err(|error| fail(2, error))?;
    config.platforms = run::platforms(gateway);
    config.approvals = arguments.approvals(&config.platforms).map_err(|error| fail(2, error))?;
    config.settling = settling;
    let saved = arguments.saved().map_err(|error| fail(1, error))?;
    Ok(AcpMachine::new(config, &saved))
}

/// Returns the file of the sessions, if there is one, after it was written: one that cannot be written would lose them.
///
/// # Errors
/// It cannot be written: the exit code, after the error was printed.
pub(crate) fn session_file(
    arguments: &AcpArguments,
    machine: &AcpMachine,
) -> Result<Option<SessionFile>, ExitCode> {
    let Some(file) = arguments.state().map(SessionFile::new) else { return Ok(None) };
    file.write(&machine.state().to_json()).map_err(|error| {
        let path = file.path().display();
        fail(1, format_args!("--acp-state {path}: {error}; name a file in a folder that exists"))
    })?;
    Ok(Some(file))
}

/// Returns the folder for files of messages.
///
/// # Errors
/// It cannot be used: the exit code, after the error was printed.
pub(crate) fn message_files(media_dir: Option<&Path>, limits: &HostLimits) -> Result<MessageFiles, ExitCode> {
    let (transfers, max) = (limits.agent.media_transfers, limits.acp.acp_file_bytes);
    MessageFiles::new(media_dir, transfers, max).map_err(|error| {
        fail(2, format_args!("the folder for files of messages: {error}; name one with --media-dir"))
    })
}

/// Prints the error of a gateway that has ended, and returns its exit code. `failure` is that of its last agent.
pub(crate) fn conclude(ended: io::Result<AcpEnd>, failure: Option<String>) -> ExitCode {
    match ended {
        Ok(AcpEnd::Unusable(cause)) => fail(if cause.is_configuration() { 2 } else { 1 }, cause),
        // Many agents end with an error when their input ends, or by the signal that follows. They were asked to.
        Ok(AcpEnd::Gateway(ended @ End::Disconnected(Cause::Stopped(_)))) => run::end(Ok((ended, true))),
        Ok(AcpEnd::Gateway(ended)) => match failure {
            Some(failure) if !matches!(ended, End::Disabled(_)) => fail(1, failure),
            Some(_) | None => run::end(Ok((ended, true))),
        },
        Err(error) => fail(1, error),
    }
}
