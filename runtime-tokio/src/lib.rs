//! Gateway of the relay protocol on tokio.
//!
//! ```no_run
//! use futures_util::StreamExt;
//! use relayline_tokio::{ConnectError, Incoming, connect};
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
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `config-file` | yes | the parser of the configuration file in TOML: `control::settings::ConfigFile::parse` |
//! | `metrics` | yes | the metrics page: [`Relay`]'s `metrics`, and `serve_metrics` |
//! | `webhook` | yes | webhook requests over HTTP: [`Builder`]'s `webhook` |
//! | `platform-verifier` | no | verification of servers' certificates by the operating system: [`Builder`]'s `platform_verifier` |
//!
//! Counters are kept without `metrics`, too: [`Relay::stats`]. Without `webhook`, a gateway that is configured to accept
//! webhook requests does not start.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[doc(inline)]
#[cfg(feature = "metrics")]
pub use relayline_runtime::HostMetric;
pub use relayline_runtime::host::*;

use relayline_control::config::GatewayConfig;
use relayline_control::http::media::{MediaError, Uploaded};
use relayline_control::network::Network;
use relayline_control::settings::Resolved;
use relayline_runtime::http::{Client, Downloaded};
use relayline_runtime::{CurrentRuntime, Runtime};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

/// Builder of a gateway that runs on the tokio runtime of the caller.
pub type Builder = relayline_runtime::Builder<Tokio>;

/// Connects a gateway without credentials, for one identity: a platform and the bot's id there.
///
/// Resolves when the gateway is connected. From then on the gateway reconnects whenever it loses the connection, and
/// [`Relay::connected`] waits for that. [`Relay::disconnect`] ends the gateway. The gateway also ends when its handle,
/// its inbox and their deliveries are dropped: see [`Relay`].
///
/// # Errors
/// The URL is malformed, the caller is not on a tokio runtime, or the first dial failed. The error names the cause.
pub async fn connect(
    url: impl Into<String>,
    identity: impl Into<Identity>,
) -> Result<(Relay, Inbox), ConnectError> {
    Builder::new(url).identity(identity).connect().await
}

/// Starts a gateway with a resolved configuration, without waiting for its connection.
///
/// # Errors
/// The caller is not on a tokio runtime, the configured certificates cannot be used, or credentials would be sent
/// unencrypted.
pub fn start(config: GatewayConfig) -> Result<(Relay, Inbox), ConnectError> {
    relayline_runtime::start(Tokio::current()?, config)
}

/// Prepares a configuration for [`start`]: provisions credentials and sends policies, if the configuration requires it.
///
/// Logs the warnings of the configuration. A step that fails is logged, and the boot continues. It runs no command that
/// prints an access token: use [`Client::ready`] for that.
///
/// # Errors
/// The caller is not on a tokio runtime, or the configured certificates cannot be used.
/// [`ConnectError::KnownAlready`] if the connector knows the gateway already and the gateway has no secret.
pub async fn boot(resolved: Resolved) -> Result<GatewayConfig, ConnectError> {
    let client = http_client(&resolved.config.network)?;
    relayline_runtime::boot(&client, resolved).await
}

/// Creates an HTTP client on the tokio runtime of the caller, for enrollment, provisioning, policies and files.
///
/// # Errors
/// The caller is not on a tokio runtime, or the configured certificates cannot be used.
pub fn http_client(network: &Network) -> Result<Client, ConnectError> {
    Client::new(Tokio::current()?, network)
}

/// Runs a future to completion on a new tokio runtime, for a `main` that does nothing else. The sockets run on a thread of
/// their own, so that a host that blocks does not delay pings.
///
/// # Errors
/// The runtime cannot be started.
pub fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build()?;
    let output = runtime.block_on(future);
    // Dropping the runtime would wait for a pending name look-up.
    runtime.shutdown_background();
    Ok(output)
}

/// Serves [`Relay::metrics`] as `GET /metrics` on `listener` until the gateway has ended, on the tokio runtime of the
/// caller. Needs the feature `metrics`.
///
/// # Errors
/// The caller is not on a tokio runtime, or the runtime cannot register the listener.
#[cfg(feature = "metrics")]
pub fn serve_metrics(relay: &Relay, listener: std::net::TcpListener) -> io::Result<()> {
    relayline_runtime::serve_metrics(&Tokio::current()?, relay, listener, Vec::new)
}

/// Serves the same page, with the metrics of the host after those of the gateway. Needs the feature `metrics`.
///
/// # Errors
/// The caller is not on a tokio runtime, or the runtime cannot register the listener.
#[cfg(feature = "metrics")]
pub fn serve_metrics_with(
    relay: &Relay,
    listener: std::net::TcpListener,
    metrics: impl Fn() -> Vec<HostMetric> + Send + Sync + 'static,
) -> io::Result<()> {
    relayline_runtime::serve_metrics(&Tokio::current()?, relay, listener, metrics)
}

/// [`Runtime`] on tokio.
#[derive(Clone, Debug)]
pub struct Tokio {
    handle: tokio::runtime::Handle,
}

impl Tokio {
    /// Wraps a future so that it can be polled from any thread: tokio's futures look up their runtime at each poll.
    fn inside<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let handle = self.handle.clone();
        async move {
            let mut future = pin!(future);
            poll_fn(|cx| {
                let _inside = handle.enter();
                future.as_mut().poll(cx)
            })
            .await
        }
    }
}

impl CurrentRuntime for Tokio {
    fn current() -> Result<Tokio, ConnectError> {
        let handle = tokio::runtime::Handle::try_current();
        let handle = handle.map_err(|error| ConnectError::NoRuntime(io::Error::other(error)))?;
        Ok(Tokio { handle })
    }
}

/// Upload and download through tokio's traits `AsyncRead` and `AsyncWrite`.
pub trait RelayFiles {
    /// Uploads a file as [`Relay::upload`] does.
    ///
    /// # Errors
    /// As for [`Relay::upload`].
    fn upload_from(
        &self,
        content_type: &str,
        filename: Option<&str>,
        length: u64,
        source: impl tokio::io::AsyncRead + Send + 'static,
    ) -> impl Future<Output = Result<Uploaded, MediaError>> + Send;

    /// Downloads a file as [`Relay::download`] does.
    ///
    /// # Errors
    /// As for [`Relay::download`].
    fn download_to(
        &self,
        url: &str,
        into: impl tokio::io::AsyncWrite + Unpin + Send,
    ) -> impl Future<Output = Result<Downloaded, MediaError>> + Send;
}

impl RelayFiles for Relay {
    async fn upload_from(
        &self,
        content_type: &str,
        filename: Option<&str>,
        length: u64,
        source: impl tokio::io::AsyncRead + Send + 'static,
    ) -> Result<Uploaded, MediaError> {
        self.upload(content_type, filename, length, source.compat()).await
    }

    async fn download_to(
        &self,
        url: &str,
        into: impl tokio::io::AsyncWrite + Unpin + Send,
    ) -> Result<Downloaded, MediaError> {
        self.download(url, into.compat_write()).await
    }
}

#[allow(clippy::manual_async_fn, reason = "an async fn would borrow the runtime")]
impl Runtime for Tokio {
    type Tcp = Compat<TcpStream>;

    fn look_up(
        &self,
        host: String,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static {
        self.inside(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }

    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Tcp>> + Send + 'static {
        self.inside(async move {
            let stream = TcpStream::connect(address).await?;
            // Frames are small and each is flushed: waiting to fill a segment only delays them.
            stream.set_nodelay(true)?;
            Ok(stream.compat())
        })
    }

    type Listener = TcpListener;

    fn listen(&self, listener: std::net::TcpListener) -> io::Result<TcpListener> {
        let _inside = self.handle.enter();
        TcpListener::from_std(listener)
    }

    fn accept(listener: &TcpListener) -> impl Future<Output = io::Result<Self::Tcp>> + Send {
        async {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok(stream.compat())
        }
    }

    type File = Compat<tokio::fs::File>;

    fn open(&self, file: PathBuf) -> impl Future<Output = io::Result<(u64, Self::File)>> + Send + 'static {
        self.inside(async move {
            let file = tokio::fs::File::open(file).await?;
            Ok((file.metadata().await?.len(), file.compat()))
        })
    }

    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send + 'static {
        let _inside = self.handle.enter();
        tokio::time::sleep(span)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.handle.spawn(task));
    }
}

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
