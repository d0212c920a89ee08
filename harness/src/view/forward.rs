//! Discord's interactions as events, as far as a view needs them: the chat, the author and the message.

use data_encoding::BASE64;
use relayline_core::json;
use serde_json::{Map, Value, json};

/// Types of interactions that make an event: commands, components, modals.
const EVENTS: [u64; 3] = [2, 3, 5];
/// Types of channels that are threads.
const THREADS: std::ops::RangeInclusive<u64> = 10..=12;

/// Returns the event of a forwarded interaction; `None` if it makes none.
pub(super) fn event_of(forward: &Map<String, Value>) -> Option<Value> {
    if forward.get("platform")? != "discord" {
        return None;
    }
    let body = BASE64.decode(forward.get("bodyB64")?.as_str()?.as_bytes()).ok()?;
    let body = json::parse(std::str::from_utf8(&body).ok()?).ok()?;
    if !body["type"].as_u64().is_some_and(|kind| EVENTS.contains(&kind)) {
        return None;
    }
    let user = if body["member"]["user"].is_object() { &body["member"]["user"] } else { &body["user"] };
    let is_thread = body["channel"]["type"].as_u64().is_some_and(|kind| THREADS.contains(&kind));
    let chat_type = match (is_thread, body["guild_id"].is_null()) {
        (true, _) => "thread",
        (false, true) => "dm",
        (false, false) => "group",
    };
    let mut source = json!({
        "platform": "discord", "chat_id": body["channel_id"], "chat_type": chat_type, "user_id": user["id"],
        "scope_id": body["guild_id"], "profile": forward.get("profile"), "message_id": body["id"],
    });
    if is_thread {
        source["thread_id"] = body["channel_id"].clone();
        source["parent_chat_id"] = body["channel"]["parent_id"].clone();
    }
    Some(json!({"source": source}))
}
