//! The gateway's HTTP servers: for webhook requests (H-6), which the machine answers, and for the metrics page.

mod metrics;
mod request;

pub(crate) use metrics::{page, serve as serve_metrics};

use crate::Runtime;
use crate::serve::{Bounds, Server};
use crate::shared::Shared;
use futures_channel::oneshot;
use futures_util::future::FutureExt;
use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use std::convert::Infallible;
use std::future::ready;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

/// Response; an error if the client disconnected during its request.
type ResponseResult = hyper::Result<Response<Full<Bytes>>>;

/// Open port that is not served yet.
pub(crate) struct Port<R: Runtime> {
    listener: R::Listener,
    pub(crate) address: SocketAddr,
}

impl<R: Runtime> Port<R> {
    /// Opens a port.
    ///
    /// # Errors
    /// Names the address and the cause.
    pub(crate) fn open(runtime: &R, address: &str) -> Result<Port<R>, String> {
        let open = || Port::over(runtime, TcpListener::bind(address)?);
        open().map_err(|error: io::Error| format!("{address}: {error}"))
    }

    /// Creates a port from an open listener.
    fn over(runtime: &R, listener: TcpListener) -> io::Result<Port<R>> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Port { listener: runtime.listen(listener)?, address })
    }

    /// Serves webhook requests until the sender of `over` is dropped, which is when the gateway has ended.
    pub(crate) async fn serve_webhooks(
        self,
        runtime: R,
        shared: Arc<Shared>,
        over: oneshot::Receiver<Infallible>,
    ) {
        let bounds = Bounds {
            clients: shared.config.server.delivery_connections,
            read_timeout: shared.config.server.delivery_read_timeout,
            greatest_age: shared.config.server.http_connection_age,
            ..Bounds::default()
        };
        let server = Server::new(runtime.clone(), bounds, shared.closed.clone());
        let answer = |request| request::answer(&runtime, &shared, request);
        server.serve(self.listener, |tcp| ready(Some(tcp)), answer, over.map(drop)).await;
    }
}
