//! The command that prints an access token (H-8), run by the shell.

use crate::environment::without_secrets;
use relayline_core::http::MAX_ANSWER;
use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the command, and gives what it has printed: 64 KiB at most, within half a minute. Its stderr goes nowhere, since
/// it may show what it must not (C-4); the error says what to do about it.
pub(crate) fn run(command: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    run_within(command, PATIENCE)
}

fn run_within(command: &str, patience: Duration) -> Result<Zeroizing<Vec<u8>>, String> {
    let until = Instant::now() + patience;
    let mut shell = shell(command);
    without_secrets(&mut shell);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = Ended(shell.spawn().map_err(|error| format!("the shell cannot be started: {error}"))?);
    let stdout = child.0.stdout.take().ok_or("its stdout cannot be read")?;
    let (sender, output) = channel();
    std::thread::spawn(move || sender.send(read(stdout)));
    let slow = || format!("it did not end within {} s: run it by hand to see why", patience.as_secs_f32());
    let output = match output.recv_timeout(patience) {
        Ok(output) => output.map_err(|error| format!("its output cannot be read: {error}"))?,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Err(slow()),
    };
    if output.len() > MAX_ANSWER {
        return Err(format!("it printed more than {MAX_ANSWER} bytes: let it print the token alone"));
    }
    // Its output has ended, and so will it.
    loop {
        match child.0.try_wait().map_err(|error| format!("it cannot be waited for: {error}"))? {
            Some(status) if status.success() => return Ok(output),
            Some(status) => return Err(format!("it ended with {status}: run it by hand to see why")),
            None if Instant::now() >= until => return Err(slow()),
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// All that it prints, and one byte above what is taken at most.
fn read(stdout: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    // What grows leaves copies behind.
    let mut output = Zeroizing::new(Vec::with_capacity(MAX_ANSWER + 1));
    stdout.take(MAX_ANSWER as u64 + 1).read_to_end(&mut output)?;
    Ok(output)
}

#[cfg(unix)]
fn shell(command: &str) -> Command {
    use std::os::unix::process::CommandExt;
    let mut shell = Command::new("sh");
    // A group of its own: what it has started ends with it.
    shell.arg("-c").arg(command).process_group(0);
    shell
}

#[cfg(windows)]
fn shell(command: &str) -> Command {
    use std::os::windows::process::CommandExt;
    let mut shell = Command::new("cmd");
    shell.raw_arg("/C").raw_arg(command);
    shell
}

/// A child that does not outlive its use.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        #[cfg(unix)]
        if let Some(group) = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        // Both fail only when it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    /// H-8: what a command prints, and how it can fail.
    #[test]
    fn h_8_a_command_prints_a_token_or_says_why_not() {
        let printed = |command| run(command).map(|output| String::from_utf8_lossy(&output).into_owned());
        let by_hand = "run it by hand to see why";
        for (command, expected) in [
            ("echo t0ken", Ok("t0ken\n".to_owned())),
            ("echo to | tr o k; exit 0", Ok("tk\n".to_owned())),
            ("cat", Ok(String::new())),
            (
                "echo hunter2 >&2; echo hunter2; exit 3",
                Err(format!("it ended with exit status: 3: {by_hand}")),
            ),
            ("no-such-program-at-all", Err(format!("it ended with exit status: 127: {by_hand}"))),
            (
                "yes | head -c 70000",
                Err("it printed more than 65536 bytes: let it print the token alone".to_owned()),
            ),
            ("yes", Err("it printed more than 65536 bytes: let it print the token alone".to_owned())),
        ] {
            assert_eq!(printed(command), expected, "{command}");
        }
    }

    /// What takes too long is ended, and so is what it has started.
    #[test]
    fn h_8_a_command_that_hangs_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let (pids, pipe) = (folder.path().join("pids"), folder.path().join("pipe"));
        // A pipe that nobody writes to: it hangs for as long as anybody lets it.
        let command = format!(
            "mkfifo {pipe}; (echo $$; sh -c 'echo $$ >> {pids}; cat {pipe}') > {pids}; echo late",
            pipe = pipe.display(),
            pids = pids.display()
        );
        let error = run_within(&command, Duration::from_millis(300)).unwrap_err();
        assert_eq!(error, "it did not end within 0.3 s: run it by hand to see why");
        let pids = std::fs::read_to_string(pids).unwrap_or_default();
        for pid in pids.lines() {
            let alive =
                || Command::new("kill").args(["-0", pid]).stderr(Stdio::null()).status().unwrap().success();
            let until = Instant::now() + PATIENCE;
            while alive() {
                assert!(Instant::now() < until, "{pid} lives on");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// C-4: none of the gateway's secrets is in its environment.
    #[test]
    fn c_4_a_command_gets_no_secret() {
        let mut command = shell("env");
        command.env("GATEWAY_RELAY_SECRET", "hunter2");
        without_secrets(&mut command);
        let output = command.output().unwrap();
        assert!(!String::from_utf8_lossy(&output.stdout).contains("hunter2"));
    }
}
