#![forbid(unsafe_code)]
#![deny(missing_docs)]
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
//! | `revoke` | `on`? (true) | The open connection is closed with 4401 `unauthorized`, and from now on every dial is refused: by [`ConnectorConfig::upgrade_refusal`] with 4401 `revoked`, or 401. `false` takes it back. |
//! | `expire` | | The open connection is closed with 4401 `expired`; without one the next dial is refused so, or with 401. Once. |
//! | `mute` | `on`? (true) | Upgrades are accepted, and nothing is ever said. |
//! | `idle_ack` | `on` | `false` withholds the `going_idle_ack`: the connection then stays live. |
//! | `answer` | `op`, `result` | From now on `op` gets this result, whatever it is; `null` restores the usual one. |
//! | `delay` | `op`, `ms` | From now on results of `op` come that much later; 0 restores. |
//! | `descriptor` | `descriptor`, `platform`? | From the next `hello` for that platform on this object is the answer. `platform` is needed only when the object does not name one. |
//! | `raw` | `text` | The text is sent as it is, as one text message. A frame needs its own newline. |
//! | `enroll_token` | `token`, `tenant`? (`default`), `ttl_s`? | A gateway of that tenant may enrol with it, once and, with `ttl_s`, only for so many seconds. It is about no gateway. |
//! | `rotate` | `overlap_ms`? (60000), `secret`?, `delivery_key`? | New credentials; those that are not given are drawn, and the gateway gets them when it provisions next. The old secrets are good for the overlap, and deliveries are signed with the new key at once. |
//! | `deliver` | `event` or `interrupt`, `url`?, `key`?, `skew_s`? (0) | It is signed and posted to the endpoint that the gateway gave when it provisioned, or to `url`; an `interrupt` below it. `key` and `skew_s` make the signature another's, or of another time. |
//! | `press` | `option_id` (or `option`), `prompt_id`?, `chat_id`?, `user_id`?, `user_name`?, `buffered`? | An open prompt is answered in the form of its platform: the prompt with `prompt_id`, else the last one of `chat_id`, or of all chats. `option_id` is the option's id, label or number, from 1. The user is by default the last author of that chat. |
//!
//! Each may have `gateway`, the id of the one that is meant. Without it `inbound`, `passthrough` and `deliver` need
//! the connector to have one gateway only; all others mean every gateway.
//!
//! # What it answers over HTTP
//!
//! | request | who may | answer |
//! |---|---|---|
//! | `POST /relay/enroll` | an identity, by an access token of its tenant | credentials; 403 for a token that is unknown, used, expired or of another tenant, and for an id that is another tenant's or revoked |
//! | `POST /relay/provision` | an identity | credentials the first time and after a rotation, else `secretIssued: false`; 403 as above |
//! | `POST /relay/policy` | a gateway, by an upgrade token | it is kept, by platform |
//! | `POST /relay/media` | a gateway | an id; the file is kept for [`ConnectorConfig::media_ttl`] and as long as there is room |
//! | `GET /relay/media/<id>` | the gateway that has brought the file | the file; 410 when it is gone, 404 when it never was, or is another's |
//!
//! Each of them is a [`Observation::Http`], and so is the answer to each signed delivery. An answer that is no success is
//! `{"error": …}`: 400 for what cannot be read, 401 for who is not known, 405, 408, 413.
//!
//! # State file
//!
//! With a [`StateFile`] the connector continues from the state of the last process, also after a kill:
//! [`EmbeddedConnector::start_with_state`].

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
mod server;
mod state;
mod values;
mod webhooks;

pub use buffer::Entry;
pub use config::{
    ConnectorConfig, DEFAULT_TENANT, Duplicates, EnrollToken, GatewayAccount, Identity, Limits,
    UpgradeRefusal,
};
pub use control::{Act, Control, ControlError, Press, Webhook};
pub use http::{HttpBody, HttpHead, HttpResponse};
pub use like::Like;
pub use machine::ConnectorMachine;
pub use observation::{AskedBy, ClosedBy, Observation};
#[cfg(feature = "server")]
pub use server::{
    DuplexStream, EmbeddedConnector, ServerConfig, ServerTls, StateError, StateFile, WaitTimeout,
};
pub use state::StateFault;
pub use values::{ConnId, Post, Stats, Transmit, Upgrade};
