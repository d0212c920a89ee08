//! Ops of clients: results, independence of the agent, and the end of the gateway.

use super::{Client, Place, counter, with_media};
use crate::support::{Program, SOON, relayline};
use relayline_connector::chats::discord;
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector, Observation};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::Shutdown;

on_one_runtime! {
    a_client_gets_results_and_no_events ops_of_the_agent_alone_fail,
    clients_and_the_agent_run_independently order_holds_within_a_chat_of_a_client,
    a_client_that_half_closes_gets_its_results results_of_a_client_that_has_gone_are_counted,
    disconnect_ends_the_gateway a_client_outlives_the_agent,
    an_acp_agent_has_a_control_socket streams_of_clients_are_apart,
    a_streamed_reply_of_a_lost_client_is_finished h_7_a_client_may_use_any_file,
    the_socket_works_before_the_first_connection l_14_the_end_completes_the_ops_of_clients,
}

fn send(chat: &str, content: &str) -> Value {
    json!({"op": "send", "chat_id": chat, "content": content})
}

fn a_client_gets_results_and_no_events(runtime: &str) {
    let place = Place::new();
    let mut bridge = place.start(runtime, &[]);
    let mut client = place.client();
    bridge.deliver(&discord::dm(), "hello", false);
    assert_eq!(bridge.next()["event"], "message");
    let result = client.ask(&send("7", "from a client"));
    assert!(result["ok"] == true && result["result"]["message_id"].is_string(), "{result}");
    assert_eq!(bridge.sees()["action"]["content"], "from a client");
    for (line, words) in [
        (json!({"op": "dance"}), "unknown op `dance`"),
        (json!({"op": "send", "chat_id": "7", "content": "x", "silent": 1}), "unknown field `silent`"),
    ] {
        let error = client.ask(&line);
        assert!(error["error"]["message"].as_str().unwrap().contains(words), "{error}");
    }
    client.say(&json!({"op": "dance"}));
    let invalid = client.next().unwrap();
    assert_eq!((&invalid["event"], counter(&client.status(), "invalid_lines")), (&json!("invalid"), 1));
    // The agent has seen nothing of it.
    assert_eq!(bridge.ask(json!({"op": "capabilities", "chat_id": "7"}))["platform"], "discord");
}

fn ops_of_the_agent_alone_fail(runtime: &str) {
    let place = Place::new();
    let mut bridge = place.start(runtime, &[]);
    bridge.deliver(&discord::dm(), "mine", true);
    let delivery = bridge.next()["delivery"].clone();
    let mut client = place.client();
    for op in ["ack", "refuse"] {
        let error = client.ask(&json!({"op": op, "delivery": delivery}))["error"].take();
        assert_eq!(error["kind"], "definite");
        assert!(error["message"].as_str().unwrap().contains("are the agent's"), "{error}");
    }
    // The delivery is still the agent's.
    bridge.say(json!({"op": "ack", "delivery": delivery}));
    assert_eq!(bridge.sees()["type"], "inbound_ack");
}

fn clients_and_the_agent_run_independently(runtime: &str) {
    let place = Place::new();
    let mut bridge = place.start(runtime, &[]);
    bridge.tell(Act::Mute { on: true });
    let mut waiting = place.client();
    waiting.say(&json!({"op": "send", "id": 1, "chat_id": "7", "content": "no answer comes"}));
    assert_eq!(bridge.sees()["action"]["content"], "no answer comes");
    bridge.tell(Act::Mute { on: false });
    let mut clients: Vec<Client> = (0..4).map(|_| place.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.say(&json!({"op": "send", "id": number, "chat_id": "7", "content": number.to_string()}));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let result = client.next().unwrap();
        assert_eq!((&result["id"], &result["ok"]), (&json!(number), &json!(true)), "{result}");
    }
    let result = bridge.ask(send("7", "from the agent"));
    assert!(result["message_id"].is_string(), "{result}");
    assert_eq!(clients[0].status()["queues"]["requests"]["used"], 1);
}

fn order_holds_within_a_chat_of_a_client(runtime: &str) {
    let place = Place::new();
    let bridge = place.start(runtime, &["--set", "control_in_flight=1"]);
    let mut client = place.client();
    let long = "word ".repeat(1000);
    client.say(&json!({"op": "send", "chat_id": "7", "content": long, "split": true}));
    for n in 0..20 {
        client.say(&json!({"op": "send", "chat_id": "7", "content": n.to_string()}));
    }
    let parts =
        (0..3).map(|_| bridge.sees()["action"]["content"].as_str().unwrap().len()).collect::<Vec<_>>();
    assert!(parts.iter().all(|length| *length > 500), "{parts:?}");
    for n in 0..20 {
        assert_eq!(bridge.sees()["action"]["content"], n.to_string());
    }
}

fn a_client_that_half_closes_gets_its_results(runtime: &str) {
    let place = Place::new();
    let _bridge = place.start(runtime, &[]);
    let mut client = place.client();
    // The last line needs no newline, as in `printf … | nc -U`.
    let lines = "{\"op\":\"send\",\"id\":1,\"chat_id\":\"7\",\"content\":\"a\"}\n{\"op\":\"chat\",\"id\":2,\"chat_id\":\"7\"}";
    client.stream.write_all(lines.as_bytes()).unwrap();
    client.stream.shutdown(Shutdown::Write).unwrap();
    let mut results = String::new();
    client.lines.read_to_string(&mut results).unwrap();
    assert_eq!(results.lines().count(), 2, "{results}");
}

fn results_of_a_client_that_has_gone_are_counted(runtime: &str) {
    let place = Place::new();
    let bridge = place.start(runtime, &[]);
    bridge.tell(Act::Delay { op: "send".into(), ms: 200 });
    let mut client = place.client();
    for n in 0..3 {
        client.say(&json!({"op": "send", "id": n, "chat_id": "7", "content": n.to_string()}));
    }
    for _ in 0..3 {
        bridge.sees();
    }
    drop(client);
    let gone = |status: &Value| counter(status, "results_dropped") == 3;
    let status = place.client().waits_for(gone);
    assert_eq!(counter(&status, "clients"), 2);
}

fn disconnect_ends_the_gateway(runtime: &str) {
    let place = Place::new();
    let bridge = place.start(runtime, &[]);
    let mut client = place.client();
    let result = client.ask(&json!({"op": "disconnect"}));
    assert_eq!((&result["ok"], &result["result"]), (&json!(true), &json!({})));
    assert_eq!(client.next(), None);
    bridge.sees_goodbye();
    let ended = bridge.program.ended();
    let last: Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    let reason = json!("a control client asked to disconnect");
    assert_eq!((ended.code, &last["reason"]), (Some(0), &reason));
}

fn a_client_outlives_the_agent(runtime: &str) {
    let place = Place::new();
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let url = connector.url();
    let flags = place.flags(&[
        "--url",
        &url,
        "--runtime",
        runtime,
        "--platform",
        "discord",
        "--restart",
        "always",
        "--set",
        "agent_restart_first=1s",
        "--exec",
        "sh",
        "-c",
        "read line; exit 3",
    ]);
    let program = Program::start(relayline([&["run"], flags.as_slice()].concat()));
    let mut client = place.client();
    let down =
        client.waits_for(|status| status["agent"]["running"] == false && status["phase"] == "connected");
    assert_eq!((&down["agent"]["kind"], &down["agent"]["running_for_ms"]), (&json!("exec"), &json!(null)));
    // While no agent runs.
    let result = client.ask(&send("7", "nobody is at home"));
    assert_eq!(result["ok"], true, "{result}");
    let restarted = client.waits_for(|status| status["agent"]["restarts"].as_u64() > Some(0));
    assert!(restarted["agent"]["restarts"].is_u64());
    assert_eq!(client.ask(&send("7", "after a restart"))["ok"], true);
    program.terminate();
    program.ended();
}

fn an_acp_agent_has_a_control_socket(runtime: &str) {
    let place = Place::new();
    let acp = crate::acp::Acp::start(runtime, &place.flags(&[]), &[]);
    let mut client = place.client();
    let up = |status: &Value| status["agent"]["running"] == true && status["phase"] == "connected";
    let status = client.waits_for(up);
    assert_eq!((&status["agent"]["kind"], &status["gateway_id"]), (&json!("acp"), &json!("gw-1")));
    assert_eq!(client.ask(&send("7", "an alert"))["ok"], true);
    acp.sees(
        |saw| matches!(saw, Observation::Frame { frame, .. } if frame["action"]["content"] == "an alert"),
    );
    assert_eq!(client.ask(&json!({"op": "disconnect"}))["ok"], true);
    assert_eq!(acp.program.ended().code, Some(0));
    assert!(!place.path.exists());
}

fn streams_of_clients_are_apart(runtime: &str) {
    let place = Place::new();
    let mut bridge = place.start(runtime, &["--set", "control_streams=1"]);
    let (mut one, mut other) = (place.client(), place.client());
    let stream = |name: &str, text: &str, last: bool| json!({"op": "stream", "stream": name, "chat_id": "7", "text": text, "final": last});
    bridge.ask(stream("s", "of the agent", false));
    assert_eq!(one.ask(&stream("s", "of one", false))["ok"], true);
    assert_eq!(other.ask(&stream("s", "of the other", true))["ok"], true);
    let error = one.ask(&stream("t", "too many", false))["error"].take();
    assert!(error["message"].as_str().unwrap().contains("control_streams"), "{error}");
    assert_eq!(one.ask(&stream("s", "of one, and the end", true))["ok"], true);
    assert!(bridge.ask(stream("s", "of the agent, and the end", true))["message_id"].is_string());
    let texts: Vec<Value> = (0..5).map(|_| bridge.sees()["action"]["content"].take()).collect();
    for whole in ["of the other", "of one, and the end", "of the agent, and the end"] {
        assert!(texts.contains(&json!(whole)), "{texts:?}");
    }
}

/// The machine keeps a stream until its last state.
fn a_streamed_reply_of_a_lost_client_is_finished(runtime: &str) {
    let place = Place::new();
    let bridge = place.start(runtime, &[]);
    let mut client = place.client();
    client.ask(&json!({"op": "stream", "stream": "s", "chat_id": "7", "text": "unfinished"}));
    assert_eq!(bridge.sees()["action"]["content"], "unfinished");
    drop(client);
    let finished = bridge.sees();
    assert_eq!(
        (&finished["action"]["content"], &finished["action"]["metadata"]["notify"]),
        (&json!("unfinished"), &json!(true)),
        "{finished}"
    );
    place.client().waits_for(|status| status["queues"]["streams"]["used"] == 0);
}

/// A client has the user of the gateway. The agent stays in the media folder.
fn h_7_a_client_may_use_any_file(runtime: &str) {
    let place = Place::new();
    let file = place.folder.path().join("plan.txt");
    std::fs::write(&file, "the plan").unwrap();
    let mut bridge = with_media(&place, runtime);
    let upload = json!({"op": "upload", "path": file});
    assert_eq!(place.client().ask(&upload)["result"]["bytes"], 8);
    let refused = bridge.ask(upload);
    assert!(refused["message"].as_str().unwrap().contains("outside of the media folder"), "{refused}");
}

fn the_socket_works_before_the_first_connection(runtime: &str) {
    let place = Place::new();
    let flags = place.flags(&[
        "--platform",
        "discord",
        "--url",
        "ws://127.0.0.1:1",
        "--runtime",
        runtime,
        "--set",
        "backoff_first=60s",
    ]);
    let _program = Program::start(relayline([&["run"], flags.as_slice()].concat()));
    let mut client = place.client();
    let status = client.waits_for(|status| status["phase"] == "waiting");
    assert!(status["next_dial_in_ms"].as_u64() > Some(0) && status["connected_for_ms"].is_null(), "{status}");
    let errors = status["last_errors"].as_array().unwrap();
    assert!(
        errors[0]["kind"] == "dial" && errors[0]["reason"].as_str().unwrap().contains("refused"),
        "{status}"
    );
    let error = client.ask(&send("7", "x"))["error"].take();
    assert_eq!(error["kind"], "definite", "{error}");
}

fn l_14_the_end_completes_the_ops_of_clients(runtime: &str) {
    let place = Place::new();
    let mut bridge = place.start(runtime, &[]);
    bridge.tell(Act::Mute { on: true });
    let mut client = place.client();
    client.say(&json!({"op": "send", "id": 1, "chat_id": "7", "content": "x"}));
    let wanted = |saw: &Observation| matches!(saw, Observation::Frame { frame, .. } if frame["action"]["content"] == "x");
    bridge.connector.wait_for(wanted, SOON).unwrap();
    bridge.program.close_stdin();
    let result = client.next().unwrap();
    assert_eq!((&result["id"], &result["error"]["kind"]), (&json!(1), &json!("ambiguous")), "{result}");
    assert_eq!(client.next(), None);
    bridge.program.ended();
}
