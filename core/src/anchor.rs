//! Placement of what is sent: Slack's connectors thread on metadata alone (M-8).

use crate::chats::Chat;
use crate::command::{Command, Metadata};
use crate::slack;

/// Placement that the machine gives to an op where the host has not placed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Anchor<'a> {
    /// As the host's fields say.
    AsGiven,
    /// In this thread.
    Thread(&'a str),
    /// In this thread, under the name that connectors read of a task card (O-16).
    CardThread(&'a str),
    /// In the chat itself, without a reply.
    Flat,
}

impl<'a> Anchor<'a> {
    /// Returns the placement of an op in a chat (M-8). `reply_in_thread` is the setting of that name.
    pub(crate) fn of(command: &'a Command, chat: Option<&'a Chat>, reply_in_thread: bool) -> Anchor<'a> {
        let (metadata, platform) = match command {
            Command::Send(send) => (&send.metadata, &send.platform),
            Command::SendMedia(media) => (&media.metadata, &media.platform),
            Command::Typing(typing) => (&typing.metadata, &typing.platform),
            Command::TaskCard(task) => (&task.card.metadata, &task.card.platform),
            _ => return Anchor::AsGiven,
        };
        if !is_on_slack(platform.as_deref(), chat) || has_thread(metadata) {
            return Anchor::AsGiven;
        }
        let is_dm = chat.is_some_and(Chat::is_dm);
        let thread = match command {
            Command::Send(send) => send.reply_to.as_deref(),
            Command::SendMedia(media) => media.reply_to.as_deref(),
            Command::TaskCard(task) => task.card.reply_to.as_deref(),
            // A typing sign has no place of its own in a direct message: it stands under a message, in flat mode, too.
            _ => chat.and_then(|chat| chat.message_id.as_deref()).filter(|_| is_dm),
        };
        match thread.filter(|thread| !thread.is_empty()) {
            None => Anchor::AsGiven,
            Some(thread) if matches!(command, Command::TaskCard(_)) => Anchor::CardThread(thread),
            Some(_) if is_dm && !reply_in_thread && !matches!(command, Command::Typing(_)) => Anchor::Flat,
            Some(thread) => Anchor::Thread(thread),
        }
    }

    /// The thread that the op goes to, where the host has named none.
    pub(crate) fn thread(self) -> Option<&'a str> {
        match self {
            Anchor::Thread(thread) => Some(thread),
            Anchor::AsGiven | Anchor::CardThread(_) | Anchor::Flat => None,
        }
    }

    /// The thread that a task card goes to, where the host has named none.
    pub(crate) fn thread_ts(self) -> Option<&'a str> {
        match self {
            Anchor::CardThread(thread) => Some(thread),
            Anchor::AsGiven | Anchor::Thread(_) | Anchor::Flat => None,
        }
    }
}

/// Returns whether an op goes to Slack: by the platform that it names, else by the one its chat was last seen on.
pub(crate) fn is_on_slack(platform: Option<&str>, chat: Option<&Chat>) -> bool {
    platform.or(chat.map(|chat| chat.platform.as_str())).is_some_and(slack::is_slack)
}

/// Returns whether metadata names the thread that an op goes to.
pub(crate) fn has_thread(metadata: &Metadata) -> bool {
    is_set(metadata, "thread_id") || is_set(metadata, "thread_ts")
}

/// Returns whether a metadata field is set: null and the empty string count as unset (M-2).
pub(crate) fn is_set(metadata: &Metadata, name: &str) -> bool {
    metadata.get(name).is_some_and(|value| !value.is_null() && value.as_str() != Some(""))
}
