//! Files of agents of `relayline work`, whose gateway is on another machine. Without a server these tests are skipped.

use super::fleet::Fleet;
use super::{logged, serve_file};
use crate::support::{Program, SOON, relayline, wait_until};
use relayline_connector::ConnectorConfig;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::PathBuf;

/// Agent that writes the lines of a file as ops, and what it gets to another one.
const SCRIPT: &str = r#"tail -n +1 -f "$0" & while read -r line; do echo "$line" >> "$1"; done; kill $!"#;

/// A fleet with one worker, whose agent is the test.
struct Bench {
    fleet: Fleet,
    gateway: Program,
    worker: Program,
    ops: PathBuf,
    results: PathBuf,
}

impl Bench {
    /// The worker's files are in `in`. `None` without a server's program.
    fn new(runtime: &str, flags: &[&str]) -> Option<Bench> {
        let config = ConnectorConfig::default().gateway("gw-1", "SECRET");
        let fleet = Fleet::with(runtime, config)?;
        let mut command = fleet.stage.command(flags);
        command.args(["--gateway-id", "gw-1"]).env("GATEWAY_RELAY_SECRET", "SECRET");
        let gateway = Program::start(command);
        gateway.logged("connected");
        let [ops, results, folder] = ["ops", "results", "in"].map(|name| fleet.stage.path(name));
        fs::write(&ops, "").unwrap();
        fs::create_dir(&folder).unwrap();
        let mut command = relayline(["work", "--queue", &fleet.url, "--gateway-id", "gw-1", "--media-dir"]);
        command.arg(&folder).args(["--exec", "sh", "-c", SCRIPT]).arg(&ops).arg(&results);
        let worker = Program::start(command);
        logged(&results, r#"{"event":"connected""#, 1);
        Some(Bench { fleet, gateway, worker, ops, results })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.fleet.stage.path("in").join(name)
    }

    /// Writes an op, and returns its result or its error.
    #[track_caller]
    fn ask(&self, id: &str, mut op: Value) -> Value {
        op["id"] = id.into();
        let mut ops = fs::OpenOptions::new().append(true).open(&self.ops).unwrap();
        writeln!(ops, "{op}").unwrap();
        let line = logged(&self.results, &format!(r#"{{"event":"result","id":"{id}""#), 1).remove(0);
        let mut line: Value = serde_json::from_str(&line).unwrap();
        let field = if line["ok"] == true { "result" } else { "error" };
        line[field].take()
    }

    /// Delivers a message with a file, and returns its line for the agent.
    #[track_caller]
    fn message(&self, number: usize) -> Value {
        let (address, served) = serve_file(b"hello");
        let url = format!("http://{address}/a.png");
        let event = json!({
            "text": "look", "message_type": "photo", "message_id": number.to_string(),
            "source": {"platform": "discord", "chat_id": "7", "chat_type": "dm", "user_id": "u"},
            "media_urls": [url], "media": [{"url": url, "filename": "a.png"}],
        });
        self.fleet.stage.inbound(event.as_object().unwrap().clone());
        let line = logged(&self.results, r#"{"event":"message""#, number).remove(number - 1);
        served.join().unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

#[test]
fn h_7_files_of_a_workers_agent_pass_through_its_gateway() {
    for runtime in ["tokio", "smol"] {
        let Some(bench) = Bench::new(runtime, &[]) else { return };
        // Of several pieces, the last one of another length.
        let content: Vec<u8> = (0..700_001_u32).map(|number| number.to_le_bytes()[0] ^ 0x5A).collect();
        fs::write(bench.file("plan.bin"), &content).unwrap();
        let uploaded = bench.ask("u", json!({"op": "upload", "path": "plan.bin"}));
        assert_eq!(uploaded["bytes"], content.len(), "{uploaded}");
        let got = bench.ask("d", json!({"op": "download", "url": uploaded["url"], "path": "copy.bin"}));
        let whole =
            json!({"path": "copy.bin", "content_type": "application/octet-stream", "bytes": content.len()});
        assert_eq!(got, whole);
        assert!(fs::read(bench.file("copy.bin")).unwrap() == content);
        let send = json!({"op": "send_media", "chat_id": "7", "platform": "discord", "media_kind": "document", "path": "plan.bin"});
        let sent = bench.ask("s", send);
        assert!(sent["message_id"].is_string(), "{sent}");
        let action = bench.fleet.stage.sees("outbound")["action"].take();
        assert_eq!((&action["op"], &action["filename"]), (&json!("send_media"), &json!("plan.bin")));
        assert_ne!(action["source_url"], uploaded["url"]);
        for (id, op, why) in [
            ("x1", json!({"op": "upload", "path": "../ops"}), "outside of the media folder"),
            (
                "x2",
                json!({"op": "download", "url": uploaded["url"], "path": "../x"}),
                "outside of the media folder",
            ),
            ("x3", json!({"op": "upload", "path": "none"}), "No such file"),
            ("x4", json!({"op": "upload", "path": "x".repeat(5000)}), "the path has 5000 bytes"),
            ("x5", json!({"op": "download", "url": "http://127.0.0.1:1/x", "path": "new"}), "127.0.0.1:1"),
        ] {
            let error = bench.ask(id, op);
            assert!(
                error["kind"] == "definite" && error["message"].as_str().unwrap().contains(why),
                "{error}"
            );
        }
        // What was begun is removed.
        let mut names: Vec<_> =
            fs::read_dir(bench.file("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["copy.bin", "plan.bin"]);
        bench.worker.terminate();
        assert_eq!(bench.worker.ended().code, Some(0));
        drop(bench.gateway);
    }
}

#[test]
fn files_of_messages_are_on_the_worker_until_they_are_settled() {
    let folder = tempfile::tempdir().unwrap();
    let Some(bench) = Bench::new("tokio", &["--queue-media", folder.path().to_str().unwrap()]) else {
        return;
    };
    let [first, second] = [1, 2].map(|number| {
        let line = bench.message(number);
        let path =
            PathBuf::from(line["message"]["media"][0]["path"].as_str().unwrap_or_else(|| panic!("{line}")));
        assert_eq!(fs::read(&path).unwrap(), b"hello");
        assert!(!path.starts_with(folder.path()) && path.extension().unwrap() == "png", "{path:?}");
        (line["delivery"].clone(), path)
    });
    assert_eq!(bench.ask("a", json!({"op": "ack", "delivery": first.0})), json!({}));
    wait_until(SOON, "the file leaves", || !first.1.exists());
    assert!(second.1.exists());
    bench.worker.terminate();
    assert_eq!(bench.worker.ended().code, Some(0));
    assert!(!second.1.exists() && !second.1.parent().unwrap().exists());
    drop(bench.gateway);
}
