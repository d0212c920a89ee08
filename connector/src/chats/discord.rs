//! A Discord guild with a channel and a thread, and a direct message. Messages hold 2000 characters.

use super::ids::IdStyle;
use super::platform::{Platform, ops_without};
use super::room::{Person, Room};
use serde_json::json;

const ADA: Person = Person { id: "204255221017214977", name: "ada" };
const GUILD: &str = "987654321098765432";
const GENERAL: &str = "1234567890123456789";

/// Returns Discord, without drafts and task cards.
pub fn platform() -> Platform {
    let descriptor = json!({
        "contract_version": 1,
        "platform": "discord",
        "label": "Discord",
        "max_message_length": 2000,
        "supports_draft_streaming": false,
        "supports_edit": true,
        "supports_threads": true,
        "markdown_dialect": "discord",
        "len_unit": "chars",
        "emoji": "👾",
        "platform_hint": "You are on Discord. Mentions use <@id>.",
        "pii_safe": false,
        "supports_context": true,
        "supported_ops": ops_without(&["draft", "task_card"]),
    });
    Platform::new("discord", IdStyle::Snowflake, descriptor)
}

/// Returns the channel `#general` of the guild.
pub fn guild_channel() -> Room {
    Room {
        platform: "discord",
        ids: IdStyle::Snowflake,
        chat_id: GENERAL,
        chat_type: "group",
        chat_name: Some("general"),
        topic: Some("General chat – be nice"),
        scope_id: Some(GUILD),
        thread_id: None,
        parent_chat_id: None,
        person: ADA,
    }
}

/// Returns a thread under `#general`. Its chat id is the thread's own.
pub fn thread() -> Room {
    const THREAD: &str = "1234567890123456790";
    Room {
        chat_id: THREAD,
        chat_type: "thread",
        chat_name: Some("release plan"),
        topic: None,
        thread_id: Some(THREAD),
        parent_chat_id: Some(GENERAL),
        ..guild_channel()
    }
}

/// Returns a direct message, which has no guild.
pub fn dm() -> Room {
    Room {
        chat_id: "1100000000000000007",
        chat_type: "dm",
        chat_name: None,
        topic: None,
        scope_id: None,
        ..guild_channel()
    }
}
