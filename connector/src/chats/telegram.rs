//! A Telegram supergroup, a forum topic and a private chat. Messages hold 4096 UTF-16 code units.

use super::ids::IdStyle;
use super::platform::{Platform, ops_without};
use super::room::{Person, Room};
use serde_json::json;

const ZOYA: Person = Person { id: "123456789", name: "Зоя" };

/// Returns Telegram, the only one of the three with drafts.
pub fn platform() -> Platform {
    let descriptor = json!({
        "contract_version": 1,
        "platform": "telegram",
        "label": "Telegram",
        "max_message_length": 4096,
        "supports_draft_streaming": true,
        "supports_edit": true,
        "supports_threads": true,
        "markdown_dialect": "markdown_v2",
        "len_unit": "utf16",
        "emoji": "✈️",
        "platform_hint": "",
        "pii_safe": true,
        "supported_ops": ops_without(&["follow_up", "task_card"]),
    });
    Platform::new("telegram", IdStyle::Counter, descriptor)
}

/// Returns a supergroup. Its id is negative and starts with -100.
pub fn supergroup() -> Room {
    Room {
        platform: "telegram",
        ids: IdStyle::Counter,
        chat_id: "-1001234567890",
        chat_type: "group",
        chat_name: Some("Reading circle"),
        topic: None,
        scope_id: None,
        thread_id: None,
        parent_chat_id: None,
        person: ZOYA,
    }
}

/// Returns a topic of a forum. The chat is the forum's, the thread the topic's.
pub fn topic() -> Room {
    Room {
        chat_id: "-1001987654321",
        chat_type: "forum",
        chat_name: Some("Команда 🚀"),
        topic: Some("Релизы"),
        thread_id: Some("42"),
        ..supergroup()
    }
}

/// Returns a private chat. Its id is the user's.
pub fn dm() -> Room {
    Room { chat_id: ZOYA.id, chat_type: "dm", chat_name: None, ..supergroup() }
}
