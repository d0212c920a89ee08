//! Messages as the host passes them in.

use relayline_core::descriptor::Descriptor;
use relayline_core::event::{Event, Source};
use relayline_core::output::DeliveryId;
use serde_json::{Map, Value};

/// Message, or answer to a prompt, with what its chat can show.
#[derive(Clone, PartialEq, Debug)]
pub struct AcpDelivery {
    /// Number of the delivery.
    pub id: DeliveryId,
    /// Key of the conversation.
    pub session_key: String,
    /// The message.
    pub event: Box<Event>,
    /// Features of its chat.
    pub abilities: ChatAbilities,
    /// True if it is delivered again after it is refused.
    pub is_buffered: bool,
}

impl AcpDelivery {
    /// Returns the number of bytes that it keeps alive.
    pub(crate) fn weight(&self) -> usize {
        self.event.weight() + self.session_key.len()
    }
}

/// Features of a chat that decide how a turn is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ChatAbilities {
    /// True if task cards are offered.
    pub task_cards: bool,
    /// True if sent messages can be edited.
    pub edits: bool,
}

impl ChatAbilities {
    /// Returns the features that a descriptor offers.
    pub fn of(descriptor: &Descriptor) -> ChatAbilities {
        ChatAbilities {
            task_cards: descriptor.supported_ops.iter().any(|op| op == "task_card"),
            edits: descriptor.supports_edit,
        }
    }
}

/// Place and author of the message that began a turn.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct TurnOrigin {
    pub(crate) delivery: DeliveryId,
    pub(crate) chat_id: String,
    /// Platform of the chat, if the gateway fronts it.
    platform: Option<String>,
    thread_id: Option<String>,
    message_id: Option<String>,
    /// Id of the author.
    user_id: Option<String>,
    pub(crate) abilities: ChatAbilities,
}

impl TurnOrigin {
    pub(crate) fn of(delivery: &AcpDelivery, platforms: &[String]) -> TurnOrigin {
        let Source { chat_id, thread_id, user_id, platform, .. } = &delivery.event.source;
        TurnOrigin {
            delivery: delivery.id,
            chat_id: chat_id.to_string(),
            platform: platforms.iter().find(|fronted| *fronted == platform.as_str()).cloned(),
            thread_id: thread_id.as_ref().map(ToString::to_string),
            message_id: delivery.event.any_message_id().map(ToString::to_string),
            user_id: user_id.as_ref().map(ToString::to_string),
            abilities: delivery.abilities,
        }
    }

    pub(crate) fn platform(&self) -> Option<String> {
        self.platform.clone()
    }

    pub(crate) fn message_id(&self) -> Option<String> {
        self.message_id.clone()
    }

    /// Returns the metadata that keeps an op in the message's thread.
    pub(crate) fn metadata(&self) -> Map<String, Value> {
        let thread = self.thread_id.iter().map(|id| ("thread_id".to_owned(), Value::from(id.as_str())));
        thread.collect()
    }

    /// Returns true if this user is the author of the message. A user without an id is nobody's equal, except in a chat
    /// whose platform has no ids of users.
    pub(crate) fn is_author(&self, source: &Source) -> bool {
        match (&self.user_id, &source.user_id) {
            (Some(author), Some(user)) => author == user.as_str(),
            (None, None) => self.chat_id == source.chat_id.as_str(),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}
