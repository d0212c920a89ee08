//! Agents that fail, die, hang or write nonsense.

use super::{AGENT, Acp, command};
use crate::support::Program;
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector, Observation};
use serde_json::{Value, json};

on_one_runtime! {
    m_7_the_end_of_an_answer_survives_newer_deliveries,
    a_death_is_reported_and_the_session_goes_on,
    what_the_agent_cannot_do_is_one_line_without_details a_missing_account_is_one_line_and_a_warning,
    ten_deaths_end_the_gateway_with_1 another_version_ends_with_2,
    an_agent_that_is_deaf_to_a_cancel_is_abandoned nonsense_of_the_agent_is_skipped,
    a_silent_agent_is_stopped an_agent_that_does_not_initialize_is_restarted,
    a_lost_connection_does_not_lose_the_answer an_agent_that_ends_by_itself_ends_the_gateway,
    x_1_an_agent_that_writes_and_does_not_read_is_killed,
}

fn a_death_is_reported_and_the_session_goes_on(runtime: &str) {
    let mut acp = Acp::start(runtime, &[], &["resume"]);
    acp.say("say half; wait 50; die");
    let texts = acp.texts();
    let last = texts.last().unwrap();
    assert!(last.contains("half\n\nThe agent stopped unexpectedly"), "{texts:?}");
    // It was not prompted again, and the session is resumed.
    acp.say("say back");
    let texts = acp.texts();
    assert_eq!(texts.last().unwrap().split_once(' ').unwrap().1, "back");
    assert!(!texts.iter().any(|text| text.contains("new conversation")), "{texts:?}");
}

fn what_the_agent_cannot_do_is_one_line_without_details(runtime: &str) {
    let mut acp = Acp::start(runtime, &[], &[]);
    assert_eq!(acp.answer("error the-detail"), "The agent could not do this. Please try again later.");
    assert!(acp.program.logged("acp_failed").contains("the-detail"));
    assert_eq!(acp.answer("say next"), "next");
}

fn a_missing_account_is_one_line_and_a_warning(runtime: &str) {
    let mut acp = Acp::start(runtime, &[], &["no-account"]);
    assert_eq!(acp.answer("say hi"), "The agent could not do this. Please try again later.");
    assert!(acp.program.logged("acp_failed").contains("login (Log in)"));
    let mut acp = Acp::start(runtime, &["--acp-auth", "login"], &["no-account"]);
    assert_eq!(acp.answer("say hi"), "hi");
    let ended = unusable(runtime, &["--acp-auth", "other"], &[]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("its methods: login (Log in)"), "{}", ended.stderr);
}

/// Runs a gateway that ends by itself.
fn unusable(runtime: &str, flags: &[&str], features: &[&str]) -> crate::support::Ended {
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let mut command = command(&connector.url(), runtime, flags);
    command.args(["--acp", "--"]).arg(&*AGENT).args(features);
    Program::start(command).ended()
}

fn another_version_ends_with_2(runtime: &str) {
    let ended = unusable(runtime, &[], &["version-2"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("speaks version 2 of the Agent Client Protocol"), "{}", ended.stderr);
}

fn ten_deaths_end_the_gateway_with_1(runtime: &str) {
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let flags = ["--set", "agent_restart_most=1ms"];
    let mut command = command(&connector.url(), runtime, &flags);
    command.args(["--acp", "sh", "-c", "exit 3"]);
    let ended = Program::start(command).ended();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("died 10 times"), "{}", ended.stderr);
}

fn an_agent_that_ends_by_itself_ends_the_gateway(runtime: &str) {
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let mut command = command(&connector.url(), runtime, &[]);
    command.args(["--acp", "sh", "-c", "exit 0"]);
    assert_eq!(Program::start(command).ended().code, Some(0));
}

fn an_agent_that_is_deaf_to_a_cancel_is_abandoned(runtime: &str) {
    let mut acp = Acp::start(runtime, &["--set", "acp_cancel_timeout=50ms"], &[]);
    acp.say("say x; deaf");
    acp.actions_until(|action| action["content"] == "x");
    assert_eq!(acp.answer("/stop"), "Stopped.");
    acp.say("say next");
    let texts = acp.texts();
    assert!(texts.iter().any(|text| text.contains("This is a new conversation")), "{texts:?}");
    assert!(texts.last().unwrap().ends_with("next"), "{texts:?}");
}

fn nonsense_of_the_agent_is_skipped(runtime: &str) {
    let mut acp = Acp::start(runtime, &[], &[]);
    assert_eq!(acp.answer("junk; say a"), "a");
    assert_eq!(acp.answer("long; say b"), "b");
    acp.program.logged("acp_overlong_line");
    assert_eq!(acp.exit_code(), Some(0));
}

fn a_silent_agent_is_stopped(runtime: &str) {
    let mut acp = Acp::start(runtime, &["--set", "acp_silence_timeout=100ms"], &[]);
    assert!(acp.answer("until-cancelled").contains("has not reported anything for too long"));
    assert_eq!(acp.answer("say next"), "next");
}

fn an_agent_that_does_not_initialize_is_restarted(runtime: &str) {
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let flags = ["--set", "acp_start_timeout=50ms", "--set", "agent_deaths=2"];
    let mut command = command(&connector.url(), runtime, &flags);
    command.args(["--acp", "sh", "-c", "exec sleep 600"]);
    let ended = Program::start(command).ended();
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stderr.matches("acp_no_start").count(), 2, "{}", ended.stderr);
}

fn a_lost_connection_does_not_lose_the_answer(runtime: &str) {
    let mut acp = Acp::start(runtime, &["--set", "backoff_first=20ms"], &[]);
    acp.say("ask first");
    acp.actions_until(|action| action["op"] == "prompt");
    acp.tell(Act::Drop);
    // The loss cancels the request, so that the turn ends without a connection, or during the next handshake.
    acp.sees(|saw| matches!(saw, Observation::Closed { .. }));
    assert_eq!(acp.last_text(), "<cancelled>");
    assert_eq!(acp.answer("say next"), "next");
}

fn x_1_an_agent_that_writes_and_does_not_read_is_killed(runtime: &str) {
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let flags = ["agent_result_bytes=1024", "agent_read_timeout=100ms", "agent_deaths=2"];
    let flags: Vec<&str> = flags.iter().flat_map(|flag| ["--set", flag]).collect();
    let mut command = command(&connector.url(), runtime, &flags);
    // Each of its requests gets an answer, which it never reads.
    let script = r#"read -r line
        echo '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":1}}'
        exec yes '{"jsonrpc":"2.0","id":"x","method":"fs/read_text_file"}'"#;
    command.args(["--acp", "sh", "-c", script]);
    let ended = Program::start(command).ended();
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stderr.matches("the agent writes and does not read").count(), 2, "{}", ended.stderr);
}

/// The relay remembers the last deliveries only.
fn m_7_the_end_of_an_answer_survives_newer_deliveries(runtime: &str) {
    let mut acp = Acp::start(runtime, &["--set", "reply_targets=2"], &[]);
    acp.say("ask Run ls");
    acp.actions_until(|action| action["op"] == "prompt");
    for chat in ["c2", "c3", "c4"] {
        let source = json!({ "platform": "discord", "chat_id": chat, "user_id": "u2" });
        acp.say_with("/stop", json!({ "source": source }));
        acp.actions_until(|action| action["content"] == "There is nothing to stop.");
    }
    acp.press("Allow", "u1");
    let is_last = |action: &Value| action["metadata"]["notify"] == true;
    let last = acp.actions_until(is_last).pop().unwrap();
    assert_eq!((&last["content"], &last["chat_id"]), (&json!("<allow it>"), &json!("c1")));
    assert_eq!(last["metadata"]["reply_to_message_id"], "msg-1");
}
