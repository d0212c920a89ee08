//! A request of the host, its frame as a hand-written gateway writes it, and its result as a connector writes it.

use relayline_core::command::Command;
use relayline_core::op::SendMessage;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Length of a request's id.
const ID_LENGTH: usize = 32;

const CHAT_ID: &str = "1000001";
const REPLY_TO: &str = "1299999999999999001";
const TEXT: &str = "An answer with \"quotes\", a line\nbreak and a 👋 for <@1187654321098765432>.";

fn metadata() -> Map<String, Value> {
    let metadata = json!({"thread_id": "1299999999999998888", "nested": {"list": [1, 2.5, "three"]}});
    metadata.as_object().cloned().unwrap()
}

/// Returns a message of the host.
pub fn send() -> Command {
    SendMessage::new(CHAT_ID, TEXT).reply_to(REPLY_TO).metadata(metadata()).into()
}

/// Returns the fields of [`send`] as an agent writes them in an op of the bridge, without the braces around them.
pub fn op_fields() -> String {
    let fields = json!({"chat_id": CHAT_ID, "content": TEXT, "reply_to": REPLY_TO, "metadata": metadata()});
    let object = fields.to_string();
    object[1..object.len() - 1].to_owned()
}

/// The frame of [`send`] as a hand-written gateway writes it.
#[derive(Serialize, Debug)]
pub struct Outbound {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "requestId")]
    request_id: String,
    platform: &'static str,
    #[serde(rename = "botId")]
    bot_id: &'static str,
    action: SendAction,
}

#[derive(Serialize, Debug)]
struct SendAction {
    op: &'static str,
    chat_id: String,
    content: String,
    reply_to: Option<String>,
    metadata: Map<String, Value>,
}

impl Outbound {
    /// Creates the frame.
    pub fn new() -> Outbound {
        Outbound {
            kind: "outbound",
            request_id: "0123456789abcdef0123456789abcdef".to_owned(),
            platform: "discord",
            bot_id: "1",
            action: SendAction {
                op: "send",
                chat_id: CHAT_ID.to_owned(),
                content: TEXT.to_owned(),
                reply_to: Some(REPLY_TO.to_owned()),
                metadata: metadata(),
            },
        }
    }

    /// Writes the frame into a buffer that is reused, and drops the rest.
    pub fn write(self, out: &mut Vec<u8>) {
        out.clear();
        serde_json::to_writer(&mut *out, &self).unwrap();
        out.push(b'\n');
    }
}

impl Default for Outbound {
    fn default() -> Outbound {
        Outbound::new()
    }
}

/// Returns the id of a request, from its frame. The id is always at the same place, so that finding it costs nothing.
pub fn request_id(frame: &[u8]) -> Option<&[u8]> {
    frame.strip_prefix(b"{\"type\":\"outbound\",\"requestId\":\"")?.get(..ID_LENGTH)
}

/// Writes the result of a request into a buffer that is reused.
pub fn write_result(request_id: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(b"{\"type\":\"outbound_result\",\"requestId\":\"");
    out.extend_from_slice(request_id);
    out.extend_from_slice(b"\",\"result\":{\"success\":true,\"message_id\":\"1299999999999999777\"}}\n");
}
