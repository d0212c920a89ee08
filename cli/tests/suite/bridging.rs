//! `relayline run` with its bridge controlled by the test, and an embedded connector.

use crate::support::{Ended, Program, SOON, relayline};
use jsonschema::Validator;
use relayline_connector::chats::{Ids, Room, discord};
use relayline_connector::{Act, ClosedBy, ConnectorConfig, EmbeddedConnector, Observation};
use relayline_core::time::Now;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

static LINES: LazyLock<Validator> = LazyLock::new(|| schema("bridge-out.schema.json"));
static OPS: LazyLock<Validator> = LazyLock::new(|| schema("bridge-in.schema.json"));

/// Returns the validator of a schema.
pub(crate) fn schema(name: &str) -> Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schema").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
}

/// Asserts that a line of the bridge matches its schema.
#[track_caller]
pub(crate) fn valid(schema: &Validator, line: &Value) {
    let problems: Vec<String> = schema.iter_errors(line).map(|problem| problem.to_string()).collect();
    assert!(problems.is_empty(), "{line}\n{problems:#?}");
}

/// The program with its bridge, and the connector that it connects to.
pub(crate) struct Bridge {
    pub(crate) program: Program,
    pub(crate) connector: EmbeddedConnector,
    pub(crate) ids: Ids,
}

impl Bridge {
    /// Starts a bridge that is connected as discord and telegram.
    pub(crate) fn start(runtime: &str, flags: &[&str]) -> Bridge {
        let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
        Bridge::start_at(connector, runtime, flags, &[])
    }

    /// Starts it at this connector, with these variables.
    pub(crate) fn start_at(
        connector: EmbeddedConnector,
        runtime: &str,
        flags: &[&str],
        variables: &[(&str, &str)],
    ) -> Bridge {
        let url = connector.url();
        let mut command = relayline(["run", "--url", &url, "--runtime", runtime]);
        command.envs(variables.iter().copied());
        command.args(["--identity", "discord:1", "--identity", "telegram:2", "--set", "backoff_first=20ms"]);
        command.args(flags);
        let mut bridge = Bridge { program: Program::start(command), connector, ids: Ids::new([0; 32]) };
        for _ in 0..2 {
            assert_eq!(bridge.next()["event"], "connected");
        }
        bridge
    }

    pub(crate) fn tell(&self, act: Act) {
        self.connector.control(act).unwrap();
    }

    pub(crate) fn deliver(&mut self, room: &Room, text: &str, buffered: bool) {
        let event = room.message(&mut self.ids, Now { unix_s: 1_718_900_000, ..Now::default() }, text);
        self.tell(Act::Inbound { event, buffered: Some(buffered) });
    }

    pub(crate) fn say(&mut self, line: Value) {
        self.program.write(format!("{line}\n").as_bytes());
    }

    /// Returns the next line. Its first field is `event`.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Value {
        let line = self.program.line().expect("the bridge goes on");
        assert!(line.starts_with("{\"event\":\""), "{line}");
        let line = serde_json::from_str(&line).unwrap();
        valid(&LINES, &line);
        line
    }

    /// Writes an op and returns its result without the common fields. Other lines before it are an error.
    #[track_caller]
    pub(crate) fn ask(&mut self, mut op: Value) -> Value {
        op["id"] = json!("ask");
        self.say(op.clone());
        let (ok, kept) = self.outcome("ask");
        if ok {
            valid(&OPS, &op);
        }
        kept
    }

    #[track_caller]
    pub(crate) fn result(&mut self, id: &str) -> Value {
        self.outcome(id).1
    }

    /// Returns two values: true if the op succeeded, and its result or error.
    #[track_caller]
    fn outcome(&mut self, id: &str) -> (bool, Value) {
        let mut line = self.next();
        assert_eq!((&line["event"], &line["id"]), (&json!("result"), &json!(id)), "{line}");
        let ok = line["ok"].as_bool().unwrap();
        let [kept, other] = if ok { ["result", "error"] } else { ["error", "result"] };
        assert_eq!(line.get(other), None, "{line}");
        (ok, line[kept].take())
    }

    /// Returns the next frame that the connector receives, except hellos.
    #[track_caller]
    pub(crate) fn sees(&self) -> Value {
        next_frame(&self.connector)
    }

    /// Asserts that the connector has observed an orderly end.
    #[track_caller]
    pub(crate) fn sees_goodbye(&self) {
        assert_eq!(self.sees()["type"], "going_idle");
        let closed = |saw: &Observation| {
            matches!(saw, Observation::Closed { by: ClosedBy::Gateway, code: Some(1000), .. })
        };
        self.connector.wait_for(closed, SOON).unwrap_or_else(|missed| panic!("{missed}"));
    }

    /// Asserts that the program succeeds, and that its last line reports a deliberate disconnect.
    #[track_caller]
    pub(crate) fn ends_well(self) {
        let Ended { code, stdout, stderr } = self.program.ended();
        assert_eq!(code, Some(0), "{stderr}");
        let last: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
        assert_eq!((&last["event"], &last["retry_in_ms"]), (&json!("disconnected"), &json!(null)), "{last}");
    }
}

/// Returns the next frame that the connector receives, except hellos.
#[track_caller]
fn next_frame(connector: &EmbeddedConnector) -> Value {
    let wanted =
        |saw: &Observation| matches!(saw, Observation::Frame { frame, .. } if frame["type"] != "hello");
    match connector.wait_for(wanted, SOON) {
        Ok(Observation::Frame { frame, .. }) => frame,
        other => panic!("{other:?}"),
    }
}

/// A bridge whose agent reads nothing until the test tells it to.
pub(crate) struct Unread {
    child: Child,
    /// Lines for the program, written by a thread of its own, since the program may stop reading.
    stdin: Option<Sender<String>>,
    stdout: BufReader<ChildStdout>,
    log: Arc<Mutex<Vec<u8>>>,
    connector: EmbeddedConnector,
    ids: Ids,
}

impl Unread {
    /// Starts a bridge that is connected as discord, and reads its `connected` line.
    pub(crate) fn start(runtime: &str, flags: &[&str]) -> Unread {
        let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
        let mut command = relayline(["run", "--url", &connector.url(), "--runtime", runtime]);
        command.args(["--platform", "discord"]).args(flags);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (mut stdin, mut stderr) = (child.stdin.take().unwrap(), child.stderr.take().unwrap());
        let (sender, texts) = channel::<String>();
        std::thread::spawn(move || {
            for text in texts {
                let _ = stdin.write_all(text.as_bytes());
            }
        });
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = log.clone();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read) = stderr.read(&mut piece)
                && read > 0
            {
                kept.lock().unwrap().extend_from_slice(&piece[..read]);
            }
        });
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (stdin, ids) = (Some(sender), Ids::new([0; 32]));
        let mut bridge = Unread { child, stdin, stdout, log, connector, ids };
        assert_eq!(bridge.next()["event"], "connected");
        bridge
    }

    pub(crate) fn write(&mut self, lines: String) {
        self.stdin.as_ref().unwrap().send(lines).unwrap();
    }

    pub(crate) fn tell(&self, act: Act) {
        self.connector.control(act).unwrap();
    }

    pub(crate) fn deliver(&mut self, text: &str) {
        let event = discord::guild_channel().message(&mut self.ids, Now::default(), text);
        self.tell(Act::Inbound { event, buffered: Some(false) });
    }

    /// Returns the next frame that the connector receives, except hellos.
    #[track_caller]
    pub(crate) fn sees(&self) -> Value {
        next_frame(&self.connector)
    }

    #[track_caller]
    pub(crate) fn next(&mut self) -> Value {
        let mut line = String::new();
        let (sender, ended) = channel::<()>();
        let pid = self.child.id().to_string();
        // A program that hangs is killed, which shows as the end of its output.
        let watch = std::thread::spawn(move || {
            if ended.recv_timeout(SOON) == Err(RecvTimeoutError::Timeout) {
                let _ = Command::new("kill").args(["-KILL", &pid]).status();
            }
        });
        self.stdout.read_line(&mut line).unwrap();
        drop(sender);
        watch.join().unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}\n{}", self.log()))
    }

    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().unwrap()).into_owned()
    }

    #[track_caller]
    pub(crate) fn logged(&self, words: &str) {
        let until = Instant::now() + SOON;
        while !self.log().contains(words) {
            assert!(Instant::now() < until, "no {words:?} in its log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    pub(crate) fn interrupt(&self) {
        self.signal("INT");
    }

    /// Reads to the end. Returns the exit code and the log.
    #[track_caller]
    pub(crate) fn ends(mut self) -> (Option<i32>, String) {
        let mut rest = Vec::new();
        self.stdout.read_to_end(&mut rest).unwrap();
        self.ends_unread()
    }

    /// Waits for the end without reading another line.
    #[track_caller]
    pub(crate) fn ends_unread(mut self) -> (Option<i32>, String) {
        let until = Instant::now() + SOON;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), self.log());
            }
            assert!(Instant::now() < until, "it does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
