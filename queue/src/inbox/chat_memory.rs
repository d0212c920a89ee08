//! Memory of a chat, as it is stored.

use relayline_core::chats::Chat;
use relayline_core::event::CompactString;
use serde::{Deserialize, Serialize};

/// Beginning of the keys of chats.
const CHAT: &str = "chat/";

/// Returns the key of a chat in the host memory.
pub(super) fn chat_key(chat_id: &str) -> String {
    format!("{CHAT}{chat_id}")
}

/// Returns the chat of a key; `None` if it is the key of something else.
pub(super) fn chat_of_key(key: &str) -> Option<&str> {
    key.strip_prefix(CHAT)
}

/// Memory of a chat. Fields that are absent are left out.
#[derive(Serialize, Deserialize)]
struct Record {
    platform: CompactString,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chat_type: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_thread_id: Option<CompactString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_thread_name: Option<CompactString>,
}

/// Writes the memory of a chat.
pub(super) fn write(chat: Chat) -> String {
    let record = Record {
        platform: chat.platform,
        scope: chat.scope,
        author: chat.author,
        profile: chat.profile,
        parent: chat.parent,
        chat_type: chat.chat_type,
        message_id: chat.message_id,
        auto_thread_id: chat.auto_thread_id,
        auto_thread_name: chat.auto_thread_name,
    };
    // All keys are strings, so writing to memory does not fail.
    serde_json::to_string(&record).unwrap_or_default()
}

/// Reads the memory of a chat; `None` if it cannot be read.
pub(super) fn read(text: &str) -> Option<Chat> {
    let record: Record = serde_json::from_str(text).ok()?;
    let mut chat = Chat::new(record.platform);
    chat.scope = record.scope;
    chat.author = record.author;
    chat.profile = record.profile;
    chat.parent = record.parent;
    chat.chat_type = record.chat_type;
    chat.message_id = record.message_id;
    chat.auto_thread_id = record.auto_thread_id;
    chat.auto_thread_name = record.auto_thread_name;
    Some(chat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_is_read_as_it_was_written() {
        let mut chat = Chat::new("slack");
        assert_eq!(write(chat.clone()), r#"{"platform":"slack"}"#);
        assert_eq!(read(r#"{"platform":"slack","later":1}"#), Some(chat.clone()));
        for field in [
            &mut chat.scope,
            &mut chat.author,
            &mut chat.profile,
            &mut chat.parent,
            &mut chat.chat_type,
            &mut chat.message_id,
            &mut chat.auto_thread_id,
            &mut chat.auto_thread_name,
        ] {
            *field = Some("x".into());
        }
        assert_eq!(read(&write(chat.clone())), Some(chat));
        assert_eq!(read("{}"), None);
        assert_eq!(chat_of_key(&chat_key("a/b")), Some("a/b"));
    }
}
