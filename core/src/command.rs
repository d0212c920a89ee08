//! What a host asks of a machine, and how it ends (O).

mod check;

pub use check::MAX_ID_BYTES;
pub(crate) use check::{id_problem, too_large};

use crate::json;
use crate::output::DeliveryId;
use crate::prompts::Prompt;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// What goes beside an op, as the host wants it; what is remembered of the chat is added where it is not set (M-2).
pub type Metadata = Map<String, Value>;

/// What a host can ask for. Each accepted command completes exactly once.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Command {
    /// Send a message. Completes with [`Reply::Sent`].
    Send(Send),
    /// Change a message that was sent; offered where `supports_edit` is (O-9). Completes with [`Reply::Done`].
    Edit(Edit),
    /// Show, word or clear the typing sign. Completes with [`Reply::Done`], whatever becomes of it.
    Typing(Typing),
    /// Answer under a session's own capability, an interaction token for instance. Completes with [`Reply::Sent`].
    FollowUp(FollowUp),
    /// Ask what a chat is called and what it is. Completes with [`Reply::ChatInfo`].
    ChatInfo(ChatInfo),
    /// Take a message back. Completes with [`Reply::Done`].
    Delete(Delete),
    /// Send a file by its URL. Completes with [`Reply::Sent`].
    SendMedia(SendMedia),
    /// Ask with buttons. Completes with [`Reply::Prompted`]; the answer comes as a delivery of its own.
    Prompt(Prompt),
    /// Put a reaction on a message, or take it off. Completes with [`Reply::Done`].
    React(React),
    /// Open a thread. Completes with [`Reply::Thread`].
    ThreadCreate(ThreadCreate),
    /// Give a thread another name. Completes with [`Reply::Done`].
    ThreadRename(ThreadRename),
    /// Show a growing answer as a draft. Completes with [`Reply::Sent`].
    Draft(Draft),
    /// Show the steps of a turn as a card, or bring the card up to date. Completes with [`Reply::Sent`].
    TaskCard(TaskCard),
    /// End a task card. Completes with [`Reply::Done`].
    TaskCardStop(TaskCardStop),
    /// Show a growing reply as the chat's platform allows: as a draft, as a message that is edited, or as a message
    /// per segment (O-10). Completes with [`Reply::Done`] at once, the one with [`Stream::last`] with
    /// [`Reply::Streamed`] when all is out.
    Stream(Stream),
    /// Answers a delivery by its number alone: chat, platform, thread and anchor are the delivery's (M-7). Completes
    /// with [`Reply::Sent`].
    Reply(ReplyMessage),
    /// Brackets the turn that a delivery began (O-15). Completes with [`Reply::Done`] at once.
    Turn(Turn),
    /// Stop the turn of a session. Completes with [`Reply::Done`] once written: nobody answers it.
    Interrupt(Interrupt),
    /// Write an action as it is, whatever its op. Completes with [`Reply::Raw`].
    Raw(Raw),
    /// Have the connector buffer from now on (L-12). Completes with [`Reply::Idle`].
    GoIdle,
    /// The same, and when confirmed close the connection and dial again later (L-13). Completes with [`Reply::Idle`].
    GoDormant,
    /// Hold re-dials for that long, at most `hold_most` (L-13). Completes with [`Reply::Done`] at once; refused
    /// during a disconnect.
    Hold(Duration),
    /// Lift the hold and be served again: dial at once where idle, dormant or waiting (L-12, L-13). Completes with
    /// [`Reply::Done`] at once; refused during a disconnect.
    Resume,
    /// End it all within the budget (L-14). Completes with [`Reply::Done`] when nothing is left.
    Disconnect,
}

/// What the wire makes of a command.
pub(crate) enum Wire<'a> {
    /// An `outbound` frame with this op, in this chat, on this platform if it names one.
    Op { op: &'static str, chat_id: &'a str, platform: Option<&'a str> },
    /// An `outbound` frame without a chat.
    Chatless,
    /// An `interrupt` frame.
    Interrupt(&'a Interrupt),
    /// Nothing that waits for an answer: the connection's own business.
    None,
}

impl Command {
    /// Its name: that of its op where it is one, as the bridge and traces print it.
    pub fn name(&self) -> &'static str {
        match self {
            Command::FollowUp(_) => "follow_up",
            Command::Raw(_) => "raw",
            Command::Interrupt(_) => "interrupt",
            Command::GoIdle => "go_idle",
            Command::GoDormant => "go_dormant",
            Command::Hold(_) => "hold",
            Command::Resume => "resume",
            Command::Stream(_) => "stream",
            Command::Reply(_) => "reply",
            Command::Turn(_) => "turn",
            Command::Disconnect => "disconnect",
            Command::Send(_)
            | Command::Edit(_)
            | Command::Typing(_)
            | Command::ChatInfo(_)
            | Command::Delete(_)
            | Command::SendMedia(_)
            | Command::Prompt(_)
            | Command::React(_)
            | Command::ThreadCreate(_)
            | Command::ThreadRename(_)
            | Command::Draft(_)
            | Command::TaskCard(_)
            | Command::TaskCardStop(_) => match self.wire() {
                Wire::Op { op, .. } => op,
                Wire::Chatless | Wire::Interrupt(_) | Wire::None => "op",
            },
        }
    }

    /// Id of the chat that it is for, if it is for one.
    pub fn chat_id(&self) -> Option<&str> {
        match (self, self.wire()) {
            // A delivery may stand in for the chat.
            (Command::Stream(Stream { chat_id, .. }), _)
            | (Command::TaskCard(TaskCard { card: Card { chat_id, delivery: Some(_), .. }, .. }), _)
            | (Command::TaskCardStop(TaskCardStop { card: Card { chat_id, delivery: Some(_), .. } }), _) => {
                Some(chat_id.as_str()).filter(|id| !id.is_empty())
            }
            (Command::Raw(raw), _) => raw.action.get("chat_id").and_then(Value::as_str),
            (_, Wire::Op { chat_id, .. }) => Some(chat_id),
            (_, Wire::Chatless | Wire::Interrupt(_) | Wire::None) => None,
        }
    }

    pub(crate) fn wire(&self) -> Wire<'_> {
        let (op, chat_id, platform): (&'static str, &String, Option<&str>) = match self {
            Command::Send(send) => ("send", &send.chat_id, send.platform.as_deref()),
            Command::Edit(edit) => ("edit", &edit.chat_id, edit.platform.as_deref()),
            Command::Delete(delete) => ("delete", &delete.chat_id, delete.platform.as_deref()),
            Command::Typing(typing) => ("typing", &typing.chat_id, typing.platform.as_deref()),
            Command::ChatInfo(info) => ("get_chat_info", &info.chat_id, info.platform.as_deref()),
            Command::SendMedia(media) => ("send_media", &media.chat_id, media.platform.as_deref()),
            Command::Prompt(prompt) => ("prompt", &prompt.chat_id, prompt.platform.as_deref()),
            Command::React(react) => ("react", &react.chat_id, react.platform.as_deref()),
            Command::ThreadCreate(thread) => ("thread_create", &thread.chat_id, thread.platform.as_deref()),
            Command::ThreadRename(thread) => {
                let chat_id = if thread.chat_id.is_empty() { &thread.thread_id } else { &thread.chat_id };
                ("thread_rename", chat_id, thread.platform.as_deref())
            }
            Command::Draft(draft) => ("draft", &draft.chat_id, draft.platform.as_deref()),
            Command::TaskCard(TaskCard { card, .. }) => ("task_card", &card.chat_id, card.platform.as_deref()),
            Command::TaskCardStop(TaskCardStop { card }) => {
                ("task_card_stop", &card.chat_id, card.platform.as_deref())
            }
            Command::FollowUp(_) | Command::Raw(_) => return Wire::Chatless,
            Command::Interrupt(interrupt) => return Wire::Interrupt(interrupt),
            Command::GoIdle
            | Command::GoDormant
            | Command::Hold(_)
            | Command::Resume
            // Their steps are commands of their own.
            | Command::Stream(_)
            | Command::Reply(_)
            | Command::Turn(_)
            | Command::Disconnect => {
                return Wire::None;
            }
        };
        Wire::Op { op, chat_id, platform }
    }
}

/// See [`Command::Send`].
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Send {
    /// The chat to send to.
    pub chat_id: String,
    /// The text. Too long a text is the connector's to refuse: [`crate::split::split`] cuts it.
    pub content: String,
    /// The message that it answers.
    pub reply_to: Option<String>,
    /// Metadata of the host's own.
    pub metadata: Metadata,
    /// The platform to send on; by default the one on which the chat was last seen (M-3).
    pub platform: Option<String>,
}

/// See [`Command::Edit`].
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Edit {
    /// The chat that the message is in.
    pub chat_id: String,
    /// The message.
    pub message_id: String,
    /// Its new text.
    pub content: String,
    /// Metadata of the host's own.
    pub metadata: Metadata,
    /// As in [`Send::platform`].
    pub platform: Option<String>,
}

/// See [`Command::Typing`].
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Typing {
    /// The chat to show it in.
    pub chat_id: String,
    /// `None` switches it on; a text is shown as a status; the empty text clears it (Slack only).
    pub content: Option<String>,
    /// Metadata of the host's own.
    pub metadata: Metadata,
    /// As in [`Send::platform`].
    pub platform: Option<String>,
}

/// See [`Command::FollowUp`].
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FollowUp {
    /// The session whose capability it uses.
    pub session_key: String,
    /// The capability, as in `discord.interaction_token`. What stands before the first dot is the platform (M-4).
    pub kind: String,
    /// The text.
    pub content: String,
    /// Metadata of the host's own; nothing is added, since no chat is named.
    pub metadata: Metadata,
}

/// See [`Command::ChatInfo`].
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ChatInfo {
    /// The chat to ask about.
    pub chat_id: String,
    /// As in [`Send::platform`].
    pub platform: Option<String>,
}

/// See [`Command::Delete`].
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Delete {
    /// The chat that the message is in.
    pub chat_id: String,
    /// The message.
    pub message_id: String,
    /// Metadata of the host's own.
    pub metadata: Metadata,
    /// As in [`Send::platform`].
    pub platform: Option<String>,
}

/// What a file is sent as.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// An image.
    Image,
    /// A voice message; not an audio file.
    Voice,
    /// An audio file; not a voice message.
    Audio,
    /// A video.
    Video,
    /// Any other file.
    #[default]
    Document,
}

/// See [`Command::SendMedia`].
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SendMedia {
    /// The chat to send to.
    pub chat_id: String,
    /// What it is sent as.
    pub kind: MediaKind,
    /// Where the connector fetches it.
    pub source_url: String,
    /// The text that goes with it.
    pub caption: String,
    /// The name that it is to have.
    pub filename: Option<String>,
    /// The message that it answers.
    pub reply_to: Option<String>,
    /// Metadata of the host's own.
    pub metadata: Metadata,
    /// As in [`Send::platform`].
    pub platform: Option<String>,
}

/// See [`Command::React`].
#[derive(Clone, PartialEq, Debug, Default)]
pub struct React {
    /// The chat that the message is in.
    pub chat_id: String,
    /// The message.
    pub message_id: String,
    /// The reaction.
    pub emoji: String,
    /// Whether to take it off.
    pub remove: bool,
    /// Metadata of the host's own.
    pub metadata: Metadata,
    /// As in [`Send::platform`].
    pub platform: Option<String>,
}

/// See [`Command::ThreadCreate`].
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ThreadCreate {
    /// The chat to open it in.
    pub chat_id: String,
    /// Its name: trimmed, cut after 100 characters, `handoff` when there is nothing left.
    pub name: String,
    /// The message that it hangs off, where it hangs off one.
    pub message_id: Option<String>,
    /// Metadata of the host's own.
    pub metadata: Metadata,
    /// As in [`Send::platform`].
    pub platform: Option<String>,
}

/// See [`Command::ThreadRename`].
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ThreadRename {
    /// The chat that the thread hangs off; empty, it is the thread itself.
    pub chat_id: String,
    /// The thread.
    pub thread_id: String,
    /// Its new name: white space is collapsed, the rest is cut at 100 characters, and is not empty.
    pub name: String,
    /// Rename it only if the connector created it. Then `only_if_current_name` is not written: this guard is the one
    /// to prefer.
    pub only_if_connector_created: bool,
    /// Rename it only if this is its name now.
    pub only_if_current_name: Option<String>,
    /// Metadata of the host's own.
    pub metadata: Metadata,
    /// As in [`Send::platform`].
    pub platform: Option<String>,
}

/// See [`Command::Draft`].
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Draft {
    /// The chat to show it in.
    pub chat_id: String,
    /// Which draft: all states of one growing answer share it.
    pub draft_id: i64,
    /// All of the text so far.
    pub content: String,
    /// Whether this is the last state: it becomes a message.
    pub last: bool,
    /// Metadata of the host's own.
    pub metadata: Metadata,
    /// As in [`Send::platform`].
    pub platform: Option<String>,
}

/// Names a task card: its id, and the chat that it is in.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Card {
    /// The delivery that the card's turn answers: chat, platform, thread and message are the delivery's. `None` where
    /// the fields below name them.
    pub delivery: Option<DeliveryId>,
    /// The chat to show it in. May be empty beside `delivery`; given, it must be the delivery's.
    pub chat_id: String,
    /// Id of the card; see [`Card::id`] for its default.
    pub card_id: Option<String>,
    /// The message that the card belongs to. Slack shows the card in its thread.
    pub reply_to: Option<String>,
    /// Metadata of the host's own.
    pub metadata: Metadata,
    /// As in [`Send::platform`].
    pub platform: Option<String>,
}

impl Card {
    /// Returns the card's id on the wire: `card_id`, else `turn:` and the id of the message that it belongs to. That
    /// is `reply_to`, else the metadata's `message_id` or `reply_to_message_id`; without any, it is `root`. A
    /// `delivery` stands for its message only once the command is submitted.
    pub fn id(&self) -> Cow<'_, str> {
        let named = |id: &str| Some(id.to_owned()).filter(|id| !id.is_empty());
        let own = |name: &str| match self.metadata.get(name) {
            Some(Value::String(id)) => named(id),
            Some(Value::Number(id)) => named(&id.to_string()),
            _ => None,
        };
        match self.card_id.as_deref().filter(|id| !id.is_empty()) {
            Some(id) => id.into(),
            None => {
                let message = self.reply_to.as_deref().and_then(named);
                let message = message.or_else(|| own("message_id")).or_else(|| own("reply_to_message_id"));
                format!("turn:{}", message.as_deref().unwrap_or("root")).into()
            }
        }
    }
}

/// See [`Command::TaskCard`].
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TaskCard {
    /// The card.
    pub card: Card,
    /// All of its steps, as the platform's connector reads them: objects with `id`, `title` and `status`, for instance.
    pub chunks: Vec<Map<String, Value>>,
}

/// See [`Command::TaskCardStop`].
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TaskCardStop {
    /// The card.
    pub card: Card,
}

/// See [`Command::Stream`]: the next state of a reply that grows under the host's own name for it.
///
/// # What is shown
///
/// The first state is shown at once, then at most one per `stream_interval`, and never two at a time: of states that
/// come faster the newest counts. Where the chat's platform offers drafts the reply grows as a draft, else as a
/// message that is edited, else nothing is shown until a segment is complete (O-10). Only on Slack does a draft become
/// the message, by a last frame that seals it; elsewhere the message is sent beside it, and the draft vanishes (O-12).
/// The frame that completes the text has `metadata.notify`; it goes out even where all of the text is shown (M-7). Text beyond the platform's limit
/// goes on in further messages, cut as [`crate::split::split`] cuts, without numbers. Until the last state, an
/// unfinished line that may yet become a fence, and a code block with nothing in it, are not shown. The last state
/// waits for nothing but the answer to the step before it; nor do further messages that it takes.
///
/// A text need not begin as the one before it: what has become of the message under way is replaced as a whole.
/// Messages that are finished stay as they are, and only what lies beyond their length goes on.
///
/// # How it ends
///
/// The last state completes once; until then the name takes no further state (definite). What may be shown already is
/// never sent again:
/// - A step that failed as **ambiguous** counts as shown, and what follows goes on. Unless the whole message was
///   replaced by a later step, the stream in the end fails as ambiguous, too: all was sent, and a part may be missing.
/// - An edit that was **rejected**, or is **unsupported** by now: what is shown stays, and what lies beyond it goes on
///   as segments. One that was to replace what is shown ends the stream with that failure.
/// - A draft that was rejected or is unsupported: the reply goes on as edits, or as segments (O-14). The same holds for
///   a seal.
/// - A seal that failed as **ambiguous** is written once more; connectors treat it as idempotent. When that does not
///   help, the stream fails as ambiguous, and nothing else of it goes out (O-13).
/// - A message that was rejected, and whatever was **declined** (O-7), ends the stream with that failure. Further
///   states of that name fail with it at once, until the last.
/// - A **definite** failure, of a lost connection for instance, fails the last state if it has come, and leaves the
///   stream as it is. Nothing waits for the next connection (O-8): states are refused while there is none, and then
///   the next one goes on where the stream was. So the last state can be submitted again under its name, and nothing
///   is shown twice.
///
/// After any other end the name is free, and a further state begins a new stream. A host that gives a stream up
/// should still say its last state: at most `streams` are under way, the next is refused definitely. Only those
/// of which the host knows that they failed make room. Together the texts may have `write_queue_bytes`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Stream {
    /// The host's name for this reply.
    pub stream: String,
    /// The delivery that it answers: chat, platform, thread and anchor are the delivery's, as the stream's first state
    /// says. `None` where the fields below say them.
    pub delivery: Option<DeliveryId>,
    /// The chat to show it in: that of the stream's first state, else it is refused. May be empty beside `delivery`.
    pub chat_id: String,
    /// All of the text so far.
    pub text: String,
    /// Whether this is all there will be.
    pub last: bool,
    /// Whether the text so far is a complete segment: of use only where nothing can be edited.
    pub segment: bool,
    /// The message that its first message answers; as the stream's first state says.
    pub reply_to: Option<String>,
    /// Metadata of the host's own; as the stream's first state says.
    pub metadata: Metadata,
    /// As in [`Send::platform`]; as the stream's first state says.
    pub platform: Option<String>,
}

/// See [`Command::Reply`].
///
/// The last [`reply_targets`](crate::config::Limits::reply_targets) deliveries can be answered, whether they are
/// settled or not.
#[derive(Clone, PartialEq, Debug)]
pub struct ReplyMessage {
    /// The delivery that it answers.
    pub delivery: DeliveryId,
    /// The text. A text over the platform's limit is the connector's to refuse: [`crate::split::split`] cuts it.
    pub content: String,
    /// Whether it completes the turn's answer: then `metadata.notify` says so (M-7).
    pub last: bool,
    /// Whether it goes on where an earlier reply ended: then it does not point at the message again.
    pub continues: bool,
    /// Metadata of the host's own. What is set here is not replaced.
    pub metadata: Metadata,
}

/// See [`Command::Turn`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Turn {
    /// The delivery that began it.
    pub delivery: DeliveryId,
    /// The state to enter.
    pub state: TurnState,
}

/// State of a turn (O-15).
///
/// Whatever is shown of it is best effort: what the chat's platform does not offer, or cannot be written, is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnState {
    /// The agent works on it: 👀 is put on the message, and the typing sign is kept up.
    Begin,
    /// It ended well: ✅ takes the place of 👀.
    Done,
    /// It failed: ❌ takes the place of 👀.
    Failed,
    /// The user stopped it: 👀 is removed. Streamed replies to the delivery end with what is shown (O-13).
    Stopped,
}

/// See [`Command::Raw`]. Nothing is checked: what the connector makes of the action is between it and the host.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Raw {
    /// The action, with its `op`.
    pub action: Map<String, Value>,
    /// The platform to write it for; by default the one on which its `chat_id` was last seen (M-3).
    pub platform: Option<String>,
    /// Add nothing: neither what is remembered of the chat (M-2) nor its platform.
    pub bare: bool,
}

impl Raw {
    /// Returns the chat whose memory is added to the action.
    pub(crate) fn chat(&self) -> Option<Cow<'_, str>> {
        match self.action.get("chat_id").filter(|_| !self.bare)? {
            Value::String(id) => Some(id.as_str().into()),
            Value::Number(id) if !id.is_f64() => Some(id.to_string().into()),
            _ => None,
        }
    }
}

/// See [`Command::Interrupt`].
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Interrupt {
    /// The session to stop.
    pub session_key: String,
    /// Why, for people.
    pub reason: Option<String>,
}

/// The number of a request: a counter, and the second half of its id on the wire (O-1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub(crate) u64);

impl RequestId {
    /// The counter.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// Thread that a connector has made for an answer (O-18).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AutoThread {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// How a request ended well.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Reply {
    /// It is done, and there is nothing to tell.
    Done,
    /// It was sent.
    Sent {
        /// The platform's id of the message, where the connector told it.
        message_id: Option<String>,
        /// Thread that the message is in, where the connector told it. Beside `auto_thread_name` it is a thread that
        /// the connector has just made for the message.
        thread_id: Option<String>,
        /// Name of the thread that the connector has made.
        auto_thread_name: Option<String>,
    },
    /// A prompt is open (I-2).
    Prompted {
        /// Under which its answer comes.
        prompt_id: String,
        /// The platform's id of the message that carries it, where the connector told it.
        message_id: Option<String>,
    },
    /// A thread is open.
    Thread {
        /// Its id, where the connector told it.
        thread_id: Option<String>,
    },
    /// What a chat is called and what it is (O-5).
    ChatInfo {
        /// Its name; its id where it has none.
        name: String,
        /// Its type; `dm` where nobody said.
        chat_type: String,
    },
    /// A streamed reply is all out.
    Streamed {
        /// The platform's ids of its messages, in order, as far as the connector told them.
        message_ids: Vec<String>,
        /// The last thread that the connector has made for one of them, and its name.
        auto_thread: Option<AutoThread>,
    },
    /// The connector's whole answer to an action that went out as it is.
    Raw {
        /// The `result` object.
        result: Map<String, Value>,
    },
    /// Whether going idle was confirmed in time (L-12). If not, all stays as it was.
    Idle {
        /// Whether it was.
        confirmed: bool,
    },
}

impl Reply {
    /// Bytes of the connector's words in it.
    pub(crate) fn weight(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        match self {
            Reply::Sent { message_id, thread_id, auto_thread_name } => {
                text(message_id) + text(thread_id) + text(auto_thread_name)
            }
            Reply::Prompted { message_id, .. } => text(message_id),
            Reply::Thread { thread_id } => text(thread_id),
            Reply::ChatInfo { name, chat_type } => name.len() + chat_type.len(),
            Reply::Streamed { message_ids, auto_thread } => {
                let thread = auto_thread.as_ref().map_or(0, |thread| thread.id.len() + thread.name.len());
                message_ids.iter().map(String::len).sum::<usize>() + thread
            }
            Reply::Raw { result } => json::weight_of_fields(result),
            Reply::Done | Reply::Idle { .. } => 0,
        }
    }
}

/// In which of five ways a request failed (O-3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailureKind {
    /// It was never written: sending it again is safe.
    Definite,
    /// It was written, and the answer never came or came as ambiguous: it may have been carried out.
    Ambiguous,
    /// The connector's policy forbids it; the same content is not to be sent by another op (O-7).
    Declined,
    /// The chat's platform does not offer it (O-9); never written.
    Unsupported,
    /// The connector answered that it failed.
    Rejected,
}

impl FailureKind {
    /// The kind's name in the bridge and in traces.
    pub fn name(self) -> &'static str {
        match self {
            FailureKind::Definite => "definite",
            FailureKind::Ambiguous => "ambiguous",
            FailureKind::Declined => "declined",
            FailureKind::Unsupported => "unsupported",
            FailureKind::Rejected => "rejected",
        }
    }
}

/// How a request failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Which of the five ways.
    pub kind: FailureKind,
    /// What happened; the connector's own words where it has any.
    pub message: String,
    /// The connector's code, if it gave one.
    pub code: Option<String>,
}

impl Failure {
    /// Bytes of the connector's words in it.
    pub(crate) fn weight(&self) -> usize {
        self.message.len() + self.code.as_ref().map_or(0, String::len)
    }

    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Failure { kind, message: message.into(), code: None }
    }

    pub(crate) fn definite(message: impl Into<String>) -> Self {
        Failure::new(FailureKind::Definite, message)
    }
}

/// Reason for which a command is refused.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Refusal {
    pub(crate) failure: Failure,
    /// Whether earlier commands take up the room that this one needs.
    pub(crate) for_want_of_room: bool,
}

impl Refusal {
    /// A refusal that ends as earlier commands do.
    pub(crate) fn full(message: String) -> Self {
        Refusal { failure: Failure::definite(message), for_want_of_room: true }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Refusal { failure, for_want_of_room: false }
    }
}

/// A command that was refused on the spot: nothing was written, and the command comes back (O-6, O-8, O-9).
#[derive(Clone, PartialEq, Debug)]
pub struct NotAccepted(Box<(Command, Refusal)>);

impl NotAccepted {
    pub(crate) fn new(command: Command, refusal: impl Into<Refusal>) -> Self {
        NotAccepted(Box::new((command, refusal.into())))
    }

    /// Why: definite, or unsupported.
    pub fn failure(&self) -> &Failure {
        &self.0.1.failure
    }

    /// Whether it was refused because earlier commands take up all the room (`max_in_flight`, `write_queue_bytes`).
    /// The same command can be accepted once one of them has ended or was written.
    pub fn is_for_want_of_room(&self) -> bool {
        self.0.1.for_want_of_room
    }

    /// The command, and why it was refused.
    pub fn into_parts(self) -> (Command, Failure) {
        let (command, refusal) = *self.0;
        (command, refusal.failure)
    }
}

impl fmt::Display for NotAccepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure().fmt(f)
    }
}

impl std::error::Error for NotAccepted {}
