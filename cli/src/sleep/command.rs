//! Command of `--on-sleep`. The shell runs it, without the gateway's secrets.

use crate::environment::without_secrets;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Maximum time of the command.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Time between two looks at it.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Runs the command, and waits for its end. Its output is discarded; its stderr is the gateway's.
///
/// # Errors
/// The command cannot be started, fails, or takes too long. The text does not contain it, since it can have keys.
pub(super) fn run(command: &str) -> Result<(), String> {
    let (shell, flag) = if cfg!(unix) { ("sh", "-c") } else { ("cmd", "/C") };
    let mut shell = Command::new(shell);
    shell.args([flag, command]).stdin(Stdio::null()).stdout(Stdio::null());
    without_secrets(&mut shell);
    let mut child = shell.spawn().map_err(|error| format!("the shell cannot be started: {error}"))?;
    let until = Instant::now() + TIMEOUT;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("it ended with {status}: run it by hand to see why")),
            Ok(None) if Instant::now() < until => thread::sleep(POLL_INTERVAL),
            Ok(None) => {
                // It fails only if the shell has ended.
                let _ = child.kill().and_then(|()| child.wait());
                return Err(format!(
                    "it did not end within {} s: let it work in the background",
                    TIMEOUT.as_secs()
                ));
            }
            Err(error) => return Err(format!("it cannot be waited for: {error}")),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_shell_runs_the_command_and_its_failure_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ran");
        assert_eq!(run(&format!("echo x > {}", path.display())), Ok(()));
        assert!(path.exists());
        let failure = run("hunter2() { exit 3; }; hunter2").unwrap_err();
        assert!(failure.contains("exit status: 3") && !failure.contains("hunter2"), "{failure}");
    }
}
