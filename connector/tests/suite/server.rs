//! The embedded connector over real sockets, with a real client.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // Sockets have their time.

use async_tungstenite::WebSocketStream;
use async_tungstenite::tokio::{TokioAdapter, client_async};
use async_tungstenite::tungstenite::client::IntoClientRequest;
use async_tungstenite::tungstenite::http::Request;
use async_tungstenite::tungstenite::protocol::CloseFrame;
use async_tungstenite::tungstenite::{Error, Message};
use futures_util::{SinkExt, StreamExt};
use relayline_connector::chats::{Ids, slack};
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector, Observation, UpgradeRefusal};
use relayline_core::secret::Secret;
use relayline_core::token;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

type Client = WebSocketStream<TokioAdapter<TcpStream>>;

/// Time-out that is long enough for a busy machine. No test waits for it to pass.
const SOON: Duration = Duration::from_secs(20);

fn start() -> EmbeddedConnector {
    EmbeddedConnector::start(ConnectorConfig::default().gateway("gw", "s3cret"), "127.0.0.1:0").unwrap()
}

fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn bearer(secret: &str, unix_s: u64) -> String {
    format!("Bearer {}", token::mint("gw", &Secret::from(secret), unix_s, 300).expose())
}

async fn dial(connector: &EmbeddedConnector, authorization: Option<&str>) -> Result<Client, Error> {
    let mut request: Request<()> = format!("{}/relay", connector.url()).into_client_request().unwrap();
    if let Some(authorization) = authorization {
        request.headers_mut().insert("authorization", authorization.parse().unwrap());
    }
    let stream = TcpStream::connect(connector.local_addr()).await.unwrap();
    client_async(request, stream).await.map(|(client, _)| client)
}

async fn connect(connector: &EmbeddedConnector) -> Client {
    dial(connector, Some(&bearer("s3cret", unix_s()))).await.unwrap()
}

async fn say(client: &mut Client, frame: Value) {
    SinkExt::send(client, Message::text(format!("{frame}\n"))).await.unwrap();
}

async fn hear(client: &mut Client) -> Value {
    match client.next().await.unwrap().unwrap() {
        Message::Text(text) => {
            assert!(text.ends_with('\n'), "W-6: {text}");
            serde_json::from_str(&text).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

async fn handshake(client: &mut Client) {
    say(client, json!({"type": "hello", "platform": "discord", "botId": ""})).await;
    assert_eq!(hear(client).await["descriptor"]["platform"], "discord");
}

#[tokio::test]
async fn c_2_the_upgrade_needs_a_valid_token() {
    let config = ConnectorConfig::default().upgrade_refusal(UpgradeRefusal::Http);
    let connector = EmbeddedConnector::start(config.gateway("gw", "s3cret"), "127.0.0.1:0").unwrap();
    let refused = async |authorization: Option<String>| match dial(&connector, authorization.as_deref()).await
    {
        Err(Error::Http(response)) => {
            let body = response.body().as_deref().unwrap_or_default();
            (response.status().as_u16(), String::from_utf8_lossy(body).into_owned())
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(None).await, (401, r#"{"error":"unauthorized"}"#.into()));
    assert_eq!(refused(Some(bearer("wrong", unix_s()))).await, (401, r#"{"error":"unauthorized"}"#.into()));
    assert_eq!(refused(Some(bearer("s3cret", unix_s() - 400))).await, (401, r#"{"error":"expired"}"#.into()));
    let saw = connector.wait_for(|saw| matches!(saw, Observation::Dial { dial: 3, .. }), SOON).unwrap();
    assert_eq!(
        serde_json::to_value(saw).unwrap(),
        json!({"saw": "dial", "gateway": "gw", "dial": 3, "authenticated": false, "status": 401, "error": "expired"})
    );
    let mut client = connect(&connector).await;
    handshake(&mut client).await;
}

/// L-7: the close frame arrives, whatever the gateway sends meanwhile.
#[tokio::test]
async fn l_7_an_upgrade_without_a_valid_token_is_closed_with_4401() {
    let connector = start();
    for (authorization, reason) in [
        (None, "unauthorized"),
        (Some(bearer("wrong", unix_s())), "unauthorized"),
        (Some(bearer("s3cret", unix_s() - 400)), "expired"),
    ] {
        let mut client = dial(&connector, authorization.as_deref()).await.unwrap();
        let hello = json!({"type": "hello", "platform": "discord", "botId": ""});
        let _ = SinkExt::send(&mut client, Message::text(format!("{hello}\n"))).await;
        let message = client.next().await.unwrap().unwrap();
        let expected = CloseFrame { code: 4401.into(), reason: reason.into() };
        assert_eq!(message, Message::Close(Some(expected)));
    }
}

#[tokio::test]
async fn d_8_a_descriptor_per_hello_then_requests_and_deliveries() {
    let connector = start();
    let event = slack::channel().message(&mut Ids::new([0; 32]), Default::default(), "while you were away");
    connector.control(Act::Inbound { event, buffered: None }).unwrap();
    let mut client = connect(&connector).await;
    let hellos =
        [json!({"type": "hello", "platform": "slack"}), json!({"type": "hello", "platform": "matrix"})];
    // W-1: all in one binary message.
    let bytes = format!("{}\n{}\n", hellos[0], hellos[1]).into_bytes();
    SinkExt::send(&mut client, Message::binary(bytes)).await.unwrap();
    assert_eq!(hear(&mut client).await["descriptor"]["platform"], "slack");
    assert_eq!(hear(&mut client).await["descriptor"]["platform"], "matrix");
    let delivery = hear(&mut client).await;
    assert_eq!(delivery["event"]["text"], "while you were away");
    say(&mut client, json!({"type": "inbound_ack", "bufferId": delivery["bufferId"]})).await;
    let action =
        json!({"op": "send", "chat_id": "C07AB12CD3E", "content": "hi", "reply_to": null, "metadata": {}});
    say(&mut client, json!({"type": "outbound", "requestId": "r1", "action": action})).await;
    let result = hear(&mut client).await;
    assert_eq!((&result["requestId"], &result["result"]["success"]), (&json!("r1"), &json!(true)));
    let saw = connector
        .wait_for(|saw| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "outbound"), SOON);
    assert!(matches!(saw, Ok(Observation::Frame { frame, .. }) if frame["action"] == action));
    // L-11: a ping is answered.
    SinkExt::send(&mut client, Message::Ping("p".into())).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::Pong("p".into()));
    let bye = CloseFrame { code: 1000.into(), reason: "done".into() };
    client.close(Some(bye)).await.unwrap();
    let closed = connector.wait_for(|saw| matches!(saw, Observation::Closed { .. }), SOON).unwrap();
    assert_eq!(
        serde_json::to_value(closed).unwrap(),
        json!({"saw": "closed", "gateway": "gw", "dial": 1, "code": 1000, "reason": "done", "by": "gateway"})
    );
}

#[tokio::test]
async fn l_5_a_drop_cuts_the_connection_without_a_close_frame() {
    let connector = start();
    let mut client = connect(&connector).await;
    handshake(&mut client).await;
    connector.control(Act::Drop).unwrap();
    match client.next().await {
        None => panic!("a close frame was seen"),
        Some(Ok(message)) => panic!("{message:?}"),
        Some(Err(error)) => assert!(matches!(error, Error::Protocol(_) | Error::Io(_)), "{error:?}"),
    }
    let closed = connector.wait_for(|saw| matches!(saw, Observation::Closed { .. }), SOON).unwrap();
    assert_eq!(serde_json::to_value(closed).unwrap()["by"], "connector");
}

#[tokio::test]
async fn l_11_a_half_open_connection_answers_no_ping() {
    let connector = start();
    let mut client = connect(&connector).await;
    handshake(&mut client).await;
    connector.control(Act::HalfOpen).unwrap();
    SinkExt::send(&mut client, Message::Ping("p".into())).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_millis(300), client.next()).await;
    assert!(answer.is_err(), "{answer:?}");
    // A new connection replaces it, and is served.
    let mut second = connect(&connector).await;
    handshake(&mut second).await;
    SinkExt::send(&mut second, Message::Ping("p".into())).await.unwrap();
    assert_eq!(second.next().await.unwrap().unwrap(), Message::Pong("p".into()));
}

#[tokio::test]
async fn l_7_a_close_carries_its_code_and_reason() {
    let connector = start();
    let mut client = connect(&connector).await;
    connector.control(Act::Expire).unwrap();
    let message = client.next().await.unwrap().unwrap();
    assert_eq!(message, Message::Close(Some(CloseFrame { code: 4401.into(), reason: "expired".into() })));
    assert!(client.next().await.is_none());
}

#[tokio::test]
async fn l_4_a_mute_connector_only_answers_pings() {
    let connector = start();
    connector.control(Act::Mute { on: true }).unwrap();
    let mut client = connect(&connector).await;
    say(&mut client, json!({"type": "hello", "platform": "discord", "botId": ""})).await;
    connector.wait_for(|saw| matches!(saw, Observation::Frame { .. }), SOON).unwrap();
    // It has read the hello. An answer would arrive before the pong.
    SinkExt::send(&mut client, Message::Ping("p".into())).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::Pong("p".into()));
}

#[tokio::test]
async fn o_4_a_delayed_result_is_sent_when_due() {
    let connector = start();
    let mut client = connect(&connector).await;
    handshake(&mut client).await;
    connector.control(Act::Delay { op: "typing".into(), ms: 30 }).unwrap();
    let asked = std::time::Instant::now();
    say(
        &mut client,
        json!({"type": "outbound", "requestId": "r", "action": {"op": "typing", "chat_id": "1"}}),
    )
    .await;
    assert_eq!(hear(&mut client).await["requestId"], "r");
    assert!(asked.elapsed() >= Duration::from_millis(30));
}

#[tokio::test]
async fn l_4_a_gateway_that_does_not_answer_a_close_is_cut_off() {
    let connector = start();
    let mut client = connect(&connector).await;
    handshake(&mut client).await;
    connector.control(Act::Revoke { on: true }).unwrap();
    // Below the WebSocket: the close frame is not answered, and the connection still ends.
    let mut rest = Vec::new();
    client.into_inner().into_inner().read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"unauthorized"));
}

#[tokio::test]
async fn a_lost_peer_is_observed() {
    let connector = start();
    let client = connect(&connector).await;
    drop(client);
    let closed = connector.wait_for(|saw| matches!(saw, Observation::Closed { .. }), SOON).unwrap();
    assert_eq!(serde_json::to_value(closed).unwrap()["by"], "peer lost");
}

#[tokio::test]
async fn dropping_the_connector_closes_with_1001_and_frees_the_port() {
    let connector = start();
    let addr = connector.local_addr();
    let mut client = connect(&connector).await;
    let owner = tokio::task::spawn_blocking(move || drop(connector));
    let message = client.next().await.unwrap().unwrap();
    assert_eq!(message, Message::Close(Some(CloseFrame { code: 1001.into(), reason: "going away".into() })));
    while client.next().await.is_some() {}
    owner.await.unwrap();
    let again = EmbeddedConnector::start(ConnectorConfig::default(), addr).unwrap();
    // The port is in use now: the error comes from the system.
    assert_eq!(
        EmbeddedConnector::start(ConnectorConfig::default(), addr).unwrap_err().kind(),
        std::io::ErrorKind::AddrInUse
    );
    assert_eq!(again.url(), format!("ws://{addr}"));
}

#[tokio::test]
async fn other_requests_get_a_json_answer() {
    let connector = start();
    for (head, expected) in [
        ("GET / HTTP/1.1", ("404", r#"{"error":"not found"}"#)),
        ("POST /relay/enroll HTTP/1.1", ("401", r#"{"error":"identity not verified"}"#)),
        ("GET /relay HTTP/1.1", ("426", r#"{"error":"this is a WebSocket endpoint"}"#)),
    ] {
        let mut stream = TcpStream::connect(connector.local_addr()).await.unwrap();
        stream.write_all(format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {}", expected.0)), "{head}: {answer}");
        assert!(answer.ends_with(expected.1), "{head}: {answer}");
        let saw = connector.next_observation(SOON);
        let status = expected.0.parse().ok();
        assert!(matches!(&saw, Some(Observation::Http { status: shown, .. }) if *shown == status), "{saw:?}");
    }
    // An upgrade at another path comes from a gateway with a wrong URL. Its owner should see that.
    let request = format!("{}/elsewhere", connector.url()).into_client_request().unwrap();
    let stream = TcpStream::connect(connector.local_addr()).await.unwrap();
    assert!(
        matches!(client_async(request, stream).await, Err(Error::Http(response)) if response.status() == 404)
    );
    let saw = connector.next_observation(SOON);
    assert!(matches!(saw, Some(Observation::Dial { status: Some(404), .. })), "{saw:?}");
}

#[test]
fn a_missed_observation_reports_the_last_one() {
    let connector = start();
    let missed = connector.wait_for(|_| false, Duration::ZERO).unwrap_err();
    assert_eq!(missed.to_string(), "it was not seen within 0ns; nothing was");
}
