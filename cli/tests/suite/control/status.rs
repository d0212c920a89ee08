//! `relayline status`: in each phase, as text and as JSON, once and repeated.

use super::Place;
use crate::bridging::{Bridge, schema, valid};
use crate::support::{Ended, Program, SOON, copy_program, relayline};
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Instant;

on_one_runtime! {
    the_text_has_every_section json_is_one_object,
    it_is_shown_in_each_phase watch_repeats_until_the_gateway_ends,
    c_4_the_status_has_no_secret_and_no_text on_a_terminal_the_status_is_redrawn,
}

/// Returns the command with the place's socket.
fn command(place: &Place, flags: &[&str]) -> Command {
    let mut command = relayline(["status", "--control"]);
    command.arg(&place.path).args(flags);
    command
}

#[track_caller]
fn shown(place: &Place, flags: &[&str]) -> String {
    let ended = Program::start(command(place, flags)).ended();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    ended.stdout
}

#[track_caller]
fn as_json(place: &Place) -> Value {
    let text = shown(place, &["--json"]);
    assert_eq!(text.lines().count(), 1, "{text}");
    let status = serde_json::from_str(&text).unwrap();
    valid(&schema("status.schema.json"), &status);
    status
}

/// Waits until the status has this phase.
#[track_caller]
fn waits_for(place: &Place, phase: &str) -> Value {
    let until = Instant::now() + SOON;
    loop {
        let status = as_json(place);
        if status["phase"] == phase {
            return status;
        }
        assert!(Instant::now() < until, "{status:#}");
    }
}

fn the_text_has_every_section(runtime: &str) {
    let place = Place::new();
    let mut bridge = place.start(runtime, &[]);
    bridge.ask(json!({"op": "ack", "delivery": 5}));
    let text = shown(&place, &[]);
    for line in [
        "phase    connected, for ",
        "gateway  without credentials",
        "url      ws://127.0.0.1:",
        "agent    on stdin and stdout, running for ",
        "control  1 of 16 clients",
        "platforms\n  discord   Discord   2000 characters",
        "  telegram  Telegram  4096 UTF-16 units",
        "queues\n",
        "  requests               0 / 1024",
        "counters\n",
        "  dials ",
        "last errors\n",
        "ago  ack  definite",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    // Counters that are 0 are left out.
    assert!(!text.contains("late_acks") && !text.contains("refusals"), "{text}");
}

fn json_is_one_object(runtime: &str) {
    let place = Place::new();
    let _bridge = place.start(runtime, &[]);
    let status = as_json(&place);
    assert_eq!((&status["phase"], &status["counters"]["late_waiters"]), (&json!("connected"), &json!(null)));
    assert_eq!(status["counters"]["refusals"], 0);
}

fn it_is_shown_in_each_phase(runtime: &str) {
    let place = Place::new();
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let url = connector.url();
    connector.control(Act::Mute { on: true }).unwrap();
    let flags = place.flags(&[
        "--url",
        &url,
        "--runtime",
        runtime,
        "--platform",
        "discord",
        "--set",
        "backoff_first=60s",
    ]);
    let mut program = Program::start(relayline([&["run"], flags.as_slice()].concat()));
    place.client();
    let handshaking = waits_for(&place, "handshaking");
    assert_eq!((&handshaking["descriptors"], &handshaking["connected_for_ms"]), (&json!({}), &json!(null)));
    assert!(shown(&place, &[]).contains("discord  no descriptor yet"));
    connector.control(Act::Mute { on: false }).unwrap();
    connector.control(Act::Close { code: 1013, reason: "later".into() }).unwrap();
    let waiting = waits_for(&place, "waiting");
    assert!(waiting["next_dial_in_ms"].as_u64() > Some(0), "{waiting}");
    assert_eq!(waiting["last_errors"][0]["kind"], "dial");
    let text = shown(&place, &[]);
    assert!(text.contains("; next dial in ") && text.contains("dial failed, 1013  later"), "{text}");
    program.write(b"{\"op\":\"resume\"}\n");
    let connected = waits_for(&place, "connected");
    assert!(connected["connected_for_ms"].is_u64(), "{connected}");
    program.write(b"{\"op\":\"go_idle\"}\n");
    let idle = waits_for(&place, "idle");
    assert!(idle["connected_for_ms"].as_u64() >= idle["phase_for_ms"].as_u64(), "{idle}");
}

fn watch_repeats_until_the_gateway_ends(runtime: &str) {
    let place = Place::new();
    let mut bridge = place.start(runtime, &[]);
    let mut text = Program::start(command(&place, &["--watch", "--interval", "20ms"]));
    let mut json = Program::start(command(&place, &["--watch", "--json", "--interval", "20ms"]));
    for _ in 0..3 {
        let status: Value = serde_json::from_str(&json.line().unwrap()).unwrap();
        assert_eq!(status["phase"], "connected");
    }
    let mut blocks = 0;
    while blocks < 3 {
        blocks += usize::from(text.line().unwrap().starts_with("phase    connected"));
    }
    // A reader that has seen enough ends it.
    let mut left = Program::start(command(&place, &["--watch", "--interval", "1ms"]));
    left.line();
    left.close_stdout();
    assert_eq!(left.wait(), Some(0));
    bridge.program.close_stdin();
    bridge.ends_well();
    for program in [text, json] {
        let Ended { code, stderr, .. } = program.ended();
        assert!(
            code == Some(1) && stderr.contains("the gateway") | stderr.contains("no gateway"),
            "{code:?} {stderr}"
        );
    }
}

fn on_a_terminal_the_status_is_redrawn(runtime: &str) {
    let place = Place::new();
    let _bridge = place.start(runtime, &[]);
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap().into_string().unwrap();
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let terminal: File = rustix::fs::open(name, flags, rustix::fs::Mode::empty()).unwrap().into();
    let mut command = command(&place, &["--watch", "--interval", "20ms"]);
    let mut child = command.stdin(Stdio::null()).stdout(terminal).stderr(Stdio::null()).spawn().unwrap();
    let (mut screen, mut reader) = (String::new(), File::from(controller));
    let mut part = [0; 4096];
    while screen.matches("phase    connected").count() < 3 {
        let read = reader.read(&mut part).unwrap();
        screen.push_str(&String::from_utf8_lossy(&part[..read]));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // Each time from the upper left corner, and what is left of the former lines is cleared.
    assert!(screen.matches("\x1b[Hphase    connected").count() >= 3, "{screen:?}");
    assert!(screen.contains("\x1b[K") && screen.contains("\x1b[J"), "{screen:?}");
}

fn c_4_the_status_has_no_secret_and_no_text(runtime: &str) {
    let place = Place::new();
    let connector =
        EmbeddedConnector::start(ConnectorConfig::default().gateway("gw-1", "S3CRET"), "127.0.0.1:0")
            .unwrap();
    let url = format!("{}?key=S3CRET", connector.url());
    let flags = place.flags(&[
        "--url",
        &url,
        "--runtime",
        runtime,
        "--platform",
        "discord",
        "--gateway-id",
        "gw-1",
        "--set",
        "backoff_first=20ms",
    ]);
    let mut command = relayline([&["run"], flags.as_slice()].concat());
    command.env("GATEWAY_RELAY_SECRET", "S3CRET");
    let ids = relayline_connector::chats::Ids::new([0; 32]);
    let mut bridge = Bridge { program: Program::start(command), connector, ids };
    assert_eq!(bridge.next()["event"], "connected");
    let refused = json!({"success": false, "error": "no 'private words' here"});
    bridge.tell(serde_json::from_value(json!({"do": "answer", "op": "send", "result": refused})).unwrap());
    bridge.ask(json!({"op": "send", "chat_id": "7", "content": "private words"}));
    bridge.ask(json!({"op": "private words", "chat_id": "7"}));
    bridge.tell(Act::Close { code: 4000, reason: "the key S3CRET is old".into() });
    while bridge.next()["event"] != "connected" {}
    let status = as_json(&place);
    assert_eq!(
        (&status["gateway_id"], status["last_errors"].as_array().map(Vec::len)),
        (&json!("gw-1"), Some(3))
    );
    for text in [status.to_string(), shown(&place, &[])] {
        assert!(!text.contains("S3CRET") && !text.contains("private"), "{text}");
    }
}

#[test]
fn without_a_gateway_it_ends_with_1() {
    let place = Place::new();
    let ended = Program::start(command(&place, &[])).ended();
    assert!(ended.code == Some(1) && ended.stderr.contains("no gateway listens at"), "{ended:?}");
    let ended = Program::start(relayline(["status"])).ended();
    assert!(ended.code == Some(2) && ended.stderr.contains("RELAYLINE_CONTROL"), "{ended:?}");
    let ended = Program::start(command(&place, &["--interval", "1s"])).ended();
    assert!(ended.code == Some(2) && ended.stderr.contains("--watch"), "{ended:?}");
}

/// Another user cannot connect: neither by the mode of the file, nor by the user that the system reports.
#[test]
fn another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    fs::set_permissions(place.folder.path(), Permissions::from_mode(0o755)).unwrap();
    let program = copy_program(place.folder.path());
    let _bridge = place.start("tokio", &[]);
    let nobody = || {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&program);
        command.args(["status", "--control"]).arg(&place.path);
        Program::start(command).ended()
    };
    let ended = nobody();
    assert!(ended.code == Some(1) && ended.stderr.contains("Permission denied"), "{ended:?}");
    // Somebody has changed the mode.
    fs::set_permissions(&place.path, Permissions::from_mode(0o666)).unwrap();
    let ended = nobody();
    assert!(ended.code == Some(1) && ended.stderr.contains("serves its own user and root only"), "{ended:?}");
    let status = place.client().status();
    assert_eq!(super::counter(&status, "clients_refused"), 1);
}

/// Another user could have put a socket there, to read what is sent.
#[test]
fn a_gateway_of_another_user_is_not_used() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    fs::set_permissions(place.folder.path(), Permissions::from_mode(0o755)).unwrap();
    let program = copy_program(place.folder.path());
    // The gateway is that of the user 65533, and the command is nobody's.
    std::os::unix::fs::chown(place.folder.path(), Some(65533), Some(65533)).unwrap();
    let as_user = |user: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", user, "--regid", user, "--clear-groups"]).arg(&program);
        command
    };
    let mut run = as_user("65533");
    run.args(["run", "--url", "ws://127.0.0.1:1", "--platform", "discord", "--control"]).arg(&place.path);
    let gateway = Program::start(run);
    gateway.logged("control_listening");
    fs::set_permissions(&place.path, Permissions::from_mode(0o666)).unwrap();
    let send = |user: &str| {
        let mut command = as_user(user);
        command.args(["send", "--chat-id", "7", "--text", "private", "--control"]).arg(&place.path);
        Program::start(command).ended()
    };
    let ended = send("65534");
    assert!(ended.code == Some(1) && ended.stderr.contains("not sent: the gateway at"), "{ended:?}");
    assert!(ended.stderr.contains("it is the one of the user 65533"), "{ended:?}");
    // The user itself and root go on to the gateway.
    for ended in [send("65533"), Program::start(command(&place, &[])).ended()] {
        assert!(!ended.stderr.contains("it is the one of"), "{ended:?}");
    }
}
