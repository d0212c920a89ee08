//! The agent's process group ends with the gateway, and with the agent.

use super::gateway::{Gateway, KILL_AFTER, all_end_within, is_alive, parent, signal};
use crate::support::{Program, relayline};
use std::time::Duration;

on_one_runtime! {
    no_group_survives_kill_9_of_the_gateway no_group_survives_a_graceful_end,
    an_agent_gets_sigterm_before_it_is_killed an_agent_that_has_closed_its_stdio_ends,
    an_agent_that_has_closed_its_stdio_does_not_survive_kill_9 the_rest_of_the_group_ends_with_the_agent,
    killing_the_guard_ends_the_group a_stopped_guard_does_not_block_the_gateway,
    a_signal_to_the_guard_ends_nothing an_agents_status_comes_through_the_guard,
    an_agent_that_cannot_be_started_is_named,
}

/// Agents that do not end by themselves, and the number of process ids that each writes. Their processes have no name
/// in common to find them by, so each writes its own id.
const AGENTS: [(&str, &str, usize); 5] = [
    ("never reads", r#"echo $$ >> "$PIDS"; exec sleep 100"#, 1),
    (
        "has grandchildren",
        r#"sleep 100 & echo $! >> "$PIDS"
           sh -c 'sleep 100 & echo $! >> "$PIDS"; echo $$ >> "$PIDS"; wait' & 
           echo $$ >> "$PIDS"; wait"#,
        4,
    ),
    (
        "ignores SIGTERM",
        r#"trap '' TERM HUP INT; sleep 100 & echo $! >> "$PIDS"; echo $$ >> "$PIDS"; while :; do sleep 100; done"#,
        2,
    ),
    ("is stopped", r#"echo $$ >> "$PIDS"; kill -STOP $$; exec sleep 100"#, 1),
    ("floods", r#"echo $$ >> "$PIDS"; while :; do echo '{"op":"typing","chat_id":"1"}'; done"#, 1),
];

fn no_group_survives_kill_9_of_the_gateway(runtime: &str) {
    let started = AGENTS.map(|(name, script, count)| (name, count, Gateway::start(runtime, script)));
    for (name, count, gateway) in &started {
        let pids = gateway.pids(*count);
        assert!(pids.iter().all(|&pid| is_alive(pid)), "{name}");
    }
    for (_, _, gateway) in &started {
        gateway.signal("KILL");
    }
    for (name, count, gateway) in &started {
        let pids = gateway.pids(*count);
        eprintln!("{name}: {pids:?}");
        all_end_within(KILL_AFTER, &pids);
    }
}

fn no_group_survives_a_graceful_end(runtime: &str) {
    let started = AGENTS.map(|(name, script, count)| (name, count, Gateway::start(runtime, script)));
    for (_, count, gateway) in &started {
        gateway.pids(*count);
        gateway.sees_hello();
    }
    for (_, _, gateway) in &started {
        gateway.signal("TERM");
    }
    for (name, count, gateway) in started {
        let pids = gateway.pids(count);
        let ended = gateway.ends_within(super::gateway::BUDGET + KILL_AFTER);
        assert_eq!(ended.code, Some(1), "{name}: {}", ended.stderr);
        // None is alive at this moment.
        assert!(!pids.iter().any(|&pid| is_alive(pid)), "{name}");
    }
}

fn an_agent_gets_sigterm_before_it_is_killed(runtime: &str) {
    let script = r#"trap 'echo "it was asked to end" >&2; exit 0' TERM; echo $$ >> "$PIDS"
                    while :; do sleep 100 & wait $!; done"#;
    let gateway = Gateway::start(runtime, script);
    gateway.pids(1);
    gateway.sees_hello();
    gateway.signal("TERM");
    gateway.sees_goodbye();
    let ended = gateway.ends_within(KILL_AFTER);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("it was asked to end"), "{}", ended.stderr);
}

/// The gateway sees the end of its output: no other process may hold the pipe open.
fn an_agent_that_has_closed_its_stdio_ends(runtime: &str) {
    let script =
        r#"echo $$ >> "$PIDS"; while [ ! -e "$FOLDER/go" ]; do sleep 0.05; done; exec sleep 100 <&- >&-"#;
    let gateway = Gateway::start(runtime, script);
    let pids = gateway.pids(1);
    gateway.sees_hello();
    gateway.create("go");
    gateway.sees_goodbye();
    let ended = gateway.ends_within(KILL_AFTER);
    let last = ended.stderr.lines().last().unwrap();
    assert_eq!((ended.code, last), (Some(1), "relayline: the agent sh failed: signal: 15 (SIGTERM)"));
    assert!(!is_alive(pids[0]));
}

/// The gateway is killed while it waits for the agent's end.
fn an_agent_that_has_closed_its_stdio_does_not_survive_kill_9(runtime: &str) {
    let script =
        r#"trap '' TERM; exec <&- >&-; sleep 100 & echo $! >> "$PIDS"; echo $$ >> "$PIDS"; wait; sleep 100"#;
    let gateway = Gateway::start(runtime, script);
    let pids = gateway.pids(2);
    gateway.signal("KILL");
    all_end_within(KILL_AFTER, &pids);
}

/// The agent's children may hold its output open. The gateway must not wait for them.
fn the_rest_of_the_group_ends_with_the_agent(runtime: &str) {
    let gateway = Gateway::start(runtime, r#"sleep 100 & echo $! >> "$PIDS"; exit 7"#);
    let pids = gateway.pids(1);
    let ended = gateway.ends_within(KILL_AFTER);
    let last = ended.stderr.lines().last().unwrap();
    assert_eq!((ended.code, last), (Some(1), "relayline: the agent sh failed: exit status: 7"));
    assert!(!is_alive(pids[0]));
}

fn killing_the_guard_ends_the_group(runtime: &str) {
    let gateway = Gateway::start(runtime, AGENTS[1].1);
    let pids = gateway.pids(4);
    gateway.sees_hello();
    let agent = *pids.iter().find(|&&pid| parent(parent(pid)) == gateway.program.id()).unwrap();
    signal("KILL", parent(agent));
    all_end_within(Duration::ZERO, &pids);
    let ended = gateway.ends_within(KILL_AFTER);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("the agent sh: its guard was killed, and the agent with it"),
        "{}",
        ended.stderr
    );
}

fn a_stopped_guard_does_not_block_the_gateway(runtime: &str) {
    let gateway = Gateway::start(runtime, AGENTS[0].1);
    let pids = gateway.pids(1);
    gateway.sees_hello();
    signal("STOP", parent(pids[0]));
    gateway.signal("TERM");
    let ended = gateway.ends_within(KILL_AFTER);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    all_end_within(Duration::ZERO, &pids);
}

/// A service manager may send SIGTERM to every process of the service.
fn a_signal_to_the_guard_ends_nothing(runtime: &str) {
    let script = r#"echo $$ >> "$PIDS"; while [ ! -e "$FOLDER/go" ]; do sleep 0.05; done; exit 0"#;
    let gateway = Gateway::start(runtime, script);
    let guard = parent(gateway.pids(1)[0]);
    gateway.sees_hello();
    for name in ["TERM", "INT", "HUP"] {
        signal(name, guard);
    }
    gateway.create("go");
    let ended = gateway.ends_within(KILL_AFTER);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

fn an_agents_status_comes_through_the_guard(runtime: &str) {
    for (script, code, says) in [
        ("exit 0", 0, ""),
        ("exit 1", 1, "relayline: the agent sh failed: exit status: 1"),
        ("exit 255", 1, "relayline: the agent sh failed: exit status: 255"),
        ("kill -TERM $$", 1, "relayline: the agent sh failed: signal: 15 (SIGTERM)"),
        ("kill -KILL $$", 1, "relayline: the agent sh failed: signal: 9 (SIGKILL)"),
        ("kill -PIPE $$", 1, "relayline: the agent sh failed: signal: 13 (SIGPIPE)"),
    ] {
        let ended = Gateway::start(runtime, script).ends_within(KILL_AFTER);
        assert_eq!(ended.code, Some(code), "{script}: {}", ended.stderr);
        assert_eq!(ended.stderr.lines().last().filter(|_| code != 0).unwrap_or_default(), says, "{script}");
    }
}

fn an_agent_that_cannot_be_started_is_named(runtime: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent");
    std::fs::write(&file, "no program").unwrap();
    let path = file.to_str().unwrap();
    let denied = "Permission denied (os error 13); make it executable, as in chmod +x agent.py";
    for (program, says) in [
        (
            "no-such-agent-at-all",
            "No such file or directory (os error 2); name a program on the PATH or a file with its folder, as in ./agent.py, whose #! line names one that is there",
        ),
        (path, denied),
        ("/", denied),
    ] {
        let arguments = [
            "run",
            "--runtime",
            runtime,
            "--url",
            "ws://127.0.0.1:9",
            "--platform",
            "discord",
            "--exec",
            program,
        ];
        let ended = Program::start(relayline(arguments)).ended();
        let expected = format!("relayline: --exec {program}: {says}");
        assert_eq!((ended.code, ended.stderr.lines().last()), (Some(1), Some(expected.as_str())));
    }
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let ended =
        Program::start(relayline(["run", "--runtime", runtime, "--url", "ws://127.0.0.1:9", "--exec", path]))
            .ended();
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.ends_with(
            "(os error 8); name a program or a script that begins with #!, as in #!/usr/bin/env python3\n"
        ),
        "{}",
        ended.stderr
    );
}

/// A guard is not started by hand.
#[test]
fn a_guard_without_a_gateway_is_an_error() {
    for arguments in [&["__guard"][..], &["__guard", "x", "sh"], &["__guard", "1"]] {
        let ended = Program::start(relayline(arguments)).ended();
        let says = "relayline: __guard is internal: use `relayline run --exec`\n";
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(2), says));
    }
    let mut program = Program::start(relayline(["__guard", "1", "sh"]));
    program.close_stdin();
    assert_eq!(program.ended().code, Some(1));
}
