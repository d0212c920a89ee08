//! The handle: what a host asks of its gateway.

use crate::http::Client;
use crate::inbox::Delivery;
use crate::shared::Handle;
use relayline_core::chats::Chat;
use relayline_core::command::{
    ChatInfo, Command, Delete, Draft, Edit, Failure, FailureKind, FollowUp, Interrupt, NotAccepted, React,
    Reply, Send, SendMedia, Stream, ThreadCreate, ThreadRename, Typing,
};
use relayline_core::config::Config;
use relayline_core::descriptor::Descriptor;
use relayline_core::output::Phase;
use relayline_core::passthrough::INTERACTION_TOKEN;
use relayline_core::prompts::Prompt;
use relayline_core::split::{Room, split};
use relayline_core::stats::Stats;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A gateway's handle: cheap to clone, usable from anywhere.
///
/// Every method that asks something of the connector fails as one [`Failure`], in one of the five ways of O-3.
/// Dropping such a future gives up on the answer, not on the request: once submitted it goes out.
///
/// When the last clone, the [`Inbox`](crate::Inbox), every unsettled delivery and every awaited answer are dropped, the
/// gateway disconnects by itself as [`disconnect`](Self::disconnect) does, as long as its runtime lives.
#[derive(Clone)]
pub struct Relay {
    shared: Arc<Handle>,
    client: Client,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("phase", &self.phase()).finish_non_exhaustive()
    }
}

impl Relay {
    pub(crate) fn new(shared: Arc<Handle>, client: Client) -> Self {
        Relay { shared, client }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Submits a command now; the future is its answer.
    ///
    /// # Errors
    /// At once and with the command, when it cannot even begin (O-6, O-8, O-9).
    pub fn submit(
        &self,
        command: Command,
    ) -> Result<impl Future<Output = Result<Reply, Failure>> + std::marker::Send + use<>, NotAccepted> {
        let answer = self.shared.submit(command)?;
        // Whoever waits is there to be served.
        let shared = self.shared.clone();
        Ok(async move {
            let answer = answer.await;
            drop(shared);
            answer.unwrap_or_else(|_| {
                Err(Failure {
                    kind: FailureKind::Ambiguous,
                    message: "the relay was dropped before the answer came".to_owned(),
                    code: None,
                })
            })
        })
    }

    async fn run(&self, command: Command) -> Result<Reply, Failure> {
        match self.submit(command) {
            Ok(answer) => answer.await,
            Err(refused) => Err(refused.into_parts().1),
        }
    }

    /// Sends a text to a chat; gives the new message's id, where the platform has one.
    pub async fn send(&self, chat_id: &str, text: impl Into<String>) -> Result<Option<String>, Failure> {
        let send = Send { chat_id: chat_id.to_owned(), content: text.into(), ..Send::default() };
        self.run(Command::Send(send)).await.map(sent)
    }

    /// Answers a message, in parts when the text is too long for its chat; gives the id of the last part.
    ///
    /// When a part fails, the ones before it are sent, and the ones after it are not.
    pub async fn reply(&self, to: &Delivery, text: &str) -> Result<Option<String>, Failure> {
        let source = to.message().source();
        // An interaction has an id, but is no message that could be answered.
        let mut reply_to = to.message().message_id().map(str::to_owned);
        let mut last = None;
        for content in self.split(source.chat_id(), text) {
            let mut send = Send { chat_id: source.chat_id().to_owned(), content, ..Send::default() };
            // Only the first part points at what it answers.
            send.reply_to = reply_to.take();
            if let Some(thread) = source.thread_id() {
                send.metadata.insert("thread_id".to_owned(), thread.into());
            }
            last = self.run(Command::Send(send)).await.map(sent)?;
        }
        Ok(last)
    }

    /// Changes a message that was sent.
    pub async fn edit(
        &self,
        chat_id: &str,
        message_id: &str,
        text: impl Into<String>,
    ) -> Result<(), Failure> {
        let (chat_id, message_id) = (chat_id.to_owned(), message_id.to_owned());
        let edit = Edit { chat_id, message_id, content: text.into(), ..Edit::default() };
        self.run(Command::Edit(edit)).await.map(|_| ())
    }

    /// Takes a message back.
    pub async fn delete(&self, chat_id: &str, message_id: &str) -> Result<(), Failure> {
        let (chat_id, message_id) = (chat_id.to_owned(), message_id.to_owned());
        self.run(Command::Delete(Delete { chat_id, message_id, ..Delete::default() })).await.map(|_| ())
    }

    /// Puts a reaction on a message, or takes it off.
    pub async fn react(
        &self,
        chat_id: &str,
        message_id: &str,
        emoji: &str,
        remove: bool,
    ) -> Result<(), Failure> {
        let (chat_id, message_id) = (chat_id.to_owned(), message_id.to_owned());
        let react = React { chat_id, message_id, emoji: emoji.to_owned(), remove, ..React::default() };
        self.run(Command::React(react)).await.map(|_| ())
    }

    /// Sends a file by its URL; gives the new message's id, where the platform has one.
    pub async fn send_media(&self, media: SendMedia) -> Result<Option<String>, Failure> {
        self.run(Command::SendMedia(media)).await.map(sent)
    }

    /// Asks with buttons; gives the prompt's id and the message's. The answer comes as
    /// [`Incoming::PromptAnswer`](crate::Incoming::PromptAnswer). Where a platform has no buttons it fails as
    /// unsupported: [`Prompt::as_text`] is the same question as plain text (I-5).
    pub async fn prompt(&self, prompt: Prompt) -> Result<(String, Option<String>), Failure> {
        match self.run(Command::Prompt(prompt)).await? {
            Reply::Prompted { prompt_id, message_id } => Ok((prompt_id, message_id)),
            _ => Ok((String::new(), None)),
        }
    }

    /// Opens a thread, on a message or by itself; gives its id.
    pub async fn thread_create(
        &self,
        chat_id: &str,
        name: &str,
        message_id: Option<&str>,
    ) -> Result<Option<String>, Failure> {
        let (chat_id, name) = (chat_id.to_owned(), name.to_owned());
        let message_id = message_id.map(str::to_owned);
        let create = ThreadCreate { chat_id, name, message_id, ..ThreadCreate::default() };
        match self.run(Command::ThreadCreate(create)).await? {
            Reply::Thread { thread_id } => Ok(thread_id),
            _ => Ok(None),
        }
    }

    /// Gives a thread another name; `chat_id` is the chat that it hangs off. With `only_if` it is renamed only if that is
    /// its name now.
    pub async fn thread_rename(
        &self,
        chat_id: &str,
        thread_id: &str,
        name: &str,
        only_if: Option<&str>,
    ) -> Result<(), Failure> {
        let (chat_id, thread_id, name) = (chat_id.to_owned(), thread_id.to_owned(), name.to_owned());
        let only_if_current_name = only_if.map(str::to_owned);
        let rename =
            ThreadRename { chat_id, thread_id, name, only_if_current_name, ..ThreadRename::default() };
        self.run(Command::ThreadRename(rename)).await.map(|_| ())
    }

    /// Shows one state of a draft; [`stream_reply`](Self::stream_reply) does so by itself. Gives the message's id.
    pub async fn draft(&self, draft: Draft) -> Result<Option<String>, Failure> {
        self.run(Command::Draft(draft)).await.map(sent)
    }

    /// Whether the connector has already decided that a message's author may reach this instance: always (E-10). A host
    /// must not refuse for want of an allow-list of its own.
    pub fn authorization_is_upstream(&self) -> bool {
        self.shared.lock().machine.authorization_is_upstream()
    }

    /// What is remembered of a chat (M-1).
    pub fn chat(&self, chat_id: &str) -> Option<Chat> {
        self.shared.lock().machine.chat(chat_id).cloned()
    }

    /// Remembers a chat, as after a restart (M-6).
    pub fn prime(&self, chat_id: &str, chat: Chat) {
        self.shared.lock().machine.prime(chat_id, chat);
    }

    /// Shows the typing sign. Never an error.
    pub async fn typing(&self, chat_id: &str) {
        let typing = Typing { chat_id: chat_id.to_owned(), ..Typing::default() };
        // A sign that could not be shown is nothing that a host could act on.
        let _ = self.run(Command::Typing(typing)).await;
    }

    /// Answers under a session's own capability (M-4); gives the message's id.
    pub async fn follow_up(
        &self,
        session_key: &str,
        kind: &str,
        text: impl Into<String>,
    ) -> Result<Option<String>, Failure> {
        let (session_key, kind) = (session_key.to_owned(), kind.to_owned());
        let follow_up = FollowUp { session_key, kind, content: text.into(), ..FollowUp::default() };
        self.run(Command::FollowUp(follow_up)).await.map(sent)
    }

    /// Answers a message with a text that grows: shown as a draft where the platform has them, else as a message that
    /// is edited, else in segments (O-10). See [`Stream`] for what is shown when.
    pub fn stream_reply(&self, to: &Delivery) -> ReplyStream {
        let source = to.message().source();
        let mut state = Stream {
            // One reply streams to one delivery at a time: its number is name enough.
            stream: format!("delivery {}", to.id().number()),
            chat_id: source.chat_id().to_owned(),
            reply_to: to.message().message_id().map(str::to_owned),
            ..Stream::default()
        };
        if let Some(thread) = source.thread_id() {
            state.metadata.insert("thread_id".to_owned(), thread.into());
        }
        ReplyStream { relay: self.clone(), state }
    }

    /// Answers an interaction under the capability that came with it (P-8), as the platform expects it of a command;
    /// gives the message's id. Any other message is answered by [`reply`](Self::reply).
    pub async fn follow_up_to(&self, to: &Delivery, text: &str) -> Result<Option<String>, Failure> {
        self.follow_up(&to.session_key(), INTERACTION_TOKEN, text).await
    }

    /// What a chat is called, and what it is: its name and its type (O-5).
    pub async fn chat_info(&self, chat_id: &str) -> Result<(String, String), Failure> {
        let info = ChatInfo { chat_id: chat_id.to_owned(), platform: None };
        match self.run(Command::ChatInfo(info)).await? {
            Reply::ChatInfo { name, chat_type } => Ok((name, chat_type)),
            _ => Ok((chat_id.to_owned(), "dm".to_owned())),
        }
    }

    /// Stops the turn of a session on the connector's side. Done once it is written: nobody answers.
    pub async fn interrupt(&self, session_key: &str, reason: Option<&str>) -> Result<(), Failure> {
        let (session_key, reason) = (session_key.to_owned(), reason.map(str::to_owned));
        self.run(Command::Interrupt(Interrupt { session_key, reason })).await.map(|_| ())
    }

    /// Has the connector buffer from now on; whether it confirmed (L-12).
    pub async fn go_idle(&self) -> Result<bool, Failure> {
        self.run(Command::GoIdle).await.map(confirmed)
    }

    /// The same, and closes the connection when it is confirmed (L-13).
    pub async fn go_dormant(&self) -> Result<bool, Failure> {
        self.run(Command::GoDormant).await.map(confirmed)
    }

    /// Holds re-dials for that long, a minute at most (L-13).
    pub async fn hold(&self, span: Duration) -> Result<(), Failure> {
        self.run(Command::Hold(span)).await.map(|_| ())
    }

    /// Is served again: dials at once where it is idle, dormant or waiting (L-12, L-13).
    pub async fn resume(&self) -> Result<(), Failure> {
        self.run(Command::Resume).await.map(|_| ())
    }

    /// Ends it all, within five seconds; nothing is pending after it (L-14).
    pub async fn disconnect(&self) {
        // It fails only when it is over already.
        let _ = self.run(Command::Disconnect).await;
    }

    /// Cuts a text into messages that fit a chat (O-11); whole while nothing is known of the chat's platform.
    pub fn split(&self, chat_id: &str, text: &str) -> Vec<String> {
        match self.capabilities(chat_id) {
            Some(descriptor) => split(text, Room::from(&*descriptor)),
            None => vec![text.to_owned()],
        }
    }

    /// What a chat's platform can do (D-9); `None` before the first handshake.
    pub fn capabilities(&self, chat_id: &str) -> Option<Arc<Descriptor>> {
        self.shared.lock().machine.capabilities(chat_id).cloned()
    }

    /// All descriptors of this connection, the default first (D-8).
    pub fn descriptors(&self) -> Vec<Arc<Descriptor>> {
        self.shared.lock().machine.descriptors().to_vec()
    }

    /// Where the connection is.
    pub fn phase(&self) -> Phase {
        self.shared.lock().machine.phase()
    }

    /// What was counted.
    pub fn stats(&self) -> Stats {
        self.shared.lock().machine.stats().clone()
    }

    /// Interrupts and notices that were dropped since the host did not take them; the oldest go first.
    pub fn signs_dropped(&self) -> u64 {
        self.shared.lock().signs_dropped
    }

    /// Where signed deliveries are taken, or why they cannot be; `None` when it is not configured to take any (H-6).
    pub fn inbound(&self) -> Option<Result<SocketAddr, &str>> {
        self.shared.inbound.as_ref().map(|inbound| inbound.as_ref().copied().map_err(String::as_str))
    }

    /// What it runs with.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }
}

/// A reply that grows. Say all of the text so far with [`update`](Self::update), as often as you like: it is shown at
/// most once per `stream_interval`. The last text always arrives, with [`finish`](Self::finish); dropping the stream
/// instead leaves what is shown as it is, and says it as the last.
#[derive(Debug)]
#[must_use = "a reply that is not finished may be shown in part"]
pub struct ReplyStream {
    relay: Relay,
    state: Stream,
}

impl ReplyStream {
    /// All of the text so far.
    ///
    /// # Errors
    /// Definite, when there is no connection: nothing is lost, the next text holds this one too.
    pub fn update(&mut self, text: impl Into<String>) -> Result<(), Failure> {
        self.say(text.into(), false)
    }

    /// All of the text so far, which is a complete segment: where nothing can be edited it is shown now.
    ///
    /// # Errors
    /// As for [`update`](Self::update).
    pub fn segment(&mut self, text: impl Into<String>) -> Result<(), Failure> {
        self.say(text.into(), true)
    }

    /// All there will be. Gives the ids of the messages that it took.
    ///
    /// # Errors
    /// In one of the five ways of O-3; what is shown by then stays.
    pub async fn finish(mut self, text: impl Into<String>) -> Result<Vec<String>, Failure> {
        self.state.text = text.into();
        let answer = self.relay.submit(Command::Stream(Stream { last: true, ..self.state.clone() }));
        // It is said: the destructor must not say it again.
        self.state.stream.clear();
        let reply = match answer {
            Ok(answer) => answer.await?,
            Err(refused) => return Err(refused.into_parts().1),
        };
        match reply {
            Reply::Streamed { message_ids } => Ok(message_ids),
            _ => Ok(Vec::new()),
        }
    }

    fn say(&mut self, text: String, segment: bool) -> Result<(), Failure> {
        self.state.text = text;
        match self.relay.submit(Command::Stream(Stream { segment, ..self.state.clone() })) {
            // An update has no answer worth waiting for: its fate is the last one's.
            Ok(_) => Ok(()),
            Err(refused) => Err(refused.into_parts().1),
        }
    }
}

impl Drop for ReplyStream {
    fn drop(&mut self) {
        if !self.state.stream.is_empty() && !self.state.text.is_empty() {
            let last = Stream { last: true, ..std::mem::take(&mut self.state) };
            // Nobody is left to hear of its fate.
            let _ = self.relay.submit(Command::Stream(last));
        }
    }
}

fn sent(reply: Reply) -> Option<String> {
    match reply {
        Reply::Sent { message_id } => message_id,
        _ => None,
    }
}

fn confirmed(reply: Reply) -> bool {
    matches!(reply, Reply::Idle { confirmed: true })
}
