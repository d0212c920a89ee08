//! The recorder between two sockets: it forwards what was sent, and records what it forwards.
#![allow(clippy::result_large_err)] // the library's callbacks are like that

use async_tungstenite::tokio::{TokioAdapter, accept_hdr_async, client_async};
use async_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use async_tungstenite::tungstenite::protocol::CloseFrame;
use async_tungstenite::tungstenite::protocol::frame::Frame;
use async_tungstenite::tungstenite::protocol::frame::coding::{Data as Kind, OpCode};
use async_tungstenite::tungstenite::{Error, Message};
use async_tungstenite::{WebSocketStream, tungstenite};
use futures_util::{SinkExt, StreamExt};
use http::StatusCode;
use relayline_control::network::{CaCertificates, Network};
use relayline_control::url::DialUrl;
use relayline_harness::recorder::{Recorder, RecorderConfig, RecorderWarning, Upstream};
use relayline_harness::recording::{Data, LineContent, RecordedLine, Recording, Rejection, Side};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

type Socket = WebSocketStream<TokioAdapter<TcpStream>>;

/// Time-out that is long enough for a busy machine. No test waits for it to pass.
const SOON: Duration = Duration::from_secs(30);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, what).await.expect("in time")
}

/// A recorder in front of a listener of the test.
struct Stage {
    recorder: Recorder,
    connector: TcpListener,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("session.jsonl");
        Stage::with(folder, &file, None).await
    }

    async fn with(folder: tempfile::TempDir, file: &Path, rotate: Option<u64>) -> Stage {
        let connector = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", connector.local_addr().unwrap());
        let upstream = Upstream::new(DialUrl::parse(&url).unwrap(), Network::default());
        let recorder = start(upstream, file, rotate);
        Stage { recorder, connector, folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("session.jsonl")
    }

    async fn dial(&self) -> TcpStream {
        TcpStream::connect(self.recorder.local_addr()).await.unwrap()
    }

    async fn upgrade(&self, request: tungstenite::handshake::client::Request) -> Result<Socket, Error> {
        Ok(client_async(request, self.dial().await).await?.0)
    }

    async fn accept(&self) -> Socket {
        let (stream, _) = self.connector.accept().await.unwrap();
        accept_hdr_async(stream, |_: &Request, response: Response| Ok(response)).await.unwrap()
    }

    /// Returns both ends of a socket through the recorder.
    async fn pair(&self) -> (Socket, Socket) {
        let (gateway, connector) =
            soon(async { tokio::join!(self.upgrade(request(&[])), self.accept()) }).await;
        (gateway.unwrap(), connector)
    }

    /// Ends the recorder, and returns the recorded lines.
    fn recorded(self) -> Vec<LineContent> {
        let file = self.file();
        self.recorder.finish().expect("the disk answers");
        Recording::load(&file).unwrap().lines.into_iter().map(|line| line.what).collect()
    }
}

fn start(upstream: Upstream, file: &Path, rotate: Option<u64>) -> Recorder {
    start_telling(upstream, file, rotate, |_| {})
}

fn start_telling(
    upstream: Upstream,
    file: &Path,
    rotate: Option<u64>,
    complain: impl Fn(RecorderWarning) + Send + Sync + 'static,
) -> Recorder {
    let mut config = RecorderConfig::new("127.0.0.1:0".parse().unwrap(), upstream, file);
    config.rotate = rotate;
    config.secrets = vec!["set-elsewhere".into()];
    Recorder::start(config, complain).unwrap()
}

fn request(headers: &[(&str, &str)]) -> tungstenite::handshake::client::Request {
    let mut request = Request::builder()
        .uri("ws://recorder/relay")
        .header("Host", "recorder")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

fn text(text: &str) -> Data {
    Data::Text(text.to_owned())
}

/// W-1: any message is forwarded unchanged in both directions, and recorded unchanged.
#[tokio::test]
async fn w_1_messages_are_forwarded_byte_for_byte() {
    // More than 64 KiB, so that the length of a frame has 64 bits. The recorder must write it in the time of `finish`.
    let large = "x\u{e9}\n".repeat(50_000);
    let messages = [
        Message::text("{\"type\":\"hello\"}\n"),
        Message::text(""),
        Message::text("half a fra"),
        Message::text("me\n{}\r\n\n{}"),
        Message::binary(vec![0, 1, 255, 10]),
        Message::binary(vec![]),
        Message::text(large),
        Message::binary((0..1u32 << 17).map(|at| at.to_le_bytes()[1]).collect::<Vec<u8>>()),
    ];
    let stage = Stage::new().await;
    let (mut gateway, mut connector) = stage.pair().await;
    let data = |message: &Message| match message {
        Message::Text(text) => Data::Text(text.to_string()),
        message => Data::Binary(message.clone().into_data().to_vec()),
    };
    let mut expected = Vec::new();
    for message in &messages {
        let sent = soon(async { tokio::join!(gateway.send(message.clone()), connector.next()) }).await;
        assert_eq!(sent.1.unwrap().unwrap(), *message);
        let sent = soon(async { tokio::join!(connector.send(message.clone()), gateway.next()) }).await;
        assert_eq!(sent.1.unwrap().unwrap(), *message);
        expected.extend([LineContent::Gateway(data(message)), LineContent::Connector(data(message))]);
    }
    // A message in three frames stays in three frames, with a ping between them.
    let part = |text: &str, kind: Kind, is_final: bool| {
        Message::Frame(Frame::message(text.as_bytes().to_vec(), OpCode::Data(kind), is_final))
    };
    for piece in [
        part("one ", Kind::Text, false),
        Message::Ping(vec![7].into()),
        part("two ", Kind::Continue, false),
        part("three", Kind::Continue, true),
    ] {
        soon(gateway.send(piece)).await.unwrap();
    }
    assert_eq!(soon(connector.next()).await.unwrap().unwrap(), Message::Ping(vec![7].into()));
    assert_eq!(soon(connector.next()).await.unwrap().unwrap(), Message::text("one two three"));
    soon(connector.flush()).await.unwrap();
    // The connector itself sends the pong: the recorder answers nothing.
    assert_eq!(soon(gateway.next()).await.unwrap().unwrap(), Message::Pong(vec![7].into()));
    expected.push(LineContent::Gateway(text("one two three")));
    let lines = stage.recorded();
    assert!(
        matches!(&lines[0], LineContent::Connect { url_path, dial: Some(1), .. } if url_path == "/relay")
    );
    assert!(lines[1..].starts_with(&expected), "{:.2000}", format!("{lines:?}"));
    let open = LineContent::Note("the recorder was stopped while dial 1 was open".into());
    assert_eq!(lines[1 + expected.len()..], [open]);
}

#[tokio::test]
async fn closes_are_forwarded_with_code_and_reason() {
    for (by, code, reason) in [
        (Side::Gateway, Some(1000), ""),
        (Side::Connector, Some(4401), "expired"),
        (Side::Connector, Some(1001), "going away"),
        (Side::Gateway, None, ""),
    ] {
        let stage = Stage::new().await;
        let (gateway, connector) = stage.pair().await;
        let frame = code.map(|code: u16| CloseFrame { code: code.into(), reason: reason.into() });
        let (mut from, mut to) = match by {
            Side::Gateway => (gateway, connector),
            Side::Connector => (connector, gateway),
        };
        soon(from.close(frame.clone())).await.unwrap();
        assert_eq!(soon(to.next()).await.unwrap().unwrap(), Message::Close(frame));
        // The answer is forwarded, too: each side sees an orderly end, and closes.
        let end = |mut side: Socket| async move {
            while let Some(said) = side.next().await {
                said.unwrap();
            }
        };
        soon(async { tokio::join!(end(from), end(to)) }).await;
        let expected = LineContent::Close { by, dial: Some(1), code, reason: reason.to_owned() };
        assert_eq!(stage.recorded()[1..], [expected]);
    }
}

#[tokio::test]
async fn a_cut_is_forwarded_as_a_cut() {
    for by in [Side::Gateway, Side::Connector] {
        let stage = Stage::new().await;
        let (gateway, connector) = stage.pair().await;
        let mut other = match by {
            Side::Gateway => {
                drop(gateway);
                connector
            }
            Side::Connector => {
                drop(connector);
                gateway
            }
        };
        assert!(soon(other.next()).await.is_none_or(|end| end.is_err()));
        drop(other);
        assert_eq!(stage.recorded()[1..], [LineContent::Drop { by, dial: Some(1) }]);
    }
}

/// L-7, L-8: a refused upgrade is forwarded to the gateway with its details, and recorded.
#[tokio::test]
async fn l_7_a_refusal_is_forwarded_completely() {
    let stage = Stage::new().await;
    let refuse = async {
        let (stream, _) = stage.connector.accept().await.unwrap();
        let refused = |_: &Request, _: Response| {
            let body = Some("{\"error\":\"expired\",\"token\":\"abc\"}".to_owned());
            let mut response = ErrorResponse::new(body);
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            response.headers_mut().insert("X-Why", "clock".parse().unwrap());
            Err(response)
        };
        let _ = accept_hdr_async(stream, refused).await;
    };
    let (answer, ()) = soon(async { tokio::join!(stage.upgrade(request(&[])), refuse) }).await;
    let Err(Error::Http(answer)) = answer else { panic!("{answer:?}") };
    assert_eq!((answer.status().as_u16(), answer.headers()["X-Why"].to_str().unwrap()), (401, "clock"));
    let body = String::from_utf8(answer.into_body().unwrap()).unwrap();
    assert_eq!(body, "{\"error\":\"expired\",\"token\":\"abc\"}");
    let body = Some("{\"error\":\"expired\",\"token\":\"<hidden>\"}".to_owned());
    assert_eq!(
        stage.recorded()[1..],
        [LineContent::Reject { dial: Some(1), answer: Rejection::new(401, body) }]
    );
}

#[tokio::test]
async fn a_missing_connector_is_answered_with_an_error() {
    let stage = Stage::new().await;
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", nowhere.local_addr().unwrap());
    drop(nowhere);
    let file = stage.folder.path().join("nowhere.jsonl");
    let upstream = Upstream::new(DialUrl::parse(&url).unwrap(), Network::default());
    let (warnings, told) = std::sync::mpsc::channel();
    let complain = move |warning: RecorderWarning| drop(warnings.send(warning.to_string()));
    let recorder = start_telling(upstream, &file, None, complain);
    let mut body = String::new();
    for _ in 0..2 {
        let stream = TcpStream::connect(recorder.local_addr()).await.unwrap();
        let Err(Error::Http(answer)) = soon(client_async(request(&[]), stream)).await else { panic!() };
        assert_eq!(answer.status().as_u16(), 502);
        body = String::from_utf8(answer.into_body().unwrap()).unwrap();
        assert!(body.starts_with("{\"error\":\"the recorder cannot reach the connector: "), "{body}");
    }
    recorder.finish().unwrap();
    // The user is told once.
    let told: Vec<String> = told.try_iter().collect();
    assert!(told.len() == 1 && body.contains(&told[0]), "{told:?}");
    let lines = Recording::load(&file).unwrap().lines;
    assert_eq!(lines[1].what, LineContent::Reject { dial: Some(1), answer: Rejection::new(502, Some(body)) });
}

/// The connector receives the gateway's upgrade unchanged, except for its host and the offer of extensions.
#[tokio::test]
async fn an_upgrade_is_forwarded_with_its_headers() {
    let stage = Stage::new().await;
    let asked = request(&[
        ("Authorization", "Bearer abcdefghijk"),
        ("Sec-WebSocket-Protocol", "relay.v1, other"),
        ("Sec-WebSocket-Extensions", "permessage-deflate"),
        ("X-Custom", "1"),
    ]);
    let serve = async {
        let (stream, _) = stage.connector.accept().await.unwrap();
        let look = |asked: &Request, mut response: Response| {
            let said = |name: &str| asked.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(said("authorization").as_deref(), Some("Bearer abcdefghijk"));
            assert_eq!(said("host"), stage.connector.local_addr().ok().map(|addr| addr.to_string()));
            assert_eq!(said("x-custom").as_deref(), Some("1"));
            assert_eq!(said("sec-websocket-extensions"), None);
            assert_eq!(said("sec-websocket-protocol").as_deref(), Some("relay.v1, other"));
            response.headers_mut().insert("Sec-WebSocket-Protocol", "relay.v1".parse().unwrap());
            Ok(response)
        };
        accept_hdr_async(stream, look).await.unwrap()
    };
    let dial = async { client_async(asked, stage.dial().await).await };
    let (upgraded, _connector) = soon(async { tokio::join!(dial, serve) }).await;
    assert_eq!(upgraded.unwrap().1.headers()["Sec-WebSocket-Protocol"].to_str().unwrap(), "relay.v1");
    let file = stage.file();
    stage.recorder.finish().unwrap();
    let written = std::fs::read_to_string(file).unwrap();
    assert!(written.contains(r#""authorization":"Bearer <hidden>""#), "{written}");
    assert!(!written.contains("abcdefghijk") && !written.contains("relay.v1"), "{written}");
}

/// Other requests and their responses are forwarded. Only their path and status are recorded.
#[tokio::test]
async fn other_requests_are_forwarded_and_noted() {
    let stage = Stage::new().await;
    let mut asking = stage.dial().await;
    let body = "{\"enrollmentToken\":\"t0ken-for-once\"}";
    let asked = format!(
        "POST /relay/enroll?key=k3y HTTP/1.1\r\nHost: recorder\r\nAuthorization: Bearer abcdefghijk\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let serve = async {
        let (mut stream, _) = stage.connector.accept().await.unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(body.as_bytes()) {
            assert!(stream.read_buf(&mut heard).await.unwrap() > 0);
        }
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{\"secret\":\"hunter22\"}";
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(heard).unwrap()
    };
    let ask = async {
        asking.write_all(asked.as_bytes()).await.unwrap();
        let mut answer = String::new();
        asking.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (heard, answer) = soon(async { tokio::join!(serve, ask) }).await;
    assert!(heard.starts_with("POST /relay/enroll?key=k3y HTTP/1.1\r\n"), "{heard}");
    assert!(heard.contains("Authorization: Bearer abcdefghijk\r\n"), "{heard}");
    assert!(answer.ends_with("{\"secret\":\"hunter22\"}"), "{answer}");
    assert_eq!(stage.recorded(), [LineContent::Note("POST /relay/enroll was answered 200".into())]);
}

/// C-4: credentials of an exchange are redacted where a frame quotes them, and so are those of the settings.
#[tokio::test]
async fn c_4_credentials_of_requests_and_settings_are_redacted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("session.jsonl");
    let connector = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}?k=query-credential", connector.local_addr().unwrap());
    let upstream = Upstream::new(DialUrl::parse(&url).unwrap(), Network::default());
    let recorder = start(upstream, &file, None);
    let stage = Stage { recorder, connector, folder };
    let answer = "{\"secret\":\"issued-secret\",\"more\":{\"deliveryKey\":[\"issued-key\"]},\"gatewayId\":\"gateway-one\"}";
    let serve = async {
        let (mut stream, _) = stage.connector.accept().await.unwrap();
        let mut heard = String::new();
        while !heard.ends_with("\r\n\r\n") {
            let mut piece = Vec::new();
            assert!(stream.read_buf(&mut piece).await.unwrap() > 0);
            heard += &String::from_utf8(piece).unwrap();
        }
        assert!(heard.contains("?k=query-credential") && !heard.contains("Accept-Encoding"), "{heard}");
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        for piece in answer.as_bytes().chunks(7) {
            stream.write_all(piece).await.unwrap();
            stream.flush().await.unwrap();
        }
    };
    let ask = async {
        let mut asking = stage.dial().await;
        let asked = "POST /relay/provision HTTP/1.1\r\nHost: recorder\r\nAuthorization: Bearer access-credential\r\n\
                     Accept-Encoding: gzip\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        asking.write_all(asked.as_bytes()).await.unwrap();
        let mut heard = String::new();
        asking.read_to_string(&mut heard).await.unwrap();
        assert!(heard.ends_with(answer), "{heard}");
    };
    soon(async { tokio::join!(serve, ask) }).await;
    let (mut gateway, mut connector) = stage.pair().await;
    let said = "{\"text\":\"query-credential access-credential issued-secret issued-key gateway-one set-elsewhere\"}\n";
    soon(gateway.send(Message::text(said))).await.unwrap();
    assert_eq!(soon(connector.next()).await.unwrap().unwrap(), Message::text(said));
    let expected = "{\"text\":\"<hidden> <hidden> <hidden> <hidden> gateway-one <hidden>\"}\n";
    let recorded = stage.recorded();
    assert!(recorded.contains(&LineContent::Gateway(text(expected))), "{recorded:?}");
}

/// Two sockets at once, and one after them: each line names its socket.
#[tokio::test]
async fn several_sockets_are_distinguished() {
    let stage = Stage::new().await;
    let (mut first, mut first_connector) = stage.pair().await;
    let (mut second, mut second_connector) = stage.pair().await;
    for (name, gateway, connector) in
        [("second", &mut second, &mut second_connector), ("first", &mut first, &mut first_connector)]
    {
        soon(gateway.send(Message::text(name))).await.unwrap();
        assert_eq!(soon(connector.next()).await.unwrap().unwrap(), Message::text(name));
    }
    drop(first);
    while soon(first_connector.next()).await.is_some_and(|end| end.is_ok()) {}
    let (mut third, mut third_connector) = stage.pair().await;
    soon(third.send(Message::text("third"))).await.unwrap();
    soon(third_connector.next()).await.unwrap().unwrap();
    let file = stage.file();
    stage.recorder.finish().unwrap();
    let recording = Recording::load(&file).unwrap();
    let said = |line: &RecordedLine| match &line.what {
        LineContent::Gateway(Data::Text(text)) => Some((line.dial().unwrap(), text.clone())),
        _ => None,
    };
    let all: Vec<_> = recording.lines.iter().filter_map(said).collect();
    assert_eq!(all, [(2, "second".into()), (1, "first".into()), (3, "third".into())]);
    // The third took the place of the first, which had ended.
    let gateways = recording.gateways();
    let of =
        |at: usize| gateways[at].1.lines.iter().filter_map(said).map(|(dial, _)| dial).collect::<Vec<_>>();
    assert_eq!((gateways.len(), of(0), of(1)), (2, vec![1, 3], vec![2]));
}

/// A side that does not read blocks the other: the recorder has only a small buffer.
#[tokio::test]
async fn a_side_that_does_not_read_blocks_the_other() {
    for by in [Side::Gateway, Side::Connector] {
        let stage = Stage::new().await;
        let (gateway, connector) = stage.pair().await;
        let (mut from, mut to) = match by {
            Side::Gateway => (gateway, connector),
            Side::Connector => (connector, gateway),
        };
        const MESSAGE: usize = 64 << 10;
        const TOTAL: usize = 1024;
        let accepted = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&accepted);
        let sending = tokio::spawn(async move {
            for number in 0..TOTAL {
                let mut text = format!("{number:08}");
                text.extend(std::iter::repeat_n('x', MESSAGE - 8));
                from.send(Message::text(text)).await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
            }
            from
        });
        // The other side is blocked once nothing more is accepted for a while. The amount depends on the sockets'
        // buffers.
        let mut before = usize::MAX;
        let held_up = soon(async {
            loop {
                tokio::time::sleep(Duration::from_millis(200)).await;
                let now = accepted.load(Ordering::SeqCst);
                if now == before || now == TOTAL {
                    return now;
                }
                before = now;
            }
        })
        .await;
        assert!(held_up < TOTAL / 2, "{held_up} messages of 64 KiB were taken, and nobody read one");
        // Everything arrives once it is read.
        for number in 0..TOTAL {
            let text = soon(to.next()).await.unwrap().unwrap().into_text().unwrap();
            assert_eq!((text.len(), &text[..8]), (MESSAGE, format!("{number:08}").as_str()));
        }
        drop(soon(sending).await.unwrap());
    }
}

/// A full disk causes a warning of the recorder, and does not affect the session.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_does_not_break_the_session() {
    let full = Path::new("/dev/full");
    let stage = Stage::with(tempfile::tempdir().unwrap(), full, None).await;
    let (mut gateway, mut connector) = stage.pair().await;
    for number in 0..100 {
        let message = Message::text(number.to_string());
        soon(gateway.send(message.clone())).await.unwrap();
        assert_eq!(soon(connector.next()).await.unwrap().unwrap(), message);
        soon(connector.send(message.clone())).await.unwrap();
        assert_eq!(soon(gateway.next()).await.unwrap().unwrap(), message);
    }
    let summary = stage.recorder.finish().unwrap();
    // The upgrade, the messages, and the note that the socket was open at the end.
    assert_eq!((summary.lines, summary.lost, summary.parts), (0, 202, 1));
}

#[tokio::test]
async fn a_long_recording_in_several_files_is_read_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("session.jsonl");
    let stage = Stage::with(folder, &file, Some(1000)).await;
    let (mut gateway, mut connector) = stage.pair().await;
    for number in 0..40 {
        let message = Message::text(format!("{number:0100}"));
        soon(gateway.send(message.clone())).await.unwrap();
        assert_eq!(soon(connector.next()).await.unwrap().unwrap(), message);
    }
    let summary = stage.recorder.finish().unwrap();
    assert!(summary.parts > 4 && summary.lost == 0, "{summary:?}");
    let files = std::fs::read_dir(stage.folder.path()).unwrap().count();
    assert_eq!(files, usize::try_from(summary.parts).unwrap());
    let recording = Recording::load(&file).unwrap();
    let messages = recording.lines.iter().filter(|line| matches!(line.what, LineContent::Gateway(_))).count();
    assert_eq!((messages, recording.lines.len()), (40, 42));
}

/// TLS to the connector, with a certificate of the test.
#[tokio::test]
async fn the_connector_may_be_behind_tls() {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let certificates = CaCertificates::new("the test", cert.pem());
    let network = Network::default().ca_certificates(certificates);

    let connector = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}", connector.local_addr().unwrap().port());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("session.jsonl");
    let recorder = start(Upstream::new(DialUrl::parse(&url).unwrap(), network), &file, None);
    let serve = async {
        let (stream, _) = connector.accept().await.unwrap();
        let stream = tokio_rustls::TlsAcceptor::from(Arc::new(server)).accept(stream).await.unwrap();
        let accepted = |_: &Request, response: Response| Ok(response);
        let mut socket = accept_hdr_async(stream, accepted).await.unwrap();
        socket.send(Message::text("from behind TLS")).await.unwrap();
        socket
    };
    let dial = async {
        let stream = TcpStream::connect(recorder.local_addr()).await.unwrap();
        let (mut socket, _) = client_async(request(&[]), stream).await.unwrap();
        socket.next().await.unwrap().unwrap()
    };
    let (heard, _connector) = soon(async { tokio::join!(dial, serve) }).await;
    assert_eq!(heard, Message::text("from behind TLS"));
    recorder.finish().unwrap();
    assert_eq!(
        Recording::load(&file).unwrap().lines[1].what,
        LineContent::Connector(text("from behind TLS"))
    );
}
