//! The handle: what a host asks of its gateway.

use crate::error::{Closed, ConnectError};
use crate::http::Client;
use crate::request::{Answer, Request};
use crate::server::page;
use crate::shared::{Handle, Shared};
use crate::watch::{ConnectionState, Ended, Watch, present};
use futures_util::StreamExt;
use relayline_control::config::GatewayConfig;
use relayline_core::chats::Chat;
use relayline_core::command::{Command, Failure, NotAccepted, Reply};
use relayline_core::descriptor::Descriptor;
use relayline_core::id::Id;
use relayline_core::op::{
    DeleteMessage, Draft, EditMessage, FollowUp, GetChatInfo, Interrupt, Op, OpType, Prompt, Raw, React,
    SendMedia, SendMessage, TaskCard, TaskCardStop, ThreadCreate, ThreadRename, Typing,
};
use relayline_core::output::{DeliveryId, Phase};
use relayline_core::split::{SplitOptions, split};
use relayline_core::stats::Stats;
use serde_json::{Map, Value};
use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// A gateway's handle: cheap to clone, usable from anywhere.
///
/// Every method that asks something of the connector fails as one [`Failure`], in one of the five ways of O-3.
///
/// All futures here are cancel-safe, wherever they are dropped: before it was polled, one asks for nothing; from then on
/// it only gives up on the answer, and what was asked goes out, once.
///
/// When the last clone, the [`Inbox`](crate::Inbox), every unsettled delivery and every awaited answer are dropped, the
/// gateway disconnects by itself as [`disconnect`](Self::disconnect) does, as long as its runtime lives.
#[derive(Clone)]
pub struct Relay {
    shared: Arc<Handle>,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("phase", &self.phase()).finish_non_exhaustive()
    }
}

impl Relay {
    pub(crate) fn new(shared: Arc<Handle>) -> Self {
        Relay { shared }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.shared.client
    }

    /// Submits a command now; the future is its answer.
    ///
    /// # Errors
    /// At once and with the command, when it cannot even begin (O-6, O-8, O-9).
    pub fn submit(&self, command: impl Into<Command>) -> Result<Answer, NotAccepted> {
        let answer = self.shared.submit(command.into())?;
        Ok(Answer::new(answer, self.shared.clone()))
    }

    /// Checks that an op could be asked for now, before something else is done for its sake.
    ///
    /// # Errors
    /// Returns the failure with which the op would be refused: not connected, a platform that is not fronted, or an op
    /// that the platform does not offer.
    pub fn check(&self, op: &Op) -> Result<(), Failure> {
        self.shared.lock().machine.check(op)
    }

    /// Whether another request may wait for its answer, as far as `max_in_flight` goes (O-6).
    pub fn has_room(&self) -> bool {
        self.shared.lock().machine.has_room()
    }

    /// Waits until there may be room that was not there when this was called, or until it is over. Call it before
    /// [`submit`](Self::submit), and await it when that refuses [for want of
    /// room](NotAccepted::is_backpressure): then no change is missed.
    ///
    /// Cancel-safe.
    pub fn room(&self) -> impl Future<Output = ()> + Send + use<> {
        let shared = self.shared.shared();
        let turns = shared.lock().turns;
        poll_fn(move |cx| {
            let mut state = shared.lock();
            if state.over || state.turns != turns {
                return Poll::Ready(());
            }
            if !state.crowded.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.crowded.push(cx.waker().clone());
            }
            Poll::Pending
        })
    }

    /// Asks for what was put together elsewhere, a [`Prompt`] for instance: [`send`](Self::send) and the others are
    /// this with what they need.
    pub fn request<O: OpType>(&self, op: O) -> Request<O> {
        Request::new(self.shared.clone(), op)
    }

    async fn run(&self, command: Command) -> Result<Reply, Failure> {
        match self.submit(command) {
            Ok(answer) => answer.await,
            Err(refused) => Err(refused.into_parts().1),
        }
    }

    /// Sends a text to a chat; gives the new message's id, where the platform has one.
    pub fn send(&self, chat_id: impl Into<Id>, text: impl Into<String>) -> Request<SendMessage> {
        self.request(SendMessage {
            chat_id: String::from(chat_id.into()),
            content: text.into(),
            ..SendMessage::default()
        })
    }

    /// Changes a message that was sent.
    pub fn edit(
        &self,
        chat_id: impl Into<Id>,
        message_id: impl Into<Id>,
        text: impl Into<String>,
    ) -> Request<EditMessage> {
        let (chat_id, message_id) = (String::from(chat_id.into()), String::from(message_id.into()));
        self.request(EditMessage { chat_id, message_id, content: text.into(), ..EditMessage::default() })
    }

    /// Takes a message back.
    pub fn delete(&self, chat_id: impl Into<Id>, message_id: impl Into<Id>) -> Request<DeleteMessage> {
        let (chat_id, message_id) = (String::from(chat_id.into()), String::from(message_id.into()));
        self.request(DeleteMessage { chat_id, message_id, ..DeleteMessage::default() })
    }

    /// Puts a reaction on a message; [`Request::remove`] takes it off.
    pub fn react(
        &self,
        chat_id: impl Into<Id>,
        message_id: impl Into<Id>,
        emoji: impl Into<String>,
    ) -> Request<React> {
        let (chat_id, message_id) = (String::from(chat_id.into()), String::from(message_id.into()));
        self.request(React { chat_id, message_id, emoji: emoji.into(), ..React::default() })
    }

    /// Sends a file by its URL, a document unless [`Request::kind`] says what else it is; gives the new message's id,
    /// where the platform has one.
    pub fn send_media(&self, chat_id: impl Into<Id>, source_url: impl Into<String>) -> Request<SendMedia> {
        let (chat_id, source_url) = (String::from(chat_id.into()), source_url.into());
        self.request(SendMedia { chat_id, source_url, ..SendMedia::default() })
    }

    /// Asks with buttons, one for each [`Request::option`]; gives the prompt's id and the message's. The answer comes as
    /// [`Incoming::PromptAnswer`](crate::Incoming::PromptAnswer). Where a platform has no buttons it fails as
    /// unsupported: [`Prompt::as_text`] is the same question as plain text (I-5).
    pub fn prompt(&self, chat_id: impl Into<Id>, question: impl Into<String>) -> Request<Prompt> {
        self.request(Prompt {
            chat_id: String::from(chat_id.into()),
            content: question.into(),
            ..Prompt::default()
        })
    }

    /// Opens a thread, by itself or, with [`Request::on_message`], on a message; gives its id.
    pub fn thread_create(&self, chat_id: impl Into<Id>, name: impl Into<String>) -> Request<ThreadCreate> {
        self.request(ThreadCreate {
            chat_id: String::from(chat_id.into()),
            name: name.into(),
            ..ThreadCreate::default()
        })
    }

    /// Gives a thread another name; `chat_id` is the chat that it hangs off, or empty.
    pub fn thread_rename(
        &self,
        chat_id: impl Into<Id>,
        thread_id: impl Into<Id>,
        name: impl Into<String>,
    ) -> Request<ThreadRename> {
        let (chat_id, thread_id) = (String::from(chat_id.into()), String::from(thread_id.into()));
        self.request(ThreadRename { chat_id, thread_id, name: name.into(), ..ThreadRename::default() })
    }

    /// Shows the steps of a turn as a card, or brings the card up to date; gives the card's message, where the platform
    /// has one. `chunks` are all of its steps, as the platform's connector reads them.
    pub fn task_card(
        &self,
        chat_id: impl Into<Id>,
        chunks: impl IntoIterator<Item = Map<String, Value>>,
    ) -> Request<TaskCard> {
        let chunks = chunks.into_iter().collect();
        self.request(TaskCard { chat_id: String::from(chat_id.into()), chunks, ..TaskCard::default() })
    }

    /// Ends a task card.
    pub fn task_card_stop(&self, chat_id: impl Into<Id>) -> Request<TaskCardStop> {
        self.request(TaskCardStop { chat_id: String::from(chat_id.into()), ..TaskCardStop::default() })
    }

    /// Shows one state of a draft, all of its text so far; the states of one draft share its number.
    /// [`Delivery::stream`](crate::Delivery::stream) does so by itself. Gives the message's id.
    pub fn draft(&self, chat_id: impl Into<Id>, draft_id: i64, text: impl Into<String>) -> Request<Draft> {
        self.request(Draft {
            chat_id: String::from(chat_id.into()),
            draft_id,
            content: text.into(),
            ..Draft::default()
        })
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

    /// Returns the chat of a delivery that can still be answered by its number.
    pub fn chat_of(&self, delivery: DeliveryId) -> Option<String> {
        self.shared.lock().machine.chat_of(delivery)
    }

    /// Remembers a chat, as after a restart (M-6).
    ///
    /// # Errors
    /// Returns a definite failure when a text is over 1 KiB. Nothing is remembered then.
    pub fn prime(&self, chat_id: &str, chat: Chat) -> Result<(), Failure> {
        self.shared.lock().machine.prime(chat_id, chat)
    }

    /// Shows the typing sign. Never an error.
    pub fn typing(&self, chat_id: impl Into<Id>) -> Request<Typing> {
        self.request(Typing { chat_id: String::from(chat_id.into()), ..Typing::default() })
    }

    /// Answers under a session's own capability (M-4); gives the message's id.
    pub fn follow_up(
        &self,
        session_key: impl Into<String>,
        kind: impl Into<String>,
        text: impl Into<String>,
    ) -> Request<FollowUp> {
        let (session_key, kind) = (session_key.into(), kind.into());
        self.request(FollowUp { session_key, kind, content: text.into(), ..FollowUp::default() })
    }

    /// What a chat is called, and what it is (O-5).
    pub fn chat_info(&self, chat_id: impl Into<Id>) -> Request<GetChatInfo> {
        self.request(GetChatInfo { chat_id: String::from(chat_id.into()), platform: None })
    }

    /// Writes an action as it is, for what the connector knows and this library does not; gives its whole result. What
    /// is remembered of its chat is added where it is not set, unless it is [`bare`](Request::bare) (M-2, M-3).
    pub fn raw(&self, action: Map<String, Value>) -> Request<Raw> {
        self.request(Raw { action, ..Raw::default() })
    }

    /// Stops the turn of a session on the connector's side. Done once it is written: nobody answers.
    pub fn interrupt(&self, session_key: impl Into<String>) -> Request<Interrupt> {
        self.request(Interrupt { session_key: session_key.into(), reason: None })
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
            Some(descriptor) => split(text, SplitOptions::from(&*descriptor)),
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

    /// How the connection does: its phase, since when, and what it can do.
    pub fn state(&self) -> ConnectionState {
        present(&self.shared)
    }

    /// The same as a stream that gives each new state, the present one first; who is slow skips some. As many as are
    /// wanted may watch.
    pub fn watch(&self) -> Watch {
        Watch::new(self.shared.shared())
    }

    /// Waits until the gateway is connected: at once if it is, else after the next handshake.
    ///
    /// # Errors
    /// The gateway was disconnected or revoked, and does not connect again.
    pub async fn connected(&self) -> Result<(), Closed> {
        let mut watch = self.watch();
        while let Some(state) = watch.next().await {
            match state.phase {
                Phase::Connected | Phase::Idle => return Ok(()),
                Phase::Revoked => return Err(Closed::Revoked),
                Phase::Waiting | Phase::Dialing | Phase::Handshaking | Phase::Closing | Phase::Stopped => {}
            }
        }
        Err(Closed::Disconnected)
    }

    /// Waits for the first connection. Unless it `retries`, a dial that fails is an error.
    pub(crate) async fn first_connection(&self, retries: bool) -> Result<(), ConnectError> {
        let mut watch = self.watch();
        while let Some(state) = watch.next().await {
            match (state.phase, state.ended) {
                (Phase::Connected | Phase::Idle, _) => return Ok(()),
                (Phase::Revoked, _) => return Err(ConnectError::Revoked),
                (_, Some(Ended { code, reason })) if !retries => {
                    self.disconnect().await;
                    return Err(ConnectError::NotConnected { code, reason });
                }
                _ => {}
            }
        }
        Err(ConnectError::Disconnected)
    }

    /// Where the connection is.
    pub fn phase(&self) -> Phase {
        self.shared.lock().machine.phase()
    }

    /// What was counted.
    pub fn stats(&self) -> Stats {
        self.shared.lock().machine.stats().clone()
    }

    /// The same as a page of text that Prometheus reads, as `relayline_<name>_total`, with the connection's phase.
    pub fn metrics(&self) -> String {
        page(&self.shared)
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.shared.shared()
    }

    /// Interrupts and notices that were dropped since the host did not take them; the oldest go first.
    pub fn signs_dropped(&self) -> u64 {
        self.shared.lock().signs.dropped()
    }

    /// Where signed deliveries are taken, or why they cannot be; `None` when it is not configured to take any (H-6).
    pub fn inbound(&self) -> Option<Result<SocketAddr, &str>> {
        self.shared.inbound.as_ref().map(|inbound| inbound.as_ref().copied().map_err(String::as_str))
    }

    /// What it runs with.
    pub fn config(&self) -> &GatewayConfig {
        &self.shared.config
    }
}

fn confirmed(reply: Reply) -> bool {
    matches!(reply, Reply::Idle { confirmed: true })
}
