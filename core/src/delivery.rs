//! Signed deliveries over HTTP, as values: what may be asked, by whom, and how it is answered (H-6).
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

/// An HTTP request, as far as anything hangs on it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DeliveryRequest<'a> {
    /// The method, in capitals as it is on the wire.
    pub method: &'a str,
    /// The path, without a query.
    pub path: &'a str,
    /// The header [`TIMESTAMP_HEADER`](signature::TIMESTAMP_HEADER), when it is there.
    pub timestamp: Option<&'a str>,
    /// The header [`SIGNATURE_HEADER`](signature::SIGNATURE_HEADER), when it is there.
    pub signature: Option<&'a str>,
    /// What came of the body.
    pub body: Body<'a>,
}

impl fmt::Debug for DeliveryRequest<'_> {
    /// Without what would let a reader of logs send it again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeliveryRequest { method, path, body, .. } = self;
        f.debug_struct("DeliveryRequest")
            .field("method", method)
            .field("path", path)
            .field("body", body)
            .finish_non_exhaustive()
    }
}

/// What came of a request's body.
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

/// What comes of a request at once.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "somebody waits for the answer"]
pub enum Received {
    /// The answer.
    Answered(Answer),
    /// The host must take it first: the answer comes as [`Action::Respond`](crate::output::Action::Respond).
    Waits(HttpId),
}

/// How a request is answered. It displays as what is wrong, and what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Answer {
    /// 200: the host has taken it, or had before; or there is nothing to take.
    #[error("ok")]
    Done,
    /// 400: it is signed, and holds nothing that could be delivered.
    #[error("{0}")]
    Unusable(&'static str),
    /// 401: no key of ours signed it, or not lately.
    #[error(transparent)]
    Unsigned(#[from] NotSigned),
    /// 404: there is no such path.
    #[error("there are POST /, POST /interrupt and GET /healthz")]
    NotFound,
    /// 405: the path is for another method, which the header `Allow` names.
    #[error("this path takes {allow} alone")]
    NotAllowed {
        /// That method.
        allow: &'static str,
    },
    /// 408: the body did not come in time.
    #[error("the body did not come in time")]
    TooSlow,
    /// 413: the body is over `delivery_body`.
    #[error("the body is longer than this gateway takes: raise its `delivery_body`")]
    TooLong,
    /// 503: the host has not got it and will not; send it again later.
    #[error("{0}; send it again later")]
    NotTaken(&'static str),
    /// 504: the host has it and has not said in time whether it took it. Sent again, it is known by its message id
    /// and reaches the host at most once, as soon as the host has said so (A-4).
    #[error("the host has said nothing in time; send it again later")]
    NoWord,
}

impl Answer {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Answer::Done => 200,
            Answer::Unusable(_) => 400,
            Answer::Unsigned(_) => 401,
            Answer::NotFound => 404,
            Answer::NotAllowed { .. } => 405,
            Answer::TooSlow => 408,
            Answer::TooLong => 413,
            Answer::NotTaken(_) => 503,
            Answer::NoWord => 504,
        }
    }

    /// The header `Allow`, which a 405 has.
    pub fn allow(&self) -> Option<&'static str> {
        match self {
            Answer::NotAllowed { allow } => Some(allow),
            Answer::Done
            | Answer::Unusable(_)
            | Answer::Unsigned(_)
            | Answer::NotFound
            | Answer::TooSlow
            | Answer::TooLong
            | Answer::NotTaken(_)
            | Answer::NoWord => None,
        }
    }

    /// The body, a JSON object: `{"ok":true}`, or `ok` false and the `error`, which quotes nothing of what came.
    pub fn body(&self) -> Cow<'static, str> {
        match self {
            Answer::Done => Cow::Borrowed(r#"{"ok":true}"#),
            wrong => {
                let error = serde_json::Value::String(wrong.to_string());
                Cow::Owned(format!(r#"{{"ok":false,"error":{error}}}"#))
            }
        }
    }
}

/// What a request that may be made asks for.
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

impl DeliveryRequest<'_> {
    /// Whether the answer hangs on the body: what is signed by none of these keys, whatever the body, has its answer
    /// without.
    pub(crate) fn wants_body(&self, keys: &[Secret], unix_s: u64) -> bool {
        match self.route() {
            Ok(Route::Message | Route::Interrupt) => self.may_be_signed(keys, unix_s).is_ok(),
            Ok(Route::Health) | Err(_) => false,
        }
    }

    /// What it asks for, or the answer to what cannot be asked.
    pub(crate) fn read(&self, keys: &[Secret], unix_s: u64, raw_events: bool) -> Result<Asked, Answer> {
        let route = match self.route()? {
            Route::Health => return Ok(Asked::Health),
            route @ (Route::Message | Route::Interrupt) => route,
        };
        match self.body {
            Body::Whole(body) => {
                signature::verify(body, self.timestamp, self.signature, keys, unix_s)?;
                read(route, body, raw_events).map_err(Answer::Unusable)
            }
            Body::TooLong => self.may_be_signed(keys, unix_s).and(Err(Answer::TooLong)),
            Body::TooSlow => self.may_be_signed(keys, unix_s).and(Err(Answer::TooSlow)),
            Body::NoRoom => self
                .may_be_signed(keys, unix_s)
                .and(Err(Answer::NotTaken("as many bodies are being read as `delivery_bytes` allows"))),
        }
    }

    fn route(&self) -> Result<Route, Answer> {
        let (route, allow) = match self.path {
            "/" => (Route::Message, "POST"),
            "/interrupt" => (Route::Interrupt, "POST"),
            "/healthz" => (Route::Health, "GET"),
            _ => return Err(Answer::NotFound),
        };
        if self.method == allow { Ok(route) } else { Err(Answer::NotAllowed { allow }) }
    }

    /// What can be said of a signature without the body.
    fn may_be_signed(&self, keys: &[Secret], unix_s: u64) -> Result<(), Answer> {
        match signature::verify(b"", self.timestamp, self.signature, keys, unix_s) {
            Ok(()) | Err(NotSigned::Wrong) => Ok(()),
            Err(unsigned) => Err(Answer::Unsigned(unsigned)),
        }
    }
}

/// Reads a body that is verified; the error says what is wrong with it.
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
