//! The guard between the gateway and its agent: a process of this program that ends the agent's process group when the
//! gateway asks for it, has gone, or the agent has ended.
//!
//! It holds no secret: its environment is the agent's. It holds no end of the agent's pipes either, so that both sides see
//! each other's end.

mod control;
mod group;

use crate::complain;
use crate::signals::hangup_is_ignored;
pub(crate) use control::{Order, Report, hand_over, order};
use control::{orders, take_over};
pub(crate) use group::{GIVE_UP_AFTER, KILL_AFTER};
use group::{Group, Stage};
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

/// First argument of this program when it runs as a guard; then come the gateway's process id, the agent's program and
/// its arguments. Its stdin is the socket to the gateway.
pub(crate) const NAME: &str = "__guard";

/// Time between looks at the parent. A closed socket and the parent-death signal usually tell sooner.
const PARENT_CHECK: Duration = Duration::from_secs(1);
/// Time between looks at a group that is being ended: not every process of it is a child of the guard.
const GROUP_CHECK: Duration = Duration::from_millis(50);

/// Returns the guard's arguments if this process was started as one.
pub(crate) fn arguments() -> Option<Vec<OsString>> {
    let mut arguments = std::env::args_os().skip(1);
    arguments.next().filter(|name| name == NAME).map(|_| arguments.collect())
}

/// Runs the guard to the end of the agent's process group.
pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    let parsed = match arguments {
        [gateway, program, rest @ ..] => {
            gateway.to_str().and_then(|id| id.parse().ok()).map(|id| (id, program, rest))
        }
        _ => None,
    };
    let Some((gateway, program, rest)) = parsed else {
        complain(format_args!("{NAME} is started by `relayline run --exec`, and by nothing else"));
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
    let mut link =
        Link { socket: UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?), gateway, open: true };
    follow_the_family()?;
    let pipes = take_over(&link.socket)?;
    // The gateway may have gone before the parent-death signal was set.
    if link.has_lost_its_gateway() {
        return Ok(());
    }
    let group = match start(program, rest, pipes) {
        Ok(leader) => Group::new(leader),
        Err(error) => {
            link.report(&Report::Failed(error.raw_os_error().unwrap_or_default()));
            return Ok(());
        }
    };
    link.report(&Report::Started(group.leader().as_raw_nonzero().get()));
    watch(group, &mut link, &signals)
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

/// Guards the group until nothing of it is left, or until what is left cannot be killed.
fn watch(mut group: Group, link: &mut Link, signals: &UnixStream) -> io::Result<()> {
    let mut stage = Stage::Running;
    loop {
        group.reap()?;
        if group.is_over() {
            link.report(&Report::Ended(group.status()));
            return Ok(());
        }
        if group.status().is_some() || link.has_lost_its_gateway() {
            stage.end(Instant::now());
        }
        if stage.advance(Instant::now(), &group) {
            link.report(&Report::Ended(group.status()));
            return Ok(());
        }
        match wait(link, signals, stage.deadline())? {
            Some(Order::End) => stage.end(Instant::now()),
            Some(Order::Kill) => stage.kill(&group, Instant::now()),
            None => {}
        }
    }
}

/// Waits for an order, a signal, the next look at the parent or the deadline, whichever is first.
fn wait(link: &mut Link, signals: &UnixStream, deadline: Option<Instant>) -> io::Result<Option<Order>> {
    let timeout = match deadline {
        None => PARENT_CHECK,
        Some(deadline) => deadline.saturating_duration_since(Instant::now()).min(GROUP_CHECK),
    };
    let timeout = timeout.try_into().map_err(|_| io::Error::from(ErrorKind::InvalidInput))?;
    let mut ready = [PollFd::new(signals, PollFlags::IN), PollFd::new(&link.socket, PollFlags::IN)];
    // A socket at its end is always ready.
    let watched = if link.open { &mut ready[..] } else { &mut ready[..1] };
    match poll(watched, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let [signalled, ordered] = ready.map(|one| !one.revents().is_empty());
    if signalled {
        drain(signals)?;
    }
    Ok(if ordered { link.next() } else { None })
}

/// The connection to the gateway.
struct Link {
    socket: UnixStream,
    /// Process id of the gateway.
    gateway: i32,
    open: bool,
}

impl Link {
    /// Tells whether the gateway has gone. The parent is asked as well as the socket, and after each signal: the
    /// parent-death signal also comes when only the thread that started the guard has ended.
    fn has_lost_its_gateway(&self) -> bool {
        !self.open || getppid().is_none_or(|parent| parent.as_raw_nonzero().get() != self.gateway)
    }

    /// The next order of the gateway, if it is alive. An order that is not known is none.
    fn next(&mut self) -> Option<Order> {
        match orders(&mut self.socket) {
            Ok(order) => order,
            Err(_) => {
                self.open = false;
                None
            }
        }
    }

    /// Tells the gateway, if it is there to be told.
    fn report(&mut self, report: &Report) {
        let _ = writeln!(self.socket, "{report}");
    }
}

/// Returns a socket that becomes readable with each signal that the guard handles. It ends by none of them: a service
/// manager's SIGTERM to everybody must not take the guard from its group.
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

/// Asks for the parent-death signal, and to become the parent of the group's orphans, so that they are reaped.
#[cfg(target_os = "linux")]
fn follow_the_family() -> io::Result<()> {
    use rustix::process::{Signal, getpid, set_child_subreaper, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::TERM))?;
    Ok(set_child_subreaper(Some(getpid()))?)
}

#[cfg(not(target_os = "linux"))]
fn follow_the_family() -> io::Result<()> {
    Ok(())
}
