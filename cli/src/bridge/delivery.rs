//! Items for an agent, from the relay or from a queue, and the settlement of deliveries.

use relayline_core::event::Event;
use relayline_core::output::{DeliveryId, Fatal, Notice};
use relayline_core::passthrough::Forward;
use relayline_queue::id::HandOutId;
use relayline_queue::inbox::{DurableDelivery, DurableIncoming, QueueSettlement};
use relayline_runtime::{Delivery, Incoming, Settlement};
use std::path::PathBuf;

/// Item for an agent.
#[derive(Debug)]
pub(crate) enum Item {
    Delivery(Box<AgentDelivery>),
    Interrupt { session_key: String, chat_id: String },
    Notice(Box<Notice>),
    Fatal(Fatal),
}

/// Content of a delivery.
#[derive(Debug)]
pub(crate) enum Content {
    Message(Box<Event>),
    PromptAnswer(Box<Event>),
    /// A platform's request, and the JSON as which it came, if that is kept.
    Forward(Box<Forward>, Option<Box<str>>),
}

/// Delivery for an agent.
#[derive(Debug)]
pub(crate) struct AgentDelivery {
    pub(crate) content: Content,
    /// Empty for a forward.
    pub(crate) session_key: String,
    /// Path of each fetched file of the message; empty without a queue.
    pub(crate) media: Vec<Option<PathBuf>>,
    pub(crate) settlement: AgentSettlement,
}

/// Settlement of a delivery.
#[derive(Debug)]
pub(crate) enum AgentSettlement {
    /// Of the relay. Dropping it refuses the delivery.
    Relay(Settlement),
    /// Of an entry of the queue. Dropping it settles nothing: the entry stays with its agent.
    Queue(DeliveryId, QueueSettlement),
}

impl AgentSettlement {
    pub(crate) fn id(&self) -> DeliveryId {
        match self {
            AgentSettlement::Relay(settlement) => settlement.id(),
            AgentSettlement::Queue(id, _) => *id,
        }
    }

    /// Returns true if the agent is to settle the delivery.
    pub(crate) fn is_buffered(&self) -> bool {
        match self {
            AgentSettlement::Relay(settlement) => settlement.is_buffered(),
            AgentSettlement::Queue(..) => true,
        }
    }

    /// Returns the entry and the number of the hand-out; `None` without a queue.
    pub(crate) fn hand_out(&self) -> Option<HandOutId> {
        match self {
            AgentSettlement::Relay(_) => None,
            AgentSettlement::Queue(_, settlement) => Some(settlement.hand_out()),
        }
    }
}

impl AgentDelivery {
    fn of_relay(delivery: Delivery, content: fn(Box<Event>) -> Content) -> Item {
        let session_key = delivery.session_key();
        let (event, settlement) = delivery.into_parts();
        let (content, settlement) = (content(Box::new(event)), AgentSettlement::Relay(settlement));
        Item::Delivery(Box::new(AgentDelivery { content, session_key, media: Vec::new(), settlement }))
    }

    fn of_queue(delivery: DurableDelivery, content: fn(Box<Event>) -> Content) -> Option<Item> {
        let parts = delivery.into_parts()?;
        Some(Item::Delivery(Box::new(AgentDelivery {
            content: content(Box::new(parts.event)),
            session_key: parts.session_key,
            media: parts.media,
            settlement: AgentSettlement::Queue(parts.number, parts.settlement),
        })))
    }
}

impl Item {
    /// Returns the item of the relay; `None` for one of a later version of the runtime, which does not exist.
    pub(crate) fn of_relay(incoming: Incoming) -> Option<Item> {
        Some(match incoming {
            Incoming::Message(delivery) => AgentDelivery::of_relay(delivery, Content::Message),
            Incoming::PromptAnswer(delivery) => AgentDelivery::of_relay(delivery, Content::PromptAnswer),
            Incoming::Forward(delivery) => {
                let raw = delivery.raw().map(Into::into);
                let (forward, settlement) = delivery.into_parts();
                Item::Delivery(Box::new(AgentDelivery {
                    content: Content::Forward(Box::new(forward), raw),
                    session_key: String::new(),
                    media: Vec::new(),
                    settlement: AgentSettlement::Relay(settlement),
                }))
            }
            Incoming::Interrupt { session_key, chat_id } => Item::Interrupt { session_key, chat_id },
            Incoming::Notice(notice) => Item::Notice(Box::new(notice)),
            Incoming::Fatal(fatal) => Item::Fatal(fatal),
            _ => return None,
        })
    }

    /// Returns the item of the queue; `None` for one of a later version of it, which does not exist.
    pub(crate) fn of_queue(incoming: DurableIncoming) -> Option<Item> {
        Some(match incoming {
            DurableIncoming::Message(delivery) => {
                return AgentDelivery::of_queue(delivery, Content::Message);
            }
            DurableIncoming::PromptAnswer(delivery) => {
                return AgentDelivery::of_queue(delivery, Content::PromptAnswer);
            }
            DurableIncoming::Forward(mut delivery) => {
                let settlement = AgentSettlement::Queue(delivery.number(), delivery.take_settlement()?);
                let content =
                    Content::Forward(Box::new(delivery.forward().clone()), delivery.raw().map(Into::into));
                let (session_key, media) = (String::new(), Vec::new());
                Item::Delivery(Box::new(AgentDelivery { content, session_key, media, settlement }))
            }
            DurableIncoming::Interrupt { session_key, chat_id } => Item::Interrupt { session_key, chat_id },
            DurableIncoming::Notice(notice) => Item::Notice(Box::new(notice)),
            DurableIncoming::Fatal(fatal) => Item::Fatal(fatal),
            _ => return None,
        })
    }
}
