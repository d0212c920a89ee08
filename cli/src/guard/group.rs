//! The agent's process group, and the steps that end it.

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, test_kill_process_group, wait};
use std::io;
use std::time::{Duration, Instant};

/// Time from the end of the agent's input to SIGTERM.
const TERMINATE_AFTER: Duration = Duration::from_secs(2);
/// Time from the end of the agent's input to SIGKILL.
pub(crate) const KILL_AFTER: Duration = Duration::from_secs(5);
/// Time from SIGKILL until the group is given up: what is left of it runs as another user.
pub(crate) const GIVE_UP_AFTER: Duration = Duration::from_millis(500);

/// A process group whose leader is a child of this process.
#[derive(Debug)]
pub(super) struct Group {
    leader: Pid,
    /// Wait status of the leader, once it has ended.
    status: Option<i32>,
}

impl Group {
    pub(super) fn new(leader: Pid) -> Group {
        Group { leader, status: None }
    }

    pub(super) fn leader(&self) -> Pid {
        self.leader
    }

    /// Returns the wait status of the leader, once it has ended.
    pub(super) fn status(&self) -> Option<i32> {
        self.status
    }

    /// Collects the children that have ended: the leader, and orphans of it.
    pub(super) fn reap(&mut self) -> io::Result<()> {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((child, status))) if child == self.leader => self.status = Some(status.as_raw()),
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) | Err(Errno::CHILD) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Tells whether no process of the group is left.
    pub(super) fn is_over(&self) -> bool {
        self.status.is_some() && test_kill_process_group(self.leader) == Err(Errno::SRCH)
    }

    fn signal(&self, signal: Signal) {
        // It fails for processes of another user, and when there is none left: neither can be helped.
        let _ = kill_process_group(self.leader, signal);
    }
}

/// Progress of ending a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Running,
    /// The agent's input ended then.
    Ending(Instant),
    /// SIGTERM was sent; the agent's input ended then.
    Terminated(Instant),
    /// SIGKILL was sent then.
    Killed(Instant),
}

impl Stage {
    /// Begins to end the group, unless that has begun.
    pub(super) fn end(&mut self, now: Instant) {
        if *self == Stage::Running {
            *self = Stage::Ending(now);
        }
    }

    /// Kills the group at once.
    pub(super) fn kill(&mut self, group: &Group, now: Instant) {
        if !matches!(self, Stage::Killed(_)) {
            group.signal(Signal::KILL);
            *self = Stage::Killed(now);
        }
    }

    /// Returns the moment of the next step.
    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Stage::Running => None,
            Stage::Ending(since) => Some(since + TERMINATE_AFTER),
            Stage::Terminated(since) => Some(since + KILL_AFTER),
            Stage::Killed(since) => Some(since + GIVE_UP_AFTER),
        }
    }

    /// Takes the next step if it is due, and returns true if there is none left.
    pub(super) fn advance(&mut self, now: Instant, group: &Group) -> bool {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return false;
        }
        match *self {
            Stage::Running => {}
            Stage::Ending(since) => {
                group.signal(Signal::TERM);
                // A process that is stopped handles the signal only once it goes on.
                group.signal(Signal::CONT);
                *self = Stage::Terminated(since);
            }
            Stage::Terminated(_) => self.kill(group, now),
            Stage::Killed(_) => return true,
        }
        false
    }
}
