//! Approvals of people elsewhere, and of approvers in the chat of the turn.

use super::permissions::{answer, ask, ask_in};
use super::world::{World, config};
use crate::{AcpConfig, AcpDelivery, ApprovalPolicy, ApprovalRoute, HostOp, PromptChat};
use relayline_core::approver::Approver;
use relayline_core::command::{Command, FailureKind};
use relayline_core::event::{ChatType, PromptResponse};
use relayline_core::op::{Op, Prompt};
use relayline_core::output::Outcome;
use serde_json::{Value, json};
use std::time::Duration;

const AWAITED: &str = "[1] This needs an approval, which is awaited elsewhere.";

/// Returns the configuration of a gateway on slack and discord that asks in Slack's C9.
fn routed(approvers: &[&str]) -> AcpConfig {
    let mut config = config();
    config.platforms = ["slack", "discord"].map(str::to_owned).to_vec();
    let chat = PromptChat {
        platform: "slack".to_owned(),
        chat_id: "C9".to_owned(),
        scope_id: Some("T1".to_owned()),
    };
    config.approvals.policy = ApprovalPolicy::Ask(ApprovalRoute::Chat(chat));
    config.approvals.approvers = approvers.iter().map(|user| approver(user)).collect();
    config
}

fn approver(user: &str) -> Approver {
    match user.split_once(':') {
        Some((platform, user)) => Approver { platform: Some(platform.to_owned()), user_id: user.to_owned() },
        None => Approver { platform: None, user_id: user.to_owned() },
    }
}

/// Returns a message of a user in a group of a platform, where each user has a session of their own.
fn message(world: &mut World, platform: &str, chat: &str, user: &str, text: &str) -> AcpDelivery {
    let mut message = world.message(&format!("{platform} {chat} {user}"), text);
    let source = &mut message.event.source;
    (source.platform, source.chat_id, source.chat_type) = (platform.into(), chat.into(), ChatType::Group);
    (source.user_id, source.user_name) = (Some(user.into()), Some("ada".into()));
    message
}

fn hear(world: &mut World, platform: &str, chat: &str, user: &str, text: &str) {
    let message = message(world, platform, chat, user, text);
    world.deliver(message);
}

fn press(world: &mut World, platform: &str, chat: &str, user: &str, prompt_id: &str) {
    let mut message = message(world, platform, chat, user, "");
    let mut response = PromptResponse::default();
    (response.prompt_id, response.option_id) = (prompt_id.into(), "1".into());
    message.event.prompt_response = Some(response);
    world.deliver(message);
}

/// Begins a turn of u1 in discord's c1, in the session `s`. Returns the prompt.
fn begin(world: &mut World) -> Value {
    hear(world, "discord", "c1", "u1", "hello");
    let new = world.request("session/new");
    world.respond(&new, json!({ "sessionId": "s" }));
    let prompt = world.request("session/prompt");
    world.seen();
    prompt
}

/// Begins a turn that asks for a permission.
fn asking(config: AcpConfig) -> World {
    let mut world = World::ready(config, json!({}));
    begin(&mut world);
    ask(&mut world, "p");
    world
}

#[test]
fn a_request_is_shown_in_the_approval_chat() {
    let mut world = World::ready(routed(&[]), json!({}));
    begin(&mut world);
    world.holds = true;
    ask(&mut world, "p");
    let Some((_, HostOp::Command(command))) = world.held.pop_back() else { panic!("it is asked") };
    let Command::Op(Op::Prompt(prompt)) = *command else { panic!("{command:?}") };
    let Prompt { chat_id, platform, metadata, reply_to, timeout, content, .. } = prompt;
    assert_eq!((chat_id.as_str(), platform.as_deref()), ("C9", Some("slack")));
    assert_eq!((Value::Object(metadata), reply_to), (json!({ "scope_id": "T1" }), None));
    assert_eq!(timeout, Some(Duration::from_secs(600)));
    assert_eq!(content, "For \"ada\" (u1) in c1 on discord:\n🔐 Run ls");
}

#[test]
fn the_chat_of_the_turn_gets_one_line() {
    let mut world = asking(routed(&[]));
    let seen = world.seen();
    assert!(seen.len() == 2 && seen[0].starts_with("? acp-1 For ") && seen[1] == AWAITED, "{seen:?}");
    // While that line is true, it is not repeated.
    ask(&mut world, "q");
    assert_eq!(world.seen().len(), 1);
    press(&mut world, "slack", "C9", "u7", "acp-1");
    press(&mut world, "slack", "C9", "u7", "acp-2");
    assert_eq!(
        (answer(&mut world, "p"), answer(&mut world, "q")),
        ("yes please".into(), "yes please".into())
    );
    ask(&mut world, "r");
    assert_eq!(world.seen()[1], AWAITED);
}

#[test]
fn a_turn_of_the_approval_chat_is_asked_there_without_a_line() {
    let mut world = World::ready(routed(&[]), json!({}));
    hear(&mut world, "slack", "C9", "u1", "hello");
    let new = world.request("session/new");
    world.respond(&new, json!({ "sessionId": "s" }));
    world.request("session/prompt");
    world.seen();
    ask(&mut world, "p");
    assert_eq!(world.seen().len(), 1);
    hear(&mut world, "slack", "C9", "u1", "2");
    assert_eq!(answer(&mut world, "p"), "no thanks");
}

#[test]
fn i_4_only_people_of_the_approval_chat_may_answer() {
    for (platform, chat, user, may_answer) in [
        ("slack", "C9", "u7", true),
        ("slack", "C9", "u1", true),
        // The author of the turn, in its chat.
        ("discord", "c1", "u1", false),
        ("discord", "C9", "u7", false),
        ("slack", "C8", "u7", false),
    ] {
        let mut world = asking(routed(&[]));
        world.seen();
        press(&mut world, platform, chat, user, "acp-1");
        if may_answer {
            assert_eq!(answer(&mut world, "p"), "yes please", "{platform} {chat} {user}");
            continue;
        }
        assert!(world.written.is_empty(), "{platform} {chat} {user}");
        assert_eq!(world.seen(), ["[2] Only people who were asked for this approval may answer this."]);
        assert_eq!(world.machine.stats().answers_unauthorized, 1);
        // A text there is a message for the agent.
        hear(&mut world, platform, chat, user, "1");
        assert!(world.written.iter().all(|message| message.get("result").is_none()));
    }
}

#[test]
fn i_4_with_approvers_nobody_else_may_answer_there() {
    for (approvers, user, may_answer) in [
        (&["boss"][..], "boss", true),
        (&["slack:boss"], "boss", true),
        (&["discord:boss"], "boss", false),
        (&["boss"], "u7", false),
        (&["boss"], "u1", false),
    ] {
        for by_text in [false, true] {
            let mut world = asking(routed(approvers));
            match by_text {
                true => hear(&mut world, "slack", "C9", user, "1"),
                false => press(&mut world, "slack", "C9", user, "acp-1"),
            }
            let is_answered = world.written.iter().any(|message| message["id"] == "p");
            assert_eq!(is_answered, may_answer, "{approvers:?} {user} {by_text}");
        }
    }
    // An approver elsewhere is not asked.
    let mut world = asking(routed(&["boss"]));
    press(&mut world, "discord", "c1", "boss", "acp-1");
    hear(&mut world, "discord", "c1", "boss", "1");
    assert!(world.written.iter().all(|message| message.get("result").is_none()));
}

#[test]
fn i_5_without_buttons_the_text_and_its_answer_are_there() {
    let mut world = World::ready(routed(&[]), json!({}));
    begin(&mut world);
    (world.failure, world.holds) = (Some(FailureKind::Unsupported), true);
    ask(&mut world, "p");
    let (id, op) = world.held.pop_front().unwrap();
    world.holds = false;
    world.perform(id, op);
    world.failure = None;
    world.drain();
    let question =
        "[C9] For \"ada\" (u1) in c1 on discord:\n🔐 Run ls\n\n1. Allow\n2. Reject\nAnswer with a number.";
    assert_eq!(world.seen(), [question, AWAITED]);
    assert!(world.logs.iter().any(|log| log.starts_with("acp_prompt_failed")), "{:?}", world.logs);
    hear(&mut world, "slack", "C9", "u7", "2");
    assert_eq!(answer(&mut world, "p"), "no thanks");
    assert_eq!(world.settled[&2], Outcome::Accepted);
}

#[test]
fn a_request_that_may_have_been_shown_is_awaited() {
    let mut world = World::ready(routed(&[]), json!({}));
    begin(&mut world);
    (world.failure, world.holds) = (Some(FailureKind::Ambiguous), true);
    ask(&mut world, "p");
    let (id, op) = world.held.pop_front().unwrap();
    world.perform(id, op);
    (world.failure, world.holds) = (None, false);
    world.drain();
    assert_eq!(world.seen(), [AWAITED]);
    press(&mut world, "slack", "C9", "u7", "acp-1");
    assert_eq!(answer(&mut world, "p"), "yes please");
}

/// The oldest of one's own session does not come first there: others are asked in the same chat.
#[test]
fn an_own_request_in_the_approval_chat_is_one_of_several() {
    let mut world = asking(routed(&[]));
    hear(&mut world, "slack", "C9", "u7", "hello");
    let new = world.request("session/new");
    world.respond(&new, json!({ "sessionId": "s2" }));
    world.request("session/prompt");
    ask_in(&mut world, "s2", "q");
    world.seen();
    hear(&mut world, "slack", "C9", "u7", "1");
    assert!(world.written.is_empty() && world.seen()[0].contains("Several requests"));
    hear(&mut world, "slack", "C9", "u7", "1 #1");
    assert_eq!(answer(&mut world, "p"), "yes please");
}

#[test]
fn a_request_that_cannot_be_shown_there_is_cancelled() {
    for kind in [FailureKind::Declined, FailureKind::Definite] {
        let mut world = World::ready(routed(&[]), json!({}));
        begin(&mut world);
        world.failure = Some(kind);
        ask(&mut world, "p");
        assert_eq!((answer(&mut world, "p").as_str(), world.seen().len()), ("cancelled", 0), "{kind:?}");
    }
}

#[test]
fn a_text_that_fits_several_requests_must_name_one() {
    let mut world = asking(routed(&[]));
    ask(&mut world, "q");
    world.seen();
    hear(&mut world, "slack", "C9", "u7", "allow");
    assert!(world.written.is_empty());
    let which = "[2] Several requests are open here. Add the number of the one that you mean, as in `1 #3`:";
    assert_eq!(world.seen(), [format!("{which}\n#1 🔐 Run ls\n#2 🔐 Run ls ■")]);
    hear(&mut world, "slack", "C9", "u7", "allow #2");
    assert_eq!(answer(&mut world, "q"), "yes please");
    // The last one needs no number. One that is not open is not answered.
    hear(&mut world, "slack", "C9", "u7", "2 #2");
    assert!(world.written.iter().all(|message| message.get("result").is_none()));
    world.written.clear();
    hear(&mut world, "slack", "C9", "u7", "2");
    assert_eq!(answer(&mut world, "p"), "no thanks");
}

#[test]
fn time_stop_interrupt_and_disconnect_cancel_there_too() {
    for what in ["time", "stop", "interrupt", "disconnect"] {
        let mut world = asking(routed(&[]));
        match what {
            "time" => world.pass(Duration::from_secs(600)),
            "stop" => hear(&mut world, "discord", "c1", "u1", "/stop"),
            "interrupt" => world.machine.handle_interrupt(world.now, "discord c1 u1"),
            _ => world.machine.handle_disconnected(world.now),
        }
        world.drain();
        if matches!(what, "stop" | "interrupt") {
            world.request("session/cancel");
        }
        assert_eq!(answer(&mut world, "p"), "cancelled", "{what}");
        press(&mut world, "slack", "C9", "u7", "acp-1");
        assert!(world.written.is_empty(), "{what}: it is answered once");
        assert!(world.seen().last().unwrap().contains("no longer open"));
    }
    // A stop in the approval chat is about the turn there.
    let mut world = asking(routed(&[]));
    hear(&mut world, "slack", "C9", "u7", "/stop");
    assert!(world.written.is_empty());
}

/// In a group each user has a session.
#[test]
fn i_4_an_approvers_text_counts_from_their_own_session() {
    let mut config = config();
    config.approvals.approvers = vec![approver("discord:boss"), approver("chief")];
    config.platforms = vec!["discord".to_owned(), "slack".to_owned()];
    for (platform, chat, user, may_answer) in [
        ("discord", "c1", "boss", true),
        ("discord", "c1", "u2", false),
        ("discord", "c2", "boss", false),
        ("slack", "c1", "boss", false),
        ("discord", "c1", "chief", true),
        // Another chat, whose id is the same.
        ("slack", "c1", "chief", false),
        // The author's id on another platform.
        ("slack", "c1", "u1", false),
    ] {
        let mut world = asking(config.clone());
        hear(&mut world, platform, chat, user, "1");
        let is_answered = world.written.iter().any(|message| message["id"] == "p");
        assert_eq!(is_answered, may_answer, "{platform} {chat} {user}");
    }
    let mut world = asking(config.clone());
    press(&mut world, "slack", "c1", "u1", "acp-1");
    assert!(world.written.is_empty(), "it is another user's id there");
    // Not in another thread of the chat.
    let mut world = asking(config);
    let mut message = message(&mut world, "discord", "c1", "boss", "1");
    message.event.source.thread_id = Some("t".into());
    world.deliver(message);
    assert!(world.written.iter().all(|message| message.get("result").is_none()));
}
