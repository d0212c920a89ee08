//! Webhook requests as values: signed deliveries over HTTP, what may be asked, by whom, and the responses (H-6).
//!
//! There are three requests: `POST /` with `{"type":"message","event":{…}}`, `POST /interrupt` with
//! `{"type":"interrupt","session_key":"…"}`, and `GET /healthz`, which needs no signature. Of the others nothing of
//! the body is read before the signature over its exact bytes is verified (C-3).

use crate::event::Event;
use crate::json;
use crate::output::HttpId;
use crate::secret::Secret;
use crate::signature::{self, NotSigned};
use std::borrow::Cow;
use std::fmt;

/// HTTP request to the webhook server, as far as its response depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
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

impl fmt::Debug for WebhookRequest<'_> {
    /// Without what would let a reader of logs send it again.
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
    /// Its exact bytes; none where it is not worth reading.
    Whole(&'a [u8]),
    /// It is over `delivery_body`, so it was not kept.
    TooLong,
    /// It did not come within `delivery_read_timeout`.
    TooSlow,
    /// It found no room: as many bytes of other bodies are being read as `delivery_bytes` allows.
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
pub enum Received {
    /// The response.
    Answered(WebhookResponse),
    /// The host must take it first: the response comes as [`Action::Respond`](crate::output::Action::Respond).
    Waits(HttpId),
}

/// Response to a webhook request. Displays what is wrong, and what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WebhookResponse {
    /// 200: the host has taken the delivery, now or before; or there is nothing to take.
    #[error("ok")]
    Done,
    /// 400: the request is signed, and holds nothing that could be delivered.
    #[error("{0}")]
    Unusable(&'static str),
    /// 401: the request is not signed by a known key, or its signature has expired.
    #[error(transparent)]
    Unsigned(#[from] NotSigned),
    /// 404: there is no such path.
    #[error("there are POST /, POST /interrupt and GET /healthz")]
    NotFound,
    /// 405: the path takes another method, which the header `Allow` names.
    #[error("this path takes {allow} alone")]
    NotAllowed {
        /// Method that the path takes.
        allow: &'static str,
    },
    /// 408: the body did not come in time.
    #[error("the body did not come in time")]
    TooSlow,
    /// 413: the body is over `delivery_body`.
    #[error("the body is longer than this gateway takes: raise its `delivery_body`")]
    TooLong,
    /// 503: the host does not get the delivery; send it again later.
    #[error("{0}; send it again later")]
    Unavailable(&'static str),
    /// 504: the host has the delivery and has not settled it in time. Sent again, it is known by its message id and
    /// reaches the host at most once, after the host has settled it (A-4).
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
pub(crate) enum Asked {
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
    ) -> Result<Asked, WebhookResponse> {
        let route = match self.route()? {
            Route::Health => return Ok(Asked::Health),
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

    /// Checks as much of the signature as can be checked without the body.
    fn may_be_signed(&self, keys: &[Secret], unix_s: u64) -> Result<(), WebhookResponse> {
        match signature::verify(b"", self.timestamp, self.signature, keys, unix_s) {
            Ok(()) | Err(NotSigned::Wrong) => Ok(()),
            Err(unsigned) => Err(WebhookResponse::Unsigned(unsigned)),
        }
    }
}

/// Reads a verified body. The error says what is wrong with it.
fn read(route: Route, body: &[u8], raw_events: bool) -> Result<Asked, &'static str> {
    let text = std::str::from_utf8(body).map_err(|_| "the body is not UTF-8")?;
    if !json::depth_is_fine(text) {
        return Err("the body nests deeper than 128");
    }
    let mut room = String::new();
    let fields = json::peer_fields(text, &mut room, &["type", "event", "session_key", "chat_id"]);
    let [kind, event, session_key, chat_id] = fields.ok_or("the body is no JSON object")?;
    let kind = kind.and_then(json::string);
    match route {
        Route::Interrupt if kind.as_deref() == Some("interrupt") => {
            let text = |raw: Option<&str>| raw.and_then(json::id).unwrap_or_default();
            let (session_key, chat_id) = (text(session_key), text(chat_id));
            // L-16: it would be for everybody, or nobody.
            if session_key.is_empty() {
                return Err("the interrupt has no `session_key`");
            }
            Ok(Asked::Interrupt { session_key, chat_id })
        }
        Route::Interrupt => Err(r#"the body's `type` is not "interrupt""#),
        Route::Message if kind.as_deref() == Some("message") => {
            let read = event.and_then(|raw| Some((Event::read(raw)?, raw)));
            let (mut event, raw) = read.ok_or("the body has no `event` object")?;
            if raw_events {
                event.raw = Some(json::verbatim(raw));
            }
            Ok(Asked::Message(Box::new(event)))
        }
        Route::Message => Err(r#"the body's `type` is not "message""#),
        Route::Health => Ok(Asked::Health),
    }
}
