//! Frames: those that the connector writes, and those that it reads.

use relayline_core::json;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A frame to a gateway.
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
    /// Returns the line, with its newline.
    pub(crate) fn to_line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self)
            .unwrap_or_else(|error| unreachable!("JSON values serialize into memory: {error}"));
        line.push(b'\n');
        line
    }
}

/// Kind of a delivery, by the type of its frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum DeliveryKind {
    #[serde(rename = "inbound")]
    Inbound,
    #[serde(rename = "passthrough_forward")]
    Passthrough,
}

impl DeliveryKind {
    /// Returns the type of its frame.
    pub(crate) fn frame_type(self) -> &'static str {
        match self {
            DeliveryKind::Inbound => "inbound",
            DeliveryKind::Passthrough => "passthrough_forward",
        }
    }

    pub(crate) fn to_line(self, content: &Map<String, Value>, buffer_id: Option<&str>) -> Vec<u8> {
        match self {
            DeliveryKind::Inbound => Outgoing::Inbound { event: content, buffer_id }.to_line(),
            DeliveryKind::Passthrough => {
                Outgoing::PassthroughForward { forward: content, buffer_id }.to_line()
            }
        }
    }

    /// Returns the lane, whose deliveries keep their order (A-7): a chat's events, a platform's forwards.
    pub(crate) fn lane(self, content: &Map<String, Value>) -> [Option<&Value>; 2] {
        match self {
            DeliveryKind::Inbound => {
                let source = content.get("source");
                let field = |name| source.and_then(|source| source.get(name));
                [field("platform"), field("chat_id")]
            }
            DeliveryKind::Passthrough => [content.get("platform"), None],
        }
    }
}

/// A parsed line of a gateway.
#[derive(PartialEq, Debug)]
pub(crate) enum Incoming {
    /// Only white space (W-2).
    Blank,
    /// Not a frame (W-3), or one without a required field.
    Malformed,
    /// A frame of another type (W-4). It is observed, too.
    Unknown(Value),
    Known(GatewayFrame, Value),
}

/// Fields of a gateway's frame that the machine uses.
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
        let repaired = json::repair(std::str::from_utf8(bytes).ok()?)?;
        serde_json::from_str(&repaired).ok()
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
    fn w_3_and_w_4_kinds_of_lines_are_distinguished() {
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
