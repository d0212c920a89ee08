//! H-6, X-1: clients of the webhook server and of the metrics page cannot block others.

use super::deliveries::{HELLO, ask, connect, sending, served, signed, status, until};
use super::{SOON, Stage, Wire};
use relayline_runtime::Relay;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// A request that needs no signature.
const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

/// Returns a counter of the metrics page.
fn counted(relay: &Relay, name: &str) -> u64 {
    let page = relay.metrics();
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("relayline_{name}_total ")));
    line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
}

/// Returns a signed request that delivers nothing: its answer is 400, and its connection stays open.
fn signed_request() -> String {
    format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n{}\r\n{{}}", signed("{}", "dk", 0))
}

/// Sends a request and reads the answer, a JSON object.
fn say(client: &mut TcpStream, request: &str) -> String {
    client.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap()
}

/// Waits for the end of a connection, orderly or not. Returns the bytes before it.
fn end(client: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    match client.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    String::from_utf8(rest).unwrap()
}

fn is_open(client: &TcpStream) -> bool {
    client.set_nonblocking(true).unwrap();
    client.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// Returns clients that each send `words` and then nothing more.
fn idle(address: SocketAddr, count: usize, words: &str) -> Vec<TcpStream> {
    let dial = || {
        let mut client = connect(address);
        client.write_all(words.as_bytes()).unwrap();
        client
    };
    std::iter::repeat_with(dial).take(count).collect()
}

/// This holds for clients that send nothing, a part of a head, or a part of a body whose signature may be valid.
#[test]
fn h_6_idle_clients_do_not_block_a_signed_one() {
    let body = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n{}\r\n{{", signed("{", "dk", 0));
    for words in ["", "POST / HTTP/1.1\r\nhost", &body] {
        let (mut stage, address) = served(&[("delivery_read_timeout", "30s")]);
        let mut clients = idle(address, 128, words);
        let delivery = sending(address, HELLO);
        stage.message().ack();
        assert_eq!(delivery.join().unwrap(), 200, "{words:?}");
        assert_eq!(end(&mut clients[0]), "", "the longest idle made room");
        assert!(clients[1..].iter().all(is_open), "and no other");
        assert_eq!(counted(&stage.relay, "http_closed_by_slot"), 1);
    }
}

/// Idleness is measured from the last answer, so that a client with occasional signed requests outlives idle ones.
#[test]
fn h_6_the_longest_idle_connection_is_closed_first() {
    let (stage, address) = served(&[("delivery_connections", "2"), ("delivery_read_timeout", "30s")]);
    let mut first = connect(address);
    assert_eq!(status(&say(&mut first, &signed_request())), 400);
    let mut second = connect(address);
    assert_eq!(status(&say(&mut second, &signed_request())), 400);
    assert_eq!(status(&say(&mut first, &signed_request())), 400);
    assert_eq!(status(&ask(address, "GET /healthz HTTP/1.1\r\n", "")), 200);
    assert_eq!(end(&mut second), "");
    assert_eq!(status(&say(&mut first, &signed_request())), 400);
    assert_eq!(counted(&stage.relay, "http_closed_by_slot"), 1);
}

/// A delivery that waits for the host keeps its slot, and the next client waits for a slot.
#[test]
fn h_6_a_request_under_way_is_not_closed_for_another() {
    let (mut stage, address) = served(&[("delivery_connections", "1")]);
    let delivery = sending(address, HELLO);
    let held = stage.message();
    let mut others = idle(address, 3, HEALTH);
    held.ack();
    assert_eq!(delivery.join().unwrap(), 200);
    for other in &mut others {
        assert_eq!(status(&end(other)), 200);
    }
    assert_eq!(counted(&stage.relay, "http_closed_by_slot"), 0);
}

/// Each of them gets one answer, whatever the request.
#[test]
fn h_6_an_unsigned_request_closes_its_connection() {
    let (_stage, address) = served(&[]);
    let forged = signed_request().replace("x-relay-signature: ", "x-relay-signature: 0");
    let forged = forged.replace("X-Relay-Signature: ", "X-Relay-Signature: 0");
    let unsigned = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}";
    for (request, expected) in [
        (HEALTH, 200),
        (unsigned, 401),
        (&forged, 401),
        (&unsigned.replace("POST / ", "POST /interrupt "), 401),
        (&unsigned.replace("POST / ", "POST /nowhere "), 404),
        (&unsigned.replace("POST / ", "PUT / "), 405),
    ] {
        let mut client = connect(address);
        client.write_all(request.repeat(2).as_bytes()).unwrap();
        let answers = end(&mut client);
        assert_eq!(status(&answers), expected, "{request}: {answers}");
        assert!(answers.contains("\r\nconnection: close\r\n"), "{request}: {answers}");
        assert_eq!(answers.matches("HTTP/1.1").count(), 1, "{request}: {answers}");
    }
    let mut client = connect(address);
    for _ in 0..2 {
        let answer = say(&mut client, &signed_request());
        assert!(status(&answer) == 400 && !answer.contains("connection: close"), "{answer}");
    }
}

#[test]
fn h_6_a_connection_has_a_maximum_age() {
    let settings = [("http_connection_age", "200ms"), ("delivery_read_timeout", "30s")];
    let (mut stage, address) = served(&settings);
    // The connection ends while the client's request is incomplete, however busy the client looks.
    for words in ["", "POST / HTTP/1.1\r\nhost: x\r\n", &signed_request()[..90]] {
        let mut client = connect(address);
        client.write_all(words.as_bytes()).unwrap();
        assert_eq!(end(&mut client), "", "{words:?}");
    }
    let mut client = connect(address);
    say(&mut client, &signed_request());
    assert_eq!(end(&mut client), "");
    assert_eq!(counted(&stage.relay, "http_closed_by_age"), 4);
    // A request that the host handles is still answered, and then the connection ends.
    let mut client = connect(address);
    let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n", HELLO.len());
    write!(client, "{head}{}\r\n{HELLO}", signed(HELLO, "dk", 0)).unwrap();
    let held = stage.message();
    until("it is too old", &stage.relay, |relay| counted(relay, "http_closed_by_age") == 5);
    held.ack();
    let answer = end(&mut client);
    assert!(status(&answer) == 200 && answer.contains("\r\nconnection: close\r\n"), "{answer}");
}

/// RFC 9112, 2.2 and 3.2: a head that a proxy in front of this server may read differently is refused, also in later
/// requests of a connection.
#[test]
fn h_6_ambiguous_heads_are_400() {
    let (_stage, address) = served(&[]);
    let good = signed_request();
    for (bad, why) in [
        (HEALTH.replacen("\r\n", "\n", 1), ""),
        (HEALTH.replace("x\r\n", "x\n"), ""),
        (HEALTH.replace("\r\n\r\n", "\r\n\n"), ""),
        (HEALTH.replace("\r\n", "\n"), ""),
        (HEALTH.replace("host: x\r\n", ""), "no Host header"),
        (HEALTH.replace("host: x\r\n", "host: x\r\nHost: x\r\n"), "more than one Host header"),
        (HEALTH.replace("host: x", "host: x/y"), "neither HOST nor HOST:PORT"),
        (good.replacen("\r\n", "\n", 1), ""),
        (good.replace("host: x\r\n", ""), "no Host header"),
    ] {
        for before in ["", &good] {
            let mut client = connect(address);
            if !before.is_empty() {
                assert_eq!(status(&say(&mut client, before)), 400, "it is signed, and holds nothing");
            }
            client.write_all(bad.as_bytes()).unwrap();
            let answer = end(&mut client);
            assert!(status(&answer) == 400 && answer.contains(why), "{bad:?}: {answer}");
            assert!(answer.contains("connection: close"), "{bad:?}: {answer}");
        }
    }
    // HTTP/1.0 has no Host header, and a body may contain anything.
    assert!(ask(address, "GET /healthz HTTP/1.0\r\n", "").contains("200 OK"));
    let mut client = connect(address);
    client.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").unwrap();
    assert!(end(&mut client).contains("200 OK"));
    let body = "\n\n{\n";
    let lines =
        format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n{}\r\n{body}", signed(body, "dk", 0));
    let mut client = connect(address);
    for _ in 0..2 {
        let answer = say(&mut client, &lines);
        assert!(answer.contains("not a JSON object"), "{answer}");
    }
}

/// sixteen silent clients do not block a scraper.
#[test]
fn x_2_idle_clients_do_not_block_a_scraper() {
    for words in ["", "GET /metrics HTTP/1.1\r\nhost", "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let stage = Stage::new(Wire::Tcp, &[]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        relayline_runtime::serve_metrics(&stage.kit.runtime(), &stage.relay, listener, Vec::new).unwrap();
        let mut clients = idle(address, 16, words);
        let have_asked = words.ends_with("\r\n\r\n");
        if have_asked {
            // Each has received its page, and may request more.
            clients.iter_mut().for_each(|client| client.read_exact(&mut [0; 1000]).unwrap());
        }
        let page = ask(address, "GET /metrics HTTP/1.1\r\n", "");
        assert_eq!(status(&page), 200, "{words:?}");
        drop(end(&mut clients[0]));
        assert!(have_asked || clients[1..].iter().all(is_open), "{words:?}");
        assert_eq!(counted(&stage.relay, "http_closed_by_slot"), 1);
        for bad in ["GET /metrics HTTP/1.1\nhost: x\r\n\r\n", "GET /metrics HTTP/1.1\r\n\r\n"] {
            let mut client = connect(address);
            client.write_all(bad.as_bytes()).unwrap();
            assert_eq!(status(&end(&mut client)), 400, "{bad:?}");
        }
    }
}

/// a client that sends requests without reading the answers is cut off, too.
#[test]
fn h_6_x_1_a_client_that_reads_nothing_is_cut_off() {
    let stage = Stage::new(Wire::Tcp, &[("delivery_read_timeout", "50ms")]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    relayline_runtime::serve_metrics(&stage.kit.runtime(), &stage.relay, listener, Vec::new).unwrap();
    let mut client = connect(address);
    client.set_write_timeout(Some(SOON)).unwrap();
    let asked = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100);
    let ended = (0..100_000).find_map(|_| client.write_all(asked.as_bytes()).err());
    let kind = ended.expect("it was all taken").kind();
    assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{kind:?}");
    assert_eq!(status(&ask(address, "GET /metrics HTTP/1.1\r\n", "")), 200);
}
