//! Ends of turns, interrupts, busy sessions, and what the agent may not do.

use super::world::{World, config};
use crate::{Busy, Settling};
use relayline_core::command::FailureKind;
use relayline_core::output::Outcome;
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn every_reason_but_the_usual_has_one_line() {
    for (reason, line, bracket) in [
        ("end_turn", "", "done"),
        ("max_tokens", "its limit of tokens", "done"),
        ("max_turn_requests", "its limit of requests", "done"),
        ("refusal", "refused to continue", "failed"),
        ("cancelled", "Stopped.", "stopped"),
    ] {
        let mut world = World::ready(config(), json!({}));
        let prompt = world.open("k", "s");
        world.chunk("s", "text");
        world.seen();
        world.respond(&prompt, json!({ "stopReason": reason }));
        let seen = world.seen();
        let notified = seen.iter().filter(|text| text.ends_with('■')).count();
        assert_eq!(notified, 1, "{seen:?}");
        assert_eq!(seen.last().unwrap(), &format!("<1 {bracket}>"), "{reason}");
        if line.is_empty() {
            assert_eq!(seen, ["text ■", "<1 done>"]);
        } else {
            assert!(seen[0].starts_with("text\n\n") && seen[0].contains(line), "{seen:?}");
        }
    }
}

#[test]
fn a_turn_without_a_text_says_so() {
    let mut world = World::ready(config(), json!({}));
    let prompt = world.open("k", "s");
    world.end_turn(&prompt);
    assert_eq!(world.seen(), ["<1 begin>", "[1] The agent finished without a reply. ■", "<1 done>"]);
}

#[test]
fn an_interrupt_cancels_and_nothing_follows() {
    let mut world = World::ready(config(), json!({}));
    let prompt = world.open("k", "s");
    world.chunk("s", "half");
    world.seen();
    world.machine.handle_interrupt(world.now, "other");
    world.drain();
    assert!(world.written.is_empty(), "exactly this session");
    world.machine.handle_interrupt(world.now, "k");
    world.drain();
    assert_eq!(world.request("session/cancel")["params"]["sessionId"], "s");
    world.chunk("s", " and more");
    world.update("s", json!({ "sessionUpdate": "tool_call", "toolCallId": "t", "title": "Late" }));
    world.pass(Duration::from_secs(3));
    world.respond(&prompt, json!({ "stopReason": "cancelled" }));
    assert_eq!(world.seen(), ["<1 stopped>"]);
    assert_eq!((world.machine.stats().late_updates, world.machine.is_idle()), (2, true));
}

#[test]
fn stop_does_the_same_and_answers() {
    let mut world = World::ready(config(), json!({}));
    world.hear("k", " /STOP ");
    assert_eq!(world.seen(), ["[1] There is nothing to stop. ■"]);
    let prompt = world.open("k", "s");
    world.seen();
    world.hear("k", "/stop");
    world.request("session/cancel");
    world.hear("k", "/stop");
    world.respond(&prompt, json!({ "stopReason": "cancelled" }));
    assert_eq!(world.seen(), ["<2 stopped>", "[3] Stopped. ■", "[4] It is being stopped. ■"]);
    assert!(world.settled.values().all(|outcome| *outcome == Outcome::Accepted) && world.settled.len() == 4);
}

#[test]
fn a_message_whose_session_is_not_open_yet_can_be_stopped() {
    let mut world = World::ready(config(), json!({}));
    world.hear("k", "hello");
    let new = world.request("session/new");
    world.hear("k", "/stop");
    assert_eq!((world.settled[&1], world.seen()), (Outcome::Accepted, vec!["[2] Stopped. ■".to_owned()]));
    world.respond(&new, json!({ "sessionId": "s" }));
    assert!(world.written.is_empty(), "it is not prompted");
}

#[test]
fn a_session_that_does_not_end_a_cancelled_turn_is_abandoned() {
    let mut world = World::ready(config(), json!({ "sessionCapabilities": { "resume": {} } }));
    let prompt = world.open("k", "s");
    world.hear("k", "next");
    world.machine.handle_interrupt(world.now, "k");
    world.drain();
    world.request("session/cancel");
    world.pass(Duration::from_secs(10));
    // Not resumed: the agent still works there.
    let new = world.request("session/new");
    world.chunk("s", "still here");
    world.respond(&prompt, json!({ "stopReason": "end_turn" }));
    world.respond(&new, json!({ "sessionId": "s2" }));
    world.request("session/prompt");
    let seen = world.seen();
    assert!(seen.iter().any(|line| line.contains("This is a new conversation")), "{seen:?}");
    let stats = world.machine.stats();
    assert_eq!((stats.sessions_abandoned, stats.stray_updates, stats.stray_responses), (1, 1, 1));
}

#[test]
fn a_silent_turn_is_cancelled_after_the_time_out() {
    let mut world = World::ready(config(), json!({}));
    let prompt = world.open("k", "s");
    world.pass(Duration::from_secs(29 * 60));
    world.chunk("s", "alive");
    world.pass(Duration::from_secs(29 * 60));
    assert!(world.written.is_empty(), "each report begins the time anew");
    world.pass(Duration::from_secs(60));
    world.request("session/cancel");
    world.seen();
    world.respond(&prompt, json!({ "stopReason": "cancelled" }));
    let seen = world.seen();
    assert!(seen[0].starts_with("alive\n\n") && seen[0].contains("for too long"), "{seen:?}");
    assert_eq!(seen[1..], ["<1 failed>"]);
}

#[test]
fn a_busy_session_queues_interrupts_or_rejects() {
    for busy in [Busy::Enqueue, Busy::Interrupt, Busy::Reject] {
        let mut config = config();
        config.busy = busy;
        let mut world = World::ready(config, json!({}));
        let prompt = world.open("k", "s");
        world.seen();
        world.hear("k", "second");
        match busy {
            Busy::Enqueue => {
                assert!(world.written.is_empty() && world.seen().is_empty());
                world.end_turn(&prompt);
            }
            Busy::Interrupt => {
                world.request("session/cancel");
                world.respond(&prompt, json!({ "stopReason": "cancelled" }));
            }
            Busy::Reject => {
                let seen = world.seen();
                assert!(seen.len() == 1 && seen[0].starts_with("[2] The agent is still working"), "{seen:?}");
                world.end_turn(&prompt);
                assert!(world.written.is_empty() && world.settled[&2] == Outcome::Accepted);
                continue;
            }
        }
        assert_eq!(world.request("session/prompt")["params"]["prompt"][0]["text"], "second");
    }
}

#[test]
fn x_1_waiting_messages_are_bounded() {
    let mut config = config();
    (config.limits.acp_session_waiting, config.limits.acp_waiting) = (2, 3);
    let mut world = World::ready(config, json!({}));
    world.open("k", "s");
    for text in ["a", "b", "c"] {
        world.hear("k", text);
    }
    assert!(world.seen().last().unwrap().starts_with("[4] Too many messages are waiting"));
    world.hear("other", "d");
    world.seen();
    // Of all sessions: further ones are refused, and what ends a turn still arrives.
    world.hear("third", "e");
    assert!(world.seen()[0].starts_with("[6] Too many messages are waiting"));
    world.buffered("third", "f");
    assert_eq!((world.settled[&6], world.settled[&7]), (Outcome::Accepted, Outcome::Refused));
    assert!(world.seen().is_empty(), "it is delivered again");
    assert_eq!(world.machine.stats().messages_rejected, 3);
    world.request("session/new");
    world.hear("k", "/stop");
    world.request("session/cancel");
    assert!(world.machine.takes_deliveries());
}

#[test]
fn it_cannot_one_line_and_a_warning() {
    let mut world = World::ready(config(), json!({}));
    world.hear("k", "one");
    world.hear("k", "two");
    let new = world.request("session/new");
    world.fail(&new, -32000, "SECRET account 42");
    let seen = world.seen();
    assert_eq!(seen, ["[1] The agent could not do this. Please try again later. ■"]);
    assert!(world.logs.iter().any(|log| log.contains("SECRET account 42") && log.contains("--acp-auth")));
    assert_eq!(world.settled.values().collect::<Vec<_>>(), [&Outcome::Accepted; 2]);
    // The next message tries again.
    let prompt = world.open("k", "s");
    world.seen();
    world.fail(&prompt, -32603, "SECRET crash");
    assert_eq!(world.seen(), ["[3] The agent could not do this. Please try again later. ■", "<3 failed>"]);
}

#[test]
fn with_a_queue_what_the_agent_cannot_do_is_refused() {
    let mut config = config();
    config.settling = Settling::TurnEnded;
    let mut world = World::ready(config, json!({}));
    world.hear("k", "one");
    let new = world.request("session/new");
    world.fail(&new, -32603, "no");
    let prompt = world.open("k", "s");
    world.fail(&prompt, -32603, "no");
    assert_eq!(world.settled.values().collect::<Vec<_>>(), [&Outcome::Refused; 2]);
}

#[test]
fn a_session_that_the_agent_has_forgotten_is_opened_anew() {
    let mut world = World::ready(config(), json!({}));
    let prompt = world.open("k", "s");
    world.fail(&prompt, -32002, "no such session");
    world.hear("k", "again");
    let new = world.request("session/new");
    world.respond(&new, json!({ "sessionId": "s2" }));
    assert_eq!(world.request("session/prompt")["params"]["sessionId"], "s2");
    assert!(world.seen().iter().any(|line| line.contains("This is a new conversation")));
}

#[test]
fn an_id_of_another_session_is_not_used_twice() {
    let mut world = World::ready(config(), json!({}));
    world.open("a", "s");
    world.hear("b", "hello");
    let new = world.request("session/new");
    world.seen();
    world.respond(&new, json!({ "sessionId": "s" }));
    assert_eq!(world.seen(), ["[2] The agent could not do this. Please try again later. ■"]);
    assert!(world.written.is_empty());
}

#[test]
fn a_session_that_does_not_open_in_time_cannot() {
    let mut world = World::ready(config(), json!({}));
    world.hear("k", "one");
    world.request("session/new");
    world.say(json!({ "jsonrpc": "2.0", "method": "_alive" }));
    world.pass(Duration::from_secs(60));
    assert_eq!((world.seen().len(), world.agent_ends), (1, 0));
    assert_eq!(world.settled[&1], Outcome::Accepted);
}

#[test]
fn an_agent_that_says_nothing_is_ended_and_messages_wait() {
    let mut world = World::ready(config(), json!({}));
    world.hear("k", "one");
    world.hear("other", "two");
    world.pass(Duration::from_secs(60));
    assert_eq!((world.agent_ends, world.seen().len(), world.settled.len()), (1, 0, 0));
    world.die();
    world.start_agent(json!({}));
    let new = world.request("session/new");
    world.respond(&new, json!({ "sessionId": "s" }));
    world.request("session/new");
    assert_eq!(world.request("session/prompt")["params"]["prompt"][0]["text"], "one");
}

#[test]
fn files_and_terminals_are_not_found() {
    let mut world = World::ready(config(), json!({}));
    world.open("k", "s");
    for method in ["fs/read_text_file", "fs/write_text_file", "terminal/create", "_vendor/x", "session/new"] {
        world.say(json!({ "jsonrpc": "2.0", "id": method, "method": method, "params": {} }));
        let answer = world.written.pop_front().unwrap();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(method), &json!(-32601)));
    }
    assert_eq!(world.machine.stats().unknown_requests, 5);
}

#[test]
fn bytes_of_the_agent_never_matter() {
    let mut world = World::ready(config(), json!({}));
    let prompt = world.open("k", "s");
    let lines: [&[u8]; 9] = [
        b"\xff\xfe",
        b"{",
        b"[[[[",
        b"null",
        br#"{"jsonrpc":"2.0","id":99,"result":{}}"#,
        br#"{"jsonrpc":"2.0","id":1.5,"result":{}}"#,
        br#"{"jsonrpc":"2.0","method":"session/update","params":[1,2]}"#,
        br#"{"jsonrpc":"2.0","method":"$/cancel_request","params":{"requestId":1}}"#,
        br#"{"jsonrpc":"2.0","method":"_x"}"#,
    ];
    for line in lines {
        world.machine.handle_line(world.now, line);
    }
    world.machine.handle_overlong_line();
    world.machine.handle_line(world.now, b"  ");
    world.drain();
    let stats = world.machine.stats();
    assert_eq!((stats.invalid_lines, stats.stray_responses, stats.overlong_lines), (5, 1, 1));
    assert_eq!((stats.invalid_payloads, stats.unknown_notifications), (1, 1));
    world.respond(&prompt, Value::from("not an object"));
    assert!(world.seen().last().unwrap().contains("failed"));
}

#[test]
fn m_7_the_end_of_an_answer_survives_newer_deliveries() {
    for by_edits in [false, true] {
        let mut world = World::ready(config(), json!({}));
        let prompt = world.open("k", "s");
        if by_edits {
            world.chunk("s", "Half");
        }
        world.seen();
        world.forgets = true;
        world.chunk("s", " the rest");
        world.end_turn(&prompt);
        let seen = world.seen();
        assert!(seen.len() == 1 && seen[0].ends_with("the rest ■"), "{seen:?}");
        assert_eq!((world.machine.is_idle(), world.machine.stats().answers_lost), (true, 0));
    }
}

#[test]
fn m_7_the_line_of_a_turn_survives_newer_deliveries() {
    let mut world = World::ready(config(), json!({}));
    let prompt = world.open("k", "s");
    world.seen();
    world.forgets = true;
    world.end_turn(&prompt);
    assert_eq!(world.seen(), ["The agent finished without a reply. ■"]);
    assert!(world.machine.is_idle());
}

/// A turn whose relay is down names its place, too, and waits.
#[test]
fn an_answer_that_names_its_place_is_tried_again() {
    let mut world = World::ready(config(), json!({}));
    let prompt = world.open("k", "s");
    world.chunk("s", "text");
    world.failure = Some(FailureKind::Definite);
    world.end_turn(&prompt);
    world.pass(Duration::from_secs(20));
    assert!(!world.machine.is_idle());
    world.failure = None;
    world.seen();
    world.pass(Duration::from_secs(5));
    assert_eq!(world.seen(), ["text ■", "<1 done>"]);
}
