//! What the recorded host did, as commands: out of its calls, or out of the gateway's frames where only the wire was
//! recorded.

use super::session::{Dial, Session};
use crate::recording::Recording;
use relayline_core::command::{ChatInfo, Command, FollowUp, Interrupt, Metadata, Send};
use serde_json::{Map, Value};

/// A call of the host.
#[derive(Debug)]
pub(crate) enum Call {
    /// `connect`, `handshake`: our machine does both by itself.
    Wait,
    /// Something for the machine.
    Ask(Command),
    /// It only looks.
    Look(Look),
    /// A call that this version does not know.
    Unknown,
}

/// A call that only looks at state.
#[derive(Debug)]
pub(crate) enum Look {
    /// How long a text is, in the platform's unit.
    MessageLen(String),
    /// The longest message.
    MaxMessageLength,
    /// Whether the turn of this session was interrupted.
    Interrupted(String),
}

/// Reads a recorded call. The error says which argument is wrong.
pub(crate) fn call(name: &str, args: &Map<String, Value>) -> Result<Call, String> {
    let required = |name: &str| match args.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) | None => Err(format!("`args.{name}` must be a string")),
    };
    let optional = |name: &str| match args.get(name) {
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Null) | None => Ok(None),
        Some(_) => Err(format!("`args.{name}` must be a string or null")),
    };
    let metadata = || match args.get("metadata") {
        Some(Value::Object(metadata)) => Ok(metadata.clone()),
        Some(Value::Null) | None => Ok(Metadata::new()),
        Some(_) => Err("`args.metadata` must be an object or null".to_owned()),
    };
    let command = match name {
        "connect" | "handshake" => return Ok(Call::Wait),
        "message_len" => return Ok(Call::Look(Look::MessageLen(required("text")?))),
        "max_message_length" => return Ok(Call::Look(Look::MaxMessageLength)),
        "interrupted" => return Ok(Call::Look(Look::Interrupted(required("session_key")?))),
        "disconnect" => Command::Disconnect,
        "go_idle" => Command::GoIdle,
        "go_dormant" => Command::GoDormant,
        "send" => Command::Send(Send {
            chat_id: required("chat_id")?,
            content: required("content")?,
            reply_to: optional("reply_to")?,
            metadata: metadata()?,
            platform: optional("platform")?,
        }),
        "send_follow_up" => Command::FollowUp(FollowUp {
            session_key: required("session_key")?,
            kind: required("kind")?,
            content: required("content")?,
            metadata: metadata()?,
        }),
        "send_outbound" => match args.get("action") {
            Some(Value::Object(action)) => Command::Raw(action.clone()),
            Some(_) | None => return Err("`args.action` must be an object".to_owned()),
        },
        "send_interrupt" => Command::Interrupt(Interrupt {
            session_key: required("session_key")?,
            reason: optional("reason")?,
        }),
        "get_chat_info" => {
            Command::ChatInfo(ChatInfo { chat_id: required("chat_id")?, platform: optional("platform")? })
        }
        _ => return Ok(Call::Unknown),
    };
    Ok(Call::Ask(command))
}

/// What a frame of the gateway says that its host asked for; `None` for frames that a gateway writes by itself.
/// `at` is the frame's place among those of its dial.
pub(crate) fn implied(recording: &Recording, session: &Session, dial: usize, at: usize) -> Option<Command> {
    let frame = &session.dials[dial].wrote[at];
    match frame.kind() {
        "outbound" => Some(Command::Raw(frame.value["action"].as_object().cloned().unwrap_or_default())),
        "interrupt" => Some(Command::Interrupt(Interrupt {
            session_key: frame.value["session_key"].as_str().unwrap_or_default().to_owned(),
            reason: frame.value["reason"].as_str().map(str::to_owned),
        })),
        "going_idle" => Some(match why_idle(recording, session, dial, at) {
            Purpose::Disconnect => Command::Disconnect,
            Purpose::Dormant => Command::GoDormant,
            Purpose::Idle => Command::GoIdle,
        }),
        _ => None,
    }
}

/// What a `going_idle` was for. The frame does not say; what follows does.
enum Purpose {
    Disconnect,
    Dormant,
    Idle,
}

/// Within this time the close follows the `going_idle` that led to it: a disconnect's budget (L-14).
const LEADS_TO_A_CLOSE_MS: u64 = 5000;

fn why_idle(recording: &Recording, session: &Session, dial: usize, at: usize) -> Purpose {
    let t_ms = |line: usize| recording.lines[line].t_ms;
    let Dial { wrote, .. } = &session.dials[dial];
    // Who is about to close asks for nothing more; acknowledgements still go out.
    let is_last = wrote[at + 1..].iter().all(|frame| frame.kind() == "inbound_ack");
    let asked = t_ms(wrote[at].line);
    match session.dials[dial].closed_by_gateway() {
        Some((close, _)) if is_last && t_ms(close).saturating_sub(asked) <= LEADS_TO_A_CLOSE_MS => {
            match session.dials.get(dial + 1) {
                None => Purpose::Disconnect,
                // L-13: a dormant gateway waits a second at least; a resumed one dials at once (L-12).
                Some(next) if t_ms(next.line).saturating_sub(t_ms(close)) >= 1000 => Purpose::Dormant,
                Some(_) => Purpose::Idle,
            }
        }
        Some(_) | None => Purpose::Idle,
    }
}
