//! The gateway's HTTP servers: for webhook requests, which the machine answers, and for the metrics page.

#[cfg(feature = "metrics")]
pub(crate) mod metrics;
#[cfg(feature = "webhook")]
pub(crate) mod webhook;

use crate::Runtime;
use crate::serve::Bounds;
use relayline_control::config::ServerLimits;
use std::io;
use std::net::{SocketAddr, TcpListener};

/// Returns the bounds of a server with this number of clients. All servers share the other limits.
fn bounds(limits: &ServerLimits, clients: usize) -> Bounds {
    Bounds {
        clients,
        read_timeout: limits.delivery_read_timeout,
        greatest_age: limits.http_connection_age,
        ..Bounds::default()
    }
}

/// Open port that is not served yet.
struct Port<R: Runtime> {
    listener: R::Listener,
    address: SocketAddr,
}

impl<R: Runtime> Port<R> {
    /// Creates a port from an open listener.
    fn new(runtime: &R, listener: TcpListener) -> io::Result<Port<R>> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Port { listener: runtime.listen(listener)?, address })
    }
}
