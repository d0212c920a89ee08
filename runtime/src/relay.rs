//! Handle through which a host uses its gateway.

use crate::delivery::Delivery;
use crate::error::{Closed, ConnectError};
use crate::http::Client;
use crate::observe::WireObserver;
use crate::request::{PendingReply, Request};
use crate::shared::Handle;
use crate::watch::{ConnectionState, Ended, RecentEnd, Watch, present, recent_ends};
use futures_util::StreamExt;
use relayline_control::config::GatewayConfig;
use relayline_core::chats::Chat;
use relayline_core::command::{Command, Failure, NotAccepted, Reply};
use relayline_core::descriptor::Descriptor;
use relayline_core::event::Event;
use relayline_core::id::Id;
use relayline_core::op::{
    DeleteMessage, Draft, EditMessage, FollowUp, GetChatInfo, Interrupt, MediaKind, Op, OpType, Prompt, Raw,
    React, SendMedia, SendMessage, TaskCard, TaskCardStop, ThreadCreate, ThreadRename, Typing,
};
use relayline_core::output::{DeliveryId, Phase};
use relayline_core::split::{SplitOptions, split};
use relayline_core::stats::Stats;
use relayline_core::usage::Usage;
use serde_json::{Map, Value};
use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// Handle of a gateway. It is cheap to clone and usable from any thread.
///
/// Every method that sends a request to the connector fails with a [`Failure`], whose kind is one of five.
///
/// All futures are cancel-safe. A future that is dropped before its first poll sends no request. A future that is dropped
/// later discards the reply only: the request is sent, once.
///
/// The gateway disconnects as [`disconnect`](Self::disconnect) does when the last clone, the [`Inbox`](crate::Inbox), all
/// unsettled deliveries and all pending replies are dropped, as long as its runtime runs.
#[derive(Clone)]
pub struct Relay {
    pub(crate) shared: Arc<Handle>,
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

    /// Submits a command at once. The returned future resolves to the reply.
    ///
    /// # Errors
    /// The command is not accepted: for instance it is malformed, there is no connection, the platform does not support
    /// it, or too many requests are in flight. The error returns the command.
    pub fn submit(&self, command: impl Into<Command>) -> Result<PendingReply, NotAccepted> {
        let answer = self.shared.submit(command.into())?;
        Ok(PendingReply::new(answer, self.shared.clone()))
    }

    /// Lets an observer see the wire from the next dial on. The first observer stays; a second one is ignored.
    ///
    /// To see the first dial, call it before that: see [`start_prepared`](crate::start_prepared).
    pub fn observe(&self, observer: Arc<dyn WireObserver>) {
        // The result tells whether there was one.
        let _ = self.shared.observer.set(observer);
    }

    /// Checks whether an op would be accepted now, for instance before an upload that it depends on.
    ///
    /// # Errors
    /// The failure that the op would have: not connected, an unknown platform, or an op that the platform does not
    /// support.
    pub fn check(&self, op: &Op) -> Result<(), Failure> {
        self.shared.lock().machine.check(op)
    }

    /// Returns true if another request can be in flight without exceeding `max_in_flight`.
    pub fn has_room(&self) -> bool {
        self.shared.lock().machine.has_room()
    }

    /// Waits until room for another request may have become free since this call, or until the gateway has ended.
    ///
    /// Call it before [`submit`](Self::submit), and await it if that fails [for want of
    /// room](NotAccepted::is_backpressure): this order misses no change.
    ///
    /// Cancel-safe.
    pub fn room(&self) -> impl Future<Output = ()> + Send + use<> {
        let shared = self.shared.shared();
        let rounds = shared.lock().rounds;
        poll_fn(move |cx| {
            let mut state = shared.lock();
            if state.terminated || state.rounds != rounds {
                return Poll::Ready(());
            }
            if !state.room_waiters.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.room_waiters.push(cx.waker().clone());
            }
            Poll::Pending
        })
    }

    /// Creates a request for an op, such as a [`Prompt`]. [`send`](Self::send) and the like are shorthands for it.
    pub fn request<O: OpType>(&self, op: O) -> Request<O> {
        Request::new(self.shared.clone(), op)
    }

    async fn run(&self, command: Command) -> Result<Reply, Failure> {
        match self.submit(command) {
            Ok(answer) => answer.await,
            Err(refused) => Err(refused.into_parts().1),
        }
    }

    /// Sends a text to a chat. Resolves to the id of the new message, if the platform has ids.
    pub fn send(&self, chat_id: impl Into<Id>, text: impl Into<String>) -> Request<SendMessage> {
        self.request(SendMessage::new(chat_id, text))
    }

    /// Edits a message that was sent.
    pub fn edit(
        &self,
        chat_id: impl Into<Id>,
        message_id: impl Into<Id>,
        text: impl Into<String>,
    ) -> Request<EditMessage> {
        self.request(EditMessage::new(chat_id, message_id, text))
    }

    /// Deletes a message that was sent.
    pub fn delete(&self, chat_id: impl Into<Id>, message_id: impl Into<Id>) -> Request<DeleteMessage> {
        self.request(DeleteMessage::new(chat_id, message_id))
    }

    /// Adds a reaction to a message. With [`Request::remove`] it removes the reaction instead.
    pub fn react(
        &self,
        chat_id: impl Into<Id>,
        message_id: impl Into<Id>,
        emoji: impl Into<String>,
    ) -> Request<React> {
        self.request(React::new(chat_id, message_id, emoji))
    }

    /// Sends a file by its URL, as a document unless [`Request::kind`] sets another kind. Resolves to the id of the new
    /// message, if the platform has ids.
    pub fn send_media(&self, chat_id: impl Into<Id>, source_url: impl Into<String>) -> Request<SendMedia> {
        self.request(SendMedia::new(chat_id, MediaKind::Document, source_url))
    }

    /// Asks a question with a button for each [`Request::option`]. Resolves to the ids of the prompt and of its message.
    ///
    /// The answer arrives as [`Incoming::PromptAnswer`](crate::Incoming::PromptAnswer). On a platform without buttons the
    /// request fails as unsupported. [`Prompt::as_text`] returns the question as plain text.
    pub fn prompt(&self, chat_id: impl Into<Id>, question: impl Into<String>) -> Request<Prompt> {
        self.request(Prompt::new(chat_id, question, []))
    }

    /// Creates a thread in a chat, or with [`Request::on_message`] on a message. Resolves to the thread's id.
    pub fn thread_create(&self, chat_id: impl Into<Id>, name: impl Into<String>) -> Request<ThreadCreate> {
        self.request(ThreadCreate::new(chat_id).name(name))
    }

    /// Renames a thread. `chat_id` is its parent chat, or empty.
    pub fn thread_rename(
        &self,
        chat_id: impl Into<Id>,
        thread_id: impl Into<Id>,
        name: impl Into<String>,
    ) -> Request<ThreadRename> {
        self.request(ThreadRename::new(thread_id, name).chat_id(chat_id))
    }

    /// Shows the steps of a turn as a card, or updates the card. Resolves to the id of the card's message, if the platform
    /// has ids. `chunks` are all steps so far, in the connector's format.
    pub fn task_card(
        &self,
        chat_id: impl Into<Id>,
        chunks: impl IntoIterator<Item = Map<String, Value>>,
    ) -> Request<TaskCard> {
        self.request(TaskCard::new(chunks.into_iter().collect::<Vec<_>>()).chat_id(chat_id))
    }

    /// Ends a task card.
    pub fn task_card_stop(&self, chat_id: impl Into<Id>) -> Request<TaskCardStop> {
        self.request(TaskCardStop::new().chat_id(chat_id))
    }

    /// Shows a state of a draft: all of its text so far. The states of a draft share `draft_id`. Resolves to the message's
    /// id. [`Delivery::stream`](crate::Delivery::stream) manages drafts by itself.
    pub fn draft(&self, chat_id: impl Into<Id>, draft_id: i64, text: impl Into<String>) -> Request<Draft> {
        self.request(Draft::new(chat_id, draft_id, text))
    }

    /// Returns true if the connector has already authorized the author of each message, which is always so. A host must
    /// not reject messages for want of its own allow-list.
    pub fn authorization_is_upstream(&self) -> bool {
        self.shared.lock().machine.authorization_is_upstream()
    }

    /// Returns the remembered data of a chat.
    pub fn chat(&self, chat_id: &str) -> Option<Chat> {
        self.shared.lock().machine.chat(chat_id).cloned()
    }

    /// Returns the chat of a delivery; `None` once the delivery can no longer be answered by its number.
    pub fn chat_of(&self, delivery: DeliveryId) -> Option<String> {
        self.shared.lock().machine.chat_of(delivery)
    }

    /// Replaces the commands that are declared to Discord. They are declared by each connection from the next one on.
    pub fn set_command_manifest(&self, manifest: Option<Vec<Value>>) {
        self.shared.lock().machine.set_command_manifest(manifest);
    }

    /// Returns a message that the host has stored as a delivery that can be answered, also if another process received it. It
    /// is settled: to ack or refuse it has no effect.
    pub fn recall(&self, message: Event) -> Delivery {
        let id = self.shared.lock().machine.recall(&message);
        Delivery::settled(&self.shared, id, Box::new(message))
    }

    /// Returns the id of an unsettled delivery's entry in the connector's buffer; `None` if it has none.
    pub fn buffer_id(&self, delivery: DeliveryId) -> Option<String> {
        self.shared.lock().machine.buffer_id(delivery).map(str::to_owned)
    }

    /// Sets the remembered data of a chat, for instance after a restart.
    ///
    /// # Errors
    /// A definite failure if a text is over 1 KiB. Nothing is stored then.
    pub fn prime(&self, chat_id: &str, chat: Chat) -> Result<(), Failure> {
        self.shared.lock().machine.prime(chat_id, chat)
    }

    /// Shows the typing indicator. It never fails.
    pub fn typing(&self, chat_id: impl Into<Id>) -> Request<Typing> {
        self.request(Typing::new(chat_id))
    }

    /// Answers with the capability of a session, such as an interaction token. Resolves to the message's id.
    pub fn follow_up(
        &self,
        session_key: impl Into<String>,
        kind: impl Into<String>,
        text: impl Into<String>,
    ) -> Request<FollowUp> {
        self.request(FollowUp::new(session_key, kind, text))
    }

    /// Asks for the name and type of a chat.
    pub fn chat_info(&self, chat_id: impl Into<Id>) -> Request<GetChatInfo> {
        self.request(GetChatInfo::new(chat_id))
    }

    /// Sends an action as it is, for ops that this library does not know. Resolves to the whole result.
    ///
    /// Remembered data of the chat is added where it is not set, unless the request is [`bare`](Request::bare).
    pub fn raw(&self, action: Map<String, Value>) -> Request<Raw> {
        self.request(Raw::new(action))
    }

    /// Interrupts the turn of a session on the connector's side. Resolves once the frame is written: there is no reply.
    pub fn interrupt(&self, session_key: impl Into<String>) -> Request<Interrupt> {
        self.request(Interrupt::new(session_key))
    }

    /// Asks the connector to buffer events from now on. Returns true if the connector confirmed.
    ///
    /// # Errors
    /// There is no connection, or it ended before the reply.
    pub async fn go_idle(&self) -> Result<bool, Failure> {
        self.run(Command::GoIdle).await.map(confirmed)
    }

    /// Asks the connector to buffer events, and closes the connection once it confirms. Returns true if it confirmed.
    ///
    /// # Errors
    /// As for [`go_idle`](Self::go_idle).
    pub async fn go_dormant(&self) -> Result<bool, Failure> {
        self.run(Command::GoDormant).await.map(confirmed)
    }

    /// Suspends dialing for `span`, at most one minute.
    ///
    /// # Errors
    /// The gateway has ended.
    pub async fn hold(&self, span: Duration) -> Result<(), Failure> {
        self.run(Command::Hold(span)).await.map(|_| ())
    }

    /// Resumes delivery, dialing immediately if not connected.
    ///
    /// # Errors
    /// The gateway has ended.
    pub async fn resume(&self) -> Result<(), Failure> {
        self.run(Command::Resume).await.map(|_| ())
    }

    /// Disconnects gracefully within five seconds. No request is pending afterwards.
    pub async fn disconnect(&self) {
        // It fails only if the gateway has ended.
        let _ = self.run(Command::Disconnect).await;
    }

    /// Splits a text into messages that fit a chat. Returns it whole before the first handshake.
    pub fn split(&self, chat_id: &str, text: &str) -> Vec<String> {
        match self.capabilities(chat_id) {
            Some(descriptor) => split(text, SplitOptions::from(&*descriptor)),
            None => vec![text.to_owned()],
        }
    }

    /// Returns the capabilities of a chat's platform; `None` before the first handshake.
    pub fn capabilities(&self, chat_id: &str) -> Option<Arc<Descriptor>> {
        self.shared.lock().machine.capabilities(chat_id).cloned()
    }

    /// Returns the descriptors of this connection, the default first.
    pub fn descriptors(&self) -> Vec<Arc<Descriptor>> {
        self.shared.lock().machine.descriptors().to_vec()
    }

    /// Returns the current state of the connection.
    pub fn state(&self) -> ConnectionState {
        present(&self.shared)
    }

    /// Returns the last 16 ends of connections and dials, oldest first.
    pub fn recent_ends(&self) -> Vec<RecentEnd> {
        recent_ends(&self.shared)
    }

    /// Returns a stream of connection states, which begins with the current one. A slow reader skips states. Any number of
    /// streams may exist.
    pub fn watch(&self) -> Watch {
        Watch::new(self.shared.shared())
    }

    /// Waits until the gateway is connected. Resolves at once if it is.
    ///
    /// # Errors
    /// The gateway was disconnected or revoked, and does not connect again.
    pub async fn connected(&self) -> Result<(), Closed> {
        self.wait_for_connection(true).await.map(drop)
    }

    /// Waits for the first connection. A failed dial is an error unless `retries` is set.
    pub(crate) async fn first_connection(&self, retries: bool) -> Result<(), ConnectError> {
        match self.wait_for_connection(retries).await? {
            None => Ok(()),
            Some(Ended { code, reason }) => {
                self.disconnect().await;
                Err(ConnectError::NotConnected { code, reason })
            }
        }
    }

    /// Waits until the gateway is connected. Unless `retries` is set, also ends with the first dial that failed.
    async fn wait_for_connection(&self, retries: bool) -> Result<Option<Ended>, Closed> {
        let mut watch = self.watch();
        while let Some(state) = watch.next().await {
            match (state.phase, state.ended) {
                (Phase::Connected | Phase::Idle, _) => return Ok(None),
                (Phase::Revoked, _) => return Err(Closed::Revoked),
                (_, Some(ended)) if !retries => return Ok(Some(ended)),
                _ => {}
            }
        }
        Err(Closed::Disconnected)
    }

    /// Returns the phase of the connection.
    pub fn phase(&self) -> Phase {
        self.shared.lock().machine.phase()
    }

    /// Returns the gateway's counters.
    pub fn stats(&self) -> Stats {
        self.shared.lock().machine.stats().clone()
    }

    /// Returns the time since the host last received or settled a delivery, submitted a command, or had the result of an
    /// op. Commands about the connection do not count, such as those to go dormant and to resume.
    pub fn idle_for(&self) -> Duration {
        let now = self.shared.mono_now().mono;
        now.since(self.shared.lock().machine.last_activity())
    }

    /// Returns the sizes of all queues and tables. Visits each delivery in flight.
    pub fn usage(&self) -> Usage {
        self.shared.lock().machine.usage()
    }

    /// Returns the number of interrupts and notices dropped because the host did not read them. The oldest are dropped
    /// first.
    pub fn signs_dropped(&self) -> u64 {
        self.shared.lock().control_queue.dropped()
    }

    /// Returns the address on which webhook requests are accepted, or the error that prevents it; `None` if that is not
    /// configured.
    pub fn inbound(&self) -> Option<Result<SocketAddr, &str>> {
        self.shared.inbound.get().map(|inbound| inbound.as_ref().copied().map_err(String::as_str))
    }

    /// Returns the configuration.
    pub fn config(&self) -> &GatewayConfig {
        &self.shared.config
    }
}

fn confirmed(reply: Reply) -> bool {
    matches!(reply, Reply::Idle { confirmed: true })
}
