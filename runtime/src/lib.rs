#![forbid(unsafe_code)]
#![deny(missing_docs)]
//! Runtime-independent part of a relay gateway: the drive loop, the handle and the inbox.
//!
//! Hosts use `relayline-tokio` or `relayline-smol` instead. They implement [`Runtime`] and re-export the types of this
//! crate.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `config-file` | yes | the parser of the configuration file in TOML: `control::settings::ConfigFile::parse` |
//! | `metrics` | yes | the metrics page: [`Relay`]'s `metrics`, and `serve_metrics` |
//! | `webhook` | yes | webhook requests over HTTP: [`Builder`]'s `webhook` |
//! | `platform-verifier` | no | verification of servers' certificates by the operating system: [`Builder`]'s `platform_verifier` |
//! | `server` | with `metrics` or `webhook` | the HTTP server alone, for programs that serve more than a gateway: `serve` |
//!
//! Counters are kept without `metrics`, too: [`Relay::stats`]. Without `webhook`, a gateway that is configured to accept
//! webhook requests does not start.
//!
//! # Logging
//!
//! The gateway emits `tracing` spans and events. Their names and fields are stable; the name of an event is its message.
//! A field that does not apply is left out. Texts of a peer occur in fields only.
//!
//! | span | level | fields |
//! |---|---|---|
//! | `relay` | info | `gateway`: its id |
//! | `connection` | debug | `conn`: the dial's number; inside `relay` |
//!
//! | event | level | fields |
//! |---|---|---|
//! | `dialing`, `opened` | debug | |
//! | `connected`, `platform` | info | `platform`, `changed`: the descriptor's fields that changed |
//! | `disconnected` | info | `code`, `reason`, `retry_in_ms` |
//! | `dormant` | info | `retry_in_ms` |
//! | `resumed` | info | |
//! | `counted` | debug | `counter`, `by`: a counter increased that has no event of its own |
//! | `stopped` | debug | |
//! | `answered` | debug | `op`, `outcome`: `ok` or the failure's kind, `after_ms` |
//! | `interrupt` | debug | `session_key`, `chat_id` |
//! | `stale_prompt` | info | `prompt_id` |
//! | `connector_error` | warn | `text` |
//! | `unknown_frame` | debug | `kind`: its type, if the configuration enables such frames |
//! | `dead_letter` | warn, and debug after the first of a connection | `reason`, `buffer_id` |
//! | `fatal` | error | `code`, `why` |
//! | `inbound_listening`, `metrics_listening` | info | `address` |
//! | `inbound_without_key`, `accept_failed` | warn | `why` |
//! | `inbound_failed` | error | `why` |
//! | `delivery` | debug | `status`, `why` |
//! | `client_closed` | debug | `why`: an HTTP client's connection was too old, or closed for a new one |
//!
//! The boot of a gateway has events outside of these spans:
//!
//! | event | level | fields |
//! |---|---|---|
//! | `configuration` | warn | `warning` |
//! | `access_token` | info | |
//! | `provisioned` | info | `platform`, `secret_issued` |
//! | `policy_taken` | info | `platform` |
//! | `policy_unsent` | warn | `platforms`, with commas between |
//! | `boot_failed` | warn | `what`, `why` |
//!
//! At trace level, under the target `relayline::trace`, each input and output of the protocol machine is an event with
//! the field `entry`. The gateway is locked during these events: a subscriber must not call it from one of them. It may
//! call the gateway from all other events.

mod builder;
mod close_capture;
mod control_queue;
mod delivery;
mod dial;
mod dialer;
mod drive;
mod environment;
mod error;
mod error_chain;
pub mod files;
pub mod http;
mod inbox;
mod media;
pub mod observe;
mod prefix_capture;
mod progress;
mod relay;
mod reply_stream;
mod request;
#[cfg(feature = "server")]
pub mod serve;
#[cfg(any(feature = "metrics", feature = "webhook"))]
mod server;
mod shared;
mod tls;
mod trace;
mod turn;
mod upgrade;
mod watch;
mod web_socket;

pub use builder::{Builder, CurrentRuntime};
pub use environment::{ca_certificates, default_env_file, detect_host, read_certificates, with_environment};
#[cfg(feature = "metrics")]
pub use server::metrics::{HostMetric, serve_host_metrics, serve_metrics};
// Re-exported for the runtime crates. The documentation lists it under `host`.
#[doc(hidden)]
pub use host::*;

use relayline_control::config::GatewayConfig;
use relayline_control::http::Base;
use relayline_control::settings::Resolved;
#[cfg(feature = "webhook")]
use server::webhook::serve as serve_webhooks;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

/// Types for hosts. Each runtime crate re-exports them.
pub mod host {
    pub use crate::delivery::{Delivery, Settlement};
    pub use crate::environment::config_from_env;
    pub use crate::error::{Closed, ConnectError};
    pub use crate::http;
    pub use crate::inbox::{Inbox, Incoming};
    pub use crate::relay::Relay;
    pub use crate::reply_stream::ReplyStream;
    pub use crate::request::{PendingReply, Request};
    pub use crate::turn::Turn;
    pub use crate::watch::{ConnectionState, Ended, RecentEnd, Watch};
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

/// Async runtime of a gateway: network, files, timers and tasks.
pub trait Runtime: Clone + Send + Sync + Unpin + 'static {
    /// TCP connection.
    type Tcp: futures_io::AsyncRead + futures_io::AsyncWrite + Unpin + Send + 'static;

    /// Looks up the addresses of a host, which may be an IP address.
    fn look_up(
        &self,
        host: String,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static;

    /// Connects to an address over TCP.
    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Tcp>> + Send + 'static;

    /// TCP listener.
    type Listener: Send + Sync + 'static;

    /// Registers an open, non-blocking listener with the runtime.
    ///
    /// # Errors
    /// The runtime cannot register it.
    fn listen(&self, listener: TcpListener) -> io::Result<Self::Listener>;

    /// Accepts the next client. Cancel-safe: dropping the future loses no client.
    fn accept(listener: &Self::Listener) -> impl Future<Output = io::Result<Self::Tcp>> + Send;

    /// File opened for reading.
    type File: futures_io::AsyncRead + Unpin + Send + 'static;

    /// Opens a file for reading. Returns its length in bytes and the file.
    fn open(&self, file: PathBuf) -> impl Future<Output = io::Result<(u64, Self::File)>> + Send + 'static;

    /// Waits for `span`.
    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send + 'static;

    /// Spawns a background task that runs to completion.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}

/// Starts a gateway on a runtime. It dials at once, and again whenever it loses the connection, until it is disconnected
/// or revoked.
///
/// It also serves webhook requests if the configuration sets an address. If that port cannot be opened, the gateway logs
/// the error, returns it from [`Relay::inbound`], and dials all the same.
///
/// # Errors
/// The configured certificates cannot be used, credentials would be sent unencrypted, or the system has no randomness.
pub fn start<R: Runtime>(runtime: R, config: GatewayConfig) -> Result<(Relay, Inbox), ConnectError> {
    start_prepared(runtime, config, |_| {})
}

/// Starts a gateway as [`start`] does. `prepare` is called before the first dial, for instance to
/// [prime](Relay::prime) chats.
///
/// # Errors
/// As for [`start`].
pub fn start_prepared<R: Runtime>(
    runtime: R,
    config: GatewayConfig,
    prepare: impl FnOnce(&Relay),
) -> Result<(Relay, Inbox), ConnectError> {
    if config.machine.credentials.is_some() {
        // C-6: also for a configuration that was not resolved from settings.
        Base::new(&config.url, config.allow_insecure)?;
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| ConnectError::NoRandomness(error.to_string()))?;
    let dialer = dialer::Dialer::new(runtime.clone(), &config.network)?;
    let client = http::Client::with_dialer(dialer.clone());
    let shared = shared::Shared::new(config, seed, client);
    let server = serve_webhooks(&runtime, &shared)?;
    let driver = drive::Driver::new(runtime, dialer, shared.clone(), server);
    let handle = shared::Handle::new(shared);
    let (relay, inbox) = (Relay::new(handle.clone()), Inbox::new(handle));
    prepare(&relay);
    driver.spawn();
    Ok((relay, inbox))
}

/// Refuses to start a gateway that is configured to serve webhook requests.
#[cfg(not(feature = "webhook"))]
fn serve_webhooks<R>(_: &R, shared: &shared::Shared) -> Result<Option<drive::ServerGuard>, ConnectError> {
    match shared.config.inbound_listen {
        None => Ok(None),
        Some(_) => Err(ConnectError::NoWebhooks),
    }
}

/// Logs the warnings of a configuration, and carries out its boot plan as [`http::Client::ready`] does. It runs no command
/// that prints an access token.
///
/// # Errors
/// The connector knows the gateway already and the gateway has no secret.
pub async fn boot(client: &http::Client, resolved: Resolved) -> Result<GatewayConfig, ConnectError> {
    for warning in &resolved.warnings {
        tracing::warn!(warning, "configuration");
    }
    let refuse = async |_: &str| {
        let what_to_do =
            "a library runs no commands: use `http_client` and `Client::ready`, which take its output";
        Err(what_to_do.to_owned())
    };
    Ok(client.ready(resolved, refuse).await?)
}
