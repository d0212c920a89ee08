//! The agent as a child process.

use crate::bridge::Agent;
use std::ffi::OsStr;
use std::io;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Whether a variable may hold a secret: no child needs one of them (C-4). A name too many does no harm.
fn is_secret(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("GATEWAY_RELAY_") && ["SECRET", "KEY", "TOKEN"].iter().any(|word| name.contains(word))
}

/// Takes what may be a secret of the gateway out of a child's environment (C-4).
pub(crate) fn without_secrets(command: &mut Command) {
    let given: Vec<_> = command.get_envs().map(|(name, _)| name.to_owned()).collect();
    let ours = std::env::vars_os().map(|(name, _)| name);
    for name in ours.chain(given).filter(|name| is_secret(name)) {
        command.env_remove(name);
    }
}

/// How long an agent may go on after its input has ended.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Child(std::process::Child);

impl Child {
    /// Starts the agent, and gives its end of the bridge. Its stderr is ours.
    pub(crate) fn start(program: &str, arguments: &[String]) -> io::Result<(Child, Agent)> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        without_secrets(&mut command);
        let mut child = command.spawn()?;
        let lost = || io::Error::other("its stdin and stdout cannot be reached");
        let to = child.stdin.take().ok_or_else(lost)?;
        let from = child.stdout.take().ok_or_else(lost)?;
        Ok((Child(child), Agent { from: Box::new(from), to: Box::new(to) }))
    }

    /// Waits for its end; one that does not end within ten seconds is killed.
    pub(crate) fn wait(&mut self) -> io::Result<ExitStatus> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= until {
                tracing::warn!(seconds = PATIENCE.as_secs(), "agent_killed");
                self.0.kill()?;
                return self.0.wait();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
