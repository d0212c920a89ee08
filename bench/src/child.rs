//! Child process that prints reports, and is killed at the end.

use crate::Result;
#[cfg(unix)]
use relayline_bench::process::cpu_time_of_ended;
use relayline_bench::reports::Listening;
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Time after which a process that has not reported counts as stuck.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Child process. Dropping it kills it.
pub(crate) struct Child {
    name: String,
    process: process::Child,
    /// Its reports.
    lines: mpsc::Receiver<String>,
}

impl Child {
    /// Starts a process. Its input stays open until it is dropped, its errors go to stderr. Lines of its output that are not
    /// objects are printed there, too.
    ///
    /// # Errors
    /// The process cannot be started.
    pub(crate) fn start(command: &mut Command) -> Result<Child> {
        Child::spawn(command.stdout(Stdio::piped()), |process| process.stdout.take())
    }

    /// Starts a process whose reports are on stderr. Other lines are printed there.
    ///
    /// # Errors
    /// The process cannot be started.
    pub(crate) fn start_reporting_on_stderr(command: &mut Command) -> Result<Child> {
        let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
        Child::spawn(command, |process| process.stderr.take())
    }

    fn spawn<R: Read + Send + 'static>(
        command: &mut Command,
        take_output: impl FnOnce(&mut process::Child) -> Option<R>,
    ) -> Result<Child> {
        let name = format!("{command:?}");
        let started = command.stdin(Stdio::piped()).spawn();
        let mut process = started.map_err(|error| format!("{name}: {error}"))?;
        let (sender, lines) = mpsc::channel();
        let output = take_output(&mut process).ok_or_else(|| format!("{name}: it has no output"))?;
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(std::io::Result::ok) {
                if !line.starts_with('{') {
                    eprintln!("{line}");
                } else if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Child { name, process, lines })
    }

    /// Waits for the next report.
    ///
    /// # Errors
    /// The process ends without a report, prints another one, or is stuck.
    pub(crate) fn report<T: DeserializeOwned>(&mut self) -> Result<T> {
        let line = self.lines.recv_timeout(TIMEOUT).map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => format!("{}: no report within {TIMEOUT:?}", self.name),
            mpsc::RecvTimeoutError::Disconnected => format!("{}: ended without a report", self.name),
        })?;
        serde_json::from_str(&line).map_err(|error| format!("{}: {error}: {line}", self.name).into())
    }

    /// Waits for the end of the process. Returns the time that all its threads have spent on a processor.
    ///
    /// # Errors
    /// The process fails, or the system is not Linux.
    #[cfg(unix)]
    pub(crate) fn finish(mut self) -> Result<Duration> {
        use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
        // The process stays in the system's table, and so does its time.
        let child = WaitId::Pid(Pid::from_child(&self.process));
        waitid(child, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
        let time = cpu_time_of_ended(self.process.id())?;
        let status = self.process.wait()?;
        if !status.success() {
            return Err(format!("{}: {status}", self.name).into());
        }
        Ok(time)
    }

    /// Fails: the time on a processor is measured on Unix only.
    #[cfg(not(unix))]
    pub(crate) fn finish(self) -> Result<Duration> {
        Err("time on a processor is measured on Unix only".into())
    }
}

/// Starts a connector by `bench-peer`, whose path is `peer`. Returns it with its port.
///
/// # Errors
/// The process cannot be started, or does not listen.
pub(crate) fn start_connector(peer: &Path, arguments: &[&str]) -> Result<(Child, u16)> {
    let mut connector = Child::start(Command::new(peer).args(arguments))?;
    let Listening { port, .. } = connector.report()?;
    Ok((connector, port))
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
