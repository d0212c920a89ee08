//! Start of `run --acp`: its flags and files, the agent, and the exit code.

use super::{AcpEnd, AcpOptions, MessageFiles, SessionFile};
use crate::boot;
use crate::bridge::{Cause, End};
use crate::exec::AgentStderr;
use crate::fail;
use crate::gateway::HostLimits;
use crate::queue::Acquired;
use crate::restart::{Restart, RestartLimits, Restarts};
use crate::run::{self, RunArguments};
use crate::supervisor::Supervisor;
use relayline_acp::{AcpMachine, Settling};
use relayline_control::settings::Resolved;
use serde_json::Value;
use std::io;
use std::process::ExitCode;

/// Runs a gateway for an agent that speaks the Agent Client Protocol. Prints errors, and returns the exit code.
pub(crate) fn start(
    arguments: &RunArguments,
    resolved: Resolved,
    limits: HostLimits,
    manifest: Option<Vec<Value>>,
) -> ExitCode {
    let (runtime, command) = (arguments.gateway.network.runtime, arguments.acp.command());
    let mut acp_config = match arguments.acp.config(&limits.acp) {
        Ok(config) => config,
        Err(error) => return fail(2, error),
    };
    acp_config.platforms = run::platforms(&resolved.config);
    acp_config.approvals = match arguments.acp.approvals(&acp_config.platforms) {
        Ok(approvals) => approvals,
        Err(error) => return fail(2, error),
    };
    let saved = match arguments.acp.saved() {
        Ok(saved) => saved,
        Err(error) => return fail(1, error),
    };
    if arguments.queue.is_given() {
        acp_config.settling = Settling::TurnEnded;
    }
    let machine = AcpMachine::new(acp_config, &saved);
    let state = arguments.acp.state().map(SessionFile::new);
    // Before anything begins: a file that cannot be written would lose the sessions.
    if let Some(file) = &state
        && let Err(error) = file.write(&machine.state().to_json())
    {
        let path = file.path().display();
        return fail(1, format_args!("--acp-state {path}: {error}; name a file in a folder that exists"));
    }
    let (transfers, max) = (limits.agent.media_transfers, limits.acp.acp_file_bytes);
    let files = match MessageFiles::new(arguments.media_dir.as_deref(), transfers, max) {
        Ok(files) => files,
        Err(error) => {
            return fail(
                2,
                format_args!("the folder for files of messages: {error}; name one with --media-dir"),
            );
        }
    };
    let metrics = match arguments.metrics.as_deref().map(run::open).transpose() {
        Ok(metrics) => metrics,
        Err(error) => return fail(1, error),
    };
    let control = match arguments.control_socket(&limits.control) {
        Ok(control) => control,
        Err(error) => return fail(1, error),
    };
    let sleep = match arguments.sleep.options() {
        Ok(sleep) => sleep,
        Err((code, error)) => return fail(code, error),
    };
    let mut config = match boot::ready(runtime, resolved) {
        Ok(config) => config,
        Err(error) => return fail(1, error),
    };
    let declares_commands = manifest.is_none();
    arguments.configure(&mut config, manifest.or_else(|| machine.command_manifest()));
    if let Some(warning) = arguments.acp.warning() {
        tracing::warn!(warning, "configuration");
    }
    let (shutdown, current) = match run::watch_signals() {
        Ok(watched) => watched,
        Err(code) => return code,
    };
    let mut queue = arguments.queue.start(&config, limits.queue.clone());
    if let Some(queue) = &mut queue {
        match queue.acquire(&shutdown) {
            Ok(Acquired::Ours) => {}
            Ok(Acquired::Stopped) => return ExitCode::SUCCESS,
            Err(error) => return fail(1, error),
        }
    }
    let when = arguments.restart.unwrap_or(Restart::OnFailure);
    let restarts = Restarts::new(when, RestartLimits::of(&limits.agent));
    let stderr = AgentStderr::Piped;
    let started = Supervisor::start(command, stderr, restarts, current.clone(), shutdown.clone());
    let (supervisor, mut agents) = match started {
        Ok(started) => started,
        Err(error) => {
            // Without its arguments, which can have keys.
            let program = command.first().map_or("", String::as_str);
            return fail(1, format_args!("--acp {program}: {error}"));
        }
    };
    let options = AcpOptions {
        machine,
        state,
        files,
        metrics,
        control,
        sleep,
        limits,
        declares_commands,
        current,
        queue,
    };
    let ended = super::run(runtime, config, &mut agents, options, &shutdown);
    drop(agents);
    let failure = supervisor.wait();
    conclude(ended, failure)
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
