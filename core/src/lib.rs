#![forbid(unsafe_code)]
#![deny(missing_docs)]
//! The gateway side of the relay protocol, as a pure state machine: no I/O, no clock, no randomness of its own.
//!
//! A **gateway** hosts an agent and dials out to a **connector**, which holds the sockets and secrets of Discord,
//! Telegram, Slack and others. What the gateway must do about what the connector says is all in
//! [`machine::RelayMachine`]; PROTOCOL.md has the rules, and names such as L-9 here and there are theirs.
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
//! let identity = Identity { platform: "discord".into(), bot_id: "1".into() };
//! let config = Config::new(identity);
//! let now = Now { mono: Time::ZERO, unix_s: 1_800_000_000 };
//! let mut machine = RelayMachine::new(Arc::new(config), [7; 32], now);
//!
//! // It dials first. Whoever drives it opens the socket, and says so.
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
//! let Some(Action::Notify(_)) = machine.poll_action() else { panic!("it tells that it is connected") };
//! let delivery = machine.poll_delivery(now).ok_or("no message")?;
//! let Content::Message(event) = &delivery.content else { panic!("a message") };
//! assert_eq!((&*event.text, &*event.source.chat_id), ("hello", "42"));
//! machine.settle(now, delivery.id, Outcome::Taken);
//!
//! // The host answers; what is returned by `poll_transmit` counts as written.
//! machine.submit(now, SendMessage { chat_id: "42".into(), content: "hi".into(), ..SendMessage::default() })?;
//! machine.poll_transmit(now, &mut frame);
//! assert!(frame.starts_with(b"{\"type\":\"outbound\""));
//! # Ok(())
//! # }
//! ```
//!
//! # Where to look
//!
//! [`machine`] is the machine, and how to drive it; [`command`] what a host asks for and how it ends; [`output`] what
//! the machine puts out; [`event`] and [`descriptor`] what the connector says; [`config`] how it is
//! configured; [`lifecycle`] the connection's states as one table; [`trace`] all of it as lines that a person reads.

mod anchor;
pub mod chats;
pub mod command;
pub mod config;
mod conn;
pub mod descriptor;
mod encode;
pub mod event;
pub mod fields;
mod hash;
pub mod held;
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
pub mod webhook;
mod webhooks;
