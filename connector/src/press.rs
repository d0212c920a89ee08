//! Presses of buttons, as deliveries of their platform.

use crate::frame::DeliveryKind;
use crate::prompts::{Choice, Prompt};
use data_encoding::BASE64;
use serde_json::{Map, Value, json};

/// Discord's types of channels (P-7).
const GUILD_TEXT: u8 = 0;
const DM: u8 = 1;
const PUBLIC_THREAD: u8 = 11;

/// Returns the delivery of a press: a forwarded interaction on Discord, an event elsewhere.
pub(crate) fn delivery(
    prompt: &Prompt,
    choice: &Choice,
    source: Map<String, Value>,
    message_id: &str,
) -> (DeliveryKind, Map<String, Value>) {
    match prompt.platform.as_str() {
        "discord" => (DeliveryKind::Passthrough, interaction(prompt, choice, &source, message_id)),
        _ => (DeliveryKind::Inbound, answer(prompt, choice, source, message_id)),
    }
}

/// Returns a press as most connectors send it: the option as a command, with a `prompt_response`.
fn answer(
    prompt: &Prompt,
    choice: &Choice,
    mut source: Map<String, Value>,
    message_id: &str,
) -> Map<String, Value> {
    source.insert("message_id".to_owned(), message_id.into());
    let mut response = json!({
        "prompt_id": prompt.prompt_id,
        "option_id": choice.id,
        "label": choice.label,
    });
    if let Some(shown_as) = &prompt.message_id {
        response["prompt_message_id"] = shown_as.as_str().into();
    }
    let event = json!({
        "text": format!("/{}", choice.id),
        "message_type": "command",
        "message_id": message_id,
        "source": source,
        "prompt_response": response,
    });
    event.as_object().cloned().unwrap_or_default()
}

/// Returns a press on Discord: a forwarded interaction of type 3 (P-4, P-7), without its token (P-8).
fn interaction(
    prompt: &Prompt,
    choice: &Choice,
    source: &Map<String, Value>,
    message_id: &str,
) -> Map<String, Value> {
    let text = |name: &str| source.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let guild = text("scope_id").or(text("guild_id"));
    let parent = text("parent_chat_id");
    let kind = match (text("chat_type"), guild) {
        (Some("thread"), _) => PUBLIC_THREAD,
        (_, Some(_)) => GUILD_TEXT,
        (_, None) => DM,
    };
    let mut channel = json!({ "id": prompt.chat_id, "type": kind });
    if let Some(parent) = parent.filter(|_| kind == PUBLIC_THREAD) {
        channel["parent_id"] = parent.into();
    }
    let mut user = json!({ "id": text("user_id").unwrap_or("1") });
    for (field, name) in [("username", "user_name"), ("global_name", "user_display_name")] {
        if let Some(name) = text(name) {
            user[field] = name.into();
        }
    }
    let mut body = json!({
        "id": message_id,
        "application_id": prompt.bot_id,
        "type": 3,
        "channel_id": prompt.chat_id,
        "channel": channel,
        "message": { "id": prompt.message_id },
        "data": {
            "component_type": 2,
            "custom_id": format!("hp1:{}:{}", prompt.prompt_id, choice.id),
        },
    });
    match guild {
        Some(guild) => {
            body["guild_id"] = guild.into();
            body["member"] = json!({ "user": user });
        }
        None => body["user"] = user,
    }
    let mut forward = json!({
        "platform": prompt.platform,
        "botId": prompt.bot_id,
        "method": "POST",
        "path": "/interactions",
        "headers": [["content-type", "application/json"]],
        "bodyB64": BASE64.encode(body.to_string().as_bytes()),
    });
    if let Some(profile) = text("profile") {
        forward["profile"] = profile.into();
    }
    forward.as_object().cloned().unwrap_or_default()
}
