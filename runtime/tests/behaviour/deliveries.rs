//! H-6, C-3: signed webhook requests, over real sockets.

use super::pulling::held;
use super::stage::EventIds;
use super::{SOON, Stage, config};
use crate::Kit;
use relayline_connector::chats::Ids;
use relayline_connector::{ConnectorConfig, EmbeddedConnector};
use relayline_control::config::GatewayConfig;
use relayline_core::secret::Secret;
use relayline_core::signature::sign;
use relayline_runtime::{Incoming, Relay};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

pub(super) const HELLO: &str = r#"{"type":"message","event":{"text":"hello","source":{"chat_id":"1"}}}"#;

/// Starts a gateway that accepts requests signed with `dk`, and dials a connector.
pub(super) fn served(settings: &[(&str, &str)]) -> (Stage, SocketAddr) {
    served_with(settings, |_| ())
}

pub(super) fn served_with(
    settings: &[(&str, &str)],
    change: impl FnOnce(&mut GatewayConfig),
) -> (Stage, SocketAddr) {
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let mut config = config(&connector.url(), settings);
    config.inbound_listen = Some("127.0.0.1:0".into());
    config.machine.delivery_keys = vec![Secret::new("dk")];
    change(&mut config);
    let kit = Kit::new();
    let (relay, inbox) = kit.connect(config);
    let address = relay.inbound().unwrap().unwrap();
    (Stage { kit, relay, inbox, connector: connector.into(), ids: EventIds(Ids::new([0; 32])) }, address)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Returns the headers that sign a body with a key, this many seconds ago.
pub(super) fn signed(body: impl AsRef<[u8]>, key: &str, ago: i64) -> String {
    let at = now().checked_add_signed(-ago).unwrap();
    let signature = sign(body.as_ref(), &Secret::new(key), at);
    format!("x-relay-timestamp: {at}\r\nX-Relay-Signature: {signature}\r\n")
}

pub(super) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

/// Sends one request on its own connection. Returns everything until the server closes.
pub(super) fn ask(address: SocketAddr, head: &str, body: impl AsRef<[u8]>) -> String {
    let (mut stream, body) = (connect(address), body.as_ref());
    let length = body.len();
    write!(stream, "{head}host: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n").unwrap();
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

pub(super) fn post(address: SocketAddr, path: &str, headers: &str, body: impl AsRef<[u8]>) -> String {
    ask(address, &format!("POST {path} HTTP/1.1\r\n{headers}"), body)
}

/// Sends a signed request in the background. Returns the status of the answer.
pub(super) fn sending(address: SocketAddr, body: &'static str) -> JoinHandle<u16> {
    std::thread::spawn(move || status(&post(address, "/", &signed(body, "dk", 0), body)))
}

#[track_caller]
pub(super) fn status(answer: &str) -> u16 {
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    status.unwrap_or_else(|| panic!("no answer: {answer:?}")).parse().unwrap()
}

/// Waits until `is_so` holds for the gateway.
#[track_caller]
pub(super) fn until(what: &str, relay: &Relay, is_so: impl Fn(&Relay) -> bool) {
    let started = Instant::now();
    while !is_so(relay) {
        assert!(started.elapsed() < SOON, "{what}: {:?}", relay.stats());
        std::thread::yield_now();
    }
}

/// Each has its status, and does not reach the host. Only the valid one does.
#[test]
fn h_6_an_invalid_request_has_its_status_and_is_dropped() {
    let (mut stage, address) = served(&[]);
    let interrupt = r#"{"type":"interrupt","session_key":"k"}"#;
    let good = |body: &str| signed(body, "dk", 0);
    let huge = "x".repeat((1 << 20) + 1);
    let table: &[(&str, &str, String, &[u8], u16)] = &[
        ("wrong key", "/", signed(HELLO, "other", 0), HELLO.as_bytes(), 401),
        ("stale", "/", signed(HELLO, "dk", 301), HELLO.as_bytes(), 401),
        ("ahead", "/", signed(HELLO, "dk", -302), HELLO.as_bytes(), 401),
        ("replayed on another body", "/", good("{}"), HELLO.as_bytes(), 401),
        ("unsigned", "/", String::new(), HELLO.as_bytes(), 401),
        ("no text", "/", "x-relay-timestamp: \u{e9}\r\n".into(), HELLO.as_bytes(), 401),
        ("unsigned interrupt", "/interrupt", String::new(), interrupt.as_bytes(), 401),
        ("bad UTF-8", "/", signed(b"\"\xff\"", "dk", 0), b"\"\xff\"", 400),
        ("bad JSON", "/", good("{"), b"{", 400),
        ("no event", "/", good(r#"{"type":"message"}"#), br#"{"type":"message"}"#, 400),
        ("huge", "/", good(&huge), huge.as_bytes(), 413),
        ("huge and unsigned", "/", String::new(), huge.as_bytes(), 401),
        ("elsewhere", "/other", good(HELLO), HELLO.as_bytes(), 404),
        ("a query is no other path", "/?a=b", signed(HELLO, "other", 0), HELLO.as_bytes(), 401),
    ];
    for (what, path, headers, body, expected) in table {
        let answer = post(address, path, headers, body);
        assert_eq!(status(&answer), *expected, "{what}: {answer}");
        assert!(answer.contains(r#"{"ok":false,"error":""#), "{what}: {answer}");
    }
    let wrong_method = ask(address, &format!("GET / HTTP/1.1\r\n{}", good("")), "");
    assert!(status(&wrong_method) == 405 && wrong_method.contains("\r\nallow: POST\r\n"), "{wrong_method}");
    let health = ask(address, "GET /healthz HTTP/1.1\r\n", "");
    assert!(status(&health) == 200 && health.ends_with(r#"{"ok":true}"#), "{health}");

    let client = sending(address, HELLO);
    let message = stage.message();
    assert_eq!((&*message.message().text, message.is_buffered()), ("hello", false));
    message.ack();
    assert_eq!(client.join().unwrap(), 200);
    let stats = stage.relay.stats();
    assert_eq!((stats.delivered, stats.unsigned_deliveries, stats.unusable_deliveries), (1, 9, 3));
    assert_eq!((stats.overlong_deliveries, stats.unknown_http_requests), (1, 2));
}

#[test]
fn h_6_without_a_key_every_delivery_is_401() {
    let (stage, address) = served_with(&[], |config| config.machine.delivery_keys.clear());
    let answer = post(address, "/", &signed(HELLO, "", 0), HELLO);
    assert!(status(&answer) == 401 && answer.contains("GATEWAY_RELAY_DELIVERY_KEY"), "{answer}");
    assert_eq!(stage.relay.stats().delivered, 0);
}

/// Both the new key and the old one are accepted during a rotation.
#[test]
fn h_6_either_key_of_a_rotation_is_accepted() {
    let (mut stage, address) = served_with(&[], |config| {
        config.machine.delivery_keys = vec![Secret::new("new"), Secret::new("old")]
    });
    for key in ["new", "old"] {
        let client = std::thread::spawn(move || post(address, "/", &signed(HELLO, key, 0), HELLO));
        stage.message().ack();
        assert_eq!(status(&client.join().unwrap()), 200, "{key}");
    }
}

/// The host's outcome decides the answer: a dropped delivery was not accepted.
#[test]
fn h_6_a_refused_delivery_is_503() {
    let (mut stage, address) = served(&[]);
    for refuse in [true, false] {
        let client = sending(address, HELLO);
        let message = stage.message();
        if refuse {
            message.refuse();
        } else {
            drop(message);
        }
        assert_eq!(client.join().unwrap(), 503);
    }
    drop(stage.inbox);
    assert_eq!(sending(address, HELLO).join().unwrap(), 503);
}

#[test]
fn h_6_a_full_queue_of_the_host_is_503_at_once() {
    let (mut stage, address) = served(&[("host_queue", "1")]);
    let client = sending(address, HELLO);
    until("it waits for the host", &stage.relay, |relay| held(relay, "host_queue") == 1);
    let answer = post(address, "/", &signed(HELLO, "dk", 0), HELLO);
    assert!(status(&answer) == 503 && answer.contains("the host's queue is full"), "{answer}");
    stage.message().ack();
    assert_eq!(client.join().unwrap(), 200);
}

#[test]
fn h_6_a_host_that_does_not_settle_is_504() {
    let (mut stage, address) = served(&[("delivery_timeout", "50ms")]);
    let client = sending(address, HELLO);
    let held = stage.message();
    assert_eq!(client.join().unwrap(), 504);
    held.ack();
}

/// L-16: it overtakes queued messages, and is answered at once.
#[test]
fn h_6_an_interrupt_overtakes_messages() {
    let (mut stage, address) = served(&[("host_queue", "1")]);
    let client = sending(address, HELLO);
    until("it waits for the host", &stage.relay, |relay| held(relay, "host_queue") == 1);
    let body = r#"{"type":"interrupt","session_key":"agent:main:discord:dm:1","chat_id":"1"}"#;
    assert_eq!(status(&post(address, "/interrupt", &signed(body, "dk", 0), body)), 200);
    let Incoming::Interrupt { session_key, chat_id } = stage.next_but_notices() else {
        panic!("an interrupt")
    };
    assert_eq!((session_key.as_str(), chat_id.as_str()), ("agent:main:discord:dm:1", "1"));
    stage.message().ack();
    assert_eq!(client.join().unwrap(), 200);
}

/// A client that makes no progress is cut off, in its head and in its body.
#[test]
fn h_6_a_slow_client_is_cut_off() {
    let (stage, address) = served(&[("delivery_read_timeout", "50ms")]);
    for (sent, expected) in [
        ("", ""),
        ("POST / HTTP/1.1\r\nhost: x\r\n", ""),
        (
            &format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n{}\r\n{{", signed("{", "dk", 0)),
            "408",
        ),
        ("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{", "401"),
    ] {
        let mut stream = connect(address);
        stream.write_all(sent.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.get(9..).unwrap_or_default().starts_with(expected), "{sent:?}: {answer:?}");
        assert!(answer.is_empty() || answer.contains("connection: close"), "{answer}");
    }
    assert_eq!(stage.relay.stats().slow_deliveries, 1);
}

/// A body that is too large is cut off. A client that asks first is rejected before it sends the body.
#[test]
fn h_6_a_huge_body_is_not_read_to_its_end() {
    let (_stage, address) = served(&[]);
    let mut stream = connect(address);
    let head = format!(
        "POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 99999999999\r\n{}\r\n",
        signed("", "dk", 0)
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(status(&answer), 413);

    let mut stream = connect(address);
    stream.write_all(head.replacen("expect: 100-continue\r\n", "", 1).as_bytes()).unwrap();
    let piece = vec![b'x'; 1 << 20];
    let sent = (0..1000).take_while(|_| stream.write_all(&piece).is_ok()).count();
    assert!(sent < 1000, "it was all taken");
}

#[test]
fn h_6_it_works_while_the_connector_cannot_be_reached() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (mut stage, address) =
        served_with(&[], |config| config.url = super::config(&format!("ws://{closed}"), &[]).url);
    let client = sending(address, HELLO);
    stage.message().ack();
    assert_eq!(client.join().unwrap(), 200);
    assert_eq!(stage.relay.stats().handshakes, 0);
}

/// The host gets the address and the cause, and everything else works.
#[test]
fn h_6_a_bind_failure_does_not_affect_the_connection() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let connector = EmbeddedConnector::start(ConnectorConfig::default(), "127.0.0.1:0").unwrap();
    let mut config = config(&connector.url(), &[]);
    config.inbound_listen = Some(address.to_string());
    let kit = Kit::new();
    let (relay, inbox) = kit.connect(config);
    let why = relay.inbound().unwrap().unwrap_err();
    assert!(why.starts_with(&format!("{address}: ")) && why.contains("in use"), "{why}");
    let mut stage =
        Stage { kit, relay, inbox, connector: connector.into(), ids: EventIds(Ids::new([0; 32])) };
    stage.notice(|notice| matches!(notice, relayline_core::output::Notice::Connected { .. }));
    stage.kit.block_on(stage.relay.send("1", "all is well")).unwrap();
}

/// The server ends with the gateway: waiting clients are answered, and the port is free.
#[test]
fn h_6_the_server_ends_with_the_gateway() {
    let (mut stage, address) = served(&[]);
    let client = sending(address, HELLO);
    let held = stage.message();
    stage.kit.block_on(stage.relay.disconnect());
    assert_eq!(client.join().unwrap(), 503);
    until("the port is closed", &stage.relay, |_| {
        TcpStream::connect(address).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
    held.ack();
}
