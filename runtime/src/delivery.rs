//! Deliveries, which the host answers and settles.

use crate::relay::Relay;
use crate::reply_stream::ReplyStream;
use crate::request::Request;
use crate::shared::Handle;
use crate::turn::Turn;
use relayline_core::command::{Failure, FailureKind};
use relayline_core::event::Event;
use relayline_core::op::{FollowUp, Prompt, ReplyMessage, StreamReply};
use relayline_core::output::{DeliveryId, Outcome};
use relayline_core::passthrough::{Forward, INTERACTION_TOKEN};
use relayline_core::session_key::session_key;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Message or request for the host. Call [`ack`](Self::ack) once the host has stored it.
///
/// Dropping a delivery refuses it: a buffered delivery is redelivered. [`into_parts`](Self::into_parts) separates the
/// content from the settlement.
#[must_use = "dropping a delivery refuses it: ack it once it is stored"]
pub struct Delivery<T = Event> {
    /// Boxed, since it is large and passed on by value.
    content: Box<T>,
    settlement: Settlement,
}

/// Settlement of a delivery, without its content. Call [`ack`](Self::ack) once the host has stored the content. Dropping
/// the settlement refuses the delivery.
#[must_use = "dropping it refuses the delivery: ack it once it is stored"]
pub struct Settlement {
    shared: Arc<Handle>,
    id: DeliveryId,
    buffered: bool,
    is_settled: AtomicBool,
}

impl fmt::Debug for Settlement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settlement { id, buffered, is_settled, .. } = self;
        let mut debug = f.debug_struct("Settlement");
        debug
            .field("id", id)
            .field("buffered", buffered)
            .field("is_settled", is_settled)
            .finish_non_exhaustive()
    }
}

impl<T: fmt::Debug> fmt::Debug for Delivery<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Delivery { content, settlement: Settlement { id, buffered, .. } } = self;
        let mut debug = f.debug_struct("Delivery");
        debug.field("id", id).field("buffered", buffered).field("content", content).finish_non_exhaustive()
    }
}

impl Delivery {
    /// Returns the event.
    pub fn message(&self) -> &Event {
        &self.content
    }

    /// Returns the text of the message; empty if it has none.
    pub fn text(&self) -> &str {
        &self.content.text
    }

    /// Returns the id of the chat.
    pub fn chat_id(&self) -> &str {
        &self.content.source.chat_id
    }

    /// Returns the JSON of the delivery, if the configuration enables `raw_events`. See [`Event::raw`].
    pub fn raw(&self) -> Option<&str> {
        self.content.raw.as_deref()
    }

    /// Returns the session key of the message, according to the configured options.
    pub fn session_key(&self) -> String {
        let source = &self.content.source;
        session_key(source, self.settlement.shared.config.machine.sessions, source.profile.as_deref())
    }

    /// Replies with a text, in parts if it is too long for the chat. Returns the id of the last part, if the platform has
    /// ids.
    ///
    /// The last part tells the connector that the turn is complete. Use [`reply_interim`](Self::reply_interim) for texts
    /// before it, such as progress messages.
    ///
    /// # Errors
    /// A part fails, or the delivery is not among the last `reply_targets` deliveries. Parts before the failed one are
    /// sent, parts after it are not. The same is true if the future is dropped.
    pub async fn reply(&self, text: impl Into<String>) -> Result<Option<String>, Failure> {
        self.send_reply(text.into(), true).await
    }

    /// Replies as [`reply`](Self::reply) does, without completing the turn.
    ///
    /// # Errors
    /// As for [`reply`](Self::reply).
    pub async fn reply_interim(&self, text: impl Into<String>) -> Result<Option<String>, Failure> {
        self.send_reply(text.into(), false).await
    }

    async fn send_reply(&self, text: String, completes: bool) -> Result<Option<String>, Failure> {
        let relay = self.relay();
        let mut parts = relay.split(self.chat_id(), &text).into_iter().peekable();
        let (mut continues, mut sent) = (false, None);
        while let Some(content) = parts.next() {
            let last = completes && parts.peek().is_none();
            let reply = ReplyMessage::new(self.id(), content).last(last).continues(continues);
            sent = relay.request(reply).await?;
            continues = true;
        }
        Ok(sent)
    }

    /// Starts a streamed reply. It is shown as a draft, as a message that is edited, or in segments, depending on the
    /// platform. See [`StreamReply`].
    pub fn stream(&self) -> ReplyStream {
        let mut state = self.settlement.shared.lock();
        state.stream_count += 1;
        // A unique name: two replies to one message must not become one text.
        let stream = format!("reply {}", state.stream_count);
        drop(state);
        let state = StreamReply::new(stream, "").delivery(self.id());
        ReplyStream::new(self.relay(), state)
    }

    /// Asks a question in the chat of the message, with a button for each [`Request::option`]. See [`Relay::prompt`].
    pub fn prompt(&self, question: impl Into<String>) -> Request<Prompt> {
        self.relay().prompt(self.chat_id(), question)
    }

    /// Adds a reaction to the message. [`Relay::react`] is the same for any message, and removes reactions too.
    ///
    /// # Errors
    /// A definite failure at once if the message has no id.
    pub async fn react(&self, emoji: impl Into<String>) -> Result<(), Failure> {
        let Some(message_id) = self.content.any_message_id() else {
            let message = "the message has no id to react to".to_owned();
            return Err(Failure::new(FailureKind::Definite, message));
        };
        self.relay().react(self.chat_id(), message_id, emoji).await
    }

    /// Begins the turn of the delivery: shows that the agent works on it until the returned guard ends the turn.
    pub fn turn(&self) -> Turn {
        Turn::begin(&self.relay(), self.id())
    }

    /// Answers an interaction, such as a slash command, with its interaction token. Resolves to the id of the message. Use
    /// [`reply`](Self::reply) for any other message.
    pub fn follow_up(&self, text: impl Into<String>) -> Request<FollowUp> {
        self.relay().follow_up(self.session_key(), INTERACTION_TOKEN, text)
    }

    fn relay(&self) -> Relay {
        Relay::new(self.settlement.shared.clone())
    }
}

impl Delivery<Forward> {
    /// Returns the request.
    pub fn forward(&self) -> &Forward {
        &self.content
    }

    /// Returns the JSON of the delivery, if the configuration enables `raw_events`.
    pub fn raw(&self) -> Option<&str> {
        self.content.raw()
    }
}

impl<T> Delivery<T> {
    pub(crate) fn new(shared: &Arc<Handle>, id: DeliveryId, buffered: bool, content: Box<T>) -> Self {
        let settlement =
            Settlement { shared: shared.clone(), id, buffered, is_settled: AtomicBool::new(false) };
        Delivery { content, settlement }
    }

    /// Creates a delivery that is settled.
    pub(crate) fn settled(shared: &Arc<Handle>, id: DeliveryId, content: Box<T>) -> Self {
        let settlement =
            Settlement { shared: shared.clone(), id, buffered: false, is_settled: AtomicBool::new(true) };
        Delivery { content, settlement }
    }

    /// Separates the content from the settlement, which is a few bytes to keep until the delivery is settled.
    pub fn into_parts(self) -> (T, Settlement) {
        (*self.content, self.settlement)
    }

    /// Returns the number of the delivery; the first is 1.
    pub fn id(&self) -> DeliveryId {
        self.settlement.id()
    }

    /// Returns true if the connector keeps the delivery in its buffer until it is acknowledged.
    pub fn is_buffered(&self) -> bool {
        self.settlement.is_buffered()
    }

    /// Acknowledges the delivery: the host has stored it, and the connector may discard it. Do not wait for the agent's
    /// turn: the delivery can be answered afterwards, too. Further calls have no effect.
    pub fn ack(&self) {
        self.settlement.settle(Outcome::Accepted);
    }

    /// Refuses the delivery. A buffered delivery is redelivered.
    pub fn refuse(self) {
        self.settlement.refuse();
    }
}

impl Settlement {
    /// Returns the number of the delivery; the first is 1.
    pub fn id(&self) -> DeliveryId {
        self.id
    }

    /// Returns true if the connector keeps the delivery in its buffer until it is acknowledged.
    pub fn is_buffered(&self) -> bool {
        self.buffered
    }

    /// Acknowledges the delivery: the host has stored it. Do not wait for the agent's turn.
    pub fn ack(self) {
        self.settle(Outcome::Accepted);
    }

    /// Refuses the delivery. A buffered delivery is redelivered.
    pub fn refuse(self) {
        self.settle(Outcome::Refused);
    }

    /// Settles the delivery, unless it is already settled.
    fn settle(&self, outcome: Outcome) {
        if !self.is_settled.swap(true, Ordering::Relaxed) {
            self.shared.settle(self.id, outcome);
        }
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        self.settle(Outcome::Refused);
    }
}
