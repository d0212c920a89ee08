//! Server of webhook requests (H-6).

mod request;

use super::{Port, bounds};
use crate::Runtime;
use crate::builder::{Builder, CurrentRuntime};
use crate::drive::ServerGuard;
use crate::error::ConnectError;
use crate::serve::Server;
use crate::shared::{Shared, wake};
use crate::trace;
use futures_channel::oneshot;
use futures_util::future::{Either, FutureExt};
use relayline_control::settings::table;
use relayline_core::secret::Secret;
use relayline_core::signature::SignatureError;
use relayline_core::trace::Entry;
use relayline_core::webhook::{WebhookOutcome, WebhookRequest, WebhookResponse};
use std::convert::Infallible;
use std::future::ready;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

impl<R: CurrentRuntime> Builder<R> {
    /// Accepts webhook requests that are signed with `key` on an address, as in `0.0.0.0:8787`. Needs the feature
    /// `webhook`.
    pub fn webhook(self, listen: impl Into<String>, key: impl Into<Secret>) -> Self {
        self.setting(&table::INBOUND_LISTEN, listen.into()).setting(&table::DELIVERY_KEY, key)
    }
}

/// Opens the configured port, if there is one, and serves it until the returned sender is dropped. Logs the address or
/// the error, and keeps it for [`Relay::inbound`](crate::Relay::inbound).
///
/// # Errors
/// Never. A build without this server has one.
pub(crate) fn serve<R: Runtime>(
    runtime: &R,
    shared: &Arc<Shared>,
) -> Result<Option<ServerGuard>, ConnectError> {
    let Some(address) = &shared.config.inbound_listen else { return Ok(None) };
    let open = || Port::new(runtime, TcpListener::bind(address)?);
    let port = open().map_err(|error: io::Error| format!("{address}: {error}"));
    match &port {
        Ok(port) => {
            tracing::info!(address = %port.address, "inbound_listening");
            if shared.config.machine.delivery_keys.is_empty() {
                tracing::warn!(why = %SignatureError::NoKey, "inbound_without_key");
            }
        }
        Err(why) => tracing::error!(why, "inbound_failed"),
    }
    let inbound = port.as_ref().map(|port| port.address).map_err(Clone::clone);
    shared.inbound.get_or_init(|| inbound);
    Ok(port.ok().map(|port| {
        let (driver, over) = oneshot::channel();
        runtime.spawn(serve_port(port, runtime.clone(), shared.clone(), over));
        driver
    }))
}

async fn serve_port<R: Runtime>(
    port: Port<R>,
    runtime: R,
    shared: Arc<Shared>,
    over: oneshot::Receiver<Infallible>,
) {
    let limits = &shared.config.server;
    let bounds = bounds(limits, limits.delivery_connections);
    let server = Server::new(runtime.clone(), bounds, shared.closed.clone());
    let body_bytes = AtomicUsize::new(0);
    let answer = |request| request::answer(&runtime, &shared, &body_bytes, request);
    server.serve(port.listener, |tcp| ready(Some(tcp)), answer, over.map(drop)).await;
}

impl Shared {
    /// Passes a webhook request to the machine. The future resolves to the answer.
    fn handle_webhook(
        &self,
        request: WebhookRequest<'_>,
    ) -> impl Future<Output = WebhookResponse> + Send + use<> {
        let mut state = self.lock();
        let now = self.now();
        let received = state.machine.handle_webhook(now, &request);
        trace::log(|| Entry::request(now.mono, &request, &received));
        let answer = match received {
            WebhookOutcome::Responded(answer) => Either::Left(ready(Ok(answer))),
            WebhookOutcome::Pending(id) => {
                let (sender, receiver) = oneshot::channel();
                state.pending_webhooks.insert(id, sender);
                Either::Right(receiver)
            }
        };
        let driver = state.driver_waker.take();
        drop(state);
        wake(driver);
        // The sender is dropped when the gateway ends.
        async { answer.await.unwrap_or(WebhookResponse::Unavailable("the gateway has ended")) }
    }
}
