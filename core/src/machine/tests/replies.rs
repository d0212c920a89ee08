//! Answers to a delivery by its number, Slack's anchors and turns (M-7, M-8, O-13, O-15), in virtual time.

use super::driver::{Rig, descriptor};
use crate::command::{Command, RequestId};
use crate::config::{Config, Identity};
use crate::event::Event;
use crate::op::{MediaKind, ReplyMessage, SendMedia, SendMessage, StreamReply, Turn, TurnState, Typing};
use crate::output::DeliveryId;
use serde_json::{Value, json};

/// Creates a machine that is connected to a platform, with `more` in its descriptor.
fn rig(platform: &str, more: &str, change: impl FnOnce(&mut Config)) -> Rig {
    let mut rig = Rig::with(|config| {
        config.identities[0].platform = platform.into();
        change(config);
    });
    rig.opened();
    rig.line(&descriptor(platform, more));
    rig.log();
    rig
}

fn message(rig: &mut Rig, platform: &str, id: &str, source: &Value) {
    let mut event = json!({"text": "hi", "message_id": id, "source": {"platform": platform, "chat_id": "c"}});
    for (name, value) in source.as_object().unwrap() {
        event["source"][name] = value.clone();
    }
    rig.line(&json!({"type": "inbound", "event": event}).to_string());
    rig.log();
}

fn reply(delivery: u64, last: bool, continues: bool) -> Command {
    Command::Reply(
        ReplyMessage::new(DeliveryId::from_number(delivery), "yes").last(last).continues(continues),
    )
}

fn turn(delivery: u64, state: TurnState) -> Command {
    Command::Turn(Turn::new(DeliveryId::from_number(delivery), state))
}

/// Returns the actions since the last call, in short: op, chat, reply anchor, metadata.
fn said(rig: &mut Rig) -> Vec<String> {
    let frames = rig.log().into_iter().filter_map(|line| {
        let frame: Value = serde_json::from_str(line.strip_prefix("> ")?).ok()?;
        let action = frame["action"].as_object()?;
        let mut parts = vec![action["op"].as_str()?.to_owned(), action["chat_id"].as_str()?.to_owned()];
        for name in ["reply_to", "message_id", "emoji", "remove", "content"] {
            parts.extend(action.get(name).map(|value| format!("{name}={value}")));
        }
        parts.push(action["metadata"].to_string());
        parts.extend(frame["platform"].as_str().map(|platform| format!("@{platform}")));
        Some(parts.join(" "))
    });
    frames.collect()
}

#[test]
fn m_7_a_reply_needs_nothing_but_the_delivery() {
    let mut rig = rig("discord", "", |_| ());
    message(&mut rig, "discord", "m1", &json!({"thread_id": "t"}));
    message(&mut rig, "discord", "m2", &json!({"chat_id": "d", "scope_id": "G"}));
    // The delivery may be settled or not.
    rig.taken(1);
    rig.submit(reply(1, true, false));
    rig.submit(reply(2, false, false));
    rig.submit(reply(2, true, true));
    assert_eq!(
        said(&mut rig),
        [
            r#"send c reply_to="m1" content="yes" {"notify":true,"reply_to_message_id":"m1","thread_id":"t"} @discord"#,
            r#"send d reply_to="m2" content="yes" {"guild_id":"G","scope_id":"G"} @discord"#,
            r#"send d reply_to=null content="yes" {"guild_id":"G","notify":true,"reply_to_message_id":"m2","scope_id":"G"} @discord"#,
        ]
    );
    let unknown = "definite: delivery 3 cannot be answered: it is not one of the last 2 messages, `reply_targets` bounds them";
    assert_eq!(rig.refused(reply(3, true, false)), unknown);
    // The host's own metadata is kept.
    let Command::Reply(mut own) = reply(1, true, false) else { unreachable!() };
    own.metadata.insert("thread_id".into(), "other".into());
    own.metadata.insert("notify".into(), false.into());
    rig.submit(Command::Reply(own));
    assert_eq!(
        said(&mut rig),
        [
            r#"send c reply_to="m1" content="yes" {"notify":false,"reply_to_message_id":"m1","thread_id":"other"} @discord"#
        ]
    );
}

/// A reply names the platform of its delivery if the gateway fronts it, else the one on which the chat was last seen
/// (M-3).
#[test]
fn m_7_m_3_a_reply_names_a_platform_that_is_fronted() {
    for (platform, named) in [("discord", ""), ("matrix", " @matrix"), ("telegram", "")] {
        let mut rig = rig("discord", "", |config| {
            config.identities.push(Identity { platform: "matrix".into(), bot_id: String::new() });
        });
        rig.line(&descriptor("matrix", ""));
        message(&mut rig, platform, "m1", &json!({}));
        // The chat was seen on another platform meanwhile.
        message(&mut rig, "discord", "m2", &json!({}));
        rig.submit(reply(1, false, false));
        let stream = StreamReply::new("s", "a").delivery(DeliveryId::from_number(1)).last(true);
        rig.submit(Command::Stream(stream));
        let named = if named.is_empty() { " @discord" } else { named };
        let said = said(&mut rig);
        assert!(said.len() == 2 && said.iter().all(|said| said.ends_with(named)), "{platform}: {said:?}");
    }
}

#[test]
fn o_15_a_turns_signs_are_shown_in_the_messages_chat() {
    let mut rig = rig("discord", "", |config| {
        config.identities.push(Identity { platform: "matrix".into(), bot_id: String::new() });
    });
    rig.line(&descriptor("matrix", ""));
    message(&mut rig, "matrix", "m1", &json!({"thread_id": "t"}));
    message(&mut rig, "discord", "m2", &json!({}));
    rig.submit(turn(1, TurnState::Begin));
    assert_eq!(said(&mut rig), [r#"typing c {"thread_id":"t"} @matrix"#]);
    assert_eq!(rig.machine.stats().turn_signs_dropped, 0);
}

#[test]
fn m_8_a_further_part_of_a_message_stays_in_its_thread() {
    let mut rig = rig("slack", "", |_| ());
    message(&mut rig, "slack", "m1", &json!({"chat_type": "channel"}));
    let send = SendMessage::new("c", "1").reply_to("8.8");
    rig.submit(send.clone().into());
    rig.submit(SendMessage { content: "2".into(), ..send }.continues(true).into());
    assert_eq!(
        said(&mut rig),
        [
            r#"send c reply_to="8.8" content="1" {"thread_id":"8.8"} @slack"#,
            r#"send c reply_to=null content="2" {"thread_id":"8.8"} @slack"#,
        ]
    );
}

#[test]
fn m_7_a_thread_of_the_hosts_own_counts_by_either_name() {
    let mut rig = rig("slack", "", |_| ());
    message(&mut rig, "slack", "m1", &json!({"chat_type": "channel", "thread_id": "1.1"}));
    let Command::Reply(mut own) = reply(1, false, false) else { unreachable!() };
    own.metadata.insert("thread_ts".into(), "5".into());
    rig.submit(Command::Reply(own));
    assert_eq!(said(&mut rig), [r#"send c reply_to="m1" content="yes" {"thread_ts":"5"} @slack"#]);
}

#[test]
fn m_7_a_stream_can_name_its_delivery_instead_of_its_chat() {
    let mut rig = rig("discord", "", |_| ());
    message(&mut rig, "discord", "m1", &json!({}));
    let state = |chat_id: &str, delivery: u64, text: &str, last: bool| {
        let delivery = DeliveryId::from_number(delivery);
        Command::Stream(StreamReply::new("s", text).delivery(delivery).chat_id(chat_id).last(last))
    };
    assert_eq!(
        rig.refused(state("d", 1, "a", false)),
        "definite: delivery 1 is of chat c, not of d: leave out the chat"
    );
    assert!(rig.refused(state("", 9, "a", false)).starts_with("definite: delivery 9 cannot be answered"));
    rig.submit(state("", 1, "a", false));
    rig.answer(RequestId(2), r#"{"success":true,"message_id":"7"}"#);
    assert!(rig.refused(state("d", 1, "a", false)).starts_with("definite: the stream \"s\" goes to chat c"));
    assert!(rig.refused(state("", 2, "a", false)).starts_with("definite: the stream \"s\" does not answer"));
    rig.submit(state("c", 1, "a b", true));
    assert_eq!(
        said(&mut rig),
        [
            r#"send c reply_to="m1" content="a" {"reply_to_message_id":"m1"} @discord"#,
            r#"edit c message_id="7" content="a b" {"notify":true,"reply_to_message_id":"m1"} @discord"#,
        ]
    );
}

/// An empty typing sign clears Slack's status. Elsewhere it would be shown as a plain sign.
#[test]
fn o_15_an_empty_typing_sign_goes_to_slack_alone() {
    for (platform, written) in [("slack", 1), ("discord", 0), ("telegram", 0)] {
        let mut rig = rig(platform, "", |_| {});
        message(&mut rig, platform, "m1", &json!({}));
        rig.submit(Typing::new("c").content("").into());
        assert_eq!(said(&mut rig).len(), written, "{platform}");
        assert_eq!(rig.machine.stats().typing_dropped, 1 - written as u64, "{platform}");
    }
}

#[test]
fn m_8_slack_threads_on_metadata() {
    let send = |reply_to: Option<&str>, metadata: Value| {
        let metadata = metadata.as_object().cloned().unwrap_or_default();
        let reply_to = reply_to.map(str::to_owned);
        Command::from(SendMessage { reply_to, ..SendMessage::new("c", "x").metadata(metadata) })
    };
    let media = Command::from(SendMedia::new("c", MediaKind::Image, "").reply_to("m"));
    let typing = Command::from(Typing::new("c"));
    let with_reply = json!({"reply_to_message_id": "m"});
    let cases = [
        // In a direct message, and in a channel.
        (true, "dm", send(Some("m"), json!({})), r#"reply_to="m" content="x" {"thread_id":"m"}"#),
        (true, "group", send(Some("m"), json!({})), r#"reply_to="m" content="x" {"thread_id":"m"}"#),
        (true, "dm", send(None, json!({})), r#"reply_to=null content="x" {}"#),
        (
            true,
            "dm",
            send(Some("m"), json!({"thread_ts": "t"})),
            r#"reply_to="m" content="x" {"thread_ts":"t"}"#,
        ),
        (true, "dm", media.clone(), r#"reply_to="m" content="" {"thread_id":"m"}"#),
        // In flat mode: only in a direct message, and not if a thread is named.
        (false, "dm", send(Some("m"), with_reply.clone()), r#"reply_to=null content="x" {}"#),
        (false, "dm", media, r#"reply_to=null content="" {}"#),
        (false, "dm", send(None, with_reply), r#"reply_to=null content="x" {"reply_to_message_id":"m"}"#),
        (false, "group", send(Some("m"), json!({})), r#"reply_to="m" content="x" {"thread_id":"m"}"#),
        (
            false,
            "dm",
            send(Some("m"), json!({"thread_id": "t"})),
            r#"reply_to="m" content="x" {"thread_id":"t"}"#,
        ),
        // In a direct message a typing sign is shown under the last message, also in flat mode. In a channel it is not.
        (true, "dm", typing.clone(), r#"{"thread_id":"m9"}"#),
        (false, "dm", typing.clone(), r#"{"thread_id":"m9"}"#),
        (true, "group", typing, "{}"),
    ];
    for (in_thread, chat_type, command, expected) in cases {
        let mut rig =
            rig("slack", r#","supported_ops":["send_media"]"#, |c| c.slack_reply_in_thread = in_thread);
        for id in ["m8", "m9"] {
            message(&mut rig, "slack", id, &json!({"chat_type": chat_type}));
        }
        let name = command.name();
        rig.submit(command);
        assert_eq!(said(&mut rig), [format!("{name} c {expected} @slack")], "{in_thread} {chat_type}");
    }
    // Not on other platforms.
    let mut rig = rig("discord", "", |_| ());
    message(&mut rig, "discord", "m9", &json!({}));
    rig.submit(send(Some("m"), json!({})));
    assert_eq!(said(&mut rig), [r#"send c reply_to="m" content="x" {} @discord"#]);
}

#[test]
fn m_8_a_continued_message_stays_in_the_thread() {
    for (in_thread, expected) in [(true, r#"{"thread_id":"m1"}"#), (false, "{}")] {
        let mut rig = rig("slack", "", |config| config.slack_reply_in_thread = in_thread);
        message(&mut rig, "slack", "m1", &json!({"chat_type": "dm"}));
        rig.submit(reply(1, false, true));
        let expected = format!(r#"send c reply_to=null content="yes" {expected} @slack"#);
        assert_eq!(said(&mut rig), [expected]);
    }
}

const REACT: &str = r#","supported_ops":["send","react"]"#;

#[test]
fn o_15_a_turn_shows_what_the_agent_does() {
    for (platform, state, marks) in [
        ("discord", TurnState::Done, &["✅"][..]),
        ("discord", TurnState::Failed, &["❌"]),
        ("discord", TurnState::Stopped, &[]),
        ("telegram", TurnState::Done, &["👍"]),
        ("telegram", TurnState::Failed, &["👎"]),
    ] {
        let mut rig = rig(platform, REACT, |_| ());
        message(&mut rig, platform, "m1", &json!({}));
        rig.submit(turn(1, TurnState::Begin));
        // Beginning the turn again changes nothing.
        rig.submit(turn(1, TurnState::Begin));
        let react = |emoji: &str, remove: bool| {
            format!(r#"react c message_id="m1" emoji="{emoji}" remove={remove} {{}} @{platform}"#)
        };
        let typing = format!("typing c {{}} @{platform}");
        assert_eq!(said(&mut rig), [react("👀", false), typing.clone()]);
        rig.wait(3999);
        assert_eq!(said(&mut rig), [""; 0]);
        rig.wait(1);
        rig.wait(4000);
        assert_eq!(said(&mut rig), [typing.clone(), typing]);
        rig.submit(turn(1, state));
        let mut expected = vec![react("👀", true)];
        expected.extend(marks.iter().map(|mark| react(mark, false)));
        assert_eq!(said(&mut rig), expected);
        rig.submit(turn(1, TurnState::Done));
        rig.wait(20_000);
        assert_eq!(said(&mut rig), [""; 0]);
    }
}

#[test]
fn o_15_on_slack_the_status_is_cleared() {
    let mut rig = rig("slack", "", |_| ());
    message(&mut rig, "slack", "m1", &json!({"chat_type": "dm"}));
    rig.submit(turn(1, TurnState::Begin));
    rig.submit(turn(1, TurnState::Done));
    assert_eq!(
        said(&mut rig),
        [r#"typing c {"thread_id":"m1"} @slack"#, r#"typing c content="" {"thread_id":"m1"} @slack"#]
    );
}

/// Signs are best effort: a sign that is not offered, switched off or failed is not an error, and the host is not told.
#[test]
fn o_15_failed_signs_of_a_turn_are_not_reported() {
    for (more, reactions) in [("", true), (REACT, false)] {
        let mut rig = rig("discord", more, |config| config.turn_reactions = reactions);
        message(&mut rig, "discord", "m1", &json!({}));
        rig.submit(turn(1, TurnState::Begin));
        assert_eq!(said(&mut rig), ["typing c {} @discord"]);
        rig.answer(RequestId(1), r#"{"success":false,"error":"no"}"#);
        rig.submit(turn(1, TurnState::Done));
        assert_eq!(rig.log(), ["r3 done"]);
    }
    let mut rig = rig("discord", REACT, |config| config.limits.max_in_flight = 1);
    message(&mut rig, "discord", "m1", &json!({}));
    rig.submit(turn(1, TurnState::Begin));
    assert_eq!(said(&mut rig).len(), 1);
    assert_eq!(rig.machine.stats().turn_signs_dropped, 1, "X-2");
    assert!(rig.refused(turn(7, TurnState::Begin)).starts_with("definite: delivery 7 cannot be answered"));
}

/// A long turn ends like any other, also when more deliveries than `reply_targets` came meanwhile.
#[test]
fn o_15_m_7_a_turn_outlives_its_delivery() {
    let mut rig = rig("discord", REACT, |config| config.limits.reply_targets = 1);
    message(&mut rig, "discord", "m1", &json!({}));
    rig.submit(turn(1, TurnState::Begin));
    said(&mut rig);
    message(&mut rig, "discord", "m2", &json!({}));
    rig.submit(turn(1, TurnState::Done));
    let ops: Vec<String> = said(&mut rig).into_iter().map(|line| line.replace('"', "")).collect();
    assert_eq!(ops.len(), 2, "{ops:?}");
    assert!(ops[0].contains("message_id=m1 emoji=👀 remove=true"), "{ops:?}");
    assert!(ops[1].contains("message_id=m1 emoji=✅ remove=false"), "{ops:?}");
    // Once it is closed, its delivery is only a forgotten one.
    for state in [TurnState::Begin, TurnState::Done, TurnState::Stopped] {
        assert!(rig.refused(turn(1, state)).starts_with("definite: delivery 1 cannot be answered"));
    }
}

#[test]
fn o_15_a_turn_ends_by_itself() {
    // After its time-out.
    let mut rig = rig("discord", REACT, |config| {
        config.timing.turn_timeout = std::time::Duration::from_secs(10);
        config.limits.turns = 1;
    });
    message(&mut rig, "discord", "m1", &json!({}));
    message(&mut rig, "discord", "m2", &json!({}));
    rig.submit(turn(1, TurnState::Begin));
    rig.wait(10_000);
    let said_of = |rig: &mut Rig| {
        let said = said(rig).into_iter().map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" "));
        said.collect::<Vec<_>>()
    };
    let react = r#"react c message_id="m1""#;
    assert_eq!(said_of(&mut rig), [react, "typing c {}", "typing c {}", "typing c {}", react]);
    assert_eq!((rig.machine.stats().turns_timed_out, rig.machine.usage().turns), (1, 0));
    // It also ends when another turn needs its room.
    rig.submit(turn(1, TurnState::Begin));
    said(&mut rig);
    rig.submit(turn(2, TurnState::Begin));
    assert_eq!(said_of(&mut rig), [react, r#"react c message_id="m2""#, "typing c {}"]);
    assert_eq!((rig.machine.stats().turns_evicted, rig.machine.usage().turns), (1, 1));
    // With its connection.
    rig.lost();
    assert_eq!(rig.machine.usage().turns, 0);
    rig.next();
    rig.opened();
    rig.line(&descriptor("discord", REACT));
    rig.wait(20_000);
    assert_eq!(said_of(&mut rig), [""; 0]);
}

#[test]
fn o_13_a_stopped_turn_ends_its_streams() {
    let drafts = r#","supports_draft_streaming":true,"supported_ops":["draft"]"#;
    let mut rig = rig("slack", drafts, |_| ());
    message(&mut rig, "slack", "m1", &json!({"chat_type": "dm"}));
    let state = |text: &str, last: bool| {
        Command::Stream(StreamReply::new("s", text).delivery(DeliveryId::from_number(1)).last(last))
    };
    rig.submit(turn(1, TurnState::Begin));
    let begun = rig.submit(state("a", false));
    rig.answer(RequestId(begun.number() + 1), r#"{"success":true}"#);
    rig.log();
    let stopped = rig.submit(turn(1, TurnState::Stopped));
    let out = said(&mut rig);
    assert_eq!(out[0], r#"typing c content="" {"thread_id":"m1"} @slack"#);
    assert_eq!(out[1], r#"draft c content="a" {"reply_to_message_id":"m1","thread_id":"m1"} @slack"#);
    rig.answer(RequestId(stopped.number() + 1), r#"{"success":true,"message_id":"7"}"#);
    rig.log();
    // Later states of the stopped stream are not sent.
    let late = rig.submit(state("a b", false));
    let last = rig.submit(state("a b c", true));
    let expected = [late, last].map(|id| format!("r{} definite: the turn was stopped", id.number()));
    assert_eq!(rig.log(), expected);
    // Afterwards the name is free.
    rig.submit(state("new", true));
    assert_eq!(said(&mut rig).len(), 1);
}

/// It does not matter what has happened to the chat and the turn since the first try.
#[test]
fn o_13_a_seal_is_repeated_as_it_was() {
    let drafts = r#","supports_draft_streaming":true,"supported_ops":["draft"]"#;
    let mut rig = rig("slack", drafts, |config| {
        config.identities.push(Identity::new("matrix", ""));
    });
    rig.line(&descriptor("matrix", ""));
    message(&mut rig, "slack", "m1", &json!({"user_id": "u1"}));
    let mut state = StreamReply::new("s", "").delivery(DeliveryId::from_number(1));
    state.text = "a".into();
    let begun = rig.submit(Command::Stream(state.clone()));
    rig.answer(RequestId(begun.number() + 1), r#"{"success":true}"#);
    rig.log();
    (state.text, state.last) = ("a b".into(), true);
    let last = rig.submit(Command::Stream(state));
    let first = said(&mut rig);
    // The chat's current platform has no drafts.
    message(&mut rig, "matrix", "m2", &json!({"user_id": "u2", "scope_id": "T"}));
    rig.submit(turn(1, TurnState::Stopped));
    rig.log();
    rig.answer(RequestId(last.number() + 1), r#"{"success":false,"ambiguous":true}"#);
    assert!(first[0].contains(r#""notify":true"#) && first[0].contains(r#""user_id":"u1""#), "{first:?}");
    assert_eq!(said(&mut rig), first);
}

#[test]
fn m_9_unknown_metadata_passes_through() {
    let mut rig = rig("slack", "", |_| ());
    let own = json!({"unfurl_links": false, "unfurl_media": true, "format_hints": {"table": "code"}});
    let metadata = own.as_object().cloned().unwrap_or_default();
    rig.submit(Command::from(SendMessage::new("c", "").metadata(metadata)));
    assert_eq!(said(&mut rig), [format!(r#"send c reply_to=null content="" {own}"#)]);
}

/// A queue hands a message out again, perhaps after a restart.
#[test]
fn m_7_a_recalled_message_is_answered_by_its_new_number() {
    let mut rig = rig("discord", "", |_| {});
    message(&mut rig, "discord", "m1", &json!({}));
    let stored =
        json!({"message_id": "m0", "source": {"platform": "discord", "chat_id": "old", "thread_id": "t"}});
    let event = Event::read(&stored.to_string()).unwrap();
    let recalled = rig.machine.recall(&event);
    assert_eq!(rig.machine.chat_of(recalled).as_deref(), Some("old"));
    rig.submit(reply(recalled.number(), true, false));
    let frame: Value = serde_json::from_str(&rig.log()[0][2..]).unwrap();
    let action = &frame["action"];
    assert_eq!((&action["chat_id"], &action["reply_to"]), (&json!("old"), &json!("m0")));
    assert_eq!(action["metadata"]["thread_id"], json!("t"));
    // Later deliveries have later numbers, and nothing waits to be settled.
    message(&mut rig, "discord", "m2", &json!({}));
    assert_eq!(rig.machine.chat_of(DeliveryId::from_number(recalled.number() + 1)).as_deref(), Some("c"));
    assert_eq!(rig.machine.usage().unsettled_deliveries, 0);
}
