//! Streamed files (H-7).

use super::authority::{Authority, NOW};
use super::server::{Heard, Reply, Server};
use super::{config, may_move};
use crate::Kit;
use allocation_counter::measure;
use futures_util::{AsyncRead, AsyncWrite};
use relayline_connector::{ConnectorConfig, EmbeddedConnector, ServerConfig};
use relayline_control::config::GatewayConfig;
use relayline_control::http::media::MediaError;
use relayline_core::config::Credentials;
use relayline_core::secret::Secret;
use relayline_core::token;
use relayline_runtime::{Inbox, Relay};
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

/// Maximum memory of a transfer, in bytes, however large the file.
const MEMORY: u64 = 512 << 10;
const LARGE: u64 = 24 << 20;

/// A file that is generated while it is read, and checked while it is written: the byte at each position is known.
struct Pattern {
    at: u64,
    length: u64,
}

fn byte(at: u64) -> u8 {
    (at % 251) as u8
}

impl AsyncRead for Pattern {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        let count = out.len().min((self.length - self.at) as usize);
        for slot in &mut out[..count] {
            *slot = byte(self.at);
            self.at += 1;
        }
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Pattern {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.at + bytes.len() as u64 > self.length {
            return Poll::Ready(Err(io::Error::other("the disk is full")));
        }
        for got in bytes {
            assert_eq!(*got, byte(self.at));
            self.at += 1;
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn pattern(length: u64) -> Pattern {
    Pattern { at: 0, length }
}

/// Starts a gateway that never connects. Files do not need a connection.
fn gateway(server: &Server) -> (Kit, Relay, Inbox) {
    let kit = Kit::new();
    let (relay, inbox) = kit.connect(with_credentials(&server.url("")));
    (kit, relay, inbox)
}

fn with_credentials(url: &str) -> GatewayConfig {
    let credentials = Credentials::new("gw-1", "hunter2");
    let mut config = config(url, &[("backoff_first", "1h"), ("backoff_most", "1h")]);
    config.machine.credentials = Some(credentials);
    config
}

/// Runs a future on this thread, whose memory is measured.
fn in_constant_memory<T>(kit: &Kit, future: impl Future<Output = T>) -> T {
    let mut result = None;
    let memory = measure(|| result = Some(kit.block_on(future)));
    assert!(memory.bytes_max < MEMORY, "{memory:?}");
    result.unwrap()
}

/// Returns the gateway of the request's upgrade token.
fn whose(heard: &Heard) -> Option<String> {
    let bearer = heard.header("authorization")?.strip_prefix("Bearer ")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    token::verify(bearer, &[Secret::from("hunter2")], now)
}

#[test]
fn h_7_an_upload_is_streamed_in_constant_memory() {
    let server = Server::start(vec![Reply::answer("200 OK", "", r#"{"id":"m-1","size":25165824}"#)]);
    let (kit, relay, _inbox) = gateway(&server);
    let upload = relay.upload("image/png", Some("/home/me/cat.png"), LARGE, pattern(LARGE));
    let uploaded = in_constant_memory(&kit, may_move(upload)).unwrap();
    assert_eq!((uploaded.url, uploaded.size), (server.url("/relay/media/m-1"), Some(LARGE)));

    let heard = server.heard();
    assert!(heard.head.starts_with("POST /relay/media HTTP/1.1\r\n"), "{}", heard.head);
    assert_eq!(heard.header("content-type"), Some("image/png"));
    assert_eq!(heard.header("x-media-filename"), Some("cat.png"));
    assert_eq!(whose(&heard).as_deref(), Some("gw-1"));
    assert_eq!(heard.body.len() as u64, LARGE);
    assert!((0..).zip(&heard.body).all(|(at, got)| *got == byte(at)));
}

/// A file whose length differs from the announced one, by any number of bytes, never arrives complete.
#[test]
fn h_7_a_file_of_a_wrong_length_never_arrives() {
    let taken = || Reply::answer("200 OK", "", r#"{"id":"m-1"}"#);
    let server = Server::start(vec![taken(), taken(), taken(), taken(), taken()]);
    let (kit, relay, _inbox) = gateway(&server);
    for (said, has, expected) in [
        (100_000, 99_999, "the file: it ended after 99999 of 100000 bytes"),
        (100_000, 100_001, "the file: it is longer than its 100000 bytes"),
        (1, 0, "the file: it ended after 0 of 1 bytes"),
        (5, 6, "the file: it is longer than its 5 bytes"),
    ] {
        let error = kit.block_on(relay.upload("a/b", None, said, pattern(has))).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    kit.block_on(relay.upload("a/b", None, 7, pattern(7))).unwrap();
    // Of some, not even the head has arrived.
    loop {
        let heard = server.heard();
        let said: usize = heard.header("content-length").unwrap().parse().unwrap();
        if said == 7 {
            break;
        }
        assert!(heard.body.len() < said, "{}", heard.head);
    }
}

#[test]
fn a_file_is_uploaded_by_path_or_as_bytes() {
    let taken = || Reply::answer("200 OK", "", r#"{"id":"m-1"}"#);
    let server = Server::start(vec![taken(), taken()]);
    let (kit, relay, _inbox) = gateway(&server);
    let path = std::env::temp_dir().join(format!("relayline-{}.png", std::process::id()));
    std::fs::write(&path, b"a picture").unwrap();
    let uploaded = kit.block_on(may_move(relay.upload_file(&path)));
    std::fs::remove_file(&path).unwrap();
    uploaded.unwrap();
    let heard = server.heard();
    assert_eq!((heard.header("content-type"), &heard.body[..]), (Some("image/png"), &b"a picture"[..]));
    assert_eq!(heard.header("x-media-filename"), path.file_name().unwrap().to_str());
    kit.block_on(may_move(relay.upload_bytes("text/plain", None, "words"))).unwrap();
    assert_eq!(server.heard().body, b"words");
    let gone = kit.block_on(relay.upload_file(&path)).unwrap_err().to_string();
    assert!(gone.contains(path.to_str().unwrap()) && gone.contains("No such file"), "{gone}");
}

#[test]
fn h_7_an_empty_file_can_be_uploaded() {
    let server = Server::start(vec![Reply::answer("200 OK", "", r#"{"id":"m-1"}"#)]);
    let (kit, relay, _inbox) = gateway(&server);
    kit.block_on(relay.upload("a/b", None, 0, pattern(0))).unwrap();
    assert_eq!(server.heard().header("content-length"), Some("0"));
}

#[test]
fn h_7_an_impossible_upload_is_refused_before_it_is_sent() {
    let server = Server::start(vec![]);
    let (kit, relay, _inbox) = gateway(&server);
    let too_large = relay.upload("a/b", None, (25 << 20) + 1, pattern(0));
    assert_eq!(kit.block_on(too_large), Err(MediaError::TooLarge));
    let (relay, _inbox) = kit.connect(config(&server.url(""), &[]));
    let nobody = kit.block_on(relay.upload("a/b", None, 1, pattern(1)));
    assert_eq!(nobody, Err(MediaError::NoCredentials));
    // C-6: a gateway that would send its credentials unencrypted cannot even be created.
    let far = with_credentials("ws://c.example");
    let error = relayline_runtime::start(kit.runtime(), far).unwrap_err();
    assert!(error.to_string().contains("Builder::allow_insecure"), "{error}");
}

/// The bearer is sent to the connector's own media only, and no redirect receives it.
#[test]
fn h_7_a_download_is_streamed_and_keeps_the_bearer_at_home() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let location = format!("location: http://{}/relay/media/m-1\r\n", elsewhere.local_addr().unwrap());
    let file: Vec<u8> = (0..LARGE).map(byte).collect();
    let own = Server::start(vec![
        Reply::answer("200 OK", "content-type: image/png; q=1\r\n", &file),
        Reply::answer("302 Found", &location, ""),
        Reply::answer("307 Temporary Redirect", &location, ""),
        Reply::answer("200 OK", "", "\0"),
    ]);
    let other = Server::start(vec![Reply::answer("200 OK", "", "\0")]);
    let (kit, relay, _inbox) = gateway(&own);

    let mut into = pattern(LARGE);
    let url = own.url("/relay/media/m-1");
    let received = in_constant_memory(&kit, may_move(relay.download(&url, &mut into))).unwrap();
    assert_eq!((received.content_type.as_deref(), received.length), (Some("image/png"), LARGE));
    assert_eq!(into.at, LARGE);
    assert_eq!(whose(&own.heard()).as_deref(), Some("gw-1"));

    let redirected = kit.block_on(relay.download(&own.url("/relay/media/m-1"), pattern(0))).unwrap_err();
    assert!(matches!(redirected, MediaError::Redirect { status: 302, .. }), "{redirected:?}");
    let redirected = kit.block_on(relay.upload("a/b", None, 1, pattern(1))).unwrap_err();
    assert!(matches!(redirected, MediaError::Redirect { status: 307, .. }), "{redirected:?}");
    assert_eq!(elsewhere.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    for _ in 0..2 {
        assert_eq!(whose(&own.heard()).as_deref(), Some("gw-1"));
    }

    for (server, path) in [(&own, "/elsewhere/m-1"), (&other, "/relay/media/m-1")] {
        assert_eq!(kit.block_on(relay.download(&server.url(path), pattern(1))).unwrap().length, 1);
        assert_eq!(server.heard().header("authorization"), None);
    }
}

#[test]
fn h_7_each_failed_transfer_names_its_cause() {
    let endless = "HTTP/1.1 200 OK\r\n\r\n".to_owned() + &"x".repeat((25 << 20) + 1);
    let server = Server::start(vec![
        Reply::answer("401 Unauthorized", "", "{}"),
        Reply::answer("410 Gone", "", "{}"),
        Reply::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 26214401\r\n\r\n".to_vec()),
        Reply::Hang(endless.into_bytes()),
        Reply::answer("200 OK", "", [0, 1, 2]),
        Reply::Early(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\n{}".to_vec()),
        Reply::answer("413 Content Too Large", "", "{}"),
        Reply::answer("200 OK", "", "{}"),
        Reply::answer("403 Forbidden", "", r#"{"error":"no media for you"}"#),
    ]);
    let (kit, relay, _inbox) = gateway(&server);
    let (url, host) = (server.url("/relay/media/m-1"), server.address.to_string());
    for expected in [
        format!("{host} refused the credentials (401): check the gateway's id and secret, and the clock"),
        format!("{host} has no such file, or no longer"),
        "the file is too large: 25 MiB at most".to_owned(),
        "the file is too large: 25 MiB at most".to_owned(),
        "the file: the disk is full".to_owned(),
    ] {
        let room = if expected.contains("disk") { 2 } else { u64::MAX };
        let into: Box<dyn AsyncWrite + Unpin> =
            if room == 2 { Box::new(pattern(room)) } else { Box::new(futures_util::io::sink()) };
        assert_eq!(kit.block_on(relay.download(&url, into)).unwrap_err().to_string(), expected);
    }
    // An early answer ends the upload.
    let early = kit.block_on(relay.upload("a/b", None, LARGE, pattern(LARGE)));
    assert_eq!(early, Err(MediaError::TooLarge));
    for expected in [
        "the file is too large: 25 MiB at most".to_owned(),
        format!("unexpected response from {host}: it holds no usable media id"),
        format!("{host} answered with status 403: no media for you"),
    ] {
        let error = kit.block_on(relay.upload("a/b", None, 3, pattern(3))).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn h_7_a_file_is_uploaded_and_downloaded_over_tls() {
    let authority = Authority::new("ours");
    let connector = ConnectorConfig::default().gateway("gw-1", "hunter2");
    let connector = ServerConfig::from(connector).tls(authority.server("127.0.0.1", NOW));
    let connector = EmbeddedConnector::start(connector, "127.0.0.1:0").unwrap();
    let kit = Kit::new();
    let mut config = with_credentials(&connector.url());
    config.network = authority.network();
    let (relay, _inbox) = kit.connect(config);
    let uploaded = kit.block_on(relay.upload("image/png", Some("cat.png"), LARGE, pattern(LARGE))).unwrap();
    assert!(uploaded.url.starts_with("https://127.0.0.1:"), "{uploaded:?}");
    let mut into = pattern(LARGE);
    let received = kit.block_on(relay.download(&uploaded.url, &mut into)).unwrap();
    assert_eq!(
        (into.at, received.length, received.content_type.as_deref()),
        (LARGE, LARGE, Some("image/png"))
    );
    let gone = kit.block_on(relay.download(&format!("{}x", uploaded.url), pattern(0))).unwrap_err();
    assert!(matches!(gone, MediaError::Gone(_)), "{gone:?}");
}
