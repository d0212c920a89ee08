//! Connection of a command to the control socket of a gateway (`run --control`).

#[cfg(unix)]
#[path = "control/unix.rs"]
mod system;
#[cfg(not(unix))]
#[path = "control/portable.rs"]
mod system;

use crate::fail;
use clap::Args;
use relayline_core::limits::MIN_INTERVAL;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use system::Socket;

/// Variable that names the control socket.
const VARIABLE: &str = "RELAYLINE_CONTROL";
/// Maximum time that a flag can give.
const MAX_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Flag of the commands that use a control socket.
#[derive(Debug, Args)]
pub(crate) struct ControlArguments {
    /// Control socket of the gateway: the path of its run --control [env: RELAYLINE_CONTROL]
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
}

impl ControlArguments {
    /// Returns the path of the socket. Prints an error if there is none.
    pub(crate) fn path(&self) -> Result<PathBuf, ExitCode> {
        let is_given = |path: &OsString| !path.is_empty();
        let given = self.control.clone().map(OsString::from).filter(is_given);
        given.or_else(|| std::env::var_os(VARIABLE).filter(is_given)).map(PathBuf::from).ok_or_else(|| {
            fail(
                2,
                format_args!(
                    "no control socket: give --control or set {VARIABLE} to the path of run --control"
                ),
            )
        })
    }
}

/// Parses a time of a flag, as in `30s`.
pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    let time = relayline_control::settings::parse_time(text)
        .ok_or_else(|| "write a whole number and its unit, as in 500ms, 30s or 2m".to_owned())?;
    match (MIN_INTERVAL..=MAX_TIME).contains(&time) {
        true => Ok(time),
        false => Err("it is out of range: 1ms to 24h".to_owned()),
    }
}

/// Failure of an op, as the gateway reports it.
#[derive(Debug, Deserialize)]
pub(crate) struct OpFailure {
    pub(crate) kind: String,
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) code: Option<String>,
}

/// Error returned when an op has no result.
#[derive(Debug)]
pub(crate) enum AskError {
    /// The op was not written.
    NotAsked(String),
    /// The op was written, and may have been carried out.
    NoAnswer(String),
    /// The gateway reports that the op failed.
    Failed(OpFailure),
}

impl AskError {
    fn refused(message: String) -> AskError {
        AskError::Failed(OpFailure { kind: "definite".to_owned(), message, code: None })
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AskError::NotAsked(message) | AskError::NoAnswer(message) => f.write_str(message),
            AskError::Failed(failure) => f.write_str(&failure.message),
        }
    }
}

/// Line of a gateway.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum GatewayLine {
    Result {
        id: Value,
        #[serde(default)]
        result: Value,
        #[serde(default)]
        error: Option<OpFailure>,
    },
    Invalid {
        message: String,
    },
    #[serde(other)]
    Other,
}

/// Open connection to a control socket. All of its time is limited.
pub(crate) struct Connection {
    socket: Socket,
    path: PathBuf,
    deadline: Instant,
    timeout: Duration,
    /// Id of the latest op.
    latest: u64,
}

impl Connection {
    /// Connects to a gateway. `timeout` is the maximum time for this and all ops together.
    pub(crate) fn open(path: &Path, timeout: Duration) -> Result<Connection, AskError> {
        let deadline = Instant::now() + timeout;
        let socket = Socket::connect(path, deadline).map_err(AskError::NotAsked)?;
        Ok(Connection { socket, path: path.to_owned(), deadline, timeout, latest: 0 })
    }

    /// Writes an op, and waits for its result.
    pub(crate) fn ask(&mut self, mut op: Map<String, Value>) -> Result<Value, AskError> {
        self.latest += 1;
        let id = Value::from(self.latest);
        op.insert("id".to_owned(), id.clone());
        let line = Value::Object(op).to_string() + "\n";
        let written = self.socket.write(line.as_bytes(), self.deadline);
        loop {
            // Of a gateway that turns a client away, a line says why.
            let text = match self.socket.read_line(self.deadline) {
                Ok(Some(text)) => text,
                Ok(None) => return Err(self.no_answer(written.is_ok(), "it closed the connection")),
                Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                    let waited = format!("it gave no answer within {:?}", self.timeout);
                    return Err(self.no_answer(written.is_ok(), &waited));
                }
                Err(error) => return Err(self.no_answer(written.is_ok(), &error.to_string())),
            };
            match serde_json::from_str(&text) {
                Ok(GatewayLine::Result { id: known, result, error: None }) if known == id => {
                    return Ok(result);
                }
                Ok(GatewayLine::Result { id: known, error: Some(failure), .. }) if known == id => {
                    return Err(AskError::Failed(failure));
                }
                Ok(GatewayLine::Invalid { message }) => return Err(AskError::refused(message)),
                Ok(GatewayLine::Result { .. } | GatewayLine::Other) => {}
                Err(_) => {
                    return Err(self.no_answer(written.is_ok(), "it wrote a line that is not a gateway's"));
                }
            }
        }
    }

    /// Returns the error of an op without a result. A line that was not written as a whole is not carried out.
    fn no_answer(&self, is_written: bool, why: &str) -> AskError {
        let message = format!("the gateway at {}: {why}", self.path.display());
        if is_written { AskError::NoAnswer(message) } else { AskError::NotAsked(message) }
    }
}

/// Creates an op from its fields.
pub(crate) fn op<const N: usize>(name: &str, fields: [(&str, Value); N]) -> Map<String, Value> {
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
    [("op".to_owned(), Value::from(name))].into_iter().chain(fields).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_unit() {
        for (text, ms) in [("500ms", 500), ("30s", 30_000), ("2m", 120_000), ("1h", 3_600_000), ("5 s", 5000)]
        {
            assert_eq!(parse_time(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in
            ["", "5", "s", "-1s", "1.5s", "0s", "25h", "99999999999999999999h", "18446744073709551615h"]
        {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}
