//! Checks of a command that need no machine, so that a driver makes them before it waits for one.

use super::{Command, Failure, NotAccepted};
use crate::config::Limits;
use crate::op::Op;

/// Maximum length of an id that a host gives, or that is remembered, in bytes. Ids of platforms are far shorter.
pub const MAX_ID_BYTES: usize = 1024;

impl Command {
    /// Checks what the command alone decides: its ids, its options, and whether its texts can fit into the write queue.
    /// The machine checks the same when the command is submitted. A driver that shares a machine checks before it takes
    /// the lock.
    ///
    /// # Errors
    /// Returns the command with a definite failure. A typing sign is never an error: the machine drops it.
    pub fn check(self, limits: &Limits) -> Result<Command, NotAccepted> {
        match self.problem(limits) {
            Some(problem) if !matches!(self, Command::Op(Op::Typing(_))) => {
                Err(NotAccepted::new(self, Failure::definite(problem)))
            }
            Some(_) | None => Ok(self),
        }
    }

    /// Returns what is wrong with the command, in time that does not grow with it.
    pub(crate) fn problem(&self, limits: &Limits) -> Option<String> {
        self.as_behavior()?.problem_within(limits)
    }
}

/// Returns what is wrong with an id or a name that would be remembered.
pub(crate) fn id_problem(name: &str, id: &str) -> Option<String> {
    let length = id.len();
    (length > MAX_ID_BYTES).then(|| format!("`{name}` is {length} bytes long: {MAX_ID_BYTES} at most"))
}

/// Returns why a command that the write queue can never hold is refused.
pub(crate) fn too_large(limits: &Limits) -> String {
    let limit = limits.write_queue_bytes;
    format!("it does not fit into the write queue, which `write_queue_bytes` bounds at {limit} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{
        EditMessage, FollowUp, GetChatInfo, Interrupt, Prompt, PromptOption, SendMessage, StreamReply,
        ThreadRename, Typing,
    };

    fn problem(command: Command) -> Option<String> {
        let limits = Limits { write_queue_bytes: 10_000, ..Limits::default() };
        command.check(&limits).err().map(|refused| refused.failure().message.clone())
    }

    #[test]
    fn x_1_an_id_is_at_most_a_kibibyte() {
        let id = |length: usize| "x".repeat(length);
        type Make = fn(String) -> Command;
        let rows: [(&str, Make); 9] = [
            ("chat_id", |chat_id| Command::from(SendMessage::new(chat_id, ""))),
            ("reply_to", |id| Command::from(SendMessage::new("", "").reply_to(id))),
            ("platform", |id| Command::from(SendMessage::new("", "").platform(id))),
            ("message_id", |message_id| Command::from(EditMessage::new("", message_id, ""))),
            ("chat_id", |chat_id| Command::from(GetChatInfo::new(chat_id))),
            ("message_id", |thread_id| Command::from(ThreadRename::new(thread_id, ""))),
            ("kind", |kind| Command::from(FollowUp::new("", kind, ""))),
            ("stream", |stream| Command::Stream(StreamReply::new(stream, ""))),
            ("reply_to", |id| Command::Stream(StreamReply::new("", "").reply_to(id))),
        ];
        for (name, make) in rows {
            assert_eq!(problem(make(id(MAX_ID_BYTES))), None, "{name}");
            let expected = format!("`{name}` is 1025 bytes long: 1024 at most");
            assert_eq!(problem(make(id(MAX_ID_BYTES + 1))), Some(expected));
        }
        // Never an error to the host (O).
        assert_eq!(problem(Command::from(Typing::new(id(5000)))), None);
    }

    #[test]
    fn x_1_a_text_larger_than_the_write_queue_is_refused() {
        let text = |length: usize| "x".repeat(length);
        let limit = "it does not fit into the write queue, which `write_queue_bytes` bounds at 10000 bytes";
        let option = |label: String| PromptOption::new("a", label);
        for command in [
            Command::from(SendMessage::new("", text(10_001))),
            Command::from(Prompt::new("", "", [option(text(10_001))])),
            Command::Interrupt(Interrupt::new(text(10_001))),
        ] {
            assert_eq!(problem(command).as_deref(), Some(limit));
        }
        // A thread's name is cut.
        assert_eq!(problem(Command::from(ThreadRename::new("", text(10_001)))), None);
        assert_eq!(problem(Command::from(SendMessage::new("", text(10_000)))), None);
    }
}
