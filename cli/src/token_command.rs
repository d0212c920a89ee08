//! Command that prints an access token (H-8). The shell runs it with a guard, like an agent: its child processes end with it,
//! and it ends with the gateway.

use crate::bridge::Agent;
use crate::exec::{AgentStderr, Child};
use relayline_control::http::MAX_RESPONSE;
use std::io::{self, Read};
use std::sync::mpsc::channel;
use std::time::Duration;
use zeroize::Zeroizing;

/// Maximum time of a command.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Runs the command, and returns its output. Its stderr is discarded, since it may contain secrets (C-4).
///
/// # Errors
/// The command fails, takes more than 30 s, or prints more than 64 KiB.
pub(crate) fn run(command: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let (program, arguments) = shell(command);
    let started = Child::start(program, &arguments, AgentStderr::Inherited);
    let (mut child, Agent { from, to, .. }) =
        started.map_err(|error| format!("the shell cannot be started: {error}"))?;
    drop(to);
    let (sender, output) = channel();
    std::thread::spawn(move || sender.send(read(from)));
    let Ok(output) = output.recv_timeout(TIMEOUT) else {
        child.killer().kill();
        return Err(format!("it did not end within {} s: run it by hand to see why", TIMEOUT.as_secs()));
    };
    let output = output.map_err(|error| format!("its output cannot be read: {error}"))?;
    if output.len() > MAX_RESPONSE {
        child.killer().kill();
        return Err(format!("it printed more than {MAX_RESPONSE} bytes: let it print the token alone"));
    }
    match child.wait().map_err(|error| format!("it cannot be waited for: {error}"))? {
        status if status.success() => Ok(output),
        status => Err(format!("it ended with {status}: run it by hand to see why")),
    }
}

/// Reads the output, up to one byte above the limit.
fn read(from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut output = Zeroizing::new(Vec::new());
    from.take(MAX_RESPONSE as u64 + 1).read_to_end(&mut output)?;
    Ok(output)
}

#[cfg(unix)]
fn shell(command: &str) -> (&'static str, Vec<String>) {
    ("sh", vec!["-c".to_owned(), format!("exec 2>/dev/null\n{command}")])
}

#[cfg(not(unix))]
fn shell(command: &str) -> (&'static str, Vec<String>) {
    ("cmd", vec!["/C".to_owned(), format!("{command} 2>NUL")])
}
