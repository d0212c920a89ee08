//! `relayline demo --acp`: the conversations that it plays without a terminal, and a chat on one.

use crate::acp::AGENT;
use crate::connector_terminal::{lines_of, terminal};
use crate::support::{Ended, Program, SOON, relayline};
use std::io::Write;
use std::process::Stdio;

on_both_runtimes! {
    the_built_in_conversation_is_played_with_the_scripted_agent a_script_of_ones_own_is_played
    an_installed_agent_answers an_agent_that_cannot_be_used_ends_the_demo a_person_chats_on_a_terminal
}

const BUILT_IN: &str = "\
-- handshake  one hello and one descriptor each: discord, telegram, slack, sms

slack: platform, a thread
  lin   Please deploy 1.4.2
  agent ⏳ Read CHANGELOG.md
  agent 🔐 Run ./deploy.sh 1.4.2  [Allow]  [Reject]
  -- lin presses \"Allow\"
  agent Version 1.4.2 is
  agent Version 1.4.2 is live. It took 41 s, all checks pass, and nobody had to wait.  (edited)
  agent ✔ Read CHANGELOG.md  ✔ Run ./deploy.sh 1.4.2

discord: general
  ada   deploy it
  agent ⏳ Read CHANGELOG.md (0 of 1 done)
  agent 🔐 Run ./deploy.sh 1.4.2  [Allow]  [Reject]
  -- ada presses \"Reject\"
  agent All right: nothing
  agent All right: nothing was deployed.  (edited)
  agent ✔ 1 step  (edited)

slack: platform, a thread
  lin   thanks!
  agent You said “thanks!”.
  agent You said “thanks!”. Say `deploy`, and I ask for a permission.  (edited)

-- the gateway went idle and closed with 1000
";

fn play(runtime: &str, arguments: &[&str]) -> Ended {
    Program::start(relayline([&["demo", "--acp", "--runtime", runtime], arguments].concat())).ended()
}

fn the_built_in_conversation_is_played_with_the_scripted_agent(runtime: &str) {
    let Ended { code, stdout, stderr } = play(runtime, &[]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    // After the connector's address.
    let (_, rest) = stdout.split_once("token is right\n").unwrap();
    assert_eq!(rest, BUILT_IN);
}

fn a_script_of_ones_own_is_played(runtime: &str) {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("mine.demo");
    let steps = "sms: deploy\nsms: 1\n!drop\ntelegram: are you there?\ntelegram: /stop\n";
    std::fs::write(&script, steps).unwrap();
    let ended = play(runtime, &["--script", script.to_str().unwrap()]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    for words in [
        "1. Allow ⏎ 2. Reject ⏎ Answer with a number.\n  max   1\n",
        "and nobody had to wait.\n",
        "You said “are you there?”. Say `deploy`, and I ask for a permission.\n",
        "agent There is nothing to stop.\n",
    ] {
        assert!(ended.stdout.contains(words), "{words}: {}", ended.stdout);
    }
}

fn an_installed_agent_answers(runtime: &str) {
    let ended = play(runtime, &["--", AGENT.to_str().unwrap()]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let answer = "agent you said: Hello! What can you do? Answer in one sentence.";
    assert!(ended.stdout.contains(answer), "{}", ended.stdout);
}

fn an_agent_that_cannot_be_used_ends_the_demo(runtime: &str) {
    let ended = play(runtime, &["--", "/nowhere/agent"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("--acp /nowhere/agent: "), "{}", ended.stderr);
    let ended = play(runtime, &["--", AGENT.to_str().unwrap(), "version-2"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("the agent speaks version 2"), "{}", ended.stderr);
    // It leaves, and its message is not answered.
    let ended = play(runtime, &["--", "true"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("the gateway ended before its time"), "{}", ended.stderr);
    let ended = Program::start(relayline(["demo", "--runtime", runtime, "--", "true"])).ended();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
}

fn a_person_chats_on_a_terminal(runtime: &str) {
    let (mut terminal, stdin) = terminal();
    let mut command = relayline(["demo", "--acp", "--runtime", runtime]);
    let mut child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = lines_of(child.stdout.take().unwrap());
    let mut types = |line: &str| terminal.write_all(format!("{line}\n").as_bytes()).unwrap();
    let sees = |words: &str| while !lines.recv_timeout(SOON).unwrap().contains(words) {};
    sees("You are in a thread on Slack. Say `deploy`, or anything, or /help.");
    types("/help");
    sees("/press OPTION  press a button, as in /press Allow");
    types("/press Allow");
    sees("nothing is asked that has buttons");
    types("deploy");
    sees("⏳ Read CHANGELOG.md");
    sees("🔐 Run ./deploy.sh 1.4.2  [Allow]  [Reject]");
    types("/press Later");
    sees("the question has no option \"Later\": press Allow or Reject");
    types("/press reject");
    // A growing line ends by itself.
    sees("All right: nothing was deployed.");
    types("/chat telegram");
    sees("You are in telegram.");
    types("hello there, agent");
    sees("You said “hello there, agent”. Say `deploy`, and I ask for a permission.");
    types("/quit");
    sees("the gateway went idle and closed with 1000");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
