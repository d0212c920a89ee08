//! Messages of a chat, as the page shows them.

use serde::Serialize;

/// Maximum number of bytes of a text that are kept. The rest is left out and counted.
const MAX_TEXT: usize = 128 << 10;
/// Maximum number of different reactions on a message.
const MAX_REACTIONS: usize = 20;

/// Author of a message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Author {
    /// A user of the platform.
    User { id: String, name: String },
    /// The agent behind the gateway.
    Agent,
    /// The workbench itself, which says what happened.
    Note { is_error: bool },
}

/// Way of a user's message to the gateway.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Progress {
    /// It waits in the connector's buffer.
    Waiting,
    /// It was sent.
    Sent,
    /// It was sent through the buffer, and acknowledged.
    Acknowledged,
}

/// A text with a bound.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct BoundText {
    text: String,
    /// Number of bytes that were left out.
    #[serde(skip_serializing_if = "is_zero")]
    left_out: usize,
}

// Serde passes a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl From<&str> for BoundText {
    fn from(text: &str) -> BoundText {
        let end = text.floor_char_boundary(MAX_TEXT);
        BoundText { text: text[..end].to_owned(), left_out: text.len() - end }
    }
}

impl BoundText {
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

/// A file of a message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Attachment {
    pub(crate) name: String,
    /// Kind, as the op or the event names it: `image`, `voice`, `audio`, `video` or `document`.
    pub(crate) kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mime: Option<String>,
    /// Size in bytes, if the connector has the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<usize>,
    pub(crate) url: String,
    /// Name of the file at the page's server, if the connector has the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// True if the page shows it as an image.
    pub(crate) is_shown: bool,
}

/// Button of a prompt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Button {
    pub(crate) id: String,
    pub(crate) label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) style: Option<String>,
}

/// Question with buttons.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct PromptView {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) buttons: Vec<Button>,
    /// Label that was pressed, and the user's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) answer: Option<(String, String)>,
}

/// Step of a task card.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Step {
    pub(crate) title: String,
    pub(crate) status: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) details: String,
}

/// Card with the steps of a turn.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Card {
    pub(crate) steps: Vec<Step>,
    /// True if the agent has ended it.
    pub(crate) is_over: bool,
}

/// A message of a chat.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Message {
    /// Id of the message on the platform; for what has none, a name of the workbench's own.
    pub(crate) key: String,
    /// Time in Unix milliseconds.
    pub(crate) at: u64,
    pub(crate) author: Author,
    #[serde(flatten)]
    pub(crate) text: BoundText,
    /// Message that began the thread, on platforms whose threads are within the chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) thread: Option<String>,
    /// Message that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reply_to: Option<String>,
    /// Number of edits.
    pub(crate) edits: u32,
    pub(crate) is_deleted: bool,
    /// True while it grows as a draft.
    pub(crate) is_draft: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) progress: Option<Progress>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<Attachment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prompt: Option<PromptView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) card: Option<Card>,
    /// Emoji of the agent's reactions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) reactions: Vec<String>,
}

impl Message {
    pub(crate) fn new(key: String, at: u64, author: Author, text: &str) -> Message {
        Message {
            key,
            at,
            author,
            text: text.into(),
            thread: None,
            reply_to: None,
            edits: 0,
            is_deleted: false,
            is_draft: false,
            progress: None,
            files: Vec::new(),
            prompt: None,
            card: None,
            reactions: Vec::new(),
        }
    }

    pub(crate) fn is_of_agent(&self) -> bool {
        self.author == Author::Agent
    }

    /// Replaces the text of a message that was shown before.
    pub(crate) fn edit(&mut self, text: &str) {
        self.text = text.into();
        self.edits = self.edits.saturating_add(1);
    }

    /// Deletes the content.
    pub(crate) fn delete(&mut self) {
        let Message { key, at, author, thread, reply_to, edits, .. } = self;
        let empty = Message::new(std::mem::take(key), *at, author.clone(), "");
        let (thread, reply_to) = (thread.take(), reply_to.take());
        *self = Message { thread, reply_to, edits: *edits, is_deleted: true, ..empty };
    }

    /// Puts a reaction on the message, or removes it.
    pub(crate) fn react(&mut self, emoji: &str, remove: bool) {
        self.reactions.retain(|known| known != emoji);
        if !remove && self.reactions.len() < MAX_REACTIONS {
            self.reactions.push(emoji.chars().take(16).collect());
        }
    }

    /// Returns the number of bytes that it keeps.
    pub(crate) fn weight(&self) -> usize {
        let files = self.files.iter().map(|file| {
            let texts = [&file.name, &file.kind, &file.url].map(String::len).iter().sum::<usize>();
            texts + file.file.as_ref().map_or(0, String::len)
        });
        let buttons = self.prompt.iter().flat_map(|prompt| &prompt.buttons);
        let buttons = buttons.map(|button| button.id.len() + button.label.len());
        let steps = self.card.iter().flat_map(|card| &card.steps);
        let steps = steps.map(|step| step.title.len() + step.status.len() + step.details.len());
        size_of::<Message>()
            + self.key.len()
            + self.text.text.len()
            + files.chain(buttons).chain(steps).sum::<usize>()
    }
}
