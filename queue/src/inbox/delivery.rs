//! Deliveries of the queue, and their settlement.

use super::body::StoredForward;
use super::queue::open_prompt;
use super::shared::{Owner, SettleResult};
use crate::id::HandOutId;
use crate::output::{NotSettled, Settlement};
use futures_channel::oneshot;
use relayline_core::event::Event;
use relayline_core::op::Prompt;
use relayline_core::output::DeliveryId;
use relayline_core::passthrough::Forward;
use relayline_runtime::{Delivery, Request, Turn};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Error of a delivery that its host has dropped.
const DROPPED: &str = "the host dropped the delivery without settling it";

/// Settlement of one hand-out. Dropping it settles nothing: the entry stays with its agent until that ends.
///
/// The first settlement counts. A later one fails as [`NotSettled::Late`], which is harmless.
#[derive(Clone, Debug)]
pub struct QueueSettlement {
    owner: Arc<Owner>,
    id: HandOutId,
}

impl QueueSettlement {
    pub(super) fn new(owner: Arc<Owner>, id: HandOutId) -> QueueSettlement {
        QueueSettlement { owner, id }
    }

    /// Returns the number of the entry and of the hand-out.
    pub fn hand_out(&self) -> HandOutId {
        self.id
    }

    /// Returns the number of this hand-out of the entry, from 1.
    pub fn attempt(&self) -> u32 {
        self.id.attempt
    }

    /// Returns true if this may not be the first hand-out of the entry.
    pub fn is_redelivered(&self) -> bool {
        self.id.attempt > 1
    }

    /// Marks the entry as done. It is submitted at once; the future resolves once it is durable.
    ///
    /// # Errors
    /// It was settled before, or the gateway does not have the queue any more.
    pub fn ack(&self) -> impl Future<Output = SettleResult> + Send + use<> {
        self.settle(Settlement::Done)
    }

    /// Refuses the entry, which is handed out again after a back-off. It is submitted at once; the future resolves once it
    /// is durable.
    ///
    /// # Errors
    /// As for [`ack`](Self::ack).
    pub fn refuse(&self, reason: &str) -> impl Future<Output = SettleResult> + Send + use<> {
        self.settle(Settlement::Refused(reason.to_owned()))
    }

    fn settle(&self, settlement: Settlement) -> impl Future<Output = SettleResult> + Send + use<> {
        let receiver: oneshot::Receiver<SettleResult> =
            self.owner.0.change(|state, now| state.settle(now, self.id, settlement));
        async move { receiver.await.unwrap_or(Err(NotSettled::NotLeading)) }
    }
}

/// Settles a hand-out; `None` is one that was settled before.
async fn settle_once(handed_out: Option<QueueSettlement>, settlement: Settlement) -> SettleResult {
    match handed_out {
        Some(handed_out) => handed_out.settle(settlement).await,
        None => Err(NotSettled::Late),
    }
}

/// Message or prompt answer that an agent got. Dropping it without a settlement refuses it.
#[derive(Debug)]
pub struct DurableDelivery {
    delivery: Delivery,
    session_key: String,
    media: Vec<Option<PathBuf>>,
    settlement: DropGuard,
}

/// Settlement that refuses when it is dropped.
struct DropGuard(Option<QueueSettlement>);

impl fmt::Debug for DropGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Settlement").field(&self.0.as_ref().map(|settlement| settlement.id)).finish()
    }
}

impl DropGuard {
    /// Takes the settlement out, for the only time.
    fn take(&mut self) -> Option<QueueSettlement> {
        self.0.take()
    }
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        if let Some(settlement) = self.take() {
            drop(settlement.refuse(DROPPED));
        }
    }
}

/// Parts of a delivery, for hosts that settle it elsewhere.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeliveryParts {
    /// The event.
    pub event: Event,
    /// Number of the delivery, by which it is answered.
    pub number: DeliveryId,
    /// Key of its session.
    pub session_key: String,
    /// Path of each fetched file of [`Event::media`]; `None` for those that are not there.
    pub media: Vec<Option<PathBuf>>,
    /// Its settlement.
    pub settlement: QueueSettlement,
}

impl DurableDelivery {
    pub(super) fn new(
        delivery: Delivery,
        session: &str,
        media: Vec<Option<PathBuf>>,
        settlement: QueueSettlement,
    ) -> DurableDelivery {
        let settlement = DropGuard(Some(settlement));
        DurableDelivery { delivery, session_key: session.to_owned(), media, settlement }
    }

    /// Returns the delivery, to answer it. It is settled for the connector: to ack or refuse it has no effect.
    pub fn message(&self) -> &Delivery {
        &self.delivery
    }

    /// Returns the event.
    pub fn event(&self) -> &Event {
        self.delivery.message()
    }

    /// Returns the text of the message; empty if it has none.
    pub fn text(&self) -> &str {
        self.delivery.text()
    }

    /// Returns the key of the session. For an answer to a prompt it is the session that asked.
    pub fn session_key(&self) -> &str {
        &self.session_key
    }

    /// Returns the path of each fetched file of [`Event::media`]; `None` for those that are not there.
    pub fn media(&self) -> &[Option<PathBuf>] {
        &self.media
    }

    /// Returns the number of this hand-out of the entry, from 1.
    pub fn attempt(&self) -> u32 {
        self.settlement.0.as_ref().map_or(1, QueueSettlement::attempt)
    }

    /// Returns true if this may not be the first hand-out of the entry.
    pub fn is_redelivered(&self) -> bool {
        self.attempt() > 1
    }

    /// Marks the message as done. Resolves once that is durable.
    ///
    /// # Errors
    /// The gateway does not have the queue any more: the message may be handed out again.
    pub async fn ack(mut self) -> Result<(), NotSettled> {
        settle_once(self.settlement.take(), Settlement::Done).await
    }

    /// Refuses the message, which is handed out again after a back-off. Resolves once that is durable.
    ///
    /// # Errors
    /// As for [`ack`](Self::ack).
    pub async fn refuse(mut self, reason: &str) -> Result<(), NotSettled> {
        settle_once(self.settlement.take(), Settlement::Refused(reason.to_owned())).await
    }

    /// Begins the turn of the delivery. Its end settles the delivery: [`DurableTurn::done`] and
    /// [`stopped`](DurableTurn::stopped) mark it as done, [`failed`](DurableTurn::failed) refuses it.
    pub fn turn(mut self) -> (DurableTurn, Delivery) {
        let turn = DurableTurn { turn: Some(self.delivery.turn()), settlement: self.settlement.take() };
        (turn, self.delivery)
    }

    /// Asks a question in the chat of the message, with a button for each option. The answer reaches this session, also
    /// after a restart of the gateway.
    pub fn prompt(&self, question: impl Into<String>) -> Request<Prompt> {
        let request = self.delivery.prompt(question);
        let Some(settlement) = &self.settlement.0 else { return request };
        let opened = open_prompt(&settlement.owner.0, Some(&self.session_key), &Prompt::new("", "", []));
        match opened {
            Ok(id) => request.prompt_id(id),
            // An id that was just generated is not in use.
            Err(_) => request,
        }
    }

    /// Separates the parts. Dropping the settlement then settles nothing.
    pub fn into_parts(mut self) -> Option<DeliveryParts> {
        let settlement = self.settlement.take()?;
        let number = self.delivery.id();
        // What is left of it is settled.
        let (event, _) = self.delivery.into_parts();
        let (session_key, media) = (self.session_key, self.media);
        Some(DeliveryParts { event, number, session_key, media, settlement })
    }
}

/// Turn in progress. Dropping it ends the turn as failed, and refuses the delivery.
#[derive(Debug)]
#[must_use = "dropping a turn ends it as failed"]
pub struct DurableTurn {
    turn: Option<Turn>,
    settlement: Option<QueueSettlement>,
}

impl DurableTurn {
    /// Ends the turn: the agent has answered. The delivery is done; resolves once that is durable.
    ///
    /// # Errors
    /// As for [`DurableDelivery::ack`].
    pub async fn done(mut self) -> Result<(), NotSettled> {
        if let Some(turn) = self.turn.take() {
            turn.done();
        }
        settle_once(self.settlement.take(), Settlement::Done).await
    }

    /// Ends the turn: a user has stopped it. The delivery is done; resolves once that is durable.
    ///
    /// # Errors
    /// As for [`DurableDelivery::ack`].
    pub async fn stopped(mut self) -> Result<(), NotSettled> {
        if let Some(turn) = self.turn.take() {
            turn.stopped();
        }
        settle_once(self.settlement.take(), Settlement::Done).await
    }

    /// Ends the turn: the agent has failed. The delivery is refused; resolves once that is durable.
    ///
    /// # Errors
    /// As for [`DurableDelivery::ack`].
    pub async fn failed(mut self, reason: &str) -> Result<(), NotSettled> {
        if let Some(turn) = self.turn.take() {
            turn.failed();
        }
        settle_once(self.settlement.take(), Settlement::Refused(reason.to_owned())).await
    }
}

impl Drop for DurableTurn {
    fn drop(&mut self) {
        if let Some(turn) = self.turn.take() {
            turn.failed();
        }
        if let Some(settlement) = self.settlement.take() {
            drop(settlement.refuse("the turn failed"));
        }
    }
}

/// Platform's request that an agent got. Dropping it without a settlement refuses it.
#[derive(Debug)]
pub struct DurableForward {
    number: DeliveryId,
    forward: Box<Forward>,
    raw: Option<Box<str>>,
    settlement: DropGuard,
}

impl DurableForward {
    pub(super) fn new(
        number: DeliveryId,
        stored: StoredForward,
        settlement: QueueSettlement,
    ) -> DurableForward {
        let StoredForward { forward, raw } = stored;
        DurableForward { number, forward, raw, settlement: DropGuard(Some(settlement)) }
    }

    /// Returns the number of the delivery.
    pub fn number(&self) -> DeliveryId {
        self.number
    }

    /// Returns the request.
    pub fn forward(&self) -> &Forward {
        &self.forward
    }

    /// Returns the JSON of the delivery, if the configuration enables `raw_events`.
    pub fn raw(&self) -> Option<&str> {
        self.raw.as_deref()
    }

    /// Marks the request as done. Resolves once that is durable.
    ///
    /// # Errors
    /// As for [`DurableDelivery::ack`].
    pub async fn ack(mut self) -> Result<(), NotSettled> {
        settle_once(self.settlement.take(), Settlement::Done).await
    }

    /// Refuses the request, which is handed out again after a back-off. Resolves once that is durable.
    ///
    /// # Errors
    /// As for [`DurableDelivery::ack`].
    pub async fn refuse(mut self, reason: &str) -> Result<(), NotSettled> {
        settle_once(self.settlement.take(), Settlement::Refused(reason.to_owned())).await
    }

    /// Returns the settlement. The caller settles it: dropping the request does not any more.
    pub fn take_settlement(&mut self) -> Option<QueueSettlement> {
        self.settlement.take()
    }
}
