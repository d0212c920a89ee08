//! An HTTP/1 server for clients that nobody vouches for: it bounds what they can cost.
//!
//! The gateway's own servers are made of it, and so are the development connector and the recorder. Connections have
//! slots. When all are taken, the connection that is idle for longest makes room for the next: one that has no request
//! under way, or has never sent a whole one. A connection has a greatest age. A bare LF in a head, a missing `Host`, and
//! a second one are answered 400.

mod bodies;
mod clock;
mod framing;
mod host;
mod patience;
mod slots;
mod stream;

pub use bodies::Received;

use crate::Runtime;
use crate::wires::Boxed;
use bodies::Sent;
use clock::Clock;
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::future::{Either, FutureExt, select};
use futures_util::stream::{FuturesUnordered, StreamExt, unfold};
use http_body_util::Full;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use patience::Patient;
use slots::{Conn, Slot, Slots};
use smol_hyper::rt::FuturesIo;
use std::error::Error;
use std::fmt;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use stream::Watched;

/// How long clients get at the end to read their answers.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long to wait for a file descriptor when there is none.
const OUT_OF_SOCKETS: Duration = Duration::from_millis(50);
/// The smallest buffer that hyper takes.
const LEAST_HEAD: usize = 8 << 10;

/// Bounds on what clients can cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Maximum number of connections; 128 by default. One that was upgraded no longer counts.
    pub clients: usize,
    /// How long the head of a request may take, and how long an answer of which nothing is read; 10 s by default.
    pub read_timeout: Duration,
    /// Greatest age of a connection; 5 min by default. An answer that is under way then is still written.
    pub greatest_age: Duration,
    /// Maximum size of a request's head, in bytes; 16 KiB by default, 8 KiB at least.
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
    /// Returns how many idle connections made room for new ones.
    pub fn by_slot(&self) -> u64 {
        self.by_slot.load(Ordering::Relaxed)
    }

    /// Returns how many connections reached their greatest age.
    pub fn by_age(&self) -> u64 {
        self.by_age.load(Ordering::Relaxed)
    }
}

/// A server on a runtime. Clones share their slots.
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
    /// Creates a server that counts in `closed`.
    pub fn new(runtime: R, bounds: Bounds, closed: Arc<Closed>) -> Server<R> {
        let slots = Slots::new(bounds.clients);
        Server { runtime, bounds, keeps_header_case: false, slots, closed }
    }

    /// Keeps the case of header names from requests to answers, for a server that passes both on.
    #[must_use]
    pub fn keeping_header_case(self) -> Server<R> {
        Server { keeps_header_case: true, ..self }
    }

    /// Serves the clients of a port until `over` ends, then waits briefly until they have their answers. `open` makes a
    /// client's TCP connection one of HTTP, as by a TLS handshake; `None` closes it.
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
        // All in one task: there are few, and none of them outlives it.
        let mut conversations = FuturesUnordered::new();
        {
            // A stream, so that a client that waits for its slot is not lost when something else happens.
            let mut clients = pin!(unfold((), |()| async { Some((self.next(&listener).await, ())) }));
            loop {
                futures_util::select_biased! {
                    () = over => break,
                    () = conversations.select_next_some() => {}
                    (slot, tcp) = clients.select_next_some() => {
                        let over = over.as_ref().get_ref().clone();
                        conversations.push(self.converse(slot, open(tcp), &answer, over));
                    }
                }
            }
        }
        drop(listener);
        let rest = pin!(conversations.collect::<()>());
        select(rest, pin!(self.runtime.sleep(GOODBYE))).await;
    }

    /// Serves one client whose connection is open already. It waits for a slot like all others.
    pub async fn serve_one<T, F, B, E>(&self, stream: T, answer: impl Fn(Request<Received>) -> F)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Future<Output = Result<Response<B>, E>>,
        B: Body<Data = Bytes> + Unpin + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let slot = poll_fn(|cx| self.slots.poll_take(cx)).await;
        self.converse(slot, async { Some(stream) }, &answer, pending()).await;
    }

    /// Waits for the next client, and for a slot for it. Further ones wait to be accepted.
    async fn next(&self, listener: &R::Listener) -> (Slot, R::Tcp) {
        let tcp = loop {
            match R::accept(listener).await {
                Ok(tcp) => break tcp,
                Err(error) => {
                    tracing::warn!(why = %error, "accept_failed");
                    self.runtime.sleep(OUT_OF_SOCKETS).await;
                }
            }
        };
        (poll_fn(|cx| self.slots.poll_take(cx)).await, tcp)
    }

    /// Serves one client, request after request, until it goes away, is too slow or too old, loses its slot, is upgraded,
    /// or `over` ends.
    async fn converse<T, F, B, E>(
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
            let sleep = move || -> Boxed<()> {
                // What is no HTTP any more has a rhythm of its own.
                let is_upgraded = is_upgraded.load(Ordering::Relaxed);
                if is_upgraded { Box::pin(pending()) } else { Box::pin(runtime.sleep(timeout)) }
            };
            let stream = Watched::new(Patient::new(stream, sleep), conn.clone());
            let http = http1::Builder::new()
                .timer(Clock(self.runtime.clone()))
                .header_read_timeout(timeout)
                .max_buf_size(self.bounds.head_bytes.max(LEAST_HEAD))
                .preserve_header_case(self.keeps_header_case)
                .serve_connection(
                    FuturesIo::new(stream),
                    service_fn(|request| respond(&conn, &upgraded, request, answer)),
                )
                .with_upgrades();
            let mut http = pin!(http);
            // An error is the client's: it went away, or does not speak HTTP. It was answered as well as can be.
            if let Either::Right(_) = select(http.as_mut(), select(pin!(over), aged.clone())).await {
                http.as_mut().graceful_shutdown();
                let _ = http.await;
            }
        };
        let too_old = async {
            aged.clone().await;
            // hyper closes the others once they have their answers.
            if conn.is_servers_turn() {
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

/// Answers one request, and tells the connection's slot how it gets on.
async fn respond<F, B, E>(
    conn: &Conn,
    upgraded: &AtomicBool,
    request: Request<Incoming>,
    answer: &impl Fn(Request<Received>) -> F,
) -> Result<Response<Sent<B>>, E>
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
        // From here on its line ends were not looked at.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| Sent::new(body, conn.clone())))
}

/// The answer to a request that is not HTTP as it should be.
fn refusal(fault: &str) -> Response<Full<Bytes>> {
    // No fault has anything in it that JSON would escape.
    let mut response = Response::new(Full::from(format!(r#"{{"ok":false,"error":"{fault}"}}"#)));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
