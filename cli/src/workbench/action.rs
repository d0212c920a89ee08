//! Actions of the person at the page.

use super::faults::Fault;
use serde::Deserialize;

/// An action, as the page posts it.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Action {
    /// Write a message as a user. On Discord a declared command becomes an interaction.
    Say {
        chat: String,
        user: String,
        #[serde(default)]
        text: String,
        /// Message whose thread it belongs to.
        #[serde(default)]
        thread: Option<String>,
        #[serde(default)]
        reply_to: Option<String>,
        #[serde(default)]
        files: Vec<NewFile>,
    },
    /// Change a user's message.
    Edit { chat: String, message: String, text: String },
    /// Delete a user's message from the chat.
    Delete { chat: String, message: String },
    /// Press a button of a prompt.
    Press { chat: String, user: String, prompt: String, option: String },
    /// Interrupt the agent's turn in a chat.
    Interrupt {
        chat: String,
        user: String,
        #[serde(default)]
        thread: Option<String>,
    },
    /// Open a thread in a chat.
    OpenThread { chat: String, name: String },
    /// Add a chat to a platform; with a user it is a direct chat.
    AddChat {
        platform: String,
        name: String,
        #[serde(default)]
        user: Option<String>,
    },
    /// Add a user to a platform.
    AddUser { platform: String, name: String },
    /// Begin or end a fault, or cause a momentary one.
    Fault {
        name: Fault,
        #[serde(default = "yes")]
        on: bool,
    },
    /// Start the agent again.
    RestartAgent,
}

/// A file that a user attaches.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewFile {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) mime: String,
    /// Content in base64.
    pub(crate) base64: String,
}

fn yes() -> bool {
    true
}
