//! Check of the agent of `--acp`: starts it, initializes it, and opens a session.

use super::{Findings, Verdict};
use crate::acp::{AcpArguments, LineReader, ReadLine, log_stderr};
use crate::bridge::{Agent, ChangeSignal};
use crate::exec::{AgentStderr, Child};
use futures_util::future::{Either, FutureExt, select};
use relayline_acp::{AcpConfig, AcpLimits, AgentInfo, Probe, ProbeFailure, ProbeStep};
use std::future::poll_fn;
use std::io::{self, Write};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Checks the agent. Findings that are failures are reported.
pub(super) fn examine(arguments: &AcpArguments, limits: &AcpLimits, findings: &mut Findings) {
    let config = match arguments.config(limits) {
        Ok(config) => config,
        Err(error) => return findings.say(Verdict::Fail, "agent", error),
    };
    let (program, rest) =
        arguments.command().split_first().map_or(("", &[][..]), |(program, rest)| (program, rest));
    let (child, agent) = match Child::start(program, rest, AgentStderr::Piped) {
        Ok(started) => started,
        Err(error) => return findings.say(Verdict::Fail, "agent", format_args!("{program}: {error}")),
    };
    converse(config, limits, child, agent, findings);
}

/// End of the conversation with an agent that says nothing more.
enum Silence {
    Ended,
    TimedOut(Duration),
}

fn converse(config: AcpConfig, limits: &AcpLimits, mut child: Child, agent: Agent, findings: &mut Findings) {
    let Agent { from, to, errors, .. } = agent;
    let changes = ChangeSignal::default();
    let started = errors.map(log_stderr).transpose().and_then(|_| LineReader::start(from, changes.clone()));
    let started = started.and_then(|reader| Ok((reader, write_lines(to)?)));
    let (reader, to) = match started {
        Ok(started) => started,
        Err(error) => return findings.say(Verdict::Fail, "agent", error),
    };
    let (servers, method) = (config.mcp_servers.clone(), config.auth_method.clone().unwrap_or_default());
    let (mut probe, first) = Probe::new(config);
    // An agent that has closed its input is noticed by the end of its output, and one that does not read by the deadline.
    let write = |line: String| drop(to.try_send(line));
    write(first);
    let timeout =
        |method| if method == "session/new" { limits.acp_session_timeout } else { limits.acp_start_timeout };
    findings.wait(probe.method(), timeout(probe.method()));
    let mut deadline = Instant::now() + timeout(probe.method());
    loop {
        let step = probe.method();
        let line = match next_line(&reader, &changes, deadline, timeout(step)) {
            Ok(line) => line,
            Err(Silence::TimedOut(span)) => {
                // Rounded up, as in the line before.
                let seconds = span.as_secs() + u64::from(span.subsec_nanos() > 0);
                findings.say(
                    Verdict::Fail,
                    step,
                    format_args!("no answer within {seconds} s: is it an ACP agent?"),
                );
                child.killer().kill();
                return;
            }
            Err(Silence::Ended) => {
                drop(to);
                let how = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
                let what = format_args!("the agent ended ({how}): run it by hand, and see its log with -v");
                return findings.say(Verdict::Fail, step, what);
            }
        };
        for step in probe.handle_line(&line) {
            match step {
                ProbeStep::Initialized(info, line) => {
                    findings.ok("agent", describe(&info));
                    let unsupported = info.unsupported(&servers);
                    if !unsupported.is_empty() {
                        let names = unsupported.join(", ");
                        findings.warn(
                            "agent",
                            format_args!("it does not support the transport of these MCP servers: {names}"),
                        );
                    }
                    write(line);
                    deadline = Instant::now() + timeout(probe.method());
                }
                ProbeStep::Authenticated(line) => {
                    findings.ok("authenticate", &method);
                    write(line);
                    deadline = Instant::now() + timeout(probe.method());
                }
                ProbeStep::Opened => return findings.ok("session/new", "opened"),
                ProbeStep::Failed(ProbeFailure { method, why, .. }) => {
                    return findings.say(Verdict::Fail, method, why);
                }
                ProbeStep::Ignored(line) if line.is_empty() => {}
                ProbeStep::Ignored(line) => write(line),
            }
        }
    }
}

/// Maximum number of lines that wait for an agent that does not read. Further ones are dropped.
const MAX_UNREAD: usize = 64;

/// Writes lines to the agent, on a thread: an agent that does not read would block it for ever.
fn write_lines(mut to: Box<dyn Write + Send>) -> io::Result<SyncSender<String>> {
    let (sender, lines) = sync_channel::<String>(MAX_UNREAD);
    let run = move || {
        for line in lines {
            if writeln!(to, "{line}").and_then(|()| to.flush()).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("agent-in".to_owned()).spawn(run)?;
    Ok(sender)
}

/// Returns the next line of the agent. An overlong one is empty.
fn next_line(
    reader: &LineReader,
    changes: &ChangeSignal,
    deadline: Instant,
    timeout: Duration,
) -> Result<Vec<u8>, Silence> {
    smol::block_on(async {
        loop {
            // First: an agent that floods always has a line.
            if Instant::now() >= deadline {
                return Err(Silence::TimedOut(timeout));
            }
            match reader.pop() {
                Some(ReadLine::Whole(line)) => return Ok(line),
                Some(ReadLine::TooLong) => return Ok(Vec::new()),
                None if reader.is_done() => return Err(Silence::Ended),
                None => {}
            }
            let changed = poll_fn(|cx| changes.poll(cx)).boxed();
            if let Either::Right(_) = select(changed, smol::Timer::at(deadline)).await {
                return Err(Silence::TimedOut(timeout));
            }
        }
    })
}

/// Returns the agent's name and what it can do.
fn describe(info: &AgentInfo) -> String {
    let capabilities = &info.capabilities;
    let sessions = &capabilities.session_capabilities;
    let offered = [
        (capabilities.prompt_capabilities.image, "images"),
        (capabilities.prompt_capabilities.audio, "sounds"),
        (sessions.resume.is_some(), "sessions can be resumed"),
        (capabilities.load_session, "sessions can be loaded"),
        (sessions.close.is_some(), "sessions can be closed"),
    ];
    let name = info.name.clone().unwrap_or_else(|| "without a name".to_owned());
    let offered = offered.into_iter().filter(|(offers, _)| *offers).map(|(_, what)| what.to_owned());
    [name].into_iter().chain(offered).collect::<Vec<_>>().join(", ")
}
