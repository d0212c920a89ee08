//! Places of answers (M-1, M-3, M-7, M-8, D-9): the chats, the descriptors of the connection, and the deliveries that
//! can be answered.

use relayline_core::command::Metadata;
use relayline_core::config::Config;
use relayline_core::event::Event;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};

/// Maximum length of a remembered id.
const MAX_ID_BYTES: usize = 1024;
/// Platform of an event that names none.
const UNNAMED_PLATFORM: &str = "relay";
const SLACK: &str = "slack";

/// Last known facts about a chat (M-1).
#[derive(Clone, Debug, Default)]
struct ChatMemory {
    platform: Option<String>,
    is_dm: bool,
    /// Last message in the chat, on Slack only.
    message: Option<String>,
}

/// Features of a platform's descriptor that answers depend on (D-6).
#[derive(Clone, Debug)]
pub(super) struct PlatformFeatures {
    platform: String,
    drafts: bool,
    pub(super) edits: bool,
    pub(super) reacts: bool,
}

impl PlatformFeatures {
    fn read(descriptor: &Value) -> PlatformFeatures {
        let names = |op: &str| {
            let ops = descriptor["supported_ops"].as_array();
            ops.is_some_and(|ops| ops.iter().any(|known| known == op))
        };
        PlatformFeatures {
            platform: descriptor["platform"].as_str().unwrap_or_default().to_owned(),
            drafts: descriptor["supports_draft_streaming"] == true && names("draft"),
            edits: descriptor["supports_edit"] == true,
            reacts: names("react"),
        }
    }

    pub(super) fn is_slack(&self) -> bool {
        self.platform == SLACK
    }

    pub(super) fn is_telegram(&self) -> bool {
        self.platform == "telegram"
    }

    /// Returns true if a stream with this metadata uses drafts (O-12).
    pub(super) fn drafts(&self, metadata: &Metadata) -> bool {
        let unfurls = ["unfurl_links", "unfurl_media"].iter().any(|name| is_set(metadata, name));
        self.drafts && !(unfurls && self.is_slack())
    }
}

/// Place of a delivered message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Target {
    /// Its platform, if this gateway fronts it.
    pub(super) platform: Option<String>,
    pub(super) chat: String,
    pub(super) thread: Option<String>,
    pub(super) message: Option<String>,
}

/// Effect of M-8 on the place of an op.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Anchor {
    AsGiven,
    Thread(String),
    Flat,
}

impl Anchor {
    pub(super) fn thread(&self) -> Option<String> {
        match self {
            Anchor::Thread(thread) => Some(thread.clone()),
            Anchor::AsGiven | Anchor::Flat => None,
        }
    }
}

#[derive(Debug)]
pub(super) struct Places {
    chats: BTreeMap<String, ChatMemory>,
    max_chats: usize,
    replies_in_thread: bool,
    fronted: Vec<String>,
    /// Features by the connection's descriptors, the default first (D-8).
    features: Vec<PlatformFeatures>,
    targets: VecDeque<(u64, usize, Target)>,
    target_bytes: usize,
    max_targets: usize,
    max_target_bytes: usize,
}

impl Places {
    pub(super) fn new(config: &Config) -> Places {
        Places {
            chats: BTreeMap::new(),
            max_chats: config.limits.chats,
            replies_in_thread: config.slack_reply_in_thread,
            fronted: config.identities.iter().map(|identity| identity.platform.clone()).collect(),
            features: Vec::new(),
            targets: VecDeque::new(),
            target_bytes: 0,
            max_targets: config.limits.reply_targets,
            max_target_bytes: config.limits.reply_target_bytes,
        }
    }

    /// Returns true if no chat was forgotten, so that the memory of chats is known.
    pub(super) fn is_sure(&self) -> bool {
        self.chats.len() <= self.max_chats
    }

    /// Remembers the chat of an event.
    pub(super) fn seen(&mut self, event: &Value) {
        let source = &event["source"];
        let fits = |text: Option<String>| text.filter(|text| text.len() <= MAX_ID_BYTES);
        let platform = fits(id(&source["platform"]));
        let is_slack = platform.as_deref() == Some(SLACK);
        let kind = id(&source["chat_type"]).unwrap_or_else(|| "dm".to_owned());
        let message = fits(id(&event["message_id"])).filter(|_| is_slack);
        self.note(&id(&source["chat_id"]).unwrap_or_default(), platform, kind == "dm", message);
    }

    /// Remembers the chat of a Discord interaction, which is in a guild (P-7).
    pub(super) fn seen_interaction(&mut self, chat: &str) {
        self.note(chat, Some("discord".to_owned()), false, None);
    }

    fn note(&mut self, chat: &str, platform: Option<String>, is_dm: bool, message: Option<String>) {
        if chat.is_empty() {
            return;
        }
        let seen = self.chats.entry(chat.to_owned()).or_default();
        let named = |name: &Option<String>| name.clone().filter(|name| name != UNNAMED_PLATFORM);
        if let (Some(before), Some(now)) = (named(&seen.platform), named(&platform))
            && before != now
        {
            // A chat of another platform with the same id.
            *seen = ChatMemory::default();
        }
        seen.platform = platform.or(seen.platform.take());
        seen.is_dm = is_dm;
        seen.message = message.or(seen.message.take());
    }

    /// Remembers a primed chat (M-6).
    pub(super) fn primed(&mut self, chat: &str, platform: &str) {
        let seen = ChatMemory { platform: Some(platform.to_owned()), ..ChatMemory::default() };
        self.chats.insert(chat.to_owned(), seen);
    }

    pub(super) fn dialed(&mut self) {
        self.features.clear();
    }

    /// Adds a usable descriptor. The first of its platform counts, at most one per identity (D-8).
    pub(super) fn described(&mut self, descriptor: &Value) {
        let offer = PlatformFeatures::read(descriptor);
        let is_known = self.features.iter().any(|known| known.platform == offer.platform);
        if !is_known && self.features.len() < self.fronted.len() {
            self.features.push(offer);
        }
    }

    /// Returns the features of a chat (D-9): of the named platform, else of the platform it was last seen on.
    pub(super) fn offer(&self, chat: &str, platform: Option<&str>) -> Option<&PlatformFeatures> {
        let last_seen = || self.chats.get(chat)?.platform.as_deref();
        let of = platform.or_else(last_seen);
        let known = of.and_then(|of| self.features.iter().find(|offer| offer.platform == of));
        known.or(self.features.first())
    }

    /// Returns the platform tag of an op (M-3).
    pub(super) fn tag(&self, chat: &str, platform: Option<&str>) -> Option<String> {
        let last_seen = || self.chats.get(chat)?.platform.as_deref();
        let of = platform.or_else(last_seen)?;
        self.fronted.iter().find(|fronted| *fronted == of).cloned()
    }

    fn is_on_slack(&self, chat: &str, platform: Option<&str>) -> bool {
        let last_seen = || self.chats.get(chat)?.platform.as_deref();
        platform.or_else(last_seen) == Some(SLACK)
    }

    /// Returns the anchor of an op that answers a message on Slack (M-8).
    pub(super) fn anchor(
        &self,
        chat: &str,
        platform: Option<&str>,
        reply_to: Option<&str>,
        metadata: &Metadata,
    ) -> Anchor {
        let Some(message) = reply_to.filter(|message| !message.is_empty()) else { return Anchor::AsGiven };
        if has_thread(metadata) || !self.is_on_slack(chat, platform) {
            return Anchor::AsGiven;
        }
        let is_dm = self.chats.get(chat).is_some_and(|seen| seen.is_dm);
        match is_dm && !self.replies_in_thread {
            true => Anchor::Flat,
            false => Anchor::Thread(message.to_owned()),
        }
    }

    /// Returns the message that anchors a typing indicator in a direct message on Slack (M-8).
    pub(super) fn typing_thread(&self, chat: &str, platform: Option<&str>) -> Option<String> {
        let seen = self.chats.get(chat).filter(|seen| seen.is_dm && self.is_on_slack(chat, platform))?;
        seen.message.clone()
    }

    /// Remembers a delivered message, which can be answered from now on (M-7).
    pub(super) fn delivered(&mut self, delivery: u64, event: &Event) {
        let source = &event.source;
        let platform = Some(&*source.platform).filter(|platform| *platform != UNNAMED_PLATFORM);
        let (thread_id, message_id) = (source.thread_id.as_deref(), event.message_id.as_deref());
        let texts = [platform, Some(&*source.chat_id), thread_id, message_id];
        if texts.iter().flatten().any(|text| text.len() > MAX_ID_BYTES) {
            return;
        }
        let weight = texts.iter().flatten().map(|text| text.len()).sum::<usize>();
        while self.targets.len() >= self.max_targets
            || (!self.targets.is_empty() && self.target_bytes + weight > self.max_target_bytes)
        {
            let gone = self.targets.pop_front().map_or(0, |(_, weight, _)| weight);
            self.target_bytes -= gone;
        }
        self.target_bytes += weight;
        let own = |text: Option<&str>| text.map(str::to_owned);
        let target = Target {
            platform: own(platform).filter(|platform| self.fronted.contains(platform)),
            chat: source.chat_id.to_string(),
            thread: own(source.thread_id.as_deref()),
            message: own(event.message_id.as_deref()),
        };
        self.targets.push_back((delivery, weight, target));
    }

    pub(super) fn target(&self, delivery: u64) -> Option<&Target> {
        self.targets.iter().rev().find(|(number, ..)| *number == delivery).map(|(_, _, target)| target)
    }

    pub(super) fn targets(&self) -> usize {
        self.targets.len()
    }

    pub(super) fn target_bytes(&self) -> usize {
        self.target_bytes
    }
}

/// Returns true if metadata names a thread.
pub(super) fn has_thread(metadata: &Metadata) -> bool {
    is_set(metadata, "thread_id") || is_set(metadata, "thread_ts")
}

fn is_set(metadata: &Metadata, name: &str) -> bool {
    metadata.get(name).is_some_and(|value| !value.is_null() && value != "")
}

/// Returns an id: a non-empty string, or an integer (W-8).
pub(super) fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    }
}
