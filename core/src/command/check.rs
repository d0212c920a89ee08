//! Checks of a command that need no machine, so that a driver makes them before it waits for one.

use super::{Card, Command, Failure, NotAccepted};
use crate::config::Limits;

/// Maximum length of an id that a host gives, or that is remembered, in bytes. Ids of platforms are far shorter.
pub const MAX_ID_BYTES: usize = 1024;

/// Bytes of the shortest object in JSON.
const EMPTY_OBJECT: usize = 2;

impl Command {
    /// Checks what the command alone decides: its ids, its options, and whether its texts can fit into the write queue.
    /// The machine checks the same when the command is submitted. A driver that shares a machine checks before it takes
    /// the lock.
    ///
    /// # Errors
    /// Returns the command with a definite failure. A typing sign is never an error: the machine drops it.
    pub fn check(self, limits: &Limits) -> Result<Command, NotAccepted> {
        match self.problem(limits) {
            Some(problem) if !matches!(self, Command::Typing(_)) => {
                Err(NotAccepted::new(self, Failure::definite(problem)))
            }
            Some(_) | None => Ok(self),
        }
    }

    /// Returns what is wrong with the command, in time that does not grow with it.
    pub(crate) fn problem(&self, limits: &Limits) -> Option<String> {
        if let Some(problem) = self.ids().into_iter().flatten().find_map(|(name, id)| id_problem(name, id)) {
            return Some(problem);
        }
        if let Command::Prompt(prompt) = self
            && let Some(problem) = prompt.problem()
        {
            return Some(problem);
        }
        // JSON makes no text shorter. What the machine shows of a stream it cuts, and bounds by itself.
        let is_cut = matches!(self, Command::Stream(_));
        (self.text_bytes() > limits.write_queue_bytes && !is_cut).then(|| too_large(limits))
    }

    /// Returns the ids in it, each with the name of its field.
    fn ids(&self) -> [Id<'_>; 4] {
        match self {
            Command::Send(send) => {
                [chat(&send.chat_id), reply_to(&send.reply_to), platform(&send.platform), None]
            }
            Command::Edit(edit) => {
                [chat(&edit.chat_id), message(&edit.message_id), platform(&edit.platform), None]
            }
            Command::Typing(typing) => [chat(&typing.chat_id), platform(&typing.platform), None, None],
            Command::FollowUp(follow_up) => [Some(("kind", &follow_up.kind)), None, None, None],
            Command::ChatInfo(info) => [chat(&info.chat_id), platform(&info.platform), None, None],
            Command::Delete(delete) => {
                [chat(&delete.chat_id), message(&delete.message_id), platform(&delete.platform), None]
            }
            Command::SendMedia(media) => {
                [chat(&media.chat_id), reply_to(&media.reply_to), platform(&media.platform), None]
            }
            Command::Prompt(prompt) => {
                [chat(&prompt.chat_id), reply_to(&prompt.reply_to), platform(&prompt.platform), None]
            }
            Command::React(react) => {
                [chat(&react.chat_id), message(&react.message_id), platform(&react.platform), None]
            }
            Command::ThreadCreate(thread) => {
                let on = thread.message_id.as_deref().map(|id| ("message_id", id));
                [chat(&thread.chat_id), on, platform(&thread.platform), None]
            }
            Command::ThreadRename(thread) => {
                [chat(&thread.chat_id), message(&thread.thread_id), platform(&thread.platform), None]
            }
            Command::Draft(draft) => [chat(&draft.chat_id), platform(&draft.platform), None, None],
            Command::TaskCard(task) => task.card.ids(),
            Command::TaskCardStop(task) => task.card.ids(),
            Command::Raw(raw) => [platform(&raw.platform), None, None, None],
            Command::Stream(stream) => [
                Some(("stream", &stream.stream)),
                chat(&stream.chat_id),
                reply_to(&stream.reply_to),
                platform(&stream.platform),
            ],
            // A session's key is made of ids, and is not remembered.
            Command::Interrupt(_)
            | Command::Reply(_)
            | Command::Turn(_)
            | Command::GoIdle
            | Command::GoDormant
            | Command::Hold(_)
            | Command::Resume
            | Command::Disconnect => [None; 4],
        }
    }

    /// Returns the bytes of its longest texts; metadata is not looked at.
    fn text_bytes(&self) -> usize {
        match self {
            Command::Send(send) => send.content.len(),
            Command::Edit(edit) => edit.content.len(),
            Command::Typing(typing) => typing.content.as_ref().map_or(0, String::len),
            Command::FollowUp(follow_up) => follow_up.session_key.len() + follow_up.content.len(),
            Command::SendMedia(media) => media.source_url.len() + media.caption.len(),
            Command::Prompt(prompt) => prompt.text_bytes(),
            Command::React(react) => react.emoji.len(),
            Command::ThreadRename(thread) => thread.only_if_current_name.as_ref().map_or(0, String::len),
            Command::Draft(draft) => draft.content.len(),
            Command::TaskCard(task) => task.chunks.len() * EMPTY_OBJECT,
            Command::Stream(stream) => stream.text.len(),
            Command::Reply(reply) => reply.content.len(),
            Command::Interrupt(interrupt) => {
                interrupt.session_key.len() + interrupt.reason.as_ref().map_or(0, String::len)
            }
            Command::ChatInfo(_)
            | Command::Delete(_)
            | Command::ThreadCreate(_)
            | Command::TaskCardStop(_)
            | Command::Turn(_)
            | Command::Raw(_)
            | Command::GoIdle
            | Command::GoDormant
            | Command::Hold(_)
            | Command::Resume
            | Command::Disconnect => 0,
        }
    }
}

impl Card {
    fn ids(&self) -> [Id<'_>; 4] {
        let card_id = self.card_id.as_deref().map(|id| ("card_id", id));
        [chat(&self.chat_id), card_id, reply_to(&self.reply_to), platform(&self.platform)]
    }
}

/// An id, with the name of its field.
type Id<'a> = Option<(&'static str, &'a str)>;

fn chat(id: &str) -> Id<'_> {
    Some(("chat_id", id))
}

fn message(id: &str) -> Id<'_> {
    Some(("message_id", id))
}

fn platform(name: &Option<String>) -> Id<'_> {
    name.as_deref().map(|name| ("platform", name))
}

fn reply_to(id: &Option<String>) -> Id<'_> {
    id.as_deref().map(|id| ("reply_to", id))
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
    use crate::command::{ChatInfo, Edit, FollowUp, Interrupt, Send, Stream, ThreadRename, Typing};
    use crate::prompts::{Prompt, PromptOption};

    fn problem(command: Command) -> Option<String> {
        let limits = Limits { write_queue_bytes: 10_000, ..Limits::default() };
        command.check(&limits).err().map(|refused| refused.failure().message.clone())
    }

    #[test]
    fn x_1_an_id_is_at_most_a_kibibyte() {
        let id = |length: usize| "x".repeat(length);
        type Make = fn(String) -> Command;
        let rows: [(&str, Make); 9] = [
            ("chat_id", |chat_id| Command::Send(Send { chat_id, ..Send::default() })),
            ("reply_to", |id| Command::Send(Send { reply_to: Some(id), ..Send::default() })),
            ("platform", |id| Command::Send(Send { platform: Some(id), ..Send::default() })),
            ("message_id", |message_id| Command::Edit(Edit { message_id, ..Edit::default() })),
            ("chat_id", |chat_id| Command::ChatInfo(ChatInfo { chat_id, ..ChatInfo::default() })),
            ("message_id", |thread_id| {
                Command::ThreadRename(ThreadRename { thread_id, ..ThreadRename::default() })
            }),
            ("kind", |kind| Command::FollowUp(FollowUp { kind, ..FollowUp::default() })),
            ("stream", |stream| Command::Stream(Stream { stream, ..Stream::default() })),
            ("reply_to", |id| Command::Stream(Stream { reply_to: Some(id), ..Stream::default() })),
        ];
        for (name, make) in rows {
            assert_eq!(problem(make(id(MAX_ID_BYTES))), None, "{name}");
            let expected = format!("`{name}` is 1025 bytes long: 1024 at most");
            assert_eq!(problem(make(id(MAX_ID_BYTES + 1))), Some(expected));
        }
        // Never an error to the host (O).
        assert_eq!(problem(Command::Typing(Typing { chat_id: id(5000), ..Typing::default() })), None);
    }

    #[test]
    fn x_1_a_text_that_the_write_queue_can_never_hold_is_refused_at_once() {
        let text = |length: usize| "x".repeat(length);
        let limit = "it does not fit into the write queue, which `write_queue_bytes` bounds at 10000 bytes";
        let option = |label: String| PromptOption { id: "a".into(), label, style: None };
        for command in [
            Command::Send(Send { content: text(10_001), ..Send::default() }),
            Command::Prompt(Prompt { options: vec![option(text(10_001))], ..Prompt::default() }),
            Command::Interrupt(Interrupt { session_key: text(10_001), reason: None }),
        ] {
            assert_eq!(problem(command).as_deref(), Some(limit));
        }
        assert_eq!(problem(Command::Send(Send { content: text(10_000), ..Send::default() })), None);
    }
}
