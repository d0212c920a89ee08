//! The embedded connector's HTTP endpoints and its webhook requests, over real sockets.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // Sockets have their time.

use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector, Observation, Webhook};
use relayline_core::secret::Secret;
use relayline_core::signature::verify;
use relayline_core::token;
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Time-out that is long enough for a busy machine. No test waits for it to pass.
const SOON: Duration = Duration::from_secs(20);
const KEY: &str = "hunter2-key";

fn start() -> EmbeddedConnector {
    let config = ConnectorConfig::default()
        .gateway("gw", "s3cret")
        .delivery_key("gw", KEY)
        .identity("access", "acme")
        .enroll_token("once", "acme");
    EmbeddedConnector::start(config, "127.0.0.1:0").unwrap()
}

fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn upgrade_token(id: &str, secret: &str) -> String {
    token::mint(id, &Secret::from(secret), unix_s(), 300).expose().to_owned()
}

/// Head and body of an answer.
type Answer = (String, Vec<u8>);

fn split(answer: &[u8]) -> Answer {
    let at = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
    (String::from_utf8_lossy(&answer[..at]).into_owned(), answer[at + 4..].to_vec())
}

/// Sends one request on a connection of its own.
async fn send(connector: &EmbeddedConnector, head: &str, bearer: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(connector.local_addr()).await.unwrap();
    let length = body.len();
    let head = format!(
        "{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {bearer}\r\n\
         Content-Type: a/b\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    split(&answer)
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.1).unwrap()
}

#[tokio::test]
async fn c_1_credentials_issued_over_http_are_valid() {
    let connector = start();
    let body = json!({"enrollmentToken": "once", "gatewayId": "gw-2"}).to_string();
    let issued = send(&connector, "POST /relay/enroll", "access", body.as_bytes()).await;
    assert!(issued.0.starts_with("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"), "{}", issued.0);
    let again = send(&connector, "POST /relay/enroll?x=1", "access", body.as_bytes()).await;
    assert!(again.0.starts_with("HTTP/1.1 403 "), "{}", again.0);
    assert_eq!(json_of(&again), json!({"error": "enrollment token already used"}));
    let bearer = upgrade_token("gw-2", json_of(&issued)["secret"].as_str().unwrap());
    let policy = json!({
        "platform": "slack", "requireAddress": true, "freeResponseScopes": [], "allowOtherBots": false,
    });
    let answer = send(&connector, "POST /relay/policy", &bearer, policy.to_string().as_bytes()).await;
    assert_eq!(json_of(&answer), json!({"ok": true}));
    // Another connector does not accept these credentials.
    let other = send(&start(), "POST /relay/enroll", "access", body.as_bytes()).await;
    assert_ne!(json_of(&other)["secret"], json_of(&issued)["secret"]);
}

#[tokio::test]
async fn x_1_a_file_over_25_mib_is_refused() {
    let connector = start();
    let gw = upgrade_token("gw", "s3cret");
    let most = vec![7; 25 << 20];
    let taken = json_of(&send(&connector, "POST /relay/media", &gw, &most).await);
    assert_eq!(taken["size"], json!(most.len()));
    let path = format!("/relay/media/{}", taken["id"].as_str().unwrap());
    let (head, file) = send(&connector, &format!("GET {path}"), &gw, b"").await;
    assert!(head.contains("content-type: a/b") && file == most, "{head}");
    let more = vec![7; most.len() + 1];
    let refused = send(&connector, "POST /relay/media", &gw, &more).await;
    assert!(refused.0.starts_with("HTTP/1.1 413 "), "{}", refused.0);
    // Without a length, in chunks.
    let mut stream = TcpStream::connect(connector.local_addr()).await.unwrap();
    let head = format!(
        "POST /relay/media HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {gw}\r\n\
         Content-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        more.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&more).await.unwrap();
    stream.write_all(b"\r\n0\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&answer));
    // An unknown sender is refused, however large the body.
    let stranger = send(&connector, "POST /relay/media", "nobody", &more).await;
    assert!(stranger.0.starts_with("HTTP/1.1 401 "), "{}", stranger.0);
}

#[tokio::test]
async fn x_1_an_incomplete_body_has_no_effect() {
    let connector = start();
    let mut stream = TcpStream::connect(connector.local_addr()).await.unwrap();
    let head = "POST /relay/enroll HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer access\r\nContent-Length: 99\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    drop(stream);
    // It did not use up the token, and nothing of it was observed.
    let body = json!({"enrollmentToken": "once", "gatewayId": "gw-2"}).to_string();
    assert!(send(&connector, "POST /relay/enroll", "access", body.as_bytes()).await.0.contains("200"));
    let saw = connector.next_observation(SOON);
    assert!(matches!(saw, Some(Observation::Http { status: Some(200), .. })), "{saw:?}");
}

/// Accepts one request and sends this answer.
async fn serve_once(listener: TcpListener, answer: &'static str) -> Answer {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.unwrap();
        request.extend_from_slice(&piece[..read]);
        if !request.windows(4).any(|four| four == b"\r\n\r\n") {
            continue;
        }
        let (head, body) = split(&request);
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.unwrap().parse().unwrap() {
            break;
        }
    }
    stream.write_all(answer.as_bytes()).await.unwrap();
    split(&request)
}

#[tokio::test]
async fn c_3_a_webhook_is_posted_and_its_answer_observed() {
    let connector = start();
    for (answer, status, error) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"ok\":true}", json!(200), Value::Null),
        ("HTTP/1.1 503 Full\r\nContent-Length: 16\r\n\r\n{\"error\":\"full\"}", json!(503), json!("full")),
        (
            "HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
            json!(307),
            Value::Null,
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        let served = tokio::spawn(serve_once(listener, answer));
        let event = Map::from_iter([("text".to_owned(), "hi 👋".into())]);
        let delivery = Webhook::event(event).url(url);
        connector.control(Act::Deliver(delivery).on("gw")).unwrap();
        let (head, body) = served.await.unwrap();
        assert!(head.starts_with("POST /in HTTP/1.1\r\n") && head.contains("\r\nhost: 127.0.0.1:"), "{head}");
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let keys = [Secret::from(KEY)];
        let (timestamp, signature) = (header("x-relay-timestamp"), header("x-relay-signature"));
        assert_eq!(verify(&body, timestamp, signature, &keys, unix_s()), Ok(()), "{head}");
        let saw = connector.wait_for(|saw| matches!(saw, Observation::Http { .. }), SOON).unwrap();
        let saw = serde_json::to_value(saw).unwrap();
        assert_eq!(
            (&saw["by"], &saw["status"], &saw["error"]),
            (&json!("connector"), &status, &error),
            "{saw}"
        );
    }
}

#[tokio::test]
async fn a_failed_post_names_its_cause() {
    let connector = start();
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let interrupt = Map::from_iter([("session_key".to_owned(), "k".into())]);
    let delivery = Webhook::interrupt(interrupt).url(format!("http://{nobody}"));
    connector.control(Act::Deliver(delivery).on("gw")).unwrap();
    let saw = connector.wait_for(|saw| matches!(saw, Observation::Http { .. }), SOON).unwrap();
    let saw = serde_json::to_value(saw).unwrap();
    assert_eq!((&saw["path"], &saw["status"]), (&json!("/interrupt"), &Value::Null));
    assert!(saw["error"].as_str().unwrap().contains("refused"), "{saw}");
}
