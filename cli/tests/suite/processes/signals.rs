//! SIGTERM, SIGINT and SIGHUP end the gateway, whatever its agent does.

use super::gateway::{BUDGET, Gateway, KILL_AFTER, all_end_within, is_alive};
use crate::support::relayline;
use relayline_connector::chats::{Ids, discord};
use relayline_connector::{Act, Observation};
use relayline_core::time::Now;
use std::process::Command;
use std::time::{Duration, Instant};

on_one_runtime! {
    l_14_each_signal_ends_a_gateway_whose_agent_never_reads sighup_under_nohup_ends_nothing,
    a_second_signal_kills_the_group_at_once,
}

const DEAF: &str =
    r#"trap '' TERM; echo $$ >> "$PIDS"; sleep 100 & echo $! >> "$PIDS"; while :; do sleep 100; done"#;

fn l_14_each_signal_ends_a_gateway_whose_agent_never_reads(runtime: &str) {
    let started = ["TERM", "INT", "HUP"]
        .map(|name| (name, Gateway::start(runtime, r#"echo $$ >> "$PIDS"; exec sleep 100"#)));
    for (name, gateway) in &started {
        gateway.is_connected();
        gateway.pids(1);
        gateway.signal(name);
    }
    for (name, gateway) in started {
        gateway.sees(|saw| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "going_idle"));
        gateway.sees_goodbye();
        let pids = gateway.pids(1);
        let ended = gateway.ends_within(BUDGET + KILL_AFTER);
        let last = ended.stderr.lines().last().unwrap();
        assert_eq!(
            (ended.code, last),
            (Some(1), "relayline: the agent sh failed: signal: 15 (SIGTERM)"),
            "{name}"
        );
        assert!(!is_alive(pids[0]), "{name}");
    }
}

fn sighup_under_nohup_ends_nothing(runtime: &str) {
    let script = r#"echo $$ >> "$PIDS"
                    while read -r line; do
                      case "$line" in '{"event":"message"'*) echo '{"op":"send","chat_id":"1","content":"still here"}';; esac
                    done"#;
    let under_nohup = |arguments: Vec<String>| {
        let program = relayline(&arguments);
        let mut command = Command::new("sh");
        command
            .args(["-c", "trap '' HUP; exec \"$@\"", "sh"])
            .arg(program.get_program())
            .args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    };
    let gateway = Gateway::start_with(runtime, &[], script, under_nohup);
    gateway.sees_hello();
    // The agent ignores it, too, as it would without a guard.
    let agent = gateway.pids(1)[0];
    for pid in [gateway.program.id(), super::gateway::parent(agent), agent] {
        super::gateway::signal("HUP", pid);
    }
    let event = discord::dm().message(&mut Ids::new([0; 32]), Now::default(), "anybody?");
    gateway.connector.control(Act::Inbound { event, buffered: None }).unwrap();
    gateway.sees(
        |saw| matches!(saw, Observation::Frame { frame, .. } if frame["action"]["content"] == "still here"),
    );
    gateway.signal("TERM");
    gateway.sees_goodbye();
    let ended = gateway.ends_within(KILL_AFTER);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

fn a_second_signal_kills_the_group_at_once(runtime: &str) {
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("HUP", "TERM")] {
        let gateway = Gateway::start(runtime, DEAF);
        let pids = gateway.pids(2);
        gateway.sees_hello();
        gateway.signal(first);
        gateway.sees_goodbye();
        let began = Instant::now();
        gateway.signal(second);
        let ended = gateway.ends_within(Duration::ZERO);
        // Well before the SIGKILL that would come anyway.
        assert!(began.elapsed() < KILL_AFTER - Duration::from_secs(1), "{:?}", began.elapsed());
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        all_end_within(Duration::ZERO, &pids);
    }
}
