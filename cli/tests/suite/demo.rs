//! `relayline demo`: the conversation that it plays without a terminal.

use crate::support::{Ended, Program, relayline};
use std::io::Read;
use std::process::{Command, Stdio};

on_one_runtime! {
    the_built_in_conversation a_script_of_ones_own,
    a_closed_stdout_ends_the_demo_quietly,
}

/// It kills a gateway and its agent, and starts them again.
#[cfg(unix)]
#[test]
fn a_message_survives_the_crash_of_the_demo() {
    let Ended { code, stdout, stderr } = Program::start(relayline(["demo", "--durable"])).ended();
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("agent done: book the flight (attempt 2, redelivered)"), "{stdout}");
}

const BUILT_IN: &str = "\
-- connector  ws://127.0.0.1:PORT (on this machine)
-- enrollment gw-demo enrolled over HTTP: secret <hidden>, delivery key <hidden>
-- gateway    gw-demo dialed in over a WebSocket; its token is right
-- handshake  one hello and one descriptor each: discord, telegram, slack, sms

discord: general
  ada   Hello 👋 what's the “naïve” plan? 日本語もOK
  agent you said: Hello 👋 what's the “naïve” plan? 日本語もOK

telegram: Команда 🚀 / Релизы
  Зоя   /story Расскажи длинную! 🚀
  agent 1. And then the ship 🚀 flew on, farther still, to the next star. ⏎ 2. An […] the next star. (1/2)   [4083 UTF-16 units]
  agent 62. And then the ship 🚀 flew on, farther still, to the next star. ⏎ 63.  […] the next star. (2/2)   [1948 UTF-16 units]

slack: platform, a thread
  lin   Is the release out?
  agent you said: Is the release out?

discord: general
  ada   deploy it
  agent Deploy it now?  [Yes]  [Not yet]
  -- ada presses \"yes\"
  agent ada chose \"yes\"
  ada   /status
  -- Discord forwards that as an interaction
  agent /status: all is well  (a follow-up)

slack: platform, a thread
  lin   thanks!
  agent reacts 👍

discord: general
  ada   /think hard
  agent Well,
  agent Well, let me think about that. Done: it is 42.  (edited)

telegram: Команда 🚀 / Релизы
  Зоя   /think harder
  agent Well,  (a draft)
  agent Well, let me think about that. Done: it is 42.

sms: a direct message
  max   /think hardest
  agent Well, let me think about that.
  agent Done: it is 42.

discord: general
  ada   /slow count to a billion
  agent is typing …
  -- the agent has begun a turn that lasts
  -- ada interrupts agent:main:discord:group:1234567890123456789:204255221017214977
  agent stopped: you interrupted me

-- the connection is cut, without a close frame

slack: platform, a thread
  lin   Did you get this?
  -- the gateway is away: the connector keeps that in its buffer
  -- the gateway is back after SECONDS s (dial 2), with a fresh token
  agent you said: Did you get this?
  -- the agent has accepted it: acknowledged, and gone from the buffer

-- the gateway went idle and closed with 1000
-- 2 dials, 12 messages delivered, 39 frames in, 27 out, 1 acknowledged
";

/// Replaces the text between two others by a word.
fn blank(text: &str, before: &str, after: &str, word: &str) -> String {
    let Some((head, rest)) = text.split_once(before) else { return text.to_owned() };
    let Some((_, tail)) = rest.split_once(after) else { return text.to_owned() };
    format!("{head}{before}{word}{after}{tail}")
}

fn play(command: Command) -> Ended {
    let Ended { code, stdout, stderr } = Program::start(command).ended();
    let stdout = blank(&stdout, "ws://127.0.0.1:", " (", "PORT");
    Ended { code, stdout: blank(&stdout, "is back after ", " s (", "SECONDS"), stderr }
}

fn the_built_in_conversation(runtime: &str) {
    let ended = play(relayline(["demo", "--runtime", runtime]));
    // In a pipe the output is plain text.
    assert_eq!(ended.stdout, BUILT_IN);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

fn a_script_of_ones_own(runtime: &str) {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("mine.demo");
    std::fs::write(&script, "# Mine.\nslack: hello: you\n\n!drop\ntelegram: still there?\n").unwrap();
    let mut command = relayline(["demo", "--runtime", runtime, "--script"]);
    command.arg(script);
    let ended = play(command);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    for line in ["  lin   hello: you\n", "  agent you said: hello: you\n", "  agent you said: still there?\n"]
    {
        assert!(ended.stdout.contains(line), "{}", ended.stdout);
    }
}

/// `relayline demo | head -1`
fn a_closed_stdout_ends_the_demo_quietly(runtime: &str) {
    let mut command = relayline(["demo", "--runtime", runtime]);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    // Its stdout is closed by now.
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
}
