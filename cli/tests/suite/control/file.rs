//! The socket's file: its mode, stale and living sockets, other files, other users.

use super::{Place, names};
use crate::bridging::Bridge;
use crate::support::{Ended, Program, SOON, relayline};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::{Duration, Instant};

/// Runs a gateway that fails to start.
fn refused(place: &Place) -> Ended {
    let flags = place.flags(&["--platform", "discord", "--url", "ws://127.0.0.1:1", "--exec", "cat"]);
    Program::start(relayline([&["run"], flags.as_slice()].concat())).ended()
}

#[track_caller]
fn is_refused(place: &Place, words: &str) {
    let Ended { code, stderr, .. } = refused(place);
    let begin = format!("relayline: --control {}: ", place.path.display());
    assert!(code == Some(1) && stderr.contains(&begin) && stderr.contains(words), "{code:?}: {stderr}");
}

#[test]
fn the_socket_has_mode_0600_and_is_removed_at_the_end() {
    let place = Place::new();
    let mut bridge = place.start("tokio", &[]);
    assert_eq!(fs::metadata(&place.path).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(names(place.folder.path()), ["control.sock"]);
    bridge.program.close_stdin();
    bridge.ends_well();
    assert!(names(place.folder.path()).is_empty());
}

/// With a mask of 0, a file has all the bits that its creator asks for. A watcher sees each mode that it ever has.
#[test]
fn the_socket_never_has_a_wider_mode() {
    let place = Place::new();
    let path = place.path.clone();
    let watch = std::thread::spawn(move || {
        let until = Instant::now() + SOON;
        loop {
            match fs::symlink_metadata(&path) {
                Ok(found) => break found.mode() & 0o7777,
                Err(_) => assert!(Instant::now() < until, "there is no socket"),
            }
        }
    });
    let flags = place.flags(&["--platform", "discord", "--url", "ws://127.0.0.1:1"]).join(" ");
    let mut command = Command::new("sh");
    command.args(["-c", &format!("umask 0; exec {} run {flags}", env!("CARGO_BIN_EXE_relayline"))]);
    let program = Program::start(command);
    assert_eq!(watch.join().unwrap(), 0o600);
    // Signals are watched then.
    program.logged("control_listening");
    program.terminate();
    assert_eq!(program.ended().code, Some(0));
}

#[test]
fn the_socket_of_a_killed_gateway_is_replaced() {
    let place = Place::new();
    drop(place.start("smol", &[]));
    assert!(place.path.exists(), "a killed gateway cannot remove it");
    let mut bridge = place.start("tokio", &[]);
    assert_eq!(place.client().status()["phase"], "connected");
    bridge.program.close_stdin();
    bridge.ends_well();
}

#[test]
fn a_living_gateway_keeps_its_socket() {
    let place = Place::new();
    let _bridge = place.start("tokio", &[]);
    is_refused(&place, "a gateway listens there already");
    assert_eq!(place.client().status()["phase"], "connected");
}

/// Of gateways that start at once at a stale socket, one gets it.
#[test]
fn of_several_gateways_one_gets_the_socket() {
    let place = Place::new();
    drop(UnixListener::bind(&place.path).unwrap());
    let start = |_| {
        let flags = place.flags(&["--platform", "discord", "--url", "ws://127.0.0.1:1"]);
        Program::start(relayline([&["run"], flags.as_slice()].concat()))
    };
    let mut programs: Vec<Program> = (0..6).map(start).collect();
    let until = Instant::now() + SOON;
    while programs.len() > 1 {
        assert!(Instant::now() < until, "{} have the socket", programs.len());
        programs.retain_mut(|program| !program.log().contains("listens there already"));
        std::thread::sleep(Duration::from_millis(10));
    }
    programs[0].logged("control_listening");
    assert_eq!(place.client().status()["pid"], programs[0].id());
}

#[test]
fn another_file_is_left_alone() {
    let place = Place::new();
    fs::write(&place.path, "mine").unwrap();
    is_refused(&place, "a file that is not a socket");
    assert_eq!(fs::read_to_string(&place.path).unwrap(), "mine");
    let link = Place::new();
    drop(UnixListener::bind(link.folder.path().join("stale")).unwrap());
    symlink(link.folder.path().join("stale"), &link.path).unwrap();
    is_refused(&link, "a file that is not a socket");
    assert!(link.folder.path().join("stale").exists());
}

#[test]
fn a_path_that_cannot_be_used_is_an_error() {
    let place = Place::new();
    let at = |path: String| Place { folder: tempfile::tempdir().unwrap(), path: path.into() };
    is_refused(
        &at(format!("{}/{}", place.folder.path().display(), "x".repeat(120))),
        "too long for a Unix socket",
    );
    is_refused(&at(place.folder.path().join("missing/s").display().to_string()), "create it");
}

/// A file that took the socket's place meanwhile is not the gateway's.
#[test]
fn a_socket_that_was_replaced_is_not_removed() {
    let place = Place::new();
    let mut bridge = place.start("smol", &[]);
    fs::remove_file(&place.path).unwrap();
    let _other = UnixListener::bind(&place.path).unwrap();
    bridge.program.close_stdin();
    bridge.ends_well();
    assert!(place.path.exists());
}

#[test]
fn a_second_signal_removes_the_socket_too() {
    let place = Place::new();
    let bridge: Bridge =
        place.start("tokio", &["--set", "disconnect_budget=60s", "--set", "disconnect_idle_timeout=60s"]);
    bridge.tell(serde_json::from_str(r#"{"do":"idle_ack","on":false}"#).unwrap());
    bridge.program.terminate();
    assert_eq!(bridge.sees()["type"], "going_idle");
    bridge.program.terminate();
    assert_eq!(bridge.program.ended().code, Some(1));
    assert!(!place.path.exists());
}
