//! The queue between a gateway and its hosts: put it between `connect` and the host.
//!
//! Each event is stored, acknowledged to the connector once it is stored, and handed to an agent. An event that is not
//! settled when its agent or the gateway ends is handed out again.
//!
//! ```no_run
//! use futures_util::StreamExt;
//! use relayline_queue::inbox::{DurableIncoming, OpenedQueue, QueueOptions};
//! use relayline_queue::sqlite::{QueueLock, SqliteStore};
//! use relayline_tokio::{Builder, Tokio};
//!
//! # async fn agent() -> Result<(), Box<dyn std::error::Error>> {
//! let store = SqliteStore::open(QueueLock::acquire("inbox.db".as_ref())?)?;
//! let opened = OpenedQueue::open::<Tokio>(store, QueueOptions::default()).await?;
//! let builder = Builder::new("wss://connector.example").identity(("discord", "1187654321098765432"));
//! let (_relay, queue) = opened.connect(builder).await?;
//! let mut inbox = queue.agent("agent-1")?;
//! while let Some(incoming) = inbox.next().await {
//!     if let DurableIncoming::Message(delivery) = incoming {
//!         delivery.message().reply(format!("you said: {}", delivery.text())).await?;
//!         // Only now: the message comes again if the agent or the gateway ends before.
//!         delivery.ack().await?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A task of the runtime stores events and drives the dispatcher, so that a host that is busy holds up nothing.
//!
//! Answers to prompts are recognized here and not in the gateway, since their prompts outlive it: see
//! [`OpenedQueue::configure`].

mod agent;
mod body;
mod chat_memory;
mod delivery;
mod media;
mod open;
mod options;
mod prompts;
mod pump;
mod queue;
mod shared;
mod stats;

pub use agent::{DurableInbox, DurableIncoming};
pub use body::entry_json;
pub use delivery::{DeliveryParts, DurableDelivery, DurableForward, DurableTurn, QueueSettlement};
pub use open::{OpenError, OpenedQueue, gateway_of};
pub use options::QueueOptions;
pub use queue::{AgentExists, DurableQueue, QueueEnd, QueueStatus};
pub use stats::InboxStats;
