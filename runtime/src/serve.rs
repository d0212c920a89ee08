//! HTTP/1 server for untrusted clients, which bounds the resources of each.
//!
//! The gateway's own servers, the development connector and the recorder use it. Each connection takes a slot. When all
//! slots are taken, the connection that has been idle for longest is closed for the next one. A connection is idle if it
//! has no request in flight, or has never sent a complete request. A connection has a maximum age. A request with a bare
//! LF in its head, without `Host`, or with more than one is answered 400.

mod bodies;
mod framing;
mod host;
mod slots;
mod timer;
mod tracked_stream;
mod write_timeout;

pub use bodies::Received;

use crate::Runtime;
use crate::dialer::BoxFuture;
use bodies::ResponseBody;
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::future::{Either, FutureExt, select};
use futures_util::stream::{FuturesUnordered, StreamExt, unfold};
use http_body_util::Full;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use slots::{Slot, SlotHandle, Slots};
use smol_hyper::rt::FuturesIo;
use std::error::Error;
use std::fmt;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use timer::HyperTimer;
use tracked_stream::TrackedStream;
use write_timeout::WriteTimeout;

/// Time that clients have to read their answers when the server ends.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);
/// Delay after a failed accept, for instance for want of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// Minimum buffer size that hyper accepts.
const MIN_HEAD_BYTES: usize = 8 << 10;

/// Bounds on the resources of clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Maximum number of connections; 128 by default. Upgraded connections do not count.
    pub clients: usize,
    /// Maximum time for the head of a request, and for a write of which the client reads nothing; 10 s by default.
    pub read_timeout: Duration,
    /// Maximum age of a connection; 5 min by default. An answer in flight is still written.
    pub greatest_age: Duration,
    /// Maximum size of a request's head, in bytes; 16 KiB by default, at least 8 KiB.
    pub head_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            clients: 128,
            read_timeout: Duration::from_secs(10),
            greatest_age: Duration::from_secs(300),
            head_bytes: 16 << 10,
        }
    }
}

/// Counters of connections that a server has closed.
#[derive(Debug, Default)]
pub struct Closed {
    by_slot: AtomicU64,
    by_age: AtomicU64,
}

impl Closed {
    /// Returns the number of idle connections that were closed for new ones.
    pub fn by_slot(&self) -> u64 {
        self.by_slot.load(Ordering::Relaxed)
    }

    /// Returns the number of connections that reached their maximum age.
    pub fn by_age(&self) -> u64 {
        self.by_age.load(Ordering::Relaxed)
    }
}

/// HTTP server on a runtime. Clones share their slots.
#[derive(Clone)]
pub struct Server<R> {
    runtime: R,
    bounds: Bounds,
    keeps_header_case: bool,
    slots: Slots,
    closed: Arc<Closed>,
}

impl<R> fmt::Debug for Server<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

impl<R: Runtime> Server<R> {
    /// Creates a server that counts closed connections in `closed`.
    pub fn new(runtime: R, bounds: Bounds, closed: Arc<Closed>) -> Server<R> {
        let slots = Slots::new(bounds.clients);
        Server { runtime, bounds, keeps_header_case: false, slots, closed }
    }

    /// Preserves the case of header names, for a server that forwards requests and answers.
    #[must_use]
    pub fn keeping_header_case(self) -> Server<R> {
        Server { keeps_header_case: true, ..self }
    }

    /// Serves the clients of a port until `over` resolves, then waits up to a second until answers in flight are written.
    /// `open` prepares a client's TCP connection for HTTP, for instance with a TLS handshake; `None` closes it.
    pub async fn serve<T, O, F, B, E>(
        &self,
        listener: R::Listener,
        open: impl Fn(R::Tcp) -> O,
        answer: impl Fn(Request<Received>) -> F,
        over: impl Future<Output = ()>,
    ) where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        O: Future<Output = Option<T>>,
        F: Future<Output = Result<Response<B>, E>>,
        B: Body<Data = Bytes> + Unpin + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let mut over = pin!(over.shared());
        // All in one task: there are few connections, and none outlives the server.
        let mut connections = FuturesUnordered::new();
        {
            // A stream keeps its future: a client that waits for its slot is not lost when another branch is ready.
            let mut clients = pin!(unfold((), |()| async { Some((self.next(&listener).await, ())) }));
            loop {
                futures_util::select_biased! {
                    () = over => break,
                    () = connections.select_next_some() => {}
                    (slot, tcp) = clients.select_next_some() => {
                        let over = over.as_ref().get_ref().clone();
                        connections.push(self.serve_connection(slot, open(tcp), &answer, over));
                    }
                }
            }
        }
        drop(listener);
        let rest = pin!(connections.collect::<()>());
        select(rest, pin!(self.runtime.sleep(SHUTDOWN_GRACE))).await;
    }

    /// Serves one client over an open connection. It waits for a slot like all others.
    pub async fn serve_one<T, F, B, E>(&self, stream: T, answer: impl Fn(Request<Received>) -> F)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = Result<Response<B>, E>>,
        B: Body<Data = Bytes> + Unpin + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let slot = poll_fn(|cx| self.slots.poll_take(cx)).await;
        self.serve_connection(slot, async { Some(stream) }, &answer, pending()).await;
    }

    /// Accepts the next client, and waits for a slot for it. Further clients are not accepted meanwhile.
    async fn next(&self, listener: &R::Listener) -> (Slot, R::Tcp) {
        let tcp = loop {
            match R::accept(listener).await {
                Ok(tcp) => break tcp,
                Err(error) => {
                    tracing::warn!(why = %error, "accept_failed");
                    self.runtime.sleep(ACCEPT_RETRY).await;
                }
            }
        };
        (poll_fn(|cx| self.slots.poll_take(cx)).await, tcp)
    }

    /// Serves the requests of one client until it disconnects, is too slow or too old, loses its slot or is upgraded, or
    /// until `over` resolves.
    async fn serve_connection<T, F, B, E>(
        &self,
        mut slot: Slot,
        open: impl Future<Output = Option<T>>,
        answer: &impl Fn(Request<Received>) -> F,
        over: impl Future<Output = ()>,
    ) where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = Result<Response<B>, E>>,
        B: Body<Data = Bytes> + Unpin + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let conn = slot.conn();
        let aged = async {
            self.runtime.sleep(self.bounds.greatest_age).await;
            self.closed.by_age.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(why = "its greatest age", "client_closed");
        };
        let aged = aged.shared();
        let upgraded = Arc::new(AtomicBool::new(false));
        let served = async {
            let Some(stream) = open.await else { return };
            let (runtime, timeout, is_upgraded) =
                (self.runtime.clone(), self.bounds.read_timeout, upgraded.clone());
            let sleep = move || -> BoxFuture<()> {
                // The timeout is for HTTP: an upgraded connection has none.
                let is_upgraded = is_upgraded.load(Ordering::Relaxed);
                if is_upgraded { Box::pin(pending()) } else { Box::pin(runtime.sleep(timeout)) }
            };
            let stream = TrackedStream::new(WriteTimeout::new(stream, sleep), conn.clone());
            let http = http1::Builder::new()
                .timer(HyperTimer(self.runtime.clone()))
                .header_read_timeout(timeout)
                .max_buf_size(self.bounds.head_bytes.max(MIN_HEAD_BYTES))
                .preserve_header_case(self.keeps_header_case)
                .serve_connection(
                    FuturesIo::new(stream),
                    service_fn(|request| respond(&conn, &upgraded, request, answer)),
                )
                .with_upgrades();
            let mut http = pin!(http);
            // An error is the client's: it disconnected, or does not speak HTTP. hyper has answered it if possible.
            if let Either::Right(_) = select(http.as_mut(), select(pin!(over), aged.clone())).await {
                http.as_mut().graceful_shutdown();
                let _ = http.await;
            }
        };
        let too_old = async {
            aged.clone().await;
            // hyper closes a connection that awaits the server once its answer is written.
            if conn.awaits_server() {
                pending::<()>().await;
            }
        };
        let lost = (&mut slot.lost).map(|_| {
            self.closed.by_slot.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(why = "its slot is another's", "client_closed");
        });
        select(pin!(served), select(lost, pin!(too_old))).await;
    }
}

/// Answers one request, and reports its progress to the connection's slot.
async fn respond<F, B, E>(
    conn: &SlotHandle,
    upgraded: &AtomicBool,
    request: Request<Incoming>,
    answer: &impl Fn(Request<Received>) -> F,
) -> Result<Response<ResponseBody<B>>, E>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    let asks_for_upgrade = request.headers().contains_key(UPGRADE);
    let mut response = match host::fault(request.version(), request.headers()) {
        Some(fault) => refusal(fault).map(http_body_util::Either::Right),
        None => {
            let request = request.map(|body| Received::new(body, conn.clone()));
            answer(request).await?.map(http_body_util::Either::Left)
        }
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        upgraded.store(true, Ordering::Relaxed);
    } else if asks_for_upgrade {
        // The framing is not checked after a request for an upgrade.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| ResponseBody::new(body, conn.clone())))
}

/// Returns the answer to a malformed request.
fn refusal(fault: &str) -> Response<Full<Bytes>> {
    // The texts of faults need no JSON escapes.
    let mut response = Response::new(Full::from(format!(r#"{{"ok":false,"error":"{fault}"}}"#)));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
