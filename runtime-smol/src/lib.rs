//! Gateway of the relay protocol on smol.
//!
//! ```no_run
//! use futures_util::StreamExt;
//! use relayline_smol::{ConnectError, Incoming, connect};
//!
//! # async fn agent() -> Result<(), ConnectError> {
//! let (_relay, mut inbox) = connect("wss://connector.example", ("discord", "1187654321098765432")).await?;
//! while let Some(incoming) = inbox.next().await {
//!     if let Incoming::Message(message) = incoming {
//!         // This agent stores nothing, so it has the message now. The ack does not wait for the reply.
//!         message.ack();
//!         let text = format!("you said: {}", message.text());
//!         if let Err(failure) = message.reply(text).await {
//!             eprintln!("{failure}");
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Use [`Builder`] for credentials, several platforms, TLS, limits, or settings from the environment.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[doc(inline)]
#[cfg(feature = "metrics")]
pub use relayline_runtime::HostMetric;
pub use relayline_runtime::host::*;

use relayline_control::config::GatewayConfig;
use relayline_control::network::Network;
use relayline_control::settings::Resolved;
use relayline_runtime::http::Client;
use relayline_runtime::{CurrentRuntime, Runtime};
use smol::net::{TcpListener, TcpStream};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Builder of a gateway that runs on smol's global executor.
pub type Builder = relayline_runtime::Builder<Smol>;

/// Connects a gateway without credentials, for one identity: a platform and the bot's id there.
///
/// Resolves when the gateway is connected. From then on the gateway reconnects whenever it loses the connection, and
/// [`Relay::connected`] waits for that. [`Relay::disconnect`] ends the gateway. The gateway also ends when its handle,
/// its inbox and their deliveries are dropped: see [`Relay`].
///
/// # Errors
/// The URL is malformed, or the first dial failed. The error names the cause.
pub async fn connect(
    url: impl Into<String>,
    identity: impl Into<Identity>,
) -> Result<(Relay, Inbox), ConnectError> {
    Builder::new(url).identity(identity).connect().await
}

/// Starts a gateway with a resolved configuration, without waiting for its connection.
///
/// # Errors
/// The configured certificates cannot be used, or credentials would be sent unencrypted.
pub fn start(config: GatewayConfig) -> Result<(Relay, Inbox), ConnectError> {
    relayline_runtime::start(Smol, config)
}

/// Prepares a configuration for [`start`]: provisions credentials and sends policies, if the configuration requires it.
///
/// Logs the warnings of the configuration. A step that fails is logged, and the boot continues. It runs no command that
/// prints an access token: use [`Client::ready`] for that.
///
/// # Errors
/// The configured certificates cannot be used. [`ConnectError::KnownAlready`] if the connector knows the gateway
/// already and the gateway has no secret.
pub async fn boot(resolved: Resolved) -> Result<GatewayConfig, ConnectError> {
    let client = http_client(&resolved.config.network)?;
    relayline_runtime::boot(&client, resolved).await
}

/// Creates an HTTP client on smol, for enrollment, provisioning, policies and files.
///
/// # Errors
/// The configured certificates cannot be used.
pub fn http_client(network: &Network) -> Result<Client, ConnectError> {
    Client::new(Smol, network)
}

/// Runs a future to completion, for a `main` that does nothing else. The sockets run on a thread of their own, so that a
/// host that blocks does not delay pings.
///
/// # Errors
/// Never. The signature is the same for all runtimes, and starting another runtime can fail.
pub fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    // `smol::block_on` would poll the sockets on this thread, too, and pass their events on to the thread of the tasks.
    Ok(smol::future::block_on(future))
}

/// Serves [`Relay::metrics`] as `GET /metrics` on `listener` until the gateway has ended, on smol. Needs the
/// feature `metrics`.
///
/// # Errors
/// smol cannot register the listener.
#[cfg(feature = "metrics")]
pub fn serve_metrics(relay: &Relay, listener: std::net::TcpListener) -> io::Result<()> {
    relayline_runtime::serve_metrics(&Smol, relay, listener, Vec::new)
}

/// Serves the same page, with the metrics of the host after those of the gateway. Needs the feature `metrics`.
///
/// # Errors
/// smol cannot register the listener.
#[cfg(feature = "metrics")]
pub fn serve_metrics_with(
    relay: &Relay,
    listener: std::net::TcpListener,
    metrics: impl Fn() -> Vec<HostMetric> + Send + Sync + 'static,
) -> io::Result<()> {
    relayline_runtime::serve_metrics(&Smol, relay, listener, metrics)
}

/// [`Runtime`] on smol.
#[derive(Clone, Copy, Debug)]
pub struct Smol;

impl CurrentRuntime for Smol {
    fn current() -> Result<Smol, ConnectError> {
        Ok(Smol)
    }
}

#[allow(clippy::manual_async_fn, reason = "an async fn would borrow the runtime")]
impl Runtime for Smol {
    type Tcp = TcpStream;

    fn look_up(
        &self,
        host: String,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static {
        async move { smol::net::resolve((host, port)).await }
    }

    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Tcp>> + Send + 'static {
        async move {
            let stream = TcpStream::connect(address).await?;
            // Frames are small and each is flushed: waiting to fill a segment only delays them.
            stream.set_nodelay(true)?;
            Ok(stream)
        }
    }

    type Listener = TcpListener;

    fn listen(&self, listener: std::net::TcpListener) -> io::Result<TcpListener> {
        TcpListener::try_from(listener)
    }

    fn accept(listener: &TcpListener) -> impl Future<Output = io::Result<Self::Tcp>> + Send {
        async {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        }
    }

    type File = smol::fs::File;

    fn open(&self, file: PathBuf) -> impl Future<Output = io::Result<(u64, Self::File)>> + Send + 'static {
        async move {
            let file = smol::fs::File::open(file).await?;
            Ok((file.metadata().await?.len(), file))
        }
    }

    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send + 'static {
        async move {
            smol::Timer::after(span).await;
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        smol::spawn(task).detach();
    }
}
