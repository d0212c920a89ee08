//! What the agent writes: ops.

use super::media::UploadFile;
use super::parts::PartedText;
use super::tagged::Tagged;
use relayline_core::chats::Chat;
use relayline_core::command::{
    Card, ChatInfo, Command, Delete, Draft, Edit, FollowUp, Interrupt, MAX_ID_BYTES, MediaKind, Metadata,
    Raw, React, ReplyMessage, Send, SendMedia, Stream, TaskCard, TaskCardStop, ThreadCreate, ThreadRename,
    Turn, TurnState, Typing,
};
use relayline_core::json::{self, weight_of_fields};
use relayline_core::output::DeliveryId;
use relayline_core::prompts::{Prompt, PromptKind, PromptOption};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// The fields that hold ids.
pub(super) const IDS: [&str; 8] =
    ["chat_id", "card_id", "message_id", "prompt_id", "reply_to", "scope_id", "user_id", "parent_chat_id"];

/// One op, its fields as in PROTOCOL.md. What may be absent may be null.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(tag = "op"))]
pub(super) enum Op {
    Send {
        #[serde(deserialize_with = "id")]
        chat_id: String,
        content: String,
        #[serde(default, deserialize_with = "optional_id")]
        reply_to: Option<String>,
        #[serde(default)]
        metadata: Option<Metadata>,
        #[serde(default)]
        platform: Option<String>,
        /// Send a long text in parts.
        #[serde(default, deserialize_with = "or_default")]
        split: bool,
    },
    /// Answer a delivery by its number (M-7).
    Reply {
        delivery: u64,
        content: String,
        /// Whether it completes the answer.
        #[serde(default, rename = "final")]
        last: Option<bool>,
        #[serde(default)]
        metadata: Option<Metadata>,
        /// Send a long text in parts.
        #[serde(default, deserialize_with = "or_default")]
        split: bool,
    },
    /// Bracket the turn that a delivery began (O-15).
    Turn {
        delivery: u64,
        #[cfg_attr(test, schemars(with = "String"))]
        state: TurnState,
    },
    Edit {
        #[serde(deserialize_with = "id")]
        chat_id: String,
        #[serde(deserialize_with = "id")]
        message_id: String,
        content: String,
        #[serde(default)]
        metadata: Option<Metadata>,
        #[serde(default)]
        platform: Option<String>,
    },
    Typing {
        #[serde(deserialize_with = "id")]
        chat_id: String,
        #[serde(default)]
        content: Option<String>,
        #[serde(default)]
        metadata: Option<Metadata>,
        #[serde(default)]
        platform: Option<String>,
    },
    FollowUp {
        session_key: String,
        kind: String,
        content: String,
        #[serde(default)]
        metadata: Option<Metadata>,
    },
    Delete {
        #[serde(deserialize_with = "id")]
        chat_id: String,
        #[serde(deserialize_with = "id")]
        message_id: String,
        #[serde(default)]
        metadata: Option<Metadata>,
        #[serde(default)]
        platform: Option<String>,
    },
    SendMedia {
        #[serde(deserialize_with = "id")]
        chat_id: String,
        #[cfg_attr(test, schemars(with = "String"))]
        media_kind: MediaKind,
        #[serde(default)]
        source_url: Option<String>,
        /// A file of this machine, in the place of `source_url`.
        #[serde(default)]
        path: Option<String>,
        /// The caption.
        #[serde(default, deserialize_with = "or_default")]
        content: String,
        #[serde(default)]
        filename: Option<String>,
        #[serde(default, deserialize_with = "optional_id")]
        reply_to: Option<String>,
        #[serde(default)]
        metadata: Option<Metadata>,
        #[serde(default)]
        platform: Option<String>,
    },
    Prompt {
        #[serde(deserialize_with = "id")]
        chat_id: String,
        #[serde(default, deserialize_with = "or_default")]
        #[cfg_attr(test, schemars(with = "String"))]
        prompt_kind: PromptKind,
        /// The agent's own id for it (I-6).
        #[serde(default, deserialize_with = "optional_id")]
        prompt_id: Option<String>,
        content: String,
        options: Vec<Choice>,
        #[serde(default)]
        timeout_s: Option<u64>,
        #[serde(default, deserialize_with = "optional_id")]
        reply_to: Option<String>,
        #[serde(default)]
        metadata: Option<Metadata>,
        #[serde(default)]
        platform: Option<String>,
        /// Send the same question as plain text with numbered options (I-5).
        #[serde(default, deserialize_with = "or_default")]
        as_text: bool,
    },
    React {
        #[serde(deserialize_with = "id")]
        chat_id: String,
        #[serde(deserialize_with = "id")]
        message_id: String,
        emoji: String,
        #[serde(default, deserialize_with = "or_default")]
        remove: bool,
        #[serde(default)]
        metadata: Option<Metadata>,
        #[serde(default)]
        platform: Option<String>,
    },
    ThreadCreate {
        #[serde(deserialize_with = "id")]
        chat_id: String,
        #[serde(default, deserialize_with = "or_default")]
        thread_name: String,
        #[serde(default, deserialize_with = "optional_id")]
        message_id: Option<String>,
        #[serde(default)]
        metadata: Option<Metadata>,
        #[serde(default)]
        platform: Option<String>,
    },
    ThreadRename {
        /// The chat that the thread hangs off; the thread itself by default.
        #[serde(default, deserialize_with = "optional_id")]
        chat_id: Option<String>,
        /// The thread.
        #[serde(deserialize_with = "id")]
        message_id: String,
        thread_name: String,
        #[serde(default, deserialize_with = "or_default")]
        only_if_connector_created: bool,
        #[serde(default)]
        only_if_current_name: Option<String>,
        #[serde(default)]
        metadata: Option<Metadata>,
        #[serde(default)]
        platform: Option<String>,
    },
    Draft {
        #[serde(deserialize_with = "id")]
        chat_id: String,
        draft_id: i64,
        content: String,
        #[serde(default, rename = "final", deserialize_with = "or_default")]
        last: bool,
        #[serde(default)]
        metadata: Option<Metadata>,
        #[serde(default)]
        platform: Option<String>,
    },
    TaskCard {
        #[serde(default, deserialize_with = "optional_id")]
        chat_id: Option<String>,
        #[serde(default)]
        delivery: Option<u64>,
        #[serde(default, deserialize_with = "optional_id")]
        card_id: Option<String>,
        /// The message that the card belongs to.
        #[serde(default, deserialize_with = "optional_id")]
        reply_to: Option<String>,
        chunks: Vec<Map<String, Value>>,
        #[serde(default)]
        metadata: Option<Metadata>,
        #[serde(default)]
        platform: Option<String>,
    },
    TaskCardStop {
        #[serde(default, deserialize_with = "optional_id")]
        chat_id: Option<String>,
        #[serde(default)]
        delivery: Option<u64>,
        #[serde(default, deserialize_with = "optional_id")]
        card_id: Option<String>,
        #[serde(default, deserialize_with = "optional_id")]
        reply_to: Option<String>,
        #[serde(default)]
        metadata: Option<Metadata>,
        #[serde(default)]
        platform: Option<String>,
    },
    Stream {
        /// The agent's name for the reply.
        stream: String,
        /// The delivery that it answers.
        #[serde(default)]
        delivery: Option<u64>,
        /// May be left out beside `delivery`.
        #[serde(default, deserialize_with = "optional_id")]
        chat_id: Option<String>,
        /// All of the text so far.
        text: String,
        #[serde(default, rename = "final", deserialize_with = "or_default")]
        last: bool,
        /// Whether the text so far is a complete segment.
        #[serde(default, deserialize_with = "or_default")]
        segment: bool,
        #[serde(default, deserialize_with = "optional_id")]
        reply_to: Option<String>,
        #[serde(default)]
        metadata: Option<Metadata>,
        #[serde(default)]
        platform: Option<String>,
    },
    /// Remember a chat, as after a restart (M-6).
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
    GetChatInfo {
        #[serde(deserialize_with = "id")]
        chat_id: String,
        #[serde(default)]
        platform: Option<String>,
    },
    /// Write an action as it is (X-3).
    Raw {
        action: Map<String, Value>,
        #[serde(default)]
        platform: Option<String>,
        /// Add nothing to it.
        #[serde(default, deserialize_with = "or_default")]
        bare: bool,
    },
    Interrupt {
        session_key: String,
        #[serde(default)]
        reason: Option<String>,
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
        /// For how long; a minute, the most there is, by default.
        #[serde(default)]
        ms: Option<u64>,
    },
    Resume {},
    /// Fetch a file by its URL (H-7).
    Download {
        url: String,
        path: String,
    },
    /// Give a file to the connector (H-7).
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
    Disconnect {},
}

/// An option of a prompt.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Choice {
    id: String,
    label: String,
    #[serde(default)]
    style: Option<String>,
}

impl From<Choice> for PromptOption {
    fn from(Choice { id, label, style }: Choice) -> PromptOption {
        PromptOption { id, label, style }
    }
}

/// What an op asks for.
#[derive(Debug)]
pub(super) enum Asked {
    Command(Command),
    /// One message per part, one after the other.
    Parts(PartedText),
    /// A file of this machine, uploaded first.
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
    Prime {
        chat_id: String,
        chat: Chat,
    },
    Disconnect,
}

impl Asked {
    /// Chat whose order it keeps.
    pub(super) fn chat(&self) -> Option<&str> {
        match self {
            Asked::Command(command) => command.chat_id(),
            Asked::Parts(PartedText::Send(Send { chat_id, .. })) | Asked::Prime { chat_id, .. } => {
                Some(chat_id)
            }
            Asked::SendFile { send, .. } => Some(&send.chat_id),
            Asked::Parts(PartedText::Reply(_))
            | Asked::Download { .. }
            | Asked::Upload(_)
            | Asked::Settle { .. }
            | Asked::Split { .. }
            | Asked::Capabilities { .. }
            | Asked::Disconnect => None,
        }
    }

    /// Delivery that it is about in a chat's place: it keeps the order of the delivery's chat.
    pub(super) fn delivery(&self) -> Option<DeliveryId> {
        match self {
            Asked::Command(Command::Reply(reply)) | Asked::Parts(PartedText::Reply(reply)) => {
                Some(reply.delivery)
            }
            Asked::Command(Command::Stream(stream)) => stream.delivery,
            Asked::Command(Command::Turn(turn)) => Some(turn.delivery),
            _ => None,
        }
    }

    /// Bytes that it takes up beside its line.
    fn own_weight(&self) -> usize {
        match self {
            Asked::Download { .. } | Asked::Upload(_) | Asked::SendFile { .. } => TRANSFER_BYTES,
            _ => 0,
        }
    }

    /// Whether it is done ahead of the ops that wait for room.
    pub(super) fn overtakes(&self) -> bool {
        matches!(self, Asked::Settle { .. } | Asked::Disconnect | Asked::Command(Command::Interrupt(_)))
    }
}

/// What an op counts for that has a file on its way.
const TRANSFER_BYTES: usize = 16 << 10;

/// A line, taken apart.
#[derive(Debug)]
pub(super) struct Said {
    /// Id under which its result is wanted.
    pub(super) id: Option<Value>,
    /// Name of the op and its chat, as far as they can be read.
    pub(super) about: About,
    pub(super) asked: Result<Asked, String>,
    /// Bytes that it takes up in memory, roughly.
    pub(super) weight: usize,
}

/// Name of an op and its chat, for logs.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    pub(super) op: String,
    pub(super) chat: String,
}

/// Longest name or chat that is logged.
const SHOWN: usize = 100;

impl About {
    fn of(fields: &Map<String, Value>) -> About {
        let shown = |name: &str| match fields.get(name) {
            Some(Value::String(text)) => text.chars().take(SHOWN).collect(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        About { op: shown("op"), chat: shown("chat_id") }
    }

    /// Sets the chat of an op that names none itself.
    pub(super) fn name_chat(&mut self, chat: &str) {
        if self.chat.is_empty() {
            self.chat = chat.chars().take(SHOWN).collect();
        }
    }
}

/// A line that cannot be read, and what was found of it all the same.
#[derive(Debug)]
pub(super) struct Unread {
    pub(super) message: String,
    /// Id under which a result is waited for.
    pub(super) id: Option<Value>,
    pub(super) about: About,
}

impl Unread {
    /// Looks for the id of an object that is whole. What is cut off is no op.
    fn of(line: &[u8], message: String) -> Unread {
        let line = line.trim_ascii();
        let is_whole = line.starts_with(b"{") && line.ends_with(b"}");
        let names = ["id", "op", "chat_id"];
        let found = if is_whole { json::salvage(line, &names) } else { [None; 3] };
        let value = |raw: Option<&str>| serde_json::from_str::<Value>(raw?).ok();
        let [id, op, chat] = found.map(value);
        let fields = [("op", op), ("chat_id", chat)].into_iter();
        let fields = fields.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        let id = id.filter(|id| id_length(id) <= MAX_ID_BYTES);
        Unread { message, id, about: About::of(&fields) }
    }
}

/// Reads a line.
pub(super) fn read(line: &[u8]) -> Result<Said, Unread> {
    let unread = |message: String| Unread::of(line, message);
    let text = std::str::from_utf8(line).map_err(|_| unread("it is not UTF-8".to_owned()))?;
    let value = json::parse(text).map_err(|error| match error.classify() {
        Category::Data => unread(error.to_string()),
        Category::Syntax | Category::Eof | Category::Io => unread(format!("it is no JSON: {error}")),
    })?;
    let Value::Object(mut fields) = value else {
        return Err(unread("it is no JSON object: write {\"op\":\"send\",…}".to_owned()));
    };
    keep_long_ids(text, &mut fields);
    let weight = weight_of_fields(&fields);
    let id = fields.remove("id").filter(|id| !id.is_null());
    if let Some(length) = id.as_ref().map(id_length).filter(|length| *length > MAX_ID_BYTES) {
        // Not even an answer could carry it.
        return Err(unread(format!("`id` is {length} bytes long: {MAX_ID_BYTES} at most")));
    }
    let (about, asked) = (About::of(&fields), asked(fields));
    let weight = weight + asked.as_ref().map_or(0, Asked::own_weight);
    Ok(Said { id, about, asked, weight })
}

/// Returns the length of an op's id: of its text, or of its JSON where it is another value.
fn id_length(id: &Value) -> usize {
    id.as_str().map_or_else(|| id.to_string().len(), str::len)
}

/// An integer counts as its literal, however long it is (W-8): a tree of values would have rounded it.
fn keep_long_ids(text: &str, fields: &mut Map<String, Value>) {
    let is_rounded = |name: &&str| fields.get(*name).and_then(Value::as_number).is_some_and(Number::is_f64);
    let rounded: Vec<&str> = IDS.into_iter().filter(is_rounded).collect();
    if rounded.is_empty() {
        return;
    }
    let literals: BTreeMap<String, &RawValue> = serde_json::from_str(text).unwrap_or_default();
    for name in rounded {
        let is_integer = |raw: &&str| raw.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        if let Some(literal) = literals.get(name).map(|raw| raw.get()).filter(is_integer) {
            fields.insert(name.to_owned(), literal.into());
        }
    }
}

fn asked(mut fields: Map<String, Value>) -> Result<Asked, String> {
    let name = fields.remove("op").ok_or_else(|| "it has no `op`".to_owned())?;
    let op = Op::deserialize(Tagged { name, fields }).map_err(|error| error.to_string())?;
    let command = match op {
        Op::Send { chat_id, content, reply_to, metadata, platform, split } => {
            let metadata = metadata.unwrap_or_default();
            let send = Send { chat_id, content, reply_to, metadata, platform };
            if split {
                return Ok(Asked::Parts(PartedText::Send(send)));
            }
            Command::Send(send)
        }
        Op::Reply { delivery, content, last, metadata, split } => {
            let (delivery, metadata) = (DeliveryId::from_number(delivery), metadata.unwrap_or_default());
            let last = last.unwrap_or(true);
            let reply = ReplyMessage { delivery, content, last, continues: false, metadata };
            if split {
                return Ok(Asked::Parts(PartedText::Reply(reply)));
            }
            Command::Reply(reply)
        }
        Op::Download { url, path } => return Ok(Asked::Download { url, path }),
        Op::Upload { path, content_type, filename } => {
            return Ok(Asked::Upload(UploadFile { path, content_type, filename }));
        }
        Op::Turn { delivery, state } => {
            Command::Turn(Turn { delivery: DeliveryId::from_number(delivery), state })
        }
        Op::Edit { chat_id, message_id, content, metadata, platform } => {
            let metadata = metadata.unwrap_or_default();
            Command::Edit(Edit { chat_id, message_id, content, metadata, platform })
        }
        Op::Typing { chat_id, content, metadata, platform } => {
            Command::Typing(Typing { chat_id, content, metadata: metadata.unwrap_or_default(), platform })
        }
        Op::FollowUp { session_key, kind, content, metadata } => {
            Command::FollowUp(FollowUp { session_key, kind, content, metadata: metadata.unwrap_or_default() })
        }
        Op::Delete { chat_id, message_id, metadata, platform } => {
            let metadata = metadata.unwrap_or_default();
            Command::Delete(Delete { chat_id, message_id, metadata, platform })
        }
        Op::SendMedia {
            chat_id,
            media_kind,
            source_url,
            path,
            content,
            filename,
            reply_to,
            metadata,
            platform,
        } => {
            let metadata = metadata.unwrap_or_default();
            let (kind, caption) = (media_kind, content);
            let mut send = SendMedia {
                chat_id,
                kind,
                source_url: String::new(),
                caption,
                filename,
                reply_to,
                metadata,
                platform,
            };
            match (source_url, path) {
                (None, Some(path)) => return Ok(Asked::SendFile { path, send }),
                (Some(url), None) if is_web_url(&url) => send.source_url = url,
                (Some(_), None) => {
                    return Err(
                        "`source_url` is no http or https URL: name a file of this machine as `path`"
                            .to_owned(),
                    );
                }
                (None, None) => return Err("missing field `source_url`, or `path` in its place".to_owned()),
                (Some(_), Some(_)) => return Err("`source_url` and `path`: give one of them".to_owned()),
            }
            Command::SendMedia(send)
        }
        Op::Prompt {
            chat_id,
            prompt_kind,
            prompt_id,
            content,
            options,
            timeout_s,
            reply_to,
            metadata,
            platform,
            as_text,
        } => {
            let metadata = metadata.unwrap_or_default();
            let (kind, timeout) = (prompt_kind, timeout_s.map(Duration::from_secs));
            let options = options.into_iter().map(PromptOption::from).collect();
            let prompt =
                Prompt { prompt_id, chat_id, kind, content, options, timeout, reply_to, metadata, platform };
            if as_text {
                if let Some(problem) = prompt.problem() {
                    return Err(problem);
                }
                let content = prompt.as_text();
                let Prompt { chat_id, reply_to, metadata, platform, .. } = prompt;
                let send = Send { chat_id, content, reply_to, metadata, platform };
                return Ok(Asked::Parts(PartedText::Send(send)));
            }
            Command::Prompt(prompt)
        }
        Op::React { chat_id, message_id, emoji, remove, metadata, platform } => {
            let metadata = metadata.unwrap_or_default();
            Command::React(React { chat_id, message_id, emoji, remove, metadata, platform })
        }
        Op::ThreadCreate { chat_id, thread_name, message_id, metadata, platform } => {
            let (name, metadata) = (thread_name, metadata.unwrap_or_default());
            Command::ThreadCreate(ThreadCreate { chat_id, name, message_id, metadata, platform })
        }
        Op::ThreadRename {
            chat_id,
            message_id,
            thread_name,
            only_if_connector_created,
            only_if_current_name,
            metadata,
            platform,
        } => {
            let rename = ThreadRename {
                chat_id: chat_id.unwrap_or_default(),
                thread_id: message_id,
                name: thread_name,
                only_if_connector_created,
                only_if_current_name,
                metadata: metadata.unwrap_or_default(),
                platform,
            };
            Command::ThreadRename(rename)
        }
        Op::Draft { chat_id, draft_id, content, last, metadata, platform } => {
            let metadata = metadata.unwrap_or_default();
            Command::Draft(Draft { chat_id, draft_id, content, last, metadata, platform })
        }
        Op::TaskCard { chat_id, delivery, card_id, reply_to, chunks, metadata, platform } => {
            let card = card(chat_id, delivery)?;
            let metadata = metadata.unwrap_or_default();
            let card = Card { card_id, reply_to, metadata, platform, ..card };
            Command::TaskCard(TaskCard { card, chunks })
        }
        Op::TaskCardStop { chat_id, delivery, card_id, reply_to, metadata, platform } => {
            let card = card(chat_id, delivery)?;
            let metadata = metadata.unwrap_or_default();
            Command::TaskCardStop(TaskCardStop {
                card: Card { card_id, reply_to, metadata, platform, ..card },
            })
        }
        Op::Stream { stream, delivery, chat_id, text, last, segment, reply_to, metadata, platform } => {
            let metadata = metadata.unwrap_or_default();
            let delivery = delivery.map(DeliveryId::from_number);
            let chat_id = match chat_id {
                None if delivery.is_none() => {
                    return Err("missing field `chat_id`, or `delivery` in its place".to_owned());
                }
                chat_id => chat_id.unwrap_or_default(),
            };
            Command::Stream(Stream {
                delivery,
                stream,
                chat_id,
                text,
                last,
                segment,
                reply_to,
                metadata,
                platform,
            })
        }
        Op::Prime { chat_id, platform, scope_id, user_id, profile, parent_chat_id } => {
            let chat = Chat {
                platform,
                scope: scope_id,
                author: user_id,
                profile,
                parent: parent_chat_id,
                ..Chat::default()
            };
            return Ok(Asked::Prime { chat_id, chat });
        }
        Op::GetChatInfo { chat_id, platform } => Command::ChatInfo(ChatInfo { chat_id, platform }),
        Op::Raw { action, platform, bare } => Command::Raw(Raw { action, platform, bare }),
        Op::Interrupt { session_key, reason } => Command::Interrupt(Interrupt { session_key, reason }),
        Op::GoIdle {} => Command::GoIdle,
        Op::GoDormant {} => Command::GoDormant,
        Op::Hold { ms } => Command::Hold(ms.map_or(Duration::MAX, Duration::from_millis)),
        Op::Resume {} => Command::Resume,
        Op::Ack { delivery } => return Ok(Asked::Settle { delivery, taken: true }),
        Op::Refuse { delivery } => return Ok(Asked::Settle { delivery, taken: false }),
        Op::Split { chat_id, content } => return Ok(Asked::Split { chat_id, content }),
        Op::Capabilities { chat_id } => return Ok(Asked::Capabilities { chat_id }),
        Op::Disconnect {} => return Ok(Asked::Disconnect),
    };
    Ok(Asked::Command(command))
}

fn is_web_url(text: &str) -> bool {
    let is_web = |scheme: &str| ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    text.split_once("://").is_some_and(|(scheme, rest)| is_web(scheme) && !rest.is_empty())
}

/// The card of a chat or of a delivery.
fn card(chat_id: Option<String>, delivery: Option<u64>) -> Result<Card, String> {
    if chat_id.is_none() && delivery.is_none() {
        return Err("missing field `chat_id`, or `delivery` in its place".to_owned());
    }
    let delivery = delivery.map(DeliveryId::from_number);
    Ok(Card { chat_id: chat_id.unwrap_or_default(), delivery, ..Card::default() })
}

/// An id, which may be written as a number (W-8).
fn id<'de, D: Deserializer<'de>>(reader: D) -> Result<String, D::Error> {
    optional_id(reader)?.ok_or_else(|| serde::de::Error::custom("an id is a string or an integer, not null"))
}

fn optional_id<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(reader)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) if !number.is_f64() => Ok(Some(number.to_string())),
        Value::Number(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(serde::de::Error::custom("an id is a string or an integer"))
        }
    }
}

/// Null is as good as nothing.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(reader: D) -> Result<T, D::Error> {
    Option::deserialize(reader).map(Option::unwrap_or_default)
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
                "unknown field `emoji`, expected one of `id`, `label`, `style`",
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
        let Ok(Asked::Command(Command::Send(send))) = said.asked else { panic!("{:?}", said.asked) };
        assert_eq!(Value::Object(send.metadata).to_string(), r#"{"any":{"thing":1}}"#);
        let split = read(br#"{"op":"split","chat_id":"1","text":"x"}"#).unwrap().asked;
        assert!(matches!(split, Ok(Asked::Split { .. })), "{split:?}");
        assert!(matches!(read(br#"{"op":"disconnect","id":{}}"#).unwrap().asked, Ok(Asked::Disconnect)));
    }

    /// X-1: what waits is weighed as it lies in memory, not as it was written.
    #[test]
    fn x_1_many_small_values_weigh_what_they_take_up() {
        let numbers = vec!["1"; 10_000].join(",");
        let line = format!(r#"{{"op":"send","chat_id":"1","content":"x","metadata":{{"n":[{numbers}]}}}}"#);
        assert!(read(line.as_bytes()).unwrap().weight >= 10_000 * size_of::<Value>());
    }
}
