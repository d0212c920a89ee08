//! The program as a child process, and functions that wait for its output.

pub(crate) mod http;
pub(crate) mod page_client;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Time-out that is long enough for a busy machine. No test waits for it to pass.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait_until(limit: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + limit;
    while !is_so() {
        assert!(Instant::now() < until, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Returns the program with these arguments, and without the environment of the tests.
pub(crate) fn relayline<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(arguments: I) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relayline"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let prefixed = ["GATEWAY_RELAY_", "RUST_", "HERMES_"].iter().any(|prefix| name.starts_with(prefix));
        let is_proxy = name.to_ascii_lowercase().ends_with("_proxy");
        if prefixed || is_proxy || matches!(name.as_str(), "NO_COLOR" | "SSL_CERT_FILE" | "RELAYLINE_CONTROL")
        {
            command.env_remove(name);
        }
    }
    // A panic must print its whole backtrace.
    command.env("RUST_BACKTRACE", "1").args(arguments);
    command
}

/// Copies the program into a folder, by another process: a child that another test starts meanwhile would inherit the
/// open descriptor, and a file that is open for writing cannot be executed.
pub(crate) fn copy_program(folder: &Path) -> PathBuf {
    let program = folder.join("relayline");
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_relayline")).arg(&program).status();
    assert!(copied.unwrap().success());
    program
}

/// A running program. It is killed when this is dropped.
pub(crate) struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Vec<u8>>,
    /// Its log so far, and the thread that reads it.
    log: Arc<Mutex<Vec<u8>>>,
    stderr: Option<JoinHandle<()>>,
}

/// End of a program.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// The unread rest of its stdout.
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Returns true if tests run at full size (`RELAYLINE_FULL`, set by `.ci/run` and `.ci/full`).
pub(crate) fn is_full() -> bool {
    std::env::var_os("RELAYLINE_FULL").is_some()
}

impl Program {
    pub(crate) fn start(mut command: Command) -> Program {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            let mut line = Vec::new();
            while stdout.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                if sender.send(std::mem::take(&mut line)).is_err() {
                    // Nobody reads any more: its stdout is closed from here on.
                    return;
                }
            }
        });
        let mut stderr = child.stderr.take().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = log.clone();
        let stderr = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read) = stderr.read(&mut piece)
                && read > 0
            {
                kept.lock().unwrap().extend_from_slice(&piece[..read]);
            }
        });
        let stdin = child.stdin.take();
        Program { child, stdin, lines, log, stderr: Some(stderr) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its stdin.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("its stdin is open");
        stdin.write_all(bytes).and_then(|()| stdin.flush()).unwrap();
    }

    /// Writes to its stdin. Errors are ignored.
    pub(crate) fn offer(&mut self, bytes: &[u8]) {
        let _ = self.stdin.as_mut().expect("its stdin is open").write_all(bytes);
    }

    /// Closes its stdin.
    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Closes our end of its stdout at its next write.
    pub(crate) fn close_stdout(&mut self) {
        self.lines = channel().1;
    }

    /// Sends it SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends it a signal, as in `STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        let (signal, pid) = (format!("-{signal}"), self.id().to_string());
        assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
    }

    /// Returns the next line of its stdout, without the newline; `None` at its end.
    #[track_caller]
    pub(crate) fn line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(SOON) {
            Ok(mut line) => {
                assert_eq!(line.pop(), Some(b'\n'), "every line ends with a newline");
                Some(String::from_utf8(line).expect("UTF-8"))
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line in time"),
        }
    }

    /// Waits for its end. Returns its exit code and the rest of its output.
    #[track_caller]
    pub(crate) fn ended(mut self) -> Ended {
        let (mut stdout, until) = (String::new(), Instant::now() + SOON);
        while let Some(line) = self.line() {
            assert!(Instant::now() < until, "it goes on and on: {line}");
            stdout.push_str(&line);
            stdout.push('\n');
        }
        let code = self.wait();
        if let Some(stderr) = self.stderr.take() {
            stderr.join().unwrap();
        }
        let stderr = self.log();
        assert!(!stderr.contains("panicked"), "{stderr}");
        Ended { code, stdout, stderr }
    }

    /// Returns its log so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().unwrap()).into_owned()
    }

    /// Waits for these words in its log. Returns the text after them, up to the end of the line.
    #[track_caller]
    pub(crate) fn logged(&self, words: &str) -> String {
        let until = Instant::now() + SOON;
        loop {
            let log = self.log();
            let remaining = log.split_once(words).and_then(|(_, remaining)| remaining.split_once('\n'));
            if let Some((line, _)) = remaining {
                return line.to_owned();
            }
            assert!(Instant::now() < until, "no {words:?} in its log:\n{log}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[track_caller]
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let until = Instant::now() + SOON;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < until, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // This fails if it has already ended, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
