//! `relayline dev` and `relayline demo --web`, with real agents, over the page's HTTP.

use crate::support::page_client::{PageClient, request};
use crate::support::{Ended, Program, relayline};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// An agent that answers each message, with `%` in place of its name.
const AGENT: &str = r#"#!/bin/sh
echo 'ready to serve' >&2
while read -r line; do
  number=$(printf '%s' "$line" | sed 's/.*"delivery":\([0-9]*\).*/\1/')
  case "$line" in
    '{"event":"message"'*'"text":"crash"'*) echo 'a bad day' >&2; exit 7 ;;
    '{"event":"message"'*'"text":"ask"'*)
      printf '{"op":"prompt","chat_id":"1234567890123456789","platform":"discord","content":"Sure?","options":[{"id":"y","label":"Yes"}]}\n' ;;
    '{"event":"message"'*'"buffered":true'*)
      printf '{"op":"reply","delivery":%s,"content":"%: late"}\n{"op":"ack","delivery":%s}\n' "$number" "$number" ;;
    '{"event":"message"'*) printf '{"op":"reply","delivery":%s,"content":"%: here"}\n' "$number" ;;
    '{"event":"prompt_answer"'*)
      printf '{"op":"send","chat_id":"1234567890123456789","platform":"discord","content":"%: pressed"}\n' ;;
  esac
done
"#;

const GENERAL: &str = "discord/1234567890123456789";
const ADA: &str = "204255221017214977";

fn write_agent(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join("agent.sh");
    // `printf` reads two percent signs as one.
    let text = AGENT.replace("%:", &format!("{name}:"));
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A running command with a page.
struct Stage {
    program: Program,
    page: PageClient,
    url: String,
}

impl Stage {
    fn start<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Stage {
        let mut program = Program::start(relayline(arguments));
        // Neither reads its stdin.
        program.close_stdin();
        let url = program.line().unwrap();
        let page = PageClient::open(&url);
        let state = page
            .sees("all chats", |name, data| name == "reset" && data["chats"].as_array().unwrap().len() == 8);
        let stage = Stage { program, page, url };
        // A message before the first dial would come buffered.
        if state["gateway"]["state"] != "connected" {
            stage.gateway("connected");
        }
        stage
    }

    fn says(&self, text: &str) {
        self.page.does(&json!({"do": "say", "chat": GENERAL, "user": ADA, "text": text}));
    }

    /// Waits for a message of the agent.
    #[track_caller]
    fn answers(&self, text: &str) -> Value {
        self.page.sees(text, |_, data| {
            let message = &data["message"];
            data["change"] == "message" && message["author"]["kind"] == "agent" && message["text"] == text
        })
    }

    #[track_caller]
    fn agent(&self, state: &str) -> Value {
        self.page.sees(state, |_, data| data["change"] == "agent" && data["agent"]["state"] == state)
    }

    #[track_caller]
    fn gateway(&self, state: &str) {
        self.page.sees(state, |_, data| data["change"] == "gateway" && data["gateway"]["state"] == state);
    }

    /// Ends the program by a signal.
    #[track_caller]
    fn ends(self) -> Ended {
        self.program.terminate();
        self.program.ended()
    }
}

fn dev(folder: &Path, further: &[&str]) -> Stage {
    let agent = write_agent(folder, "one").display().to_string();
    let mut arguments = vec!["dev"];
    arguments.extend(further);
    arguments.extend(["--exec", &agent]);
    Stage::start(arguments)
}

#[test]
fn a_typed_message_is_answered() {
    for runtime in ["tokio", "smol"] {
        let folder = tempfile::tempdir().unwrap();
        let stage = dev(folder.path(), &["--runtime", runtime]);
        stage.says("hello");
        stage.answers("one: here");
        stage.says("ask");
        let asked = stage.answers("Sure?");
        let prompt = &asked["message"]["prompt"]["id"];
        stage
            .page
            .does(&json!({"do": "press", "chat": GENERAL, "user": ADA, "prompt": prompt, "option": "y"}));
        stage.answers("one: pressed");
        let again = json!({"do": "press", "chat": GENERAL, "user": ADA, "prompt": prompt, "option": "y"});
        assert_eq!(stage.page.act(&again).status, 400);
        let Ended { code, stderr, .. } = stage.ends();
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stderr.contains("ready to serve"), "the agent's stderr is passed on: {stderr}");
    }
}

#[test]
fn a_changed_file_starts_the_agent_again() {
    let folder = tempfile::tempdir().unwrap();
    let stage = dev(folder.path(), &[]);
    stage.says("hello");
    stage.answers("one: here");
    write_agent(folder.path(), "the second");
    let again = stage.page.sees("a second start", |_, data| data["agent"]["starts"] == 2);
    assert!(again["agent"]["why"].as_str().unwrap().ends_with("agent.sh changed"), "{again}");
    stage.says("hello");
    stage.answers("the second: here");
    assert_eq!(stage.ends().code, Some(0));
}

#[test]
fn a_crash_is_shown_and_the_button_starts_the_agent_again() {
    let folder = tempfile::tempdir().unwrap();
    let stage = dev(folder.path(), &["--no-watch"]);
    stage.says("crash");
    let (mut why, mut last_words) = (String::new(), false);
    stage.page.sees("the end of the agent and its stderr", |_, data| {
        last_words |= data["lines"].as_array().is_some_and(|lines| lines.contains(&json!("a bad day")));
        if data["agent"]["state"] == "crashed" {
            why = data["agent"]["why"].to_string();
        }
        last_words && !why.is_empty()
    });
    assert!(why.contains("exit status: 7"), "{why}");
    // The message waits for the next agent.
    stage.says("hello");
    stage.page.does(&json!({"do": "restart_agent"}));
    stage.agent("running");
    stage.answers("one: here");
    assert_eq!(stage.ends().code, Some(0));
}

#[test]
fn a_drop_and_its_recovery_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let stage = dev(folder.path(), &[]);
    stage.page.does(&json!({"do": "fault", "name": "drop"}));
    stage.gateway("away");
    stage.says("hello");
    stage.gateway("connected");
    // An acknowledgement overtakes other ops.
    let (mut is_answered, mut is_acknowledged) = (false, false);
    stage.page.sees("the answer and the acknowledgement", |_, data| {
        is_answered |= data["message"]["text"] == "one: late";
        is_acknowledged |= data["message"]["progress"] == "acknowledged";
        is_answered && is_acknowledged
    });
    assert_eq!(stage.ends().code, Some(0));
}

#[test]
fn l_11_a_half_open_connection_is_noticed_soon() {
    let folder = tempfile::tempdir().unwrap();
    let stage = dev(folder.path(), &["--set", "ping_interval=100ms", "--set", "ping_timeout=200ms"]);
    stage.page.does(&json!({"do": "fault", "name": "half_open"}));
    stage.page.sees("a second dial", |_, data| data["gateway"]["dials"] == 2);
    stage.gateway("connected");
    stage.says("hello");
    stage.answers("one: here");
    assert_eq!(stage.ends().code, Some(0));
}

#[test]
fn l_10_a_revoked_gateway_starts_again_once_it_is_admitted() {
    let folder = tempfile::tempdir().unwrap();
    let stage = dev(folder.path(), &[]);
    stage.page.does(&json!({"do": "fault", "name": "revoke"}));
    stage.page.sees("the end", |_, data| data["gateway"]["has_ended"] == true);
    stage.page.does(&json!({"do": "fault", "name": "revoke", "on": false}));
    stage.gateway("connected");
    stage.says("hello");
    stage.answers("one: here");
    assert_eq!(stage.ends().code, Some(0));
}

#[test]
fn only_the_printed_url_opens_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let stage = dev(folder.path(), &[]);
    let (address, _) = stage.url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    for path in ["/", "/events", "/session", "/?token=0"] {
        assert_eq!(request(address, &format!("GET {path} HTTP/1.1"), "", "").status, 401, "{path}");
    }
    assert!(stage.page.get("").body.contains("<title>relayline workbench</title>"));
    let unknown = stage.page.act(&json!({"do": "dance"}));
    assert_eq!(unknown.status, 400, "{}", unknown.body);
    let Ended { stderr, .. } = stage.ends();
    assert!(!stderr.contains("token="), "{stderr}");
}

#[test]
fn the_frames_are_beside_the_chats() {
    let folder = tempfile::tempdir().unwrap();
    let stage = dev(folder.path(), &[]);
    stage.says("hello");
    stage.answers("one: here");
    assert!(stage.page.get("frames/").body.contains("<title>relayline"));
    let frames = PageClient::open(&stage.url.replace("/?", "/frames/?"));
    frames.sees("the frames", |_, data| data.to_string().contains("one: here"));
    assert_eq!(stage.ends().code, Some(0));
}

#[test]
fn the_connectors_page_has_the_chats_unless_texts_are_hidden() {
    let inspect = ["connector", "--inspect", "127.0.0.1:0", "--gateway", "gw=s3cret"];
    let program = Program::start(relayline(inspect));
    let url = format!("http://{}", program.logged("workbench: http://"));
    let page = PageClient::open(&url);
    page.sees("all chats", |name, data| name == "reset" && data["inspector"] == "../");
    page.does(&json!({"do": "say", "chat": GENERAL, "user": ADA, "text": "hello"}));
    page.sees("the message", |_, data| data["message"]["progress"] == "waiting");
    let refused = page.act(&json!({"do": "restart_agent"}));
    assert_eq!(refused.status, 400, "{}", refused.body);
    program.terminate();
    let hidden = Program::start(relayline(inspect.iter().copied().chain(["--inspect-hide-text"])));
    hidden.logged("inspector: http://");
    hidden.terminate();
    assert!(!hidden.ended().stderr.contains("workbench"));
}

#[test]
fn an_acp_agent_is_served() {
    let program = env!("CARGO_BIN_EXE_relayline");
    let stage = Stage::start(["dev", "--acp", "--", program, "__demo-agent"]);
    stage.says("hello");
    stage.page.sees("an answer", |_, data| data["message"]["author"]["kind"] == "agent");
    assert_eq!(stage.ends().code, Some(0));
}

#[test]
fn the_demos_agent_answers_in_the_page() {
    let stage = Stage::start(["demo", "--web"]);
    stage.says("hello");
    stage.answers("you said: hello");
    stage.says("/status");
    stage.answers("/status: all is well");
    stage.page.does(&json!({"do": "fault", "name": "revoke"}));
    stage.page.sees("the end", |_, data| data["gateway"]["has_ended"] == true);
    stage.page.does(&json!({"do": "fault", "name": "revoke", "on": false}));
    stage.gateway("connected");
    assert_eq!(stage.ends().code, Some(0));
}

#[test]
fn mistakes_are_told_before_anything_starts() {
    for (arguments, code, what) in [
        (&["dev"][..], 2, "required"),
        (&["dev", "--watch", "/nowhere", "--exec", "cat"], 2, "--watch /nowhere: there is no such file"),
        (&["dev", "--watch", "/", "--no-watch", "--exec", "cat"], 2, "cannot be used with"),
        (&["dev", "--listen", "0.0.0.0:0", "--exec", "cat"], 2, "other machines could reach the page"),
        (&["dev", "--listen", "here", "--exec", "cat"], 2, "write IP:PORT"),
        (&["dev", "--set", "nothing=1", "--exec", "cat"], 2, "nothing"),
        (&["dev", "--command-manifest", "/nowhere", "--exec", "cat"], 2, "--command-manifest /nowhere"),
        (&["dev", "--exec", "./no-such-agent"], 1, "./no-such-agent"),
        (&["dev", "--acp-state", "/nowhere/state", "--acp", "--", "cat"], 1, "--acp-state /nowhere/state"),
        (&["demo", "--web", "--acp"], 2, "cannot be used with"),
        (&["demo", "--open"], 2, "required"),
    ] {
        let Ended { code: ended, stderr, .. } = Program::start(relayline(arguments)).ended();
        assert_eq!(ended, Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(what), "{arguments:?}: {stderr}");
    }
}
