//! The connector on a port of this computer.

mod config;
mod exchange;
mod http;
mod hub;
mod post;
mod socket;
mod store;
mod tls;

pub use config::ServerConfig;
pub use store::{StateError, StateFile};
pub use tls::ServerTls;
pub use tokio::io::DuplexStream;

use crate::control::{Control, ControlError};
use crate::machine::ConnectorMachine;
use crate::observation::Observation;
use crate::values::{Stats, UserFile};
use hub::Hub;
use relayline_core::time::Now;
use relayline_runtime::CurrentRuntime;
use relayline_runtime::observe::WireObserver;
use relayline_runtime::serve::{Closed, Server};
use relayline_tokio::Tokio;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A connector on a port. It runs on a thread of its own, so that it works beside any async runtime and beside none.
/// Dropping it closes every connection with 1001 and frees the port.
#[derive(Debug)]
pub struct EmbeddedConnector {
    hub: Arc<Hub>,
    server: Server<Tokio>,
    closed: Arc<Closed>,
    addr: SocketAddr,
    tls: Option<ServerTls>,
    runtime: tokio::runtime::Handle,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedConnector {
    /// Starts a connector that listens on `addr`; `127.0.0.1:0` takes a free port. Gateways can dial once this has
    /// returned.
    ///
    /// # Errors
    /// Fails if the port is not available, or the system has no randomness.
    pub fn start(config: impl Into<ServerConfig>, addr: impl ToSocketAddrs) -> io::Result<Self> {
        let config = config.into();
        let hub = Hub::new(config.connector.clone())?;
        EmbeddedConnector::serve(config, addr, hub)
    }

    /// Starts a connector with a durable state: buffers, issued secrets, used tokens, revoked and idle gateways. It
    /// continues from the state of the last process, also after a kill. Each change is on the disk before anything that
    /// relies on it is passed on. If the file cannot be written any more, the connector ends, and
    /// [`failure`](Self::failure) returns the reason.
    ///
    /// # Errors
    /// Fails if the port is not available, or with a [`StateError`] inside if the state cannot be used or written.
    pub fn start_with_state(
        config: impl Into<ServerConfig>,
        addr: impl ToSocketAddrs,
        file: StateFile,
    ) -> io::Result<Self> {
        let config = config.into();
        let hub = Hub::restored(config.connector.clone(), file)?;
        EmbeddedConnector::serve(config, addr, hub)
    }

    fn serve(config: ServerConfig, addr: impl ToSocketAddrs, hub: Hub) -> io::Result<Self> {
        let listener = TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let (tls, bounds, closed) = (config.tls, config.http, Arc::default());
        let hub = Arc::new(hub);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let server = {
            let _inside = runtime.enter();
            Server::new(Tokio::current()?, bounds, Arc::clone(&closed))
        };
        let (served, secured, handle) = (Arc::clone(&hub), tls.clone(), runtime.handle().clone());
        let http = server.clone();
        let thread = std::thread::Builder::new().name("relay-connector".to_owned()).spawn(move || {
            runtime.block_on(http::serve(served, http, listener, secured));
        })?;
        Ok(EmbeddedConnector { hub, server, closed, addr, tls, runtime: handle, thread: Some(thread) })
    }

    /// Returns the URL for gateways: `ws://127.0.0.1:49152`, or `wss` with TLS.
    pub fn url(&self) -> String {
        let mut addr = self.addr;
        if addr.ip().is_unspecified() {
            // 0.0.0.0 cannot be dialed.
            addr.set_ip(match addr {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        format!("{scheme}://{addr}")
    }

    /// Returns the address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Opens a connection without a socket, and returns the gateway's end. At most `room` bytes are buffered in each
    /// direction.
    pub fn open(&self, room: usize) -> DuplexStream {
        let (near, far) = tokio::io::duplex(room);
        drop(self.runtime.spawn(http::serve_stream(
            Arc::clone(&self.hub),
            self.server.clone(),
            self.tls.clone(),
            far,
        )));
        near
    }

    /// Carries out an instruction, as [`ConnectorMachine::control`] does.
    ///
    /// # Errors
    /// Fails without any effect if the instruction cannot be carried out, and if the state file cannot be written.
    pub fn control(&self, control: impl Into<Control>) -> Result<(), ControlError> {
        self.input(|machine, now| machine.control(now, control))
    }

    /// Delivers a message from a user, as [`ConnectorMachine::say`] does.
    ///
    /// # Errors
    /// Fails as that does, and if the state file cannot be written.
    pub fn say(&self, text: &str) -> Result<(), ControlError> {
        self.input(|machine, now| machine.say(now, text))
    }

    /// Returns a new id for a message of a user, as [`ConnectorMachine::message_id`] does.
    pub fn message_id(&self, platform: &str) -> String {
        self.hub.with(|machine, now| machine.message_id(now, platform))
    }

    /// Adds a user's file, as [`ConnectorMachine::add_file`] does, and returns its URL. Returns `None` if it is too large.
    pub fn add_file(&self, gateway: &str, file: UserFile) -> Option<String> {
        let id = self.hub.with(|machine, now| machine.add_file(now, gateway, file))?;
        let url = self.url();
        Some(format!("http{}/relay/media/{id}", url.strip_prefix("ws").unwrap_or(&url)))
    }

    /// Returns the file of a URL of this connector, as the platform shows it; `None` for other URLs, and for a file that
    /// is gone.
    pub fn file(&self, gateway: &str, url: &str) -> Option<UserFile> {
        let (_, id) = url.split_once("/relay/media/")?;
        self.hub.read(|machine, now| machine.file(now, gateway, id))
    }

    /// Returns the number of entries in a gateway's buffer.
    pub fn buffered(&self, gateway: &str) -> usize {
        self.hub.read(|machine, _| machine.buffered(gateway).count())
    }

    fn input(
        &self,
        input: impl FnOnce(&mut ConnectorMachine, Now) -> Result<(), ControlError>,
    ) -> Result<(), ControlError> {
        let result = self.hub.with(input);
        self.hub.failure().map_or(result, |why| Err(ControlError::NotKept(why)))
    }

    /// Lets an observer see the gateways' sockets from now on. The first observer stays; a second one is ignored.
    pub fn observe(&self, observer: Arc<dyn WireObserver>) {
        self.hub.observe(observer);
    }

    /// Returns the reason for which the state file could not be written. The connector has ended then.
    pub fn failure(&self) -> Option<String> {
        self.hub.failure()
    }

    /// Returns the next observation. Blocks until there is one; returns `None` after `timeout`, or if the state file
    /// could not be written.
    pub fn next_observation(&self, timeout: Duration) -> Option<Observation> {
        self.hub.next_observation(Instant::now().checked_add(timeout))
    }

    /// Returns the next observation that is `wanted`. Blocks until there is one; the others are dropped.
    ///
    /// # Errors
    /// Fails after `timeout`, with the last observation of that time.
    pub fn wait_for(
        &self,
        mut wanted: impl FnMut(&Observation) -> bool,
        timeout: Duration,
    ) -> Result<Observation, WaitTimeout> {
        let until = Instant::now().checked_add(timeout);
        let mut last = None;
        while let Some(observation) = self.hub.next_observation(until) {
            if wanted(&observation) {
                return Ok(observation);
            }
            last = Some(Box::new(observation));
        }
        Err(WaitTimeout { timeout, last })
    }

    /// Returns counters of HTTP connections that the connector has closed.
    pub fn closed(&self) -> &Closed {
        &self.closed
    }

    /// Returns the machine's counters.
    pub fn stats(&self) -> Stats {
        self.hub.read(|machine, _| machine.stats())
    }
}

impl Drop for EmbeddedConnector {
    fn drop(&mut self) {
        self.hub.stop();
        if let Some(thread) = self.thread.take() {
            // The thread has printed its panic.
            let _ = thread.join();
        }
    }
}

/// Error returned when an awaited observation has not been made in time.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct WaitTimeout {
    /// Time that was waited.
    pub timeout: Duration,
    /// Last observation in that time.
    pub last: Option<Box<Observation>>,
}

impl fmt::Display for WaitTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it was not seen within {:?}; ", self.timeout)?;
        match self.last.as_ref().and_then(|observation| serde_json::to_string(observation).ok()) {
            Some(line) => write!(f, "the last that was seen: {line}"),
            None => f.write_str("nothing was"),
        }
    }
}

impl std::error::Error for WaitTimeout {}
