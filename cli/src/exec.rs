//! Agent as a child process, for `run --exec`.

#[cfg(not(unix))]
mod direct;
#[cfg(unix)]
mod guarded;

#[cfg(not(unix))]
pub(crate) use direct::{Child, Killer, own_program};
#[cfg(unix)]
pub(crate) use guarded::{Child, Killer, own_program};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Handle to kill the running agent of one job, or of all jobs, from any thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Current {
    killers: Arc<Mutex<BTreeMap<usize, Killer>>>,
    job: usize,
}

impl Current {
    /// Returns the handle of another job.
    pub(crate) fn for_job(&self, job: usize) -> Current {
        Current { killers: self.killers.clone(), job }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Killer>> {
        self.killers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, child: &Child) {
        self.lock().insert(self.job, child.killer());
    }

    /// Kills the group of this job's agent at once, if there is an agent.
    pub(crate) fn kill(&self) {
        let killer = self.lock().get(&self.job).cloned();
        if let Some(killer) = killer {
            killer.kill();
        }
    }

    /// Kills the groups of all jobs' agents at once.
    pub(crate) fn kill_all(&self) {
        let killers: Vec<Killer> = self.lock().values().cloned().collect();
        killers.iter().for_each(Killer::kill);
    }
}

/// Destination of an agent's stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AgentStderr {
    /// The gateway's stderr.
    Inherited,
    /// A pipe, for [`Agent::errors`](crate::bridge::Agent::errors).
    Piped,
}

impl AgentStderr {
    fn stdio(self) -> Stdio {
        match self {
            AgentStderr::Inherited => Stdio::inherit(),
            AgentStderr::Piped => Stdio::piped(),
        }
    }
}

/// Error returned when the agent does not start.
#[derive(Debug)]
pub(crate) enum StartError {
    /// The agent's program cannot be run.
    Agent(io::Error),
    /// The failure is not the agent's.
    Own(io::Error),
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> StartError {
        StartError::Own(error)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Agent(error) => write!(f, "{error}; {}", advice(error)),
            StartError::Own(error) => write!(f, "its guard cannot be started: {error}"),
        }
    }
}

/// Returns what to do about an agent that cannot be started.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "name a program on the PATH or a file with its folder, as in ./agent.py, whose #! line names one that is \
             there"
        }
        io::ErrorKind::PermissionDenied => "make it executable, as in chmod +x agent.py",
        _ => "name a program or a script that begins with #!, as in #!/usr/bin/env python3",
    }
}
