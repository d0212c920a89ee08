//! Forwarded requests (P-1 to P-8, A-1): a body of any bytes reaches the host in some form, is acknowledged, and does
//! not stop the drain.

use data_encoding::BASE64;
use relayline_core::output::{Content, Outcome};
use relayline_core::passthrough::Forward;
use relayline_harness::testing::frames::handshake;
use relayline_harness::testing::{Driver, Input, Output, small_limits};
use serde_json::json;

const ACK: &str = r#"{"type":"inbound_ack","bufferId":"entry""#;
const NEXT: &str = r#"{"type":"inbound","event":{"text":"next","source":{"chat_id":"elsewhere"}}}"#;

pub(crate) fn run(data: &[u8]) {
    if let Some((forward, _)) = std::str::from_utf8(data).ok().and_then(Forward::read) {
        let again = Forward::read(&serde_json::to_string(&forward).unwrap());
        assert_eq!(again, Some((forward, true)), "P-1");
    }
    interaction(data);
}

fn interaction(body: &[u8]) {
    let mut config = small_limits();
    config.passthrough = true;
    config.limits.max_line_bytes = 1 << 16;
    config.limits.read_ahead_bytes = 1 << 18;
    let mut driver = Driver::new(config);
    handshake().iter().for_each(|input| driver.apply(input));
    let forward = json!({
        "platform": "discord", "botId": "1", "method": "POST", "path": "/interactions",
        "headers": [], "bodyB64": BASE64.encode(body),
    });
    let frame = json!({"type": "passthrough_forward", "bufferId": "entry", "forward": forward});
    let before = driver.outputs.len();
    driver.apply(&Input::Bytes(0, format!("{frame}\n{NEXT}\n").into_bytes(), 0));
    driver.drain();
    for delivery in 0..driver.last_delivery {
        driver.apply(&Input::Settle(delivery, Outcome::Accepted));
    }
    driver.drain();
    driver.check();
    let acks = driver.frames_from(before).filter(|frame| frame.contains(ACK)).count();
    assert_eq!(acks, 1, "A-1: {:?}", driver.outputs);
    let is_next = |output: &Output| match output {
        Output::Delivery(delivery) => {
            matches!(&delivery.content, Content::Message(event) if event.text == "next")
        }
        _ => false,
    };
    assert!(driver.outputs[before..].iter().any(is_next), "the next one comes: {:?}", driver.outputs);
    driver.finish();
}
