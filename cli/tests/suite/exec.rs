//! The agent as a child process: `run --exec`.

use crate::support::{Program, SOON, relayline};
use relayline_connector::chats::{Ids, discord};
use relayline_connector::{Act, ClosedBy, ConnectorConfig, EmbeddedConnector, Observation};
use relayline_core::time::Now;

on_both_runtimes! {
    a_child_that_answers_and_then_ends_is_a_success
    a_child_that_fails_is_a_failure_with_one_clear_line
    a_child_may_write_to_its_end
    a_child_that_echoes_its_input_is_not_answered_for_ever
    ctrl_c_of_a_terminal_only_ends_the_childs_input
    l_10_a_revoked_gateway_ends_with_3_whatever_its_child
}

fn start(runtime: &str, script: &str) -> (Program, EmbeddedConnector) {
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let mut command = relayline(["run", "--runtime", runtime, "--url", &connector.url()]);
    command.args(["--platform", "discord", "--exec", "sh", "-c", script]);
    (Program::start(command), connector)
}

fn sees(connector: &EmbeddedConnector, wanted: impl FnMut(&Observation) -> bool) {
    connector.wait_for(wanted, SOON).unwrap_or_else(|missed| panic!("{missed}"));
}

/// Asserts an orderly disconnect (L-14).
fn sees_goodbye(connector: &EmbeddedConnector) {
    sees(connector, |saw| matches!(saw, Observation::Closed { by: ClosedBy::Gateway, code: Some(1000), .. }));
}

fn a_child_that_answers_and_then_ends_is_a_success(runtime: &str) {
    let (program, connector) = start(
        runtime,
        r#"while read -r line; do
             case "$line" in '{"event":"message"'*)
               echo '{"op":"send","chat_id":"1","content":"echo"}'
               exit 0;;
             esac
           done"#,
    );
    sees(&connector, |saw| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "hello"));
    let event = discord::dm().message(&mut Ids::new([0; 32]), Now::default(), "anybody?");
    connector.control(Act::Inbound { event, buffered: None }).unwrap();
    sees(
        &connector,
        |saw| matches!(saw, Observation::Frame { frame, .. } if frame["action"]["content"] == "echo"),
    );
    sees_goodbye(&connector);
    let ended = program.ended();
    // Its lines go to the child: none of them is on our stdout.
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{}", ended.stderr);
}

fn a_child_that_fails_is_a_failure_with_one_clear_line(runtime: &str) {
    for (script, status) in [("exit 7", "exit status: 7"), ("kill -KILL $$", "signal: 9 (SIGKILL)")] {
        let (program, _connector) = start(runtime, script);
        let ended = program.ended();
        assert_eq!(ended.code, Some(1));
        assert_eq!(ended.stderr.lines().last().unwrap(), format!("relayline: the agent sh failed: {status}"));
    }
}

/// `--exec cat`: if an answer were answered, it would come back again.
fn a_child_that_echoes_its_input_is_not_answered_for_ever(runtime: &str) {
    let (program, connector) = start(
        runtime,
        r#"n=0
           while read -r line; do
             n=$((n+1))
             case "$line" in
               '{"event":"result"'*) echo '{"op":"send","chat_id":"1","content":"'$n' lines"}';;
               '{"event":"message"'*) echo "$line"; echo '{"op":"send","id":"1","chat_id":"1","content":"echo"}';;
               *) echo "$line";;
             esac
           done"#,
    );
    sees(&connector, |saw| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "hello"));
    let event = discord::dm().message(&mut Ids::new([0; 32]), Now::default(), "anybody?");
    connector.control(Act::Inbound { event, buffered: None }).unwrap();
    let mut content = String::new();
    sees(&connector, |saw| match saw {
        Observation::Frame { frame, .. } => {
            content = frame["action"]["content"].as_str().unwrap_or_default().to_owned();
            content.ends_with(" lines")
        }
        _ => false,
    });
    // `connected`, `message`, an `invalid` for each, and `result`.
    assert_eq!(content, "5 lines");
    program.terminate();
    let ended = program.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // Each is logged. At the end there may be `disconnected` and its answer.
    let told = ended.stderr.matches(" WARN invalid").count();
    assert!((4..=6).contains(&told), "{}", ended.stderr);
}

/// Output after the end of the agent's input is read to its end: otherwise a broken pipe would kill the agent.
fn a_child_may_write_to_its_end(runtime: &str) {
    let (program, connector) = start(
        runtime,
        r#"trap '' TERM
           while read -r line; do :; done
           n=0
           while [ $n -lt 5000 ]; do echo '{"op":"capabilities","chat_id":"1"}'; n=$((n+1)); done"#,
    );
    sees(&connector, |saw| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "hello"));
    program.terminate();
    sees_goodbye(&connector);
    let ended = program.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// A terminal sends the signal to every process of its foreground group.
fn ctrl_c_of_a_terminal_only_ends_the_childs_input(runtime: &str) {
    use std::os::unix::process::CommandExt;
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let mut command = relayline(["run", "--runtime", runtime, "--url", &connector.url()]);
    command.args(["--platform", "discord", "--exec", "sh", "-c"]);
    command.arg("while read -r line; do :; done; echo 'its input has ended' >&2").process_group(0);
    let program = Program::start(command);
    sees(&connector, |saw| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "hello"));
    let group = format!("-{}", program.id());
    assert!(std::process::Command::new("kill").args(["-INT", "--", &group]).status().unwrap().success());
    sees_goodbye(&connector);
    let ended = program.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("its input has ended"), "{}", ended.stderr);
}

fn l_10_a_revoked_gateway_ends_with_3_whatever_its_child(runtime: &str) {
    let (program, connector) = start(runtime, "while read -r line; do :; done; exit 5");
    sees(&connector, |saw| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "hello"));
    // The handshake is complete once an event is delivered. Until then a refusal is an ordinary failure (L-7).
    let event = discord::dm().message(&mut Ids::new([0; 32]), Now::default(), "first");
    connector.control(Act::Inbound { event, buffered: Some(true) }).unwrap();
    connector.control(Act::Revoke { on: true }).unwrap();
    let ended = program.ended();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("relayline: the agent sh failed: exit status: 5\n"), "{}", ended.stderr);
}
