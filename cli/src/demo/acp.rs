//! `relayline demo --acp`: the demo's connector, and `run --acp` for the scripted agent or an installed one.

use super::acp_agent;
use super::acp_conversation::AcpConversation;
use super::script::{self, DemoChat, Step};
use super::stage::{CHECK, ENDED};
use super::{DemoArguments, HELP_WIDTH};
use crate::acp::{self, AcpEnd, AcpOptions, MessageFiles};
use crate::bridge::{Cause, End, Facilities};
use crate::exec::{AgentStderr, own_program};
use crate::gateway::HostLimits;
use crate::local_gateway::LocalGateway;
use crate::restart::{Restart, RestartLimits, Restarts};
use crate::signals::Shutdown;
use crate::supervisor::Supervisor;
use crate::{fail, run};
use futures_util::FutureExt;
use relayline_acp::{AcpConfig, AcpMachine, SavedState};
use relayline_control::config::GatewayConfig;
use std::io::{self, BufRead};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Maximum time of a step with the scripted agent.
const SCRIPTED: Duration = Duration::from_secs(15);
/// Maximum time of a step with an installed agent.
const INSTALLED: Duration = Duration::from_secs(300);
/// Minimum time between two states of the progress: people watch it.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// Plays the steps, or chats from the terminal if there are none. Prints errors, and returns the exit code.
pub(super) fn play(arguments: &DemoArguments, steps: Option<Vec<Step>>) -> ExitCode {
    let command = match command(arguments) {
        Ok(command) => command,
        Err(error) => return fail(1, error),
    };
    let (shutdown, current) = match run::watch_signals() {
        Ok(watched) => watched,
        Err(code) => return code,
    };
    let (connector, config) = match super::enroll_gateway(arguments.runtime) {
        Ok(LocalGateway { connector, config }) => (connector, config),
        Err(error) => return fail(1, error),
    };
    let limits = HostLimits::default();
    let (machine, files) = match parts(&config, &limits) {
        Ok(parts) => parts,
        Err(error) => return fail(1, error),
    };
    let restarts = Restarts::new(Restart::OnFailure, RestartLimits::of(&limits.agent));
    let started =
        Supervisor::start(&command, AgentStderr::Piped, restarts, current.clone(), shutdown.clone());
    let (supervisor, mut agents) = match started {
        Ok(started) => started,
        Err(error) => {
            let program = command.first().map_or("", String::as_str);
            return fail(1, format_args!("--acp {program}: {error}"));
        }
    };
    let (facilities, declares_commands) = (Facilities::default(), true);
    let (state, queue) = (None, None);
    let options = AcpOptions { machine, state, files, facilities, limits, declares_commands, current, queue };
    let (runtime, stop) = (arguments.runtime, shutdown.clone());
    // The gateway runs on a thread of its own, like a separate process.
    let host = std::thread::Builder::new().name("gateway".to_owned()).spawn(move || {
        let ended = acp::run(runtime, config, &mut agents, options, &stop);
        drop(agents);
        ended
    });
    let host = match host {
        Ok(host) => GatewayThread { thread: host, shutdown },
        Err(error) => return fail(1, error),
    };
    let is_live = steps.is_none();
    let mut conversation = AcpConversation::new(connector, is_live);
    let patience = if arguments.command.is_empty() { SCRIPTED } else { INSTALLED };
    let played = conversation.stage.open(|| host.has_ended()).and_then(|()| match steps {
        Some(steps) => steps.iter().try_for_each(|step| {
            conversation.perform(step)?;
            if *step == Step::Drop { Ok(()) } else { conversation.listen(patience, || host.has_ended()) }
        }),
        None => chat(&mut conversation, &lines()?, &host, arguments.command.is_empty()),
    });
    let is_interrupted = host.is_asked_to_end();
    let ended = host.end();
    let failure = supervisor.wait();
    if !matches!(ended, Ok(AcpEnd::Gateway(End::Disconnected(Cause::Stopped(_))))) {
        // It ended by itself, since its agent did. This says why.
        let code = acp::conclude(ended, failure);
        return if code == ExitCode::SUCCESS { fail(1, ENDED) } else { code };
    }
    match played.and_then(|()| conversation.stage.close()) {
        Err(error) if !is_interrupted => fail(1, error),
        _ => ExitCode::SUCCESS,
    }
}

/// Returns the program of the agent and its arguments.
fn command(arguments: &DemoArguments) -> Result<Vec<String>, String> {
    if !arguments.command.is_empty() {
        return Ok(arguments.command.clone());
    }
    let program = own_program().map_err(|error| format!("this program cannot be found: {error}"))?;
    let program = program.into_os_string().into_string();
    let program =
        program.map_err(|path| format!("the path of this program is not UTF-8: {}", path.display()))?;
    Ok(vec![program, acp_agent::NAME.to_owned()])
}

/// Returns the parts of `run --acp`, as it would make them of its flags.
fn parts(config: &GatewayConfig, limits: &HostLimits) -> Result<(AcpMachine, MessageFiles), String> {
    let folder = std::env::current_dir().map_err(|error| format!("the working folder: {error}"))?;
    let mut acp_config = AcpConfig::new(folder);
    acp_config.platforms = run::platforms(config);
    acp_config.prompt_prefix = acp::prompt_prefix()?;
    acp_config.limits = limits.acp.clone();
    acp_config.limits.acp_progress_interval = PROGRESS_INTERVAL;
    let files = MessageFiles::new(None, limits.agent.media_transfers, limits.acp.acp_file_bytes);
    let files = files.map_err(|error| format!("the folder for files of messages: {error}"))?;
    Ok((AcpMachine::new(acp_config, &SavedState::default()), files))
}

/// A running gateway.
struct GatewayThread {
    thread: JoinHandle<io::Result<AcpEnd>>,
    shutdown: Shutdown,
}

impl GatewayThread {
    /// Returns true if the gateway has ended, or is to end.
    fn has_ended(&self) -> bool {
        self.thread.is_finished() || self.is_asked_to_end()
    }

    /// Returns true if a signal ends it.
    fn is_asked_to_end(&self) -> bool {
        self.shutdown.triggered().now_or_never().is_some()
    }

    /// Ends the gateway.
    fn end(self) -> io::Result<AcpEnd> {
        self.shutdown.trigger("the demo has ended");
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the gateway panicked")))
    }
}

/// Reads the lines of stdin on a thread of its own, which ends with the process.
fn lines() -> Result<Receiver<io::Result<String>>, String> {
    let (sender, lines) = channel();
    let read = move || {
        for line in io::stdin().lock().lines() {
            if sender.send(line).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("stdin".to_owned()).spawn(read).map_err(|error| error.to_string())?;
    Ok(lines)
}

/// Commands of the chat.
const HELP: [(&str, &str); 8] = [
    ("deploy", "let the scripted agent ask for a permission, with buttons where the chat has them"),
    ("/press OPTION", "press a button, as in /press Allow; without buttons answer with a number"),
    ("/stop", "stop the agent's turn"),
    ("/chat NAME", "go to another chat, which is another session: discord, telegram, slack or sms"),
    ("/command NAME", "a slash command, as in /command plan"),
    ("/drop", "cut the connection"),
    ("/help", "show this list"),
    ("/quit", "leave"),
];

/// Chats with the agent from a terminal.
fn chat(
    conversation: &mut AcpConversation,
    lines: &Receiver<io::Result<String>>,
    host: &GatewayThread,
    is_scripted: bool,
) -> Result<(), String> {
    let hint =
        if is_scripted { " Say `deploy`, or anything, or /help." } else { " Say something, or /help." };
    conversation.stage.remark(&format!("You are in a thread on Slack.{hint}"));
    let mut current = DemoChat::Slack;
    while !host.has_ended() {
        conversation.watch(Duration::ZERO);
        let line = match lines.recv_timeout(CHECK) {
            Ok(line) => line.map_err(|error| format!("stdin: {error}"))?,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let line = line.trim();
        let step = match line.split_once(' ').unwrap_or((line, "")) {
            ("", _) => continue,
            ("/quit", _) => break,
            ("/help", _) => {
                // An installed agent has its own words.
                let help = HELP.iter().skip(usize::from(!is_scripted));
                for (command, what) in help {
                    conversation.stage.remark(&format!("{command:<HELP_WIDTH$}{what}"));
                }
                continue;
            }
            ("/chat", name) => {
                match DemoChat::named(name) {
                    Some(there) => {
                        current = there;
                        conversation.stage.remark(&format!("You are in {}.", name.trim()));
                    }
                    None => conversation
                        .stage
                        .remark(&format!("there is no chat {name:?}: discord, telegram, slack or sms")),
                }
                continue;
            }
            ("/press", option) => Step::Press(current, option.trim().to_owned()),
            ("/command", name) => Step::Command(current, name.trim().trim_start_matches('/').to_owned()),
            ("/drop", _) => Step::Drop,
            // `/stop`, and commands of the agent.
            _ => Step::Say(current, line.to_owned()),
        };
        // A mistake does not end the chat.
        match conversation.problem(&step) {
            Some(why) => conversation.stage.remark(&why),
            None => conversation.perform(&step)?,
        }
    }
    Ok(())
}

/// Returns the conversation that is played without a terminal.
pub(super) fn built_in(arguments: &DemoArguments) -> &'static str {
    if arguments.command.is_empty() { script::WITH_ACP_AGENT } else { script::WITH_INSTALLED_AGENT }
}
