//! `thread_create`: opens a thread.

use super::define::op;
use super::format::{CutTextOrEmpty, OptionalId};
use super::{Behavior, Context};
use crate::encode::Object;

op! {
    /// Opens a thread. Completes with [`Reply::Thread`](crate::command::Reply::Thread).
    pub struct ThreadCreate: "thread_create", gate Named, returns Thread {
        chat_id,
        /// Name of the thread. It is trimmed and cut after 100 characters; an empty name becomes `handoff`.
        name?: String = CutTextOrEmpty as "thread_name" => write_name,
        /// Id of the message that the thread is attached to, if there is one.
        message_id?: Option<Id> = OptionalId as "message_id",
        metadata,
        platform,
    }
}

impl Behavior for ThreadCreate {
    fn is_about_thread(&self) -> bool {
        true
    }
}

impl ThreadCreate {
    fn write_name(&self, action: &mut Object<'_>, _: &Context<'_>) {
        let name = self.name.trim();
        action.field("thread_name", if name.is_empty() { "handoff" } else { cut(name) });
    }
}

/// Cuts a thread's name after 100 characters.
pub(super) fn cut(name: &str) -> &str {
    let end = name.char_indices().nth(100).map_or(name.len(), |(at, _)| at);
    name[..end].trim_end()
}
