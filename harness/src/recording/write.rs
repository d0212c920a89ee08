//! Writer of recordings: compact JSON, with the fields in reading order.

use super::{CallOutcome, Data, Gateway, Header, LineContent, RecordedLine, Recording, VERSION};
use data_encoding::BASE64;
use relayline_core::secret::Secret;
use serde::Serialize;
use serde_json::{Map, Value};
use std::io;
use std::time::Duration;

impl Recording {
    /// Writes the recording, with a newline after each line.
    pub fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        out.write_all(self.header.to_json().as_bytes())?;
        out.write_all(b"\n")?;
        for line in &self.lines {
            out.write_all(line.to_json().as_bytes())?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }
}

impl Header {
    /// Returns the first line of a file, without its newline. It contains `gateway.upgrade_secret` in plain text, if
    /// set.
    pub fn to_json(&self) -> String {
        let mut line = Object::new();
        line.field("relay_session", VERSION)
            .field("title", &self.title)
            .field("recorded_from", &self.recorded_from)
            .field("note", &self.note)
            .raw("gateway", &gateway(&self.gateway))
            .rest(&self.rest);
        line.close()
    }
}

fn gateway(gateway: &Gateway) -> String {
    let mut object = Object::new();
    object
        .optional("layer", gateway.layer.as_ref())
        .optional("platform", gateway.platform.as_ref())
        .optional("bot_id", gateway.bot_id.as_ref())
        .optional("identities", Some(&gateway.identities).filter(|list| !list.is_empty()))
        .optional("connect_timeout_s", gateway.connect_timeout.as_ref().map(Duration::as_secs_f64))
        .optional("outbound_timeout_s", gateway.outbound_timeout.as_ref().map(Duration::as_secs_f64))
        .optional("gateway_id", gateway.gateway_id.as_ref())
        .optional("upgrade_secret", gateway.upgrade_secret.as_ref().map(Secret::expose))
        .optional("clock_unix_s", gateway.clock_unix_s)
        .optional("reconnect", gateway.reconnect)
        .optional("reconnect_backoff_s", gateway.reconnect_backoff.as_ref().map(Duration::as_secs_f64))
        .optional(
            "reconnect_max_backoff_s",
            gateway.reconnect_max_backoff.as_ref().map(Duration::as_secs_f64),
        )
        .rest(&gateway.rest);
    object.close()
}

impl RecordedLine {
    /// Returns the line as written to a file, without its newline. It contains the `authorization` header in plain
    /// text, if set.
    pub fn to_json(&self) -> String {
        let mut line = Object::new();
        line.field("t_ms", self.t_ms);
        match &self.what {
            LineContent::Connect { url_path, dial, authorization, headers, clock_unix_s } => {
                line.field("dir", "connect").field("url_path", url_path).optional("dial", *dial);
                if authorization.is_some() || !headers.is_empty() {
                    let mut object = Object::new();
                    object
                        .optional("authorization", authorization.as_ref().map(Secret::expose))
                        .rest(headers);
                    line.raw("headers", &object.close());
                }
                line.optional("clock_unix_s", *clock_unix_s);
            }
            LineContent::Reject { dial, answer } => {
                line.field("dir", "reject")
                    .optional("dial", *dial)
                    .field("status", answer.status)
                    .optional("body", answer.body.as_ref())
                    .optional("cut", answer.is_cut.then_some(true))
                    .optional("www_authenticate", answer.has_challenge.then_some(true))
                    .optional("retry_after", answer.retry_after.as_ref())
                    .optional("location", answer.location.as_ref());
            }
            LineContent::Gateway(data) => line.field("dir", "gateway").data(data),
            LineContent::Connector(data) => line.field("dir", "connector").data(data),
            LineContent::Close { by, dial, code, reason } => {
                line.field("dir", "close")
                    .field("by", by.name())
                    .optional("dial", *dial)
                    .optional("code", *code)
                    .field("reason", reason);
            }
            LineContent::Drop { by, dial } => {
                line.field("dir", "drop").field("by", by.name()).optional("dial", *dial);
            }
            LineContent::HostCall { call, args, ended, done_ms } => {
                line.field("dir", "host_call").field("call", call).field("args", args);
                match ended {
                    CallOutcome::Result(result) => {
                        line.field("result", result);
                    }
                    CallOutcome::Raised { kind, message } => {
                        let mut raised = Object::new();
                        raised.field("type", kind).field("message", message);
                        line.raw("raised", &raised.close());
                    }
                    CallOutcome::Unknown => {}
                }
                line.optional("done_ms", *done_ms);
            }
            LineContent::HostEvent { kind, event, session_key } => {
                line.field("dir", "host_event")
                    .field("kind", kind)
                    .field("event", event)
                    .optional("session_key", session_key.as_ref());
            }
            LineContent::Note(text) => {
                line.field("dir", "note").field("text", text);
            }
            LineContent::Other(dir) => {
                line.field("dir", dir);
            }
        }
        line.rest(&self.rest);
        line.close()
    }
}

/// A JSON object that is written field by field.
struct Object(String);

impl Object {
    fn new() -> Self {
        Object(String::from("{"))
    }

    fn field(&mut self, name: &str, value: impl Serialize) -> &mut Self {
        // Cannot fail: texts, numbers, and values that were read as JSON.
        let value = serde_json::to_string(&value).unwrap_or_default();
        self.raw(name, &value)
    }

    fn optional(&mut self, name: &str, value: Option<impl Serialize>) -> &mut Self {
        if let Some(value) = value {
            self.field(name, value);
        }
        self
    }

    fn raw(&mut self, name: &str, json: &str) -> &mut Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&Value::from(name).to_string());
        self.0.push(':');
        self.0.push_str(json);
        self
    }

    fn data(&mut self, data: &Data) {
        match data {
            Data::Text(text) => self.field("data", text),
            Data::Binary(bytes) => self.field("data_b64", BASE64.encode(bytes)),
        };
    }

    fn rest(&mut self, rest: &Map<String, Value>) -> &mut Self {
        for (name, value) in rest {
            self.field(name, value);
        }
        self
    }

    fn close(mut self) -> String {
        self.0.push('}');
        self.0
    }
}
