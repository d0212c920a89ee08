//! Chats of the fake platforms and their users, bounded.

use super::message::Message;
use relayline_connector::chats::{self, Room};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, VecDeque};

/// Maximum number of chats.
const MAX_CHATS: usize = 64;
/// Maximum number of users of a platform.
const MAX_PEOPLE: usize = 64;
/// Maximum number of messages of a chat; the oldest is dropped first.
const MAX_MESSAGES: usize = 500;
/// Maximum number of bytes of all messages; the oldest of the largest chat is dropped first.
const MAX_BYTES: usize = 16 << 20;
/// Maximum length of an id or a name, in bytes.
pub(crate) const MAX_NAME: usize = 512;

/// User of a platform.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// A chat and its messages.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Chat {
    /// Name of the chat in the workbench.
    pub(crate) key: String,
    pub(crate) platform: String,
    pub(crate) chat_id: String,
    /// `dm`, `group`, `channel`, `thread` or `forum`.
    pub(crate) chat_type: String,
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) topic: Option<String>,
    #[serde(skip)]
    pub(crate) scope_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) thread_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent_chat_id: Option<String>,
    /// The only user of a direct chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) only: Option<String>,
    /// Text of the typing sign and the time of its begin, while it is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) typing: Option<(String, u64)>,
    #[serde(skip)]
    pub(crate) messages: VecDeque<Message>,
}

impl Chat {
    fn of_room(room: &Room) -> Chat {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let is_dm = room.chat_type == "dm";
        let name = match room.topic.filter(|_| room.chat_type == "forum") {
            Some(topic) => format!("{} › {topic}", room.chat_name.unwrap_or_default()),
            None => room.chat_name.unwrap_or(room.person.name).to_owned(),
        };
        let thread_id = owned(room.thread_id);
        Chat {
            key: key(room.platform, room.chat_id, thread_id.as_deref()),
            platform: room.platform.to_owned(),
            chat_id: room.chat_id.to_owned(),
            chat_type: room.chat_type.to_owned(),
            name,
            topic: owned(room.topic),
            scope_id: owned(room.scope_id),
            thread_id,
            parent_chat_id: owned(room.parent_chat_id),
            only: is_dm.then(|| room.person.id.to_owned()),
            typing: None,
            messages: VecDeque::new(),
        }
    }

    /// Creates a chat that is known by its id alone.
    pub(crate) fn unknown(platform: &str, chat_id: &str, scope_id: Option<String>) -> Chat {
        let chat_type = if scope_id.is_some() { "group" } else { "dm" };
        Chat {
            key: key(platform, chat_id, None),
            platform: platform.to_owned(),
            chat_id: chat_id.to_owned(),
            chat_type: chat_type.to_owned(),
            name: chat_id.to_owned(),
            topic: None,
            scope_id,
            thread_id: None,
            parent_chat_id: None,
            only: None,
            typing: None,
            messages: VecDeque::new(),
        }
    }

    /// Returns the same place with a thread of its own: a thread of Discord or a topic of Telegram.
    pub(crate) fn thread(&self, thread_id: &str, name: &str) -> Chat {
        let is_topic = self.platform == "telegram";
        let chat_id = if is_topic { &self.chat_id } else { thread_id };
        Chat {
            key: key(&self.platform, chat_id, Some(thread_id)),
            chat_id: chat_id.to_owned(),
            chat_type: if is_topic { "forum" } else { "thread" }.to_owned(),
            name: name.to_owned(),
            topic: is_topic.then(|| name.to_owned()),
            thread_id: Some(thread_id.to_owned()),
            parent_chat_id: (!is_topic).then(|| self.chat_id.clone()),
            typing: None,
            messages: VecDeque::new(),
            ..self.clone()
        }
    }

    /// Returns the source of an event of this person. `thread` is a thread within the chat.
    pub(crate) fn source(&self, person: &Person, thread: Option<&str>) -> Map<String, Value> {
        let mut source = Map::new();
        let mut put = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                source.insert(name.to_owned(), value.into());
            }
        };
        put("platform", Some(&self.platform));
        put("chat_id", Some(&self.chat_id));
        put("chat_type", Some(&self.chat_type));
        put("chat_name", Some(&self.name).filter(|_| self.chat_type != "dm").map(String::as_str));
        put("chat_topic", self.topic.as_deref());
        put("user_id", Some(&person.id));
        put("user_name", Some(&person.name));
        put("thread_id", thread.or(self.thread_id.as_deref()));
        put("parent_chat_id", self.parent_chat_id.as_deref());
        // Gateways older than `scope_id` read `guild_id` (E-5).
        put("scope_id", self.scope_id.as_deref());
        put("guild_id", self.scope_id.as_deref());
        source
    }

    pub(crate) fn find(&mut self, message: &str) -> Option<&mut Message> {
        self.messages.iter_mut().rev().find(|known| known.key == message)
    }
}

/// Returns the key of a chat. The topics of a Telegram group share its id.
fn key(platform: &str, chat_id: &str, thread_id: Option<&str>) -> String {
    match thread_id.filter(|thread| *thread != chat_id) {
        Some(thread) => format!("{platform}/{chat_id}/{thread}"),
        None => format!("{platform}/{chat_id}"),
    }
}

/// Chats, oldest first, and the users of each platform.
#[derive(Debug)]
pub(crate) struct Chats {
    chats: Vec<Chat>,
    people: BTreeMap<String, Vec<Person>>,
    bytes: usize,
    /// Number of messages that were dropped to make room.
    dropped: u64,
}

impl Chats {
    /// Returns the chats of the fake platforms, with two users each.
    pub(crate) fn of_fakes() -> Chats {
        // The threads of Slack are within their channel.
        let rooms = chats::rooms();
        let rooms = rooms.iter().filter(|room| room.platform != "slack" || room.thread_id.is_none());
        let mut people: BTreeMap<String, Vec<Person>> = BTreeMap::new();
        for room in rooms.clone() {
            let person = Person { id: room.person.id.to_owned(), name: room.person.name.to_owned() };
            let known = people.entry(room.platform.to_owned()).or_default();
            if !known.contains(&person) {
                known.push(person);
            }
        }
        for (platform, id, name) in [
            ("discord", "304255221017214978", "grace"),
            ("telegram", "223456789", "Ming"),
            ("slack", "U07SAM42K9Q", "sam"),
        ] {
            let person = Person { id: id.to_owned(), name: name.to_owned() };
            people.entry(platform.to_owned()).or_default().push(person);
        }
        Chats { chats: rooms.map(Chat::of_room).collect(), people, bytes: 0, dropped: 0 }
    }

    pub(crate) fn all(&self) -> &[Chat] {
        &self.chats
    }

    pub(crate) fn people(&self) -> &BTreeMap<String, Vec<Person>> {
        &self.people
    }

    /// Returns the number of messages that were dropped to make room.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Chat> {
        self.chats.iter().find(|chat| chat.key == key)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Chat> {
        self.chats.iter_mut().find(|chat| chat.key == key)
    }

    pub(crate) fn person(&self, platform: &str, id: &str) -> Option<&Person> {
        self.people.get(platform)?.iter().find(|person| person.id == id)
    }

    /// Returns the key of the chat with this id on the platform, and the thread within it. The chats of topics and
    /// threads come first.
    pub(crate) fn place(
        &self,
        platform: &str,
        chat_id: &str,
        thread: Option<&str>,
    ) -> Option<(String, Option<String>)> {
        let in_chat = |chat: &&Chat| chat.platform == platform && chat.chat_id == chat_id;
        let mut all = self.chats.iter().filter(in_chat);
        let exact = all.clone().find(|chat| chat.thread_id.as_deref() == thread && thread.is_some());
        if let Some(exact) = exact {
            return Some((exact.key.clone(), None));
        }
        let plain = all.clone().find(|chat| chat.thread_id.is_none()).or_else(|| all.next())?;
        let thread = thread.filter(|_| platform == "slack").map(str::to_owned);
        Some((plain.key.clone(), thread))
    }

    /// Adds a chat; does nothing if it is there.
    ///
    /// # Errors
    /// There is no room.
    pub(crate) fn add(&mut self, chat: Chat) -> Result<(), String> {
        if self.get(&chat.key).is_some() {
            return Ok(());
        }
        if self.chats.len() >= MAX_CHATS {
            return Err(format!(
                "there are {MAX_CHATS} chats already: start the workbench again for fresh ones"
            ));
        }
        // A thread stands below its chat.
        let after = self.chats.iter().rposition(|other| {
            other.platform == chat.platform
                && (chat.parent_chat_id.as_deref() == Some(&other.chat_id) || other.chat_id == chat.chat_id)
        });
        let last = self.chats.iter().rposition(|other| other.platform == chat.platform);
        let at = after.or(last).map_or(self.chats.len(), |at| at + 1);
        self.chats.insert(at, chat);
        Ok(())
    }

    /// Adds a user to a platform.
    ///
    /// # Errors
    /// There is no room.
    pub(crate) fn add_person(&mut self, platform: &str, person: Person) -> Result<(), String> {
        let people = self.people.entry(platform.to_owned()).or_default();
        if people.len() >= MAX_PEOPLE {
            return Err(format!("there are {MAX_PEOPLE} users on {platform} already"));
        }
        people.push(person);
        Ok(())
    }

    /// Adds a message, or replaces the one with its key. Returns the keys of the chats and messages that were dropped to
    /// make room.
    pub(crate) fn put(&mut self, chat: &str, message: Message) -> Vec<(String, String)> {
        let weight = message.weight();
        let Some(into) = self.get_mut(chat) else { return Vec::new() };
        let before = match into.find(&message.key) {
            Some(known) => std::mem::replace(known, message).weight(),
            None => {
                into.messages.push_back(message);
                0
            }
        };
        self.bytes = (self.bytes + weight).saturating_sub(before);
        let mut dropped = Vec::new();
        while let Some(fullest) = self.overfull() {
            let Some(oldest) = fullest.messages.pop_front() else { break };
            dropped.push((fullest.key.clone(), oldest.key.clone()));
            self.bytes = self.bytes.saturating_sub(oldest.weight());
            self.dropped += 1;
        }
        dropped
    }

    /// Removes a message that is not shown any more.
    pub(crate) fn remove(&mut self, chat: &str, message: &str) {
        let Some(from) = self.get_mut(chat) else { return };
        let Some(at) = from.messages.iter().position(|known| known.key == message) else { return };
        let removed = from.messages.remove(at).map_or(0, |removed| removed.weight());
        self.bytes = self.bytes.saturating_sub(removed);
    }

    /// Returns the chat whose oldest message must go, if one must.
    fn overfull(&mut self) -> Option<&mut Chat> {
        let is_full = self.bytes > MAX_BYTES;
        let weight = |chat: &Chat| chat.messages.iter().map(Message::weight).sum::<usize>();
        if let Some(at) = self.chats.iter().position(|chat| chat.messages.len() > MAX_MESSAGES) {
            return self.chats.get_mut(at);
        }
        // One message always stays.
        self.chats
            .iter_mut()
            .filter(|chat| is_full && chat.messages.len() > 1)
            .max_by_key(|chat| weight(chat))
    }
}
