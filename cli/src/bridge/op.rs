//! Ops: lines that the agent writes.

use super::media::UploadFile;
use super::op_deserializer::{self, OpDeserializer};
use super::parts::PartedText;
use super::prompt_request::{self, PromptRequest};
use relayline_core::chats::Chat;
use relayline_core::command::{Command, MAX_ID_BYTES};
use relayline_core::event::CompactString;
use relayline_core::json::{self, weight_of_fields};
use relayline_core::op::{
    COMMANDS, Definition, Field, InFrame, Kind, OPS, Op, SendMedia, SendMessage, definition, read_id,
};
use relayline_core::output::DeliveryId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// Fields that the bridge adds to ops.
pub(super) const EXTRA_FIELDS: [(&str, Field); 5] =
    [("send", SPLIT), ("reply", SPLIT), ("prompt", AS_TEXT), ("prompt", TO), ("send_media", PATH)];

const SPLIT: Field = extra("split", "Sends a long text in parts.", Kind::Flag);
const AS_TEXT: Field =
    extra("as_text", "Sends the question as plain text with numbered options.", Kind::Flag);
const TO: Field = extra("to", "Chat in which the question is shown, in place of `chat_id`.", Kind::Object);
const PATH: Field = extra("path", "Path of a file of this machine, in place of `source_url`.", Kind::Text);

const fn extra(name: &'static str, doc: &'static str, kind: Kind) -> Field {
    Field { name, doc, kind, required: false, in_frame: InFrame::Never }
}

/// Returns the fields that the bridge adds to an op.
pub(super) fn extra_fields(op: &str) -> impl Iterator<Item = Field> {
    EXTRA_FIELDS.iter().filter(move |(name, _)| *name == op).map(|(_, field)| *field)
}

/// Ops of the bridge itself. All other ops are those of [`definition`]. Fields that may be absent may be null.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(tag = "op"))]
pub(super) enum OwnOp {
    /// Remembers a chat, as after a restart (M-6).
    Prime {
        #[serde(deserialize_with = "id")]
        chat_id: String,
        platform: String,
        #[serde(default, deserialize_with = "optional_id")]
        scope_id: Option<String>,
        #[serde(default, deserialize_with = "optional_id")]
        user_id: Option<String>,
        #[serde(default)]
        profile: Option<String>,
        #[serde(default, deserialize_with = "optional_id")]
        parent_chat_id: Option<String>,
    },
    Ack {
        delivery: u64,
    },
    Refuse {
        delivery: u64,
    },
    GoIdle {},
    GoDormant {},
    Hold {
        /// Milliseconds; a minute, the maximum, by default.
        #[serde(default)]
        ms: Option<u64>,
    },
    Resume {},
    /// Fetches a file by its URL (H-7).
    Download {
        url: String,
        path: String,
    },
    /// Uploads a file to the connector (H-7).
    Upload {
        path: String,
        #[serde(default)]
        content_type: Option<String>,
        #[serde(default)]
        filename: Option<String>,
    },
    Split {
        #[serde(deserialize_with = "id")]
        chat_id: String,
        #[serde(alias = "text")]
        content: String,
    },
    Capabilities {
        #[serde(deserialize_with = "id")]
        chat_id: String,
    },
    /// Returns what is remembered of a chat (M-6).
    Chat {
        #[serde(deserialize_with = "id")]
        chat_id: String,
    },
    /// Returns the status of the gateway.
    Status {},
    Disconnect {},
}

/// Names of the bridge's own ops.
const OWN_OPS: [&str; 14] = [
    "upload",
    "download",
    "split",
    "capabilities",
    "chat",
    "prime",
    "ack",
    "refuse",
    "go_idle",
    "go_dormant",
    "hold",
    "resume",
    "status",
    "disconnect",
];

/// Returns the names of all ops.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    OPS.iter().chain(COMMANDS).map(|definition| definition.name).chain(OWN_OPS)
}

/// Fields of the bridge's own ops that hold ids.
const OWN_IDS: [&str; 4] = ["chat_id", "scope_id", "user_id", "parent_chat_id"];

/// Returns whether a field holds an id.
pub(super) fn is_id(name: &str) -> bool {
    let mut fields = OPS.iter().chain(COMMANDS).flat_map(|definition| definition.fields);
    OWN_IDS.contains(&name) || fields.any(|field| field.name == name && field.kind == Kind::Id)
}

/// Request of an op.
#[derive(Debug)]
pub(super) enum OpRequest {
    Command(Command),
    /// Question that may be shown in another chat.
    Prompt(Box<PromptRequest>),
    /// Text that is sent in parts.
    Parts(PartedText),
    /// File of this machine, which is uploaded first.
    SendFile {
        path: String,
        send: SendMedia,
    },
    Download {
        url: String,
        path: String,
    },
    Upload(UploadFile),
    Settle {
        delivery: u64,
        taken: bool,
    },
    Split {
        chat_id: String,
        content: String,
    },
    Capabilities {
        chat_id: String,
    },
    Chat {
        chat_id: String,
    },
    Prime {
        chat_id: String,
        chat: Chat,
    },
    Status,
    Disconnect,
}

impl OpRequest {
    /// Returns the chat whose order it keeps.
    pub(super) fn chat(&self) -> Option<&str> {
        match self {
            OpRequest::Command(command) => command.chat_id(),
            OpRequest::Prompt(prompt) => Some(prompt.chat_id()),
            OpRequest::Parts(PartedText::Send(SendMessage { chat_id, .. }))
            | OpRequest::Chat { chat_id }
            | OpRequest::Prime { chat_id, .. } => Some(chat_id),
            OpRequest::SendFile { send, .. } => Some(&send.chat_id),
            OpRequest::Parts(PartedText::Reply(_))
            | OpRequest::Download { .. }
            | OpRequest::Upload(_)
            | OpRequest::Settle { .. }
            | OpRequest::Split { .. }
            | OpRequest::Capabilities { .. }
            | OpRequest::Status
            | OpRequest::Disconnect => None,
        }
    }

    /// Returns the delivery that it names instead of a chat. It keeps the order of the delivery's chat.
    pub(super) fn delivery(&self) -> Option<DeliveryId> {
        match self {
            OpRequest::Command(Command::Reply(reply)) | OpRequest::Parts(PartedText::Reply(reply)) => {
                Some(reply.delivery)
            }
            OpRequest::Command(Command::Stream(stream)) => stream.delivery,
            OpRequest::Command(Command::Turn(turn)) => Some(turn.delivery),
            _ => None,
        }
    }

    /// Returns true if it needs the connection, so that it wakes a gateway that sleeps.
    pub(super) fn needs_connection(&self) -> bool {
        match self {
            OpRequest::Command(command) => !matches!(
                command,
                Command::GoIdle
                    | Command::GoDormant
                    | Command::Hold(_)
                    | Command::Resume
                    | Command::Disconnect
            ),
            OpRequest::Prompt(_)
            | OpRequest::Parts(_)
            | OpRequest::SendFile { .. }
            | OpRequest::Download { .. }
            | OpRequest::Upload(_) => true,
            OpRequest::Settle { .. }
            | OpRequest::Split { .. }
            | OpRequest::Capabilities { .. }
            | OpRequest::Chat { .. }
            | OpRequest::Status
            | OpRequest::Prime { .. }
            | OpRequest::Disconnect => false,
        }
    }

    /// Returns its size beyond its line, in bytes.
    fn own_weight(&self) -> usize {
        match self {
            OpRequest::Download { .. } | OpRequest::Upload(_) | OpRequest::SendFile { .. } => TRANSFER_BYTES,
            _ => 0,
        }
    }

    /// Returns true if it overtakes ops that wait for room.
    pub(super) fn overtakes(&self) -> bool {
        matches!(
            self,
            OpRequest::Settle { .. } | OpRequest::Disconnect | OpRequest::Command(Command::Interrupt(_))
        )
    }
}

/// Size of an op that transfers a file, in bytes.
const TRANSFER_BYTES: usize = 16 << 10;

/// Parsed line.
#[derive(Debug)]
pub(super) struct ParsedOp {
    /// Id for its result.
    pub(super) id: Option<Value>,
    /// Name of the op and its chat, as far as they can be read.
    pub(super) about: OpLabel,
    pub(super) asked: Result<OpRequest, String>,
    /// Approximate size in memory, in bytes.
    pub(super) weight: usize,
}

/// Name of an op and its chat, for logs.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpLabel {
    pub(super) op: String,
    pub(super) chat: String,
}

/// Maximum length of a name or chat in logs.
const MAX_LABEL: usize = 100;

impl OpLabel {
    /// Returns the label of a command.
    pub(crate) fn of_command(command: &Command) -> OpLabel {
        let mut label = OpLabel { op: command.name().to_owned(), chat: String::new() };
        label.name_chat(command.chat_id().unwrap_or_default());
        label
    }

    fn of(fields: &Map<String, Value>) -> OpLabel {
        let shown = |name: &str| match fields.get(name) {
            Some(Value::String(text)) => text.chars().take(MAX_LABEL).collect(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        OpLabel { op: shown("op"), chat: shown("chat_id") }
    }

    /// Sets the chat of an op that names none itself.
    pub(super) fn name_chat(&mut self, chat: &str) {
        if self.chat.is_empty() {
            self.chat = chat.chars().take(MAX_LABEL).collect();
        }
    }
}

/// Error of a line that cannot be parsed, with the fields that were found.
#[derive(Debug)]
pub(super) struct OpParseError {
    pub(super) message: String,
    /// Id for the result.
    pub(super) id: Option<Value>,
    pub(super) about: OpLabel,
}

impl OpParseError {
    /// Creates an error. Searches a complete object for its id; a truncated object has none.
    fn of(line: &[u8], message: String) -> OpParseError {
        let line = line.trim_ascii();
        let is_whole = line.starts_with(b"{") && line.ends_with(b"}");
        let names = ["id", "op", "chat_id"];
        let found = if is_whole { json::salvage(line, &names) } else { [None; 3] };
        let value = |raw: Option<&str>| serde_json::from_str::<Value>(raw?).ok();
        let [id, op, chat] = found.map(value);
        let fields = [("op", op), ("chat_id", chat)].into_iter();
        let fields = fields.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        let id = id.filter(|id| id_length(id) <= MAX_ID_BYTES && !is_rounded(id));
        OpParseError { message, id, about: OpLabel::of(&fields) }
    }
}

/// Parses a line.
pub(super) fn read(line: &[u8]) -> Result<ParsedOp, OpParseError> {
    let unread = |message: String| OpParseError::of(line, message);
    let text = std::str::from_utf8(line).map_err(|_| unread("it is not UTF-8".to_owned()))?;
    let value = json::parse(text).map_err(|error| match error.classify() {
        Category::Data => unread(error.to_string()),
        Category::Syntax | Category::Eof | Category::Io => unread(format!("it is not valid JSON: {error}")),
    })?;
    let Value::Object(mut fields) = value else {
        return Err(unread("it is not a JSON object: write {\"op\":\"send\",…}".to_owned()));
    };
    keep_long_ids(text, &mut fields);
    let weight = weight_of_fields(&fields);
    let id = fields.remove("id").filter(|id| !id.is_null());
    if let Some(length) = id.as_ref().map(id_length).filter(|length| *length > MAX_ID_BYTES) {
        // An id of this length could not be repeated in a result.
        return Err(unread(format!("`id` is {length} bytes long: {MAX_ID_BYTES} at most")));
    }
    if id.as_ref().is_some_and(is_rounded) {
        let message =
            "`id` holds a number beyond 64 bits, which its result could not repeat: write it as a string";
        return Err(unread(message.to_owned()));
    }
    let (about, asked) = (OpLabel::of(&fields), parse_request(fields));
    let weight = weight + asked.as_ref().map_or(0, OpRequest::own_weight);
    Ok(ParsedOp { id, about, asked, weight })
}

/// Returns true if a value contains a number that was too large to be kept exactly.
fn is_rounded(value: &Value) -> bool {
    // 2^63. Smaller integers are kept, and so are integers of 64 bits.
    const LARGE: f64 = 9_223_372_036_854_775_808.0;
    match value {
        Value::Number(number) => number.is_f64() && number.as_f64().is_some_and(|float| float.abs() >= LARGE),
        Value::Array(items) => items.iter().any(is_rounded),
        Value::Object(fields) => fields.values().any(is_rounded),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// Returns the length of an op's id: of its text, or of its JSON for another type.
fn id_length(id: &Value) -> usize {
    id.as_str().map_or_else(|| id.to_string().len(), str::len)
}

/// Replaces rounded ids by their literals: an integer of any length is valid as an id (W-8).
fn keep_long_ids(text: &str, fields: &mut Map<String, Value>) {
    if let Some(Value::Object(chat)) = fields.get_mut(TO.name)
        && let Ok(WithChat { to: Some(text) }) = serde_json::from_str(text)
    {
        keep_long_ids(text.get(), chat);
    }
    let is_rounded = |name: &str| fields.get(name).and_then(Value::as_number).is_some_and(Number::is_f64);
    let rounded: Vec<String> =
        fields.keys().filter(|name| is_rounded(name) && is_id(name)).cloned().collect();
    if rounded.is_empty() {
        return;
    }
    let literals: BTreeMap<String, &RawValue> = serde_json::from_str(text).unwrap_or_default();
    for name in rounded {
        let is_integer = |raw: &&str| raw.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        if let Some(literal) = literals.get(&name).map(|raw| raw.get()).filter(is_integer) {
            fields.insert(name, literal.into());
        }
    }
}

/// Text of the chat in an op.
#[derive(Deserialize)]
struct WithChat<'a> {
    #[serde(borrow)]
    to: Option<&'a RawValue>,
}

fn parse_request(mut fields: Map<String, Value>) -> Result<OpRequest, String> {
    let name = fields.remove("op").ok_or_else(|| "it has no `op`".to_owned())?;
    if let Value::String(name) = &name {
        if let Some(definition) = definition(name) {
            return parse_protocol_op(definition, fields);
        }
        if !OWN_OPS.contains(&name.as_str()) {
            let known: Vec<String> = names().map(|name| format!("`{name}`")).collect();
            return Err(format!("unknown op `{name:.100}`, expected one of {}", known.join(", ")));
        }
    }
    let op = OwnOp::deserialize(OpDeserializer { name, fields }).map_err(|error| error.to_string())?;
    Ok(match op {
        OwnOp::Download { url, path } => OpRequest::Download { url, path },
        OwnOp::Upload { path, content_type, filename } => {
            OpRequest::Upload(UploadFile { path, content_type, filename })
        }
        OwnOp::Prime { chat_id, platform, scope_id, user_id, profile, parent_chat_id } => {
            let mut chat = Chat::new(platform);
            let [scope, author, profile, parent] =
                [scope_id, user_id, profile, parent_chat_id].map(|text| text.map(CompactString::from));
            (chat.scope, chat.author) = (scope, author);
            (chat.profile, chat.parent) = (profile, parent);
            OpRequest::Prime { chat_id, chat }
        }
        OwnOp::GoIdle {} => OpRequest::Command(Command::GoIdle),
        OwnOp::GoDormant {} => OpRequest::Command(Command::GoDormant),
        OwnOp::Hold { ms } => {
            OpRequest::Command(Command::Hold(ms.map_or(Duration::MAX, Duration::from_millis)))
        }
        OwnOp::Resume {} => OpRequest::Command(Command::Resume),
        OwnOp::Ack { delivery } => OpRequest::Settle { delivery, taken: true },
        OwnOp::Refuse { delivery } => OpRequest::Settle { delivery, taken: false },
        OwnOp::Split { chat_id, content } => OpRequest::Split { chat_id, content },
        OwnOp::Capabilities { chat_id } => OpRequest::Capabilities { chat_id },
        OwnOp::Chat { chat_id } => OpRequest::Chat { chat_id },
        OwnOp::Status {} => OpRequest::Status,
        OwnOp::Disconnect {} => OpRequest::Disconnect,
    })
}

/// Parses an op of the protocol, with the fields that the bridge adds.
fn parse_protocol_op(definition: &Definition, mut fields: Map<String, Value>) -> Result<OpRequest, String> {
    let extra: Vec<&str> = extra_fields(definition.name).map(|field| field.name).collect();
    let own = definition.fields.iter().map(|field| field.name);
    let known: Vec<&str> = own.chain(extra.iter().copied()).collect();
    op_deserializer::check_fields(definition.name, &fields, &known)?;
    let mut take = |name: &str| {
        let is_extra = extra.contains(&name);
        if is_extra { fields.remove(name).filter(|value| !value.is_null()) } else { None }
    };
    let split = flag("split", take("split"))?;
    let is_text = flag("as_text", take("as_text"))?;
    let to = take("to").map(prompt_request::read_chat).transpose()?;
    let path = take("path").map(|path| parse::<String>("path", path)).transpose()?;
    if definition.name == "send_media" {
        let has_url = fields.get("source_url").is_some_and(|url| !url.is_null());
        match (has_url, &path) {
            // The upload sets this field.
            (false, Some(_)) => drop(fields.insert("source_url".to_owned(), "".into())),
            (true, None) => {}
            (false, None) => return Err("missing field `source_url`, or `path` in its place".to_owned()),
            (true, Some(_)) => return Err("`source_url` and `path`: give one of them".to_owned()),
        }
    }
    match ((definition.read)(&mut fields)?, path) {
        (Command::Op(Op::Send(send)), _) if split => Ok(OpRequest::Parts(PartedText::Send(send))),
        (Command::Reply(reply), _) if split => Ok(OpRequest::Parts(PartedText::Reply(reply))),
        (Command::Op(Op::Prompt(prompt)), _) => match prompt.problem().filter(|_| is_text) {
            Some(problem) => Err(problem),
            None => Ok(OpRequest::Prompt(Box::new(PromptRequest { prompt, is_text, to }))),
        },
        (Command::Op(Op::SendMedia(send)), Some(path)) => Ok(OpRequest::SendFile { path, send }),
        (Command::Op(Op::SendMedia(send)), None) if !is_web_url(&send.source_url) => {
            Err("`source_url` is not an http or https URL: name a file of this machine as `path`".to_owned())
        }
        (command, _) => Ok(OpRequest::Command(command)),
    }
}

fn parse<T: DeserializeOwned>(name: &str, value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| format!("`{name}`: {error}"))
}

fn flag(name: &str, value: Option<Value>) -> Result<bool, String> {
    value.map_or(Ok(false), |value| parse(name, value))
}

fn is_web_url(text: &str) -> bool {
    let is_web = |scheme: &str| ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    text.split_once("://").is_some_and(|(scheme, rest)| is_web(scheme) && !rest.is_empty())
}

/// Reads an id.
pub(super) fn id<'de, D: Deserializer<'de>>(reader: D) -> Result<String, D::Error> {
    optional_id(reader)?.ok_or_else(|| serde::de::Error::custom("an id is a string or an integer, not null"))
}

pub(super) fn optional_id<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<String>, D::Error> {
    let value = Option::<Value>::deserialize(reader)?;
    value.map(read_id).transpose().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> String {
        read(line.as_bytes()).unwrap().asked.unwrap_err()
    }

    #[test]
    fn unknown_fields_are_refused_by_name() {
        for (line, expected) in [
            (
                r#"{"op":"send","chat_id":"1","content":"x","silent":true,"id":7}"#,
                "unknown field `silent`: `send` takes `chat_id`, `content`, `reply_to`, `metadata`, `platform`, `split`",
            ),
            (
                r#"{"op":"ack","delivery":1,"zeal":1,"buffer":"b"}"#,
                "unknown fields `buffer`, `zeal`: `ack` takes `delivery`",
            ),
            (r#"{"op":"resume","now":true}"#, "unknown field `now`: `resume` takes no fields"),
            (
                r#"{"op":"prompt","chat_id":"1","content":"?","options":[{"id":"a","label":"A","emoji":"x"}]}"#,
                "`options`: unknown field `emoji`, expected one of `id`, `label`, `style`",
            ),
        ] {
            assert_eq!(refused(line), expected, "{line}");
        }
    }

    #[test]
    fn free_form_objects_and_older_names_are_kept() {
        let said =
            read(br#"{"op":"send","chat_id":1,"content":"x","metadata":{"any":{"thing":1}}}"#).unwrap();
        assert_eq!((said.about.op.as_str(), said.about.chat.as_str()), ("send", "1"));
        let Ok(OpRequest::Command(Command::Op(Op::Send(send)))) = said.asked else {
            panic!("{:?}", said.asked)
        };
        assert_eq!(Value::Object(send.metadata).to_string(), r#"{"any":{"thing":1}}"#);
        let split = read(br#"{"op":"split","chat_id":"1","text":"x"}"#).unwrap().asked;
        assert!(matches!(split, Ok(OpRequest::Split { .. })), "{split:?}");
        assert!(matches!(read(br#"{"op":"disconnect","id":{}}"#).unwrap().asked, Ok(OpRequest::Disconnect)));
    }

    /// X-1: a queued op is weighed by its size in memory, not by its length on the line.
    #[test]
    fn x_1_many_small_values_weigh_their_memory() {
        let numbers = vec!["1"; 10_000].join(",");
        let line = format!(r#"{{"op":"send","chat_id":"1","content":"x","metadata":{{"n":[{numbers}]}}}}"#);
        assert!(read(line.as_bytes()).unwrap().weight >= 10_000 * size_of::<Value>());
    }
}
