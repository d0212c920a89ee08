//! Instructions for a connector: the `do` lines of its bridge.

mod error;

pub use error::ControlError;
pub(crate) use error::show_id;

use crate::config::DEFAULT_TENANT;
use relayline_core::id::Id;
use relayline_core::secret::Secret;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// An instruction for a connector. As JSON it is one object, the same on the bridge of `relayline connector`, in its
/// scripts and, as [`Act`], in Rust:
///
/// | `do` | fields (`?` may be left out) | effect |
/// |---|---|---|
/// | `inbound` | `event`, `buffered`? | Delivers an event: live to a connected gateway that is not idle, else through its buffer. `true` uses the buffer, `false` fails unless it can be live. |
/// | `passthrough` | `forward`, `buffered`? | Delivers a forwarded platform request in the same way. |
/// | `interrupt` | `session_key`, `chat_id`? | Sends an `interrupt_inbound`. |
/// | `drop` | | Cuts the TCP connection, without a close frame. |
/// | `half_open` | | Reads and writes nothing more on the open connection, and leaves it open: pings get no answer. The next dial is served. |
/// | `close` | `code`? (1000), `reason`? ("") | Closes the connection. |
/// | `revoke` | `on`? (true) | Closes the open connection with 4401 `unauthorized`, and refuses every further dial: with 4401 `revoked` or 401, by [`ConnectorConfig::upgrade_refusal`](crate::ConnectorConfig::upgrade_refusal). `false` admits the gateway again. |
/// | `expire` | | Closes the open connection with 4401 `expired`. Without one it refuses the next dial so, or with 401. Once. |
/// | `mute` | `on`? (true) | Accepts upgrades and stays silent. |
/// | `idle_ack` | `on` | `false` withholds the `going_idle_ack`: the connection stays live. |
/// | `answer` | `op`, `result` | Gives this result to the op from now on; `null` restores the usual one. |
/// | `delay` | `op`, `ms` | Delays the results of the op from now on; 0 restores. |
/// | `descriptor` | `descriptor`, `platform`? | Answers the next `hello` for that platform, and those after it, with this object. `platform` is needed only if the object does not name one. |
/// | `raw` | `text` | Sends the text as one text message. A frame needs its own newline. |
/// | `enroll_token` | `token`, `tenant`? (`default`), `ttl_s`? | Lets a gateway of that tenant enroll with the token, once and within `ttl_s` seconds. Takes no `gateway`. |
/// | `rotate` | `overlap_ms`? (60000), `secret`?, `delivery_key`? | Replaces the credentials; those that are not given are drawn. The gateway gets them when it provisions next. The old secrets stay valid for the overlap; webhook requests are signed with the new key at once. |
/// | `deliver` | `event` or `interrupt`, `url`?, `key`?, `skew_s`? (0) | Signs a webhook request and posts it to the endpoint that the gateway gave when it provisioned, or to `url`; an `interrupt` goes to `/interrupt` below it. `key` and `skew_s` sign it with another key, or for another time. |
/// | `press` | `option_id`, `prompt_id`?, `chat_id`?, `user_id`?, `user_name`?, `buffered`?, `stays_open`? | Answers an open prompt as a user of its platform does: the prompt with `prompt_id`, else the last one of `chat_id`, or of all chats. `option_id` is the option's id, label or number, from 1. The user is by default the last author of that chat. With `stays_open` the buttons stay. |
///
/// Each but `enroll_token` may have a `gateway`. Without it `inbound`, `passthrough` and `deliver` need the connector to
/// have one gateway only; the others are for every gateway.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Control {
    /// Id of the gateway. `None` means every gateway, or the only one.
    pub gateway: Option<String>,
    /// The instruction.
    pub act: Act,
}

/// Action of an instruction.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum Act {
    /// Deliver an event.
    Inbound {
        /// The event.
        event: Map<String, Value>,
        /// `true` delivers through the buffer, `false` live only. `None` delivers live if possible, else through the
        /// buffer.
        #[serde(default)]
        buffered: Option<bool>,
    },
    /// Deliver a forwarded platform request.
    Passthrough {
        /// The forward.
        forward: Map<String, Value>,
        /// As for `Inbound`.
        #[serde(default)]
        buffered: Option<bool>,
    },
    /// Interrupt a session.
    Interrupt {
        /// Key of the session.
        session_key: String,
        /// Id of the chat, if it is known.
        #[serde(default)]
        chat_id: String,
    },
    /// Cut the TCP connection, without a close frame.
    Drop,
    /// Read and write nothing more on the open connection, and leave it open.
    HalfOpen,
    /// Close the connection.
    Close {
        /// WebSocket close code.
        #[serde(default = "normal_closure")]
        code: u16,
        /// Close reason, at most 123 bytes.
        #[serde(default)]
        reason: String,
    },
    /// Revoke the gateway: close the connection with 4401 `unauthorized`, and refuse every further dial.
    Revoke {
        /// `false` admits the gateway again.
        #[serde(default = "yes")]
        on: bool,
    },
    /// Treat the token as expired, once: close the connection with 4401 `expired`, or refuse the next dial.
    Expire,
    /// Accept upgrades and stay silent.
    Mute {
        /// `false` ends the silence.
        #[serde(default = "yes")]
        on: bool,
    },
    /// Acknowledge `going_idle`, or withhold the acknowledgement.
    IdleAck {
        /// `false` withholds it.
        on: bool,
    },
    /// Set the result of an op from now on.
    Answer {
        /// Name of the op.
        op: String,
        /// Value of `result`. Null restores the usual results.
        result: Value,
    },
    /// Delay the results of an op from now on.
    Delay {
        /// Name of the op.
        op: String,
        /// Delay in milliseconds. 0 removes the delay.
        ms: u64,
    },
    /// Set the descriptor that answers further `hello` frames.
    Descriptor {
        /// The descriptor, sent unchanged.
        descriptor: Map<String, Value>,
        /// Its platform. Required only if the descriptor does not name one.
        #[serde(default)]
        platform: Option<String>,
    },
    /// Send a text unchanged, as one text message.
    Raw {
        /// The text. A frame needs its own newline.
        text: String,
    },
    /// Let a gateway enroll with a token, once.
    EnrollToken {
        /// The token.
        #[serde(deserialize_with = "secret")]
        #[cfg_attr(test, schemars(with = "String", regex(pattern = r"\S")))]
        token: Secret,
        /// Tenant of the token.
        #[serde(default = "default_tenant")]
        tenant: String,
        /// Time in seconds after which the token expires. Without it the token does not expire.
        #[serde(default)]
        ttl_s: Option<u64>,
    },
    /// Replace the gateway's credentials.
    Rotate {
        /// Time in milliseconds for which the old secrets stay valid.
        #[serde(default = "a_minute")]
        overlap_ms: u64,
        /// The new secret. Without it one is drawn.
        #[serde(default, deserialize_with = "optional_secret")]
        #[cfg_attr(test, schemars(with = "String", regex(pattern = r"\S")))]
        secret: Option<Secret>,
        /// The new delivery key. Without it one is drawn.
        #[serde(default, deserialize_with = "optional_secret")]
        #[cfg_attr(test, schemars(with = "String", regex(pattern = r"\S")))]
        delivery_key: Option<Secret>,
    },
    /// Post a signed webhook request to the gateway's endpoint.
    Deliver(Webhook),
    /// Answer an open prompt, as a user would.
    Press(Press),
}

/// A press of a button of a prompt.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Press {
    /// The option: its id, its label, or its number, from 1.
    #[serde(deserialize_with = "text_or_number")]
    #[cfg_attr(test, schemars(schema_with = "text_or_number_schema"))]
    pub option_id: String,
    /// Id of the prompt. Default: the last open prompt.
    #[serde(default)]
    pub prompt_id: Option<String>,
    /// Chat of the prompt. Default: any chat.
    #[serde(default)]
    pub chat_id: Option<String>,
    /// Id of the user. Default: that of the chat's last author.
    #[serde(default)]
    pub user_id: Option<String>,
    /// Name of the user.
    #[serde(default)]
    pub user_name: Option<String>,
    /// As for `Inbound`.
    #[serde(default)]
    pub buffered: Option<bool>,
    /// True if the buttons stay, so that another user can press one. Default: the prompt is closed.
    #[serde(default)]
    pub stays_open: bool,
}

impl Press {
    /// Creates a press of an option of the prompt that was asked last.
    pub fn new(option_id: impl Into<Id>) -> Self {
        Press { option_id: option_id.into().into(), ..Press::default() }
    }

    /// Sets `prompt_id`.
    #[must_use]
    pub fn prompt_id(mut self, prompt_id: impl Into<Id>) -> Self {
        self.prompt_id = Some(prompt_id.into().into());
        self
    }

    /// Sets `chat_id`.
    #[must_use]
    pub fn chat_id(mut self, chat_id: impl Into<Id>) -> Self {
        self.chat_id = Some(chat_id.into().into());
        self
    }

    /// Sets `user_id`.
    #[must_use]
    pub fn user_id(mut self, user_id: impl Into<Id>) -> Self {
        self.user_id = Some(user_id.into().into());
        self
    }

    /// Sets `user_name`.
    #[must_use]
    pub fn user_name(mut self, user_name: impl Into<String>) -> Self {
        self.user_name = Some(user_name.into());
        self
    }

    /// Sets `stays_open`.
    #[must_use]
    pub fn stays_open(mut self, stays_open: bool) -> Self {
        self.stays_open = stays_open;
        self
    }

    /// Sets `buffered`.
    #[must_use]
    pub fn buffered(mut self, buffered: bool) -> Self {
        self.buffered = Some(buffered);
        self
    }
}

/// A signed webhook request with either an event or an interrupt.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Webhook {
    /// The event.
    #[serde(default)]
    pub event: Option<Map<String, Value>>,
    /// Fields of an interrupt, such as `session_key`.
    #[serde(default)]
    pub interrupt: Option<Map<String, Value>>,
    /// URL to post to. Default: the endpoint that the gateway gave when it provisioned.
    #[serde(default)]
    pub url: Option<String>,
    /// Key to sign with. Default: the gateway's delivery key.
    #[serde(default, deserialize_with = "optional_secret")]
    #[cfg_attr(test, schemars(with = "String", regex(pattern = r"\S")))]
    pub key: Option<Secret>,
    /// Offset of the signature's time from the clock, in seconds.
    #[serde(default)]
    pub skew_s: i64,
}

impl Webhook {
    /// Creates the delivery of an event.
    pub fn event(event: Map<String, Value>) -> Self {
        Webhook { event: Some(event), ..Webhook::default() }
    }

    /// Creates the delivery of an interrupt.
    pub fn interrupt(interrupt: Map<String, Value>) -> Self {
        Webhook { interrupt: Some(interrupt), ..Webhook::default() }
    }

    /// Sets `url`.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Sets `key`.
    #[must_use]
    pub fn key(mut self, key: impl Into<Secret>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets `skew_s`.
    #[must_use]
    pub fn skew_s(mut self, skew_s: i64) -> Self {
        self.skew_s = skew_s;
        self
    }
}

fn normal_closure() -> u16 {
    1000
}

fn yes() -> bool {
    true
}

fn default_tenant() -> String {
    DEFAULT_TENANT.to_owned()
}

fn a_minute() -> u64 {
    60_000
}

fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(D::Error::custom(format!("`option_id` must be a text or a number, not {other}"))),
    }
}

#[cfg(test)]
fn text_or_number_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": ["string", "number"]})
}

/// The error quotes no value, because the value may be a secret (C-4).
fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) if !text.trim().is_empty() => Ok(Secret::new(text)),
        _ => Err(D::Error::custom("a token, secret or key must be a string that is not blank")),
    }
}

fn optional_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    secret(deserializer).map(Some)
}

impl Act {
    /// Returns the instruction for one gateway.
    pub fn on(self, gateway: &str) -> Control {
        Control { gateway: Some(gateway.to_owned()), act: self }
    }

    /// Returns true if the act is for gateways. All but one are.
    pub(crate) fn is_about_gateways(&self) -> bool {
        !matches!(self, Act::EnrollToken { .. })
    }

    /// Returns true for the acts without fields: serde accepts any field for those.
    fn is_bare(&self) -> bool {
        match self {
            Act::Drop | Act::HalfOpen | Act::Expire => true,
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
            | Act::Raw { .. }
            | Act::EnrollToken { .. }
            | Act::Rotate { .. }
            | Act::Deliver(_)
            | Act::Press(_) => false,
        }
    }
}

impl From<Act> for Control {
    /// Returns the instruction for every gateway, or the only one.
    fn from(act: Act) -> Self {
        Control { gateway: None, act }
    }
}

impl Control {
    /// Parses a line of the bridge.
    ///
    /// # Errors
    /// Fails with [`ControlError::Unreadable`], which says what is wrong with the line.
    pub fn parse(line: &str) -> Result<Self, ControlError> {
        Control::from_fields(read_object(line)?)
    }

    /// Reads an instruction from a JSON object.
    ///
    /// # Errors
    /// Fails as [`parse`](Self::parse) does.
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

/// Parses a line as a JSON object. The error gives the column alone: the caller knows the line.
pub(crate) fn read_object(line: &str) -> Result<Map<String, Value>, ControlError> {
    serde_json::from_str(line).map_err(|error| {
        let (column, text) = (error.column(), error.to_string());
        let reason = text.split(" at line ").next().unwrap_or_default();
        ControlError::Unreadable(format!(
            "not a JSON object, like {{\"do\":\"drop\"}}: {reason} at column {column}"
        ))
    })
}

/// Authors of scripts do not know serde's word "variant" for a value of `do`.
fn name_the_tag(error: &str) -> String {
    error.replacen("unknown variant", "unknown `do`", 1)
}
