//! Flags, files and the diagnosis.

use super::{AGENT, command};
use crate::support::{Ended, Program, relayline};
use relayline_connector::{ConnectorConfig, EmbeddedConnector};

fn run(flags: &[&str], agent: &[&str]) -> Ended {
    let mut command = command("ws://127.0.0.1:1", "tokio", flags);
    command.args(agent);
    Program::start(command).ended()
}

#[test]
fn flags_that_do_not_fit_are_refused_with_2() {
    for (flags, agent, words) in [
        (&["--acp-auth", "x"][..], &[][..], "--acp <CMD>"),
        (&["--approve", "maybe"], &["--acp", "true"], "[possible values: allow, deny]"),
        (&["--busy", "reject"], &[], "--acp <CMD>"),
        (&["--busy", "wait"], &["--acp", "true"], "[possible values: enqueue, interrupt, reject]"),
        (&["--max-sessions", "0"], &["--acp", "true"], "out of range"),
        (&["--approval-timeout", "soon"], &["--acp", "true"], "as in 500ms, 1s or 2m"),
        (&["--cwd", "/nowhere"], &["--acp", "true"], "name a folder"),
        (&["--mcp-servers", "/dev/null"], &["--acp", "true"], "it is not a list of MCP servers"),
        (&[], &["--acp", "--"], "name the agent's program"),
        (&["--restart", "always"], &[], "--acp"),
        (&["--auto-ack"], &["--acp", "true"], "cannot be used with"),
    ] {
        let ended = run(flags, agent);
        assert_eq!(ended.code, Some(2), "{flags:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(words), "{flags:?}: {}", ended.stderr);
    }
}

#[test]
fn a_program_that_is_not_there_is_refused_with_1() {
    let ended = run(&[], &["--acp", "--", "/nowhere/agent", "--key", "hunter2"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("--acp /nowhere/agent: "), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    let ended = run(&["--acp-state", "/nowhere/state.json"], &["--acp", "true"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("name a file in a folder that exists"), "{}", ended.stderr);
}

/// Returns the findings of `doctor` about an agent with these features, and its exit code.
fn doctor(flags: &[&str], features: &[&str]) -> (String, Option<i32>) {
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let mut command = relayline(["doctor", "--platform", "discord", "--url", &connector.url()]);
    command.args(flags).args(["--acp", "--"]).arg(&*AGENT).args(features);
    let ended = Program::start(command).ended();
    (ended.stdout, ended.code)
}

#[test]
fn doctor_says_what_an_agent_can_do() {
    let (findings, code) = doctor(&[], &["image", "load"]);
    assert_eq!(code, Some(0), "{findings}");
    for line in ["ok   agent: scripted 1, images, sessions can be loaded", "ok   session/new: opened"] {
        assert!(findings.contains(line), "{findings}");
    }
    assert!(findings.contains("ok   handshake:"), "the connection is checked, too: {findings}");
}

#[test]
fn doctor_says_what_is_missing() {
    for (flags, features, code, words) in [
        (&[][..], &["no-account"][..], 1, "fail session/new: Authentication required"),
        (&["--acp-auth", "login"], &["no-account"], 0, "ok   authenticate: login"),
        (&["--acp-auth", "key"], &[], 1, "its methods: login (Log in)"),
        (&[], &["version-2"], 1, "speaks version 2"),
    ] {
        let (findings, ended) = doctor(flags, features);
        assert_eq!(ended, Some(code), "{features:?}: {findings}");
        assert!(findings.contains(words), "{features:?}: {findings}");
    }
}

#[test]
fn doctor_checks_the_agent_alone_without_a_url() {
    let check = |flags: &[&str], features: &[&str]| {
        let mut command = relayline(["doctor"]);
        command.args(flags).args(["--acp", "--"]).arg(&*AGENT).args(features);
        let ended = Program::start(command).ended();
        (ended.code, ended.stdout)
    };
    let only = "warn settings: no URL, so only the agent was checked";
    let (code, findings) = check(&[], &[]);
    assert!(
        code == Some(0) && findings.contains("ok   session/new") && findings.contains(only),
        "{findings}"
    );
    let (code, findings) = check(&[], &["no-account"]);
    assert!(code == Some(1) && findings.contains(only), "{findings}");
    let (code, findings) = check(&["--enabled", "false"], &["no-account"]);
    assert!(code == Some(1) && findings.contains("switches the relay off"), "{findings}");
    let (code, findings) = check(&["--set", "acp_sessions=0"], &[]);
    assert!(code == Some(2) && findings.contains("out of range"), "{findings}");
}

#[test]
fn doctor_gives_up_an_agent_that_floods_or_does_not_read() {
    let script = r#"exec yes '{"jsonrpc":"2.0","id":"x","method":"fs/read_text_file"}'"#;
    for script in [script, "exec sleep 600"] {
        let mut command = relayline(["doctor", "--set", "acp_start_timeout=300ms", "--acp"]);
        command.args(["sh", "-c", script]);
        let ended = Program::start(command).ended();
        assert_eq!(ended.code, Some(1));
        assert!(ended.stdout.contains("fail initialize: no answer within 1 s"), "{}", ended.stdout);
    }
}

#[test]
fn doctor_reports_an_agent_that_does_not_start_or_ends() {
    for (agent, words) in [
        (&["/nowhere/agent"][..], "fail agent: "),
        (&["sh", "-c", "exit 3"], "fail initialize: the agent ended (exit status: 3)"),
    ] {
        let mut command =
            relayline(["doctor", "--platform", "discord", "--url", "ws://127.0.0.1:1", "--acp", "--"]);
        command.args(agent);
        let ended = Program::start(command).ended();
        assert_eq!(ended.code, Some(1));
        assert!(ended.stdout.contains(words), "{}", ended.stdout);
    }
}
