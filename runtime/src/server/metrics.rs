//! Metrics page: `GET /metrics`.

mod format;

use super::{Port, bounds};
use crate::Runtime;
use crate::relay::Relay;
use crate::serve::{Bounds, Closed, Received, Server};
use crate::shared::Shared;
use crate::watch::Watch;
use futures_util::StreamExt;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use std::future::ready;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;

/// Maximum number of connections to the page: few clients scrape it.
const CLIENTS: usize = 16;

impl Relay {
    /// Returns counters, gauges and the phase as a page in the Prometheus text format. Needs the feature `metrics`.
    pub fn metrics(&self) -> String {
        page(&self.shared)
    }
}

/// Counter or gauge of the host for the metrics page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostMetric {
    /// Name on the page: after `relayline_`, and for a counter before `_total`.
    pub name: String,
    /// Description.
    pub help: &'static str,
    /// Value.
    pub value: u64,
    /// True if the value can decrease.
    pub is_gauge: bool,
}

/// Serves [`Relay::metrics`], and after it the metrics of the host, as `GET /metrics` on `listener` until the gateway has
/// ended. Needs the feature `metrics`.
///
/// # Errors
/// The runtime cannot register the listener.
pub fn serve_metrics<R: Runtime>(
    runtime: &R,
    relay: &Relay,
    listener: TcpListener,
    metrics: impl Fn() -> Vec<HostMetric> + Send + Sync + 'static,
) -> io::Result<()> {
    let shared = relay.shared.shared();
    let (bounds, closed) = (bounds(&shared.config.server, CLIENTS), shared.closed.clone());
    let over = Watch::new(shared.clone()).for_each(|_| ready(()));
    let page = move || {
        let mut page = page(&shared);
        add_metrics(&mut page, metrics());
        page
    };
    serve_page(runtime, listener, (bounds, closed), page, over)
}

/// Serves the metrics of a host without a gateway as `GET /metrics` on `listener` until `over` resolves. Needs the feature
/// `metrics`.
///
/// # Errors
/// The runtime cannot register the listener.
pub fn serve_host_metrics<R: Runtime>(
    runtime: &R,
    listener: TcpListener,
    metrics: impl Fn() -> Vec<HostMetric> + Send + Sync + 'static,
    over: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (bounds, closed) = (Bounds { clients: CLIENTS, ..Bounds::default() }, Arc::new(Closed::default()));
    let of_page = closed.clone();
    let page = move || {
        let mut page = String::new();
        add_closed(&mut page, &of_page);
        add_metrics(&mut page, metrics());
        page
    };
    serve_page(runtime, listener, (bounds, closed), page, over)
}

/// Serves a page until `over` resolves.
fn serve_page<R: Runtime>(
    runtime: &R,
    listener: TcpListener,
    (bounds, closed): (Bounds, Arc<Closed>),
    page: impl Fn() -> String + Send + Sync + 'static,
    over: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let port = Port::new(runtime, listener)?;
    tracing::info!(address = %port.address, "metrics_listening");
    let server = Server::new(runtime.clone(), bounds, closed);
    runtime.spawn(async move {
        let answer = |request| ready(answer(&page, &request));
        server.serve(port.listener, |tcp| ready(Some(tcp)), answer, over).await;
    });
    Ok(())
}

/// Appends the metrics of a host to a page.
fn add_metrics(page: &mut String, metrics: Vec<HostMetric>) {
    for HostMetric { name, help, value, is_gauge } in metrics {
        match is_gauge {
            true => format::gauge(page, &name, help, value),
            false => format::counter(page, &name, help, value),
        }
    }
}

/// Appends the counters of connections that the page's server has closed.
fn add_closed(page: &mut String, closed: &Closed) {
    let help = "Idle HTTP connections closed for new ones.";
    format::counter(page, "http_closed_by_slot", help, closed.by_slot());
    let help = "HTTP connections closed at their maximum age.";
    format::counter(page, "http_closed_by_age", help, closed.by_age());
}

/// Returns the page: all counters and gauges as text.
fn page(shared: &Shared) -> String {
    let state = shared.lock();
    let (phase, stats) = (state.machine.phase(), state.machine.stats().clone());
    let held = state.machine.usage();
    let signs_dropped = state.control_queue.dropped();
    drop(state);
    let mut page = format::page(phase, &stats, &held);
    let help = "Interrupts and notices dropped because the host did not read them.";
    format::counter(&mut page, "signs_dropped", help, signs_dropped);
    add_closed(&mut page, &shared.closed);
    page
}

fn answer(page: &impl Fn() -> String, request: &Request<Received>) -> hyper::Result<Response<Full<Bytes>>> {
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    let (status, kind, body) = match (request.uri().path(), request.method()) {
        ("/metrics", &Method::GET | &Method::HEAD) => {
            (StatusCode::OK, HeaderValue::from_static(format::CONTENT_TYPE), page())
        }
        ("/metrics", _) => (StatusCode::METHOD_NOT_ALLOWED, text, "method not allowed: use GET\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, text, "not found: the metrics page is /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::from(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    Ok(response)
}
