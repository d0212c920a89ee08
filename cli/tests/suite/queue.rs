//! `run --queue` and `relayline queue`: what is acknowledged outlives the gateway and its agents.

mod displaced;
mod faults;
#[cfg(feature = "jetstream")]
mod fleet;
#[cfg(feature = "jetstream")]
mod fleet_files;
mod forwards;
#[cfg(feature = "jetstream")]
mod jetstream;
#[cfg(feature = "jetstream")]
mod kill;

use crate::support::{Ended, Program, SOON, relayline};
use relayline_connector::chats::{Ids, Room, discord, slack};
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector, Observation};
use relayline_core::time::Now;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

on_one_runtime! {
    a_message_survives_kill_9_of_the_gateway the_first_word_settles_a_delivery,
    a_turn_settles_its_delivery a_dead_letter_is_listed_and_retried,
    sessions_are_spread_over_jobs_that_restart an_answer_after_a_restart_reaches_its_agent,
    chat_memory_survives_a_restart a_standby_takes_over,
    files_are_fetched_before_the_hand_out a_full_queue_lets_the_connector_buffer,
    a_client_of_the_control_socket_sees_the_queue,
}

/// A connector, and a folder with the queue.
pub(super) struct Stage {
    pub(super) connector: EmbeddedConnector,
    ids: Ids,
    folder: tempfile::TempDir,
    runtime: String,
    /// URL of the queue, if it is not a file in the folder.
    queue: Option<String>,
}

impl Stage {
    pub(super) fn new(runtime: &str) -> Stage {
        Stage::with(runtime, ConnectorConfig::default())
    }

    pub(super) fn with(runtime: &str, config: ConnectorConfig) -> Stage {
        let connector = EmbeddedConnector::start(config, "127.0.0.1:0").unwrap();
        let folder = tempfile::tempdir().unwrap();
        Stage { connector, ids: Ids::new([0; 32]), folder, runtime: runtime.to_owned(), queue: None }
    }

    /// Uses another queue from now on.
    #[cfg(feature = "jetstream")]
    pub(super) fn use_queue(&mut self, url: String) {
        self.queue = Some(url);
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn url(&self) -> String {
        let file = || format!("sqlite:{}", self.path("inbox.db").display());
        self.queue.clone().unwrap_or_else(file)
    }

    /// Returns the command of a gateway with the queue.
    pub(super) fn command(&self, flags: &[&str]) -> Command {
        let (connector, queue) = (self.connector.url(), self.url());
        let mut command =
            relayline(["run", "--url", &connector, "--runtime", &self.runtime, "--queue", &queue]);
        command.args([
            "--identity",
            "discord:1",
            "--set",
            "backoff_first=20ms",
            "--set",
            "redeliver_after=5ms",
        ]);
        command.args(["--set", "agent_restart_first=10ms"]).args(flags);
        command
    }

    /// Starts a gateway whose agent is the test.
    pub(super) fn gateway(&self, flags: &[&str]) -> Agent {
        let mut agent = Agent(Program::start(self.command(flags)));
        agent.event("connected");
        agent
    }

    pub(super) fn deliver(&mut self, room: &Room, text: &str) {
        let event = room.message(&mut self.ids, Now { unix_s: 1_718_900_000, ..Now::default() }, text);
        self.inbound(event);
    }

    pub(super) fn inbound(&self, event: Map<String, Value>) {
        self.connector.control(Act::Inbound { event, buffered: Some(true) }).unwrap();
    }

    /// Waits for a frame of this type.
    pub(super) fn sees(&self, kind: &str) -> Value {
        self.sees_that(|frame| frame["type"] == kind)
    }

    /// Waits longer for a frame of this type.
    #[cfg(feature = "jetstream")]
    pub(super) fn sees_within(&self, kind: &str, within: Duration) {
        self.sees_that_within(|frame| frame["type"] == kind, within);
    }

    fn sees_that(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        self.sees_that_within(wanted, SOON)
    }

    fn sees_that_within(&self, wanted: impl Fn(&Value) -> bool, within: Duration) -> Value {
        let is_wanted = |saw: &Observation| matches!(saw, Observation::Frame { frame, .. } if wanted(frame));
        match self.connector.wait_for(is_wanted, within) {
            Ok(Observation::Frame { frame, .. }) => frame,
            other => panic!("{other:?}"),
        }
    }

    /// Runs `relayline queue` to its end.
    pub(super) fn queue(&self, arguments: &[&str]) -> Ended {
        let mut command = relayline([&["queue"], arguments].concat());
        command.args(["--queue", &self.url()]);
        let mut program = Program::start(command);
        program.close_stdin();
        program.ended()
    }

    /// Returns the objects that a command prints.
    pub(super) fn listed(&self, arguments: &[&str]) -> Vec<Value> {
        let Ended { code, stdout, stderr } = self.queue(&[arguments, &["--json"]].concat());
        assert_eq!(code, Some(0), "{stderr}");
        stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The test as the agent of a gateway.
pub(super) struct Agent(pub(super) Program);

impl Agent {
    /// Returns the next line.
    #[track_caller]
    pub(super) fn next(&mut self) -> Value {
        let line = self.0.line().expect("the bridge goes on");
        let line = serde_json::from_str(&line).unwrap();
        crate::bridging::valid(&crate::bridging::schema("bridge-out.schema.json"), &line);
        line
    }

    /// Skips lines until one of this event.
    #[track_caller]
    pub(super) fn event(&mut self, event: &str) -> Value {
        loop {
            let line = self.next();
            if line["event"] == event {
                return line;
            }
        }
    }

    /// Returns delivery, attempt, mark and text of the next message.
    #[track_caller]
    pub(super) fn message(&mut self) -> (u64, u64, bool, String) {
        let line = self.event("message");
        assert_eq!(line["buffered"], true, "{line}");
        let text = line["message"]["text"].as_str().unwrap().to_owned();
        let number = |name: &str| line[name].as_u64().unwrap();
        (number("delivery"), number("attempt"), line["redelivered"].as_bool().unwrap(), text)
    }

    /// Writes an op, and returns its result line.
    #[track_caller]
    pub(super) fn ask(&mut self, mut op: Value) -> Value {
        op["id"] = json!("ask");
        self.0.write(format!("{op}\n").as_bytes());
        self.event("result")
    }

    /// Writes an op without an id: another line may come before its result.
    pub(super) fn says(&mut self, op: Value) {
        self.0.write(format!("{op}\n").as_bytes());
    }

    #[track_caller]
    pub(super) fn does(&mut self, op: Value) {
        let result = self.ask(op);
        assert_eq!(result["ok"], true, "{result}");
    }

    /// Kills the gateway at once.
    pub(super) fn kill(self) {
        drop(self);
    }

    /// Ends the gateway as planned.
    #[track_caller]
    pub(super) fn stop(self) -> Ended {
        self.0.terminate();
        let ended = self.0.ended();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }
}

fn a_message_survives_kill_9_of_the_gateway(runtime: &str) {
    let mut stage = Stage::new(runtime);
    let mut agent = stage.gateway(&[]);
    stage.deliver(&discord::dm(), "first");
    stage.deliver(&discord::dm(), "second");
    let (first, ..) = agent.message();
    assert_eq!(agent.message().1, 1);
    // Both are stored: the connector has forgotten them.
    stage.sees("inbound_ack");
    stage.sees("inbound_ack");
    agent.does(json!({"op": "ack", "delivery": first}));
    agent.kill();
    assert_eq!(stage.listed(&["list"])[0]["state"], "out");
    let mut agent = stage.gateway(&[]);
    let (second, attempt, is_redelivered, text) = agent.message();
    assert_eq!((attempt, is_redelivered, text.as_str()), (2, true, "second"));
    agent.does(json!({"op": "ack", "delivery": second}));
    agent.stop();
    assert!(stage.listed(&["list"]).is_empty());
    // A planned end charges nobody, and what the agent had comes again.
    let mut agent = stage.gateway(&[]);
    stage.deliver(&discord::dm(), "third");
    agent.message();
    agent.stop();
    let [entry] = &stage.listed(&["list"])[..] else { panic!() };
    assert_eq!(
        (&entry["state"], &entry["attempts"], &entry["failures"]),
        (&json!("waiting"), &json!(1), &json!(0))
    );
    let mut agent = stage.gateway(&[]);
    assert_eq!(agent.message().1, 2);
}

fn the_first_word_settles_a_delivery(runtime: &str) {
    let mut stage = Stage::new(runtime);
    let mut agent = stage.gateway(&[]);
    stage.deliver(&discord::dm(), "hard");
    let (delivery, ..) = agent.message();
    agent.says(json!({"op": "refuse", "delivery": delivery}));
    // It is too late: the entry waits for its next hand-out.
    agent.says(json!({"op": "ack", "delivery": delivery}));
    let (again, attempt, ..) = agent.message();
    assert_eq!(attempt, 2);
    agent.does(json!({"op": "ack", "delivery": again}));
    agent.does(json!({"op": "refuse", "delivery": again}));
    let result = agent.ask(json!({"op": "ack", "delivery": 999}));
    assert_eq!((&result["ok"], &result["error"]["kind"]), (&json!(false), &json!("definite")));
    assert!(stage.listed(&["list"]).is_empty());
}

fn a_turn_settles_its_delivery(runtime: &str) {
    let mut stage = Stage::new(runtime);
    let mut agent = stage.gateway(&[]);
    stage.deliver(&discord::dm(), "work");
    let (delivery, ..) = agent.message();
    agent.does(json!({"op": "turn", "delivery": delivery, "state": "begin"}));
    agent.says(json!({"op": "turn", "delivery": delivery, "state": "failed"}));
    let (delivery, attempt, ..) = agent.message();
    assert_eq!((attempt, stage.listed(&["list"]).len()), (2, 1));
    agent.does(json!({"op": "turn", "delivery": delivery, "state": "done"}));
    assert!(stage.listed(&["list"]).is_empty());
    stage.deliver(&discord::dm(), "more");
    let (delivery, ..) = agent.message();
    agent.does(json!({"op": "turn", "delivery": delivery, "state": "stopped"}));
    assert!(stage.listed(&["list"]).is_empty());
}

fn a_dead_letter_is_listed_and_retried(runtime: &str) {
    let mut stage = Stage::new(runtime);
    let mut agent = stage.gateway(&["--max-attempts", "2"]);
    stage.deliver(&discord::dm(), "a secret text");
    let (delivery, ..) = agent.message();
    agent.says(json!({"op": "refuse", "delivery": delivery}));
    let (delivery, ..) = agent.message();
    agent.does(json!({"op": "refuse", "delivery": delivery}));
    let [entry] = &stage.listed(&["dead"])[..] else { panic!() };
    assert_eq!((&entry["id"], &entry["state"], &entry["failures"]), (&json!(1), &json!("dead"), &json!(2)));
    assert_eq!(entry["error"], "the agent refused it");
    // Texts are shown if that is asked for.
    assert!(!stage.queue(&["dead"]).stdout.contains("secret"));
    assert!(stage.queue(&["dead", "--text"]).stdout.contains("a secret text"));
    let [status] = &stage.listed(&["status"])[..] else { panic!() };
    assert_eq!(
        (&status["dead"], &status["in_use"], &status["owner_pid"]),
        (&json!(1), &json!(true), &json!(agent.0.id()))
    );
    // While the gateway has the queue …
    let ended = stage.queue(&["retry", "1"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let (delivery, attempt, ..) = agent.message();
    assert_eq!(attempt, 3);
    agent.says(json!({"op": "refuse", "delivery": delivery}));
    agent.message();
    let ended = stage.queue(&["retry", "1"]);
    assert!(ended.code == Some(1) && ended.stderr.contains("an agent has the entry"), "{}", ended.stderr);
    agent.stop();
    // … and while none has it.
    let ended = stage.queue(&["drop", "9"]);
    assert!(ended.code == Some(1) && ended.stderr.contains("there is no such entry"), "{}", ended.stderr);
    assert_eq!(stage.queue(&["drop", "1", "--gateway-id", "default"]).code, Some(0));
    assert!(stage.listed(&["list"]).is_empty());
    let ended = stage.queue(&["status", "--gateway-id", "gw-2"]);
    assert!(ended.code == Some(1) && ended.stderr.contains("belongs to the gateway"), "{}", ended.stderr);
}

/// Returns the path of the agent of this program's examples.
fn queue_agent() -> PathBuf {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_relayline"));
    program.parent().unwrap().join("examples").join("queue_agent")
}

/// Waits until the log has this many lines that begin so.
#[track_caller]
fn logged(path: &std::path::Path, begin: &str, count: usize) -> Vec<String> {
    let until = Instant::now() + SOON;
    loop {
        let log = std::fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<String> =
            log.lines().filter(|line| line.starts_with(begin)).map(str::to_owned).collect();
        if lines.len() >= count {
            return lines;
        }
        assert!(Instant::now() < until, "{count} times {begin:?}:\n{log}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn sessions_are_spread_over_jobs_that_restart(runtime: &str) {
    let stage = Stage::new(runtime);
    let log = stage.path("log");
    // The first agent to start dies at its first message.
    let script = r#"if mkdir "$0.first" 2>/dev/null; then while read -r line; do case "$line" in *'"event":"message"'*) echo "died" >> "$0"; exit 7;; esac; done; fi; exec "$1" "$0""#;
    let mut command = stage.command(&["--jobs", "3", "--exec", "sh", "-c", script]);
    command.args([&log, &queue_agent()]);
    let program = Program::start(command);
    stage.sees("hello");
    for number in 0..6 {
        let event = json!({
            "text": format!("t{number}"), "message_type": "text", "message_id": format!("m{number}"),
            "source": {"platform": "discord", "chat_id": format!("c{number}"), "chat_type": "dm", "user_id": "u"},
        });
        stage.inbound(event.as_object().unwrap().clone());
    }
    assert_eq!(logged(&log, "done", 6).len(), 6);
    assert_eq!(logged(&log, "died", 1).len(), 1);
    let twice = logged(&log, "seen", 6).into_iter().filter(|line| line.ends_with(" 2 true")).count();
    assert!(twice >= 1, "the dead agent's message comes again");
    program.terminate();
    let ended = program.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

fn an_answer_after_a_restart_reaches_its_agent(runtime: &str) {
    let mut stage = Stage::new(runtime);
    let mut agent = stage.gateway(&[]);
    stage.deliver(&discord::dm(), "deploy");
    let asked = agent.event("message");
    let session = asked["session_key"].clone();
    let options = json!([{"id": "yes", "label": "Yes"}]);
    let chat_id = &asked["message"]["source"]["chat_id"];
    let prompt = json!({"op": "prompt", "chat_id": chat_id, "content": "Sure?", "options": options});
    let prompt_id = agent.ask(prompt)["result"]["prompt_id"].clone();
    agent.does(json!({"op": "ack", "delivery": asked["delivery"]}));
    agent.kill();
    let mut agent = stage.gateway(&[]);
    let answer = json!({
        "text": "Yes", "message_type": "text", "source": {"platform": "discord", "chat_id": chat_id, "user_id": "u"},
        "prompt_response": {"prompt_id": prompt_id, "option_id": "yes"},
    });
    stage.inbound(answer.as_object().unwrap().clone());
    let line = agent.event("prompt_answer");
    assert_eq!(
        (&line["prompt_id"], &line["option_id"], &line["attempt"]),
        (&prompt_id, &json!("yes"), &json!(1))
    );
    assert_eq!(stage.listed(&["list"])[0]["session"], session);
    // A new prompt has the same beginning: it belongs to the queue.
    let prompt = json!({"op": "prompt", "chat_id": chat_id, "content": "Really?", "options": options});
    let second = agent.ask(prompt)["result"]["prompt_id"].clone();
    let prefix = |id: &Value| id.as_str().unwrap().split_once('.').unwrap().0.to_owned();
    assert!(second != prompt_id && prefix(&second) == prefix(&prompt_id), "{second} after {prompt_id}");
}

fn chat_memory_survives_a_restart(runtime: &str) {
    let mut stage = Stage::new(runtime);
    let mut agent = stage.gateway(&["--identity", "slack:2"]);
    stage.deliver(&slack::channel(), "hi");
    let line = agent.event("message");
    let chat_id = line["message"]["source"]["chat_id"].clone();
    let chat = agent.ask(json!({"op": "chat", "chat_id": chat_id}))["result"].clone();
    agent.kill();
    let mut agent = stage.gateway(&["--identity", "slack:2"]);
    assert_eq!(agent.ask(json!({"op": "chat", "chat_id": chat_id}))["result"], chat);
    agent.does(json!({"op": "send", "chat_id": chat_id, "content": "proactive"}));
    let frame = stage.sees_that(|frame| frame["action"]["content"] == "proactive");
    assert_eq!(
        (&frame["platform"], &frame["action"]["metadata"]["scope_id"]),
        (&json!("slack"), &chat["scope_id"])
    );
}

fn a_standby_takes_over(runtime: &str) {
    let mut stage = Stage::new(runtime);
    let mut agent = stage.gateway(&[]);
    let second = Program::start(stage.command(&[])).ended();
    let pid = agent.0.id();
    assert!(
        second.code == Some(1) && second.stderr.contains(&format!("in use by process {pid}")),
        "{}",
        second.stderr
    );
    let standby = Program::start(stage.command(&["--standby"]));
    standby.logged("standby");
    stage.deliver(&discord::dm(), "for whoever leads");
    agent.message();
    agent.stop();
    let mut standby = Agent(standby);
    standby.event("connected");
    assert_eq!(standby.message().1, 2);
    // One that waits ends at a signal.
    let third = Program::start(stage.command(&["--standby"]));
    third.logged("standby");
    third.terminate();
    assert_eq!(third.ended().code, Some(0));
}

fn files_are_fetched_before_the_hand_out(runtime: &str) {
    let stage = Stage::new(runtime);
    let folder = stage.path("media");
    let mut agent = stage.gateway(&["--queue-media", folder.to_str().unwrap()]);
    let (address, served) = serve_file(b"hello");
    let event = json!({
        "text": "look", "message_type": "photo", "message_id": "1",
        "source": {"platform": "discord", "chat_id": "7", "chat_type": "dm", "user_id": "u"},
        "media_urls": [format!("http://{address}/a.png")],
        "media": [{"url": format!("http://{address}/a.png"), "filename": "a b.png"}],
    });
    stage.inbound(event.as_object().unwrap().clone());
    let line = agent.event("message");
    let path = line["message"]["media"][0]["path"].as_str().unwrap().to_owned();
    assert!(path.ends_with("1-0-a_b.png"), "{path}");
    assert_eq!(std::fs::read(&path).unwrap(), b"hello");
    served.join().unwrap();
    agent.kill();
    // The file is there, and the server is not any more.
    let mut agent = stage.gateway(&["--queue-media", folder.to_str().unwrap()]);
    assert_eq!(agent.event("message")["message"]["media"][0]["path"], path);
}

/// Serves one file to one client.
fn serve_file(content: &'static [u8]) -> (std::net::SocketAddr, std::thread::JoinHandle<()>) {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = client.read(&mut request).unwrap();
        let length = content.len();
        write!(client, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n").unwrap();
        client.write_all(content).unwrap();
    });
    (address, served)
}

fn a_full_queue_lets_the_connector_buffer(runtime: &str) {
    let mut stage = Stage::new(runtime);
    let flags = ["--set", "queue_entries=2", "--set", "store_patience=100ms"];
    let mut agent = stage.gateway(&flags);
    for text in ["a", "b", "c"] {
        stage.deliver(&discord::dm(), text);
    }
    let (first, ..) = agent.message();
    let (second, ..) = agent.message();
    // It goes idle and closes with 1000, so that the connector keeps the third.
    stage.sees("going_idle");
    let line = agent.event("disconnected");
    assert_eq!((&line["code"], &line["retry_in_ms"]), (&json!(1000), &json!(null)), "{line}");
    for delivery in [first, second] {
        agent.says(json!({"op": "ack", "delivery": delivery}));
    }
    agent.event("connected");
    assert_eq!(agent.message().3, "c");
}

fn a_client_of_the_control_socket_sees_the_queue(runtime: &str) {
    let mut stage = Stage::new(runtime);
    let socket = stage.path("control.sock");
    let mut agent = stage.gateway(&["--control", socket.to_str().unwrap()]);
    stage.deliver(&discord::dm(), "hi");
    let (delivery, ..) = agent.message();
    let status = agent.ask(json!({"op": "status"}))["result"]["queue"].clone();
    assert_eq!((&status["out"], &status["entries"]["used"]), (&json!(1), &json!(1)), "{status}");
    assert_eq!(status["counters"]["stored"], 1);
    let sent = Program::start(relayline(["status", "--control", socket.to_str().unwrap()])).ended();
    assert!(sent.code == Some(0) && sent.stdout.contains("1 out"), "{}", sent.stdout);
    agent.does(json!({"op": "ack", "delivery": delivery}));
}

#[test]
fn the_doctor_examines_the_queue() {
    let mut stage = Stage::new("tokio");
    let queue = stage.url();
    let doctor = || {
        let ended = Program::start(relayline(["doctor", "--queue", &queue])).ended();
        (ended.code, ended.stdout.lines().find(|line| line.contains("queue:")).unwrap().to_owned())
    };
    assert_eq!(
        doctor(),
        (Some(0), format!("warn queue: {queue} does not exist yet: run --queue creates it"))
    );
    let mut agent = stage.gateway(&["--max-attempts", "1"]);
    let durable = "wal, synchronous=full, secure_delete";
    let owner = format!("process {} has it", agent.0.id());
    assert_eq!(
        doctor(),
        (Some(0), format!("ok   queue: {queue}: 0 entries, 0 of them dead; {durable}; {owner}"))
    );
    stage.deliver(&discord::dm(), "hard");
    let (delivery, ..) = agent.message();
    agent.does(json!({"op": "refuse", "delivery": delivery}));
    agent.stop();
    let expected = format!(
        "warn queue: {queue}: 1 entries, 1 of them dead; {durable}; no process has it: see relayline queue dead"
    );
    assert_eq!(doctor(), (Some(0), expected));
}

/// The next agent does what was not done when the gateway was killed.
#[test]
fn an_acp_agent_is_served_from_the_queue() {
    let stage = Stage::new("tokio");
    let agent = PathBuf::from(env!("CARGO_BIN_EXE_relayline"));
    let agent = agent.parent().unwrap().join("examples").join("acp_agent");
    let start = || {
        let mut command = stage.command(&["--approve", "allow", "--acp", "--"]);
        command.arg(&agent);
        Program::start(command)
    };
    let first = start();
    stage.sees("hello");
    first.logged("connected");
    // Killed before the agent can have answered.
    let event = json!({
        "text": "hello", "message_type": "text", "message_id": "1",
        "source": {"platform": "discord", "chat_id": "7", "chat_type": "dm", "user_id": "u"},
    });
    stage.inbound(event.as_object().unwrap().clone());
    stage.sees("inbound_ack");
    drop(first);
    let second = start();
    let until = Instant::now() + SOON;
    while !stage.listed(&["list"]).is_empty() {
        assert!(Instant::now() < until, "{}", second.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    stage.sees_that(|frame| frame["type"] == "outbound" && frame["action"]["op"] == "send");
    second.terminate();
    assert_eq!(second.ended().code, Some(0));
}

#[test]
fn wrong_flags_of_the_queue_exit_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let queue = format!("sqlite:{}", folder.path().join("inbox.db").display());
    let with = |flags: &[&str]| {
        let mut command = relayline(["run", "--url", "ws://127.0.0.1:9", "--platform", "discord"]);
        command.args(flags);
        let Ended { code, stderr, .. } = Program::start(command).ended();
        assert_eq!(code, Some(2), "{flags:?}: {stderr}");
        stderr
    };
    for (flags, why) in [
        (&["--jobs", "2", "--exec", "cat"][..], "jobs is set without queue"),
        (&["--session-window", "1"], "session-window is set without queue"),
        (&["--queue-media", "x"], "queue-media is set without queue"),
        (&["--standby"], "standby is set without queue"),
        (&["--queue", &queue, "--auto-ack", "--exec", "cat"], "auto-ack and queue are both set"),
        (&["--queue", &queue, "--jobs", "2"], "start agents with --exec"),
        (&["--queue", "redis://x", "--exec", "cat"], "no queues of the engine"),
        (&["--queue", &queue, "--jobs", "0", "--exec", "cat"], "write a number from 1"),
        (&["--queue", &queue, "--max-attempts", "0", "--exec", "cat"], "max_attempts"),
    ] {
        let error = with(flags);
        assert!(error.contains(why), "{flags:?}: {error}");
    }
}
