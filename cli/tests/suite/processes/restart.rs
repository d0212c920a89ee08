//! `--restart`: agents that die and are restarted, under one gateway.

use super::gateway::{BUDGET, Gateway, KILL_AFTER, all_end_within, is_alive, signal};
use crate::support::{Program, relayline};
use relayline_connector::chats::{Ids, discord};
use relayline_connector::{Act, Observation};
use relayline_core::time::Now;
use std::process::Command;

on_one_runtime! {
    on_failure_restarts_until_a_success always_restarts_after_a_success,
    never_is_the_default the_gateway_stays_connected_between_two_agents,
    a_2_unsettled_deliveries_of_a_dead_agent_are_redelivered a_dead_agents_children_end_before_the_next_starts,
    ten_deaths_in_a_minute_end_it_with_1 a_signal_between_two_agents_ends_it,
    a_second_signal_kills_the_agent_that_was_started_again a_missing_agent_is_tried_again,
    no_later_group_survives_kill_9_of_the_gateway,
}

const QUICK: [&str; 2] = ["--set", "agent_restart_first=20ms"];

fn start(runtime: &str, flags: &[&str], script: &str) -> Gateway {
    Gateway::start_with(runtime, flags, script, relayline)
}

fn with<'a>(flags: &[&'a str]) -> Vec<&'a str> {
    [flags, &QUICK].concat()
}

fn inbound(gateway: &Gateway, ids: &mut Ids, text: &str, buffered: bool) {
    let event = discord::dm().message(ids, Now::default(), text);
    gateway.connector.control(Act::Inbound { event, buffered: Some(buffered) }).unwrap();
}

fn sees_sent(gateway: &Gateway, content: &str) {
    gateway
        .sees(|saw| matches!(saw, Observation::Frame { frame, .. } if frame["action"]["content"] == content));
}

fn on_failure_restarts_until_a_success(runtime: &str) {
    let script = r#"echo $$ >> "$PIDS"; [ $(wc -l < "$PIDS") -lt 3 ] && exit 7; exit 0"#;
    let gateway = start(runtime, &with(&["--restart", "on-failure"]), script);
    gateway.pids(3);
    let ended = gateway.ends_within(BUDGET + KILL_AFTER);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let died = |line: &&str| line.contains("agent_ended") && line.contains("exit status: 7");
    let backoffs: Vec<_> = ended.stderr.lines().filter(died).collect();
    assert_eq!(backoffs.len(), 2, "{}", ended.stderr);
    assert!(
        backoffs[0].contains("restart_in_ms=20") && backoffs[1].contains("restart_in_ms=40"),
        "{backoffs:?}"
    );
}

fn always_restarts_after_a_success(runtime: &str) {
    let script =
        r#"echo $$ >> "$PIDS"; [ $(wc -l < "$PIDS") -lt 3 ] && exit 0; while read -r line; do :; done"#;
    let gateway = start(runtime, &with(&["--restart", "always"]), script);
    gateway.pids(3);
    gateway.sees_hello();
    gateway.signal("TERM");
    let ended = gateway.ends_within(BUDGET + KILL_AFTER);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

fn never_is_the_default(runtime: &str) {
    for flags in [&[][..], &["--restart", "never"]] {
        let ended = start(runtime, flags, r#"echo $$ >> "$PIDS"; exit 7"#).ends_within(BUDGET + KILL_AFTER);
        let last = ended.stderr.lines().last();
        assert_eq!((ended.code, last), (Some(1), Some("relayline: the agent sh failed: exit status: 7")));
    }
}

/// An agent that dies at its first message. Its successor answers the message.
const MORTAL: &str = r#"
    echo $$ >> "$PIDS"; first=$(wc -l < "$PIDS")
    while read -r line; do
      case "$line" in
        '{"event":"message"'*)
          if [ "$first" = 1 ]; then exit 3; fi
          delivery=$(echo "$line" | sed 's/.*"delivery":\([0-9]*\).*/\1/')
          echo "{\"op\":\"ack\",\"delivery\":$delivery}"
          echo '{"op":"send","chat_id":"1","content":"still here"}';;
      esac
    done"#;

fn the_gateway_stays_connected_between_two_agents(runtime: &str) {
    let gateway = start(runtime, &["--restart", "on-failure"], MORTAL);
    gateway.is_connected();
    gateway.pids(1);
    let mut ids = Ids::new([0; 32]);
    inbound(&gateway, &mut ids, "die", false);
    gateway.program.logged("agent_ended");
    // While there is no agent, the message waits in the gateway.
    inbound(&gateway, &mut ids, "anybody?", false);
    let mut dials = 0;
    let answered = gateway.connector.wait_for(
        |saw| {
            dials += usize::from(matches!(saw, Observation::Dial { .. }));
            matches!(saw, Observation::Frame { frame, .. } if frame["action"]["content"] == "still here")
        },
        crate::support::SOON,
    );
    answered.unwrap_or_else(|missed| panic!("{missed}: {}", gateway.program.log()));
    assert_eq!(dials, 1, "{}", gateway.program.log());
    gateway.signal("TERM");
    assert_eq!(gateway.ends_within(BUDGET + KILL_AFTER).code, Some(0));
}

fn a_2_unsettled_deliveries_of_a_dead_agent_are_redelivered(runtime: &str) {
    let gateway = start(runtime, &with(&["--restart", "on-failure", "--set", "backoff_first=20ms"]), MORTAL);
    gateway.is_connected();
    inbound(&gateway, &mut Ids::new([0; 32]), "kept", true);
    // The second agent settles it. The first one did not.
    gateway.sees(|saw| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "inbound_ack"));
    gateway.pids(2);
    sees_sent(&gateway, "still here");
    gateway.signal("TERM");
    assert_eq!(gateway.ends_within(BUDGET + KILL_AFTER).code, Some(0));
}

fn a_dead_agents_children_end_before_the_next_starts(runtime: &str) {
    let script = r#"[ -e "$FOLDER/second" ] && { echo $$ >> "$PIDS"; while read -r line; do :; done; exit 0; }
                    : > "$FOLDER/second"; sleep 100 & echo $! >> "$PIDS"; exit 3"#;
    let gateway = start(runtime, &with(&["--restart", "on-failure"]), script);
    let pids = gateway.pids(2);
    assert!(!is_alive(pids[0]) && is_alive(pids[1]));
    gateway.sees_hello();
    gateway.signal("TERM");
    assert_eq!(gateway.ends_within(BUDGET + KILL_AFTER).code, Some(0));
}

fn ten_deaths_in_a_minute_end_it_with_1(runtime: &str) {
    for (when, script, how) in [
        ("on-failure", r#"echo $$ >> "$PIDS"; exit 9"#, "exit status: 9"),
        ("always", r#"echo $$ >> "$PIDS""#, "exit status: 0"),
    ] {
        let flags =
            ["--restart", when, "--set", "agent_restart_first=1ms", "--set", "agent_restart_most=2ms"];
        let gateway = start(runtime, &flags, script);
        assert_eq!(gateway.pids(10).len(), 10);
        let ended = gateway.ends_within(BUDGET + KILL_AFTER);
        let says = "relayline: the agent sh died 10 times within 60s of running, and is not started again; the last end: ";
        assert_eq!(
            (ended.code, ended.stderr.lines().last().unwrap()),
            (Some(1), format!("{says}{how}").as_str())
        );
    }
}

fn a_signal_between_two_agents_ends_it(runtime: &str) {
    let gateway = start(
        runtime,
        &["--restart", "always", "--set", "agent_restart_first=1h", "--set", "agent_restart_most=1h"],
        "exit 3",
    );
    gateway.program.logged("agent_ended");
    gateway.sees_hello();
    gateway.signal("TERM");
    gateway.sees_goodbye();
    let ended = gateway.ends_within(BUDGET);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

const SECOND_IS_DEAF: &str = r#"
    [ -e "$FOLDER/second" ] || { : > "$FOLDER/second"; exit 3; }
    trap '' TERM; sleep 100 & echo $! >> "$PIDS"; echo $$ >> "$PIDS"; while :; do sleep 100; done"#;

fn a_second_signal_kills_the_agent_that_was_started_again(runtime: &str) {
    let gateway = start(runtime, &with(&["--restart", "on-failure"]), SECOND_IS_DEAF);
    let pids = gateway.pids(2);
    gateway.sees_hello();
    gateway.signal("TERM");
    gateway.sees_goodbye();
    gateway.signal("TERM");
    assert_eq!(gateway.ends_within(std::time::Duration::ZERO).code, Some(1));
    // The gateway has waited for this, and no longer.
    assert!(!pids.iter().any(|&pid| is_alive(pid)));
}

/// For instance during the installation of an update.
fn a_missing_agent_is_tried_again(runtime: &str) {
    let folder = tempfile::tempdir().unwrap();
    let agent = folder.path().join("agent");
    let install = |script: &str| {
        let new = folder.path().join("new");
        std::fs::write(&new, format!("#!/bin/sh\n{script}\n")).unwrap();
        assert!(Command::new("chmod").arg("+x").arg(&new).status().unwrap().success());
        std::fs::rename(&new, &agent).unwrap();
    };
    install(r#"rm "$0"; exit 3"#);
    let arguments =
        ["run", "--runtime", runtime, "--url", "ws://127.0.0.1:9", "--platform", "discord", "--set"];
    let mut command = relayline(arguments);
    command.args(["agent_restart_first=50ms", "--restart", "on-failure", "--exec"]).arg(&agent);
    let program = Program::start(command);
    let says = "No such file or directory (os error 2)";
    let line = program.logged(says);
    assert!(line.contains("restart_in_ms="), "{line}");
    install("exit 0");
    assert_eq!(program.ended().code, Some(0));
}

fn no_later_group_survives_kill_9_of_the_gateway(runtime: &str) {
    let gateway = start(runtime, &with(&["--restart", "on-failure"]), SECOND_IS_DEAF);
    let pids = gateway.pids(2);
    signal("KILL", gateway.program.id());
    all_end_within(KILL_AFTER, &pids);
}

#[test]
fn restart_needs_exec_and_names_its_values() {
    let ended = Program::start(relayline(["run", "--restart", "always"])).ended();
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("--exec"), "{}", ended.stderr);
    let ended = Program::start(relayline(["run", "--restart", "often", "--exec", "sh"])).ended();
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("[possible values: never, on-failure, always]"), "{}", ended.stderr);
}
