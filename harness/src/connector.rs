//! The connector's side of the protocol: a sans-IO machine, and that machine on real sockets.
//!
//! [`ConnectorMachine`] holds every decision and neither socket nor clock, so that a simulation drives it in
//! virtual time. [`EmbeddedConnector`] puts it on a port of this machine, for tests, demos and agents under
//! development.
//!
//! # What it can be told
//!
//! A [`Control`] is one JSON object, the same on the bridge of `relayline connector`, in its scripts and, as
//! [`Act`], in Rust:
//!
//! | `do` | fields (`?` may be left out) | what happens |
//! |---|---|---|
//! | `inbound` | `event`, `buffered`? | The event is delivered: live to a connected gateway that is not idle, else through its buffer. `true` sends it through the buffer, `false` insists on live. |
//! | `passthrough` | `forward`, `buffered`? | The same for a forwarded platform request. |
//! | `interrupt` | `session_key`, `chat_id`? | An `interrupt_inbound` is sent. |
//! | `drop` | | The TCP connection is cut, without a close frame. |
//! | `close` | `code`? (1000), `reason`? ("") | The connection is closed. |
//! | `revoke` | `on`? (true) | The open connection is closed with 4401 `unauthorized`, and from now on so is every dial refused (401). `false` takes it back. |
//! | `expire` | | The open connection is closed with 4401 `expired`; without one the next dial is refused so. Once. |
//! | `mute` | `on`? (true) | Upgrades are accepted, and nothing is ever said. |
//! | `idle_ack` | `on` | `false` withholds the `going_idle_ack`: the connection then stays live. |
//! | `answer` | `op`, `result` | From now on `op` gets this result, whatever it is; `null` restores the usual one. |
//! | `delay` | `op`, `ms` | From now on results of `op` come that much later; 0 restores. |
//! | `descriptor` | `descriptor`, `platform`? | From the next `hello` for that platform on this object is the answer. `platform` is needed only when the object does not name one. |
//! | `raw` | `text` | The text is sent as it is, as one text message. A frame needs its own newline. |
//!
//! Each may have `gateway`, the id of the one that is meant. Without it `inbound` and `passthrough` need the
//! connector to have one gateway only; all others mean every gateway.

mod answers;
mod buffer;
mod config;
mod control;
mod frame;
mod gateway;
mod link;
mod machine;
mod recent;
mod saw;
pub mod script;
mod server;
mod upgrade;

pub use buffer::Entry;
pub use config::{ConnectorConfig, Duplicates, GatewayAccount, Limits};
pub use control::{Act, Control, ControlError};
pub use machine::{Conn, ConnectorMachine, Stats, Transmit};
pub use saw::{ClosedBy, Saw};
pub use server::{DuplexStream, EmbeddedConnector, Missed, ServerTls};
pub use upgrade::Upgrade;
