//! Users on the platforms: messages and presses of buttons.

use super::ConnectorMachine;
use super::frames::front;
use crate::buffer::Kind;
use crate::chats::{Room, guest, lobby};
use crate::control::{ControlError, Press};
use crate::prompts::{Choice, Prompt};
use data_encoding::BASE64;
use relayline_core::time::Now;
use serde_json::{Map, Value, json};

/// Discord's types of channels (P-7).
const GUILD_TEXT: u8 = 0;
const DM: u8 = 1;
const PUBLIC_THREAD: u8 = 11;

impl ConnectorMachine {
    /// Delivers a message from a user, in a chat of the connected gateway's platform, else of the first platform.
    ///
    /// # Errors
    /// Fails if it is not clear for which gateway it is, or if that gateway's buffer is full.
    pub fn say(&mut self, now: Now, text: &str) -> Result<(), ControlError> {
        let known: Vec<String> = self.gateways.keys().cloned().collect();
        let connected: Vec<String> =
            known.iter().filter(|id| self.platform_of(id).is_some()).cloned().collect();
        let ids = if connected.len() == 1 { connected } else { known };
        let [id] = ids.as_slice() else {
            return Err(match self.gateways.is_empty() {
                true => ControlError::NoGateway,
                false => ControlError::WhichGateway { known: self.known_ids() },
            });
        };
        let first = || self.config.platforms.first().map(|platform| platform.name.clone());
        let platform = self.platform_of(id).or_else(first).unwrap_or_else(|| "relay".to_owned());
        let room: Room = lobby(&platform).unwrap_or_else(guest);
        let mut event = room.message(self.responder.ids(), now, text);
        if let Some(source) = event.get_mut("source") {
            source["platform"] = platform.into();
        }
        self.deliver(now, &ids, Kind::Inbound, event, None)
    }

    /// Returns the platform of the first hello on a gateway's connection.
    fn platform_of(&self, id: &str) -> Option<String> {
        self.connections.get(&self.gateways.get(id)?.conn?)?.default_platform.clone()
    }

    /// Delivers a user's press of a button of an open prompt.
    pub(super) fn press(&mut self, now: Now, ids: &[String], press: &Press) -> Result<(), ControlError> {
        let prompt = self.prompts.find(ids, press.prompt_id.as_deref(), press.chat_id.as_deref())?.clone();
        let choice = prompt.choose(&press.option_id)?;
        let mut source = self.prompts.source_of(&prompt);
        if let Some(user_id) = &press.user_id {
            for name in ["user_name", "user_display_name", "user_handle", "user_id_alt"] {
                source.remove(name);
            }
            source.insert("user_id".to_owned(), user_id.as_str().into());
        }
        if let Some(user_name) = &press.user_name {
            source.insert("user_name".to_owned(), user_name.as_str().into());
        }
        let message_id = self.responder.ids().next(front(&self.config.platforms, &prompt.platform).ids, now);
        let (kind, content) = match prompt.platform.as_str() {
            "discord" => (Kind::Passthrough, interaction(&prompt, choice, &source, &message_id)),
            _ => (Kind::Inbound, answer(&prompt, choice, source, &message_id)),
        };
        self.deliver(now, std::slice::from_ref(&prompt.gateway), kind, content, press.buffered)?;
        // A platform removes the buttons of an answered prompt.
        self.prompts.close(&prompt);
        Ok(())
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
