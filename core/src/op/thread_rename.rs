//! `thread_rename`: gives a thread another name.

use super::{Behavior, Context};
use super::define::op;
use super::format::{CutText, FlagIfTrue, Id, OptionalText};
use super::thread_create::cut;
use crate::encode::Object;

op! {
    /// Gives a thread another name. Completes with [`Reply::Done`](crate::command::Reply::Done).
    pub struct ThreadRename: "thread_rename", gate Named, returns Nothing {
        optional_chat_id,
        /// Id of the thread. It replaces an empty `chat_id`, which is otherwise the thread's parent chat.
        thread_id: Id = Id as "message_id",
        /// New name. White space is collapsed, and the name is cut after 100 characters. An empty name is refused.
        name: String = CutText as "thread_name" => write_name,
        /// Renames it only if the connector created it. Prefer this guard: `only_if_current_name` is not written beside
        /// it.
        only_if_connector_created?: bool = FlagIfTrue as "only_if_connector_created",
        /// Name that the thread must have for it to be renamed.
        only_if_current_name?: Option<String> = OptionalText as "only_if_current_name" => write_current_name,
        metadata,
        platform,
    }
}

impl Behavior for ThreadRename {
    fn refusal(&self) -> Option<&'static str> {
        self.name.trim().is_empty().then_some("a thread cannot be renamed to nothing")
    }

    fn target_chat(&self) -> Option<&str> {
        Some(if self.chat_id.is_empty() { &self.thread_id } else { &self.chat_id })
    }

    fn is_about_thread(&self) -> bool {
        true
    }
}

impl ThreadRename {
    fn write_name(&self, action: &mut Object<'_>, _: &Context<'_>) {
        action.field("thread_name", cut(&collapsed(&self.name)));
    }

    fn write_current_name(&self, action: &mut Object<'_>, _: &Context<'_>) {
        let name = self.only_if_current_name.as_ref();
        action.optional("only_if_current_name", name.filter(|_| !self.only_if_connector_created));
    }
}

/// Collapses the white space in a name. Reads no more than can be written.
fn collapsed(name: &str) -> String {
    let mut short = String::new();
    let mut characters = 0;
    for word in name.split_whitespace() {
        if characters > 100 {
            break;
        }
        if characters > 0 {
            short.push(' ');
        }
        short.extend(word.chars().take(101));
        characters += 1 + word.chars().take(101).count();
    }
    short
}
