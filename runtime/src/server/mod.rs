//! The gateway's HTTP servers: of signed deliveries (H-6), whose requests it carries to the machine and whose answers it
//! carries back, and of the metrics page. What a client may cost: [`crate::serve`].

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

/// An answer; an error is a client that went away in the middle of its request.
type Answered = hyper::Result<Response<Full<Bytes>>>;

/// A port that is open, and nobody serves yet.
pub(crate) struct Port<R: Runtime> {
    listener: R::Listener,
    pub(crate) address: SocketAddr,
}

impl<R: Runtime> Port<R> {
    /// Opens it. The error says where and why.
    pub(crate) fn open(runtime: &R, address: &str) -> Result<Port<R>, String> {
        let open = || Port::over(runtime, TcpListener::bind(address)?);
        open().map_err(|error: io::Error| format!("{address}: {error}"))
    }

    /// One that is open already.
    fn over(runtime: &R, listener: TcpListener) -> io::Result<Port<R>> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Port { listener: runtime.listen(listener)?, address })
    }

    /// Takes signed deliveries until `over` is dropped at its other end, which is when the gateway has ended.
    pub(crate) async fn take_deliveries(
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
        let answer = |asked| request::answer(&runtime, &shared, asked);
        server.serve(self.listener, |tcp| ready(Some(tcp)), answer, over.map(drop)).await;
    }
}
