//! A Slack workspace with a channel, a thread and a direct message. Messages hold 40 000 characters.

use super::ids::IdStyle;
use super::platform::{Platform, ops_without};
use super::room::{Person, Room};
use serde_json::json;

const LIN: Person = Person { id: "U07LN8QK2VA", name: "lin" };

/// Returns Slack. A thread begins with a reply, so it has no op to create one.
pub fn platform() -> Platform {
    let descriptor = json!({
        "contract_version": 1,
        "platform": "slack",
        "label": "Slack",
        "max_message_length": 40000,
        "supports_draft_streaming": false,
        "supports_edit": true,
        "supports_threads": true,
        "markdown_dialect": "mrkdwn",
        "len_unit": "chars",
        "emoji": "💬",
        "platform_hint": "You are on Slack. Mentions use <@id>.",
        "pii_safe": false,
        "supports_inchannel_continuable": true,
        "supports_block_formatting": true,
        "supported_ops": ops_without(&["thread_create", "thread_rename", "draft"]),
    });
    Platform::new("slack", IdStyle::Timestamp, descriptor)
}

/// Returns a public channel.
pub fn channel() -> Room {
    Room {
        platform: "slack",
        ids: IdStyle::Timestamp,
        chat_id: "C07AB12CD3E",
        chat_type: "channel",
        chat_name: Some("platform"),
        topic: None,
        scope_id: Some("T02RELAYHQ1"),
        thread_id: None,
        parent_chat_id: None,
        person: LIN,
    }
}

/// Returns a thread in that channel, named by its first message.
pub fn thread() -> Room {
    Room { chat_type: "thread", thread_id: Some("1718900000.123456"), ..channel() }
}

/// Returns a direct message, which has a workspace, too.
pub fn dm() -> Room {
    Room { chat_id: "D07QW89ER4T", chat_type: "dm", chat_name: None, ..channel() }
}
