//! Connections through a proxy, for the HTTP client and the WebSocket.

use super::http::post;
use super::server::{Reply, Server, read_head};
use super::{SOON, config, frame};
use crate::Kit;
use futures_util::StreamExt;
use relayline_connector::{ConnectorConfig, EmbeddedConnector};
use relayline_control::network::{Network, Proxies};
use relayline_core::output::Notice;
use relayline_runtime::Incoming;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;

fn network(proxy: &str) -> Network {
    let look_up = |name: &str| (name == "all_proxy").then(|| proxy.to_owned());
    Network::default().proxies(Proxies::from_environment(&look_up).unwrap())
}

/// Starts a proxy for one connection. It connects to `target` for any request, and returns the request.
fn proxy(answer: &'static str, target: SocketAddr) -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, asked) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut near, _) = listener.accept().unwrap();
        sender.send(read_head(&mut near).unwrap()).unwrap();
        near.write_all(answer.as_bytes()).unwrap();
        let far = TcpStream::connect(target).unwrap();
        let pump = |from: &TcpStream, to: &TcpStream| {
            let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(std::net::Shutdown::Both);
            })
        };
        let pumps = [pump(&near, &far), pump(&far, &near)];
        for pump in pumps {
            pump.join().unwrap();
        }
    });
    (address, asked)
}

const OPEN: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

#[test]
fn a_request_in_a_tunnel_holds_no_credentials_of_the_proxy() {
    let server = Server::start(vec![Reply::answer("200 OK", "", "{}")]);
    let (address, asked) = proxy(OPEN, server.address);
    let kit = Kit::new();
    let client = kit.http_client(&network(&format!("http://user:p%40ss@{address}")));
    let answer = kit.block_on(client.send(&post("http://c.example/relay/policy".into(), "{}"))).unwrap();
    assert_eq!(answer.status, 200);
    let asked = asked.recv_timeout(SOON).unwrap();
    assert!(asked.starts_with("CONNECT c.example:80 HTTP/1.1\r\nhost: c.example:80\r\n"), "{asked}");
    assert!(asked.contains("proxy-authorization: Basic dXNlcjpwQHNz\r\n"), "{asked}");
    assert!(!asked.contains("hunter2"), "{asked}");
    let heard = server.heard();
    assert!(heard.head.starts_with("POST /relay/policy HTTP/1.1\r\nhost: c.example\r\n"), "{heard:?}");
    assert_eq!(heard.header("proxy-authorization"), None);
    assert_eq!(heard.header("authorization"), Some("Bearer hunter2"));
}

#[test]
fn a_proxy_that_refuses_is_named() {
    let refused = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let server = Server::start(vec![
        Reply::answer("407 Proxy Authentication Required", "", "log in"),
        Reply::answer("403 Forbidden", "connection: keep-alive\r\n", "no"),
        Reply::close("HTTP/1.1 200 OK\r\n\r\nand more"),
        Reply::close(""),
    ]);
    let kit = Kit::new();
    let there = server.address;
    for (address, why) in [
        (refused, "no connection (Connection refused"),
        (
            there,
            "it answered 407 Proxy Authentication Required; give it a user and password that it knows, as in",
        ),
        (there, "it answered 403 Forbidden; it does not let this host through: ask who runs it, or name the"),
        (there, "it sent more than an answer"),
        (there, "the connection ended before an answer came"),
    ] {
        let client = kit.http_client(&network(&format!("user:p%40ss@{address}")));
        let failure = kit.block_on(client.send(&post("https://c.example/".into(), "{}"))).unwrap_err();
        let text = failure.to_string();
        let start = format!("could not reach c.example: the proxy {address} (all_proxy): {why}");
        assert!(text.starts_with(&start), "{text}\n{start}");
    }
}

#[test]
fn l_4_the_websocket_goes_through_a_proxy_but_never_to_loopback() {
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let (address, asked) = proxy(OPEN, connector.local_addr());
    let kit = Kit::new();
    let mut config = config("ws://c.example:8080", &[]);
    config.network = network(&address.to_string());
    let (relay, mut inbox) = kit.connect(config.clone());
    let first = kit.block_on(inbox.next());
    assert!(matches!(first, Some(Incoming::Notice(Notice::Connected { .. }))), "{first:?}");
    let asked = asked.recv_timeout(SOON).unwrap();
    assert!(asked.starts_with("CONNECT c.example:8080 HTTP/1.1\r\nhost: c.example:8080\r\n"), "{asked}");
    connector.wait_for(|saw| frame(saw).is_some(), SOON).unwrap();
    kit.block_on(relay.disconnect());

    // The proxy no longer listens, and no connection to it is attempted.
    config.url = relayline_control::url::DialUrl::parse(&connector.url()).unwrap();
    let (_relay, mut inbox) = kit.connect(config);
    let first = kit.block_on(inbox.next());
    assert!(matches!(first, Some(Incoming::Notice(Notice::Connected { .. }))), "{first:?}");
}
