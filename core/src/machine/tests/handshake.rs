//! L-1 to L-4, L-17, D-8 to D-10: from the dial to the first descriptor, and the frames that arrive with it.

use super::driver::{EPOCH_S, Rig, buffered, descriptor, inbound, send};
use crate::command::Command;
use crate::config::{Config, Identity};
use crate::machine::IoEvent;
use crate::op::EditMessage;
use crate::output::Phase;
use crate::secret::Secret;
use crate::token;

const UNUSABLE: &str = r#"{"type":"descriptor","descriptor":{"contract_version":1}}"#;

fn three_platforms(config: &mut Config) {
    for (platform, bot_id) in [("telegram", "7"), ("slack", "")] {
        config.identities.push(Identity::new(platform, bot_id));
    }
}

#[test]
fn l_2_each_dial_has_a_token_minted_for_it() {
    let mut rig = Rig::new();
    for dial in 0..3 {
        let token = rig.tokens[dial].clone().expect("a token");
        let secrets = [Secret::new("hunter2")];
        let (now, expiry) = (rig.now.unix_s, rig.now.unix_s + 300);
        assert_eq!(token::verify(&token, &secrets, expiry).as_deref(), Some("gw-1"));
        assert_eq!(token::verify(&token, &secrets, expiry + 1), None);
        assert!(dial == 0 || now > EPOCH_S);
        rig.wait(2_000);
        rig.dial_failed(None, "");
        rig.next();
    }
    assert!(rig.tokens[0] != rig.tokens[1] && rig.tokens[1] != rig.tokens[2]);
    assert_eq!(Rig::with(|config| config.credentials = None).tokens, [None]);
}

#[test]
fn c_4_neither_secret_nor_token_is_shown() {
    let rig = Rig::up();
    let token = rig.tokens[0].clone().unwrap();
    let mut untaken = crate::machine::RelayMachine::new(rig.machine.config.clone(), [7; 32], rig.now);
    let shown = format!("{:?} {untaken:?} {:?}", rig.machine, untaken.poll_action());
    assert!(shown.contains("<hidden>") && !shown.contains("hunter2") && !shown.contains(&token));
}

#[test]
fn l_3_one_hello_per_identity_in_order() {
    let mut rig = Rig::with(three_platforms);
    rig.log();
    rig.opened();
    rig.expect(&[
        r#"> {"type":"hello","platform":"discord","botId":"42"}"#,
        r#"> {"type":"hello","platform":"telegram","botId":"7"}"#,
        r#"> {"type":"hello","platform":"slack","botId":""}"#,
    ]);
    assert_eq!(rig.machine.phase(), Phase::Handshaking);
    // A repeated report changes nothing.
    rig.opened();
    rig.expect(&[]);
}

#[test]
fn l_4_the_handshake_times_out_on_every_dial() {
    let mut rig = Rig::new();
    for dial in 1..4 {
        rig.opened();
        rig.log();
        rig.wait(29_999);
        rig.expect(&[]);
        rig.wait(1);
        rig.expect(&[&format!("> close #{dial} 1000 ")]);
        // The peer's close frame has a second. Then the socket is dropped.
        rig.wait(999);
        rig.expect(&[]);
        rig.wait(1);
        rig.expect(&[&format!("drop #{dial}"), "disconnected - no descriptor came in time; again later"]);
        rig.next();
        rig.log();
    }
    // It counts as a failed dial (L-5).
    rig.opened();
    rig.wait(30_000);
    rig.closed(1000, "");
    assert!((4_000_000..=8_000_000).contains(&rig.until_deadline_us()));
}

#[test]
fn l_4_neither_bytes_nor_pongs_prolong_the_handshake() {
    let mut rig = Rig::new();
    rig.opened();
    for _ in 0..3 {
        rig.wait(9_000);
        rig.line("");
        let conn = rig.conn();
        rig.io(IoEvent::Alive { conn });
    }
    rig.log();
    rig.wait(3_000);
    rig.expect(&["> close #1 1000 "]);
}

#[test]
fn l_17_an_unusable_descriptor_fails_the_dial_with_a_reason() {
    let mut rig = Rig::new();
    rig.opened();
    rig.line(&buffered("c", "1", "b1"));
    rig.line(&inbound("c", "2"));
    rig.log();
    rig.line(UNUSABLE);
    rig.expect(&["> close #1 1000 "]);
    // Nothing on this connection reaches the host, not even while it closes: neither events nor another descriptor.
    rig.line(&inbound("c", "3"));
    rig.line(&descriptor("discord", ""));
    rig.expect(&[]);
    assert!(rig.machine.descriptors().is_empty());
    rig.closed(1000, "");
    rig.expect(&["disconnected 1000 the descriptor lacks `platform`; again later"]);
    assert_eq!(rig.machine.stats().early_dropped, 3, "X-2");
    assert_eq!(rig.machine.stats().extra_descriptors, 1);
    assert!((500_000..=1_000_000).contains(&rig.until_deadline_us()), "a failed dial");
    // Events that were dropped with the failed handshake are not duplicates when they are redelivered (A-4).
    rig.next();
    rig.connect();
    rig.line(&buffered("c", "1", "b1"));
    rig.expect(&["deliver 1 buffered c 1"]);
}

#[test]
fn l_17_a_resume_meanwhile_keeps_the_reason() {
    let mut rig = Rig::new();
    rig.opened();
    rig.line(UNUSABLE);
    rig.submit(Command::Resume);
    rig.log();
    rig.closed(1000, "");
    rig.expect(&["disconnected 1000 the descriptor lacks `platform`; again at once", "dial #2"]);
}

#[test]
fn l_17_a_waiting_duplicate_drops_with_a_failed_handshake() {
    let mut rig = Rig::up();
    rig.line(&buffered("c", "1", "b1"));
    rig.lost();
    rig.next();
    rig.opened();
    rig.line(&buffered("c", "1", "b1"));
    rig.lost();
    rig.log();
    // The delivery is refused. No duplicate replaces it.
    rig.reject(1);
    rig.expect(&[]);
    assert_eq!(rig.machine.stats().early_dropped, 1);
}

#[test]
fn l_17_a_promoted_duplicate_drops_with_a_failed_handshake() {
    let mut rig = Rig::up();
    rig.line(&buffered("c", "1", "b1"));
    rig.room = false;
    rig.line(&inbound("c", "2"));
    rig.lost();
    rig.next();
    rig.opened();
    rig.line(&buffered("c", "1", "b1"));
    rig.reject(1);
    rig.lost();
    rig.log();
    rig.room = true;
    rig.drain();
    rig.expect(&["deliver 2 live c 2"]);
}

#[test]
fn l_17_a_later_bad_descriptor_is_ignored_and_counted() {
    let mut rig = Rig::up_with(three_platforms);
    rig.line(UNUSABLE);
    rig.line(r#"{"type":"descriptor"}"#);
    rig.expect(&[]);
    assert_eq!(rig.machine.stats().extra_descriptors, 2);
    assert_eq!(rig.machine.phase(), Phase::Connected);
}

#[test]
fn l_17_early_events_are_dispatched_after_the_handshake() {
    let mut rig = Rig::new();
    rig.opened();
    rig.log();
    rig.line(&inbound("c", "1"));
    rig.line(&buffered("c", "2", "b2"));
    rig.expect(&[]);
    rig.line(&descriptor("discord", ""));
    rig.expect(&["connected discord []", "deliver 1 live c 1", "deliver 2 buffered c 2"]);
    rig.taken(2);
    rig.expect(&[r#"> {"type":"inbound_ack","bufferId":"b2"}"#]);
}

#[test]
fn l_17_events_after_the_handshake_outlive_the_connection() {
    let mut rig = Rig::up();
    rig.room = false;
    rig.line(&inbound("c", "1"));
    rig.lost();
    rig.log();
    rig.room = true;
    rig.drain();
    rig.expect(&["deliver 1 live c 1"]);
}

#[test]
fn d_8_the_first_descriptor_stays_the_default() {
    let mut rig = Rig::with(three_platforms);
    rig.opened();
    rig.log();
    rig.line(&descriptor("telegram", r#","emoji":"1""#));
    rig.line(&descriptor("discord", r#","emoji":"2""#));
    rig.line(&descriptor("telegram", r#","emoji":"3""#));
    rig.line(&descriptor("slack", r#","emoji":"4""#));
    rig.line(&descriptor("matrix", r#","emoji":"5""#));
    rig.expect(&["connected telegram []", "platform discord []", "platform slack []"]);
    let emoji: Vec<&str> = rig.machine.descriptors().iter().map(|d| d.emoji.as_str()).collect();
    assert_eq!(emoji, ["1", "2", "4"], "one per hello, kept by platform");
    assert_eq!(rig.machine.stats().extra_descriptors, 2);
    // They are forgotten at the next dial, not before.
    rig.lost();
    assert_eq!(rig.machine.descriptors().len(), 3);
    rig.next();
    assert!(rig.machine.descriptors().is_empty() && rig.machine.capabilities("c").is_none());
}

#[test]
fn d_9_capabilities_follow_the_chats_platform() {
    let mut rig = Rig::with(three_platforms);
    rig.opened();
    for platform in ["discord", "telegram"] {
        rig.line(&descriptor(platform, ""));
    }
    for (chat, platform) in [("d", "discord"), ("t", "telegram"), ("s", "slack"), ("r", "relay")] {
        rig.line(&format!(
            r#"{{"type":"inbound","event":{{"source":{{"platform":"{platform}","chat_id":"{chat}"}}}}}}"#
        ));
    }
    let of = |rig: &Rig, chat: &str| rig.machine.capabilities(chat).map(|d| d.platform.clone());
    for (chat, expected) in
        [("d", "discord"), ("t", "telegram"), ("s", "discord"), ("r", "discord"), ("unseen", "discord")]
    {
        assert_eq!(of(&rig, chat).as_deref(), Some(expected), "{chat}");
    }
    // The newest platform of the chat counts.
    rig.line(r#"{"type":"inbound","event":{"source":{"platform":"telegram","chat_id":"d"}}}"#);
    assert_eq!(of(&rig, "d").as_deref(), Some("telegram"));
}

#[test]
fn d_9_edits_are_gated_by_the_chat() {
    let mut rig = Rig::with(three_platforms);
    rig.opened();
    rig.line(&descriptor("discord", ""));
    rig.line(&descriptor("telegram", r#","supports_edit":false"#));
    rig.line(r#"{"type":"inbound","event":{"source":{"platform":"telegram","chat_id":"t"}}}"#);
    rig.log();
    let edit = |chat: &str| EditMessage::new(chat, "1", "");
    assert_eq!(rig.refused(edit("t").into()), "unsupported: telegram does not offer `edit`");
    assert_eq!(
        rig.refused(edit("d").platform("telegram").into()),
        "unsupported: telegram does not offer `edit`"
    );
    rig.expect(&[]);
    rig.submit(edit("d").into());
    assert_eq!(rig.log().len(), 1);
    // M-3 is checked first: a platform that is not fronted has no descriptor to check.
    let mut rig = Rig::new();
    rig.opened();
    rig.line(&descriptor("discord", r#","supports_edit":false"#));
    assert_eq!(
        rig.refused(edit("t").platform("matrix").into()),
        "definite: relay does not front platform matrix"
    );
}

#[test]
fn d_10_a_new_descriptor_replaces_the_old_and_names_changes() {
    let mut rig = Rig::with(three_platforms);
    rig.opened();
    rig.line(&descriptor("discord", ""));
    rig.line(&descriptor("telegram", ""));
    rig.lost();
    rig.next();
    // A failed dial in between does not count.
    rig.opened();
    rig.lost();
    rig.next();
    rig.opened();
    rig.log();
    rig.line(&descriptor("discord", r#","supports_edit":false,"emoji":"x""#));
    rig.line(&descriptor("telegram", r#","max_message_length":99"#));
    rig.expect(&[
        r#"connected discord ["supports_edit", "emoji"]"#,
        r#"platform telegram ["max_message_length"]"#,
    ]);
    assert_eq!(rig.machine.capabilities("c").map(|d| d.supports_edit), Some(false));
    assert!(rig.machine.submit(rig.now, send("c", "x")).is_ok());
}

/// L-17: a descriptor after a failed handshake does not complete it.
#[test]
fn d_8_a_descriptor_after_a_failed_handshake_is_extra() {
    let mut rig = Rig::new();
    rig.opened();
    rig.wait(30_000);
    rig.log();
    rig.line(&descriptor("discord", ""));
    rig.line(UNUSABLE);
    rig.expect(&[]);
    assert_eq!((rig.machine.stats().extra_descriptors, rig.machine.descriptors.len()), (2, 0));
}

#[test]
fn x_2_dropped_parts_of_a_descriptor_are_counted() {
    let mut rig = Rig::new();
    rig.opened();
    let ops = vec!["\"op\""; 300].join(",");
    let fields: String = (0..260).map(|n| format!(r#","x{n}":{n}"#)).collect();
    rig.line(&descriptor("discord", &format!(r#","supported_ops":[{ops}]{fields}"#)));
    assert_eq!((rig.machine.stats().dropped_ops, rig.machine.stats().dropped_fields), (44, 4));
}

#[test]
fn d_10_a_short_connection_does_not_hide_a_change() {
    let mut rig = Rig::with(three_platforms);
    rig.opened();
    rig.line(&descriptor("discord", ""));
    rig.line(&descriptor("telegram", ""));
    rig.lost();
    rig.next();
    rig.opened();
    rig.line(&descriptor("discord", r#","emoji":"x""#));
    rig.lost();
    rig.next();
    rig.opened();
    rig.log();
    rig.line(&descriptor("discord", ""));
    rig.line(&descriptor("telegram", r#","max_message_length":99"#));
    rig.expect(&[r#"connected discord ["emoji"]"#, r#"platform telegram ["max_message_length"]"#]);
    // At most as many platforms are remembered as are fronted, whatever names a peer invents (X-1).
    for dial in 0..10 {
        rig.lost();
        rig.next();
        rig.opened();
        for platform in 0..3 {
            rig.line(&descriptor(&format!("p{dial}-{platform}"), ""));
        }
        assert!(rig.machine.previous_descriptors.len() <= 3);
    }
}
