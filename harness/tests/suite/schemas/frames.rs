//! Every frame of the wire, as JSON Schema describes it. A field that may be left out may be null. A field that a rule
//! reads in any type has no type here.
#![allow(dead_code, clippy::large_enum_variant)] // Only the shape of these types is used.

use relayline_core::op::{OPS, Returns};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A frame of the relay protocol: one JSON object per line. Further fields and further types of frames are allowed
/// everywhere: the protocol grows by both.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(crate) enum Frame {
    FromGateway(FromGateway),
    FromConnector(FromConnector),
}

/// Frames that a gateway writes.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
pub(crate) enum FromGateway {
    /// Identity of the gateway on one platform. A connection begins with one for each identity (L-3).
    Hello(Hello),
    /// A request, which gets exactly one result (O-1).
    Outbound(Outbound),
    /// Stops a session's turn.
    Interrupt(Interrupt),
    /// Asks the connector to deliver nothing live any more (L-12).
    GoingIdle {},
    /// Acknowledges a buffered entry: the connector may forget it.
    InboundAck(InboundAck),
}

/// Frames that a connector writes.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
pub(crate) enum FromConnector {
    /// Capabilities of a platform. One per hello; the first completes the handshake (D-8).
    Descriptor(Descriptor),
    /// A message (E).
    Inbound(Inbound),
    /// The answer to an `outbound` (O-2).
    OutboundResult(OutboundResult),
    /// Stops the turn of exactly this session (L-16).
    InterruptInbound(InterruptInbound),
    /// A platform's HTTP request (P).
    PassthroughForward(PassthroughForward),
    /// Confirms that the connector delivers nothing live any more (L-12).
    GoingIdleAck {},
    /// An error. It is logged, and quoted if a dial then fails.
    Error(ErrorFrame),
}

/// An id: a string, or an integer, which counts as its literal (W-8).
pub(crate) struct Id;

impl JsonSchema for Id {
    fn schema_name() -> Cow<'static, str> {
        "Id".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An id: a string, or an integer, which counts as its literal (W-8).",
            "type": ["string", "integer"],
        })
    }
}

/// An id, or null. The key is always present.
pub(crate) struct NullableId;

impl JsonSchema for NullableId {
    fn schema_name() -> Cow<'static, str> {
        "NullableId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer", "null"] })
    }
}

/// A text, or null. The key is always present.
pub(crate) struct NullableText;

impl JsonSchema for NullableText {
    fn schema_name() -> Cow<'static, str> {
        "NullableText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "null"] })
    }
}

/// A whole number, in any spelling (D-3).
pub(crate) struct Whole;

impl JsonSchema for Whole {
    fn schema_name() -> Cow<'static, str> {
        "Whole".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A whole number, also written as 2000.0, 2e3 or \"2000\" (D-3).",
            "type": ["number", "string"],
        })
    }
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(crate) struct Hello {
    platform: String,
    /// Id of the bot; may be empty.
    bot_id: String,
    /// Commands that the host declares; for `discord` only.
    #[schemars(rename = "command_manifest")]
    command_manifest: Option<Vec<Map<String, Value>>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(crate) struct Outbound {
    request_id: String,
    action: Action,
    /// Platform that it is for (M-3).
    platform: Option<String>,
    /// Id of the gateway's bot there, unless it is empty.
    bot_id: Option<String>,
}

/// An action, identified by its `op`. Further ops are allowed, with fields of their own.
pub(crate) struct Action;

impl JsonSchema for Action {
    fn schema_name() -> Cow<'static, str> {
        "Action".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let ops = OPS.iter().filter(|op| op.returns != Returns::Raw);
        let branches: Vec<Value> = ops.map(relayline_schema::written).collect();
        json_schema!({
            "description": "An action, identified by its `op`. Further ops are allowed, with fields of their own (X-3).",
            "oneOf": branches,
        })
    }
}

/// Id of a prompt or of an option (I-1).
pub(crate) struct PromptId;

impl JsonSchema for PromptId {
    fn schema_name() -> Cow<'static, str> {
        "PromptId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Id of a prompt or of an option (I-1).",
            "type": "string",
            "pattern": "^[A-Za-z0-9_.-]{1,32}$",
        })
    }
}

#[derive(JsonSchema)]
pub(crate) struct Interrupt {
    session_key: String,
    /// Reason. The key is always present.
    reason: NullableText,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(crate) struct InboundAck {
    buffer_id: String,
}

#[derive(JsonSchema)]
pub(crate) struct Descriptor {
    descriptor: Capabilities,
}

/// Capabilities of a platform (D).
#[derive(JsonSchema)]
pub(crate) struct Capabilities {
    /// Version of the contract; at least 1.
    contract_version: Whole,
    platform: String,
    label: String,
    /// Maximum length of a message, in `len_unit`. A value that is not a whole number above zero reads as 4096 (D-3).
    max_message_length: Value,
    supports_draft_streaming: bool,
    supports_edit: bool,
    supports_threads: bool,
    /// Empty or `plain` means no code blocks (D-5).
    markdown_dialect: String,
    /// `chars` or `utf16`; anything else counts as `chars` (D-4).
    len_unit: Value,
    emoji: Option<String>,
    platform_hint: Option<String>,
    pii_safe: Option<bool>,
    supports_context: Option<bool>,
    supports_inchannel_continuable: Option<bool>,
    supports_block_formatting: Option<bool>,
    /// Names of ops. Other values are ignored (D-6).
    supported_ops: Option<Value>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(crate) struct Inbound {
    event: Event,
    /// Entry of the connector's buffer, to be acknowledged.
    buffer_id: Option<Id>,
}

/// A message, and its origin (E).
#[derive(JsonSchema)]
pub(crate) struct Event {
    text: Option<String>,
    /// `text`, `location`, `photo`, `image`, `video`, `audio`, `voice`, `document`, `sticker`, `command`; others read as
    /// text (E-2).
    message_type: Option<String>,
    message_id: Option<Id>,
    reply_to_message_id: Option<Id>,
    source: Option<Source>,
    reply_to: Option<ReplyTo>,
    prompt_response: Option<PromptResponse>,
    media_urls: Option<Vec<String>>,
    /// Details of the entries of `media_urls`, paired by URL (E-7).
    media: Option<Vec<Media>>,
    /// Surrounding messages, the oldest first: an array of objects with `text` and a `source` of `user_name` and
    /// `user_id`. Other items are ignored (E-6).
    context: Option<Value>,
    context_error: Option<bool>,
}

#[derive(JsonSchema)]
pub(crate) struct Source {
    platform: Option<String>,
    chat_id: Option<Id>,
    /// `dm`, `group`, `channel`, `thread`, `forum` or another.
    chat_type: Option<String>,
    chat_name: Option<String>,
    user_id: Option<Id>,
    user_name: Option<String>,
    user_display_name: Option<String>,
    user_handle: Option<String>,
    thread_id: Option<Id>,
    chat_topic: Option<String>,
    user_id_alt: Option<Id>,
    chat_id_alt: Option<Id>,
    scope_id: Option<Id>,
    /// Older name of `scope_id` (E-5).
    guild_id: Option<Id>,
    parent_chat_id: Option<Id>,
    message_id: Option<Id>,
    profile: Option<String>,
    auto_thread_initial_name: Option<String>,
    prospective_thread_id: Option<Id>,
    auto_thread_created: Option<bool>,
    is_bot: Option<bool>,
    message_is_edit: Option<bool>,
    one_to_one_verified: Option<bool>,
}

#[derive(JsonSchema)]
pub(crate) struct ReplyTo {
    text: Option<String>,
    author: Option<String>,
    is_own: Option<bool>,
}

/// Answer to a prompt (E-8).
#[derive(JsonSchema)]
pub(crate) struct PromptResponse {
    prompt_id: String,
    option_id: String,
    label: Option<String>,
    prompt_message_id: Option<Id>,
}

#[derive(JsonSchema)]
pub(crate) struct Media {
    url: String,
    /// `image`, `voice`, `audio`, `video`, `document` or another.
    kind: Option<String>,
    mime: Option<String>,
    filename: Option<String>,
    caption: Option<String>,
    /// Size in bytes.
    size: Option<Whole>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(crate) struct OutboundResult {
    request_id: String,
    /// Absent reads as an empty object.
    result: Option<Outcome>,
}

/// Outcome of an `outbound` (O-2).
#[derive(JsonSchema)]
pub(crate) struct Outcome {
    /// Only true is success. The info of a chat needs none (O-5).
    success: Option<bool>,
    message_id: Option<Id>,
    error: Option<String>,
    /// `egress_declined` means a decline (O-7).
    code: Option<Id>,
    /// True if the action may have been carried out.
    ambiguous: Option<bool>,
    thread_id: Option<Id>,
    chat_info: Option<ChatInfo>,
    /// As in `chat_info`.
    name: Option<Id>,
    /// As in `chat_info`.
    r#type: Option<String>,
    auto_thread_name: Option<String>,
}

#[derive(JsonSchema)]
pub(crate) struct ChatInfo {
    name: Option<Id>,
    r#type: Option<String>,
}

#[derive(JsonSchema)]
pub(crate) struct InterruptInbound {
    session_key: Id,
    chat_id: Option<Id>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(crate) struct PassthroughForward {
    /// Forwarded request. A frame without one is a dead letter.
    forward: Option<Forward>,
    /// Entry of the connector's buffer, to be acknowledged.
    buffer_id: Option<Id>,
}

/// An HTTP request as the platform sent it (P).
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(crate) struct Forward {
    platform: Option<Id>,
    bot_id: Option<Id>,
    method: Option<Id>,
    path: Option<Id>,
    /// Pairs of name and value. Other items are ignored (P-1).
    headers: Option<Value>,
    /// Standard base64; anything else reads as empty (P-1).
    #[schemars(rename = "bodyB64")]
    body_b64: Option<Value>,
    profile: Option<String>,
}

/// The text of an error is its `error` (a string, or an object with `message`), else its `detail`, `message` or
/// `reason`.
#[derive(JsonSchema)]
pub(crate) struct ErrorFrame {
    error: Option<Value>,
    detail: Option<Value>,
    message: Option<Value>,
    reason: Option<Value>,
}
