//! The command that prints an access token (H-8), run by the shell behind a guard, as an agent is: what it has started
//! ends with it, and it ends with the gateway.

use crate::bridge::Agent;
use crate::exec::Child;
use relayline_control::http::MAX_RESPONSE;
use std::io::{self, Read};
use std::sync::mpsc::channel;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the command, and gives what it has printed: 64 KiB at most, within half a minute. Its stderr goes nowhere, since
/// it may show what it must not (C-4); the error says what to do about it.
pub(crate) fn run(command: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let (program, arguments) = shell(command);
    let started = Child::start(program, &arguments);
    let (mut child, Agent { from, to, .. }) =
        started.map_err(|error| format!("the shell cannot be started: {error}"))?;
    drop(to);
    let (sender, output) = channel();
    std::thread::spawn(move || sender.send(read(from)));
    let Ok(output) = output.recv_timeout(PATIENCE) else {
        child.killer().kill();
        return Err(format!("it did not end within {} s: run it by hand to see why", PATIENCE.as_secs()));
    };
    let output = output.map_err(|error| format!("its output cannot be read: {error}"))?;
    if output.len() > MAX_RESPONSE {
        child.killer().kill();
        return Err(format!("it printed more than {MAX_RESPONSE} bytes: let it print the token alone"));
    }
    // Its output has ended, and so will it.
    match child.wait().map_err(|error| format!("it cannot be waited for: {error}"))? {
        status if status.success() => Ok(output),
        status => Err(format!("it ended with {status}: run it by hand to see why")),
    }
}

/// All that it prints, and one byte above what is taken at most.
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
