#![forbid(unsafe_code)]
#![deny(missing_docs)]
//! What every runtime needs of a relay gateway, once: the drive loop, the handle, the stream of what comes in.
//!
//! A host does not use this crate by itself: `relayline-tokio` and `relayline-smol` say how to connect, listen, sleep and
//! spawn, and give out the same types.
//!
//! # What is logged
//!
//! Spans and events of `tracing`, whose names (an event's is its message) and fields are stable. A field that does not
//! apply is left out. Whatever a peer said stands in fields only.
//!
//! | span | level | fields |
//! |---|---|---|
//! | `relay` | info | `gateway`: its id |
//! | `connection` | debug | `conn`: the dial's number; inside `relay` |
//!
//! | event | level | fields |
//! |---|---|---|
//! | `dialing`, `opened` | debug | |
//! | `connected`, `platform` | info | `platform`, `changed`: the descriptor's fields that did |
//! | `disconnected` | info | `code`, `reason`, `retry_in_ms` |
//! | `dormant` | info | `retry_in_ms` |
//! | `resumed` | info | |
//! | `counted` | debug | `counter`, `by`: something was passed over, or another counter went up; many have no other event |
//! | `stopped` | debug | |
//! | `answered` | debug | `op`, `outcome`: `ok` or the failure's kind, `after_ms` |
//! | `interrupt` | debug | `session_key`, `chat_id` |
//! | `stale_prompt` | info | `prompt_id` |
//! | `connector_error` | warn | `text` |
//! | `unknown_frame` | debug | `kind`: its type, where the configuration asks for such frames |
//! | `dead_letter` | warn, and debug after the first of a connection | `reason`, `buffer_id` |
//! | `fatal` | error | `code`, `why` |
//! | `inbound_listening`, `metrics_listening` | info | `address` |
//! | `inbound_without_key`, `accept_failed` | warn | `why` |
//! | `inbound_failed` | error | `why` |
//! | `delivery` | debug | `status`, `why` |
//! | `client_closed` | debug | `why`: an HTTP client's connection was too old, or made room for another |
//!
//! Before there is a gateway, its boot has events outside of the spans:
//!
//! | event | level | fields |
//! |---|---|---|
//! | `configuration` | warn | `warning` |
//! | `identity_token` | info | |
//! | `provisioned` | info | `platform`, `secret_issued` |
//! | `policy_taken` | info | `platform` |
//! | `policy_unsent` | warn | `platforms`, with commas between |
//! | `boot_failed` | warn | `what`, `why` |
//!
//! At trace level, under the target `relayline::trace`, each input and output of the machine is an event with the field
//! `entry`. While one of these is made the gateway is locked: a subscriber must not call it, but may do so from all others.

mod builder;
mod causes;
mod close_tap;
mod delivery;
mod dial;
mod drive;
mod environment;
mod error;
pub mod files;
mod first_bytes;
pub mod http;
mod inbox;
mod media;
mod progress;
mod relay;
mod reply_stream;
mod request;
pub mod serve;
mod server;
mod shared;
mod signs;
mod tls;
mod trace;
mod turn;
mod upgrade;
mod watch;
mod wires;

pub use builder::{Builder, CurrentRuntime};
pub use environment::{ca_certificates, default_env_file, detect_host, read_certificates, with_environment};
// For who builds on this crate; it is described, and listed, where it is.
#[doc(hidden)]
pub use host::*;

use futures_channel::oneshot;
use relayline_control::config::GatewayConfig;
use relayline_control::http::Base;
use relayline_control::settings::Resolved;
use relayline_core::signature::SignatureError;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

/// All that a host needs, whatever runtime it is on: each runtime's crate gives it out under its own name.
pub mod host {
    pub use crate::delivery::{Delivery, Settlement};
    pub use crate::environment::config_from_env;
    pub use crate::error::{Closed, ConnectError};
    pub use crate::http;
    pub use crate::inbox::{Inbox, Incoming};
    pub use crate::relay::Relay;
    pub use crate::reply_stream::ReplyStream;
    pub use crate::request::{Answer, Request};
    pub use crate::turn::Turn;
    pub use crate::watch::{ConnectionState, Ended, Watch};
    pub use relayline_control as control;
    pub use relayline_core as protocol;
    pub use relayline_core::command::{Failure, FailureKind};
    pub use relayline_core::config::{Config, Credentials, Identity};
    pub use relayline_core::descriptor::Descriptor;
    pub use relayline_core::event::Event;
    pub use relayline_core::id::Id;
    pub use relayline_core::op::{ChatDetails, MediaKind, Prompt, PromptKind, PromptOption, Prompted};
    pub use relayline_core::output::{Fatal, Notice, Phase};
    pub use relayline_core::secret::Secret;
}

/// What a runtime must be able to do.
pub trait Runtime: Clone + Send + Sync + Unpin + 'static {
    /// A TCP connection.
    type Tcp: futures_io::AsyncRead + futures_io::AsyncWrite + Unpin + Send + 'static;

    /// Looks up the addresses of a host, which may be an address itself.
    fn look_up(
        &self,
        host: String,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static;

    /// Connects to an address over TCP.
    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Tcp>> + Send + 'static;

    /// A port that clients can connect to.
    type Listener: Send + Sync + 'static;

    /// Takes over a port that is open and does not block.
    ///
    /// # Errors
    /// When the runtime cannot wait for it.
    fn listen(&self, listener: TcpListener) -> io::Result<Self::Listener>;

    /// The next client. Dropping the future loses none.
    fn accept(listener: &Self::Listener) -> impl Future<Output = io::Result<Self::Tcp>> + Send;

    /// A file that is read.
    type File: futures_io::AsyncRead + Unpin + Send + 'static;

    /// Opens a file. Returns its length, too.
    fn open(&self, file: PathBuf) -> impl Future<Output = io::Result<(u64, Self::File)>> + Send + 'static;

    /// Waits that long.
    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send + 'static;

    /// Runs a task to its end, in the background.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}

/// Starts a gateway on a runtime: it dials at once, and again and again, until it is disconnected or revoked.
///
/// Where the configuration says so it takes signed deliveries over HTTP, too, for as long (H-6). A port that cannot be
/// opened is logged, [`Relay::inbound`] says so, and the gateway dials all the same.
///
/// # Errors
/// The configured certificates cannot be used, credentials would be sent unencrypted, or the system has no randomness.
pub fn start<R: Runtime>(runtime: R, config: GatewayConfig) -> Result<(Relay, Inbox), ConnectError> {
    if config.machine.credentials.is_some() {
        // However the configuration came about (C-6).
        Base::new(&config.url, config.allow_insecure)?;
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| ConnectError::NoRandomness(error.to_string()))?;
    let wires = wires::Wires::new(runtime.clone(), &config.network)?;
    let port = config.inbound_listen.as_deref().map(|address| open(&runtime, address, &config));
    let (port, inbound) = match port {
        None => (None, None),
        Some(Ok(port)) => {
            let address = port.address;
            (Some(port), Some(Ok(address)))
        }
        Some(Err(why)) => (None, Some(Err(why))),
    };
    let client = http::Client::over(wires.clone());
    let shared = shared::Shared::new(config, seed, inbound, client);
    let server = port.map(|port| {
        let (driver, over) = oneshot::channel();
        runtime.spawn(port.take_deliveries(runtime.clone(), shared.clone(), over));
        driver
    });
    let driver = drive::Driver::new(runtime, wires, shared.clone(), server);
    let handle = shared::Handle::new(shared);
    let (relay, inbox) = (Relay::new(handle.clone()), Inbox::new(handle));
    driver.spawn();
    Ok((relay, inbox))
}

/// Serves [`Relay::metrics`] over a port that is open, as `GET /metrics`, until the gateway has ended.
///
/// # Errors
/// When the runtime cannot wait for that port.
pub fn serve_metrics<R: Runtime>(runtime: &R, relay: &Relay, listener: TcpListener) -> io::Result<()> {
    server::serve_metrics(runtime, relay.shared(), listener)
}

/// Opens the port for signed deliveries, and says how that went.
fn open<R: Runtime>(runtime: &R, address: &str, config: &GatewayConfig) -> Result<server::Port<R>, String> {
    let port = server::Port::open(runtime, address);
    match &port {
        Ok(port) => {
            tracing::info!(address = %port.address, "inbound_listening");
            if config.machine.delivery_keys.is_empty() {
                tracing::warn!(why = %SignatureError::NoKey, "inbound_without_key");
            }
        }
        Err(why) => tracing::error!(why, "inbound_failed"),
    }
    port
}

/// What `boot` does on every runtime: it logs what the configuration warns of, and makes it ready to dial with, as
/// [`http::Client::ready`] does. A command that prints an identity token is not run here.
///
/// # Errors
/// When the connector knows the gateway already and the gateway has no secret.
pub async fn boot(client: &http::Client, resolved: Resolved) -> Result<GatewayConfig, ConnectError> {
    for warning in &resolved.warnings {
        tracing::warn!(warning, "configuration");
    }
    let refuse = async |_: &str| {
        let what_to_do =
            "a library runs no commands: use `http_client` and `Client::ready`, which take what it prints";
        Err(what_to_do.to_owned())
    };
    Ok(client.ready(resolved, refuse).await?)
}
