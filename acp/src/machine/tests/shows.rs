//! Turns as chats see them.

use super::world::{World, config};
use crate::{Fetched, HostOp, HostResult};
use relayline_core::command::FailureKind;
use relayline_core::event::Media;
use serde_json::{Value, json};
use std::time::Duration;

fn tool(id: &str, status: &str) -> Value {
    json!({ "sessionUpdate": "tool_call", "toolCallId": id, "title": format!("Step {id}"), "status": status })
}

fn message_chunk(id: &str, text: &str) -> Value {
    let content = json!({ "type": "text", "text": text });
    json!({ "sessionUpdate": "agent_message_chunk", "messageId": id, "content": content })
}

#[test]
fn chunks_are_one_growing_reply_that_completes_the_turn() {
    let mut world = World::ready(config(), json!({}));
    let prompt = world.open("k", "s");
    world.chunk("s", "Hel");
    world.chunk("s", "lo");
    world.pass(Duration::from_millis(250));
    world.end_turn(&prompt);
    assert_eq!(world.seen(), ["<1 begin>", "Hel…", "Hello…", "Hello ■", "<1 done>"]);
    assert!(world.machine.is_idle());
}

#[test]
fn m_7_of_the_agents_messages_only_the_last_notifies() {
    let mut world = World::ready(config(), json!({}));
    let prompt = world.open("k", "s");
    world.update("s", message_chunk("a", "One."));
    world.update("s", message_chunk("b", "Two."));
    world.end_turn(&prompt);
    assert_eq!(world.seen(), ["<1 begin>", "One.…", "One. □", "Two. ■", "<1 done>"]);
}

#[test]
fn steps_are_one_edited_line_beside_the_answer() {
    let mut world = World::ready(config(), json!({}));
    let prompt = world.open("k", "s");
    world.update("s", tool("1", "in_progress"));
    world.update("s", tool("2", "completed"));
    world.pass(Duration::from_secs(2));
    world.chunk("s", "Done.");
    world.end_turn(&prompt);
    let steps = ["[1] ⏳ Step 1 (0 of 1 done)", "edit ⏳ Step 1 (1 of 2 done)"];
    assert_eq!(
        world.seen()[1..],
        [&steps[..], &["Done.…", "Done. ■", "edit ✔ 2 steps", "<1 done>"]].concat()
    );
}

#[test]
fn a_flood_of_chunks_is_paced() {
    let mut world = World::ready(config(), json!({}));
    let prompt = world.open("k", "s");
    for _ in 0..10_000 {
        world.chunk("s", "x");
    }
    world.pass(Duration::from_secs(1));
    world.end_turn(&prompt);
    let seen = world.seen();
    assert!(seen.len() <= 6, "{} states", seen.len());
    assert!(seen.contains(&format!("{} ■", "x".repeat(10_000))));
}

#[test]
fn x_1_an_answer_over_its_budget_is_cut_and_says_so() {
    let mut config = config();
    config.limits.acp_answer_bytes = 1024;
    let mut world = World::ready(config, json!({}));
    let prompt = world.open("k", "s");
    for _ in 0..100 {
        world.chunk("s", &"y".repeat(100));
    }
    world.end_turn(&prompt);
    let seen = world.seen();
    let last = format!("{}\n\nThe rest of this answer was too long, and is left out. ■", "y".repeat(1024));
    assert!(seen.contains(&last), "{seen:?}");
    assert_eq!(world.machine.stats().answer_bytes_dropped, 100 * 100 - 1024);
}

#[test]
fn thoughts_and_usage_are_counted_or_shown() {
    let thought =
        json!({ "sessionUpdate": "agent_thought_chunk", "content": { "type": "text", "text": "hm" } });
    let usage = json!({ "sessionUpdate": "usage_update", "used": 7, "size": 9 });
    let unknown = json!({ "sessionUpdate": "of_the_future", "x": 1 });
    for verbose in [false, true] {
        let mut config = config();
        config.verbose = verbose;
        let mut world = World::ready(config, json!({}));
        let prompt = world.open("k", "s");
        for update in [&thought, &usage, &unknown] {
            world.update("s", update.clone());
        }
        world.chunk("s", "Hi");
        world.end_turn(&prompt);
        let seen = world.seen().join("|");
        let shown = ["💭 hm\n", "💭 7 of 9 tokens of context are used.\n", "💭 Update: of_the_future\n"];
        assert_eq!(shown.iter().all(|text| seen.contains(text)), verbose, "{seen}");
        assert_eq!(seen.contains("💭"), verbose, "{seen}");
        assert!(seen.ends_with("Hi ■|<1 done>"), "{seen}");
        let stats = world.machine.stats();
        assert_eq!((stats.thoughts, stats.usage_updates, stats.other_updates), (1, 1, 1));
    }
}

#[test]
fn updates_that_belong_to_no_turn_are_counted() {
    let mut world = World::ready(config(), json!({}));
    let prompt = world.open("k", "s");
    world.chunk("other", "x");
    world.say(json!({ "jsonrpc": "2.0", "method": "session/update", "params": { "sessionId": "s" } }));
    world.update("s", json!({ "sessionUpdate": "tool_call", "toolCallId": 7 }));
    world.end_turn(&prompt);
    world.chunk("s", "late");
    let stats = world.machine.stats();
    assert_eq!((stats.stray_updates, stats.invalid_payloads, stats.other_updates), (2, 1, 1));
    assert!(!world.seen().iter().any(|line| line.contains("late") || line.contains('x')));
}

#[test]
fn an_image_is_fetched_and_passed_within_the_prompt() {
    let images = json!({ "promptCapabilities": { "image": true } });
    let mut world = World::ready(config(), images);
    world.hear_file("k", "image/png");
    let new = world.request("session/new");
    world.respond(&new, json!({ "sessionId": "s" }));
    let Some((id, HostOp::Fetch { media, inline })) = world.held.pop_front() else { panic!("it is fetched") };
    assert_eq!((media.url.as_str(), inline), ("https://c.example/f", 4 << 20));
    assert!(world.written.is_empty(), "the prompt waits for the file");
    let content = Some(b"png".to_vec());
    let fetched = Fetched { path: "/tmp/f".into(), mime: None, size: 3, content };
    world.machine.handle_result(world.now, id, HostResult::Fetch(Ok(fetched)));
    world.drain();
    let prompt = world.request("session/prompt");
    assert_eq!(prompt["params"]["prompt"][1]["data"], "cG5n");
}

#[test]
fn x_1_images_of_a_message_share_a_budget() {
    let mut config = config();
    config.limits.acp_inline_bytes = 5;
    let mut world = World::ready(config, json!({ "promptCapabilities": { "image": true } }));
    let mut message = world.message("k", "look");
    let mut media = Media::default();
    (media.url, media.mime) = ("https://c.example/f".into(), Some("image/png".into()));
    message.event.media = vec![media; 3];
    world.deliver(message);
    let new = world.request("session/new");
    world.respond(&new, json!({ "sessionId": "s" }));
    for content in ["abc", "def", "gh"] {
        let Some((id, HostOp::Fetch { .. })) = world.held.pop_front() else { panic!("it is fetched") };
        let content = Some(content.as_bytes().to_vec());
        let fetched = Fetched { path: "/tmp/f".into(), mime: None, size: 3, content };
        world.machine.handle_result(world.now, id, HostResult::Fetch(Ok(fetched)));
    }
    world.drain();
    let prompt = world.request("session/prompt");
    let kinds: Vec<&Value> =
        prompt["params"]["prompt"].as_array().unwrap().iter().map(|block| &block["type"]).collect();
    assert_eq!(kinds, ["text", "image", "resource_link", "image"]);
}

#[test]
fn a_file_that_is_not_fetched_in_time_is_named() {
    let mut world = World::ready(config(), json!({}));
    world.hear_file("k", "image/png");
    let new = world.request("session/new");
    world.respond(&new, json!({ "sessionId": "s" }));
    let (id, _) = world.held.pop_front().unwrap();
    world.pass(Duration::from_secs(299));
    assert!(world.written.is_empty());
    world.pass(Duration::from_secs(1));
    let blocks = world.request("session/prompt")["params"]["prompt"].clone();
    assert!(blocks[1]["text"].as_str().unwrap().contains("is not available"), "{blocks}");
    let late = Fetched { path: "/tmp/f".into(), mime: None, size: 3, content: None };
    world.machine.handle_result(world.now, id, HostResult::Fetch(Ok(late)));
    assert_eq!((world.machine.stats().files_failed, world.machine.stats().stray_results), (1, 1));
}

#[test]
fn a_file_that_cannot_be_fetched_does_not_stop_its_message() {
    let mut world = World::ready(config(), json!({}));
    world.hear_file("k", "image/png");
    let new = world.request("session/new");
    world.respond(&new, json!({ "sessionId": "s" }));
    let Some((id, HostOp::Fetch { inline, .. })) = world.held.pop_front() else { panic!("it is fetched") };
    assert_eq!(inline, 0, "the agent takes no images");
    world.machine.handle_result(world.now, id, HostResult::Fetch(Err("gone".to_owned())));
    world.drain();
    let blocks = world.request("session/prompt")["params"]["prompt"].clone();
    assert!(blocks[1]["text"].as_str().unwrap().contains("is not available"), "{blocks}");
    assert_eq!(world.machine.stats().files_failed, 1);
}

#[test]
fn the_end_of_an_answer_waits_for_a_connection() {
    let mut world = World::ready(config(), json!({}));
    let prompt = world.open("k", "s");
    world.machine.handle_disconnected(world.now);
    world.chunk("s", "Hello");
    world.end_turn(&prompt);
    assert_eq!(world.seen(), ["<1 begin>"]);
    world.pass(Duration::from_secs(200));
    world.machine.handle_connected(world.now);
    world.drain();
    assert_eq!(world.seen(), ["Hello ■", "<1 done>"]);
}

#[test]
fn a_new_connection_begins_the_bracket_again_and_waits_for_nothing() {
    let mut world = World::ready(config(), json!({}));
    let prompt = world.open("k", "s");
    world.seen();
    let reconnect = |world: &mut World| {
        world.machine.handle_disconnected(world.now);
        world.machine.handle_connected(world.now);
        world.drain();
    };
    reconnect(&mut world);
    assert_eq!(world.seen(), ["<1 begin>"]);
    world.chunk("s", "Hello");
    world.failure = Some(FailureKind::Definite);
    world.end_turn(&prompt);
    world.failure = None;
    world.seen();
    reconnect(&mut world);
    assert_eq!(world.seen(), ["Hello ■", "<1 done>"]);
}

#[test]
fn an_answer_is_tried_again_after_a_definite_failure_only() {
    for (kind, again) in [
        (FailureKind::Definite, true),
        (FailureKind::Ambiguous, false),
        (FailureKind::Declined, false),
        (FailureKind::Rejected, false),
    ] {
        let mut world = World::ready(config(), json!({}));
        let prompt = world.open("k", "s");
        world.chunk("s", "Hello");
        world.seen();
        world.failure = Some(kind);
        world.end_turn(&prompt);
        world.failure = None;
        world.pass(Duration::from_secs(5));
        let expected: &[&str] = if again { &["Hello ■", "<1 done>"] } else { &["<1 done>"] };
        assert_eq!(world.seen(), expected, "{kind:?}");
        assert!(world.machine.is_idle());
    }
}

#[test]
fn an_answer_that_cannot_be_sent_in_time_is_lost_and_counted() {
    let mut world = World::ready(config(), json!({}));
    let prompt = world.open("k", "s");
    world.chunk("s", "Hello");
    world.failure = Some(FailureKind::Definite);
    world.end_turn(&prompt);
    world.pass(Duration::from_secs(300));
    assert!(world.machine.is_idle());
    assert_eq!(world.machine.stats().answers_lost, 1);
}
