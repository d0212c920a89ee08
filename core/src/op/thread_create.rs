//! `thread_create`: opens a thread.

use super::Behavior;
use super::Context;
use super::define::op;
use super::format::{Format, InFrame, Kind, OptionalId};
use crate::encode::Object;
use serde_json::Value;

op! {
    /// Opens a thread. Completes with [`Reply::Thread`](crate::command::Reply::Thread).
    #[derive(Default)]
    pub struct ThreadCreate: "thread_create", gate Named, returns Thread {
        chat_id,
        /// Name of the thread. It is trimmed and cut after 100 characters; an empty name becomes `handoff`.
        name: String = ThreadName as "thread_name",
        /// Id of the message that the thread hangs off, where it hangs off one.
        message_id: Option<String> = OptionalId as "message_id",
        metadata,
        platform,
    }
}

impl Behavior for ThreadCreate {
    fn is_about_thread(&self) -> bool {
        true
    }
}

/// Name of a new thread.
struct ThreadName;

impl Format for ThreadName {
    type Value = String;
    const KIND: Kind = Kind::Text;
    const REQUIRED: bool = false;
    const IN_FRAME: InFrame = InFrame::Always;

    fn read(value: Value) -> Result<String, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    fn absent() -> Option<String> {
        Some(String::new())
    }

    fn write(name: &String, field: &str, action: &mut Object<'_>, _: &Context<'_>) {
        let name = name.trim();
        action.field(field, if name.is_empty() { "handoff" } else { cut(name) });
    }
}

/// Cuts a thread's name after 100 characters.
pub(super) fn cut(name: &str) -> &str {
    let end = name.char_indices().nth(100).map_or(name.len(), |(at, _)| at);
    name[..end].trim_end()
}
