//! Gateway side of the guard: starts it with the agent, and orders it to end the agent's process group.

use super::{AgentStderr, StartError};
use crate::bridge::Agent;
use crate::environment::without_secrets;
use crate::guard::{self, GIVE_UP_AFTER, KILL_AFTER, Order, Report};
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::metadata;
use std::io::{self, BufRead, BufReader, Read, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Extra time for the guard's answer, after which the gateway kills guard and group.
const GUARD_DELAY: Duration = Duration::from_millis(500);

/// A running agent and its guard. The agent's group ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Child {
    guard: std::process::Child,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    socket: UnixStream,
    /// The agent's process group.
    group: Pid,
    outcome: Mutex<Option<Outcome>>,
    known: Condvar,
}

/// End of an agent's group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The agent has ended. Other processes of its group may be alive, if they cannot be killed.
    Ended(ExitStatus),
    /// The agent is alive, since it cannot be killed.
    Unkillable,
    /// The guard has ended. The group was killed.
    Unguarded,
}

impl Child {
    /// Starts the agent behind a guard, and returns its end of the bridge. The guard has the agent's stderr, too.
    pub(crate) fn start(
        program: &str,
        arguments: &[String],
        stderr: AgentStderr,
    ) -> Result<(Child, Agent), StartError> {
        let (ours, theirs) = UnixStream::pair()?;
        let (agent_stdin, to) = pipe()?;
        let (from, agent_stdout) = pipe()?;
        let mut guard = start_guard(theirs.into(), program, arguments, stderr)?;
        let errors = guard.stderr.take().map(|errors| Box::new(errors) as Box<dyn Read + Send>);
        let mut reports = BufReader::new(ours.try_clone()?);
        let started = guard::send_pipes(&ours, [agent_stdin.as_fd(), agent_stdout.as_fd()])
            .map_err(StartError::Own)
            .and_then(|()| read_start(&mut reports));
        // From here on only the agent holds its ends of the pipes.
        drop((agent_stdin, agent_stdout));
        let group = match started {
            Ok(group) => group,
            Err(error) => {
                drop((ours, reports));
                guard.wait()?;
                return Err(error);
            }
        };
        let shared = Shared { socket: ours, group, outcome: Mutex::new(None), known: Condvar::new() };
        let child = Child { guard, shared: Arc::new(shared) };
        let shared = child.shared.clone();
        std::thread::Builder::new().name("guard".to_owned()).spawn(move || shared.follow(reports))?;
        Ok((child, Agent { from: Box::new(from), to: Box::new(to), errors, is_replaceable: false }))
    }

    /// Returns a handle that kills the agent's group.
    pub(crate) fn killer(&self) -> Killer {
        Killer(self.shared.clone())
    }

    /// Waits for the end of the agent and its group, whose input has ended: SIGTERM follows after two seconds, SIGKILL
    /// after five.
    pub(crate) fn wait(&mut self) -> io::Result<ExitStatus> {
        let outcome = self.shared.end(Order::End, KILL_AFTER + GIVE_UP_AFTER + GUARD_DELAY);
        if outcome.is_none() {
            // The guard is stopped or starved.
            self.shared.kill_group();
            self.guard.kill()?;
        }
        self.guard.wait()?;
        match outcome {
            Some(Outcome::Ended(status)) => Ok(status),
            Some(Outcome::Unkillable) => Err(io::Error::other(
                "it does not end, and cannot be killed: does it run as another user? Let it end with its input",
            )),
            Some(Outcome::Unguarded) => Err(io::Error::other("its guard was killed, and the agent with it")),
            None => Err(io::Error::other("its guard does not answer, and was killed, and the agent with it")),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.shared.outcome().is_none() {
            let _ = self.wait();
        }
    }
}

impl Shared {
    /// Reads what the guard reports, to its end.
    fn follow(&self, reports: impl BufRead) {
        let last = reports.lines().map_while(Result::ok).filter_map(|line| Report::parse(&line)).last();
        let outcome = match last {
            Some(Report::Ended(Some(status))) => Outcome::Ended(ExitStatus::from_raw(status)),
            Some(Report::Ended(None)) => Outcome::Unkillable,
            _ => {
                tracing::error!("agent_unguarded");
                self.kill_group();
                Outcome::Unguarded
            }
        };
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        self.known.notify_all();
    }

    /// Sends an order, and waits for the end of the group.
    fn end(&self, order: Order, patience: Duration) -> Option<Outcome> {
        // It fails if the guard has ended, which `follow` reports.
        let _ = guard::send_order(&self.socket, order);
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.known.wait_timeout_while(outcome, patience, |outcome| outcome.is_none());
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn outcome(&self) -> Option<Outcome> {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kill_group(&self) {
        // This fails if no process is left that can be killed.
        let _ = kill_process_group(self.group, Signal::KILL);
    }
}

/// Handle that kills an agent's group from any thread.
#[derive(Clone, Debug)]
pub(crate) struct Killer(Arc<Shared>);

impl Killer {
    /// Kills the group at once, and returns when it has ended or cannot be killed.
    pub(crate) fn kill(&self) {
        if self.0.outcome().is_none() && self.0.end(Order::Kill, GIVE_UP_AFTER + GUARD_DELAY).is_none() {
            self.0.kill_group();
        }
    }
}

/// Starts a guard with `socket` as its stdin.
fn start_guard(
    socket: OwnedFd,
    program: &str,
    arguments: &[String],
    stderr: AgentStderr,
) -> io::Result<std::process::Child> {
    let mut command = Command::new(own_program()?);
    command
        .arg0("relayline")
        .arg(guard::NAME)
        .arg(std::process::id().to_string())
        .arg(program)
        .args(arguments);
    command.stdin(Stdio::from(socket)).stdout(Stdio::null()).stderr(stderr.stdio());
    // Ctrl-C in a terminal must reach the gateway only: the agent sees the end of its input, and can still write.
    command.process_group(0);
    without_secrets(&mut command);
    command.spawn()
}

/// Returns the path of the running program. On Linux it is the same file even after an update has replaced it.
pub(crate) fn own_program() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    let running = PathBuf::from("/proc/self/exe");
    let file = |path: &PathBuf| metadata(path).map(|file| (file.dev(), file.ino())).ok();
    Ok(if file(&running).is_some_and(|running| file(&path) != Some(running)) { running } else { path })
}

/// Reads the guard's first report.
fn read_start(reports: &mut impl BufRead) -> Result<Pid, StartError> {
    let mut line = String::new();
    reports.read_line(&mut line)?;
    match Report::parse(line.trim_end()) {
        Some(Report::Started(process)) => {
            Pid::from_raw(process).ok_or_else(|| io::Error::other("the agent has no process id").into())
        }
        Some(Report::Failed(error)) => Err(StartError::Agent(io::Error::from_raw_os_error(error))),
        _ => Err(io::Error::other("it ended at once").into()),
    }
}
