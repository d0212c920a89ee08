//! Options of requests.

use super::Request;
use relayline_core::id::Id;
use relayline_core::op::{
    Draft, Interrupt, MediaKind, Prompt, PromptKind, PromptOption, Raw, React, SendMedia, TaskCard,
    TaskCardStop, ThreadCreate, ThreadRename, Typing, WithMetadata, WithPlatform, WithReplyTo,
};
use relayline_core::output::DeliveryId;
use serde_json::Value;
use std::time::Duration;

impl<O: WithPlatform> Request<O> {
    /// Sets the platform. The default is the one on which the chat was last seen.
    pub fn platform(self, name: impl Into<String>) -> Self {
        self.with(|op| op.set_platform(name.into()))
    }
}

impl<O: WithMetadata> Request<O> {
    /// Adds an entry of metadata. Remembered values of the chat are added where they are not set.
    pub fn metadata(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.with(|op| drop(op.metadata_mut().insert(name.into(), value.into())))
    }
}

impl<O: WithReplyTo> Request<O> {
    /// Sets the id of the message to reply to, or that a task card belongs to.
    pub fn reply_to(self, message_id: impl Into<Id>) -> Self {
        self.with(|op| op.set_reply_to(message_id.into().into()))
    }
}

impl Request<Typing> {
    /// Sets the status text; the empty text clears it. Slack only.
    pub fn status(self, text: impl Into<String>) -> Self {
        self.with(|op| op.content = Some(text.into()))
    }
}

impl Request<SendMedia> {
    /// Sets the kind of the file; a document by default.
    pub fn kind(self, kind: MediaKind) -> Self {
        self.with(|op| op.kind = kind)
    }

    /// Sets the caption.
    pub fn caption(self, text: impl Into<String>) -> Self {
        self.with(|op| op.caption = text.into())
    }

    /// Sets the file name.
    pub fn filename(self, name: impl Into<String>) -> Self {
        self.with(|op| op.filename = Some(name.into()))
    }
}

impl Request<Prompt> {
    /// Sets the kind of the prompt; a choice by default.
    pub fn kind(self, kind: PromptKind) -> Self {
        self.with(|op| op.kind = kind)
    }

    /// Sets the prompt's id, which matches `[A-Za-z0-9_.-]{1,32}`. The prompt fails as definite if an open prompt has the
    /// same id. The default is a unique id.
    pub fn prompt_id(self, id: impl Into<Id>) -> Self {
        self.with(|op| op.prompt_id = Some(id.into().into()))
    }

    /// Adds an option. The prompt fails as definite unless the id matches `[A-Za-z0-9_.-]{1,32}`.
    pub fn option(self, id: impl Into<Id>, label: impl Into<String>) -> Self {
        self.with(|op| op.options.push(PromptOption::new(id, label)))
    }

    /// Sets the style of the option added last, such as `primary` or `danger`, for platforms that have styles.
    pub fn style(self, style: impl Into<String>) -> Self {
        self.with(|op| {
            if let Some(option) = op.options.last_mut() {
                option.style = Some(style.into());
            }
        })
    }

    /// Sets the time that the prompt stays open; one hour by default, which is the maximum.
    pub fn timeout(self, span: Duration) -> Self {
        self.with(|op| op.timeout = Some(span))
    }
}

impl Request<React> {
    /// Removes the reaction instead of adding it.
    pub fn remove(self) -> Self {
        self.with(|op| op.remove = true)
    }
}

impl Request<ThreadCreate> {
    /// Creates the thread on this message.
    pub fn on_message(self, message_id: impl Into<Id>) -> Self {
        self.with(|op| op.message_id = Some(message_id.into().into()))
    }
}

impl Request<ThreadRename> {
    /// Renames the thread only if the connector created it. Prefer this guard to the other.
    pub fn only_if_connector_created(self) -> Self {
        self.with(|op| op.only_if_connector_created = true)
    }

    /// Renames the thread only if this is its current name.
    pub fn only_if_current_name(self, name: impl Into<String>) -> Self {
        self.with(|op| op.only_if_current_name = Some(name.into()))
    }
}

/// Options of a task card's ops.
macro_rules! cards {
    ($($op:ident)*) => {$(
        impl Request<$op> {
            /// Sets the card's id; by default it is `turn:` and the id of the message that the card belongs to.
            pub fn card_id(self, id: impl Into<Id>) -> Self {
                self.with(|op| op.card_id = Some(id.into().into()))
            }

            /// Sets the delivery whose turn the card belongs to.
            pub fn delivery(self, delivery: DeliveryId) -> Self {
                self.with(|op| op.delivery = Some(delivery))
            }
        }
    )*};
}

cards!(TaskCard TaskCardStop);

impl Request<Draft> {
    /// Marks the state as the last one, which becomes a message.
    pub fn last(self) -> Self {
        self.with(|op| op.last = true)
    }
}

impl Request<Raw> {
    /// Sends the action as it is, without remembered data of the chat and without its platform.
    pub fn bare(self) -> Self {
        self.with(|op| op.bare = true)
    }
}

impl Request<Interrupt> {
    /// Sets the reason, a text for people.
    pub fn reason(self, text: impl Into<String>) -> Self {
        self.with(|op| op.reason = Some(text.into()))
    }
}
