//! The last frames between gateway and connector, bounded.

use relayline_connector::{ClosedBy, Observation};
use serde::Serialize;
use serde_json::Value;
use std::collections::VecDeque;

/// Maximum number of frames that are kept.
const MAX_FRAMES: usize = 200;
/// Maximum number of bytes of a frame that are kept.
const MAX_BYTES: usize = 4 << 10;
/// Maximum number of characters of a summary.
const MAX_GIST: usize = 120;

/// A frame, or the begin or end of a connection.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct FrameRow {
    pub(crate) number: u64,
    /// Time in Unix milliseconds.
    pub(crate) at: u64,
    /// `up` from the gateway, `down` to it, and `link` for what is about the connection.
    pub(crate) direction: &'static str,
    #[serde(rename = "type")]
    pub(crate) frame_type: String,
    pub(crate) gist: String,
    /// The frame as JSON, cut.
    pub(crate) json: String,
}

/// The last frames, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    rows: VecDeque<FrameRow>,
    count: u64,
}

impl Frames {
    pub(crate) fn all(&self) -> &VecDeque<FrameRow> {
        &self.rows
    }

    /// Adds what an observation says, and returns the row.
    pub(crate) fn add(&mut self, at: u64, seen: &Observation) -> Option<FrameRow> {
        let (direction, frame_type, gist, json) = match seen {
            Observation::Frame { frame, .. } => ("up", type_of(frame), gist(frame), cut(&frame.to_string())),
            Observation::Sent { frame, .. } => ("down", type_of(frame), gist(frame), cut(&frame.to_string())),
            Observation::Dial { dial, error, .. } => {
                let how = error.map_or("accepted".to_owned(), |error| format!("refused: {error}"));
                ("link", "dial".to_owned(), format!("dial {dial}, {how}"), String::new())
            }
            Observation::Closed { code, reason, by, .. } => {
                let code = code.map_or("without a close frame".to_owned(), |code| code.to_string());
                let by = match by {
                    ClosedBy::Gateway => "by the gateway",
                    ClosedBy::Connector => "by the connector",
                    _ => "lost",
                };
                let text = format!("{code} {reason}");
                ("link", "closed".to_owned(), shorten(&format!("{} ({by})", text.trim_end())), String::new())
            }
            _ => return None,
        };
        self.count += 1;
        let row = FrameRow { number: self.count, at, direction, frame_type, gist, json };
        if self.rows.len() >= MAX_FRAMES {
            self.rows.pop_front();
        }
        self.rows.push_back(row.clone());
        Some(row)
    }
}

fn type_of(frame: &Value) -> String {
    shorten(frame["type"].as_str().unwrap_or("unknown"))
}

/// Returns the essence of a frame in one line.
fn gist(frame: &Value) -> String {
    let of = |value: &Value, names: &[&str]| {
        let texts = names.iter().filter_map(|name| match &value[*name] {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
        texts.map(|text| shorten(&text)).collect::<Vec<_>>().join(" · ")
    };
    let text = match frame["type"].as_str() {
        Some("outbound") => of(&frame["action"], &["op", "emoji", "thread_name", "filename", "content"]),
        Some("outbound_result") => match frame["result"]["success"] == true {
            true => of(&frame["result"], &["message_id", "thread_id"]),
            false => format!("refused: {}", of(&frame["result"], &["error"])),
        },
        Some("inbound") => {
            let author = of(&frame["event"]["source"], &["user_name"]);
            format!("{author}: {}", of(&frame["event"], &["text"]))
        }
        Some("descriptor") => of(&frame["descriptor"], &["platform"]),
        Some("passthrough_forward") => of(&frame["forward"], &["platform", "path"]),
        _ => of(frame, &["platform", "botId", "bufferId", "session_key"]),
    };
    shorten(&text)
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_GIST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn cut(json: &str) -> String {
    let end = json.floor_char_boundary(MAX_BYTES);
    let left_out = json.len() - end;
    let mut short = json[..end].to_owned();
    if left_out > 0 {
        short += &format!("… and {left_out} bytes");
    }
    short
}
