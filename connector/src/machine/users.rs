//! Users on the platforms: messages and presses of buttons.

use super::ConnectorMachine;
use crate::chats::{Room, guest, lobby};
use crate::control::{ControlError, Press};
use crate::frame::DeliveryKind;
use crate::media::{File, Lookup};
use crate::press;
use crate::values::UserFile;
use relayline_core::event::UNNAMED_PLATFORM;
use relayline_core::time::Now;

impl ConnectorMachine {
    /// Delivers a message from a user, in a chat of the connected gateway's platform, or else of the first configured
    /// platform.
    ///
    /// # Errors
    /// The gateway is ambiguous: not exactly one is connected, and not exactly one is known. Or its buffer is full.
    pub fn say(&mut self, now: Now, text: &str) -> Result<(), ControlError> {
        let gateway = self.gateway_to_talk_to()?;
        let first_platform = || self.config.platforms.first().map(|platform| platform.name.clone());
        let platform = self.platform_of(&gateway).or_else(first_platform);
        let platform = platform.unwrap_or_else(|| UNNAMED_PLATFORM.to_owned());
        let room: Room = lobby(&platform).unwrap_or_else(guest);
        let mut event = room.message(self.responder.ids(), now, text);
        if let Some(source) = event.get_mut("source") {
            source["platform"] = platform.into();
        }
        self.deliver(now, &[gateway], DeliveryKind::Inbound, event, None)
    }

    /// Returns a new id for a message of a user. It differs from the ids of the messages that gateways send.
    pub fn message_id(&mut self, now: Now, platform: &str) -> String {
        let style = self.config.platform(platform).ids;
        self.responder.ids().next(style, now)
    }

    /// Adds a user's file, which a gateway can download under `/relay/media/` and the returned id. Returns `None` if it
    /// is too large.
    pub fn add_file(&mut self, now: Now, gateway: &str, file: UserFile) -> Option<String> {
        let limits = &self.config.limits;
        if file.content.len() > limits.media_file_bytes {
            return None;
        }
        let id = self.issuer.media_id();
        let file = File {
            gateway: gateway.to_owned(),
            content_type: file.content_type,
            name: file.name,
            content: file.content,
            expires: now.mono + self.config.media_ttl,
        };
        self.stats.evicted_media +=
            self.media.insert(id.clone(), file, limits.media_files, limits.media_bytes)?;
        Some(id)
    }

    /// Returns a file that a gateway has uploaded, or a user has added, as the platform shows it.
    pub fn file(&self, now: Now, gateway: &str, id: &str) -> Option<UserFile> {
        match self.media.find(id, gateway, now.mono) {
            Lookup::File(file) => Some(UserFile {
                content_type: file.content_type.clone(),
                name: file.name.clone(),
                content: file.content.clone(),
            }),
            Lookup::Gone | Lookup::Unknown => None,
        }
    }

    /// Returns the gateway that a message without an address is for: the only connected one, or else the only known
    /// one.
    fn gateway_to_talk_to(&self) -> Result<String, ControlError> {
        let connected: Vec<&String> =
            self.gateways.keys().filter(|id| self.platform_of(id).is_some()).collect();
        let known: Vec<&String> = self.gateways.keys().collect();
        match (connected.as_slice(), known.as_slice()) {
            ([id], _) | (_, [id]) => Ok((*id).clone()),
            (_, []) => Err(ControlError::NoGateway),
            (_, [_, _, ..]) => Err(ControlError::WhichGateway { known: self.known_ids() }),
        }
    }

    /// Returns the platform of the first hello on a gateway's connection; `None` if there was none.
    fn platform_of(&self, id: &str) -> Option<String> {
        self.connections.get(&self.gateways.get(id)?.conn?)?.default_platform.clone()
    }

    /// Delivers a user's press of a button of an open prompt. It closes the prompt, unless the buttons stay.
    pub(super) fn press(&mut self, now: Now, ids: &[String], press: &Press) -> Result<(), ControlError> {
        let prompt = self.prompts.find(ids, press.prompt_id.as_deref(), press.chat_id.as_deref())?.clone();
        let choice = prompt.choose(&press.option_id)?;
        let mut source = self.prompts.source_of(&prompt);
        if let Some(user_id) = &press.user_id {
            // These fields describe the chat's last author, who is another user.
            for name in ["user_name", "user_display_name", "user_handle", "user_id_alt"] {
                source.remove(name);
            }
            source.insert("user_id".to_owned(), user_id.as_str().into());
        }
        if let Some(user_name) = &press.user_name {
            source.insert("user_name".to_owned(), user_name.as_str().into());
        }
        let message_id = self.responder.ids().next(self.config.platform(&prompt.platform).ids, now);
        let (kind, content) = press::delivery(&prompt, choice, source, &message_id);
        self.deliver(now, std::slice::from_ref(&prompt.gateway), kind, content, press.buffered)?;
        if !press.stays_open {
            // A connector removes the buttons of an answered prompt.
            self.prompts.close(&prompt);
        }
        Ok(())
    }
}
