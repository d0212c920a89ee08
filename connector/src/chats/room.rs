//! A chat, and the events of its users.

use super::ids::{IdStyle, Ids};
use relayline_core::time::Now;
use serde_json::{Map, Value};

/// A user in a chat.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Person {
    /// Id of the user on the platform.
    pub id: &'static str,
    /// Name that others see.
    pub name: &'static str,
}

/// A chat on a fake platform. Its fields are those of an event's `source`; `None` is left out.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Room {
    /// Platform: `discord`, `telegram` or `slack`.
    pub platform: &'static str,
    /// Style of the platform's message ids.
    pub ids: IdStyle,
    /// Id of the chat.
    pub chat_id: &'static str,
    /// Type of the chat: `dm`, `group`, `channel`, `thread` or `forum`.
    pub chat_type: &'static str,
    /// Name of the chat. A direct message has none.
    pub chat_name: Option<&'static str>,
    /// Topic of the channel, or name of the forum's topic.
    pub topic: Option<&'static str>,
    /// Id of the guild or workspace.
    pub scope_id: Option<&'static str>,
    /// Id of the thread, or of the forum's topic.
    pub thread_id: Option<&'static str>,
    /// Id of the chat that holds the thread.
    pub parent_chat_id: Option<&'static str>,
    /// Default author of messages.
    pub person: Person,
}

impl Room {
    /// Returns the event of a message from the room's [`person`](Self::person).
    pub fn message(&self, ids: &mut Ids, now: Now, text: &str) -> Map<String, Value> {
        self.message_from(&self.person, ids, now, text)
    }

    /// Returns the event of a message from `person`. A text that starts with a slash is a `command`.
    pub fn message_from(&self, person: &Person, ids: &mut Ids, now: Now, text: &str) -> Map<String, Value> {
        let message_id = ids.next(self.ids, now);
        let mut source = self.source_of(person);
        source.insert("message_id".to_owned(), message_id.as_str().into());
        let mut event = Map::new();
        event.insert("text".to_owned(), text.into());
        let kind = if text.starts_with('/') { "command" } else { "text" };
        event.insert("message_type".to_owned(), kind.into());
        event.insert("message_id".to_owned(), message_id.into());
        event.insert("source".to_owned(), source.into());
        event
    }

    /// Returns the `source` of the person's events, without a message id.
    pub fn source(&self) -> Map<String, Value> {
        self.source_of(&self.person)
    }

    fn source_of(&self, person: &Person) -> Map<String, Value> {
        let mut source = Map::new();
        let mut put = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                source.insert(name.to_owned(), value.into());
            }
        };
        put("platform", Some(self.platform));
        put("chat_id", Some(self.chat_id));
        put("chat_type", Some(self.chat_type));
        put("chat_name", self.chat_name);
        put("chat_topic", self.topic);
        put("user_id", Some(person.id));
        put("user_name", Some(person.name));
        put("thread_id", self.thread_id);
        put("parent_chat_id", self.parent_chat_id);
        // Both names are sent, because gateways older than `scope_id` read `guild_id` (E-5).
        put("scope_id", self.scope_id);
        put("guild_id", self.scope_id);
        source
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chats::{discord, rooms, telegram};
    use serde_json::json;

    #[test]
    fn e_5_a_scope_is_sent_under_both_names() {
        let mut ids = Ids::new([0; 32]);
        let now = Now { unix_s: 1_718_900_000, ..Now::default() };
        for room in rooms() {
            let event = room.message(&mut ids, now, "hi");
            let source = &event["source"];
            assert_eq!(source.get("scope_id"), source.get("guild_id"), "{room:?}");
            assert_eq!(source.get("scope_id").is_some(), room.scope_id.is_some(), "{room:?}");
        }
    }

    #[test]
    fn e_1_an_event_has_only_fields_that_apply() {
        let mut ids = Ids::new([0; 32]);
        let now = Now { unix_s: 1_718_900_000, ..Now::default() };
        let check = |event: Map<String, Value>, expected: Value| assert_eq!(Value::Object(event), expected);
        check(
            telegram::topic().message(&mut ids, now, "/status"),
            json!({"text": "/status", "message_type": "command", "message_id": "1001", "source": {
                "platform": "telegram", "chat_id": "-1001987654321", "chat_type": "forum", "chat_name": "Команда 🚀",
                "chat_topic": "Релизы", "user_id": "123456789", "user_name": "Зоя", "thread_id": "42", "message_id": "1001"}}),
        );
        check(
            discord::dm().message(&mut ids, now, "psst"),
            json!({"text": "psst", "message_type": "text", "message_id": "1253382186598400000", "source": {
                "platform": "discord", "chat_id": "1100000000000000007", "chat_type": "dm",
                "user_id": "204255221017214977", "user_name": "ada", "message_id": "1253382186598400000"}}),
        );
    }
}
