//! HTTP servers of the gateway: one for webhook requests (H-6), which the machine answers, and one for the metrics
//! page.

#[cfg(feature = "metrics")]
pub(crate) mod metrics;
#[cfg(feature = "webhook")]
pub(crate) mod webhook;

use crate::Runtime;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

/// Response to a client; an error if the client disconnected during its request.
type ResponseResult = hyper::Result<Response<Full<Bytes>>>;

/// Open port that is not served yet.
struct Port<R: Runtime> {
    listener: R::Listener,
    /// Address of the port. It has the actual number if port 0 was asked for.
    pub(crate) address: SocketAddr,
}

impl<R: Runtime> Port<R> {
    /// Opens a port at `address`, as in `127.0.0.1:8787`.
    ///
    /// # Errors
    /// The port cannot be opened. The text names the address and the cause.
    pub(crate) fn open(runtime: &R, address: &str) -> Result<Port<R>, String> {
        let open = || Port::from_listener(runtime, TcpListener::bind(address)?);
        open().map_err(|error: io::Error| format!("{address}: {error}"))
    }

    /// Creates a port from an open listener.
    fn from_listener(runtime: &R, listener: TcpListener) -> io::Result<Port<R>> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Port { listener: runtime.listen(listener)?, address })
    }

    /// Serves webhook requests until the gateway has ended, which drops the sender of `ended`.
    pub(crate) async fn serve_webhooks(
        self,
        runtime: R,
        shared: Arc<Shared>,
        ended: oneshot::Receiver<Infallible>,
    ) {
        let bounds = Bounds {
            clients: shared.config.server.delivery_connections,
            read_timeout: shared.config.server.delivery_read_timeout,
            greatest_age: shared.config.server.http_connection_age,
            ..Bounds::default()
        };
        let server = Server::new(runtime.clone(), bounds, shared.closed.clone());
        let answer = |request| request::answer(&runtime, &shared, request);
        server.serve(self.listener, |tcp| ready(Some(tcp)), answer, ended.map(drop)).await;
    }
}
