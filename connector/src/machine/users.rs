//! Users on the platforms: messages and presses of buttons.

use super::ConnectorMachine;
use crate::chats::{Room, guest, lobby};
use crate::control::{ControlError, Press};
use crate::frame::DeliveryKind;
use crate::press;
use relayline_core::time::Now;

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
        self.deliver(now, &ids, DeliveryKind::Inbound, event, None)
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
        let message_id = self.responder.ids().next(self.config.platform(&prompt.platform).ids, now);
        let (kind, content) = press::delivery(&prompt, choice, source, &message_id);
        self.deliver(now, std::slice::from_ref(&prompt.gateway), kind, content, press.buffered)?;
        // A platform removes the buttons of an answered prompt.
        self.prompts.close(&prompt);
        Ok(())
    }
}
