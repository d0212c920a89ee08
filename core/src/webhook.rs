//! Webhook requests and their responses as values: deliveries over HTTP, which are signed.
//!
//! There are three requests: `POST /` with `{"type":"message","event":{…}}`, `POST /interrupt` with
//! `{"type":"interrupt","session_key":"…"}`, and `GET /healthz`, which needs no signature. Of the others nothing of
//! the body is read before the signature over its exact bytes is verified.

use crate::event::Event;
use crate::json;
use crate::output::HttpId;
use crate::secret::Secret;
use crate::signature::{self, SignatureError};
use std::borrow::Cow;
use std::fmt;

/// HTTP request to the webhook server, as far as its response depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebhookRequest<'a> {
    /// Method, in capitals as it is on the wire.
    pub method: &'a str,
    /// Path, without a query.
    pub path: &'a str,
    /// Value of the header [`TIMESTAMP_HEADER`](signature::TIMESTAMP_HEADER), if it is present.
    pub timestamp: Option<&'a str>,
    /// Value of the header [`SIGNATURE_HEADER`](signature::SIGNATURE_HEADER), if it is present.
    pub signature: Option<&'a str>,
    /// Body, as far as it was read.
    pub body: Body<'a>,
}

impl<'a> WebhookRequest<'a> {
    /// Creates a request without a signature.
    pub fn new(method: &'a str, path: &'a str, body: Body<'a>) -> Self {
        WebhookRequest { method, path, timestamp: None, signature: None, body }
    }
}

impl fmt::Debug for WebhookRequest<'_> {
    /// Hides the signature, so that the request cannot be replayed from a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WebhookRequest { method, path, body, .. } = self;
        f.debug_struct("WebhookRequest")
            .field("method", method)
            .field("path", path)
            .field("body", body)
            .finish_non_exhaustive()
    }
}

/// Body of a request, as far as it was read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Body<'a> {
    /// Exact bytes of the body; empty if the response does not depend on them.
    Whole(&'a [u8]),
    /// The body is longer than `delivery_body`, and was not kept.
    TooLong,
    /// The body did not arrive within `delivery_read_timeout`.
    TooSlow,
    /// There was no room: `delivery_bytes` bytes of other bodies are being read.
    NoRoom,
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Body::TooLong => f.write_str("TooLong"),
            Body::TooSlow => f.write_str("TooSlow"),
            Body::NoRoom => f.write_str("NoRoom"),
        }
    }
}

/// Immediate outcome of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "the client waits for the response"]
pub enum WebhookOutcome {
    /// The response.
    Responded(WebhookResponse),
    /// The request waits for the host. The response follows as [`Action::Respond`](crate::output::Action::Respond).
    Pending(HttpId),
}

/// Response to a webhook request. Displays what is wrong, and what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookResponse {
    /// 200: the host has accepted the delivery, now or before; or there is nothing to accept.
    #[error("ok")]
    Done,
    /// 400: the request is signed, but has nothing that could be delivered.
    #[error("{0}")]
    Unusable(&'static str),
    /// 401: the request is not signed by a known key, or its signature has expired.
    #[error(transparent)]
    Unsigned(#[from] SignatureError),
    /// 404: the path is unknown.
    #[error("there are POST /, POST /interrupt and GET /healthz")]
    NotFound,
    /// 405: the method is not allowed for the path. The header `Allow` names the allowed one.
    #[error("this path takes {allow} alone")]
    NotAllowed {
        /// Allowed method.
        allow: &'static str,
    },
    /// 408: the body did not arrive in time.
    #[error("the body did not come in time")]
    TooSlow,
    /// 413: the body is longer than `delivery_body`.
    #[error("the body is longer than this gateway takes: raise its `delivery_body`")]
    TooLong,
    /// 503: the delivery cannot reach the host now. The sender may retry later.
    #[error("{0}; send it again later")]
    Unavailable(&'static str),
    /// 504: the host has received the delivery but not settled it in time. If it is sent again, it is recognized by
    /// its message id and delivered at most once.
    #[error("the host has said nothing in time; send it again later")]
    Timeout,
}

impl WebhookResponse {
    /// Returns the HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            WebhookResponse::Done => 200,
            WebhookResponse::Unusable(_) => 400,
            WebhookResponse::Unsigned(_) => 401,
            WebhookResponse::NotFound => 404,
            WebhookResponse::NotAllowed { .. } => 405,
            WebhookResponse::TooSlow => 408,
            WebhookResponse::TooLong => 413,
            WebhookResponse::Unavailable(_) => 503,
            WebhookResponse::Timeout => 504,
        }
    }

    /// Returns the header `Allow` of a 405.
    pub fn allow(&self) -> Option<&'static str> {
        match self {
            WebhookResponse::NotAllowed { allow } => Some(allow),
            WebhookResponse::Done
            | WebhookResponse::Unusable(_)
            | WebhookResponse::Unsigned(_)
            | WebhookResponse::NotFound
            | WebhookResponse::TooSlow
            | WebhookResponse::TooLong
            | WebhookResponse::Unavailable(_)
            | WebhookResponse::Timeout => None,
        }
    }

    /// Returns the body, a JSON object: `{"ok":true}`, or `ok` false and the `error`, which quotes nothing of the request.
    pub fn body(&self) -> Cow<'static, str> {
        match self {
            WebhookResponse::Done => Cow::Borrowed(r#"{"ok":true}"#),
            wrong => {
                let error = serde_json::Value::String(wrong.to_string());
                Cow::Owned(format!(r#"{{"ok":false,"error":{error}}}"#))
            }
        }
    }
}

/// Content of a request that is allowed.
#[derive(Debug)]
pub(crate) enum WebhookContent {
    Health,
    Message(Box<Event>),
    Interrupt { session_key: String, chat_id: String },
}

#[derive(Clone, Copy)]
enum Route {
    Health,
    Message,
    Interrupt,
}

impl WebhookRequest<'_> {
    /// Returns whether the response depends on the body: a request that none of these keys can have signed, whatever its
    /// body, has its response without it.
    pub(crate) fn wants_body(&self, keys: &[Secret], unix_s: u64) -> bool {
        match self.route() {
            Ok(Route::Message | Route::Interrupt) => self.may_be_signed(keys, unix_s).is_ok(),
            Ok(Route::Health) | Err(_) => false,
        }
    }

    /// Reads the request. Returns the response to one that is not allowed.
    pub(crate) fn read(
        &self,
        keys: &[Secret],
        unix_s: u64,
        raw_events: bool,
    ) -> Result<WebhookContent, WebhookResponse> {
        let route = match self.route()? {
            Route::Health => return Ok(WebhookContent::Health),
            route @ (Route::Message | Route::Interrupt) => route,
        };
        match self.body {
            Body::Whole(body) => {
                signature::verify(body, self.timestamp, self.signature, keys, unix_s)?;
                read(route, body, raw_events).map_err(WebhookResponse::Unusable)
            }
            Body::TooLong => self.may_be_signed(keys, unix_s).and(Err(WebhookResponse::TooLong)),
            Body::TooSlow => self.may_be_signed(keys, unix_s).and(Err(WebhookResponse::TooSlow)),
            Body::NoRoom => self.may_be_signed(keys, unix_s).and(Err(WebhookResponse::Unavailable(
                "as many bodies are being read as `delivery_bytes` allows",
            ))),
        }
    }

    fn route(&self) -> Result<Route, WebhookResponse> {
        let (route, allow) = match self.path {
            "/" => (Route::Message, "POST"),
            "/interrupt" => (Route::Interrupt, "POST"),
            "/healthz" => (Route::Health, "GET"),
            _ => return Err(WebhookResponse::NotFound),
        };
        if self.method == allow { Ok(route) } else { Err(WebhookResponse::NotAllowed { allow }) }
    }

    /// Checks the parts of the signature that do not depend on the body.
    fn may_be_signed(&self, keys: &[Secret], unix_s: u64) -> Result<(), WebhookResponse> {
        match signature::verify(b"", self.timestamp, self.signature, keys, unix_s) {
            Ok(()) | Err(SignatureError::Mismatch) => Ok(()),
            Err(unsigned) => Err(WebhookResponse::Unsigned(unsigned)),
        }
    }
}

/// Reads a verified body. The error says what is wrong with it.
fn read(route: Route, body: &[u8], raw_events: bool) -> Result<WebhookContent, &'static str> {
    let text = std::str::from_utf8(body).map_err(|_| "the body is not UTF-8")?;
    if !json::depth_is_fine(text) {
        return Err("the body nests deeper than 128");
    }
    let mut room = String::new();
    let fields = json::peer_fields(text, &mut room, &["type", "event", "session_key", "chat_id"]);
    let [kind, event, session_key, chat_id] = fields.ok_or("the body is not a JSON object")?;
    let kind = kind.and_then(json::string);
    match route {
        Route::Interrupt if kind.as_deref() == Some("interrupt") => {
            let text = |raw: Option<&str>| raw.and_then(json::id).unwrap_or_default();
            let (session_key, chat_id) = (text(session_key), text(chat_id));
            // Without a session key it is not clear what to interrupt (L-16).
            if session_key.is_empty() {
                return Err("the interrupt has no `session_key`");
            }
            Ok(WebhookContent::Interrupt { session_key, chat_id })
        }
        Route::Interrupt => Err(r#"the body's `type` is not "interrupt""#),
        Route::Message if kind.as_deref() == Some("message") => {
            let read = event.and_then(|raw| Some((Event::read(raw)?, raw)));
            let (mut event, raw) = read.ok_or("the body has no `event` object")?;
            if raw_events {
                event.raw = Some(json::verbatim(raw));
            }
            Ok(WebhookContent::Message(Box::new(event)))
        }
        Route::Message => Err(r#"the body's `type` is not "message""#),
        Route::Health => Ok(WebhookContent::Health),
    }
}
