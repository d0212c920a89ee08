//! The metrics page, over HTTP and from the handle.

use super::{SOON, Stage, Wire};
use futures_util::future::abortable;
use futures_util::{FutureExt, StreamExt};
use relayline_connector::chats::discord;
use relayline_runtime::HostMetric;
use std::future::pending;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Returns the server's answer to this request.
fn ask(address: SocketAddr, request: &str) -> String {
    let mut client = TcpStream::connect(address).unwrap();
    let head = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    client.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

/// counters can be scraped as long as the gateway lives.
#[test]
fn x_2_the_metrics_page_is_served_until_the_gateway_has_ended() {
    let mut stage = Stage::new(Wire::Tcp, &[]);
    stage.deliver(&discord::dm(), "count me", false);
    stage.message().ack();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    relayline_runtime::serve_metrics(&stage.kit.runtime(), &stage.relay, listener, Vec::new).unwrap();
    for (request, status, holds) in [
        ("GET /metrics", "200 OK", "\nrelayline_delivered_total 1\n"),
        ("GET /metrics", "200 OK", "content-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        ("GET /metrics", "200 OK", "\nrelayline_phase{phase=\"connected\"} 1\n"),
        ("GET /metrics", "200 OK", "\nrelayline_signs_dropped_total 0\n"),
        ("GET /metrics?name=x", "200 OK", "\nrelayline_dials_total 1\n"),
        ("HEAD /metrics", "200 OK", "content-length: "),
        ("POST /metrics", "405 Method Not Allowed", "allow: GET, HEAD\r\n"),
        ("GET /", "404 Not Found", "not found: the metrics page is /metrics\n"),
        ("GET /metrics/", "404 Not Found", "not found: the metrics page is /metrics\n"),
    ] {
        let answer = ask(address, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {answer}");
        assert!(answer.contains(holds), "{request}: {answer}");
    }
    let page = ask(address, "GET /metrics");
    assert!(page.ends_with(&stage.relay.metrics()), "the page is what the handle says");
    // A silent client and a malformed request block nobody.
    let silent = TcpStream::connect(address).unwrap();
    let mut nonsense = TcpStream::connect(address).unwrap();
    nonsense.write_all(&[0xff; 64]).unwrap();
    assert!(ask(address, "GET /metrics").starts_with("HTTP/1.1 200 OK"));
    nonsense.shutdown(Shutdown::Both).unwrap();
    // When the gateway has ended, the port is free again.
    let Stage { kit, relay, inbox, .. } = stage;
    kit.block_on(relay.disconnect());
    kit.block_on(inbox.collect::<Vec<_>>());
    drop(silent);
    is_free(address);
}

/// Waits until the port is free.
#[track_caller]
fn is_free(address: SocketAddr) {
    let until = Instant::now() + SOON;
    while TcpListener::bind(address).is_err() {
        assert!(Instant::now() < until, "the port is still taken");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn x_2_a_host_without_a_gateway_has_a_page() {
    let stage = Stage::new(Wire::Tcp, &[]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = || {
        let metric =
            |name: &str, value, is_gauge| HostMetric { name: name.to_owned(), help: "One.", value, is_gauge };
        vec![metric("stored", 3, false), metric("size", 4, true)]
    };
    let (over, end) = abortable(pending::<()>());
    relayline_runtime::serve_host_metrics(&stage.kit.runtime(), listener, metrics, over.map(drop)).unwrap();
    let answer = ask(address, "GET /metrics");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let of_host = "# HELP relayline_stored_total One.\n# TYPE relayline_stored_total counter\nrelayline_stored_total 3\n\
                   # HELP relayline_size One.\n# TYPE relayline_size gauge\nrelayline_size 4\n";
    assert!(
        answer.ends_with(of_host) && answer.contains("\nrelayline_http_closed_by_slot_total 0\n"),
        "{answer}"
    );
    assert!(!answer.contains("relayline_phase"), "{answer}");
    end.abort();
    is_free(address);
}
