//! The agent's process: its environment, its stderr, its end, and what is remembered over restarts.

use super::Acp;
use relayline_connector::{ClosedBy, Observation};
use serde_json::{Value, json};

on_one_runtime! {
    a_signal_ends_turns_with_a_line_and_disconnects,
    c_4_the_agent_has_no_secret stderr_is_logged_at_debug,
    a_restarted_gateway_loads_its_sessions a_session_that_is_lost_is_announced,
    commands_are_declared_to_discord_at_the_next_start commands_are_declared_at_the_next_connection,
    a_7_a_buffered_message_behind_a_turn_is_acknowledged a_state_file_is_private,
    a_new_session_makes_room,
    a_failed_save_is_repeated_in_the_end counters_are_logged_at_debug,
}

fn c_4_the_agent_has_no_secret(runtime: &str) {
    let mut acp = Acp::start(runtime, &[], &[]);
    assert_eq!(acp.answer("environment"), "<no secret>");
}

fn stderr_is_logged_at_debug(runtime: &str) {
    let mut acp = Acp::start(runtime, &["-v"], &[]);
    acp.say("log what the agent thinks; say x");
    acp.program.logged("what the agent thinks");
    let mut acp = Acp::start(runtime, &[], &[]);
    assert_eq!(acp.answer("log what the agent thinks; say x"), "x");
    assert!(!acp.program.log().contains("what the agent thinks"));
}

fn counters_are_logged_at_debug(runtime: &str) {
    let mut acp = Acp::start(runtime, &["-v"], &[]);
    assert_eq!(acp.answer("junk; say a"), "a");
    acp.program.terminate();
    let log = acp.program.ended().stderr;
    let stats = log.lines().find(|line| line.contains("acp_stats")).unwrap_or_else(|| panic!("{log}"));
    assert!(stats.contains("invalid_lines"), "{stats}");
}

fn a_signal_ends_turns_with_a_line_and_disconnects(runtime: &str) {
    let mut acp = Acp::start(runtime, &[], &[]);
    acp.say("say working; until-cancelled");
    acp.actions_until(|action| action["content"] == "working");
    acp.program.terminate();
    assert!(acp.last_text().contains("shutting down"));
    acp.sees(|saw| matches!(saw, Observation::Closed { by: ClosedBy::Gateway, code: Some(1000), .. }));
    assert_eq!(acp.program.ended().code, Some(0));
}

fn a_restarted_gateway_loads_its_sessions(runtime: &str) {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("sessions.json");
    let flags = ["--acp-state", state.to_str().unwrap()];
    let mut acp = Acp::start(runtime, &flags, &["load"]);
    assert_eq!(acp.answer("say hi"), "hi");
    let mut acp = acp.restart(runtime, &flags, &["load"]);
    acp.say("say again");
    let texts = acp.texts();
    assert!(texts.last().unwrap().ends_with("again"), "{texts:?}");
    assert!(
        !texts.iter().any(|text| text.contains("old answer") || text.contains("new conversation")),
        "{texts:?}"
    );
}

fn a_session_that_is_lost_is_announced(runtime: &str) {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("sessions.json");
    let flags = ["--acp-state", state.to_str().unwrap()];
    let mut acp = Acp::start(runtime, &flags, &[]);
    assert_eq!(acp.answer("say hi"), "hi");
    let mut acp = acp.restart(runtime, &flags, &[]);
    acp.say("say again");
    let texts = acp.texts();
    assert!(texts[0].contains("This is a new conversation"), "{texts:?}");
}

fn commands_are_declared_to_discord_at_the_next_start(runtime: &str) {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("sessions.json");
    let flags = ["--acp-state", state.to_str().unwrap()];
    let mut acp = Acp::start(runtime, &flags, &["commands"]);
    assert_eq!(acp.answer("say hi"), "hi");
    let acp = acp.restart(runtime, &flags, &["commands"]);
    assert_eq!(declared(&acp), json!(["plan", "stop"]));
}

fn commands_are_declared_at_the_next_connection(runtime: &str) {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("commands.json");
    std::fs::write(&own, r#"[{"name":"own"}]"#).unwrap();
    // Commands that the user names are not replaced.
    let named = ["--command-manifest", own.to_str().unwrap()];
    for (flags, names) in [(&[][..], json!(["plan", "stop"])), (&named, json!(["own"]))] {
        let mut acp = Acp::start(runtime, flags, &["commands"]);
        assert_eq!(acp.answer("say hi"), "hi");
        acp.tell(relayline_connector::Act::Drop);
        assert_eq!(declared(&acp), names);
    }
}

/// Returns the names of the commands that the next hello declares.
fn declared(acp: &Acp) -> Value {
    let hello = acp.sees(|saw| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "hello"));
    let Observation::Frame { frame, .. } = hello else { panic!("{hello:?}") };
    let declared = frame["command_manifest"].as_array().into_iter().flatten();
    declared.map(|command| command["name"].clone()).collect()
}

fn a_7_a_buffered_message_behind_a_turn_is_acknowledged(runtime: &str) {
    let mut acp = Acp::start(runtime, &[], &[]);
    // The second message is acknowledged while it waits: a buffer sends one after the other, and the answer is the third.
    for text in ["ask first", "say second"] {
        acp.messages += 1;
        let event = json!({
            "text": text, "message_id": format!("b-{}", acp.messages),
            "source": { "platform": "discord", "chat_id": "c1", "user_id": "u1" },
        });
        let event = event.as_object().unwrap().clone();
        acp.tell(relayline_connector::Act::Inbound { event, buffered: Some(true) });
    }
    let (mut acks, mut prompts) = (0, 0);
    acp.sees(|saw| {
        let Observation::Frame { frame, .. } = saw else { return false };
        acks += usize::from(frame["type"] == "inbound_ack");
        prompts += usize::from(frame["action"]["op"] == "prompt");
        acks >= 2 && prompts >= 1
    });
    acp.press("Allow", "u1");
    assert_eq!((acp.last_text(), acp.last_text()), ("<allow it>".to_owned(), "second".to_owned()));
}

#[test]
fn state_of_another_form_is_refused_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("sessions.json");
    std::fs::write(&state, r#"{"version":9}"#).unwrap();
    let flags = ["--acp-state", state.to_str().unwrap()];
    let mut command = super::command("ws://127.0.0.1:1", "tokio", &flags);
    command.args(["--acp", "true"]);
    let ended = crate::support::Program::start(command).ended();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("a newer release wrote it (version 9"), "{}", ended.stderr);
    assert_eq!(std::fs::read_to_string(&state).unwrap(), r#"{"version":9}"#);
}

fn a_state_file_is_private(runtime: &str) {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("sessions.json");
    let mut acp = Acp::start(runtime, &["--acp-state", state.to_str().unwrap()], &[]);
    acp.answer("say hi");
    assert_eq!(acp.exit_code(), Some(0));
    assert_eq!(std::fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o600);
    let saved: Value = serde_json::from_str(&std::fs::read_to_string(&state).unwrap()).unwrap();
    assert!(saved["sessions"][super::KEY]["id"].as_str().unwrap().starts_with("session-"), "{saved}");
}

fn a_failed_save_is_repeated_in_the_end(runtime: &str) {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("sessions.json");
    let mut acp = Acp::start(runtime, &["--acp-state", state.to_str().unwrap()], &[]);
    // A file cannot replace a folder.
    std::fs::remove_file(&state).unwrap();
    std::fs::create_dir(&state).unwrap();
    acp.answer("say hi");
    assert!(acp.program.logged("acp_state_not_saved").contains("name another file"));
    std::fs::remove_dir(&state).unwrap();
    assert_eq!(acp.exit_code(), Some(0));
    let saved = std::fs::read_to_string(&state).unwrap();
    assert!(saved.contains(super::KEY), "{saved}");
}

fn a_new_session_makes_room(runtime: &str) {
    let mut acp = Acp::start(runtime, &["--max-sessions", "1"], &["close", "resume"]);
    assert_eq!(acp.answer("say one"), "one");
    let source = json!({ "platform": "discord", "chat_id": "c2", "user_id": "u1" });
    acp.say_with("say two", json!({ "source": source }));
    assert_eq!(acp.last_text(), "two");
    acp.say("say three");
    let texts = acp.texts();
    assert!(texts.last().unwrap().ends_with("three"), "{texts:?}");
    assert!(!texts.iter().any(|text| text.contains("new conversation")), "it is resumed: {texts:?}");
}
