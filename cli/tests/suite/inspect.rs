//! `--inspect`: the page of a gateway and of a connector, from the printed URL to the saved recording.

use crate::acp::Acp;
use crate::bridging::Bridge;
use crate::support::{Program, SOON, relayline};
use relayline_connector::chats::discord;
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector};
use relayline_harness::recording::Recording;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

on_one_runtime! {
    a_gateway_is_shown_from_its_first_dial_on a_drop_and_its_recovery_are_shown,
    what_is_kept_is_saved_as_a_recording c_4_hidden_texts_never_leave_the_process,
    an_acp_agent_with_a_queue_is_shown a_used_port_ends_the_program_with_1,
    other_machines_need_a_flag_else_2 clearing_drops_what_is_kept,
}

/// The inspector of a program, as a browser with its cookie.
struct Browser {
    address: SocketAddr,
    cookie: String,
}

impl Browser {
    /// Opens the URL that a program has printed.
    fn open(program: &Program) -> Browser {
        let rest = program.logged("inspector: http://");
        let url = rest.split_whitespace().next().unwrap();
        let (address, token) = url.split_once("/?token=").unwrap();
        assert_eq!(token.len(), 32, "{url}");
        let mut browser = Browser { address: address.parse().unwrap(), cookie: String::new() };
        let response = browser.get(&format!("/?token={token}"));
        assert!(response.starts_with("HTTP/1.1 303 "), "{response}");
        let cookie = response.split("set-cookie: ").nth(1).unwrap();
        browser.cookie = cookie.split(';').next().unwrap().to_owned();
        browser
    }

    fn request(&self, line: &str, headers: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let (address, cookie, length) = (self.address, &self.cookie, body.len());
        let text = format!(
            "{line} HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(text.as_bytes()).unwrap();
        stream
    }

    fn get(&self, path: &str) -> String {
        let mut response = String::new();
        let mut stream = self.request(&format!("GET {path}"), "Connection: close\r\n", "");
        stream.read_to_string(&mut response).unwrap();
        response
    }

    /// Asks for an action, as the page does.
    fn act(&self, action: &Value) -> String {
        let session = self.get("/session");
        let session: Value = serde_json::from_str(session.lines().last().unwrap()).unwrap();
        let headers = format!(
            "Connection: close\r\nOrigin: http://{}\r\nContent-Type: application/json\r\nX-Relayline-Token: {}\r\n",
            self.address,
            session["token"].as_str().unwrap()
        );
        let mut response = String::new();
        self.request("POST /action", &headers, &action.to_string()).read_to_string(&mut response).unwrap();
        response
    }

    fn saved(&self) -> Recording {
        let response = self.get("/files/recording-0.jsonl");
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("content-disposition: attachment"), "{head}");
        Recording::read("saved.jsonl", body.as_bytes()).unwrap()
    }

    fn events(&self) -> Events {
        let stream = self.request("GET /events", "", "");
        Events {
            lines: BufReader::new(stream),
            name: String::new(),
            pending: VecDeque::new(),
            all: String::new(),
        }
    }
}

/// Events of an inspector, as they come.
struct Events {
    lines: BufReader<TcpStream>,
    name: String,
    /// Additions of the last event that were not looked at.
    pending: VecDeque<Value>,
    /// Everything so far.
    all: String,
}

impl Events {
    fn next(&mut self) -> (String, Value) {
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "the events have ended: {}", self.all);
            self.all.push_str(&line);
            if let Some(name) = line.strip_prefix("event: ") {
                self.name = name.trim_end().to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return (self.name.clone(), serde_json::from_str(data).unwrap());
            }
        }
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
    let browser = Browser::open(&bridge.program);
    let page = browser.get("/");
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("connect-src 'self'"), "{page}");
    let mut events = browser.events();
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
    assert!(!events.all.contains(SECRET) && !browser.get("/files/recording-0.jsonl").contains(SECRET));
    bridge.program.close_stdin();
    bridge.ends_well();
}

fn a_drop_and_its_recovery_are_shown(runtime: &str) {
    let bridge = inspected(runtime, &[]);
    let mut events = Browser::open(&bridge.program).events();
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
    let browser = Browser::open(&bridge.program);
    bridge.ask(json!({ "op": "send", "chat_id": "7", "platform": "discord", "content": "an answer" }));
    browser.events().entry("outbound_result");
    let saved = browser.saved();
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
    let browser = Browser::open(&bridge.program);
    bridge.deliver(&discord::dm(), "a private question", false);
    assert_eq!(bridge.next()["event"], "message");
    let send = json!({ "op": "send", "chat_id": "7", "platform": "discord", "content": "a private answer" });
    bridge.ask(send);
    let mut events = browser.events();
    events.entry("outbound_result");
    let saved = browser.get("/files/recording-0.jsonl");
    for text in [&events.all, &saved] {
        assert!(!text.contains("private") && text.contains("outbound"), "{text}");
        assert!(!text.contains("gw-1"), "{text}");
    }
}

fn an_acp_agent_with_a_queue_is_shown(runtime: &str) {
    let folder = tempfile::tempdir().unwrap();
    let queue = format!("sqlite:{}", folder.path().join("inbox.db").display());
    let mut acp = Acp::start(runtime, &["--inspect", "127.0.0.1:0", "--queue", &queue], &[]);
    let mut events = Browser::open(&acp.program).events();
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
    let browser = Browser::open(&bridge.program);
    let mut events = browser.events();
    events.state("connected");
    let response = browser.act(&json!({ "do": "clear" }));
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    while events.next().0 != "clear" {}
    // A page that comes later begins there, and goes on with the same numbers.
    bridge.tell(Act::Drop);
    let mut later = browser.events();
    let cut = later.entry("cut");
    assert_ne!(cut["id"], "2", "{cut}");
    assert!(!later.all.contains("\"type\":\"hello\""), "{}", later.all);
    let saved = browser.saved();
    assert!(saved.lines.iter().any(|line| line.gap().is_some()), "{saved:?}");
    let response = browser.act(&json!({ "do": "stop" }));
    assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
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
    let browser = Browser::open(&connector);
    let mut events = browser.events();
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
