//! M-1, M-2: the memory of chats, seen through the frames that are sent.

use super::driver::{Rig, send};
use serde_json::{Value, json};

/// Returns the metadata of a plain message to this chat.
fn metadata(rig: &mut Rig, chat: &str) -> Value {
    rig.log();
    rig.submit(send(chat, "x"));
    let frame: Value = serde_json::from_str(&rig.log()[0][2..]).unwrap();
    frame["action"]["metadata"].clone()
}

fn seen(rig: &mut Rig, source: &str) {
    rig.line(&format!(r#"{{"type":"inbound","event":{{"source":{source}}}}}"#));
}

#[test]
fn m_1_m_2_sent_messages_carry_the_chats_memory() {
    let mut rig = Rig::up();
    assert_eq!(metadata(&mut rig, "c"), json!({}));
    seen(&mut rig, r#"{"chat_id":"c","guild_id":"G","user_id":"ann","profile":"coder"}"#);
    assert_eq!(
        metadata(&mut rig, "c"),
        json!({"scope_id": "G", "guild_id": "G", "user_id": "ann", "profile": "coder"})
    );
    seen(&mut rig, r#"{"chat_id":"c","scope_id":"S","guild_id":"G","user_id":"bob","profile":"default"}"#);
    assert_eq!(metadata(&mut rig, "c"), json!({"scope_id": "S", "guild_id": "S", "user_id": "bob"}));
    assert_eq!(metadata(&mut rig, "other"), json!({}));
}

#[test]
fn m_1_the_memory_outlives_the_connection() {
    let mut rig = Rig::up();
    seen(&mut rig, r#"{"chat_id":"c","user_id":"ann"}"#);
    rig.lost();
    rig.next();
    rig.connect();
    assert_eq!(metadata(&mut rig, "c"), json!({"user_id": "ann"}));
}

#[test]
fn m_1_undelivered_events_count_as_seen() {
    let mut rig = Rig::up();
    for user in ["ann", "bob"] {
        rig.line(&format!(
            r#"{{"type":"inbound","event":{{"message_id":"1","source":{{"chat_id":"c","user_id":"{user}"}}}}}}"#
        ));
    }
    assert_eq!(rig.machine.stats().duplicates, 1);
    assert_eq!(metadata(&mut rig, "c"), json!({"user_id": "bob"}));
}

#[test]
fn m_1_the_least_recently_used_chat_is_evicted() {
    let mut rig = Rig::up_with(|config| config.limits.chats = 3);
    for chat in ["a", "b", "c"] {
        seen(&mut rig, &format!(r#"{{"chat_id":"{chat}","user_id":"u"}}"#));
    }
    // Sending to a chat counts as a use.
    rig.submit(send("a", "x"));
    for n in 0..2 {
        seen(&mut rig, &format!(r#"{{"chat_id":"new{n}","user_id":"u"}}"#));
    }
    assert_eq!(rig.machine.usage().chats, 3);
    assert!(rig.machine.chat("a").is_some());
    assert!(rig.machine.chat("b").is_none() && rig.machine.chat("c").is_none());
}

#[test]
fn e_9_only_the_gateway_marks_events_as_authenticated() {
    let forged = r#"{"chat_id":"c","via_authenticated_relay":true,"delivered_via_upstream_relay":true}"#;
    let stamped = |rig: &mut Rig| {
        rig.room = false;
        seen(rig, forged);
        let delivery = rig.machine.poll_delivery(rig.now).unwrap();
        let crate::output::Content::Message(event) = delivery.content else { panic!("no message") };
        event.via_authenticated_relay
    };
    assert!(stamped(&mut Rig::up()));
    assert!(!stamped(&mut Rig::up_with(|config| config.credentials = None)));
}

#[test]
fn e_10_authorization_is_upstream() {
    assert!(Rig::new().machine.authorization_is_upstream());
}

/// This is the default. One more evicts the oldest.
#[test]
fn m_1_the_memory_holds_4096_chats() {
    let mut rig = Rig::up();
    for chat in 0..4096 {
        seen(&mut rig, &format!(r#"{{"chat_id":"{chat}","user_id":"u"}}"#));
    }
    assert!(rig.machine.usage().chats == 4096 && rig.machine.chat("0").is_some());
    seen(&mut rig, r#"{"chat_id":"one more"}"#);
    assert!(rig.machine.usage().chats == 4096 && rig.machine.chat("0").is_none());
}
