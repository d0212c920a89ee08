//! The control socket of `relayline run`, with real processes: its file, its clients, and the commands that use it.

mod bounds;
mod file;
mod ops;
mod send;
mod status;

use crate::bridging::{Bridge, schema, valid};
use crate::support::{Program, SOON, relayline};
use relayline_connector::chats::Ids;
use relayline_connector::{ConnectorConfig, EmbeddedConnector};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A folder with the path of a control socket.
struct Place {
    folder: TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        Place { folder, path }
    }

    /// Returns the flags of `run`, followed by these.
    fn flags<'a>(&'a self, flags: &[&'a str]) -> Vec<&'a str> {
        [&["--control", self.path.to_str().unwrap()], flags].concat()
    }

    /// Starts a bridge that is connected as discord and telegram, with this control socket.
    fn start(&self, runtime: &str, flags: &[&str]) -> Bridge {
        Bridge::start(runtime, &self.flags(flags))
    }

    /// Connects a client, as soon as the gateway listens.
    #[track_caller]
    fn client(&self) -> Client {
        let until = Instant::now() + SOON;
        loop {
            match UnixStream::connect(&self.path) {
                Ok(stream) => return Client::new(stream),
                Err(error) => assert!(Instant::now() < until, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A client of a control socket.
struct Client {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
}

impl Client {
    fn new(stream: UnixStream) -> Client {
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap());
        Client { stream, lines }
    }

    #[track_caller]
    fn say(&mut self, line: &Value) {
        self.stream.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Returns the next line; `None` at the end.
    #[track_caller]
    fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        // A connection with unread bytes is reset when the gateway closes it.
        let read = self.lines.read_line(&mut line).unwrap_or(0);
        if read == 0 {
            return None;
        }
        let line = serde_json::from_str(&line).unwrap();
        valid(&schema("bridge-out.schema.json"), &line);
        Some(line)
    }

    /// Writes an op and returns its result line. Other lines before it are an error.
    #[track_caller]
    fn ask(&mut self, op: &Value) -> Value {
        let mut op = op.clone();
        op["id"] = json!("ask");
        self.say(&op);
        let line = self.next().expect("a result");
        assert_eq!((&line["event"], &line["id"]), (&json!("result"), &json!("ask")), "{line}");
        line
    }

    /// Asks for the status, and checks it against its schema.
    #[track_caller]
    fn status(&mut self) -> Value {
        let mut line = self.ask(&json!({"op": "status"}));
        let status = line["result"].take();
        valid(&schema("status.schema.json"), &status);
        status
    }

    /// Asks for the status until it is as wanted.
    #[track_caller]
    fn waits_for(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + SOON;
        loop {
            let status = self.status();
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < until, "{status:#}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Starts a bridge that is connected as discord with credentials, as transfers of files need. Its working folder is not that
/// of the place.
fn with_media(place: &Place, runtime: &str) -> Bridge {
    let config = ConnectorConfig::default().gateway("gw-1", "SECRET");
    let connector = EmbeddedConnector::start(config, "127.0.0.1:0").unwrap();
    let (url, media) = (connector.url(), tempfile::tempdir().unwrap());
    let flags = ["--url", &url, "--runtime", runtime, "--platform", "discord", "--gateway-id", "gw-1"];
    let media = ["--media-dir", media.path().to_str().unwrap()];
    let mut command = relayline([&["run"], place.flags(&flags).as_slice(), &media].concat());
    command.env("GATEWAY_RELAY_SECRET", "SECRET");
    let mut bridge = Bridge { program: Program::start(command), connector, ids: Ids::new([0; 32]) };
    assert_eq!(bridge.next()["event"], "connected");
    bridge
}

/// Returns a counter of the control socket.
fn counter(status: &Value, name: &str) -> u64 {
    status["control"]["counters"][name].as_u64().unwrap_or_else(|| panic!("{name}: {status}"))
}

fn names(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
