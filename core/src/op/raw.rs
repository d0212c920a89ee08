//! `raw`: writes an action as it is.

use super::define::op;
use super::format::{AnyObject, Flag, Platform, Unwritten};
use super::{Behavior, Context, Destination};
use crate::command::Metadata;
use crate::encode::{self, Object};
use serde_json::{Map, Value};
use std::borrow::Cow;

op! {
    /// Writes an action as it is, whatever its op. Nothing in it is checked. Completes with
    /// [`Reply::Raw`](crate::command::Reply::Raw).
    pub struct Raw: "raw", gate Always, returns Raw {
        /// The action, with its `op`.
        action: Map<String, Value> = AnyObject as "action",
        /// Platform to write it for; by default the one on which its `chat_id` was last seen.
        platform?: Option<String> = Platform as "platform",
        /// Adds nothing: neither what is remembered of the chat nor its platform.
        bare?: bool = Unwritten<Flag> as "bare",
    }
}

impl Behavior for Raw {
    fn target_chat(&self) -> Option<&str> {
        self.action.get("chat_id").and_then(Value::as_str)
    }

    fn target_platform(&self) -> Option<&str> {
        self.platform.as_deref()
    }

    fn destination(&self) -> Destination<'_> {
        match (self.chat(), self.platform.as_deref()) {
            (None, None) => Destination::Nowhere,
            (chat_id, platform) => Destination::Chat { chat_id: chat_id.unwrap_or_default(), platform },
        }
    }

    fn write(&self, action: &mut Object<'_>, context: &Context<'_>) {
        let fill = |out: &mut Vec<u8>, own: &Metadata| {
            encode::metadata(out, own, context.chat, context.profile(None), context.anchor);
        };
        for (name, content) in &self.action {
            match content {
                Value::Object(own) if name == "metadata" && context.chat.is_some() => {
                    fill(action.key("metadata"), own);
                }
                _ => action.host_field(name, content),
            }
        }
        if !self.action.contains_key("metadata") {
            let mut remembered = Vec::new();
            fill(&mut remembered, &Metadata::new());
            if remembered != b"{}" {
                action.key("metadata").extend(remembered);
            }
        }
    }
}

impl Raw {
    /// Returns the chat whose memory is added to the action.
    fn chat(&self) -> Option<Cow<'_, str>> {
        match self.action.get("chat_id").filter(|_| !self.bare)? {
            Value::String(id) => Some(id.as_str().into()),
            Value::Number(id) if !id.is_f64() => Some(id.to_string().into()),
            _ => None,
        }
    }
}
