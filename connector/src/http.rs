//! HTTP requests at the connector's port, as values.

use crate::frame;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;
use url::Url;
use zeroize::Zeroizing;

/// Text that replaces a secret in an observation, a log or a `Debug` (C-4).
pub(crate) const HIDDEN: &str = "<hidden>";

/// Head of a request that is not a WebSocket upgrade.
#[derive(Clone, Copy)]
pub struct HttpHead<'a> {
    /// Method, as it was written.
    pub method: &'a str,
    /// Path, without a query.
    pub path: &'a str,
    /// `Authorization` header.
    pub authorization: Option<&'a str>,
    /// `Content-Type` header.
    pub content_type: Option<&'a str>,
    /// `X-Media-Filename` header.
    pub media_filename: Option<&'a [u8]>,
}

impl fmt::Debug for HttpHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The headers are left out: one of them is a credential (C-4).
        f.debug_struct("HttpHead")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Body of a request, as far as it was read.
#[derive(Clone)]
pub enum HttpBody {
    /// The whole body.
    Whole(Bytes),
    /// The body is larger than [`ConnectorMachine::http_body_limit`](crate::ConnectorMachine::http_body_limit) allows.
    TooLarge,
    /// The body was not received in time.
    TooSlow,
}

impl fmt::Debug for HttpBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpBody::Whole(bytes) => write!(f, "Whole({} hidden)", bytes.len()),
            HttpBody::TooLarge => f.write_str("TooLarge"),
            HttpBody::TooSlow => f.write_str("TooSlow"),
        }
    }
}

/// Response to a request.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// Status.
    pub status: u16,
    /// Headers, with names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// Body. It is wiped when dropped if it may hold secrets.
    pub body: Bytes,
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpResponse({}, {} hidden)", self.status, self.body.len())
    }
}

impl HttpResponse {
    pub(crate) fn json(status: u16, body: &impl Serialize) -> Self {
        let mut text = Zeroizing::new(Vec::new());
        // Writing to memory cannot fail, and every map has text keys.
        let _ = serde_json::to_writer(&mut *text, body);
        let headers = vec![("content-type", "application/json".to_owned())];
        HttpResponse { status, headers, body: Bytes::from_owner(text) }
    }

    pub(crate) fn refusal(refusal: &Refusal) -> Self {
        let mut answer = HttpResponse::json(refusal.status, &serde_json::json!({ "error": refusal.error }));
        answer.headers.extend(refusal.allow.map(|method| ("allow", method.to_owned())));
        answer
    }
}

/// Refusal of a request.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) error: String,
    /// Allowed method of the endpoint (405).
    pub(crate) allow: Option<&'static str>,
    /// Id of the gateway that asked; empty if it is not known.
    pub(crate) gateway: String,
}

impl Refusal {
    pub(crate) fn new(status: u16, error: impl Into<String>) -> Self {
        Refusal { status, error: error.into(), allow: None, gateway: String::new() }
    }

    pub(crate) fn of(mut self, gateway: &str) -> Self {
        gateway.clone_into(&mut self.gateway);
        self
    }
}

/// The response to a request, and the parts of both that may be observed.
pub(crate) struct Served {
    pub(crate) gateway: String,
    pub(crate) response: HttpResponse,
    pub(crate) asked: Option<Value>,
    pub(crate) answered: Option<Value>,
}

/// The endpoints.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Route<'a> {
    /// The WebSocket endpoint, without an upgrade.
    Socket,
    Enroll,
    Provision,
    Policy,
    Upload,
    Download(&'a str),
}

impl<'a> Route<'a> {
    pub(crate) fn new(path: &'a str) -> Option<Self> {
        Some(match path {
            "/relay" => Route::Socket,
            "/relay/enroll" => Route::Enroll,
            "/relay/provision" => Route::Provision,
            "/relay/policy" => Route::Policy,
            "/relay/media" => Route::Upload,
            _ => {
                let id = path.strip_prefix("/relay/media/")?;
                Route::Download(Some(id).filter(|id| !id.is_empty() && !id.contains('/'))?)
            }
        })
    }

    pub(crate) fn method(self) -> &'static str {
        match self {
            Route::Enroll | Route::Provision | Route::Policy | Route::Upload => "POST",
            Route::Socket | Route::Download(_) => "GET",
        }
    }
}

/// Parses the URL of an endpoint that webhooks can be posted to: http or https, without user-info.
pub(crate) fn endpoint(url: &str) -> Option<Url> {
    let is_endpoint = |url: &Url| {
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
    };
    Url::parse(url).ok().filter(is_endpoint)
}

/// Fields of a JSON body. An error names the field and quotes no value, because it may be a secret (C-4).
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    pub(crate) fn read(body: &[u8]) -> Result<Self, Refusal> {
        match frame::value(body) {
            Some(Value::Object(fields)) => Ok(Fields(fields)),
            Some(_) | None => Err(Refusal::new(400, "the body is not a JSON object")),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Result<&str, Refusal> {
        self.0.get(name).and_then(Value::as_str).ok_or_else(|| must_be(name, "a string"))
    }

    /// Returns a string field that may be absent or null.
    pub(crate) fn optional_text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.text(name).map(Some),
        }
    }

    /// Returns a string field that is not blank, has one line, and fits a header.
    pub(crate) fn name(&self, name: &str) -> Result<&str, Refusal> {
        let text = self.text(name)?;
        let plain = text.trim() == text && !text.is_empty() && text.len() <= 256;
        match plain && !text.chars().any(char::is_control) {
            true => Ok(text),
            false => Err(must_be(name, "a name: 1 to 256 bytes, no blanks around it, no control characters")),
        }
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        self.0.get(name).and_then(Value::as_bool).ok_or_else(|| must_be(name, "true or false"))
    }

    pub(crate) fn texts(&self, name: &str) -> Result<Vec<&str>, Refusal> {
        let items = self.0.get(name).and_then(Value::as_array);
        let texts = items.and_then(|items| items.iter().map(Value::as_str).collect::<Option<_>>());
        texts.ok_or_else(|| must_be(name, "an array of strings"))
    }
}

fn must_be(name: &str, what: &str) -> Refusal {
    Refusal::new(400, format!("`{name}` must be {what}"))
}
