//! The agent as a child process.

use crate::bridge::Agent;
use crate::environment::without_secrets;
use std::io;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

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
        // A terminal's Ctrl-C is for us: the agent hears of it as the end of its input, and can still say something. So
        // are its other keys; an agent that wants to read the terminal itself cannot be started from here.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn()?;
        let lost = || io::Error::other("its stdin and stdout cannot be reached");
        let to = child.stdin.take().ok_or_else(lost)?;
        let from = child.stdout.take().ok_or_else(lost)?;
        Ok((Child(child), Agent { from: Box::new(from), to: Box::new(to), replaceable: false }))
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
