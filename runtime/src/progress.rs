//! Progress of a connection attempt, for the error when it times out.

use crate::upgrade::Refused;
use relayline_control::http::Unreachable;
use relayline_control::network::Proxy;
use relayline_core::time::format_span;
use relayline_core::upgrade::MAX_BODY;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Step of a connection attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Step {
    /// The look-up of the name.
    #[default]
    Name,
    /// The TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The answer to the first request.
    Answer,
}

/// Progress of one connection attempt, shared with its future.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    step: Step,
    /// Address of the proxy, until its tunnel is open.
    proxy: Option<String>,
    /// Refused upgrade, as far as it was received.
    refused: Option<Refused>,
}

impl Progress {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a step.
    pub(crate) fn begin(&self, step: Step) {
        self.lock().step = step;
    }

    /// Sets the proxy whose tunnel is being opened; `None` once it is open.
    pub(crate) fn through(&self, proxy: Option<&Proxy>) {
        self.lock().proxy = proxy.map(ToString::to_string);
    }

    /// Returns true while the tunnel of a proxy is being opened.
    pub(crate) fn is_at_proxy(&self) -> bool {
        self.lock().proxy.is_some()
    }

    /// Stores the head of a refusal, whose body follows.
    pub(crate) fn refused(&self, refused: Refused) {
        self.lock().refused = Some(refused);
    }

    /// Appends to the refusal's body. Returns true if there is room for more.
    pub(crate) fn extend_body(&self, bytes: &[u8]) -> bool {
        let mut state = self.lock();
        let Some(refused) = &mut state.refused else { return false };
        let room = MAX_BODY - refused.body.len();
        refused.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
        bytes.len() <= room
    }

    /// Marks the refusal's body as complete.
    pub(crate) fn end_body(&self) {
        if let Some(refused) = &mut self.lock().refused {
            refused.is_whole = true;
        }
    }

    /// Takes the refusal, as far as it was received.
    pub(crate) fn take_refused(&self) -> Option<Refused> {
        mem::take(&mut self.lock().refused)
    }

    /// Returns the error for the step that did not complete within `span`.
    pub(crate) fn timed_out(&self, span: Duration) -> Unreachable {
        let state = self.lock();
        let span_text = format_span(span);
        if let Some(proxy) = &state.proxy {
            let why = match state.step {
                Step::Name => format!("its name was not looked up within {span_text}"),
                Step::Connect => {
                    format!("no connection within {span_text}: is it running, and the port right?")
                }
                Step::Tls => {
                    format!("its TLS handshake did not end within {span_text}: check its scheme and port")
                }
                Step::Answer => format!("it did not answer CONNECT within {span_text}: ask who runs it"),
            };
            return Unreachable::Proxy { proxy: proxy.clone(), why };
        }
        match state.step {
            Step::Name => Unreachable::Name(format!("nothing within {span_text}")),
            Step::Connect => Unreachable::Connect(format!("nothing within {span_text}")),
            Step::Tls => Unreachable::Tls(format!(
                "the handshake did not end within {span_text}: check whether the port speaks TLS"
            )),
            Step::Answer => Unreachable::TimedOut(span),
        }
    }
}
