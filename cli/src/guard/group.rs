//! The agent's process group, and the steps that end it.

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, test_kill_process_group, wait};
use std::io;
use std::time::{Duration, Instant};

/// Time from [`EndPhase::Ending`] to SIGTERM.
const TERMINATE_AFTER: Duration = Duration::from_secs(2);
/// Time from [`EndPhase::Ending`] to SIGKILL.
pub(crate) const KILL_AFTER: Duration = Duration::from_secs(5);
/// Time from SIGKILL until the group is abandoned: its remaining processes run as another user.
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

    /// Returns true if no process of the group is left.
    pub(super) fn is_over(&self) -> bool {
        self.status.is_some() && test_kill_process_group(self.leader) == Err(Errno::SRCH)
    }

    fn signal(&self, signal: Signal) {
        // The signal cannot be sent to processes of another user, nor if none is left.
        let _ = kill_process_group(self.leader, signal);
    }
}

/// Progress of ending a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndPhase {
    Running,
    /// The group is being ended since this time: the agent's input was closed, or the agent or the gateway has ended.
    Ending(Instant),
    /// SIGTERM was sent. Holds the time of [`Ending`](Self::Ending).
    Terminated(Instant),
    /// SIGKILL was sent at this time.
    Killed(Instant),
}

impl EndPhase {
    /// Begins to end the group, unless that has begun.
    pub(super) fn end(&mut self, now: Instant) {
        if *self == EndPhase::Running {
            *self = EndPhase::Ending(now);
        }
    }

    /// Kills the group at once.
    pub(super) fn kill(&mut self, group: &Group, now: Instant) {
        if !matches!(self, EndPhase::Killed(_)) {
            group.signal(Signal::KILL);
            *self = EndPhase::Killed(now);
        }
    }

    /// Returns the moment of the next step.
    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            EndPhase::Running => None,
            EndPhase::Ending(since) => Some(since + TERMINATE_AFTER),
            EndPhase::Terminated(since) => Some(since + KILL_AFTER),
            EndPhase::Killed(since) => Some(since + GIVE_UP_AFTER),
        }
    }

    /// Takes the next step if it is due. Returns true once the group is abandoned.
    pub(super) fn advance(&mut self, now: Instant, group: &Group) -> bool {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return false;
        }
        match *self {
            EndPhase::Running => {}
            EndPhase::Ending(since) => {
                group.signal(Signal::TERM);
                // A stopped process handles the signal only after it continues.
                group.signal(Signal::CONT);
                *self = EndPhase::Terminated(since);
            }
            EndPhase::Terminated(_) => self.kill(group, now),
            EndPhase::Killed(_) => return true,
        }
        false
    }
}
