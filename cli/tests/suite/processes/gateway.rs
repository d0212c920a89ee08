//! `relayline run --exec sh -c SCRIPT`, and the processes that the script starts.

use crate::support::{Ended, Program, SOON, relayline, wait_until};
use relayline_connector::{ClosedBy, ConnectorConfig, EmbeddedConnector, Observation};
use std::process::Command;
use std::time::{Duration, Instant};

/// Disconnect budget of every gateway here: one second for going idle, one for the close.
pub(crate) const BUDGET: Duration = Duration::from_secs(2);
/// Extra time that a busy machine may need.
const SLACK: Duration = Duration::from_secs(10);
/// Time from the end of an agent's input to SIGKILL.
pub(crate) const KILL_AFTER: Duration = Duration::from_secs(5);

/// A gateway with an agent that appends the process ids of its group to `$PIDS`.
pub(crate) struct Gateway {
    pub(crate) program: Program,
    pub(crate) connector: EmbeddedConnector,
    folder: tempfile::TempDir,
}

impl Gateway {
    pub(crate) fn start(runtime: &str, script: &str) -> Gateway {
        Gateway::start_with(runtime, &[], script, relayline)
    }

    /// Starts a gateway with these flags. `start` makes the command from its arguments.
    pub(crate) fn start_with(
        runtime: &str,
        flags: &[&str],
        script: &str,
        start: impl FnOnce(Vec<String>) -> Command,
    ) -> Gateway {
        let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let budget = format!("disconnect_budget={}s", BUDGET.as_secs());
        let url = connector.url();
        let words = ["run", "--runtime", runtime, "--url", &url, "--platform", "discord", "--set", &budget];
        let exec = ["--exec", "sh", "-c", script];
        let words = words.iter().chain(flags).chain(&exec);
        let mut command = start(words.map(|&word| word.to_owned()).collect());
        command.env("PIDS", folder.path().join("pids")).env("FOLDER", folder.path());
        Gateway { program: Program::start(command), connector, folder }
    }

    /// Returns the process ids that the agent has written, once there are this many.
    #[track_caller]
    pub(crate) fn pids(&self, count: usize) -> Vec<u32> {
        let mut pids = Vec::new();
        wait_until(SOON, "its process ids are there", || {
            let text = std::fs::read_to_string(self.folder.path().join("pids")).unwrap_or_default();
            // The last line may be incomplete.
            pids =
                text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')?.parse().ok()).collect();
            pids.len() >= count
        });
        pids
    }

    /// Creates this file in `$FOLDER`, for an agent that waits for it.
    pub(crate) fn create(&self, file: &str) {
        std::fs::write(self.folder.path().join(file), "").unwrap();
    }

    #[track_caller]
    pub(crate) fn sees(&self, wanted: impl Fn(&Observation) -> bool) {
        self.connector
            .wait_for(wanted, SOON)
            .unwrap_or_else(|missed| panic!("{missed}\n{}", self.program.log()));
    }

    /// L-1: asserts that the gateway has connected.
    #[track_caller]
    pub(crate) fn sees_hello(&self) {
        self.sees(|saw| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "hello"));
    }

    /// L-3: asserts that the handshake is complete.
    #[track_caller]
    pub(crate) fn is_connected(&self) {
        self.program.logged("connected platform=");
    }

    /// L-14: asserts an orderly disconnect.
    #[track_caller]
    pub(crate) fn sees_goodbye(&self) {
        self.sees(|saw| matches!(saw, Observation::Closed { by: ClosedBy::Gateway, code: Some(1000), .. }));
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(name, self.program.id());
    }

    /// Waits for the end of the gateway, which must come within this time.
    #[track_caller]
    pub(crate) fn ends_within(self, limit: Duration) -> Ended {
        let began = Instant::now();
        let ended = self.program.ended();
        let took = began.elapsed();
        assert!(took < limit + SLACK, "it took {took:?}: {}", ended.stderr);
        ended
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(name: &str, pid: u32) {
    assert!(
        Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap().success(),
        "{name}"
    );
}

/// Waits until none of these processes is left.
#[track_caller]
pub(crate) fn all_end_within(limit: Duration, pids: &[u32]) {
    wait_until(limit + SLACK, &format!("none of {pids:?} is left"), || {
        !pids.iter().any(|&pid| is_alive(pid))
    });
}

/// Returns true if a process has not ended. A process that is not reaped yet has ended.
pub(crate) fn is_alive(pid: u32) -> bool {
    let state = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = String::from_utf8(state.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

/// Returns the parent of a process.
pub(crate) fn parent(pid: u32) -> u32 {
    let parent = Command::new("ps").args(["-o", "ppid=", "-p", &pid.to_string()]).output().unwrap();
    String::from_utf8(parent.stdout).unwrap().trim().parse().unwrap()
}
