//! Frames as they cross the wire: what the connector writes, and how it reads a gateway's.

use relayline_core::json;
use serde::Serialize;
use serde_json::{Map, Value};

/// What a connector sends.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Outgoing<'a> {
    Descriptor {
        descriptor: &'a Map<String, Value>,
    },
    Inbound {
        event: &'a Map<String, Value>,
        #[serde(rename = "bufferId", skip_serializing_if = "Option::is_none")]
        buffer_id: Option<&'a str>,
    },
    PassthroughForward {
        forward: &'a Map<String, Value>,
        #[serde(rename = "bufferId", skip_serializing_if = "Option::is_none")]
        buffer_id: Option<&'a str>,
    },
    OutboundResult {
        #[serde(rename = "requestId")]
        request_id: &'a str,
        result: &'a Value,
    },
    InterruptInbound {
        session_key: &'a str,
        chat_id: &'a str,
    },
    GoingIdleAck,
    Error {
        #[serde(rename = "requestId")]
        request_id: &'a str,
        error: &'a str,
    },
}

impl Outgoing<'_> {
    /// The line, with its newline.
    pub(crate) fn to_line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self)
            .unwrap_or_else(|error| unreachable!("JSON values serialise into memory: {error}"));
        line.push(b'\n');
        line
    }
}

/// What a gateway's line turned out to be.
#[derive(PartialEq, Debug)]
pub(crate) enum Incoming {
    /// Nothing but white space (W-2).
    Blank,
    /// No frame at all (W-3), or one that lacks what it is about.
    Malformed,
    /// A frame that no gateway sends, or that is not known here (W-4). It is shown all the same.
    Unknown(Value),
    Known(GatewayFrame, Value),
}

/// A gateway's frame; the whole of it stands beside it.
#[derive(PartialEq, Debug)]
pub(crate) enum GatewayFrame {
    Hello { platform: String, bot_id: String },
    Outbound { request_id: String, platform: Option<String> },
    Interrupt,
    GoingIdle,
    InboundAck { buffer_id: String },
}

/// Reads a gateway's JSON; `NaN`, `Infinity` and `-Infinity` read as null (W-11).
pub(crate) fn value(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok().or_else(|| {
        let mended = json::mend(std::str::from_utf8(bytes).ok()?)?;
        serde_json::from_str(&mended).ok()
    })
}

/// Reads a whole number in any of its spellings (D-3).
pub(crate) fn whole(value: &Value) -> Option<i128> {
    json::whole(&value.to_string())
}

pub(crate) fn read(line: &[u8]) -> Incoming {
    if line.trim_ascii().is_empty() {
        return Incoming::Blank;
    }
    let Some(Value::Object(fields)) = value(line) else {
        return Incoming::Malformed;
    };
    let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    let Some(kind) = text("type") else {
        return Incoming::Malformed;
    };
    let known = match kind.as_str() {
        "hello" => text("platform")
            .map(|platform| GatewayFrame::Hello { platform, bot_id: text("botId").unwrap_or_default() }),
        "outbound" => text("requestId")
            .map(|request_id| GatewayFrame::Outbound { request_id, platform: text("platform") }),
        "interrupt" => text("session_key").map(|_| GatewayFrame::Interrupt),
        "going_idle" => Some(GatewayFrame::GoingIdle),
        "inbound_ack" => text("bufferId").map(|buffer_id| GatewayFrame::InboundAck { buffer_id }),
        _ => return Incoming::Unknown(Value::Object(fields)),
    };
    match known {
        Some(known) => Incoming::Known(known, Value::Object(fields)),
        None => Incoming::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn w_03_and_w_04_lines_are_told_apart() {
        let check = |line: &str, expected: Incoming| assert_eq!(read(line.as_bytes()), expected, "{line}");
        check("  \r", Incoming::Blank);
        check("{", Incoming::Malformed);
        check("[1]", Incoming::Malformed);
        check("{\"type\":1}", Incoming::Malformed);
        check("{\"type\":\"hello\"}", Incoming::Malformed);
        check("{\"type\":\"outbound\",\"requestId\":7}", Incoming::Malformed);
        check("{\"type\":\"descriptor\"}", Incoming::Unknown(json!({"type": "descriptor"})));
        check(
            "{\"type\":\"going_idle\"}",
            Incoming::Known(GatewayFrame::GoingIdle, json!({"type": "going_idle"})),
        );
        // W-11: as a gateway in Python writes it.
        check(
            "{\"type\":\"going_idle\",\"n\":[NaN,-Infinity]}",
            Incoming::Known(GatewayFrame::GoingIdle, json!({"type": "going_idle", "n": [null, null]})),
        );
        check("{\"type\":\"going_idle\",\"n\":-NaN}", Incoming::Malformed);
        assert_eq!(read(b"{\"type\":\"\xff\"}"), Incoming::Malformed);
        assert_eq!(read("[".repeat(200).as_bytes()), Incoming::Malformed); // W-9
    }
}
