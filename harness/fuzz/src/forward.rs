//! Forwarded requests (P-1 to P-8, A-1): a body of any bytes comes to the host as something, is acknowledged, and
//! stops nothing.

use crate::world::frames::served;
use crate::world::{Input, World};
use data_encoding::BASE64;
use relayline_core::output::Outcome;
use relayline_core::passthrough::Forward;
use serde_json::json;

const NEXT: &str = r#"{"type":"inbound","event":{"text":"next","source":{"chat_id":"elsewhere"}}}"#;

pub(crate) fn run(data: &[u8]) {
    if let Some((forward, _)) = std::str::from_utf8(data).ok().and_then(Forward::read) {
        let again = Forward::read(&serde_json::to_string(&forward).unwrap());
        assert_eq!(again, Some((forward, true)), "P-1");
    }
    interaction(data);
}

fn interaction(body: &[u8]) {
    let mut world = World::with(|config| {
        config.passthrough = true;
        config.limits.max_line_bytes = 1 << 16;
        config.limits.read_ahead_bytes = 1 << 18;
    });
    served().iter().for_each(|input| world.apply(input));
    let forward = json!({
        "platform": "discord", "botId": "1", "method": "POST", "path": "/interactions",
        "headers": [], "bodyB64": BASE64.encode(body),
    });
    let frame = json!({"type": "passthrough_forward", "bufferId": "entry", "forward": forward});
    let before = world.trace.len();
    world.apply(&Input::Bytes(0, format!("{frame}\n{NEXT}\n").into_bytes(), 0));
    world.drain();
    for delivery in 0..world.last_delivery {
        world.apply(&Input::Settle(delivery, Outcome::Taken));
    }
    world.drain();
    world.check();
    let said = |what: &str| world.trace[before..].iter().filter(|line| line.contains(what)).count();
    assert_eq!(said(r#""type":"inbound_ack","bufferId":"entry""#), 1, "A-1: {:?}", world.trace);
    assert!(said(r#"text: "next""#) >= 1, "the next one comes: {:?}", world.trace);
    world.finish();
}
