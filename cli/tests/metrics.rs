//! `run --metrics`: the page, and a port that is taken.
#![cfg(unix)]
#![allow(clippy::unwrap_used)] // Helpers of tests are tests, too.

mod support;

use relayline_harness::connector::{ConnectorConfig, EmbeddedConnector};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};
use support::{Program, SOON, relayline};

on_both_runtimes! {
    x_2_the_page_is_there_while_it_runs
    a_port_that_is_taken_ends_it_before_it_begins
}

/// Where the page is, as the log in this file says.
fn address(log: &std::path::Path) -> String {
    let until = Instant::now() + SOON;
    loop {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        if let Some((_, rest)) = text.split_once("metrics_listening address=") {
            return rest.split_whitespace().next().unwrap().to_owned();
        }
        assert!(Instant::now() < until, "{text}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn x_2_the_page_is_there_while_it_runs(runtime: &str) {
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let flags = ["run", "--platform", "discord", "--metrics", "127.0.0.1:0", "--runtime", runtime, "--url"];
    let program = relayline(flags);
    // The same program, its log in a file: a pipe is read only at its end here.
    let mut command = Command::new("sh");
    command.arg("-c").arg("exec \"$0\" \"$@\" 2>\"$LOG\"").arg(program.get_program());
    command.args(program.get_args()).arg(connector.url()).env("LOG", &log);
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut program = Program::start(command);
    assert!(program.line().unwrap().starts_with("{\"event\":\"connected\""));
    let mut client = TcpStream::connect(address(&log)).unwrap();
    client.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    client.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    for line in ["relayline_handshakes_total 1", "relayline_phase{phase=\"connected\"} 1"] {
        assert!(page.lines().any(|one| one == line), "{page}");
    }
    program.close_stdin();
    assert_eq!(program.ended().code, Some(0));
}

fn a_port_that_is_taken_ends_it_before_it_begins(runtime: &str) {
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let url = connector.url();
    let flags = ["run", "--url", &url, "--platform", "discord", "--runtime", runtime, "--metrics", &taken];
    let ended = Program::start(relayline(flags)).ended();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{}", ended.stderr);
    let start = format!("relayline: --metrics {taken}: ");
    assert!(ended.stderr.starts_with(&start) && ended.stderr.contains("127.0.0.1:9464"), "{}", ended.stderr);
}
