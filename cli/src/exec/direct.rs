//! Agent as a child of the gateway, on systems without process groups.

use super::{AgentStderr, StartError};
use crate::bridge::Agent;
use crate::environment::without_secrets;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time from the end of the agent's input until it is killed.
const KILL_AFTER: Duration = Duration::from_secs(5);

/// A running agent.
#[derive(Debug)]
pub(crate) struct Child(Arc<Mutex<std::process::Child>>);

impl Child {
    /// Starts the agent, and returns its end of the bridge.
    pub(crate) fn start(
        program: &str,
        arguments: &[String],
        stderr: AgentStderr,
    ) -> Result<(Child, Agent), StartError> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr.stdio());
        without_secrets(&mut command);
        let mut child = command.spawn().map_err(StartError::Agent)?;
        let lost = || io::Error::other("its stdin and stdout cannot be reached");
        let to = child.stdin.take().ok_or_else(lost)?;
        let from = child.stdout.take().ok_or_else(lost)?;
        let errors = child.stderr.take().map(|errors| Box::new(errors) as Box<dyn Read + Send>);
        Ok((
            Child(Arc::new(Mutex::new(child))),
            Agent { from: Box::new(from), to: Box::new(to), errors, is_replaceable: false },
        ))
    }

    /// Returns a handle that kills the agent.
    pub(crate) fn killer(&self) -> Killer {
        Killer(self.0.clone())
    }

    /// Waits for the end of the agent, whose input has ended. It is killed after five seconds.
    pub(crate) fn wait(&mut self) -> io::Result<ExitStatus> {
        let until = Instant::now() + KILL_AFTER;
        loop {
            let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= until {
                tracing::warn!(seconds = KILL_AFTER.as_secs(), "agent_killed");
                child.kill()?;
                return child.wait();
            }
            drop(child);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Handle that kills an agent from any thread.
#[derive(Clone, Debug)]
pub(crate) struct Killer(Arc<Mutex<std::process::Child>>);

impl Killer {
    /// Kills the agent at once.
    pub(crate) fn kill(&self) {
        // This fails if the agent has already ended.
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).kill();
    }
}

/// Returns the path of the running program.
pub(crate) fn own_program() -> io::Result<PathBuf> {
    std::env::current_exe()
}
