//! `--inspect`: the page of a gateway and of a connector, from the printed URL to the saved recording.

use crate::acp::Acp;
use crate::bridging::Bridge;
use crate::support::page_client::{PageClient, PageResponse};
use crate::support::{Program, SOON, relayline};
use relayline_connector::chats::discord;
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector};
use relayline_harness::recording::Recording;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::net::TcpListener;
use std::sync::mpsc::Receiver;

on_one_runtime! {
    a_gateway_is_shown_from_its_first_dial_on a_drop_and_its_recovery_are_shown,
    what_is_kept_is_saved_as_a_recording c_4_hidden_texts_never_leave_the_process,
    an_acp_agent_with_a_queue_is_shown a_used_port_ends_the_program_with_1,
    other_machines_need_a_flag_else_2 clearing_drops_what_is_kept,
}

/// Opens the inspector whose URL a program has printed.
fn open(program: &Program) -> PageClient {
    let rest = program.logged("inspector: http://");
    let url = rest.split_whitespace().next().unwrap();
    let (_, token) = url.split_once("/?token=").unwrap();
    assert_eq!(token.len(), 32, "{url}");
    PageClient::open(&format!("http://{url}"))
}

fn saved(page: &PageClient) -> Recording {
    let PageResponse { head, body, .. } = page.get("files/recording-0.jsonl");
    assert!(head.contains("content-disposition: attachment"), "{head}");
    Recording::read("saved.jsonl", body.as_bytes()).unwrap()
}

/// Events of an inspector, as they come.
struct Events {
    received: Receiver<(String, Value)>,
    /// Additions of the last event that were not looked at.
    pending: VecDeque<Value>,
    /// Everything so far.
    all: String,
}

impl Events {
    fn of(page: &PageClient) -> Events {
        Events { received: page.events(), pending: VecDeque::new(), all: String::new() }
    }

    #[track_caller]
    fn next(&mut self) -> (String, Value) {
        let received = self.received.recv_timeout(SOON);
        let (name, data) =
            received.unwrap_or_else(|error| panic!("{error}; the events so far: {}", self.all));
        self.all += &format!("{name}: {data}\n");
        (name, data)
    }

    /// Waits for an addition of a session, and returns it.
    fn addition(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            while let Some(addition) = self.pending.pop_front() {
                if wanted(&addition) {
                    return addition;
                }
            }
            let (name, data) = self.next();
            if let ("update", Some(additions)) = (name.as_str(), data["u"].as_array()) {
                self.pending.extend(additions.iter().cloned());
            }
        }
    }

    /// Waits for an entry with this type.
    fn entry(&mut self, frame_type: &str) -> Value {
        self.addition(|addition| addition["entry"]["type"] == frame_type)["entry"].take()
    }

    fn state(&mut self, state: &str) {
        self.addition(|addition| addition["state"]["state"] == state);
    }
}

const SECRET: &str = "the-very-secret-of-gw-1";

fn inspected(runtime: &str, more: &[&str]) -> Bridge {
    let config = ConnectorConfig::default().gateway("gw-1", SECRET);
    let connector = EmbeddedConnector::start(config, "127.0.0.1:0").unwrap();
    let flags = [&["--inspect", "127.0.0.1:0", "--gateway-id", "gw-1"], more].concat();
    Bridge::start_at(connector, runtime, &flags, &[("GATEWAY_RELAY_SECRET", SECRET)])
}

fn a_gateway_is_shown_from_its_first_dial_on(runtime: &str) {
    let mut bridge = inspected(runtime, &[]);
    let page = open(&bridge.program);
    let PageResponse { status, head, .. } = page.get("");
    assert!(status == 200 && head.contains("connect-src 'self'"), "{head}");
    let mut events = Events::of(&page);
    let (name, snapshot) = events.next();
    assert_eq!((name.as_str(), &snapshot["kind"]), ("reset", &json!("gateway")));
    assert_eq!(snapshot["sessions"], json!(["gw-1"]));
    let dial = events.entry("dial");
    assert_eq!(dial["id"], "2", "the first line after the header");
    assert!(dial["raw"].as_str().unwrap().contains("Bearer <hidden>"), "{dial}");
    events.entry("hello");
    events.entry("descriptor");
    events.state("connected");
    bridge.deliver(&discord::dm(), "hello from outside", true);
    let line = bridge.next();
    assert_eq!(line["event"], "message");
    bridge.say(json!({ "op": "ack", "delivery": line["delivery"] }));
    let inbound = events.entry("inbound");
    assert!(inbound["gist"].as_str().unwrap().contains("hello from outside"), "{inbound}");
    events.entry("inbound_ack");
    // The connection between both comes, too.
    let link = events.addition(|one| one["link"]["kind"] == "ack");
    assert!(link["link"]["ms"].is_u64(), "{link}");
    bridge.ask(json!({ "op": "send", "chat_id": "7", "platform": "discord", "content": "an answer" }));
    events.entry("outbound_result");
    // The status comes once a second, to pages that read.
    let status = loop {
        let (name, data) = events.next();
        if name == "status" && data["counters"]["delivered"] == 1 {
            break data;
        }
    };
    assert_eq!(
        (&status["phase"], &status["counters"]["dials"]),
        (&json!("connected"), &json!(1)),
        "{status}"
    );
    assert_eq!(status["queues"]["requests"]["limit"], 1024, "{status}");
    let PageResponse { head, body, .. } = page.get("files/recording-0.jsonl");
    assert!([events.all, head, body].iter().all(|text| !text.contains(SECRET)));
    bridge.program.close_stdin();
    bridge.ends_well();
}

fn a_drop_and_its_recovery_are_shown(runtime: &str) {
    let bridge = inspected(runtime, &[]);
    let mut events = Events::of(&open(&bridge.program));
    events.state("connected");
    bridge.tell(Act::Drop);
    events.entry("cut");
    events.state("waiting");
    let dial = events.entry("dial");
    assert_eq!(dial["dial"], 2, "{dial}");
    assert!(dial["waited"].is_u64(), "{dial}");
    events.state("connected");
}

fn what_is_kept_is_saved_as_a_recording(runtime: &str) {
    let mut bridge = inspected(runtime, &[]);
    let page = open(&bridge.program);
    bridge.ask(json!({ "op": "send", "chat_id": "7", "platform": "discord", "content": "an answer" }));
    Events::of(&page).entry("outbound_result");
    let saved = saved(&page);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saved.jsonl");
    saved.write(&mut std::fs::File::create(&file).unwrap()).unwrap();
    for command in [vec!["view", "-o", "-"], vec!["replay", "--check"]] {
        let ended =
            Program::start(relayline(command.iter().copied().chain([file.to_str().unwrap()]))).ended();
        assert_eq!(ended.code, Some(0), "{command:?}: {}{}", ended.stdout, ended.stderr);
    }
}

fn c_4_hidden_texts_never_leave_the_process(runtime: &str) {
    let mut bridge = inspected(runtime, &["--inspect-hide-text"]);
    let page = open(&bridge.program);
    bridge.deliver(&discord::dm(), "a private question", false);
    assert_eq!(bridge.next()["event"], "message");
    let send = json!({ "op": "send", "chat_id": "7", "platform": "discord", "content": "a private answer" });
    bridge.ask(send);
    let mut events = Events::of(&page);
    events.entry("outbound_result");
    let PageResponse { head, body, .. } = page.get("files/recording-0.jsonl");
    let saved = head + &body;
    for text in [&events.all, &saved] {
        assert!(!text.contains("private") && text.contains("outbound"), "{text}");
        assert!(!text.contains("gw-1"), "{text}");
    }
}

fn an_acp_agent_with_a_queue_is_shown(runtime: &str) {
    let folder = tempfile::tempdir().unwrap();
    let queue = format!("sqlite:{}", folder.path().join("inbox.db").display());
    let mut acp = Acp::start(runtime, &["--inspect", "127.0.0.1:0", "--queue", &queue], &[]);
    let mut events = Events::of(&open(&acp.program));
    events.entry("dial");
    acp.say("say done");
    assert_eq!(acp.last_text(), "done");
    let entry = events.entry("inbound");
    assert!(entry["gist"].as_str().unwrap().contains("say done"), "{entry}");
    events.entry("outbound");
    loop {
        let (name, data) = events.next();
        if name == "status" && data["queue"]["counters"] != Value::Null && data["agent"]["kind"] == "acp" {
            assert_eq!(data["agent"]["counters"]["prompts"], 1, "{data}");
            break;
        }
    }
}

fn clearing_drops_what_is_kept(runtime: &str) {
    let bridge = inspected(runtime, &[]);
    let page = open(&bridge.program);
    let mut events = Events::of(&page);
    events.state("connected");
    page.does(&json!({ "do": "clear" }));
    while events.next().0 != "clear" {}
    // A page that comes later begins there, and goes on with the same numbers.
    bridge.tell(Act::Drop);
    let mut later = Events::of(&page);
    let cut = later.entry("cut");
    assert_ne!(cut["id"], "2", "{cut}");
    assert!(!later.all.contains("\"type\":\"hello\""), "{}", later.all);
    let saved = saved(&page);
    assert!(saved.lines.iter().any(|line| line.gap().is_some()), "{saved:?}");
    let refused = page.act(&json!({ "do": "stop" }));
    assert_eq!(refused.status, 400, "{}", refused.body);
}

fn a_used_port_ends_the_program_with_1(runtime: &str) {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let run = [
        "run",
        "--url",
        "ws://127.0.0.1:1",
        "--platform",
        "discord",
        "--runtime",
        runtime,
        "--inspect",
        &taken,
    ];
    for command in [&run[..], &["connector", "--inspect", &taken]] {
        let ended = Program::start(relayline(command)).ended();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{}", ended.stderr);
        assert!(ended.stderr.contains(&format!("--inspect {taken}: ")), "{}", ended.stderr);
    }
}

fn other_machines_need_a_flag_else_2(_: &str) {
    let run = ["run", "--url", "ws://127.0.0.1:1", "--platform", "discord", "--inspect", "0.0.0.0:0"];
    for command in [&run[..], &["connector", "--inspect", "0.0.0.0:0"], &["connector", "--inspect", "7070"]] {
        let ended = Program::start(relayline(command)).ended();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{}", ended.stderr);
        assert!(ended.stderr.contains("127.0.0.1:7070"), "{}", ended.stderr);
    }
}

#[test]
fn each_gateway_of_a_connector_is_a_session() {
    let flags =
        ["connector", "--gateway", "gw-1=SECRET", "--gateway", "gw-2=SECRET", "--inspect", "127.0.0.1:0"];
    let mut connector = Program::start(relayline(flags));
    let listening: Value = serde_json::from_str(&connector.line().unwrap()).unwrap();
    let url = listening["url"].as_str().unwrap().to_owned();
    let mut events = Events::of(&open(&connector));
    assert_eq!(events.next().1["kind"], "connector");
    let gateway = |id: &str| {
        let mut command = relayline(["run", "--url", &url, "--platform", "discord", "--gateway-id", id]);
        command.env("GATEWAY_RELAY_SECRET", "SECRET");
        let mut program = Program::start(command);
        assert!(program.line().unwrap().contains("\"connected\""));
        program
    };
    let _gateways = [gateway("gw-1"), gateway("gw-2")];
    let mut names = Vec::new();
    while names.len() < 2 {
        let (name, data) = events.next();
        if name == "session" {
            names.push(data["name"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(names, ["gw-1", "gw-2"]);
    events.entry("descriptor");
    connector.write(b"{\"do\":\"drop\",\"gateway\":\"gw-2\"}\n");
    let cut = events.addition(|one| one["entry"]["type"] == "cut");
    assert_eq!(cut["entry"]["from"], "connector", "{cut}");
    // A dial with a wrong secret belongs to no gateway that is known.
    let mut stranger = relayline(["run", "--url", &url, "--platform", "discord", "--gateway-id", "gw-3"]);
    stranger.env("GATEWAY_RELAY_SECRET", "WRONG");
    let _stranger = Program::start(stranger);
    let close = events.entry("close");
    assert!(close["gist"].as_str().unwrap().contains("4401"), "{close}");
}
