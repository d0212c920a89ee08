//! `relayline run`: a gateway for an agent, with the bridge on stdin and stdout or on those of a child process.

mod parts;

use crate::acp::{self, AcpArguments};
use crate::bridge::{self, AgentKind, Cause, ControlSettings, ControlSocket, End, Facilities, Options};
use crate::exec::Current;
use crate::gateway::GatewayArguments;
use crate::inspector::InspectArguments;
use crate::media_flags::MediaArguments;
use crate::metrics::MetricsArguments;
use crate::queue::{Acquired, QueueArguments, QueueStart};
use crate::restart::Restart;
use crate::signals::{self, Shutdown};
use crate::sleep::{ASLEEP, SleepArguments};
use crate::{boot, fail};
use clap::{ArgGroup, Args};
use parts::RunParts;
use relayline_control::config::GatewayConfig;
use relayline_core::json;
use relayline_queue::config::QueueLimits;
use relayline_runtime::files;
use serde_json::{Map, Value};
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Returns the help after the flags.
fn after_help() -> String {
    AFTER_HELP.replace("{ops}", &wrapped(bridge::op_names()))
}

/// Lists names in lines of at most 120 characters.
fn wrapped(names: impl Iterator<Item = &'static str>) -> String {
    let mut lines = vec![String::new()];
    for name in names {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(name),
            Some(line) if line.len() + name.len() + 3 <= 120 => *line += &format!(", {name}"),
            Some(_) | None => lines.push(name.to_owned()),
        }
    }
    lines.join(",\n") + "."
}

const AFTER_HELP: &str = "\
Examples:
  GATEWAY_RELAY_URL=wss://connector.example GATEWAY_RELAY_ID=gw-1 GATEWAY_RELAY_SECRET=... \\
    relayline run --platform discord --bot-id 1 --exec ./agent.py
  Connection     relayline run --url wss://connector.example --ca-file ca.pem --platform discord
  Identity       relayline run --url ws://127.0.0.1:8080 --identity discord:1 --identity telegram:2
  Credentials    relayline run --gateway-id gw-1 --secret-file gateway.secret --platform discord
  Provisioning   relayline run --provision always --access-token-command 'gcloud auth print-identity-token'
  Webhooks       relayline run --inbound-listen 0.0.0.0:8787 --delivery-key-file delivery.key
  Sessions       relayline run --thread-sessions-per-user true --platform slack
  Agent          relayline run --restart on-failure --exec ./agent.py
  ACP agent      relayline run --platform discord --acp-state sessions.json --acp -- claude-agent-acp
  Sleeping       relayline run --platform discord --sleep-after 10m --wake-listen 0.0.0.0:8788 --exec ./agent.py
  Queue          relayline run --platform discord --queue sqlite:inbox.db --jobs 4 --exec ./agent.py
  Approvals      relayline run --platform slack --approval-chat slack:T0123/C0456 --acp -- claude-agent-acp
  Control        relayline run --platform discord --control relayline.sock --exec ./agent.py
  Configuration  relayline run --config relayline.toml --set handshake_timeout=1s
  Inspector      relayline run --platform discord --inspect 127.0.0.1:7070 --exec ./agent.py
  Logging        relayline run -v --log-format json

The bridge: the agent reads events, one JSON object per line with `event` first: connected, disconnected, message,
interrupt, prompt_answer, stale_prompt, passthrough, frame, result, dead_letter, invalid, fatal. It writes ops, one JSON
object per line:
{ops}
An op with an `id` gets a `result`. The end of the agent's output disconnects gracefully.

Signals: SIGTERM, SIGINT and SIGHUP (unless it is ignored, as under nohup) disconnect gracefully. A second signal exits at
once. SIGUSR1 and SIGCONT wake a gateway that sleeps.

With --sleep-after a gateway without work asks the connector to buffer and disconnects, so that its machine can be suspended
or stopped. A GET on --wake-listen, a signal, an op that needs the connection, or a restart makes it dial at once.

The agent of --exec runs in its own process group. When the agent or the gateway ends, even by SIGKILL, the whole group
ends: its stdin is closed, SIGTERM follows after 2 s, and SIGKILL after 5 s. A process that calls setsid or setpgid, or
runs as another user, is not killed: it sees the end of its stdin, and must exit by itself.

With --restart the gateway stays connected, and starts the agent again after 0.5 s. The delay doubles with each further
death, up to 30 s. After ten deaths within a minute of running the gateway exits with 1.

--acp runs an agent that speaks the Agent Client Protocol instead of the bridge's lines. Each conversation of a chat is one
session of the agent. What it writes grows as a reply, its steps show as a task card or as a line, and its requests for
permission become buttons. The message /stop ends its turn. With --acp, --restart is on-failure by default, and the agent's
stderr is logged at debug. relayline doctor --acp -- CMD checks such an agent.

--queue stores each event before it is acknowledged, and hands it to the agent until the agent has done it: ack means done.
An event that comes again has redelivered true and the number of the hand-out, attempt. refuse hands it out again after
1 s, doubled up to 5 min; so does the end of a turn that failed, and turn done acknowledges. After --max-attempts it is a
dead letter: see relayline queue --help. With a queue, --restart is on-failure by default, and an agent of --jobs that ends
does not end the others.

--control opens a Unix socket on which other programs of this user write ops beside the agent, and read their results,
as relayline send and relayline status do. The socket of a gateway that was killed is replaced. If another gateway
listens there, or if there is another file, this one exits with 1.

--inspect serves a page that shows each frame as it passes, the state of the connection, queues and counters. Open the URL
that is printed on stderr. The page has the texts of messages unless --inspect-hide-text is given. It costs the gateway
nothing while it is slow: what it cannot take is left out, and counted.

The agent cannot read the gateway's memory and environment. RELAYLINE_DEBUGGABLE=1 turns this protection off, for
debuggers.

Limits: an op never fails for want of room. It waits in order (--set waiting_ops, waiting_op_bytes), and beyond these
limits nothing is read. ack, refuse, interrupt and disconnect overtake other ops. Events wait for the agent up to
agent_events and agent_event_bytes, results up to agent_result_bytes. The gateway logs a warning if the agent has not read
for agent_read_warning. It exits with 1 if results have reached their limit and the agent reads nothing for
agent_read_timeout.

Before the dial: the gateway requests a secret if none is set and an access token is available (--provision), and sends
the policies that are set. A step that fails is logged, and the gateway dials anyway. It exits with 1 if the
connector knows the gateway already and issues no secret, since every dial would be refused.

Exit codes: 0 done, asleep with --exit-on-sleep, or relay disabled by --enabled false; 1 the agent failed or does not read, or no secret was issued;
2 flags, environment or config file wrong, stdin at its end without --exec or --acp, or an ACP agent of another version;
3 relay disabled (revoked).";

/// Run a gateway for an agent in any language: JSON lines on stdin and stdout.
#[derive(Debug, Args)]
#[command(after_long_help = after_help(), next_help_heading = "Agent")]
#[command(group = ArgGroup::new("child").args(["exec", "acp"]))]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) gateway: GatewayArguments,

    /// Acknowledge buffered deliveries once their line is written to the agent.
    ///
    /// By default the agent acknowledges them with the op ack.
    #[arg(long)]
    auto_ack: bool,

    /// Deliver platform requests that are not messages, as passthrough lines.
    #[arg(long)]
    passthrough: bool,

    /// Extra fields of the hello frame, as a JSON object. They replace none of its own fields.
    #[arg(long, value_name = "JSON", value_parser = object)]
    hello_extra: Option<Map<String, Value>>,

    /// File with the commands to declare to Discord: a JSON list of objects.
    #[arg(long, value_name = "FILE")]
    command_manifest: Option<PathBuf>,

    /// Text that replaces a word after Slack's /hermes, as in ask=/ask. Repeatable.
    #[arg(long, value_name = "WORD=TEXT", value_parser = subcommand)]
    slack_subcommand: Vec<(String, String)>,

    #[command(flatten)]
    metrics: MetricsArguments,

    /// Unix socket on which the gateway takes ops of other programs, as relayline send and status; none by default.
    ///
    /// It has mode 0600: only the gateway's user and root can use it. It is removed at the end.
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) media: MediaArguments,

    /// Program to run as the agent, with its arguments. It must be the last flag.
    #[arg(long, value_name = "CMD", num_args = 1.., allow_hyphen_values = true)]
    exec: Vec<String>,

    /// Restart the agent when it ends, or only when it fails; never by default, and on-failure with --acp or --queue. The gateway
    /// stays connected.
    #[arg(long, value_enum, value_name = "WHEN", requires = "child")]
    pub(crate) restart: Option<Restart>,

    #[command(flatten)]
    pub(crate) inspect: InspectArguments,

    #[command(flatten)]
    pub(crate) queue: QueueArguments,

    #[command(flatten)]
    sleep: SleepArguments,

    #[command(flatten)]
    pub(crate) acp: AcpArguments,
}

pub(crate) fn run(arguments: &RunArguments) -> ExitCode {
    start(arguments).unwrap_or_else(|code| code)
}

/// Starts the gateway, and runs it to its end. Returns the exit code.
///
/// # Errors
/// It was not started: the exit code, after the error was printed.
fn start(arguments: &RunArguments) -> Result<ExitCode, ExitCode> {
    let runtime = arguments.gateway.network.runtime;
    let flags: Vec<String> = arguments.acp.limits().into_iter().chain(arguments.queue.limits()).collect();
    let (resolved, limits) = arguments.gateway.resolve_for_agent(&flags).map_err(|error| error.end())?;
    arguments.check_queue().map_err(|error| fail(2, error))?;
    let manifest = arguments.command_manifest.as_deref().map(manifest).transpose();
    let manifest = manifest.map_err(|error| fail(2, error))?;
    if arguments.acp.is_given() {
        if !arguments.exec.is_empty() {
            let what = "exec and acp are both set: each names the agent, so remove one of them";
            return Err(fail(2, what));
        }
        return acp::start(arguments, resolved, limits, manifest);
    }
    // Agents on other machines work from a queue on servers, so that this gateway needs none.
    let is_alone = arguments.exec.is_empty() && arguments.queue.is_shared();
    if arguments.exec.is_empty() && !is_alone && stdin_has_ended() {
        let what = "stdin is at its end, so there is no agent to serve: start one with --exec CMD or --acp CMD, or \
                    connect stdin and stdout to one";
        return Err(fail(2, what));
    }
    let prompts = arguments.acp.prompt_policy(&platforms(&resolved.config));
    let prompts = prompts.map_err(|error| fail(2, error))?;
    if !prompts.approvers.is_empty() && !resolved.config.machine.prompts {
        let what = "--approver and --prompts off: with --prompts off every answer goes to the agent, which must compare its \
                    author itself; remove one of them";
        return Err(fail(2, what));
    }
    let media = arguments.media.folder()?;
    let facilities = arguments.facilities(&limits.control)?;
    let mut config = boot::ready(runtime, resolved).map_err(|error| fail(1, error))?;
    arguments.configure(&mut config, manifest);
    let kind = match arguments.exec.is_empty() {
        true if is_alone => AgentKind::None,
        true => AgentKind::Stdio,
        false => AgentKind::Exec,
    };
    let (settings, auto_ack) = (limits.agent, arguments.auto_ack);
    let options = Options { auto_ack, facilities, settings, kind, media, prompts };
    let (shutdown, current) = watch_signals()?;
    let queue = arguments.acquire_queue(&config, limits.queue, &shutdown)?;
    let parts = RunParts { runtime, config, options, shutdown, queue };
    Ok(match arguments.exec.first() {
        Some(program) => parts.run_exec(arguments, program, &current),
        None if is_alone => parts.run_alone(),
        None => parts.run_stdio(),
    })
}

impl RunArguments {
    /// Checks the flags of the queue, and that they fit the others.
    ///
    /// # Errors
    /// The text for the user.
    fn check_queue(&self) -> Result<(), String> {
        self.queue.check()?;
        if self.queue.is_given() && self.auto_ack {
            let why = "auto-ack and queue are both set: with a queue, ack means that the event is done, so the agent says it";
            return Err(format!("{why}. Remove auto-ack"));
        }
        if self.queue.jobs() > 1 && self.exec.is_empty() {
            let what = if self.acp.is_given() { "an ACP agent" } else { "the agent on stdin and stdout" };
            return Err(format!(
                "jobs is {}, and {what} is a single one: start agents with --exec CMD",
                self.queue.jobs()
            ));
        }
        Ok(())
    }

    /// Opens the facilities that are requested: the gateway does not run without them.
    ///
    /// # Errors
    /// One of them cannot be used: the exit code, after the error was printed.
    pub(crate) fn facilities(&self, limits: &ControlSettings) -> Result<Facilities, ExitCode> {
        let metrics = self.metrics.open().map_err(|error| fail(1, error))?;
        let bind = |path: &Path| ControlSocket::bind(path, limits.clone());
        let control = self.control.as_deref().map(bind).transpose().map_err(|error| fail(1, error))?;
        let sleep = self.sleep.options().map_err(|(code, error)| fail(code, error))?;
        let inspector = self.inspect.open().map_err(|error| fail(error.code(), error))?;
        Ok(Facilities { metrics, control, sleep, inspector })
    }

    /// Locks and opens the queue, if one is requested. With `--standby` it waits for it.
    ///
    /// # Errors
    /// The gateway does not start, because the queue cannot be used, or a signal came first: the exit code, after the error
    /// was printed.
    pub(crate) fn acquire_queue(
        &self,
        config: &GatewayConfig,
        limits: QueueLimits,
        shutdown: &Shutdown,
    ) -> Result<Option<QueueStart>, ExitCode> {
        let Some(mut queue) = self.queue.start(config, limits) else { return Ok(None) };
        match queue.acquire(shutdown) {
            Ok(Acquired::Ours) => Ok(Some(queue)),
            Ok(Acquired::Stopped) => Err(ExitCode::SUCCESS),
            Err(error) => Err(fail(1, error)),
        }
    }

    /// Sets the parts of the configuration that are flags of this program.
    pub(crate) fn configure(&self, config: &mut GatewayConfig, manifest: Option<Vec<Value>>) {
        self.sleep.configure(config);
        config.machine.passthrough = self.passthrough;
        config.machine.command_manifest = manifest;
        config.machine.hello_extra = self.hello_extra.clone().unwrap_or_default();
        config.machine.slack_subcommands = self.slack_subcommand.iter().cloned().collect();
    }
}

/// Returns the platforms that the gateway fronts.
pub(crate) fn platforms(config: &GatewayConfig) -> Vec<String> {
    config.machine.identities.iter().map(|identity| identity.platform.to_string()).collect()
}

/// Begins to watch the signals. Returns the request to stop, and the handle of the agent that a second signal kills.
pub(crate) fn watch_signals() -> Result<(Shutdown, Current), ExitCode> {
    let (shutdown, current) = (Shutdown::new(), Current::default());
    let killed = current.clone();
    let watched = signals::watch(shutdown.clone(), move || {
        killed.kill_all();
        bridge::remove_drafts();
        bridge::remove_socket();
    });
    match watched {
        Ok(()) => Ok((shutdown, current)),
        Err(error) => Err(fail(1, format_args!("signals cannot be watched: {error}"))),
    }
}

/// Prints the error of a gateway that has ended, and returns its exit code. The flag is true if its agent has succeeded.
pub(crate) fn end(ended: io::Result<(End, bool)>) -> ExitCode {
    match ended {
        Ok((End::Disabled(fatal), _)) => fail(3, fatal),
        Ok((End::Disconnected(cause @ Cause::DoesNotRead), _)) => fail(1, cause.text()),
        // Whatever the agent did when its input ended.
        Ok((End::Disconnected(Cause::Stopped(ASLEEP)), _)) => ExitCode::SUCCESS,
        Ok((End::Disconnected(_), true)) => ExitCode::SUCCESS,
        Ok((End::Disconnected(_), false)) => ExitCode::from(1),
        Err(error) => fail(1, error),
    }
}

/// Time to wait for the end of stdin, since a shell may close it late.
#[cfg(unix)]
const STDIN_WAIT: rustix::time::Timespec = rustix::time::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Returns true if stdin is at its end. Keeps what was read for the reader of stdin.
#[cfg(unix)]
fn stdin_has_ended() -> bool {
    use rustix::event::{PollFd, PollFlags, poll};
    let stdin = io::stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    let is_ready = poll(&mut fds, Some(&STDIN_WAIT)).is_ok_and(|ready| ready > 0);
    // The reader of stdin reports errors.
    is_ready && io::stdin().lock().fill_buf().is_ok_and(<[u8]>::is_empty)
}

#[cfg(not(unix))]
fn stdin_has_ended() -> bool {
    false
}

/// Reads the commands to declare.
pub(crate) fn manifest(path: &Path) -> Result<Vec<Value>, String> {
    let wrong = |what: &str| format!("--command-manifest {}: {what}", path.display());
    let contents = files::read(path).map_err(|error| wrong(&error.to_string()))?;
    let text = contents.text().map_err(|error| wrong(&error.to_string()))?;
    match json::parse(text) {
        Ok(Value::Array(commands)) if commands.iter().all(Value::is_object) => Ok(commands),
        Ok(_) => {
            Err(wrong("it is not a list of objects: write [{\"name\": \"ask\", \"description\": …}, …]"))
        }
        Err(error) => Err(wrong(&format!("it is not valid JSON: {error}"))),
    }
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    match json::parse(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("it is not a JSON object: write {\"name\": value, …}".to_owned()),
        Err(error) => Err(format!("it is not valid JSON: {error}")),
    }
}

fn subcommand(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((word, meaning)) if !word.is_empty() && !meaning.is_empty() => {
            Ok((word.to_owned(), meaning.to_owned()))
        }
        Some(_) | None => Err("write WORD=TEXT, as in ask=/ask".to_owned()),
    }
}
