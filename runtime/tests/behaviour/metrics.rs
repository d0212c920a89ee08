//! The metrics page, over HTTP and from the handle.

use super::{SOON, Stage, Wire};
use futures_util::StreamExt;
use relayline_connector::chats::discord;
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
    let until = Instant::now() + SOON;
    while TcpListener::bind(address).is_err() {
        assert!(Instant::now() < until, "the port is still taken");
        std::thread::sleep(Duration::from_millis(5));
    }
}
