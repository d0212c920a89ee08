//! What can be said of a request beside what it needs.

use super::Request;
use relayline_core::command::{
    Card, ChatInfo, Delete, Draft, Edit, FollowUp, Interrupt, MediaKind, Raw, React, Send, SendMedia,
    TaskCard, TaskCardStop, ThreadCreate, ThreadRename, Typing,
};
use relayline_core::output::DeliveryId;
use relayline_core::prompts::{Prompt, PromptKind, PromptOption};
use serde_json::Value;
use std::time::Duration;

/// Options that several ops have.
macro_rules! shared {
    (platform: $($op:ident)*) => {$(
        impl Request<$op> {
            /// On this platform; by default on the one on which the chat was last seen (M-3).
            pub fn platform(self, name: impl Into<String>) -> Self {
                self.with(|op| op.platform = Some(name.into()))
            }
        }
    )*};
    (metadata: $($op:ident)*) => {$(
        impl Request<$op> {
            /// With one more entry of metadata. What is remembered of the chat is added where it is not set (M-2).
            pub fn metadata(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
                self.with(|op| drop(op.metadata.insert(name.into(), value.into())))
            }
        }
    )*};
    (reply_to: $($op:ident)*) => {$(
        impl Request<$op> {
            /// As an answer to this message.
            pub fn reply_to(self, message_id: impl Into<String>) -> Self {
                self.with(|op| op.reply_to = Some(message_id.into()))
            }
        }
    )*};
}

shared!(platform: Raw Send Edit Delete Typing ChatInfo SendMedia Prompt React ThreadCreate ThreadRename Draft);
shared!(metadata: Send Edit Delete Typing FollowUp SendMedia Prompt React ThreadCreate ThreadRename Draft);
shared!(reply_to: Send SendMedia Prompt);

impl Request<Typing> {
    /// With a text as the status; the empty text clears it (Slack only).
    pub fn status(self, text: impl Into<String>) -> Self {
        self.with(|op| op.content = Some(text.into()))
    }
}

impl Request<SendMedia> {
    /// As what it is sent; a document by default.
    pub fn kind(self, kind: MediaKind) -> Self {
        self.with(|op| op.kind = kind)
    }

    /// With this text beside it.
    pub fn caption(self, text: impl Into<String>) -> Self {
        self.with(|op| op.caption = text.into())
    }

    /// Under this name.
    pub fn filename(self, name: impl Into<String>) -> Self {
        self.with(|op| op.filename = Some(name.into()))
    }
}

impl Request<Prompt> {
    /// What it is for; a choice by default.
    pub fn kind(self, kind: PromptKind) -> Self {
        self.with(|op| op.kind = kind)
    }

    /// Sets an id of the host's own, `[A-Za-z0-9_.-]{1,32}`. One that an open prompt has fails as definite (I-6).
    pub fn prompt_id(self, id: impl Into<String>) -> Self {
        self.with(|op| op.prompt_id = Some(id.into()))
    }

    /// One more thing to choose. The id is `[A-Za-z0-9_.-]{1,32}`, else the prompt fails as definite (I-1).
    pub fn option(self, id: impl Into<String>, label: impl Into<String>) -> Self {
        let option = PromptOption { id: id.into(), label: label.into(), style: None };
        self.with(|op| op.options.push(option))
    }

    /// The option that was said last looks so, where the platform has looks: `primary`, `danger`, …
    pub fn style(self, style: impl Into<String>) -> Self {
        self.with(|op| {
            if let Some(option) = op.options.last_mut() {
                option.style = Some(style.into());
            }
        })
    }

    /// Open for that long; an hour at most, and by default (I-2).
    pub fn timeout(self, span: Duration) -> Self {
        self.with(|op| op.timeout = Some(span))
    }
}

impl Request<React> {
    /// Takes the reaction off instead.
    pub fn remove(self) -> Self {
        self.with(|op| op.remove = true)
    }
}

impl Request<ThreadCreate> {
    /// Hanging off this message.
    pub fn on_message(self, message_id: impl Into<String>) -> Self {
        self.with(|op| op.message_id = Some(message_id.into()))
    }
}

impl Request<ThreadRename> {
    /// Only if the connector created it: the guard to prefer (O-17).
    pub fn only_if_connector_created(self) -> Self {
        self.with(|op| op.only_if_connector_created = true)
    }

    /// Only if this is its name now.
    pub fn only_if_current_name(self, name: impl Into<String>) -> Self {
        self.with(|op| op.only_if_current_name = Some(name.into()))
    }
}

/// Options of a task card's ops.
macro_rules! cards {
    ($($op:ident)*) => {$(
        impl Request<$op> {
            fn card(self, change: impl FnOnce(&mut Card)) -> Self {
                self.with(|op| change(&mut op.card))
            }

            /// Under this id; by default `turn:` and the id of the message that it belongs to (O-16).
            pub fn card_id(self, id: impl Into<String>) -> Self {
                self.card(|card| card.card_id = Some(id.into()))
            }

            /// As the card of the turn that this delivery began.
            pub fn delivery(self, delivery: DeliveryId) -> Self {
                self.card(|card| card.delivery = Some(delivery))
            }

            /// As the card of the turn that this message began.
            pub fn reply_to(self, message_id: impl Into<String>) -> Self {
                self.card(|card| card.reply_to = Some(message_id.into()))
            }

            /// On this platform; by default on the one on which the chat was last seen (M-3).
            pub fn platform(self, name: impl Into<String>) -> Self {
                self.card(|card| card.platform = Some(name.into()))
            }

            /// With one more entry of metadata. What is remembered of the chat is added where it is not set (M-2).
            pub fn metadata(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
                self.card(|card| drop(card.metadata.insert(name.into(), value.into())))
            }
        }
    )*};
}

cards!(TaskCard TaskCardStop);

impl Request<Draft> {
    /// This is the last state: it becomes a message.
    pub fn last(self) -> Self {
        self.with(|op| op.last = true)
    }
}

impl Request<Raw> {
    /// With nothing added: neither what is remembered of the chat nor its platform.
    pub fn bare(self) -> Self {
        self.with(|op| op.bare = true)
    }
}

impl Request<Interrupt> {
    /// Why, for people.
    pub fn reason(self, text: impl Into<String>) -> Self {
        self.with(|op| op.reason = Some(text.into()))
    }
}
