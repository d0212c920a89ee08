//! Unusual agents: they write much before they read, never read, or never end.

use crate::bridging::{Bridge, Unread};
use crate::support::{Ended, Program, SOON, is_full, relayline};
use relayline_connector::chats::{Ids, discord};
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector, Observation};
use relayline_core::time::Now;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

on_one_runtime! {
    four_thousand_ops_before_anything_is_read_have_their_results seven_streamed_answers_in_a_busy_chat,
    ops_wait_in_order_for_room a_text_in_parts_keeps_the_order_of_its_chat,
    some_ops_overtake_waiting_ones a_6_unread_events_wait_and_interrupts_overtake_them,
    a_signal_ends_a_gateway_whose_agent_never_reads a_revocation_ends_a_gateway_whose_agent_never_reads,
    a_signal_ends_a_gateway_whose_agent_sleeps an_agent_that_writes_and_never_reads_is_abandoned,
    a_silent_agent_causes_a_warning_and_its_end_a_note readme_agent_under_a_flood,
    stdin_at_its_end_is_an_error the_last_op_needs_no_newline_and_a_mark_is_skipped,
    disconnected_names_the_side errors_of_ops_without_an_id_are_logged,
    unknown_fields_are_refused_by_name the_bridges_settings_are_set_by_name,
}

fn sends(count: usize) -> String {
    let send =
        |n: usize| format!("{}\n", json!({"op": "send", "chat_id": "7", "content": n.to_string(), "id": n}));
    (0..count).map(send).collect()
}

/// Reads lines until each id below `count` has a successful result.
fn reads_results(bridge: &mut Unread, count: u64) -> Vec<Value> {
    let (mut missing, mut others): (BTreeSet<u64>, _) = ((0..count).collect(), Vec::new());
    while !missing.is_empty() {
        let line = bridge.next();
        if line["event"] == "result" {
            assert_eq!(line["ok"], true, "{line}");
            assert!(missing.remove(&line["id"].as_u64().unwrap()), "{line}");
        } else {
            others.push(line);
        }
    }
    others
}

fn four_thousand_ops_before_anything_is_read_have_their_results(runtime: &str) {
    let mut bridge = Unread::start(runtime, &[]);
    bridge.write(sends(4000));
    reads_results(&mut bridge, 4000);
    bridge.interrupt();
    assert_eq!(bridge.ends().0, Some(0));
}

fn seven_streamed_answers_in_a_busy_chat(runtime: &str) {
    let mut bridge = Unread::start(runtime, &["--set", "stream_interval=1ms", "--set", "max_in_flight=2"]);
    let chat = discord::guild_channel().chat_id;
    let (mut ops, mut id) = (String::new(), 0);
    for step in 0..100 {
        bridge.deliver(&format!("message {step}"));
        for n in 0..7 {
            let text = format!("answer {n}: {}", "word ".repeat(step));
            let line = json!({"op": "stream", "stream": format!("s{n}"), "chat_id": chat, "text": text,
                "final": step == 99, "id": id});
            ops += &format!("{line}\n");
            id += 1;
        }
    }
    bridge.write(ops);
    let others = reads_results(&mut bridge, id);
    let mut messages = others.iter().filter(|line| line["event"] == "message").count();
    while messages < 100 {
        messages += usize::from(bridge.next()["event"] == "message");
    }
}

/// O-6 applies to the library. In the bridge, ops wait.
fn ops_wait_in_order_for_room(runtime: &str) {
    let flags = ["--set", "max_in_flight=4", "--set", "waiting_ops=16", "--set", "write_queue_bytes=2KiB"];
    let mut bridge = Unread::start(runtime, &flags);
    bridge.tell(Act::Delay { op: "send".into(), ms: 2 });
    bridge.write(sends(300));
    for n in 0..300 {
        assert_eq!(bridge.sees()["action"]["content"], n.to_string());
    }
    reads_results(&mut bridge, 300);
}

fn a_text_in_parts_keeps_the_order_of_its_chat(runtime: &str) {
    let mut bridge = Unread::start(runtime, &["--set", "max_in_flight=1"]);
    let text = |letter: &str| format!("{letter} ").repeat(2500);
    let op = |id: u64, chat: &str, content: String, split: bool| {
        format!("{}\n", json!({"op": "send", "chat_id": chat, "content": content, "split": split, "id": id}))
    };
    let ops = [
        op(0, "7", text("a"), true),
        op(1, "7", "after it".into(), false),
        op(2, "7", text("b"), true),
        op(3, "7", "and after that".into(), false),
        op(4, "8", "elsewhere".into(), false),
    ];
    bridge.write(ops.concat());
    reads_results(&mut bridge, 5);
    let seen: Vec<Value> = (0..9).map(|_| bridge.sees()["action"].take()).collect();
    let (here, there): (Vec<_>, Vec<_>) = seen.iter().partition(|action| action["chat_id"] == "7");
    let first: Vec<String> =
        here.iter().map(|action| action["content"].as_str().unwrap().chars().take(8).collect()).collect();
    assert_eq!(
        first,
        ["a a a a ", "a a a a ", "a a a a ", "after it", "b b b b ", "b b b b ", "b b b b ", "and afte"]
    );
    assert_eq!(there.len(), 1);
}

fn some_ops_overtake_waiting_ones(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &["--set", "max_in_flight=2"]);
    bridge.tell(Act::Delay { op: "send".into(), ms: 600_000 });
    bridge.deliver(&discord::dm(), "kept", true);
    assert_eq!(bridge.next()["delivery"], 1);
    bridge.program.write(sends(2).as_bytes());
    for content in ["0", "1"] {
        assert_eq!(bridge.sees()["action"]["content"], content);
    }
    bridge.say(json!({"op": "send", "chat_id": "7", "content": "waits", "id": "waits"}));
    assert_eq!(bridge.ask(json!({"op": "ack", "delivery": 1})), json!({}));
    assert_eq!(bridge.sees()["type"], "inbound_ack");
    // The waiting op fails as definite: it was never written.
    bridge.say(json!({"op": "disconnect", "id": "bye"}));
    let waited = bridge.result("waits");
    assert_eq!(waited, json!({"kind": "definite", "message": "the connection is being closed"}));
    assert_eq!(bridge.sees()["type"], "going_idle");
}

/// A-6, L-16: unread events cause back-pressure, and interrupts overtake them.
fn a_6_unread_events_wait_and_interrupts_overtake_them(runtime: &str) {
    let flags = ["--set", "agent_events=4", "--set", "host_queue=4", "--set", "read_ahead_bytes=64KiB"];
    let mut bridge = Unread::start(runtime, &flags);
    let (count, long) = (100, "x".repeat(20_000));
    for n in 0..count {
        bridge.deliver(&format!("{n} {long}"));
    }
    // The pipe is full, and so are all queues before it: 4 lines each, and some events in the machine.
    let (mut events, mut taken) = (0, Vec::new());
    while events < count {
        let line = bridge.next();
        assert_eq!(line["event"], "message");
        let text = line["message"]["text"].as_str().unwrap();
        taken.push(text.split(' ').next().unwrap().parse::<usize>().unwrap());
        events += 1;
    }
    // A-7: they arrive in order.
    assert_eq!(taken, (0..count).collect::<Vec<_>>());
    // The queues of this one hold all events. An interrupt overtakes them.
    let mut bridge = Unread::start(runtime, &["--set", "agent_events=4"]);
    for n in 0..count {
        bridge.deliver(&format!("{n} {long}"));
    }
    bridge.tell(Act::Interrupt { session_key: "agent:main:discord:dm:1".into(), chat_id: "1".into() });
    // The gateway has read the interrupt once it logs the frame that follows.
    bridge.tell(Act::Raw { text: "{\"type\":\"error\",\"message\":\"next\"}\n".into() });
    bridge.logged("connector_error");
    let lines: Vec<Value> = (0..=count).map(|_| bridge.next()).collect();
    let place = lines.iter().position(|line| line["event"] == "interrupt").unwrap();
    assert!(place <= 10, "{place}");
}

/// Fills all queues between connector and agent.
fn flood(bridge: &mut Unread) {
    for _ in 0..400 {
        bridge.deliver(&"x".repeat(2000));
    }
    bridge.logged("agent_does_not_read");
}

const WARNS: [&str; 4] = ["--set", "agent_read_warning=100ms", "--set", "disconnect_budget=2s"];

fn a_signal_ends_a_gateway_whose_agent_never_reads(runtime: &str) {
    for signal in ["TERM", "INT"] {
        let mut bridge = Unread::start(runtime, &WARNS);
        flood(&mut bridge);
        bridge.signal(signal);
        let asked = Instant::now();
        let (code, log) = bridge.ends_unread();
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("lines_dropped"), "{log}");
    }
}

fn a_revocation_ends_a_gateway_whose_agent_never_reads(runtime: &str) {
    let mut bridge = Unread::start(runtime, &WARNS);
    flood(&mut bridge);
    bridge.tell(Act::Revoke { on: true });
    let asked = Instant::now();
    let (code, log) = bridge.ends_unread();
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert_eq!(code, Some(3), "{log}");
}

fn start(runtime: &str, flags: &[&str], agent: &[&str]) -> (Program, EmbeddedConnector) {
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let mut command = relayline(["run", "--runtime", runtime, "--url", &connector.url()]);
    command.args(["--platform", "discord"]).args(flags).arg("--exec").args(agent);
    (Program::start(command), connector)
}

fn sees_hello(connector: &EmbeddedConnector) {
    let hello =
        |saw: &Observation| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "hello");
    connector.wait_for(hello, SOON).unwrap();
}

fn a_signal_ends_a_gateway_whose_agent_sleeps(runtime: &str) {
    let (program, connector) = start(runtime, &WARNS, &["sleep", "1000"]);
    sees_hello(&connector);
    let mut ids = Ids::new([0; 32]);
    for _ in 0..400 {
        let event = discord::dm().message(&mut ids, Now::default(), &"x".repeat(2000));
        connector.control(Act::Inbound { event, buffered: Some(false) }).unwrap();
    }
    program.logged("agent_does_not_read");
    program.terminate();
    let closed = |saw: &Observation| matches!(saw, Observation::Closed { code: Some(1000), .. });
    connector.wait_for(closed, SOON).unwrap();
    let ended = program.ended();
    assert!(ended.stderr.contains("lines_dropped"), "{}", ended.stderr);
}

fn an_agent_that_writes_and_never_reads_is_abandoned(runtime: &str) {
    let op = r#"{"op":"capabilities","chat_id":"1","id":1}"#;
    let flags = ["--set", "agent_result_bytes=64KiB", "--set", "agent_read_timeout=300ms"];
    let (program, connector) = start(runtime, &flags, &["yes", op]);
    sees_hello(&connector);
    let Ended { code, stderr, .. } = program.ended();
    assert_eq!(code, Some(1), "{stderr}");
    assert_eq!(stderr.lines().last(), Some("relayline: the agent writes and does not read"));
    let closed = |saw: &Observation| matches!(saw, Observation::Closed { code: Some(1000), .. });
    connector.wait_for(closed, SOON).unwrap();
}

fn a_silent_agent_causes_a_warning_and_its_end_a_note(runtime: &str) {
    let mut bridge = Unread::start(runtime, &WARNS);
    flood(&mut bridge);
    for _ in 0..400 {
        assert_eq!(bridge.next()["event"], "message");
    }
    bridge.logged("agent_reads_again");
    bridge.interrupt();
    let (code, log) = bridge.ends();
    assert_eq!(code, Some(0), "{log}");
    assert!(
        log.contains("the agent has not read for") && log.contains("the agent reads again, after"),
        "{log}"
    );
    assert!(!log.contains("lines_dropped"), "{log}");
}

/// Returns the README's agent, or the same agent in another language, by the first interpreter that is installed.
fn readme_agent() -> Vec<String> {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let agent = readme.split_once("```python").unwrap().1.split_once("```").unwrap().0.trim_start();
    vec!["python3".into(), "-c".into(), agent.into()]
}

/// With `RELAYLINE_FULL=1` (`.ci/full`) it is 5,000 messages instead of 500.
fn readme_agent_under_a_flood(runtime: &str) {
    let has_python = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    if !has_python.is_ok_and(|status| status.success()) {
        eprintln!("there is no python3 here: the README's agent cannot run");
        return;
    }
    let count = if is_full() { 5000 } else { 500 };
    let agent = readme_agent();
    let agent: Vec<&str> = agent.iter().map(String::as_str).collect();
    let (program, connector) = start(runtime, &[], &agent);
    sees_hello(&connector);
    connector.control(Act::Delay { op: "send".into(), ms: 50 }).unwrap();
    let mut ids = Ids::new([0; 32]);
    for n in 0..count {
        let event = discord::dm().message(&mut ids, Now::default(), &n.to_string());
        connector.control(Act::Inbound { event, buffered: Some(false) }).unwrap();
    }
    let mut missing: BTreeSet<String> = (0..count).map(|n| format!("you said: {n}")).collect();
    let until = Instant::now() + 4 * SOON;
    while !missing.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        match connector.next_observation(left) {
            Some(Observation::Frame { frame, .. }) => {
                if let Some(content) = frame["action"]["content"].as_str() {
                    missing.remove(content);
                }
            }
            Some(_) => {}
            None => panic!("{} are not answered:\n{}", missing.len(), program.log()),
        }
    }
    let status = fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap_or_default();
    if let Some(peak) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        eprintln!("{runtime}: {count} messages, {kib} KiB at the peak");
        assert!(kib <= 64 << 10, "{kib} KiB");
    }
    assert!(Command::new("kill").args(["-INT", &program.id().to_string()]).status().unwrap().success());
    let Ended { code, stderr, .. } = program.ended();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!stderr.contains("failed"), "{stderr}");
}

fn stdin_at_its_end_is_an_error(runtime: &str) {
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let run = ["run", "--runtime", runtime, "--platform", "discord", "--url", &connector.url()];
    let output = relayline(run).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.starts_with("relayline: stdin is at its end") && log.contains("--exec"), "{log}");
    // Nothing was dialed. A pipe whose other end is closed is the same.
    let mut child = relayline(run).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(2));
    assert!(connector.next_observation(Duration::ZERO).is_none());
}

fn the_last_op_needs_no_newline_and_a_mark_is_skipped(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    bridge.program.write(b"\xef\xbb\xbf{\"op\":\"send\",\"chat_id\":\"7\",\"content\":\"first\"}\n");
    bridge.program.write(b"{\"op\":\"send\",\"chat_id\":\"7\",\"content\":\"last\",\"id\":\"last\"}");
    bridge.program.close_stdin();
    for content in ["first", "last"] {
        assert_eq!(bridge.sees()["action"]["content"], content);
    }
    assert!(bridge.result("last")["message_id"].is_string());
    bridge.sees_goodbye();
    bridge.ends_well();
}

fn disconnected_names_the_side(runtime: &str) {
    for (way, reason) in [
        ("close", "the agent's output ended"),
        ("-TERM", "SIGTERM"),
        ("-INT", "SIGINT"),
        ("{\"op\":\"disconnect\"}\n", "the agent asked to disconnect"),
    ] {
        let mut bridge = Bridge::start(runtime, &[]);
        match way {
            "close" => bridge.program.close_stdin(),
            "-TERM" | "-INT" => {
                let pid = bridge.program.id().to_string();
                assert!(Command::new("kill").args([way, &pid]).status().unwrap().success());
            }
            op => bridge.program.write(op.as_bytes()),
        }
        let line = bridge.next();
        assert_eq!((&line["event"], &line["reason"]), (&json!("disconnected"), &json!(reason)), "{line}");
        assert_eq!(bridge.program.ended().code, Some(0));
    }
}

fn errors_of_ops_without_an_id_are_logged(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    bridge.say(json!({"op": "dance", "chat_id": "77"}));
    assert_eq!(bridge.next()["event"], "invalid");
    let invalid = bridge.program.logged("invalid");
    assert!(invalid.contains(r#"op="dance" chat="77""#), "{invalid}");
    bridge.say(json!({"op": "send", "chat_id": "78", "content": "x", "platform": "slack"}));
    let failed = bridge.program.logged("failed");
    assert!(failed.contains(r#"op="send" chat="78""#) && failed.contains("does not front"), "{failed}");
    assert!(bridge.program.log().lines().any(|line| line.contains("WARN") && line.contains("failed")));
}

fn unknown_fields_are_refused_by_name(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let error = bridge.ask(json!({"op": "send", "chat_id": "7", "content": "x", "silent": true}));
    assert_eq!(error["kind"], "definite");
    assert!(
        error["message"].as_str().unwrap().starts_with("unknown field `silent`: `send` takes "),
        "{error}"
    );
    bridge.say(json!({"op": "go_idle", "when": "now"}));
    let line = bridge.next();
    assert_eq!(
        (&line["event"], &line["message"]),
        (&json!("invalid"), &json!("unknown field `when`: `go_idle` takes no fields"),)
    );
    // Neither was sent.
    bridge.ask(json!({"op": "send", "chat_id": "7", "content": "y", "metadata": {"silent": true}}));
    let action = bridge.sees()["action"].take();
    assert_eq!((&action["content"], &action["metadata"]["silent"]), (&json!("y"), &json!(true)));
}

fn the_bridges_settings_are_set_by_name(runtime: &str) {
    let run = |flags: &[&str]| {
        let mut command = relayline(["run", "--runtime", runtime, "--url", "ws://127.0.0.1:9"]);
        let output = command.args(flags).stdin(Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, log) = run(&["--set", "agent_event=1"]);
    assert_eq!(code, Some(2));
    assert!(
        log.contains("max_in_flight") && log.contains("agent_events") && log.contains("waiting_ops"),
        "{log}"
    );
    let (_, log) = run(&["--set", "agent_events=0"]);
    assert!(log.contains(r#""0" is out of range: 1 to "#), "{log}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("relay.toml");
    fs::write(&file, "[set]\nagent_read_timeout = \"soon\"\n").unwrap();
    let (code, log) = run(&["--config", file.to_str().unwrap()]);
    assert_eq!(code, Some(2));
    assert!(log.contains("relay.toml:2: set.agent_read_timeout: \"soon\" is not a time"), "{log}");
    fs::write(&file, "[set]\nagent_read_timeout = \"1s\"\n").unwrap();
    let (_, log) = run(&["--config", file.to_str().unwrap(), "--set", "waiting_op_bytes=1MiB"]);
    assert!(log.starts_with("relayline: stdin is at its end"), "{log}");
}
