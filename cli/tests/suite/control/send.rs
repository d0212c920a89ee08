//! `relayline send`: texts, files, chats that were never seen, any op, and what its failures say.

use super::{Place, with_media};
use crate::support::{Ended, Program, relayline};
use relayline_connector::Act;
use relayline_connector::chats::{discord, telegram};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

on_one_runtime! {
    a_text_is_sent_and_its_id_printed the_variable_names_the_socket,
    a_long_text_goes_in_parts a_file_has_the_text_as_its_caption,
    m_6_a_chat_that_was_never_seen_needs_its_place m_6_an_unknown_chat_is_primed_by_the_flags,
    a_known_chat_keeps_its_memory any_op_is_sent_and_its_result_printed,
    a_rejection_says_that_it_was_not_sent an_ambiguous_failure_says_that_it_may_have_been,
    o_8_without_a_connection_nothing_is_sent json_has_the_whole_result,
}

/// Returns the command with the place's socket and these arguments.
fn command(place: &Place, arguments: &[&str]) -> Command {
    let mut command = relayline(["send", "--control"]);
    command.arg(&place.path).args(arguments);
    command
}

#[track_caller]
fn run(command: Command) -> Ended {
    let mut program = Program::start(command);
    program.close_stdin();
    program.ended()
}

/// Sends, and returns what it prints.
#[track_caller]
fn sent(place: &Place, arguments: &[&str]) -> String {
    let ended = run(command(place, arguments));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{arguments:?}");
    ended.stdout
}

/// Fails to send, and returns the error.
#[track_caller]
fn not_sent(place: &Place, arguments: &[&str]) -> String {
    let ended = run(command(place, arguments));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{arguments:?}: {}", ended.stderr);
    ended.stderr
}

/// A discord chat that the gateway has seen.
fn chat() -> String {
    discord::dm().chat_id.to_string()
}

#[track_caller]
fn introduce(bridge: &mut crate::bridging::Bridge) {
    bridge.deliver(&discord::dm(), "hello", false);
    assert_eq!(bridge.next()["event"], "message");
}

fn a_text_is_sent_and_its_id_printed(runtime: &str) {
    let place = Place::new();
    let mut bridge = place.start(runtime, &[]);
    introduce(&mut bridge);
    let printed =
        sent(&place, &["--chat-id", &chat(), "--text", "- done", "--reply-to", "5", "--thread-id", "9"]);
    assert!(printed.trim_end().parse::<u64>().is_ok() && printed.ends_with('\n'), "{printed:?}");
    let frame = bridge.sees();
    let action = &frame["action"];
    assert_eq!(
        (&action["op"], &action["content"], &action["reply_to"]),
        (&json!("send"), &json!("- done"), &json!("5"))
    );
    assert_eq!((&action["metadata"]["thread_id"], &frame["platform"]), (&json!("9"), &json!("discord")));
    // The agent sees nothing of it.
    bridge.program.close_stdin();
    bridge.ends_well();
}

fn the_variable_names_the_socket(runtime: &str) {
    let place = Place::new();
    let mut bridge = place.start(runtime, &[]);
    introduce(&mut bridge);
    let mut command = relayline(["send", "--chat-id", &chat(), "--stdin"]);
    command.env("RELAYLINE_CONTROL", &place.path);
    let mut program = Program::start(command);
    program.write("eins\nzwei é\r\n".as_bytes());
    program.close_stdin();
    let ended = program.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(bridge.sees()["action"]["content"], "eins\nzwei é");
    // The flag goes first.
    let mut command = relayline(["send", "--chat-id", "1", "--text", "x", "--control", "/nowhere"]);
    command.env("RELAYLINE_CONTROL", &place.path);
    assert!(run(command).stderr.contains("no gateway listens at /nowhere"));
}

fn a_long_text_goes_in_parts(runtime: &str) {
    let place = Place::new();
    let mut bridge = place.start(runtime, &[]);
    introduce(&mut bridge);
    let ids = sent(&place, &["--chat-id", &chat(), "--text", &"word ".repeat(1000)]);
    assert_eq!(ids.lines().count(), 3, "{ids}");
    for n in 1..=3 {
        let content = bridge.sees()["action"]["content"].take();
        assert!(content.as_str().unwrap().ends_with(&format!("({n}/3)")), "{content}");
    }
    // The second part fails.
    let refused = json!({"success": false, "error": "no more"});
    bridge.tell(Act::Delay { op: "send".into(), ms: 100 });
    let sender = std::thread::spawn({
        let command = command(&place, &["--chat-id", &chat(), "--text", &"word ".repeat(1000)]);
        move || run(command)
    });
    bridge.sees();
    bridge.tell(serde_json::from_value(json!({"do": "answer", "op": "send", "result": refused})).unwrap());
    let ended = sender.join().unwrap();
    assert!(ended.code == Some(1) && ended.stderr.contains("some of its 3 parts may have been"), "{ended:?}");
}

fn a_file_has_the_text_as_its_caption(runtime: &str) {
    let place = Place::new();
    let mut bridge = with_media(&place, runtime);
    introduce(&mut bridge);
    for name in ["plan.pdf", "photo.png"] {
        fs::write(place.folder.path().join(name), "content").unwrap();
    }
    // Relative to the folder of the command, not of the gateway.
    let files = ["--attach", "plan.pdf", "--attach", "photo.png"];
    let chat_id = chat();
    let send = |text: &str| {
        let arguments = [&["--chat-id", &chat_id, "--text", text], files.as_slice()].concat();
        let mut command = command(&place, &arguments);
        command.current_dir(place.folder.path());
        let ended = run(command);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout.lines().count()
    };
    assert_eq!(send("the plan"), 2);
    for (kind, name, caption) in [("document", "plan.pdf", "the plan"), ("image", "photo.png", "")] {
        let action = bridge.sees()["action"].take();
        assert_eq!((&action["op"], &action["media_kind"]), (&json!("send_media"), &json!(kind)));
        assert_eq!((&action["filename"], &action["content"]), (&json!(name), &json!(caption)));
        assert!(action["source_url"].as_str().unwrap().contains("/relay/media/"), "{action}");
    }
    // A long text is no caption.
    assert_eq!(send(&"x".repeat(1500)), 3);
    assert_eq!(bridge.sees()["action"]["content"], "x".repeat(1500));
    assert_eq!(bridge.sees()["action"]["content"], "");
    bridge.sees();
    // Nothing is sent if one of the files is missing.
    let error = not_sent(&place, &["--chat-id", &chat(), "--text", "x", "--attach", "/nowhere/plan.pdf"]);
    assert!(error.starts_with("relayline: not sent: --attach /nowhere/plan.pdf: "), "{error}");
    let folder = place.folder.path().to_str().unwrap();
    assert!(not_sent(&place, &["--chat-id", &chat(), "--attach", folder]).contains("not a regular file"));
    sent(&place, &["--chat-id", &chat(), "--text", "the next frame"]);
    assert_eq!(bridge.sees()["action"]["content"], "the next frame");
}

fn m_6_a_chat_that_was_never_seen_needs_its_place(runtime: &str) {
    let place = Place::new();
    let mut bridge = place.start(runtime, &[]);
    for (flags, words) in [
        (&[][..], "give --platform and --scope-id"),
        (&["--platform", "discord"], "give --scope-id"),
        (&["--scope-id", "99"], "give --platform"),
        (&["--user-id", "42"], "give --platform"),
        (
            &["--platform", "irc", "--scope-id", "99"],
            "does not speak for irc: give --platform with one of discord, telegram",
        ),
    ] {
        let error = not_sent(&place, &[&["--chat-id", "-7", "--text", "x"], flags].concat());
        assert!(error.starts_with("relayline: not sent: ") && error.contains(words), "{error}");
    }
    // Neither was anything sent, nor is the chat known now.
    assert_eq!(bridge.ask(json!({"op": "chat", "chat_id": "-7"})), json!({"known": false}));
    bridge.ask(json!({"op": "send", "chat_id": "7", "content": "the first frame"}));
    assert_eq!(bridge.sees()["action"]["content"], "the first frame");
}

fn m_6_an_unknown_chat_is_primed_by_the_flags(runtime: &str) {
    let place = Place::new();
    let bridge = place.start(runtime, &[]);
    sent(&place, &["--chat-id", "7", "--text", "a", "--platform", "discord", "--scope-id", "99"]);
    let frame = bridge.sees();
    assert_eq!(frame["action"]["metadata"], json!({"scope_id": "99", "guild_id": "99"}));
    assert_eq!(frame["platform"], "discord");
    sent(&place, &["--chat-id", "-100", "--text", "b", "--platform", "telegram", "--user-id", "42"]);
    let frame = bridge.sees();
    assert_eq!(
        (&frame["action"]["metadata"], &frame["platform"]),
        (&json!({"user_id": "42"}), &json!("telegram"))
    );
    // From now on both are known.
    for (chat, platform) in [("7", "discord"), ("-100", "telegram")] {
        sent(&place, &["--chat-id", chat, "--text", "again"]);
        assert_eq!(bridge.sees()["platform"], platform);
    }
}

/// The flags count for this message, and do not replace what the gateway has seen.
fn a_known_chat_keeps_its_memory(runtime: &str) {
    let place = Place::new();
    let mut bridge = place.start(runtime, &[]);
    let room = telegram::supergroup();
    bridge.deliver(&room, "hello", false);
    bridge.next();
    let chat_id = room.chat_id.to_string();
    let chat = json!({"op": "chat", "chat_id": chat_id});
    let before = bridge.ask(chat.clone());
    sent(&place, &["--chat-id", &chat_id, "--text", "x", "--platform", "telegram", "--user-id", "42"]);
    assert_eq!(bridge.sees()["action"]["metadata"], json!({"user_id": "42"}));
    assert_eq!(bridge.ask(chat), before);
}

fn any_op_is_sent_and_its_result_printed(runtime: &str) {
    let place = Place::new();
    let bridge = with_media(&place, runtime);
    let op = |op: Value| run(command(&place, &["--op", &op.to_string()]));
    let ended = op(json!({"op": "get_chat_info", "chat_id": "7", "id": "mine"}));
    let info: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(ended.code == Some(0) && info["type"].is_string(), "{ended:?}");
    assert_eq!(bridge.sees()["action"]["op"], "get_chat_info");
    let ended = op(json!({"op": "ack", "delivery": 1}));
    assert!(
        ended.code == Some(1) && ended.stderr.starts_with("relayline: not done (definite): "),
        "{ended:?}"
    );
    // A path is one of the command's folder.
    fs::write(place.folder.path().join("plan.txt"), "the plan").unwrap();
    let mut upload = command(&place, &["--op", r#"{"op":"upload","path":"plan.txt"}"#]);
    upload.current_dir(place.folder.path());
    let ended = run(upload);
    assert!(ended.code == Some(0) && ended.stdout.contains("\"bytes\":8"), "{ended:?}");
}

fn a_rejection_says_that_it_was_not_sent(runtime: &str) {
    let place = Place::new();
    let mut bridge = place.start(runtime, &[]);
    introduce(&mut bridge);
    for (result, words) in [
        (json!({"success": false, "error": "Missing Access"}), "the connector refused it: Missing Access"),
        (
            json!({"success": false, "error": "quiet hours", "code": "egress_declined"}),
            "policy forbids it: quiet hours",
        ),
    ] {
        bridge.tell(serde_json::from_value(json!({"do": "answer", "op": "send", "result": result})).unwrap());
        let error = not_sent(&place, &["--chat-id", &chat(), "--text", "x"]);
        assert!(error.starts_with("relayline: not sent: ") && error.contains(words), "{error}");
    }
}

fn an_ambiguous_failure_says_that_it_may_have_been(runtime: &str) {
    let place = Place::new();
    let mut bridge = place.start(runtime, &[]);
    introduce(&mut bridge);
    bridge.tell(Act::Mute { on: true });
    // The connection ends, or the gateway gives no answer in time.
    let lost = Program::start(command(&place, &["--chat-id", &chat(), "--text", "x"]));
    assert_eq!(bridge.sees()["action"]["content"], "x");
    bridge.tell(Act::Mute { on: false });
    bridge.tell(Act::Drop);
    let ended = lost.ended();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.starts_with("relayline: it may have been sent: "), "{}", ended.stderr);
    while bridge.next()["event"] != "connected" {}
    bridge.tell(Act::Mute { on: true });
    let late = not_sent(&place, &["--chat-id", &chat(), "--text", "y", "--timeout", "300ms"]);
    assert!(
        late.starts_with("relayline: it may have been sent: ") && late.contains("within 300ms"),
        "{late}"
    );
}

fn o_8_without_a_connection_nothing_is_sent(runtime: &str) {
    let place = Place::new();
    let flags = place.flags(&["--platform", "discord", "--url", "ws://127.0.0.1:1", "--runtime", runtime]);
    let _program = Program::start(relayline([&["run"], flags.as_slice()].concat()));
    place.client().status();
    let flags = ["--chat-id", "7", "--text", "x", "--platform", "discord", "--scope-id", "9"];
    let error = not_sent(&place, &flags);
    assert!(error.starts_with("relayline: not sent: ") && error.contains("not connected"), "{error}");
}

fn json_has_the_whole_result(runtime: &str) {
    let place = Place::new();
    let mut bridge = place.start(runtime, &[]);
    introduce(&mut bridge);
    let printed = sent(&place, &["--json", "--chat-id", &chat(), "--text", "x"]);
    let result: Value = serde_json::from_str(&printed).unwrap();
    assert!(result["message_id"].is_string(), "{result}");
    let ended = run(command(&place, &["--json", "--chat-id", "unseen", "--text", "x"]));
    let failure: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((ended.code, &failure["error"]["kind"]), (Some(1), &json!("definite")), "{failure}");
}

#[test]
fn wrong_flags_end_with_2() {
    let control = ["--control", "/nowhere"];
    for (arguments, words) in [
        (&["--chat-id", "1", "--text", "x"][..], "give --control or set RELAYLINE_CONTROL"),
        (&[&control[..], &["--text", "x"]].concat(), "--chat-id"),
        (&[&control[..], &["--chat-id", "1"]].concat(), "--text"),
        (&[&control[..], &["--chat-id", "1", "--text", "x", "--stdin"]].concat(), "cannot be used with"),
        (&[&control[..], &["--op", "{}"]].concat(), "it is not an op"),
        (&[&control[..], &["--op", "{\"op\":1}"]].concat(), "it is not an op"),
        (&[&control[..], &["--op", "x"]].concat(), "it is not valid JSON"),
        (&[&control[..], &["--op", "{\"op\":\"resume\"}", "--chat-id", "1"]].concat(), "cannot be used with"),
        (&[&control[..], &["--chat-id", "1", "--text", "x", "--timeout", "soon"]].concat(), "as in 500ms"),
    ] {
        let ended = run(relayline([&["send"], arguments].concat()));
        assert!(ended.code == Some(2) && ended.stderr.contains(words), "{arguments:?}: {ended:?}");
    }
}

#[test]
fn without_a_gateway_nothing_is_sent() {
    let place = Place::new();
    let send = ["--chat-id", "1", "--text", "x", "--timeout", "300ms"];
    let error = not_sent(&place, &send);
    assert!(
        error.starts_with("relayline: not sent: no gateway listens at ") && error.contains("no such file"),
        "{error}"
    );
    drop(UnixListener::bind(&place.path).unwrap());
    let error = not_sent(&place, &send);
    assert!(
        error.starts_with("relayline: not sent: no gateway listens at ") && error.contains("has ended"),
        "{error}"
    );
    // Something listens and says nothing.
    fs::remove_file(&place.path).unwrap();
    let _silent = UnixListener::bind(&place.path).unwrap();
    let error = not_sent(&place, &send);
    assert!(
        error.starts_with("relayline: not sent: ") && error.contains("no answer within 300ms"),
        "{error}"
    );
}

#[test]
fn an_empty_text_is_not_sent() {
    let place = Place::new();
    let empty = not_sent(&place, &["--chat-id", "1", "--stdin"]);
    assert_eq!(empty, "relayline: not sent: the text is empty\n");
    let mut command = command(&place, &["--chat-id", "1", "--stdin"]);
    command.current_dir(Path::new("/"));
    let mut program = Program::start(command);
    program.write(b"\xff\xfe");
    program.close_stdin();
    assert!(program.ended().stderr.contains("not UTF-8"));
}
