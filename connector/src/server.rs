//! The connector on a port of this machine.

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
use crate::values::Stats;
use hub::Hub;
use relayline_core::time::Now;
use relayline_runtime::serve::{Closed, Server};
use relayline_tokio::Tokio;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A connector that takes connections. It runs on a thread of its own, so that it works beside any runtime and
/// beside none. Dropping it closes every connection with 1001 and frees the port.
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
    /// Listens on `addr` (`127.0.0.1:0` takes a free port). Once this has returned a gateway can dial.
    pub fn start(config: impl Into<ServerConfig>, addr: impl ToSocketAddrs) -> io::Result<Self> {
        let config = config.into();
        let hub = Hub::new(config.connector.clone())?;
        EmbeddedConnector::serve(config, addr, hub)
    }

    /// Listens on `addr` with a durable state: buffers, issued secrets, used tokens, revoked and idle gateways. Each
    /// change is on the disk before anything that relies on it is passed on. If the file cannot be written any more the
    /// connector ends, and [`failure`](Self::failure) says why.
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

    /// What a gateway is to be configured with: `ws://127.0.0.1:49152`, or `wss` where it takes TLS.
    pub fn url(&self) -> String {
        let mut addr = self.addr;
        if addr.ip().is_unspecified() {
            // Nobody can dial 0.0.0.0.
            addr.set_ip(match addr {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        format!("{scheme}://{addr}")
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// A connection without a socket: the gateway's end of it. The connector's end has no more than `room` bytes
    /// waiting for it, in either direction.
    pub fn open(&self, room: usize) -> DuplexStream {
        let (near, far) = tokio::io::duplex(room);
        drop(self.runtime.spawn(http::welcome(
            Arc::clone(&self.hub),
            self.server.clone(),
            self.tls.clone(),
            far,
        )));
        near
    }

    /// Does what it is told, at once.
    pub fn control(&self, control: impl Into<Control>) -> Result<(), ControlError> {
        self.obey(|machine, now| machine.control(now, control))
    }

    /// Delivers a message from a user, as [`ConnectorMachine::say`](crate::ConnectorMachine::say) does.
    pub fn say(&self, text: &str) -> Result<(), ControlError> {
        self.obey(|machine, now| machine.say(now, text))
    }

    fn obey(
        &self,
        input: impl FnOnce(&mut ConnectorMachine, Now) -> Result<(), ControlError>,
    ) -> Result<(), ControlError> {
        let obeyed = self.hub.with(input);
        self.hub.failure().map_or(obeyed, |why| Err(ControlError::NotKept(why)))
    }

    /// Returns the reason for which the state could not be kept. Nothing is served any more then.
    pub fn failure(&self) -> Option<String> {
        self.hub.failure()
    }

    /// The next observation, as soon as there is one; `None` when there was none for so long, or its state could not be
    /// kept.
    pub fn next_observation(&self, timeout: Duration) -> Option<Observation> {
        self.hub.next_observation(Instant::now().checked_add(timeout))
    }

    /// Fetches observations until one is `wanted`; the others are passed over.
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

    /// Counters of HTTP connections that it has closed by itself.
    pub fn closed(&self) -> &Closed {
        &self.closed
    }

    /// What it did not obey.
    pub fn stats(&self) -> Stats {
        self.hub.with(|machine, _| machine.stats())
    }
}

impl Drop for EmbeddedConnector {
    fn drop(&mut self) {
        self.hub.stop();
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed there; nothing is left to do about it here.
            let _ = thread.join();
        }
    }
}

/// What was waited for did not come in time.
#[derive(Clone, PartialEq, Debug)]
pub struct WaitTimeout {
    /// How long it was waited for.
    pub timeout: Duration,
    /// The last observation in that time.
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
