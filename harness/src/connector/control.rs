//! What a connector can be told: the `do` lines of its bridge. The table is in the module's documentation.

use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

/// One instruction, and which gateway it is about.
#[derive(Clone, PartialEq, Debug)]
pub struct Control {
    /// The gateway that is meant; without one all of them, or the only one.
    pub gateway: Option<String>,
    /// What to do.
    pub act: Act,
}

/// What to do.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// Deliver an event.
    Inbound {
        /// The event (E).
        event: Map<String, Value>,
        /// Through the buffer (`true`), live (`false`), or as things stand (`None`).
        #[serde(default)]
        buffered: Option<bool>,
    },
    /// Deliver a forwarded platform request.
    Passthrough {
        /// The forward (P).
        forward: Map<String, Value>,
        /// As for `Inbound`.
        #[serde(default)]
        buffered: Option<bool>,
    },
    /// Interrupt a session (L-16).
    Interrupt {
        /// The session's key (S).
        session_key: String,
        /// The chat, when it is known.
        #[serde(default)]
        chat_id: String,
    },
    /// Cut the TCP connection, without a close frame.
    Drop,
    /// Close the connection.
    Close {
        /// The WebSocket close code.
        #[serde(default = "normal_closure")]
        code: u16,
        /// The reason, at most 123 bytes.
        #[serde(default)]
        reason: String,
    },
    /// Let the gateway in no more: 4401 `unauthorized` now, 401 from now on.
    Revoke {
        /// `false` takes it back.
        #[serde(default = "yes")]
        on: bool,
    },
    /// Treat the token as expired, once: 4401 `expired` now, or 401 at the next dial.
    Expire,
    /// Accept upgrades and stay silent.
    Mute {
        /// `false` speaks again.
        #[serde(default = "yes")]
        on: bool,
    },
    /// Whether `going_idle` is acknowledged (L-12).
    IdleAck {
        /// `false` withholds it.
        on: bool,
    },
    /// The result to give for an op from now on.
    Answer {
        /// The op.
        op: String,
        /// Whatever should stand under `result`; null restores the usual answers.
        result: Value,
    },
    /// How much later the results of an op come from now on.
    Delay {
        /// The op.
        op: String,
        /// Milliseconds; 0 restores.
        ms: u64,
    },
    /// The descriptor to answer with from the next `hello` on.
    Descriptor {
        /// The object, sent as it is.
        descriptor: Map<String, Value>,
        /// Its platform, where the object does not name it.
        #[serde(default)]
        platform: Option<String>,
    },
    /// Send a text as it is, as one text message.
    Raw {
        /// The text.
        text: String,
    },
}

fn normal_closure() -> u16 {
    1000
}

fn yes() -> bool {
    true
}

impl Act {
    /// This act for one gateway.
    pub fn on(self, gateway: &str) -> Control {
        Control { gateway: Some(gateway.to_owned()), act: self }
    }

    /// The acts without fields: serde would let any field pass for those.
    fn is_bare(&self) -> bool {
        match self {
            Act::Drop | Act::Expire => true,
            Act::Inbound { .. }
            | Act::Passthrough { .. }
            | Act::Interrupt { .. }
            | Act::Close { .. }
            | Act::Revoke { .. }
            | Act::Mute { .. }
            | Act::IdleAck { .. }
            | Act::Answer { .. }
            | Act::Delay { .. }
            | Act::Descriptor { .. }
            | Act::Raw { .. } => false,
        }
    }
}

impl From<Act> for Control {
    /// For all gateways, or the only one.
    fn from(act: Act) -> Self {
        Control { gateway: None, act }
    }
}

impl Control {
    /// Reads one line of the bridge.
    pub fn parse(line: &str) -> Result<Self, ControlError> {
        Control::from_fields(read_object(line)?)
    }

    /// Reads a line that is parsed already.
    pub fn from_fields(mut fields: Map<String, Value>) -> Result<Self, ControlError> {
        let gateway = match fields.remove("gateway") {
            None | Some(Value::Null) => None,
            Some(Value::String(id)) => Some(id),
            Some(other) => {
                return Err(ControlError::Unreadable(format!(
                    "`gateway` must be a gateway's id, not {other}"
                )));
            }
        };
        if !fields.contains_key("do") {
            return Err(ControlError::Unreadable(
                "`do` is missing: it says what to do, {\"do\":\"drop\"} for one".into(),
            ));
        }
        let extra = fields.keys().find(|name| *name != "do").cloned();
        let act: Act = serde_json::from_value(Value::Object(fields))
            .map_err(|error| ControlError::Unreadable(name_the_tag(&error.to_string())))?;
        match extra {
            Some(name) if act.is_bare() => Err(ControlError::Unreadable(format!("unknown field `{name}`"))),
            Some(_) | None => Ok(Control { gateway, act }),
        }
    }
}

/// One line as a JSON object. The error gives the column alone: which line it was the caller knows better.
pub(crate) fn read_object(line: &str) -> Result<Map<String, Value>, ControlError> {
    serde_json::from_str(line).map_err(|error| {
        let (column, text) = (error.column(), error.to_string());
        let reason = text.split(" at line ").next().unwrap_or_default();
        ControlError::Unreadable(format!(
            "no JSON object, like {{\"do\":\"drop\"}}: {reason} at column {column}"
        ))
    })
}

/// `do` is the only field with variants; a script's author has not heard of those.
fn name_the_tag(error: &str) -> String {
    error.replacen("unknown variant", "unknown `do`", 1)
}

/// Why a connector did not do what it was told. Nothing of it was done then.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ControlError {
    /// The line is no instruction.
    #[error("{0}")]
    Unreadable(String),
    /// No gateway of that id.
    #[error("there is no gateway `{id}`: this connector knows {known}")]
    UnknownGateway {
        /// The id given.
        id: String,
        /// The ids there are.
        known: String,
    },
    /// A delivery goes to one gateway, and there are several.
    #[error("which gateway? Add \"gateway\": one of {known}")]
    WhichGateway {
        /// The ids there are.
        known: String,
    },
    /// It needs a connection, and there is none (or none after its handshake, for a delivery).
    #[error("{gateway} is not connected: expect its dial first{hint}")]
    NotConnected {
        /// Which gateway.
        gateway: String,
        /// What else would help.
        hint: &'static str,
    },
    /// The gateway's buffer is full.
    #[error(
        "the buffer of {gateway} is full ({entries} entries, {bytes} bytes): it drains as the gateway acknowledges"
    )]
    BufferFull {
        /// Which gateway.
        gateway: String,
        /// Entries in it.
        entries: usize,
        /// Bytes in it.
        bytes: usize,
    },
    /// No such code may stand in a close frame.
    #[error("{0} cannot be sent as a close code: take 1000-1003, 1007-1014 or 3000-4999")]
    CloseCode(u16),
    /// A close frame has room for so much.
    #[error("the reason has {0} bytes, a close frame has room for 123")]
    CloseReason(usize),
    /// Nobody says for which platform the descriptor is.
    #[error("the descriptor has no string `platform`: add \"platform\" beside it")]
    WhichPlatform,
    /// The table of answers, delays or descriptors is full.
    #[error("{0} different names are set already: restore one first")]
    TooMany(usize),
}
