//! Guard between the gateway and its agent: a process that ends the agent's process group when the gateway orders it or has
//! ended, or when the agent has ended.
//!
//! It holds no secrets: its environment is the agent's. It closes the agent's pipes, so that gateway and agent see the end
//! of each other.

mod control;
mod group;

use crate::complain;
use crate::signals::hangup_is_ignored;
pub(crate) use control::{Order, Report, send_order, send_pipes};
use control::{read_order, receive_pipes};
use group::{EndPhase, Group};
pub(crate) use group::{GIVE_UP_AFTER, KILL_AFTER};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, getppid};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// First argument of this program when it runs as a guard. The gateway's process id, the agent's program and its
/// arguments follow. Its stdin is the socket to the gateway.
pub(crate) const NAME: &str = "__guard";

/// Interval of checks of the parent. A closed socket and the parent-death signal are usually noticed sooner.
const PARENT_CHECK: Duration = Duration::from_secs(1);
/// Interval of checks of a group that is being ended: not all its processes are children of the guard.
const GROUP_CHECK: Duration = Duration::from_millis(50);

/// Returns the guard's arguments if this process was started as one.
pub(crate) fn arguments() -> Option<Vec<OsString>> {
    let mut arguments = std::env::args_os().skip(1);
    arguments.next().filter(|name| name == NAME).map(|_| arguments.collect())
}

/// Runs the guard until the agent's process group has ended, or the rest of it cannot be killed.
pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    let parsed = match arguments {
        [gateway, program, rest @ ..] => {
            gateway.to_str().and_then(|id| id.parse().ok()).map(|id| (id, program, rest))
        }
        _ => None,
    };
    let Some((gateway, program, rest)) = parsed else {
        complain(format_args!("{NAME} is internal: use `relayline run --exec`"));
        return ExitCode::from(2);
    };
    match guard(gateway, program, rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("the agent's guard: {error}"));
            ExitCode::from(1)
        }
    }
}

fn guard(gateway: i32, program: &OsString, rest: &[OsString]) -> io::Result<()> {
    let signals = watch_signals()?;
    let mut socket = GatewaySocket {
        stream: UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?),
        gateway,
        open: true,
    };
    watch_parent()?;
    let pipes = receive_pipes(&socket.stream)?;
    // The gateway may have ended before the parent-death signal was set.
    if socket.is_gateway_gone() {
        return Ok(());
    }
    let group = match start(program, rest, pipes) {
        Ok(leader) => Group::new(leader),
        Err(error) => {
            socket.report(&Report::Failed(error.raw_os_error().unwrap_or_default()));
            return Ok(());
        }
    };
    socket.report(&Report::Started(group.leader().as_raw_nonzero().get()));
    watch(group, &mut socket, &signals)
}

/// Starts the agent in a process group of its own. Neither pipe is open in the guard afterwards.
fn start(program: &OsString, rest: &[OsString], [stdin, stdout]: [OwnedFd; 2]) -> io::Result<Pid> {
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::from(stdin)).stdout(Stdio::from(stdout)).process_group(0);
    let child = command.spawn()?;
    i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::other("the agent has no process id"))
}

/// Guards the group until all its processes have ended, or the rest cannot be killed.
fn watch(mut group: Group, socket: &mut GatewaySocket, signals: &UnixStream) -> io::Result<()> {
    let mut phase = EndPhase::Running;
    loop {
        group.reap()?;
        if group.is_over() {
            socket.report(&Report::Ended(group.status()));
            return Ok(());
        }
        if group.status().is_some() || socket.is_gateway_gone() {
            phase.end(Instant::now());
        }
        if phase.advance(Instant::now(), &group) {
            socket.report(&Report::Ended(group.status()));
            return Ok(());
        }
        match wait(socket, signals, phase.deadline())? {
            Some(Order::End) => phase.end(Instant::now()),
            Some(Order::Kill) => phase.kill(&group, Instant::now()),
            None => {}
        }
    }
}

/// Waits for an order, a signal, the next check or the deadline, whichever is first.
fn wait(
    socket: &mut GatewaySocket,
    signals: &UnixStream,
    deadline: Option<Instant>,
) -> io::Result<Option<Order>> {
    let timeout = match deadline {
        None => PARENT_CHECK,
        Some(deadline) => deadline.saturating_duration_since(Instant::now()).min(GROUP_CHECK),
    };
    let timeout = timeout.try_into().map_err(|_| io::Error::from(ErrorKind::InvalidInput))?;
    let mut ready = [PollFd::new(signals, PollFlags::IN), PollFd::new(&socket.stream, PollFlags::IN)];
    // A socket at its end is always ready.
    let watched = if socket.open { &mut ready[..] } else { &mut ready[..1] };
    match poll(watched, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let [signalled, ordered] = ready.map(|one| !one.revents().is_empty());
    if signalled {
        drain(signals)?;
    }
    Ok(if ordered { socket.next() } else { None })
}

/// The connection to the gateway.
struct GatewaySocket {
    stream: UnixStream,
    /// Process id of the gateway.
    gateway: i32,
    open: bool,
}

impl GatewaySocket {
    /// Returns true if the gateway has ended. It checks the parent process as well as the socket: the parent-death signal is
    /// also sent when only the thread that started the guard has ended.
    fn is_gateway_gone(&self) -> bool {
        !self.open || getppid().is_none_or(|parent| parent.as_raw_nonzero().get() != self.gateway)
    }

    /// Reads the next order of the gateway. Unknown orders are ignored.
    fn next(&mut self) -> Option<Order> {
        match read_order(&mut self.stream) {
            Ok(order) => order,
            Err(_) => {
                self.open = false;
                None
            }
        }
    }

    /// Sends a report to the gateway. Errors are ignored: the gateway may have ended.
    fn report(&mut self, report: &Report) {
        let _ = writeln!(self.stream, "{report}");
    }
}

/// Returns a socket that becomes readable with each handled signal. No signal ends the guard: a SIGTERM of a service manager
/// to all processes must not leave the group without a guard.
fn watch_signals() -> io::Result<UnixStream> {
    let (readable, written) = UnixStream::pair()?;
    readable.set_nonblocking(true)?;
    let mut handled = vec![SIGCHLD, SIGTERM, SIGINT];
    // The agent inherits a signal that is ignored, as under `nohup`; one that is handled gets its default.
    if !hangup_is_ignored() {
        handled.push(SIGHUP);
    }
    for signal in handled {
        signal_hook::low_level::pipe::register(signal, written.try_clone()?)?;
    }
    Ok(readable)
}

fn drain(mut signals: &UnixStream) -> io::Result<()> {
    let mut buffer = [0; 64];
    loop {
        match signals.read(&mut buffer) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Requests the parent-death signal, and becomes the parent of the group's orphans to reap them.
#[cfg(target_os = "linux")]
fn watch_parent() -> io::Result<()> {
    use rustix::process::{Signal, getpid, set_child_subreaper, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::TERM))?;
    Ok(set_child_subreaper(Some(getpid()))?)
}

#[cfg(not(target_os = "linux"))]
fn watch_parent() -> io::Result<()> {
    Ok(())
}
