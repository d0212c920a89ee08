//! Answers to an upgrade over real sockets, as connectors, proxies and Node send them, and the ends of a WebSocket.

use super::SOON;
use super::server::read_head;
use super::stage::config;
use crate::Kit;
use async_tungstenite::tungstenite::handshake::derive_accept_key;
use async_tungstenite::tungstenite::{self, Message, WebSocket};
use futures_util::{AsyncRead, AsyncWrite, StreamExt};
use relayline_connector::chats::Platform;
use relayline_control::network::Proxies;
use relayline_core::config::Credentials;
use relayline_core::output::Notice;
use relayline_runtime::{Inbox, Incoming, Relay, Runtime};
use serde_json::json;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::{Mutex, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

/// A runtime over real sockets that reports the number of bytes a gateway has read.
#[derive(Clone)]
struct Telling<R> {
    runtime: R,
    read: mpsc::Sender<usize>,
}

struct TellingTcp<S> {
    stream: S,
    read: mpsc::Sender<usize>,
}

impl<R: Runtime> Runtime for Telling<R> {
    type Tcp = TellingTcp<R::Tcp>;
    type Listener = R::Listener;

    fn look_up(
        &self,
        host: String,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static {
        self.runtime.look_up(host, port)
    }

    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Tcp>> + Send + 'static {
        let (connect, read) = (self.runtime.connect(address), self.read.clone());
        async move { Ok(TellingTcp { stream: connect.await?, read }) }
    }

    fn listen(&self, listener: TcpListener) -> io::Result<Self::Listener> {
        self.runtime.listen(listener)
    }

    async fn accept(_: &Self::Listener) -> io::Result<Self::Tcp> {
        Err(io::ErrorKind::Unsupported.into())
    }

    type File = R::File;

    fn open(
        &self,
        file: std::path::PathBuf,
    ) -> impl Future<Output = io::Result<(u64, Self::File)>> + Send + 'static {
        self.runtime.open(file)
    }

    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send + 'static {
        self.runtime.sleep(span)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TellingTcp<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, room);
        if let Poll::Ready(Ok(read)) = polled {
            let _ = self.read.send(read);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TellingTcp<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

/// A listener that a gateway dials, controlled by the test.
struct Port {
    listener: TcpListener,
    read: Mutex<mpsc::Receiver<usize>>,
    telling: mpsc::Sender<usize>,
}

impl Port {
    fn open() -> Port {
        let (telling, read) = mpsc::channel();
        Port { listener: TcpListener::bind("127.0.0.1:0").unwrap(), read: Mutex::new(read), telling }
    }

    fn url(&self) -> String {
        format!("ws://{}", self.listener.local_addr().unwrap())
    }

    /// Starts a gateway with credentials that dials this port.
    fn gateway(&self, kit: &Kit, settings: &[(&str, &str)]) -> (Relay, Inbox) {
        let credentials = Credentials::new("gw-1", "hunter2");
        let mut config = config(&self.url(), settings);
        config.machine.credentials = Some(credentials);
        let runtime = Telling { runtime: kit.runtime(), read: self.telling.clone() };
        relayline_runtime::start(runtime, config).unwrap()
    }

    /// Returns the next dial and its request.
    fn dialled(&self) -> (TcpStream, String) {
        let (mut stream, _) = self.listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let head = read_head(&mut stream).unwrap();
        (stream, head)
    }

    /// Accepts a connection and completes its handshake.
    fn accept(&self) -> WebSocket<TcpStream> {
        let (stream, _) = self.listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut socket = tungstenite::accept(stream).unwrap();
        for platform in ["discord", "telegram"] {
            socket.send(Message::text(descriptor(platform))).unwrap();
        }
        for _ in 0..2 {
            socket.read().unwrap();
        }
        socket
    }

    /// Answers the next dial piece by piece, each once the gateway has read the one before. Then the connection is
    /// closed, or left open until the gateway drops it.
    fn answer(&self, pieces: &[Vec<u8>], hangs: bool) {
        let (mut stream, _) = self.dialled();
        let read = self.read.lock().unwrap();
        while read.try_recv().is_ok() {}
        for (at, piece) in pieces.iter().enumerate() {
            stream.write_all(piece).unwrap();
            let mut unread = if at + 1 < pieces.len() { piece.len() } else { 0 };
            while unread > 0 {
                unread -= read.recv_timeout(SOON).unwrap().min(unread);
            }
        }
        if hangs {
            let _ = stream.read_to_end(&mut Vec::new());
        }
    }
}

fn descriptor(platform: &str) -> String {
    let descriptor = Platform::named(platform).descriptor;
    format!("{}\n", json!({"type": "descriptor", "descriptor": descriptor}))
}

/// Returns the next end of a connection or dial: code and reason, or the fatal error.
#[track_caller]
fn end(kit: &Kit, inbox: &mut Inbox) -> Result<(Option<u16>, String), &'static str> {
    loop {
        match kit.block_on(inbox.next()).expect("the stream goes on") {
            Incoming::Notice(Notice::Disconnected { code, reason, retry_in: Some(_) }) => {
                return Ok((code, reason));
            }
            Incoming::Fatal(fatal) => return Err(fatal.code),
            _ => {}
        }
    }
}

#[track_caller]
fn reason(kit: &Kit, inbox: &mut Inbox) -> String {
    end(kit, inbox).expect("it is not final").1
}

fn pieces(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

const HEAD: &str = "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\n";
const BODY: &str = r#"{"error":"unauthorized"}"#;

fn with_length(length: usize) -> String {
    format!("{HEAD}content-length: {length}\r\n\r\n")
}

/// L-9: a connector's 401 confirms an earlier 4401, in whatever pieces its bytes arrive.
#[test]
fn l_8_l_9_a_verdict_counts_in_any_pieces() {
    let (one, other) = BODY.split_at(9);
    let whole = with_length(BODY.len());
    let chunked = format!("{HEAD}transfer-encoding: chunked\r\n\r\n");
    let node = "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json; charset=utf-8\r\nDate: Sun, 06 Nov 1994 \
                08:49:37 GMT\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n\r\n";
    let to_the_end = format!("{HEAD}connection: close\r\n\r\n");
    for (name, pieces, hangs) in [
        ("in one piece", pieces(&[&format!("{whole}{BODY}")]), true),
        ("head and body apart", pieces(&[&whole, one, other]), true),
        ("a head in two pieces", pieces(&[&whole[..30], &whole[30..], BODY]), false),
        ("to the end", pieces(&[&to_the_end, one, other]), false),
        ("chunked", pieces(&[&chunked, "9\r\n", one, "\r\nf\r\n", other, "\r\n0\r\n", "\r\n"]), true),
        ("chunked with a trailer", pieces(&[&chunked, "18;x=y\r\n", BODY, "\r\n0\r\nx: y\r\n\r\n"]), false),
        ("as Node does", pieces(&[node, "18\r\n{\"error\":\"unauthorized\"}\r\n", "0\r\n\r\n"]), true),
        ("after a 103", pieces(&["HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n", &whole, BODY]), true),
    ] {
        let (port, kit) = (Port::open(), Kit::new());
        let (_relay, mut inbox) = port.gateway(&kit, &[]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                close(port.accept(), 4401, "revoked");
                port.answer(&pieces, hangs);
            });
            assert_eq!(end(&kit, &mut inbox), Ok((Some(4401), "revoked".to_owned())), "{name}");
            assert_eq!(end(&kit, &mut inbox), Err("relay_disabled"), "{name}");
        });
    }
}

fn close(mut socket: WebSocket<TcpStream>, code: u16, reason: &'static str) {
    let frame = tungstenite::protocol::CloseFrame { code: code.into(), reason: reason.into() };
    socket.close(Some(frame)).unwrap();
    while socket.read().is_ok() {}
}

/// L-8, L-9: an answer that is not a complete verdict of the connector is never final, and the suspicion survives it.
#[test]
fn l_8_l_9_no_other_401_is_final() {
    let whole = with_length(BODY.len());
    let chunked = format!("{HEAD}transfer-encoding: chunked\r\n\r\n");
    let endless = format!("{HEAD}connection: close\r\n\r\n{{\"error\":\"unauthorized\",\"more\":\"");
    let big = format!("{{\"error\":\"unauthorized\",\"more\":\"{}\"}}", "x".repeat(64 << 10));
    let big_head = with_length(big.len());
    let proxy =
        format!("{HEAD}WWW-Authenticate: Basic realm=\"x\"\r\ncontent-length: {}\r\n\r\n", BODY.len());
    let not_whole = "(its body did not come whole)";
    for (name, pieces, hangs, expected) in [
        ("no body", pieces(&[&with_length(0)]), true, "401 Unauthorized; this is not"),
        (
            "a page",
            pieces(&[&with_length(15), "<h1>Log in</h1>"]),
            true,
            "401 Unauthorized: <h1>Log in</h1>;",
        ),
        ("cut by the end", pieces(&[&whole, &BODY[..20]]), false, not_whole),
        ("whole but for its length", pieces(&[&with_length(99), BODY]), false, not_whole),
        ("cut between chunks", pieces(&[&chunked, "18\r\n", BODY, "\r\n"]), false, not_whole),
        ("over 64 KiB", pieces(&[&big_head, &big]), true, not_whole),
        ("hangs in its body", pieces(&[&whole, &BODY[..20]]), true, not_whole),
        ("hangs before its last chunk", pieces(&[&chunked, "18\r\n", BODY, "\r\n"]), true, not_whole),
        ("never ends", pieces(&[&endless, "x"]), true, not_whole),
        ("a proxy's", pieces(&[&proxy, BODY]), true, "401 Unauthorized: unauthorized; this is not"),
        (
            "a 403",
            pieces(&["HTTP/1.1 403 Forbidden\r\ncontent-length: 24\r\n\r\n", BODY]),
            true,
            "403 Forbidden: unauthorized; this is not",
        ),
    ] {
        let (port, kit) = (Port::open(), Kit::new());
        let timeout = if name.contains("hangs") || name.contains("never") { "300ms" } else { "15s" };
        let (relay, mut inbox) = port.gateway(&kit, &[("dial_timeout", timeout)]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                close(port.accept(), 4401, "revoked");
                port.answer(&pieces, hangs);
                port.answer(&[format!("{}{BODY}", with_length(BODY.len())).into_bytes()], true);
            });
            assert_eq!(end(&kit, &mut inbox), Ok((Some(4401), "revoked".to_owned())), "{name}");
            let refused = reason(&kit, &mut inbox);
            assert!(
                refused.starts_with("credentials refused: the upgrade was answered 40"),
                "{name}: {refused}"
            );
            assert!(refused.contains(expected), "{name}: {refused}");
            // The suspicion survives: the connector's own verdict confirms the revocation.
            assert_eq!(end(&kit, &mut inbox), Err("relay_disabled"), "{name}");
        });
        let stats = relay.stats();
        assert_eq!((stats.credentials_refused, stats.refusals), (1, 2), "{name}");
    }
}

/// L-18: the details of an answer reach the host.
#[test]
fn l_18_a_refusal_is_reported_with_its_body_and_headers() {
    for (answer, expected) in [
        ("409 Conflict\r\ncontent-length: 16\r\n\r\n{\"error\":\"busy\"}", "409 Conflict: busy"),
        (
            "429 Too Many Requests\r\nRetry-After: 1\r\ntransfer-encoding: chunked\r\n\r\n11\r\n{\"detail\":\"slow\"}\r\n0\r\n\r\n",
            "429 Too Many Requests: slow (Retry-After: 1)",
        ),
        (
            "503 Service Unavailable\r\ncontent-length: 30\r\n\r\n{\"error\":{\"message\":\"closed\"}}",
            "503 Service Unavailable: closed",
        ),
        (
            "308 Permanent Redirect\r\nLocation: https://c.example/relay?key=s3cret\r\ncontent-length: 0\r\n\r\n",
            "308 Permanent Redirect (Location: https://c.example/relay); redirects are not followed: set the URL to \
             the connector's own address",
        ),
        ("200 OK\r\ncontent-length: 5\r\n\r\nhello", "200 OK: hello"),
    ] {
        let (port, kit) = (Port::open(), Kit::new());
        let (_relay, mut inbox) = port.gateway(&kit, &[]);
        std::thread::scope(|scope| {
            scope.spawn(|| port.answer(&pieces(&[&format!("HTTP/1.1 {answer}")]), true));
            assert_eq!(reason(&kit, &mut inbox), format!("the upgrade was answered {expected}"));
        });
    }
}

/// RFC 9110, 15.2: interim answers precede the final one. Bytes that arrive in one read with the 101 are not lost.
#[test]
fn l_4_interim_answers_are_skipped_and_no_byte_is_lost() {
    let (port, kit) = (Port::open(), Kit::new());
    let (_relay, mut inbox) = port.gateway(&kit, &[]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, request) = port.dialled();
            let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </style>\r\n\r\n";
            let line = descriptor("discord");
            let frame =
                [&[0x81, 126], &u16::try_from(line.len()).unwrap().to_be_bytes()[..], line.as_bytes()];
            let answer = [interim.as_bytes(), switching(&request).as_bytes(), &frame.concat()].concat();
            stream.write_all(&answer).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let first = kit.block_on(inbox.next());
        assert!(matches!(first, Some(Incoming::Notice(Notice::Connected { .. }))), "{first:?}");
        drop(inbox);
        drop(_relay);
    });
}

/// Returns the head of a 101 for this request.
fn switching(request: &str) -> String {
    let key = request.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("sec-websocket-key").then_some(value)
    });
    let accept = derive_accept_key(key.unwrap().as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: \
         {accept}\r\n\r\n"
    )
}

#[test]
fn l_4_an_invalid_101_is_reported() {
    for (change, expected) in [
        (("Upgrade: websocket\r\n", ""), "it was answered 101, but without `Upgrade: websocket`"),
        (("Connection: Upgrade\r\n", ""), "it was answered 101, but without `Connection: Upgrade`"),
        (("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: x"), "`Sec-WebSocket-Accept` is not for the key"),
        (("HTTP/1.1 101", "SMTP"), "the connection broke ("),
        (
            ("HTTP/1.1 101", "\u{15}\u{3}\u{3}\0\u{2}\u{2}2"),
            "the port speaks TLS: write the URL with https:// or wss://",
        ),
    ] {
        let (port, kit) = (Port::open(), Kit::new());
        let (_relay, mut inbox) = port.gateway(&kit, &[]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, request) = port.dialled();
                stream.write_all(switching(&request).replace(change.0, change.1).as_bytes()).unwrap();
            });
            let told = reason(&kit, &mut inbox);
            assert!(told.contains("the upgrade failed: ") && told.contains(expected), "{told}");
        });
    }
    // A head without an end, and no head at all.
    for (answer, expected) in [
        (format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(100 << 10)), "the connection broke ("),
        (
            String::new(),
            "the connection ended before an answer came: check the URL's port, and whether it speaks TLS",
        ),
    ] {
        let (port, kit) = (Port::open(), Kit::new());
        let (_relay, mut inbox) = port.gateway(&kit, &[]);
        std::thread::scope(|scope| {
            scope.spawn(|| drop(port.dialled().0.write_all(answer.as_bytes())));
            let told = reason(&kit, &mut inbox);
            assert!(told.contains(expected), "{told}");
        });
    }
}

/// L-18: the code as the peer sent it, even if a peer must not send it.
#[test]
fn l_18_a_close_code_is_reported_as_sent() {
    for code in [999_u16, 1005, 1006, 1015, 2999, 5000, 65535, 1001, 4000] {
        let (port, kit) = (Port::open(), Kit::new());
        let (_relay, mut inbox) = port.gateway(&kit, &[]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut socket = port.accept();
                let frame = [&[0x88, 5][..], &code.to_be_bytes(), b"why"].concat();
                socket.get_mut().write_all(&frame).unwrap();
                while socket.read().is_ok() {}
            });
            assert_eq!(end(&kit, &mut inbox), Ok((Some(code), "why".to_owned())));
        });
    }
}

/// RFC 6455, 7.1.7: a peer that violates the protocol gets the matching close frame, and can read it.
#[test]
fn l_18_a_websocket_error_is_answered_with_its_close_frame() {
    // A message of 20 MiB, most of which is still under way when its head is read.
    let huge = [&[0x82, 127][..], &(20_u64 << 20).to_be_bytes(), &vec![b'x'; 1 << 20]].concat();
    for (bytes, code, expected) in [
        (vec![0xf1, 1, b'x'], 1002, "closed with 1002"),
        (vec![0x81, 0x81, 0, 0, 0, 0, b'x'], 1002, "closed with 1002"),
        (vec![0x81, 1, 0xff], 1007, "a WebSocket text message was not UTF-8; closed with 1007"),
        (
            huge,
            1009,
            "a WebSocket message of 20971520 bytes is over the limit of 16777216 (four times `max_line_bytes`, 16 MiB at least): raise `max_line_bytes`",
        ),
    ] {
        let (port, kit) = (Port::open(), Kit::new());
        let (_relay, mut inbox) = port.gateway(&kit, &[]);
        std::thread::scope(|scope| {
            let peer = scope.spawn(|| {
                let mut socket = port.accept();
                socket.get_mut().write_all(&bytes).unwrap();
                loop {
                    match socket.read() {
                        Ok(Message::Close(close)) => return close.map(|close| u16::from(close.code)),
                        Ok(_) => {}
                        Err(error) => panic!("{code}: {error}"),
                    }
                }
            });
            let told = reason(&kit, &mut inbox);
            assert!(told.contains(expected), "{told}");
            assert_eq!(peer.join().unwrap(), Some(code));
        });
    }
}

/// L-5: a message over the limit that is sent repeatedly is not fetched in a tight loop.
#[test]
fn l_5_a_message_over_the_limit_backs_off() {
    let (port, kit) = (Port::open(), Kit::new());
    let (_relay, mut inbox) = port.gateway(&kit, &[("backoff_first", "20ms")]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..5 {
                let mut socket = port.accept();
                let head = [&[0x82, 127][..], &(20_u64 << 20).to_be_bytes()].concat();
                socket.get_mut().write_all(&head).unwrap();
                while socket.read().is_ok() {}
            }
        });
        let mut waits = Vec::new();
        while waits.len() < 5 {
            if let Incoming::Notice(Notice::Disconnected { retry_in, reason, .. }) =
                kit.block_on(inbox.next()).unwrap()
            {
                assert!(reason.contains("max_line_bytes"), "{reason}");
                waits.push(retry_in.unwrap());
            }
        }
        for (attempt, wait) in waits.iter().enumerate() {
            let most = Duration::from_millis(20 << attempt);
            assert!((most / 2..=most).contains(wait), "{waits:?}");
        }
    });
}

/// W-10, over a real socket.
#[test]
fn w_10_an_unterminated_line_is_reported_at_the_end() {
    let (port, kit) = (Port::open(), Kit::new());
    let (_relay, mut inbox) = port.gateway(&kit, &[]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut socket = port.accept();
            socket.send(Message::text(r#"{"type":"inbound""#)).unwrap();
            close(socket, 1001, "going away");
        });
        let expected = "going away; 17 bytes without a newline are pending".to_owned();
        assert_eq!(end(&kit, &mut inbox), Ok((Some(1001), expected)));
    });
}

/// A proxy is named with its address and without its credentials, whether it refuses or does not answer.
#[test]
fn l_4_a_failing_proxy_is_named() {
    for (answer, expected) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 44\r\n\r\n{\"error\":\"unknown: Basic dXNlcjpzM2NyZXQ=\"}  ",
            "it answered 407 Proxy Authentication Required; give it a user and password that it knows, as in \
             http://user:password@proxy.example:3128 (it said: unknown: <hidden>)",
        ),
        (
            "HTTP/1.1 401 Unauthorized\r\ncontent-length: 24\r\n\r\n{\"error\":\"unauthorized\"}",
            "it answered 401 Unauthorized; it does not let this host through",
        ),
        ("", "it did not answer CONNECT within 300 ms: ask who runs it"),
        ("HTTP/1.1 403 Forbidden\r\ncontent-length: 9\r\n\r\nno", "it did not answer CONNECT within 300 ms"),
    ] {
        let (port, kit) = (Port::open(), Kit::new());
        let address = port.listener.local_addr().unwrap();
        let look_up = |name: &str| (name == "all_proxy").then(|| format!("http://user:s3cret@{address}"));
        let mut config = config("ws://c.example:8080", &[("dial_timeout", "300ms")]);
        config.network.proxies = Proxies::from_environment(&look_up).unwrap();
        let (_relay, mut inbox) = kit.connect(config);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = port.dialled();
                stream.write_all(answer.as_bytes()).unwrap();
                let _ = stream.read_to_end(&mut Vec::new());
            });
            let told = reason(&kit, &mut inbox);
            let start = format!("c.example:8080: the proxy {address} (all_proxy): {expected}");
            assert!(told.starts_with(&start), "{told}\n{start}");
            assert!(!told.contains("s3cret") && !told.contains("dXNlcjpzM2NyZXQ="), "C-4: {told}");
        });
    }
}

/// L-4: a dial that times out names the step that it waited for.
#[test]
fn l_4_a_hanging_dial_names_its_step() {
    for (scheme, expected) in [
        ("ws", "no complete answer within 300 ms"),
        ("wss", "TLS failed: the handshake did not end within 300 ms: check whether the port speaks TLS"),
    ] {
        let (port, kit) = (Port::open(), Kit::new());
        let address = port.listener.local_addr().unwrap();
        let (_relay, mut inbox) =
            kit.connect(config(&format!("{scheme}://{address}"), &[("dial_timeout", "300ms")]));
        let told = reason(&kit, &mut inbox);
        assert_eq!(told, format!("{address}: {expected}"));
    }
}
