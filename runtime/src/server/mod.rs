//! The HTTP server, one for every runtime: of signed deliveries (H-6), whose requests it carries to the machine and
//! whose answers it carries back, and of the metrics page. It bounds what a client can cost.

mod clock;
mod metrics;
mod patience;
mod request;

pub(crate) use metrics::{page, serve as serve_metrics};

use crate::Runtime;
use crate::shared::Shared;
use crate::wires::Boxed;
use clock::Clock;
use futures_channel::oneshot;
use futures_util::future::{Either, FutureExt, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use patience::Patient;
use smol_hyper::rt::FuturesIo;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a request's head.
const HEAD_BYTES: usize = 16 << 10;
/// How long clients get at the end to read their answers.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long to wait for a file descriptor when there is none.
const OUT_OF_SOCKETS: Duration = Duration::from_millis(50);

/// What a client can cost.
#[derive(Clone, Copy)]
struct Bounds {
    /// Clients at a time; further ones wait.
    clients: usize,
    /// How long the head of a request may take, and how long an answer of which nothing is read.
    read_timeout: Duration,
}

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
            clients: shared.config.limits.delivery_connections.max(1),
            read_timeout: shared.config.timing.delivery_read_timeout,
        };
        let answer = |asked| request::answer(&runtime, &shared, asked);
        self.serve(&runtime, bounds, answer, over.map(drop)).await;
    }

    /// Serves until `over`.
    async fn serve<F: Future<Output = Answered>>(
        self,
        runtime: &R,
        bounds: Bounds,
        answer: impl Fn(Request<Incoming>) -> F,
        over: impl Future<Output = ()>,
    ) {
        let mut over = pin!(over.shared());
        // All in one task: there are few, and none of them outlives it.
        let mut conversations = FuturesUnordered::new();
        loop {
            let has_room = conversations.len() < bounds.clients;
            let mut next = pin!(next(runtime, &self.listener, has_room).fuse());
            futures_util::select_biased! {
                () = over => break,
                () = conversations.select_next_some() => {}
                tcp = next => {
                    let over = over.as_ref().get_ref().clone();
                    conversations.push(converse(runtime, bounds, tcp, &answer, over));
                }
            }
        }
        drop(self.listener);
        let rest = pin!(conversations.collect::<()>());
        select(rest, pin!(runtime.sleep(GOODBYE))).await;
    }
}

/// The next client, once there is room for one.
async fn next<R: Runtime>(runtime: &R, listener: &R::Listener, has_room: bool) -> R::Tcp {
    if !has_room {
        return pending().await;
    }
    loop {
        match R::accept(listener).await {
            Ok(tcp) => return tcp,
            Err(error) => {
                tracing::warn!(why = %error, "accept_failed");
                runtime.sleep(OUT_OF_SOCKETS).await;
            }
        }
    }
}

/// One client, request after request, until it goes away, is too slow, or the gateway has ended.
async fn converse<R: Runtime, F: Future<Output = Answered>>(
    runtime: &R,
    bounds: Bounds,
    tcp: R::Tcp,
    answer: impl Fn(Request<Incoming>) -> F,
    over: impl Future<Output = ()>,
) {
    let sleep = || -> Boxed<()> { Box::pin(runtime.sleep(bounds.read_timeout)) };
    let patient = Patient::new(tcp, sleep);
    let conversation = http1::Builder::new()
        .timer(Clock(runtime.clone()))
        .header_read_timeout(bounds.read_timeout)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(FuturesIo::new(patient), service_fn(answer));
    let mut conversation = pin!(conversation);
    // An error is the client's: it went away, or does not speak HTTP. It was answered as well as can be.
    if let Either::Right(_) = select(conversation.as_mut(), pin!(over)).await {
        conversation.as_mut().graceful_shutdown();
        let _ = conversation.await;
    }
}
