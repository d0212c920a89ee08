//! The status of a gateway: the op `status`, and what is remembered of a chat.

use crate::bridging::{Bridge, schema, valid};
use relayline_connector::Act;
use relayline_connector::chats::discord;
use serde_json::{Value, json};

on_one_runtime! {
    the_op_status_has_every_part a_close_and_a_failed_op_are_among_the_last_errors,
    m_6_the_memory_of_a_chat_can_be_read,
}

/// Asks for the status, and checks it against its schema.
#[track_caller]
fn status(bridge: &mut Bridge) -> Value {
    let status = bridge.ask(json!({"op": "status"}));
    valid(&schema("status.schema.json"), &status);
    status
}

fn the_op_status_has_every_part(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &["--set", "max_in_flight=77"]);
    bridge.deliver(&discord::dm(), "hello", false);
    bridge.next();
    let status = status(&mut bridge);
    assert_eq!((&status["phase"], &status["gateway_id"]), (&json!("connected"), &json!(null)));
    assert!(status["url"].as_str().unwrap().starts_with("ws://127.0.0.1:"), "{status}");
    assert!(status["connected_for_ms"].is_u64() && status["next_dial_in_ms"].is_null(), "{status}");
    assert_eq!(status["platforms"], json!(["discord", "telegram"]));
    assert_eq!(status["descriptors"]["telegram"]["len_unit"], "utf16");
    assert_eq!(status["queues"]["requests"], json!({"used": 0, "limit": 77}));
    assert_eq!(status["queues"]["chats"], json!({"used": 1, "limit": 4096}));
    assert_eq!((&status["counters"]["delivered"], &status["counters"]["dials"]), (&json!(1), &json!(1)));
    assert_eq!((&status["agent"]["kind"], &status["agent"]["running"]), (&json!("stdio"), &json!(true)));
    assert_eq!(status["last_errors"], json!([]));
}

fn a_close_and_a_failed_op_are_among_the_last_errors(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let refused = json!({"success": false, "error": "a private text", "code": "nope"});
    bridge.tell(serde_json::from_value(json!({"do": "answer", "op": "send", "result": refused})).unwrap());
    bridge.ask(json!({"op": "send", "chat_id": "7", "content": "a private text"}));
    bridge.tell(Act::Close { code: 1013, reason: "later".into() });
    assert_eq!(bridge.next()["event"], "disconnected");
    while bridge.next()["event"] != "connected" {}
    bridge.next();
    let status = status(&mut bridge);
    let [close, op] = status["last_errors"].as_array().unwrap().as_slice() else { panic!("{status}") };
    assert_eq!(
        (&close["kind"], &close["code"], &close["reason"]),
        (&json!("close"), &json!(1013), &json!("later"))
    );
    let expected = json!({"kind": "op", "op": "send", "chat_id": "7", "failure": "rejected", "code": "nope",
        "ago_ms": op["ago_ms"]});
    assert_eq!(*op, expected);
    assert!(!status.to_string().contains("private"), "{status}");
}

fn m_6_the_memory_of_a_chat_can_be_read(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let chat = json!({"op": "chat", "chat_id": 7});
    assert_eq!(bridge.ask(chat.clone()), json!({"known": false}));
    bridge
        .ask(json!({"op": "prime", "chat_id": "7", "platform": "telegram", "scope_id": "s", "user_id": 42}));
    let expected = json!({"known": true, "platform": "telegram", "scope_id": "s", "user_id": "42"});
    assert_eq!(bridge.ask(chat), expected);
    let dm = discord::dm();
    bridge.deliver(&dm, "hello", false);
    bridge.next();
    let seen = bridge.ask(json!({"op": "chat", "chat_id": dm.chat_id}));
    assert_eq!((&seen["chat_type"], &seen["user_id"]), (&json!("dm"), &json!(dm.person.id)));
}
