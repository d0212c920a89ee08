//! The workbench: fake chats to type in, as a model without I/O. [`page`] shows it in a browser.
//!
//! [`Workbench::observe`] takes what the connector observes, [`Workbench::plan`] what the person at the page does. A plan
//! has instructions for the connector, and [`Workbench::commit`] notes that they were carried out. What changes for the
//! page is in [`Workbench::take_updates`], and [`Workbench::snapshot`] has all for a page that is opened later.

mod action;
mod agent_view;
mod chat;
mod faults;
mod frames;
mod gateway_view;
mod message;
mod ops;
mod page;
mod server;
#[cfg(test)]
mod tests;
mod users;

pub(crate) use action::Action;
pub(crate) use agent_view::{AgentState, AgentView};
use chat::{Chat, Chats};
pub(crate) use faults::{Fault, Faults};
use frames::{FrameRow, Frames};
use gateway_view::GatewayView;
use message::{Author, Message, Progress};
use ops::DoneOp;
pub(crate) use page::{RestartAgent, WorkbenchPage};
use relayline_connector::{Act, Observation, UserFile};
use serde::Serialize;
use serde_json::{Value, json};
pub(crate) use server::{WorkbenchParts, WorkbenchServer};
use std::collections::{BTreeMap, VecDeque};
use users::Effect;

/// Maximum number of requests whose result is awaited.
const MAX_REQUESTS: usize = 1024;
/// Maximum number of commands that are offered.
const MAX_COMMANDS: usize = 100;
/// Maximum number of messages on their way through the buffer whose acknowledgement is awaited.
const MAX_BUFFERED: usize = 2048;

/// The connector's ids and files, which the model needs for users.
pub(crate) trait Files {
    /// Returns a new id for a message on a platform.
    fn message_id(&mut self, platform: &str) -> String;

    /// Adds a user's file, and returns its URL; `None` if it is too large.
    fn add_file(&mut self, file: UserFile) -> Option<String>;

    /// Returns the file of a URL of the connector.
    fn file(&mut self, url: &str) -> Option<UserFile>;
}

/// Command that the agent has declared.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct DeclaredCommand {
    pub(crate) name: String,
    pub(crate) description: String,
    /// Name of its first option, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) option: Option<String>,
}

/// A change for the page.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub(crate) enum Update {
    /// A chat is new or has changed. `after` is the chat above it.
    Chat {
        chat: Value,
        after: Option<String>,
    },
    /// A message is new or has changed.
    Message {
        chat: String,
        message: Box<Message>,
    },
    /// A message is not there any more.
    Gone {
        chat: String,
        message: String,
    },
    People {
        platform: String,
        people: Value,
    },
    Gateway {
        gateway: GatewayView,
    },
    Frame {
        frame: FrameRow,
    },
    Faults {
        faults: Faults,
    },
    Commands {
        commands: Vec<DeclaredCommand>,
    },
    Agent {
        agent: AgentView,
    },
    /// The agent wrote lines to its stderr.
    Stderr {
        lines: Vec<String>,
    },
}

/// Instructions for the connector, and their effect on the chats.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) acts: Vec<Act>,
    effect: Effect,
}

/// The workbench.
#[derive(Debug)]
pub(crate) struct Workbench {
    chats: Chats,
    gateway: GatewayView,
    /// Actions without a result so far, by the id of their request, oldest first.
    requests: VecDeque<(u64, String, Value)>,
    /// Chat and key of messages in the buffer, by `bufferId`.
    buffered: BTreeMap<String, (String, String)>,
    frames: Frames,
    faults: Faults,
    commands: Vec<DeclaredCommand>,
    agent: Option<AgentView>,
    /// The last delivery, and the message that it is.
    last_delivery: Option<Act>,
    /// Number of keys that the workbench has made.
    keys: u64,
    /// Chat in which something happened last.
    latest_chat: Option<String>,
    updates: Vec<Update>,
}

impl Workbench {
    /// Creates the chats of the fake platforms, for a gateway of this id, or the first one that dials.
    pub(crate) fn new(gateway: Option<&str>) -> Workbench {
        Workbench {
            chats: Chats::of_fakes(),
            gateway: GatewayView::new(gateway),
            requests: VecDeque::new(),
            buffered: BTreeMap::new(),
            frames: Frames::default(),
            faults: Faults::default(),
            commands: Vec::new(),
            agent: None,
            last_delivery: None,
            keys: 0,
            latest_chat: None,
            updates: Vec::new(),
        }
    }

    /// Returns all that a page shows.
    pub(crate) fn snapshot(&self) -> Value {
        let chats = self.chats.all().iter().map(|chat| {
            let mut value = json!(chat);
            value["messages"] = json!(chat.messages);
            value
        });
        json!({
            "chats": chats.collect::<Vec<_>>(),
            "people": self.chats.people(),
            "gateway": self.gateway,
            "frames": self.frames.all(),
            "faults": self.faults,
            "commands": self.commands,
            "agent": self.agent,
            "stderr": self.agent.as_ref().map(AgentView::stderr),
            "dropped": self.chats.dropped(),
        })
    }

    /// Takes the changes since the last call.
    pub(crate) fn take_updates(&mut self) -> Vec<Update> {
        std::mem::take(&mut self.updates)
    }

    /// Applies an observation of the connector. `at` is the time in Unix milliseconds.
    pub(crate) fn observe(&mut self, at: u64, seen: &Observation, files: &mut dyn Files) {
        if !self.gateway.is_of(seen) {
            return;
        }
        if let Some(frame) = self.frames.add(at, seen) {
            self.updates.push(Update::Frame { frame });
        }
        if self.gateway.apply(at, seen) {
            self.tell_gateway();
        }
        match seen {
            Observation::Frame { dial, frame, .. } => self.observe_frame(*dial, frame),
            Observation::Sent { frame, .. } => self.observe_sent(frame),
            Observation::Answered { dial, request_id, result, .. } => {
                let is_it = |(of, id, _): &(u64, String, Value)| of == dial && id == request_id;
                let Some(found) = self.requests.iter().position(is_it) else { return };
                let Some((.., frame)) = self.requests.remove(found) else { return };
                let default = self.gateway.platforms.first().cloned().unwrap_or_default();
                let platform = frame["platform"].as_str().unwrap_or(&default);
                self.show(&DoneOp { at, platform, action: &frame["action"], result }, files);
            }
            Observation::Closed { dial, .. } => self.requests.retain(|(of, ..)| of != dial),
            Observation::Unacked { buffer_id, .. } => {
                let text = "the agent has not acknowledged this buffered message, and those after it wait: acknowledge it \
                            with the op ack, or run the gateway with --auto-ack";
                match self.buffered.get(buffer_id).cloned() {
                    Some((chat, _)) => self.note(&chat, None, at, text, true),
                    None => self.note_anywhere(at, text, true),
                }
            }
            _ => {}
        }
    }

    /// Returns the id of the gateway, once it is known.
    pub(crate) fn gateway(&self) -> Option<&str> {
        self.gateway.id.as_deref()
    }

    /// Sets the number of messages in the connector's buffer.
    pub(crate) fn set_buffered(&mut self, buffered: usize) {
        if self.gateway.buffered != buffered {
            self.gateway.buffered = buffered;
            self.tell_gateway();
        }
    }

    /// Notes that the gateway has ended for good, or has started again.
    pub(crate) fn set_revoked(&mut self, is_revoked: bool) {
        self.gateway.has_ended = is_revoked;
        self.tell_gateway();
    }

    /// Returns true while the gateway is refused.
    pub(crate) fn refuses_gateway(&self) -> bool {
        self.faults.has(Fault::Revoke)
    }

    /// Replaces the state of the agent's process.
    pub(crate) fn set_agent(&mut self, change: impl FnOnce(&mut AgentView)) {
        let agent = self.agent.get_or_insert_default();
        change(agent);
        let agent = agent.clone();
        self.updates.push(Update::Agent { agent });
    }

    /// Adds a line of the agent's stderr.
    pub(crate) fn add_stderr(&mut self, line: &str) {
        let line = self.agent.get_or_insert_default().add_stderr(line);
        match self.updates.last_mut() {
            Some(Update::Stderr { lines }) => lines.push(line),
            _ => self.updates.push(Update::Stderr { lines: vec![line] }),
        }
    }

    fn observe_frame(&mut self, dial: u64, frame: &Value) {
        let id = |name: &str| frame[name].as_str().unwrap_or_default().to_owned();
        match frame["type"].as_str() {
            Some("outbound") => {
                if self.requests.len() >= MAX_REQUESTS {
                    self.requests.pop_front();
                }
                self.requests.push_back((dial, id("requestId"), frame.clone()));
            }
            Some("hello") if frame["command_manifest"].is_array() => {
                let commands = frame["command_manifest"].as_array().map(Vec::as_slice).unwrap_or_default();
                self.commands = commands.iter().filter_map(declared).take(MAX_COMMANDS).collect();
                self.updates.push(Update::Commands { commands: self.commands.clone() });
            }
            Some("inbound_ack") => {
                if let Some((chat, message)) = self.buffered.remove(&id("bufferId")) {
                    self.set_progress(&chat, &message, Progress::Acknowledged);
                }
            }
            _ => {}
        }
    }

    /// Notes that a user's message was sent to the gateway.
    fn observe_sent(&mut self, frame: &Value) {
        let (platform, chat_id, message_id, thread) = match frame["type"].as_str() {
            Some("inbound") => {
                let source = &frame["event"]["source"];
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let thread = source["thread_id"].as_str().map(str::to_owned);
                (
                    text(&source["platform"]),
                    text(&source["chat_id"]),
                    text(&frame["event"]["message_id"]),
                    thread,
                )
            }
            Some("passthrough_forward") => match users::read_interaction(&frame["forward"]) {
                Some((chat_id, message_id)) => ("discord".to_owned(), chat_id, message_id, None),
                None => return,
            },
            _ => return,
        };
        let Some((chat, _)) = self.chats.place(&platform, &chat_id, thread.as_deref()) else { return };
        self.set_progress(&chat, &message_id, Progress::Sent);
        if let Some(buffer_id) = frame["bufferId"].as_str() {
            if self.buffered.len() >= MAX_BUFFERED {
                self.buffered.pop_first();
            }
            self.buffered.insert(buffer_id.to_owned(), (chat, message_id));
        }
    }

    fn set_progress(&mut self, chat: &str, message: &str, progress: Progress) {
        let Some(known) = self.chats.get_mut(chat).and_then(|chat| chat.find(message)) else { return };
        // An acknowledged message can be sent once more.
        if known.progress.is_none() || known.progress >= Some(progress) {
            return;
        }
        known.progress = Some(progress);
        let message = Box::new(known.clone());
        self.updates.push(Update::Message { chat: chat.to_owned(), message });
    }

    // ---- changes of the chats ---------------------------------------------------------------------------------

    /// Adds a message, or replaces the one with its key.
    fn post(&mut self, chat: &str, message: Message) {
        if message.is_of_agent() {
            self.set_typing(chat, None);
        }
        self.latest_chat = Some(chat.to_owned());
        self.updates.push(Update::Message { chat: chat.to_owned(), message: Box::new(message.clone()) });
        for (chat, message) in self.chats.put(chat, message) {
            self.updates.push(Update::Gone { chat, message });
        }
    }

    /// Changes a message, and shows it. Returns false if it is not there.
    fn amend(&mut self, chat: &str, message: &str, change: impl FnOnce(&mut Message)) -> bool {
        let found = self.chats.get_mut(chat).and_then(|chat| chat.find(message));
        let Some(mut message) = found.map(|known| known.clone()) else { return false };
        change(&mut message);
        self.post(chat, message);
        true
    }

    fn remove(&mut self, chat: &str, message: &str) {
        self.chats.remove(chat, message);
        self.updates.push(Update::Gone { chat: chat.to_owned(), message: message.to_owned() });
    }

    /// Adds a line of the workbench's own.
    fn note(&mut self, chat: &str, thread: Option<String>, at: u64, text: &str, is_error: bool) {
        let mut note = Message::new(self.new_key(), at, Author::Note { is_error }, text);
        note.thread = thread;
        self.post(chat, note);
    }

    /// Adds a line to the chat in which something happened last.
    fn note_anywhere(&mut self, at: u64, text: &str, is_error: bool) {
        let first = || self.chats.all().first().map(|chat| chat.key.clone());
        if let Some(chat) = self.latest_chat.clone().or_else(first) {
            self.note(&chat, None, at, text, is_error);
        }
    }

    fn new_key(&mut self) -> String {
        self.keys += 1;
        format!("note:{}", self.keys)
    }

    fn set_typing(&mut self, chat: &str, typing: Option<(String, u64)>) {
        let Some(known) = self.chats.get_mut(chat) else { return };
        if known.typing != typing {
            known.typing = typing;
            self.tell_chat(chat);
        }
    }

    fn add_chat(&mut self, at: u64, chat: Chat) {
        let key = chat.key.clone();
        match self.chats.add(chat) {
            Ok(()) => self.tell_chat(&key),
            Err(error) => self.note_anywhere(at, &error, true),
        }
    }

    fn tell_chat(&mut self, key: &str) {
        let chats = self.chats.all();
        let Some(at) = chats.iter().position(|chat| chat.key == key) else { return };
        let after = at.checked_sub(1).and_then(|before| chats.get(before)).map(|chat| chat.key.clone());
        let chat = chats.get(at).map_or(Value::Null, |chat| json!(chat));
        self.updates.push(Update::Chat { chat, after });
    }

    fn tell_gateway(&mut self) {
        // Many requests in a row are one change.
        if let Some(Update::Gateway { gateway }) = self.updates.last_mut() {
            gateway.clone_from(&self.gateway);
            return;
        }
        self.updates.push(Update::Gateway { gateway: self.gateway.clone() });
    }
}

/// Reads a command of a manifest; `None` for one without a name, or one of a context menu.
fn declared(command: &Value) -> Option<DeclaredCommand> {
    let text = |value: &Value| value.as_str().map(|text| text.chars().take(100).collect::<String>());
    if command.get("type").and_then(Value::as_u64).is_some_and(|kind| kind != 1) {
        return None;
    }
    let option = command["options"].as_array().and_then(|options| text(&options.first()?["name"]));
    let name = text(&command["name"]).filter(|name| !name.is_empty())?;
    Some(DeclaredCommand { name, description: text(&command["description"]).unwrap_or_default(), option })
}
