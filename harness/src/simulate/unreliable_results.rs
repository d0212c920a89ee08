//! Random results of the connector: success, rejection, ambiguity, or none.

use super::world::World;
use serde_json::{Value, json};

/// Length of a chat's name that the machine truncates.
const LONG_NAME: usize = 1100;

impl World<'_> {
    /// Returns the line of a result, changed at random; `None` if it is lost.
    pub(super) fn draw_result(&mut self, line: Vec<u8>) -> Option<Vec<u8>> {
        if self.now >= self.faults.unreliable_results_until
            || !line.starts_with(b"{\"type\":\"outbound_result\"")
        {
            return Some(line);
        }
        let Ok(frame) = serde_json::from_slice::<Value>(&line) else { return Some(line) };
        let request = frame["requestId"].as_str().unwrap_or_default();
        let op = self.connector.chat_view.op(request);
        let result = match (op, self.connector.random.below(20)) {
            ("get_chat_info", 0..10) => {
                json!({"success": true, "chat_info": {"name": "n".repeat(LONG_NAME)}})
            }
            // A lost result of a seal leaves its outcome unknown, mostly while much else happens (O-13).
            ("seal", 0..8) => return None,
            ("send" | "edit" | "draft" | "seal" | "react" | "typing", draw) => match draw {
                0..3 => json!({"success": false, "error": "no such thing"}),
                3 => json!({"success": false, "code": "egress_declined", "error": "not this"}),
                4..7 => json!({"success": false, "ambiguous": true, "error": "who knows"}),
                7..9 => return None,
                _ => return Some(line),
            },
            _ => return Some(line),
        };
        let line =
            format!("{{\"type\":\"outbound_result\",\"requestId\":\"{request}\",\"result\":{result}}}\n");
        Some(line.into_bytes())
    }
}
