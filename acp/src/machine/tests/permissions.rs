//! Permission requests.

use super::world::{World, config};
use crate::{ApprovalPolicy, Busy, HostOp};
use relayline_core::approver::Approver;
use relayline_core::command::{Command, FailureKind};
use relayline_core::event::{Media, PromptResponse};
use relayline_core::output::Outcome;
use serde_json::{Value, json};
use std::time::Duration;

/// Passes in a permission request of the session `s`.
pub(super) fn ask(world: &mut World, id: &str) {
    ask_in(world, "s", id);
}

/// Passes in a permission request with an option that allows and one that rejects.
pub(super) fn ask_in(world: &mut World, session: &str, id: &str) {
    let options = json!([
        { "optionId": "yes please", "name": "Allow", "kind": "allow_once" },
        { "optionId": "no thanks", "name": "Reject", "kind": "reject_once" },
    ]);
    let tool_call = json!({ "toolCallId": "t", "title": "Run ls" });
    let params = json!({ "sessionId": session, "toolCall": tool_call, "options": options });
    world
        .say(json!({ "jsonrpc": "2.0", "id": id, "method": "session/request_permission", "params": params }));
}

/// Returns the next answer to the agent: the chosen option, or `cancelled`.
#[track_caller]
pub(super) fn answer(world: &mut World, id: &str) -> String {
    let answer = world.written.pop_front().expect("there is an answer");
    assert_eq!(answer["id"], id, "{answer}");
    let outcome = &answer["result"]["outcome"];
    outcome["optionId"].as_str().or(outcome["outcome"].as_str()).unwrap().to_owned()
}

/// Starts a turn that asks for a permission. Returns the prompt's request.
fn asking(world: &mut World) -> Value {
    let prompt = world.open("k", "s");
    ask(world, "p");
    prompt
}

#[test]
fn i_4_only_the_author_of_the_turn_may_answer() {
    let mut world = World::ready(config(), json!({}));
    asking(&mut world);
    assert_eq!(world.seen(), ["<1 begin>", "? acp-1 🔐 Run ls"]);
    world.press("k", "acp-1", "1", "u2");
    world.press("k", "acp-1", "1", "u2");
    assert!(world.written.is_empty());
    assert_eq!(world.seen(), ["[2] Only the person who started this turn, or an approver, may answer this."]);
    world.press("k", "acp-1", "2", "u1");
    assert_eq!(answer(&mut world, "p"), "no thanks");
    world.press("k", "acp-1", "1", "u1");
    assert_eq!(world.seen(), ["[5] This question is no longer open. ■"]);
    assert!(world.settled.values().all(|outcome| *outcome == Outcome::Accepted) && world.settled.len() == 5);
    let stats = world.machine.stats();
    assert_eq!((stats.answers_unauthorized, stats.answers_stale), (2, 1));
}

#[test]
fn i_4_users_without_ids_answer_in_their_own_chat_only() {
    let mut world = World::ready(config(), json!({}));
    let mut message = world.message("k", "hello");
    message.event.source.user_id = None;
    world.deliver(message);
    let new = world.request("session/new");
    world.respond(&new, json!({ "sessionId": "s" }));
    world.request("session/prompt");
    ask(&mut world, "p");
    for (chat, user, answers) in [("other", None, false), ("k", Some("u1"), false), ("k", None, true)] {
        let mut message = world.message(chat, "");
        message.event.source.user_id = user.map(Into::into);
        let mut response = PromptResponse::default();
        (response.prompt_id, response.option_id) = ("acp-1".into(), "1".into());
        message.event.prompt_response = Some(response);
        world.deliver(message);
        assert_eq!(!world.written.is_empty(), answers, "{chat} {user:?}");
    }
}

#[test]
fn a_prompt_names_its_platform_if_it_is_fronted() {
    for (platforms, named) in [(vec!["slack".to_owned()], Some("slack")), (Vec::new(), None)] {
        let mut config = config();
        config.platforms = platforms;
        let mut world = World::ready(config, json!({}));
        let mut message = world.message("k", "hello");
        message.event.source.platform = "slack".into();
        world.deliver(message);
        let new = world.request("session/new");
        world.respond(&new, json!({ "sessionId": "s" }));
        world.holds = true;
        ask(&mut world, "p");
        let Some((_, HostOp::Command(command))) = world.held.pop_back() else { panic!("it is asked") };
        let Command::Op(op) = *command else { panic!("{command:?}") };
        assert_eq!(op.platform(), named);
    }
}

#[test]
fn an_approver_may_answer_too() {
    let mut config = config();
    config.approvals.approvers = vec![Approver { platform: None, user_id: "boss".to_owned() }];
    let mut world = World::ready(config, json!({}));
    asking(&mut world);
    world.press("elsewhere", "acp-1", "1", "boss");
    assert_eq!(answer(&mut world, "p"), "yes please");
}

#[test]
fn i_5_without_buttons_the_same_is_asked_as_text() {
    for (kind, has_text) in [
        (FailureKind::Unsupported, true),
        (FailureKind::Rejected, true),
        (FailureKind::Declined, false),
        (FailureKind::Definite, false),
    ] {
        let mut world = World::ready(config(), json!({}));
        let prompt = world.open("k", "s");
        world.seen();
        (world.failure, world.holds) = (Some(kind), true);
        ask(&mut world, "p");
        let (id, op) = world.held.pop_front().unwrap();
        world.holds = false;
        world.perform(id, op);
        world.failure = None;
        world.drain();
        if !has_text {
            assert_eq!((answer(&mut world, "p").as_str(), world.seen().len()), ("cancelled", 0), "{kind:?}");
            continue;
        }
        let question = "[1] 🔐 Run ls\n\n1. Allow\n2. Reject\nAnswer with a number.";
        assert_eq!(world.seen(), [question], "{kind:?}");
        let mut other = world.message("k", "1");
        other.event.source.user_id = Some("u2".into());
        world.deliver(other);
        assert!(world.written.is_empty(), "it is an ordinary message");
        world.hear("k", "1");
        assert_eq!(answer(&mut world, "p"), "yes please");
        assert_eq!(world.settled[&3], Outcome::Accepted);
        world.end_turn(&prompt);
        assert_eq!(
            world.request("session/prompt")["params"]["prompt"][0]["text"],
            "1",
            "the other's message"
        );
    }
}

#[test]
fn a_request_expires_and_the_silence_begins_then() {
    let mut world = World::ready(config(), json!({}));
    asking(&mut world);
    world.pass(Duration::from_secs(599));
    assert!(world.written.is_empty());
    world.pass(Duration::from_secs(1));
    assert_eq!(answer(&mut world, "p"), "cancelled");
    assert_eq!(world.machine.stats().permissions_expired, 1);
    world.pass(Duration::from_secs(29 * 60));
    assert!(world.written.is_empty());
    world.pass(Duration::from_secs(60));
    world.request("session/cancel");
}

#[test]
fn interrupt_disconnect_and_the_end_cancel_open_requests() {
    for what in ["interrupt", "stop", "disconnect", "withdrawn", "busy", "end", "shutdown"] {
        let mut config = config();
        config.busy = Busy::Interrupt;
        let mut world = World::ready(config, json!({}));
        let prompt = asking(&mut world);
        match what {
            "interrupt" => world.machine.handle_interrupt(world.now, "k"),
            "stop" => world.hear("k", "/stop"),
            "disconnect" => world.machine.handle_disconnected(world.now),
            "busy" => world.hear("k", "something else"),
            "end" => world.end_turn(&prompt),
            "shutdown" => world.machine.handle_shutdown(world.now),
            _ => {
                let params = json!({ "requestId": "p" });
                world.say(json!({ "jsonrpc": "2.0", "method": "$/cancel_request", "params": params }));
            }
        }
        world.drain();
        if matches!(what, "interrupt" | "stop" | "busy" | "shutdown") {
            world.request("session/cancel");
        }
        assert_eq!(answer(&mut world, "p"), "cancelled", "{what}");
        world.press("k", "acp-1", "1", "u1");
        assert!(world.written.is_empty(), "{what}: it is answered once");
    }
}

#[test]
fn after_a_death_an_answer_is_too_late() {
    let mut world = World::ready(config(), json!({}));
    asking(&mut world);
    world.die();
    world.press("k", "acp-1", "1", "u1");
    assert!(world.written.is_empty());
    assert!(world.seen().last().unwrap().contains("no longer open"));
}

#[test]
fn an_unattended_gateway_asks_nobody() {
    for (policy, expected) in [(ApprovalPolicy::Allow, "yes please"), (ApprovalPolicy::Deny, "no thanks")] {
        let mut config = config();
        config.approvals.policy = policy.clone();
        let mut world = World::ready(config, json!({}));
        asking(&mut world);
        assert_eq!(answer(&mut world, "p"), expected);
        assert_eq!(world.seen(), ["<1 begin>"]);
    }
}

#[test]
fn an_unattended_gateway_permits_nothing_after_a_stop() {
    for what in ["stop", "shutdown", "foreign", "no turn"] {
        let mut config = config();
        config.approvals.policy = ApprovalPolicy::Allow;
        let mut world = World::ready(config, json!({}));
        let prompt = world.open("k", if what == "foreign" { "other" } else { "s" });
        match what {
            "stop" => world.hear("k", "/stop"),
            "shutdown" => world.machine.handle_shutdown(world.now),
            "no turn" => world.end_turn(&prompt),
            _ => {}
        }
        world.drain();
        world.written.clear();
        ask(&mut world, "p");
        assert_eq!(answer(&mut world, "p"), "cancelled", "{what}");
    }
}

#[test]
fn a_message_with_a_file_or_without_a_text_is_no_answer() {
    let mut world = World::ready(config(), json!({}));
    let prompt = world.open("k", "s");
    let options = json!([{ "optionId": "yes", "name": "", "kind": "allow_once" }]);
    let params = json!({ "sessionId": "s", "toolCall": { "toolCallId": "t" }, "options": options });
    let request =
        json!({ "jsonrpc": "2.0", "id": "p", "method": "session/request_permission", "params": params });
    world.say(request);
    world.hear("k", "");
    let mut message = world.message("k", "1");
    message.event.media = vec![Media::default()];
    world.deliver(message);
    assert!(world.written.is_empty());
    world.end_turn(&prompt);
    assert_eq!(answer(&mut world, "p"), "cancelled");
    world.request("session/prompt");
}

#[test]
fn x_1_open_requests_are_bounded_and_need_a_turn() {
    let mut config = config();
    config.limits.acp_permissions = 2;
    let mut world = World::ready(config, json!({}));
    let prompt = world.open("k", "s");
    for id in ["a", "b", "c"] {
        ask(&mut world, id);
    }
    assert_eq!(answer(&mut world, "c"), "cancelled");
    world.end_turn(&prompt);
    assert_eq!((answer(&mut world, "a"), answer(&mut world, "b")), ("cancelled".into(), "cancelled".into()));
    ask(&mut world, "d");
    assert_eq!(answer(&mut world, "d"), "cancelled");
    assert_eq!(world.machine.stats().permissions_dropped, 2);
    world.say(json!({ "jsonrpc": "2.0", "id": 5, "method": "session/request_permission", "params": {} }));
    assert_eq!(world.written.pop_front().unwrap()["error"]["code"], -32602);
}

#[test]
fn answers_by_text_are_for_the_oldest_request() {
    let mut world = World::ready(config(), json!({}));
    world.open("k", "s");
    for _ in 0..8 {
        ask(&mut world, "p");
        world.hear("k", "allow");
        assert_eq!(answer(&mut world, "p"), "yes please");
    }
    // Their prompts are the ninth and the tenth.
    ask(&mut world, "older");
    ask(&mut world, "newer");
    world.hear("k", "2");
    assert_eq!(answer(&mut world, "older"), "no thanks");
}

#[test]
fn a_prompt_that_may_have_been_shown_stays_open() {
    let mut world = World::ready(config(), json!({}));
    world.open("k", "s");
    world.failure = Some(FailureKind::Ambiguous);
    ask(&mut world, "p");
    assert!(world.written.is_empty());
    world.press("k", "acp-1", "1", "u1");
    assert_eq!(answer(&mut world, "p"), "yes please");
}
