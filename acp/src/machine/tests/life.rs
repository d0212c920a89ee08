//! Start, sessions and death of the agent.

use super::world::{World, config};
use crate::{AcpConfig, SavedState, Settling, StopCause};
use relayline_core::output::Outcome;
use serde_json::{Value, json};
use std::time::Duration;

const RESUMES: fn() -> Value = || json!({ "sessionCapabilities": { "resume": {}, "close": {} } });

fn settling_at_end() -> AcpConfig {
    let mut config = config();
    config.settling = Settling::TurnEnded;
    config
}

#[test]
fn it_offers_no_files_and_no_terminal() {
    let mut world = World::new(config());
    world.machine.handle_agent_started(world.now);
    world.drain();
    let params = world.request("initialize")["params"].clone();
    assert_eq!(params["clientCapabilities"]["fs"], json!({ "readTextFile": false, "writeTextFile": false }));
    assert_eq!(params["clientCapabilities"]["terminal"], false);
    assert_eq!(params["clientInfo"]["name"], "relayline");
}

#[test]
fn an_agent_of_another_version_stops_the_gateway() {
    for version in [0, 2, 9] {
        let mut world = World::new(config());
        world.machine.handle_agent_started(world.now);
        world.drain();
        let request = world.request("initialize");
        world.respond(&request, json!({ "protocolVersion": version, "somethingElse": [] }));
        assert_eq!(world.stopped, Some(StopCause::Version(version)));
        assert!(world.stopped.unwrap().is_configuration());
    }
}

#[test]
fn it_authenticates_only_by_the_method_that_is_set() {
    let mut config = config();
    config.auth_method = Some("key".to_owned());
    for (offered, stops) in [("key", false), ("other", true)] {
        let mut world = World::new(config.clone());
        world.machine.handle_agent_started(world.now);
        world.drain();
        let request = world.request("initialize");
        let methods = json!([{ "id": offered, "name": "A method" }]);
        world.respond(&request, json!({ "protocolVersion": 1, "authMethods": methods }));
        if stops {
            let cause = world.stopped.unwrap();
            assert!(cause.is_configuration() && cause.to_string().contains("other (A method)"), "{cause}");
            continue;
        }
        world.hear("k", "hello");
        let request = world.request("authenticate");
        assert_eq!((&request["params"]["methodId"], world.written.len()), (&json!("key"), 0));
        world.respond(&request, json!({}));
        world.request("session/new");
    }
}

#[test]
fn a_refused_authentication_stops_the_gateway() {
    let mut config = config();
    config.auth_method = Some("key".to_owned());
    let mut world = World::new(config);
    world.machine.handle_agent_started(world.now);
    world.drain();
    let request = world.request("initialize");
    world.respond(&request, json!({ "protocolVersion": 1, "authMethods": [{ "id": "key", "name": "" }] }));
    let request = world.request("authenticate");
    world.fail(&request, -32000, "bad key");
    let cause = world.stopped.unwrap();
    assert_eq!(cause, StopCause::NotAuthenticated("bad key (-32000)".to_owned()));
    assert!(!cause.is_configuration());
}

#[test]
fn an_agent_that_does_not_answer_initialize_is_ended() {
    let mut world = World::new(config());
    world.machine.handle_agent_started(world.now);
    world.drain();
    world.pass(Duration::from_secs(59));
    assert_eq!(world.agent_ends, 0);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.agent_ends, 1);
    world.die();
    world.start_agent(json!({}));
    assert!(world.machine.agent().is_some());
}

#[test]
fn each_session_key_has_one_session() {
    let mut world = World::ready(config(), json!({}));
    let first = world.open("a", "s-a");
    assert_eq!(first["params"]["prompt"], json!([{ "type": "text", "text": "hello" }]));
    world.open("b", "s-b");
    world.end_turn(&first);
    world.hear("a", "more");
    assert_eq!(world.request("session/prompt")["params"]["sessionId"], "s-a");
    assert!(world.written.is_empty());
}

#[test]
fn the_longest_idle_session_is_closed_for_another() {
    let mut config = config();
    config.limits.acp_sessions = 2;
    let mut world = World::ready(config, RESUMES());
    for (key, id) in [("a", "s-a"), ("b", "s-b")] {
        let prompt = world.open(key, id);
        world.pass(Duration::from_secs(1));
        world.end_turn(&prompt);
    }
    world.hear("c", "hello");
    assert_eq!(world.request("session/close")["params"]["sessionId"], "s-a");
    let new = world.request("session/new");
    world.respond(&new, json!({ "sessionId": "s-c" }));
    world.request("session/prompt");
    // Only b is idle now.
    world.hear("a", "again");
    assert_eq!(world.request("session/close")["params"]["sessionId"], "s-b");
    assert_eq!(world.request("session/resume")["params"]["sessionId"], "s-a");
}

#[test]
fn a_message_waits_while_all_sessions_are_busy() {
    let mut config = config();
    config.limits.acp_sessions = 1;
    let mut world = World::ready(config, json!({}));
    let prompt = world.open("a", "s-a");
    world.hear("b", "hello");
    assert!(world.written.is_empty() && !world.settled.contains_key(&2));
    world.end_turn(&prompt);
    world.request("session/new");
}

#[test]
fn sessions_open_in_the_order_of_their_messages() {
    let mut config = config();
    config.limits.acp_sessions = 1;
    let mut world = World::ready(config, json!({}));
    let prompt = world.open("m", "s-m");
    world.hear("z", "first");
    world.hear("a", "second");
    world.end_turn(&prompt);
    let new = world.request("session/new");
    world.respond(&new, json!({ "sessionId": "s-z" }));
    assert_eq!(world.request("session/prompt")["params"]["prompt"][0]["text"], "first");
}

#[test]
fn a_8_a_delivery_is_settled_by_its_prompt() {
    let mut world = World::ready(config(), json!({}));
    world.hear("k", "hello");
    let new = world.request("session/new");
    assert!(world.settled.is_empty());
    world.respond(&new, json!({ "sessionId": "s" }));
    assert_eq!(world.settled[&1], Outcome::Accepted);
}

#[test]
fn a_7_a_buffered_message_behind_a_turn_is_settled_at_once() {
    let mut config = config();
    config.limits.acp_sessions = 1;
    let mut world = World::ready(config, json!({}));
    let prompt = world.open("k", "s");
    world.buffered("k", "next");
    // There is no room for another session.
    world.buffered("other", "hello");
    assert_eq!((world.settled[&2], world.settled[&3]), (Outcome::Accepted, Outcome::Accepted));
    world.hear("k", "not buffered");
    assert!(!world.settled.contains_key(&4));
    world.end_turn(&prompt);
    assert_eq!(world.request("session/prompt")["params"]["prompt"][0]["text"], "next");
    world.seen();
    // They are not delivered again, so that the chats are informed.
    world.machine.handle_shutdown(world.now);
    world.drain();
    let seen = world.seen();
    let is_told =
        |delivery: &str| seen.iter().any(|line| line.starts_with(delivery) && line.contains("again later"));
    assert!(is_told("[3]") && is_told("[4]"), "{seen:?}");
}

#[test]
fn a_8_a_buffered_message_that_can_begin_is_settled_by_its_prompt() {
    let mut world = World::ready(config(), json!({}));
    world.buffered("k", "hello");
    let new = world.request("session/new");
    assert!(world.settled.is_empty());
    world.respond(&new, json!({ "sessionId": "s" }));
    assert_eq!(world.settled[&1], Outcome::Accepted);
    let mut world = World::ready(settling_at_end(), json!({}));
    world.open("k", "s");
    world.buffered("k", "next");
    assert!(world.settled.is_empty(), "with a queue at its end");
}

#[test]
fn with_a_queue_a_delivery_is_settled_at_the_end_of_its_turn() {
    let mut world = World::ready(settling_at_end(), json!({}));
    let prompt = world.open("k", "s");
    world.chunk("s", "hi");
    assert!(world.settled.is_empty());
    world.end_turn(&prompt);
    assert_eq!(world.settled[&1], Outcome::Accepted);
}

#[test]
fn after_a_death_sessions_are_resumed_and_the_turn_is_reported() {
    let mut world = World::ready(config(), RESUMES());
    world.open("k", "s");
    world.chunk("s", "hal");
    world.hear("k", "next");
    world.seen();
    world.die();
    let seen = world.seen();
    assert!(
        seen[0].starts_with("hal\n\nThe agent stopped unexpectedly") && seen[0].ends_with(" ■"),
        "{seen:?}"
    );
    assert_eq!((seen[1].as_str(), seen.len()), ("<1 failed>", 2));
    // The interrupted message is not prompted again, the one that waited is.
    world.start_agent(RESUMES());
    let resume = world.request("session/resume");
    assert_eq!(resume["params"]["sessionId"], "s");
    world.respond(&resume, json!({}));
    let prompt = world.request("session/prompt");
    assert_eq!(prompt["params"]["prompt"][0]["text"], "next");
    assert_eq!(world.machine.stats().agent_deaths, 1);
}

#[test]
fn the_next_process_does_not_answer_for_the_last() {
    let mut world = World::ready(config(), RESUMES());
    let old = world.open("k", "s");
    world.die();
    world.start_agent(RESUMES());
    world.hear("k", "more");
    let resume = world.request("session/resume");
    world.respond(&resume, json!({}));
    world.request("session/prompt");
    world.end_turn(&old);
    assert!(!world.machine.is_idle());
    assert_eq!(world.machine.stats().stray_responses, 1);
}

#[test]
fn with_a_queue_the_interrupted_message_is_refused() {
    let mut world = World::ready(settling_at_end(), json!({}));
    world.open("k", "s");
    world.die();
    assert_eq!(world.settled[&1], Outcome::Refused);
    assert!(world.seen().iter().any(|line| line.contains("It will be tried again.")));
}

#[test]
fn a_loaded_session_replays_into_nothing() {
    let loads = || json!({ "loadSession": true });
    let mut world = World::ready(config(), loads());
    let prompt = world.open("k", "s");
    world.end_turn(&prompt);
    let saved = world.machine.state();
    let mut world = World::with_state(config(), &saved);
    world.start_agent(loads());
    world.hear("k", "again");
    let load = world.request("session/load");
    assert_eq!((&load["params"]["sessionId"], &load["params"]["cwd"]), (&json!("s"), &json!("/work")));
    world.chunk("s", "an old answer");
    world.respond(&load, json!({}));
    let prompt = world.request("session/prompt");
    world.chunk("s", "new");
    world.end_turn(&prompt);
    let seen = world.seen();
    assert!(!seen.iter().any(|line| line.contains("old") || line.contains("new conversation")), "{seen:?}");
    assert_eq!(world.machine.stats().replayed_updates, 1);
}

#[test]
fn a_session_that_cannot_be_resumed_is_announced_as_new() {
    let mut before = World::ready(config(), json!({}));
    before.open("k", "s");
    let saved = before.machine.state();
    // Without the capability, and where the agent refuses.
    for capabilities in [json!({}), RESUMES()] {
        let mut world = World::with_state(config(), &saved);
        world.start_agent(capabilities.clone());
        world.hear("k", "again");
        if capabilities != json!({}) {
            let resume = world.request("session/resume");
            world.fail(&resume, -32002, "unknown session");
        }
        let new = world.request("session/new");
        world.respond(&new, json!({ "sessionId": "s2" }));
        let seen = world.seen();
        assert_eq!(
            seen[..2],
            ["<1 begin>", "[1] This is a new conversation: the agent does not remember the earlier one."]
        );
        assert_eq!(seen.len(), 2, "once, and it does not complete the turn");
    }
}

#[test]
fn an_id_that_is_given_again_is_not_resumed_for_another_chat() {
    let mut world = World::ready(config(), RESUMES());
    world.open("a", "s");
    world.die();
    world.start_agent(RESUMES());
    let prompt = world.open("b", "s");
    world.hear("a", "again");
    world.request("session/new");
    world.end_turn(&prompt);
    // Nor if a file says so.
    let session = json!({ "id": "s", "cwd": "/work" });
    let saved = json!({ "version": 1, "sessions": { "a": session, "b": session } });
    let mut world = World::with_state(config(), &SavedState::parse(&saved.to_string()).unwrap());
    world.start_agent(RESUMES());
    world.hear("a", "one");
    let resume = world.request("session/resume");
    world.hear("b", "two");
    let new = world.request("session/new");
    world.fail(&new, -32603, "no");
    world.chunk("s", "replayed");
    assert_eq!(world.machine.stats().replayed_updates, 1, "the id is still that of a");
    world.respond(&resume, json!({}));
    assert_eq!(world.request("session/prompt")["params"]["sessionId"], "s");
}

#[test]
fn a_close_without_an_answer_is_forgotten() {
    let mut config = config();
    config.limits.acp_sessions = 1;
    let mut world = World::ready(config, RESUMES());
    let prompt = world.open("a", "s-a");
    world.end_turn(&prompt);
    world.hear("b", "hello");
    world.request("session/close");
    let new = world.request("session/new");
    world.respond(&new, json!({ "sessionId": "s-b" }));
    assert_eq!(world.machine.requests.len(), 2);
    world.pass(Duration::from_secs(60));
    assert_eq!(world.machine.requests.len(), 1, "the prompt's");
}

#[test]
fn the_state_is_saved_when_it_changes() {
    let mut world = World::ready(config(), json!({}));
    let prompt = world.open("k", "s");
    assert_eq!(world.saves, 1);
    world.end_turn(&prompt);
    world.hear("k", "more");
    assert_eq!(world.saves, 1);
}

#[test]
fn x_1_known_sessions_are_bounded_and_counted() {
    let mut config = config();
    config.limits.acp_known_sessions = 1;
    let mut world = World::ready(config, json!({}));
    world.open("a", "s-a");
    world.open("b", "s-b");
    assert_eq!(world.machine.stats().sessions_forgotten, 1);
}

#[test]
fn commands_become_a_manifest() {
    let mut world = World::ready(config(), json!({}));
    assert_eq!(world.machine.command_manifest(), None);
    world.open("k", "s");
    let commands = json!([{ "name": "plan", "description": "Plans" }, { "name": "N o", "description": "" }]);
    let update = json!({ "sessionUpdate": "available_commands_update", "availableCommands": commands });
    world.update("s", update.clone());
    let names = |world: &World| {
        let manifest = world.machine.command_manifest().unwrap();
        manifest.iter().map(|command| command["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((names(&world), world.saves), (vec!["plan".to_owned(), "stop".to_owned()], 2));
    assert_eq!(world.declared, world.machine.command_manifest());
    assert_eq!(world.machine.stats().commands_dropped, 1);
    world.update("s", update);
    assert_eq!(world.saves, 2, "nothing changed");
    let world = World::with_state(config(), &world.machine.state());
    assert_eq!(names(&world), ["plan", "stop"]);
}

#[test]
fn a_shutdown_ends_turns_and_refuses_what_waits() {
    let mut world = World::ready(config(), json!({}));
    world.open("k", "s");
    world.chunk("s", "half");
    world.hear("k", "next");
    world.seen();
    world.machine.handle_shutdown(world.now);
    world.drain();
    world.request("session/cancel");
    let seen = world.seen();
    assert!(seen[0].starts_with("[2] The gateway is shutting down"), "{seen:?}");
    assert!(seen[1].starts_with("half\n\n") && seen[1].contains("shutting down"), "{seen:?}");
    assert_eq!(seen[2..], ["<1 stopped>"]);
    assert_eq!((world.settled[&2], world.machine.is_idle()), (Outcome::Refused, true));
    world.hear("k", "late");
    assert_eq!(world.settled[&3], Outcome::Refused);
    assert!(!world.machine.takes_deliveries());
}
