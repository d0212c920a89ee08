#![forbid(unsafe_code)]
#![deny(missing_docs)]
//! The connector's side of the relay protocol, for authors of connectors and for tests of gateways.
//!
//! A connector fronts chat platforms: gateways dial it over a WebSocket, it delivers the users' events to them, and
//! carries out their ops. [`ConnectorMachine`] makes the decisions of that side. It has no socket, no clock and no
//! randomness of its own, so that a test drives it in virtual time: the same configuration, seed and inputs give the
//! same outputs. It plays the platforms, too: [`chats`] has rooms on a Discord, a Telegram and a Slack.
//!
//! # Driving the machine
//!
//! The driver is the program around the machine. It owns the sockets, names each connection by a [`ConnId`], and
//! repeats three steps:
//!
//! 1. **Input.** Call [`handle_upgrade`](ConnectorMachine::handle_upgrade) for an upgrade request and answer it as the
//!    [`Upgrade`] says, [`handle_bytes`](ConnectorMachine::handle_bytes) for the content of a message,
//!    [`handle_closed`](ConnectorMachine::handle_closed) for the end of a connection, and
//!    [`handle_http`](ConnectorMachine::handle_http) for every other request.
//!    [`control`](ConnectorMachine::control) and [`say`](ConnectorMachine::say) are the inputs of the host: what users
//!    write and press, and faults to test gateways with.
//! 2. **Output.** Call [`poll_observation`](ConnectorMachine::poll_observation),
//!    [`poll_transmit`](ConnectorMachine::poll_transmit) and [`poll_post`](ConnectorMachine::poll_post) until each
//!    returns `None`, and carry out what they return. A [`Post`] is settled with
//!    [`handle_posted`](ConnectorMachine::handle_posted).
//! 3. **Time.** Wait for the next input, but at most until [`deadline`](ConnectorMachine::deadline); then call
//!    [`handle_tick`](ConnectorMachine::handle_tick).
//!
//! Each input takes the current time, as [`Now`](relayline_core::time::Now). A connector that outlives its process also
//! writes [`durable_state`](ConnectorMachine::durable_state) between the first two steps, whenever
//! [`take_durable_change`](ConnectorMachine::take_durable_change) returns true.
//!
//! # Example
//!
//! A gateway connects, a user writes, the agent replies:
//!
//! ```
//! use relayline_connector::{ConnId, ConnectorConfig, ConnectorMachine, Observation, Transmit, Upgrade};
//! use relayline_core::time::{Now, Time};
//!
//! // The default configuration admits every gateway. A driver with a clock passes the current time to each call.
//! let mut connector = ConnectorMachine::new(ConnectorConfig::default(), [7; 32]);
//! let now = Now { mono: Time::ZERO, unix_s: 1_718_900_000 };
//! let conn = ConnId(0);
//!
//! let upgrade = connector.handle_upgrade(now, conn, "/relay", None);
//! assert!(matches!(upgrade, Upgrade::Accept { .. }));
//! connector.handle_bytes(now, conn, b"{\"type\":\"hello\",\"platform\":\"discord\",\"botId\":\"1\"}\n");
//! connector.say(now, "What time is it?")?;
//!
//! let mut line = Vec::new();
//! for frame_type in ["descriptor", "inbound"] {
//!     assert_eq!(connector.poll_transmit(&mut line), Some(Transmit::Frame { conn }));
//!     assert!(line.starts_with(format!("{{\"type\":\"{frame_type}\"").as_bytes()));
//! }
//!
//! let action = r#"{"op":"send","chat_id":"1234567890123456789","content":"Noon."}"#;
//! let request = format!("{{\"type\":\"outbound\",\"requestId\":\"1\",\"action\":{action}}}\n");
//! connector.handle_bytes(now, conn, request.as_bytes());
//! assert_eq!(connector.poll_transmit(&mut line), Some(Transmit::Frame { conn }));
//! assert!(String::from_utf8_lossy(&line).contains(r#""success":true"#));
//!
//! let reply = std::iter::from_fn(|| connector.poll_observation()).find_map(|seen| match seen {
//!     Observation::Frame { frame, .. } => frame["action"]["content"].as_str().map(str::to_owned),
//!     _ => None,
//! });
//! assert_eq!(reply.as_deref(), Some("Noon."));
//! # Ok::<(), relayline_connector::ControlError>(())
//! ```
//!
//! `examples/one_gateway.rs` is a whole connector in fifty lines, over a real WebSocket.
//!
//! # The feature `server`
//!
//! With the feature `server`, which is off by default, the crate also has an `EmbeddedConnector`: the machine on a port
//! of this computer, with TLS, the HTTP endpoints and a state file, with or without an async runtime of your own. It is
//! for tests, demos and agents under development. It brings tokio and hyper; without it the crate depends only on
//! `relayline-core`, `relayline-control` and small crates that do no I/O.

mod account;
mod ack_timers;
mod admission;
mod bearer;
mod buffer;
pub mod chats;
mod config;
mod connection;
mod control;
mod delayed;
mod frame;
mod gateway;
mod http;
mod issuer;
mod like;
mod machine;
mod media;
mod observation;
mod press;
mod prompts;
mod recent;
mod responder;
#[cfg(test)]
mod schema;
pub mod script;
#[cfg(feature = "server")]
#[allow(clippy::disallowed_methods, clippy::disallowed_types)] // It is what has sockets, files and a clock.
mod server;
mod state;
mod values;
mod wakes;
mod webhooks;

pub use buffer::Entry;
pub use config::{
    ConnectorConfig, DEFAULT_TENANT, Duplicates, EnrollToken, GatewayAccount, Identity, Limits,
    UpgradeRefusal,
};
pub use control::{Act, Control, ControlError, Press, Webhook};
pub use http::{HttpBody, HttpHead, HttpResponse};
pub use like::{Like, UnknownLike};
pub use machine::ConnectorMachine;
pub use observation::{AskedBy, ClosedBy, Observation};
#[cfg(feature = "server")]
pub use server::{
    DuplexStream, EmbeddedConnector, ServerConfig, ServerTls, StateError, StateFile, WaitTimeout,
};
pub use state::StateFault;
pub use values::{ConnId, Post, Stats, Transmit, Upgrade, UserFile};
