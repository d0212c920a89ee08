//! The HTTP client: its bytes on the wire, and the message of each failure.

use super::may_move;
use super::server::{Reply, Server};
use crate::Kit;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use relayline_control::http::{Body, Failure, MAX_RESPONSE, Request, Unreachable};
use relayline_control::network::Network;
use relayline_runtime::http::HttpResponse;
use std::net::TcpListener;
use std::time::Duration;

pub(super) fn post(url: String, body: &str) -> Request {
    Request {
        method: Method::POST,
        url,
        headers: HeaderMap::from_iter([
            (AUTHORIZATION, HeaderValue::from_static("Bearer hunter2")),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        ]),
        body: Body::Bytes(body.as_bytes().to_vec().into()),
        timeout: Duration::from_secs(15),
        max_response: MAX_RESPONSE,
    }
}

fn send(request: &Request) -> Result<HttpResponse, Failure> {
    let kit = Kit::new();
    let client = kit.http_client(&Network::default());
    kit.block_on(may_move(client.send(request)))
}

#[test]
fn a_request_is_sent_unchanged_and_its_answer_is_whole() {
    let chunked =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nX-Kind: a\r\n\r\n2\r\n{}\r\n1\r\n\n\r\n0\r\n\r\n";
    let server = Server::start(vec![
        Reply::answer("201 Created", "x-kind: a\r\n", "{\"a\":1}"),
        Reply::close(chunked),
        Reply::close("HTTP/1.0 200 OK\r\n\r\nto the end"),
        Reply::answer("204 No Content", "", ""),
    ]);
    let host = server.address.to_string();
    for (status, body) in [(201, "{\"a\":1}"), (200, "{}\n"), (200, "to the end"), (204, "")] {
        let answer = send(&post(server.url("/relay/enroll?x=1"), "{\"token\":1}")).unwrap();
        assert_eq!((answer.status, &answer.body[..]), (status, body.as_bytes()));
        let has_kind = answer.headers.get("x-kind").is_some_and(|kind| kind == "a");
        assert_eq!(has_kind, matches!(body, "{}\n" | "{\"a\":1}"));
        // C-4: an answer may contain a secret.
        assert!(!format!("{answer:?}").contains("to the end"));

        let heard = server.heard();
        assert!(heard.head.starts_with("POST /relay/enroll?x=1 HTTP/1.1\r\n"), "{heard:?}");
        assert_eq!(heard.body, b"{\"token\":1}");
        for (name, value) in [
            ("host", host.as_str()),
            ("authorization", "Bearer hunter2"),
            ("content-type", "application/json"),
            ("content-length", "11"),
            ("connection", "close"),
        ] {
            assert_eq!(heard.header(name), Some(value), "{heard:?}");
        }
    }
}

/// A redirect is an ordinary answer, and an exchange is one connection.
#[test]
fn no_redirect_is_followed_and_nothing_is_retried() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let location = format!("location: http://{}/relay/enroll\r\n", elsewhere.local_addr().unwrap());
    let server = Server::start(vec![
        Reply::answer("307 Temporary Redirect", &location, ""),
        Reply::answer("503 Service Unavailable", "retry-after: 0\r\n", ""),
        Reply::close(""),
    ]);
    for status in [307, 503] {
        assert_eq!(send(&post(server.url("/"), "{}")).unwrap().status, status);
    }
    send(&post(server.url("/"), "{}")).unwrap_err();
    assert_eq!(elsewhere.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    for _ in 0..3 {
        server.heard();
    }
    assert!(server.heard_nothing_more());
}

#[test]
fn an_answer_is_cut_off_one_byte_above_the_limit() {
    let body = "x".repeat(200 << 10);
    let whole = Reply::answer("200 OK", "", &body);
    let endless = Reply::Hang(format!("HTTP/1.1 200 OK\r\n\r\n{body}").into_bytes());
    let just = Reply::answer("200 OK", "", &body[..MAX_RESPONSE]);
    let server = Server::start(vec![whole, endless, just]);
    for length in [MAX_RESPONSE + 1, MAX_RESPONSE + 1, MAX_RESPONSE] {
        assert_eq!(send(&post(server.url("/"), "{}")).unwrap().body.len(), length);
    }
}

#[test]
fn each_failure_has_its_message() {
    let refused = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    let server = Server::start(vec![
        Reply::Hang(Vec::new()),
        Reply::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_vec()),
        Reply::close("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"),
        Reply::close(""),
        Reply::close("\u{15}\u{3}\u{3}\0\u{2}\u{2}2"),
        Reply::close("SSH-2.0-OpenSSH\r\n"),
        Reply::Shout(b"220 smtp.example ready\r\n".to_vec()),
        Reply::Slam,
    ]);
    let plain = || server.url("/");
    let short = Duration::from_millis(100);
    let long = Duration::from_secs(15);
    let timed_out = Unreachable::TimedOut(short);
    let label = "a".repeat(64);
    for (url, timeout, expected) in [
        (format!("http://{label}.invalid/"), long, "its name cannot be looked up ("),
        (refused.clone(), long, "no connection (Connection refused"),
        (plain(), short, timed_out.to_string().as_str()),
        (plain(), short, timed_out.to_string().as_str()),
        (plain(), long, "the connection broke (error reading a body from connection: end of file"),
        (
            plain(),
            long,
            "the connection broke (the connection ended before an answer came: check the URL's port",
        ),
        (plain(), long, "the connection broke (the port speaks TLS: write the URL with https:// or wss://)"),
        (plain(), long, "the connection broke (invalid HTTP version parsed)"),
        (plain().replace("http", "https"), long, "TLS failed: the port does not speak TLS: check the URL's"),
        (
            plain().replace("http", "https"),
            long,
            "TLS failed: the connection ended during it: check whether the port speaks TLS",
        ),
    ] {
        let request = Request { timeout, ..post(url, "{}") };
        let text = send(&request).unwrap_err().to_string();
        let start = format!("could not reach {}: {expected}", request.host());
        assert!(text.starts_with(&start), "{text}\n{start}");
    }
}
