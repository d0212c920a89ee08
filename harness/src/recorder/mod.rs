//! The recorder: a pass-through between any gateway and any connector that writes what passes as a
//! [recording](crate::recording).
//!
//! Bytes pass as they are: frames, pings, closes, half a frame. A sniffer reads the frames on the way, each direction for itself,
//! and hands what it saw to a thread that writes. What is read from one side is written to the other before more is
//! read, so a side that does not read holds up the other as it would without the recorder. The upgrade passes with
//! its headers, but for `Host` and the offer of extensions, since compressed frames could not be read. Other requests
//! pass, too; one for credentials without its offer of compression.
//!
//! A recording holds no credential that is labelled or known (C-4), and with [`Redaction::Text`] nothing that people
//! wrote; `harness/recordings/README.md` says what is taken out. Other requests than upgrades are noted with their path and status
//! only.
//!
//! What cannot be written never shows in the traffic: it is lost, counted, and a `gap` line says so as soon as there
//! is room again.

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
use encoder::Encoder;
use files::Files;
use http::Shared;
use redactor::Redactor;
use relayline_core::secret::Secret;
use relayline_runtime::serve::{Bounds, Closed, Server};
use relayline_tokio::{ConnectError, Tokio};
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
pub enum Redaction {
    /// Credentials.
    #[default]
    Secrets,
    /// Credentials, and what people wrote: texts become filler, and ids pseudonyms, the same within the recording.
    Text,
}

/// The title of a recording whose texts are redacted.
const REDACTED_TITLE: &str = "texts and ids are redacted";

/// What a recorder is to do.
#[derive(Clone, Debug)]
pub struct RecorderConfig {
    /// Where gateways dial it; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The connector behind it.
    pub upstream: Upstream,
    /// The file. One that holds something already is left alone.
    pub file: PathBuf,
    /// Begin the next file, `NAME.1.jsonl` and so on, when one has so many bytes; never by default.
    pub rotate: Option<u64>,
    /// Scope of the redaction.
    pub redaction: Redaction,
    /// Credentials that are known from elsewhere, and never reach the file. Those of the upstream are among them anyway.
    pub secrets: Vec<Secret>,
    /// What HTTP clients can cost, WebSockets not counted; [`HTTP_BOUNDS`] are for most.
    pub http: Bounds,
}

/// Bounds for HTTP clients of a recorder: as for a gateway's, but that it passes on larger heads, and slower ones.
pub const HTTP_BOUNDS: Bounds = Bounds {
    clients: 128,
    read_timeout: Duration::from_secs(30),
    greatest_age: Duration::from_secs(300),
    head_bytes: 256 << 10,
};

/// Why a recorder cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecorderError {
    /// The port.
    #[error("cannot listen on {listen}: {error}; choose another address")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// The file.
    #[error("{file}: {error}", file = file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A thread, or what it needs.
    #[error("cannot start: {0}")]
    Start(io::Error),
    /// The HTTP client of the recorder cannot be made.
    #[error(transparent)]
    Client(#[from] ConnectError),
}

/// What a recorder has to complain of while it is at work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecorderWarning {
    /// Lines cannot be written. Told once.
    #[error("{0}; lines are lost until it can be written")]
    Unwritten(io::Error),
    /// The connector cannot be reached. Told once, until it was reached again.
    #[error("the recorder cannot reach the connector: {0}")]
    Unreachable(String),
}

/// A recorder at work, on a thread of its own. Dropping it cuts what is open; [`Recorder::finish`] says how it went.
#[derive(Debug)]
pub struct Recorder {
    addr: SocketAddr,
    writer: Writer,
    closed: Arc<Closed>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Begins the file and listens. Once this has returned a gateway can dial. `complain` is told, by threads of the
    /// recorder's, what does not work.
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

    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Counters of HTTP connections that it has closed by itself.
    pub fn closed(&self) -> &Closed {
        &self.closed
    }

    /// Ends what is open, writes what waits, and says how it went; `None` when the disk does not answer.
    pub fn finish(mut self) -> Option<Summary> {
        self.end();
        self.writer.finish()
    }

    fn end(&mut self) {
        // It only fails when the thread has ended already.
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed there; nothing is left to do about it here.
            let _ = thread.join();
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end();
    }
}
