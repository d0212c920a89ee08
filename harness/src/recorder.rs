//! The recorder: a proxy between any gateway and any connector that writes the traffic as a
//! [recording](crate::recording).
//!
//! Bytes are forwarded unchanged: frames, pings, closes, and incomplete frames. A sniffer reads the frames of each
//! direction and passes them to a writer thread. Bytes of one side are written to the other before more are read, so
//! a side that does not read holds up the other as it would without the recorder. An upgrade is forwarded with its
//! headers, except for `Host` and the offer of extensions, because compressed frames could not be read. Other
//! requests are forwarded, too; a request for credentials without its offer of compression.
//!
//! A recording holds no credential that is labeled or known, and with [`Redaction::Text`] no private text.
//! `harness/recordings/README.md` describes the redaction. Requests other than upgrades are recorded only with their
//! path and status.
//!
//! A write error does not affect the traffic. The lines are lost and counted, and a `gap` line with their number is
//! written once there is room again.

mod encoder;
mod files;
mod http;
mod journal;
mod pump;
mod redactor;
mod republish;
mod sniffer;
mod upstream;
mod writer;

pub use journal::Summary;
pub use republish::redact_text;
pub use upstream::Upstream;

use crate::recording::Header;
pub(crate) use encoder::{Encoder, UpgradeRejection, WireEvent};
use files::Files;
use http::Shared;
pub(crate) use redactor::{Redactor, hidden_upgrade};
use relayline_core::secret::Secret;
use relayline_runtime::CurrentRuntime;
use relayline_runtime::serve::{Bounds, Closed, Server};
use relayline_tokio::{ConnectError, Tokio};
pub(crate) use sniffer::SniffedMessage;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use writer::Writer;

/// Scope of the redaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Redaction {
    /// Credentials.
    #[default]
    Secrets,
    /// Credentials, and texts and ids. Texts are replaced with filler, and ids with pseudonyms that are the same
    /// within the recording.
    Text,
}

/// Title of a recording with redacted texts.
pub(crate) const REDACTED_TITLE: &str = "texts and ids are redacted";

/// Settings of a recorder.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecorderConfig {
    /// Address for gateways. Port 0 selects a free port.
    pub listen: SocketAddr,
    /// Connector to forward to.
    pub upstream: Upstream,
    /// File to write. A file that is not empty is an error and left unchanged.
    pub file: PathBuf,
    /// Size in bytes at which the next file, `NAME.1.jsonl` and so on, is started. Default: never.
    pub rotate: Option<u64>,
    /// Scope of the redaction. Default: credentials alone.
    pub redaction: Redaction,
    /// Further credentials to redact. Those of the upstream are redacted in any case.
    pub secrets: Vec<Secret>,
    /// Bounds on the cost of HTTP clients, WebSockets not counted. Default: [`HTTP_BOUNDS`].
    pub http: Bounds,
}

impl RecorderConfig {
    /// Creates settings with every default.
    pub fn new(listen: SocketAddr, upstream: Upstream, file: impl Into<PathBuf>) -> RecorderConfig {
        RecorderConfig {
            listen,
            upstream,
            file: file.into(),
            rotate: None,
            redaction: Redaction::default(),
            secrets: Vec::new(),
            http: HTTP_BOUNDS,
        }
    }
}

/// Bounds for HTTP clients of a recorder. They are those of a gateway, with larger and slower request heads allowed.
pub const HTTP_BOUNDS: Bounds = Bounds {
    clients: 128,
    read_timeout: Duration::from_secs(30),
    greatest_age: Duration::from_secs(300),
    head_bytes: 256 << 10,
};

/// Error returned when a recorder cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecorderError {
    /// The port is not available.
    #[error("cannot listen on {listen}: {error}; choose another address")]
    Listen {
        /// Address to listen on.
        listen: SocketAddr,
        /// Error of the system.
        error: io::Error,
    },
    /// The file cannot be created.
    #[error("{file}: {error}", file = file.display())]
    File {
        /// Path of the file.
        file: PathBuf,
        /// Error of the system.
        error: io::Error,
    },
    /// A thread or a resource cannot be created.
    #[error("cannot start: {0}")]
    Start(io::Error),
    /// The HTTP client cannot be created.
    #[error(transparent)]
    Client(#[from] ConnectError),
}

/// Warning of a running recorder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecorderWarning {
    /// Lines cannot be written. Reported once.
    #[error("{0}; lines are lost until it can be written")]
    Unwritten(io::Error),
    /// The connector cannot be reached. Reported once, until it is reached again.
    #[error("the recorder cannot reach the connector: {0}")]
    Unreachable(String),
}

/// A running recorder, on its own thread. Dropping it cuts the open connections. [`Recorder::finish`] returns a
/// summary.
#[derive(Debug)]
pub struct Recorder {
    addr: SocketAddr,
    writer: Writer,
    closed: Arc<Closed>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Creates the file and listens. Gateways can dial once this has returned. `complain` is called with warnings,
    /// from threads of the recorder.
    pub fn start(
        config: RecorderConfig,
        complain: impl Fn(RecorderWarning) + Send + Sync + 'static,
    ) -> Result<Recorder, RecorderError> {
        let complain = Arc::new(complain);
        let listen = |error| RecorderError::Listen { listen: config.listen, error };
        let listener = TcpListener::bind(config.listen).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        let title = match config.redaction {
            Redaction::Secrets => format!("through {}", config.upstream.url),
            Redaction::Text => REDACTED_TITLE.to_owned(),
        };
        let header = Header {
            title,
            recorded_from: concat!("relayline record ", env!("CARGO_PKG_VERSION")).to_owned(),
            ..Header::default()
        };
        let files = Files::create(&config.file, config.rotate.is_some())
            .map_err(|error| RecorderError::File { file: config.file.clone(), error })?;
        let unwritten = {
            let complain = complain.clone();
            Box::new(move |error| complain(RecorderWarning::Unwritten(error)))
        };
        let upstream = config.upstream.secrets();
        let mut redactor = Redactor::new(config.secrets.iter().chain(&upstream));
        if config.redaction == Redaction::Text {
            redactor.redact_text().map_err(RecorderError::Start)?;
        }
        let encoder = Encoder::new(redactor);
        let writer =
            Writer::start(files, header, config.rotate, encoder, unwritten).map_err(RecorderError::Start)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(RecorderError::Start)?;
        let closed = Arc::default();
        let (client, server) = {
            let _inside = runtime.enter();
            let client = relayline_tokio::http_client(&config.upstream.network)?;
            let tokio = Tokio::current()?;
            let server = Server::new(tokio, config.http, Arc::clone(&closed)).keeping_header_case();
            (client, server)
        };
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            writer: writer.clone(),
            upstream: config.upstream,
            client,
            stopped,
            sockets: Arc::new(Semaphore::new(http::SOCKETS as usize)),
            complain,
            is_unreachable: AtomicBool::new(false),
        });
        let thread = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || runtime.block_on(http::serve(shared, server, listener)))
            .map_err(RecorderError::Start)?;
        Ok(Recorder { addr, writer, closed, stop, thread: Some(thread) })
    }

    /// Returns the address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns counters of the HTTP connections that it has closed.
    pub fn closed(&self) -> &Closed {
        &self.closed
    }

    /// Closes the connections, writes the queued events, and returns a summary. Returns `None` if the disk does not
    /// respond.
    pub fn finish(mut self) -> Option<Summary> {
        self.end();
        self.writer.finish()
    }

    fn end(&mut self) {
        // Fails only if the thread has ended.
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            // The thread has printed its panic.
            let _ = thread.join();
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end();
    }
}
