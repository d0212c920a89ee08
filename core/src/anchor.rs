//! Placement of what is sent: Slack's connectors thread on metadata alone (M-8).

use crate::chats::Chat;
use crate::command::Metadata;
use crate::op::Placement;
use crate::slack;

/// Placement that the machine gives to an op where the host has not placed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Anchor<'a> {
    /// As set by the host's fields.
    AsGiven,
    /// In this thread.
    Thread(&'a str),
    /// In this thread, named by the field that connectors read of a task card (O-16).
    CardThread(&'a str),
    /// In the chat itself, without a reply.
    Flat,
}

impl<'a> Anchor<'a> {
    /// Returns where Slack's connectors put an op that its host has not placed (M-8). `reply_in_thread` is the setting of
    /// that name.
    pub(crate) fn of(
        placement: Placement<'a>,
        metadata: &Metadata,
        platform: Option<&str>,
        chat: Option<&'a Chat>,
        reply_in_thread: bool,
    ) -> Anchor<'a> {
        if has_thread(metadata) || !is_on_slack(platform, chat) {
            return Anchor::AsGiven;
        }
        let is_dm = chat.is_some_and(Chat::is_dm);
        let is_flat = is_dm && !reply_in_thread;
        let named = |thread: Option<&'a str>| thread.filter(|thread| !thread.is_empty());
        let anchor = match placement {
            Placement::AsGiven => None,
            Placement::Message(message) => {
                named(message).map(|thread| if is_flat { Anchor::Flat } else { Anchor::Thread(thread) })
            }
            // It points at no message, so nothing is left out.
            Placement::Continues(_) if is_flat => None,
            Placement::Continues(message) => named(message).map(Anchor::Thread),
            Placement::Card(message) => named(message).map(Anchor::CardThread),
            // A typing sign in a direct message has no place of its own: it is shown under a message, also in flat
            // mode.
            Placement::NewestMessage => {
                named(chat.filter(|_| is_dm).and_then(|chat| chat.message_id.as_deref())).map(Anchor::Thread)
            }
        };
        anchor.unwrap_or(Anchor::AsGiven)
    }

    /// Returns the thread that the op is sent to, unless the host has named one.
    pub(crate) fn thread(self) -> Option<&'a str> {
        match self {
            Anchor::Thread(thread) => Some(thread),
            Anchor::AsGiven | Anchor::CardThread(_) | Anchor::Flat => None,
        }
    }

    /// Returns the thread that a task card is sent to, unless the host has named one.
    pub(crate) fn thread_ts(self) -> Option<&'a str> {
        match self {
            Anchor::CardThread(thread) => Some(thread),
            Anchor::AsGiven | Anchor::Thread(_) | Anchor::Flat => None,
        }
    }
}

/// Returns whether an op goes to Slack: by the platform that it names, else by the one its chat was last seen on.
fn is_on_slack(platform: Option<&str>, chat: Option<&Chat>) -> bool {
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
