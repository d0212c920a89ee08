//! Recordings of the wire for tests, line by line.

use crate::recording::Recording;
use crate::view::{ProblemKind, SessionView};
use serde_json::{Value, json};

pub(super) const HELLO: &str = r#"{"type":"hello","platform":"discord","botId":"1"}"#;

pub(super) fn descriptor() -> Value {
    json!({"type": "descriptor", "descriptor": {"contract_version": 1, "platform": "discord", "label": "Discord",
        "max_message_length": 20, "supports_draft_streaming": false, "supports_edit": true, "supports_threads": true,
        "len_unit": "chars", "markdown_dialect": "discord"}})
}

/// A recording of the wire, line by line.
pub(super) struct Wire {
    pub(super) lines: Vec<Value>,
    pub(super) dials: u32,
}

impl Wire {
    pub(super) fn new() -> Wire {
        Wire { lines: Vec::new(), dials: 0 }
    }

    /// Adds a dial whose handshake is complete.
    pub(super) fn connected(mut self, t_ms: u64) -> Wire {
        self = self.dial(t_ms).gateway(t_ms, HELLO);
        self.connector(t_ms, &descriptor().to_string())
    }

    pub(super) fn dial(mut self, t_ms: u64) -> Wire {
        self.dials += 1;
        self.lines.push(json!({"t_ms": t_ms, "dir": "connect", "url_path": "/relay", "dial": self.dials}));
        self
    }

    pub(super) fn gateway(self, t_ms: u64, frame: &str) -> Wire {
        self.text(t_ms, "gateway", &format!("{frame}\n"))
    }

    pub(super) fn connector(self, t_ms: u64, frame: &str) -> Wire {
        self.text(t_ms, "connector", &format!("{frame}\n"))
    }

    pub(super) fn text(mut self, t_ms: u64, dir: &str, data: &str) -> Wire {
        self.lines.push(json!({"t_ms": t_ms, "dir": dir, "data": data, "dial": self.dials}));
        self
    }

    pub(super) fn other(mut self, line: Value) -> Wire {
        self.lines.push(line);
        self
    }

    pub(super) fn send(self, t_ms: u64, id: &str) -> Wire {
        let action = json!({"op": "send", "chat_id": "7", "content": "hi", "reply_to": null, "metadata": {}});
        self.gateway(t_ms, &json!({"type": "outbound", "requestId": id, "action": action}).to_string())
    }

    pub(super) fn result(self, t_ms: u64, id: &str, result: Value) -> Wire {
        self.connector(
            t_ms,
            &json!({"type": "outbound_result", "requestId": id, "result": result}).to_string(),
        )
    }

    pub(super) fn inbound(self, t_ms: u64, buffer: &str) -> Wire {
        let event =
            json!({"text": "hello", "message_id": buffer, "source": {"platform": "discord", "chat_id": "7"}});
        self.connector(t_ms, &json!({"type": "inbound", "event": event, "bufferId": buffer}).to_string())
    }

    pub(super) fn ack(self, t_ms: u64, buffer: &str) -> Wire {
        self.gateway(t_ms, &json!({"type": "inbound_ack", "bufferId": buffer}).to_string())
    }

    pub(super) fn close(self, t_ms: u64, by: &str, code: u16, reason: &str) -> Wire {
        let dial = self.dials;
        self.other(
            json!({"t_ms": t_ms, "dir": "close", "by": by, "dial": dial, "code": code, "reason": reason}),
        )
    }

    pub(super) fn view(self) -> SessionView {
        let lines = self.lines.iter().map(|line| format!("{line}\n"));
        let text: String = std::iter::once("{\"relay_session\":1}\n".to_owned()).chain(lines).collect();
        SessionView::of(&Recording::read("wire.jsonl", text.as_bytes()).unwrap())
    }

    /// Returns the problems: the text of their entries, and their kinds.
    pub(super) fn problems(self) -> Vec<(String, ProblemKind)> {
        let view = self.view();
        let shown = |at: usize| format!("{} {}", view.entries[at].id, view.entries[at].name);
        view.problems.iter().map(|problem| (shown(problem.at), problem.kind)).collect()
    }
}
