//! `run --metrics`: the page, and a port that is taken.

use crate::acp::Acp;
use crate::support::{Program, relayline};
use relayline_connector::{ConnectorConfig, EmbeddedConnector};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

on_one_runtime! {
    x_2_the_metrics_page_is_served_while_it_runs a_used_port_is_an_error_at_the_start,
    x_2_the_page_has_counters_of_agent_and_clients,
}

fn x_2_the_metrics_page_is_served_while_it_runs(runtime: &str) {
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let url = connector.url();
    let flags =
        ["run", "--platform", "discord", "--metrics", "127.0.0.1:0", "--runtime", runtime, "--url", &url];
    let mut program = Program::start(relayline(flags));
    assert!(program.line().unwrap().starts_with("{\"event\":\"connected\""));
    let page = page(&program);
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    for line in ["relayline_handshakes_total 1", "relayline_phase{phase=\"connected\"} 1"] {
        assert!(page.lines().any(|one| one == line), "{page}");
    }
    program.close_stdin();
    assert_eq!(program.ended().code, Some(0));
}

/// Returns the response with the page.
pub(crate) fn page(program: &Program) -> String {
    let behind = program.logged("metrics_listening address=");
    let mut client = TcpStream::connect(behind.split_whitespace().next().unwrap()).unwrap();
    client.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    client.read_to_string(&mut page).unwrap();
    page
}

/// Counters of the relay are not all: each drop has one.
fn x_2_the_page_has_counters_of_agent_and_clients(runtime: &str) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let flags = ["--metrics", "127.0.0.1:0", "--control", socket.to_str().unwrap()];
    let mut acp = Acp::start(runtime, &flags, &[]);
    acp.say("say done");
    assert_eq!(acp.last_text(), "done");
    let page = page(&acp.program);
    for line in ["relayline_acp_prompts_total 1", "relayline_control_clients_total 0"] {
        assert!(page.lines().any(|one| one == line), "{line}: {page}");
    }
    assert!(page.contains("# HELP relayline_acp_prompts_total Prompts written to the agent.\n"), "{page}");
}

fn a_used_port_is_an_error_at_the_start(runtime: &str) {
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
