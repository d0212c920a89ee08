//! an HTTP client of the embedded connector or of the recorder cannot block others.

use relayline_connector::{EmbeddedConnector, ServerConfig};
use relayline_control::network::Network;
use relayline_control::url::DialUrl;
use relayline_harness::recorder::{HTTP_BOUNDS, Recorder, RecorderConfig, Upstream};
use relayline_runtime::serve::{Bounds, Closed};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Time-out that is long enough for a busy machine. No test waits for it to pass.
const SOON: Duration = Duration::from_secs(30);

/// A dial, followed by a frame with a line end.
const DIAL: &str = "GET /relay HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                    sec-websocket-version: 13\r\nsec-websocket-key: cmVsYXlsaW5lIGRvY3Rvcg==\r\n\r\n";
/// A masked ping whose payload is a newline, and its pong.
const PING: &[u8] = b"\x89\x81\0\0\0\0\n";
const PONG: &[u8] = b"\x8a\x01\n";

/// A connector, or a recorder in front of one, with its address.
struct Served {
    connector: EmbeddedConnector,
    recorder: Option<Recorder>,
    _folder: tempfile::TempDir,
}

impl Served {
    /// Returns a connector and a recorder with these bounds.
    fn both(bounds: Bounds) -> [Served; 2] {
        [false, true].map(|is_recorded| {
            let http = if is_recorded { ServerConfig::default().http } else { bounds };
            let config = ServerConfig::default().http(http);
            let connector = EmbeddedConnector::start(config, "127.0.0.1:0").unwrap();
            let folder = tempfile::tempdir().unwrap();
            let recorder = is_recorded.then(|| {
                let url = DialUrl::parse(&connector.url()).unwrap();
                let (upstream, file) =
                    (Upstream::new(url, Network::default()), folder.path().join("session.jsonl"));
                let mut config = RecorderConfig::new("127.0.0.1:0".parse().unwrap(), upstream, file);
                config.http = bounds;
                Recorder::start(config, |_| ()).unwrap()
            });
            Served { connector, recorder, _folder: folder }
        })
    }

    fn address(&self) -> SocketAddr {
        self.recorder.as_ref().map_or(self.connector.local_addr(), Recorder::local_addr)
    }

    fn closed(&self) -> &Closed {
        self.recorder.as_ref().map_or(self.connector.closed(), Recorder::closed)
    }

    fn connect(&self, words: &str) -> TcpStream {
        let mut client = TcpStream::connect(self.address()).unwrap();
        client.set_read_timeout(Some(SOON)).unwrap();
        client.write_all(words.as_bytes()).unwrap();
        client
    }

    /// Returns a WebSocket whose upgrade was answered.
    fn dial(&self) -> TcpStream {
        let mut client = self.connect(DIAL);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error}: {head:?}"));
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        client
    }
}

fn ping(client: &mut TcpStream) {
    client.write_all(PING).unwrap();
    let mut pong = [0; 3];
    client.read_exact(&mut pong).unwrap();
    assert_eq!(pong, PONG);
}

/// Returns everything until the end of a connection, orderly or not.
fn end(client: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    match client.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    String::from_utf8(rest).unwrap()
}

/// Clients that send nothing, a part of a head, or a part of a body.
#[test]
fn x_1_idle_clients_do_not_block_a_gateway() {
    let body = "POST /relay/enroll HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{";
    for words in ["", "GET /relay HTTP/1.1\r\nhost", body] {
        for (served, clients) in Served::both(HTTP_BOUNDS).iter().zip([128, HTTP_BOUNDS.clients]) {
            let mut clients: Vec<TcpStream> = (0..clients).map(|_| served.connect(words)).collect();
            ping(&mut served.dial());
            drop(end(&mut clients[0]));
            let is_slot = served.closed().by_slot() == 1;
            assert!(is_slot || words == body, "{words:?}: {:?}", served.closed());
        }
    }
}

/// A WebSocket needs a slot only until it is open. Then it has no maximum age, and its bytes are not checked.
#[test]
fn x_1_a_websocket_takes_no_slot() {
    let bounds = Bounds { clients: 1, greatest_age: Duration::from_secs(1), ..HTTP_BOUNDS };
    for served in Served::both(bounds) {
        let mut sockets: Vec<TcpStream> = (0..3).map(|_| served.dial()).collect();
        // Older than the maximum age of other connections.
        assert_eq!(end(&mut served.connect("")), "");
        assert!(served.closed().by_age() > 0);
        // The connector keeps the newest one.
        ping(sockets.last_mut().unwrap());
        assert_eq!(served.closed().by_slot(), 0);
    }
}

#[test]
fn x_1_a_connection_has_a_maximum_age() {
    let bounds = Bounds { greatest_age: Duration::from_millis(200), ..HTTP_BOUNDS };
    for served in Served::both(bounds) {
        for words in ["", "GET /relay HTTP/1.1\r\nhost"] {
            assert_eq!(end(&mut served.connect(words)), "", "{words:?}");
        }
        assert_eq!(served.closed().by_age(), 2);
    }
}

/// RFC 9112, 2.2 and 3.2. HTTP/1.0 has no Host header.
#[test]
fn x_1_ambiguous_heads_are_400() {
    for served in Served::both(HTTP_BOUNDS) {
        for (words, status) in [
            ("GET / HTTP/1.1\nhost: x\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nhost: x\n\r\n", "400"),
            ("GET / HTTP/1.1\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n", "400"),
            (&DIAL.replacen("\r\n", "\n", 1), "400"),
            (&DIAL.replace("host: x\r\n", ""), "400"),
            ("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "404"),
            ("GET / HTTP/1.0\r\n\r\n", "404"),
        ] {
            let answer = end(&mut served.connect(words));
            let is_right = answer.get(9..12) == Some(status);
            assert!(is_right, "{words:?}: {answer:?} (recorded: {})", served.recorder.is_some());
        }
    }
}

/// A client without permission gets one answer.
#[test]
fn x_1_a_refused_client_keeps_no_connection() {
    let [connector, _] = Served::both(HTTP_BOUNDS);
    let words = "POST /relay/enroll HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
    let answers = end(&mut connector.connect(&words.repeat(3)));
    assert!(answers.starts_with("HTTP/1.1 401 ") && answers.contains("connection: close"), "{answers}");
    assert_eq!(answers.matches("HTTP/1.1").count(), 1, "{answers}");
}
