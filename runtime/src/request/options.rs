//! What can be said of a request beside what it needs.

use super::Request;
use relayline_core::op::{
    Draft, Interrupt, MediaKind, Prompt, PromptKind, PromptOption, Raw, React, SendMedia, TaskCard,
    TaskCardStop, ThreadCreate, ThreadRename, Typing, WithMetadata, WithPlatform, WithReplyTo,
};
use relayline_core::output::DeliveryId;
use serde_json::Value;
use std::time::Duration;

impl<O: WithPlatform> Request<O> {
    /// Sets the platform; by default it is the one on which the chat was last seen.
    pub fn platform(self, name: impl Into<String>) -> Self {
        self.with(|op| op.set_platform(name.into()))
    }
}

impl<O: WithMetadata> Request<O> {
    /// Adds an entry of metadata. Values that are remembered of the chat are added where they are not set.
    pub fn metadata(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.with(|op| drop(op.metadata_mut().insert(name.into(), value.into())))
    }
}

impl<O: WithReplyTo> Request<O> {
    /// Sets the id of the message that it answers, or that a task card belongs to.
    pub fn reply_to(self, message_id: impl Into<String>) -> Self {
        self.with(|op| op.set_reply_to(message_id.into()))
    }
}

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
            /// Sets the card's id; by default it is `turn:` and the id of the message that the card belongs to.
            pub fn card_id(self, id: impl Into<String>) -> Self {
                self.with(|op| op.card_id = Some(id.into()))
            }

            /// Makes it the card of the turn that this delivery began.
            pub fn delivery(self, delivery: DeliveryId) -> Self {
                self.with(|op| op.delivery = Some(delivery))
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
