#![forbid(unsafe_code)]
#![deny(missing_docs)]
//! Gateway side of the relay protocol, as a pure state machine: without I/O, clock or random numbers of its own.
//!
//! A **gateway** hosts an agent and dials out to a **connector**, which holds the sockets and secrets of Discord,
//! Telegram, Slack and others. [`machine::RelayMachine`] decides everything that the gateway does. `PROTOCOL.md` has the
//! rules; ids such as L-9 refer to them.
//!
//! # A conversation
//!
//! ```
//! use relayline_core::op::SendMessage;
//! use relayline_core::config::{Config, Identity};
//! use relayline_core::machine::{IoEvent, RelayMachine};
//! use relayline_core::output::{Action, Content, Outcome};
//! use relayline_core::time::{Now, Time};
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let identity = Identity::new("discord", "1");
//! let config = Config::new(identity);
//! let now = Now { mono: Time::ZERO, unix_s: 1_800_000_000 };
//! let mut machine = RelayMachine::new(Arc::new(config), [7; 32], now);
//!
//! // It dials first. The driver opens the socket, and reports it.
//! let Some(Action::Dial { conn, .. }) = machine.poll_action() else { panic!("it dials first") };
//! machine.handle_io(now, IoEvent::Opened { conn });
//! let mut frame = Vec::new();
//! machine.poll_transmit(now, &mut frame);
//! assert_eq!(frame, b"{\"type\":\"hello\",\"platform\":\"discord\",\"botId\":\"1\"}\n");
//!
//! // The connector's answer completes the handshake, and a message comes.
//! let said = concat!(
//!     r#"{"type":"descriptor","descriptor":{"contract_version":1,"platform":"discord","label":"Discord","#,
//!     r#""max_message_length":2000,"supports_draft_streaming":false,"supports_edit":true,"#,
//!     r#""supports_threads":true,"markdown_dialect":"discord","len_unit":"chars"}}"#, "\n",
//!     r#"{"type":"inbound","event":{"text":"hello","source":{"platform":"discord","chat_id":"42"}}}"#, "\n",
//! );
//! machine.handle_bytes(now, conn, said.as_bytes());
//! let Some(Action::Notify(_)) = machine.poll_action() else { panic!("it is connected") };
//! let delivery = machine.poll_delivery(now).ok_or("no message")?;
//! let Content::Message(event) = &delivery.content else { panic!("a message") };
//! assert_eq!((&*event.text, &*event.source.chat_id), ("hello", "42"));
//! machine.settle(now, delivery.id, Outcome::Accepted);
//!
//! // The host answers. A frame that `poll_transmit` returns counts as written.
//! machine.submit(now, SendMessage::new("42", "hi"))?;
//! machine.poll_transmit(now, &mut frame);
//! assert!(frame.starts_with(b"{\"type\":\"outbound\""));
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//!
//! - [`machine`] – the machine, and how to drive it
//! - [`command`] – commands of the host, and their results
//! - [`output`] – outputs of the machine
//! - [`event`] and [`descriptor`] – data from the connector
//! - [`config`] – configuration
//! - [`lifecycle`] – states of the connection as one table
//! - [`trace`] – inputs and outputs as readable lines

mod anchor;
pub mod approver;
pub mod chats;
pub mod command;
pub mod config;
mod conn;
pub mod descriptor;
mod encode;
pub mod event;
pub mod fields;
mod hash;
pub mod id;
mod idle;
mod inbox;
pub mod json;
mod keepalive;
pub mod lifecycle;
pub mod limits;
pub mod line;
pub mod machine;
mod numbers;
pub mod op;
mod outbox;
pub mod output;
pub mod passthrough;
pub mod prompts;
pub mod redact;
mod redial;
mod requests;
mod result;
pub mod secret;
pub mod session_key;
pub mod signature;
pub mod slack;
pub mod split;
pub mod stats;
mod stream;
mod streams;
mod targets;
pub mod time;
pub mod token;
pub mod trace;
mod turns;
pub mod upgrade;
pub mod usage;
pub mod webhook;
mod webhooks;
