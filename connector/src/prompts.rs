//! Open prompts, and the last author of each chat: the material of a user's answer.

use crate::chats::rooms;
use crate::control::ControlError;
use crate::recent::Recent;
use relayline_core::event::UNNAMED_PLATFORM;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;

/// Maximum number of options of a prompt (I-1).
const MAX_OPTIONS: usize = 100;
/// Maximum length of a text; longer ones are not kept.
const MAX_TEXT: usize = 1024;
/// Maximum number of bytes of all open prompts; the oldest is removed first.
const MAX_BYTES: usize = 4 << 20;
/// Maximum number of open prompts (I-2); the oldest is removed first.
const MAX_PROMPTS: usize = 1024;
/// Maximum number of chats whose last author is remembered.
const MAX_CHATS: usize = 1024;

/// Fields of an event's source that also hold for the user's next event in that chat.
const LASTING: [&str; 16] = [
    "platform",
    "chat_id",
    "chat_type",
    "chat_name",
    "chat_topic",
    "chat_id_alt",
    "user_id",
    "user_name",
    "user_display_name",
    "user_handle",
    "user_id_alt",
    "thread_id",
    "scope_id",
    "guild_id",
    "parent_chat_id",
    "profile",
];

/// A prompt that was shown and not answered.
#[derive(Clone, Debug)]
pub(crate) struct Prompt {
    pub(crate) gateway: String,
    pub(crate) platform: String,
    pub(crate) bot_id: String,
    pub(crate) chat_id: String,
    pub(crate) prompt_id: String,
    pub(crate) message_id: Option<String>,
    /// Thread of its metadata.
    thread_id: Option<String>,
    scope_id: Option<String>,
    user_id: Option<String>,
    options: Vec<Choice>,
}

/// One button.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) id: String,
    pub(crate) label: String,
}

impl Prompt {
    /// Reads a `prompt` that was shown; `None` for one without an id or a chat.
    pub(crate) fn read(
        gateway: &str,
        platform: String,
        bot_id: String,
        action: &Value,
        result: &Value,
    ) -> Option<Self> {
        let metadata = |names: &[&str]| {
            let found = names.iter().find_map(|name| short(action.get("metadata")?.get(name)?));
            found.filter(|text| !text.is_empty())
        };
        let option = |option: &Value| {
            let id = short(option.get("id")?)?;
            let label = option.get("label").and_then(short).unwrap_or_else(|| id.clone());
            Some(Choice { id, label })
        };
        let options = action.get("options").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        Some(Prompt {
            gateway: gateway.to_owned(),
            platform,
            bot_id,
            chat_id: short(action.get("chat_id")?)?,
            prompt_id: short(action.get("prompt_id")?)?,
            message_id: result.get("message_id").and_then(short),
            thread_id: metadata(&["thread_id", "thread_ts"]),
            scope_id: metadata(&["scope_id", "guild_id"]),
            user_id: metadata(&["user_id"]),
            options: options.iter().filter_map(option).take(MAX_OPTIONS).collect(),
        })
    }

    /// Returns the option with this id, else this label, else this number, from 1.
    pub(crate) fn choose(&self, option: &str) -> Result<&Choice, ControlError> {
        let wanted = option.trim();
        let by_id = self.options.iter().find(|choice| choice.id == wanted);
        let by_label = || {
            let same = |choice: &&Choice| choice.label.trim().to_lowercase() == wanted.to_lowercase();
            self.options.iter().find(same)
        };
        let by_number = || self.options.get(wanted.parse::<usize>().ok()?.checked_sub(1)?);
        by_id.or_else(by_label).or_else(by_number).ok_or_else(|| {
            let show = |choice: &Choice| match choice.id == choice.label {
                true => choice.id.clone(),
                false => format!("{} ({})", choice.id, choice.label),
            };
            ControlError::NoSuchOption {
                option: wanted.to_owned(),
                prompt_id: self.prompt_id.clone(),
                options: self.options.iter().map(show).collect::<Vec<_>>().join(", "),
            }
        })
    }

    fn bytes(&self) -> usize {
        let options: usize = self.options.iter().map(|choice| choice.id.len() + choice.label.len()).sum();
        let texts = [&self.gateway, &self.platform, &self.bot_id, &self.chat_id, &self.prompt_id];
        let known = [&self.message_id, &self.thread_id, &self.scope_id, &self.user_id].into_iter().flatten();
        options + texts.into_iter().chain(known).map(String::len).sum::<usize>()
    }
}

fn short(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(text).filter(|text| text.len() <= MAX_TEXT)
}

/// The open prompts, oldest first, and the chats' last authors.
#[derive(Clone, Debug)]
pub(crate) struct Prompts {
    open: VecDeque<Prompt>,
    bytes: usize,
    /// Lasting part of the last event's source, by platform and chat.
    sources: Recent<(String, String), Map<String, Value>>,
}

impl Prompts {
    pub(crate) fn new() -> Self {
        Prompts { open: VecDeque::new(), bytes: 0, sources: Recent::new(MAX_CHATS) }
    }

    /// Adds a prompt that was shown. It replaces one with the same id. Returns the number of older ones that were
    /// evicted.
    pub(crate) fn show(&mut self, prompt: Prompt) -> u64 {
        self.retain(|open| open.gateway != prompt.gateway || open.prompt_id != prompt.prompt_id);
        self.bytes += prompt.bytes();
        self.open.push_back(prompt);
        let mut evicted = 0;
        while self.open.len() > MAX_PROMPTS || self.bytes > MAX_BYTES {
            let Some(oldest) = self.open.pop_front() else { break };
            self.bytes -= oldest.bytes();
            evicted += 1;
        }
        evicted
    }

    /// Removes the prompt of a deleted message.
    pub(crate) fn delete(&mut self, gateway: &str, chat_id: &str, message_id: &str) {
        let is_it = |open: &Prompt| open.gateway == gateway && open.chat_id == chat_id;
        self.retain(|open| !is_it(open) || open.message_id.as_deref() != Some(message_id));
    }

    /// Removes an answered prompt.
    pub(crate) fn close(&mut self, answered: &Prompt) {
        self.retain(|open| open.gateway != answered.gateway || open.prompt_id != answered.prompt_id);
    }

    fn retain(&mut self, keeps: impl Fn(&Prompt) -> bool) {
        self.open.retain(keeps);
        self.bytes = self.open.iter().map(Prompt::bytes).sum();
    }

    /// Returns the last open prompt of these gateways with this id and in this chat, where they are given.
    pub(crate) fn find(
        &self,
        gateways: &[String],
        prompt_id: Option<&str>,
        chat_id: Option<&str>,
    ) -> Result<&Prompt, ControlError> {
        let fits = |open: &&Prompt| {
            gateways.contains(&open.gateway)
                && prompt_id.is_none_or(|id| open.prompt_id == id)
                && chat_id.is_none_or(|id| open.chat_id == id)
        };
        self.open.iter().rev().find(fits).ok_or_else(|| {
            let which = |name: &str, id: Option<&str>| id.map(|id| format!(" with {name} `{id}`"));
            let which = [which("prompt_id", prompt_id), which("chat_id", chat_id)];
            ControlError::NoPrompt { which: which.into_iter().flatten().collect() }
        })
    }

    /// Remembers the source of an event.
    pub(crate) fn note_author(&mut self, event: &Map<String, Value>) {
        let Some(source) = event.get("source").and_then(Value::as_object) else { return };
        let lasting = |name: &str| Some((name.to_owned(), Value::from(short(source.get(name)?)?)));
        let source: Map<String, Value> = LASTING.iter().filter_map(|name| lasting(name)).collect();
        let text = |name: &str| source.get(name).and_then(Value::as_str).map(str::to_owned);
        if let Some(chat_id) = text("chat_id") {
            let platform = text("platform").unwrap_or_else(|| UNNAMED_PLATFORM.to_owned());
            self.sources.insert((platform, chat_id), source);
        }
    }

    /// Returns the source of an answer: that of the chat's last event, else a plausible one.
    pub(crate) fn source_of(&self, prompt: &Prompt) -> Map<String, Value> {
        let key = (prompt.platform.clone(), prompt.chat_id.clone());
        let mut source = match self.sources.get(&key) {
            Some(known) => known.clone(),
            None => unknown_source(prompt),
        };
        if let Some(thread_id) = &prompt.thread_id {
            source.insert("thread_id".to_owned(), thread_id.as_str().into());
        }
        source
    }
}

/// Returns a plausible source for a chat without events so far.
fn unknown_source(prompt: &Prompt) -> Map<String, Value> {
    let is_it =
        |room: &crate::chats::Room| room.platform == prompt.platform && room.chat_id == prompt.chat_id;
    if let Some(room) = rooms().into_iter().find(is_it) {
        return room.source();
    }
    let mut source = json!({
        "platform": prompt.platform,
        "chat_id": prompt.chat_id,
        "chat_type": if prompt.scope_id.is_some() { "group" } else { "dm" },
        "user_id": prompt.user_id.as_deref().unwrap_or("1"),
    });
    if let Some(scope_id) = &prompt.scope_id {
        source["scope_id"] = scope_id.as_str().into();
        source["guild_id"] = scope_id.as_str().into();
    }
    source.as_object().cloned().unwrap_or_default()
}
