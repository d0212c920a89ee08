//! The program under test as a child process.

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// Maximum length of a line of its stdout, in bytes. A longer one is cut.
const MAX_LINE_BYTES: u64 = 4 << 20;
/// Number of bytes of stderr that are kept: the last ones.
const KEPT_LOG_BYTES: usize = 16 << 10;

/// Output of the program.
#[derive(Debug)]
pub(super) enum ProgramOutput {
    /// A line of stdout, without its newline.
    Line(Vec<u8>),
    /// The end of stdout.
    End,
}

/// A running program.
#[derive(Debug)]
pub(super) struct Program {
    child: Child,
    stdin: Option<mpsc::UnboundedSender<String>>,
    log: Arc<Mutex<VecDeque<u8>>>,
}

/// Command of a program, with its environment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct ProgramCommand {
    pub(super) words: Vec<String>,
    pub(super) env: Vec<(String, String)>,
}

impl ProgramCommand {
    /// Starts the program. Its output goes to `outputs`.
    pub(super) fn start(&self, outputs: mpsc::Sender<ProgramOutput>) -> io::Result<Program> {
        let (program, arguments) =
            self.words.split_first().ok_or_else(|| io::Error::other("the command is empty"))?;
        let mut command = Command::new(program);
        // What the caller has set for a gateway of its own must not reach the program.
        let inherited = std::env::vars_os().map(|(name, _)| name);
        inherited.filter(|name| name.to_string_lossy().starts_with("GATEWAY_RELAY_")).for_each(|name| {
            command.env_remove(name);
        });
        command
            .args(arguments)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn()?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let lost = || io::Error::other("its pipes cannot be reached");
        let (mut to, from, mut errors) =
            (stdin.ok_or_else(lost)?, stdout.ok_or_else(lost)?, stderr.ok_or_else(lost)?);
        // The lines are those of a scenario, so there are few.
        let (stdin, mut lines) = mpsc::unbounded_channel::<String>();
        tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                if to.write_all(line.as_bytes()).await.is_err() || to.flush().await.is_err() {
                    return;
                }
            }
        });
        tokio::spawn(async move {
            let mut from = BufReader::new(from);
            loop {
                let mut line = Vec::new();
                let read = (&mut from).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).await;
                if !matches!(read, Ok(1..)) {
                    break;
                }
                if line.last() == Some(&b'\n') {
                    line.pop();
                }
                if outputs.send(ProgramOutput::Line(line)).await.is_err() {
                    return;
                }
            }
            let _ = outputs.send(ProgramOutput::End).await;
        });
        let log = Arc::new(Mutex::new(VecDeque::new()));
        let kept = Arc::clone(&log);
        tokio::spawn(async move {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = errors.read(&mut piece).await {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend(&piece[..read]);
                let surplus = kept.len().saturating_sub(KEPT_LOG_BYTES);
                kept.drain(..surplus);
            }
        });
        Ok(Program { child, stdin: Some(stdin), log })
    }
}

impl Program {
    /// Writes a line to its stdin. Nothing is written after the end of its input.
    pub(super) fn write(&self, line: &Value) {
        if let Some(stdin) = &self.stdin {
            // Fails if the program reads no more, which its own end will show.
            let _ = stdin.send(format!("{line}\n"));
        }
    }

    /// Closes its stdin once the lines before are written.
    pub(super) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Kills it, with all processes of its group.
    pub(super) fn kill(&mut self) {
        self.end_input();
        #[cfg(unix)]
        if let Some(group) =
            self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw)
        {
            // Fails if all have ended.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.start_kill();
    }

    /// Waits for its end, and returns the observation of it.
    pub(super) async fn ended(&mut self) -> Value {
        let code = self.child.wait().await.ok().and_then(|status| status.code());
        json!({"event": "exit", "code": code})
    }

    /// Returns the last part of its stderr.
    pub(super) fn log(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, second) = log.as_slices();
        String::from_utf8_lossy(&[first, second].concat()).into_owned()
    }
}
