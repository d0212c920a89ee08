//! HTTP requests to the connector and its responses, as values.

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
    /// Method, as the client wrote it.
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
        // The headers are left out, since one of them is a credential (C-4).
        f.debug_struct("HttpHead")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Body of a request, or the reason why it was not read to its end.
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
    /// Status code.
    pub status: u16,
    /// Headers. Their names are in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// Body. One that may hold secrets is wiped when it is dropped.
    pub body: Bytes,
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpResponse({}, {} hidden)", self.status, self.body.len())
    }
}

impl HttpResponse {
    /// Creates a response with a JSON body, which is wiped when it is dropped.
    pub(crate) fn json(status: u16, body: &impl Serialize) -> Self {
        let mut text = Zeroizing::new(Vec::new());
        // Writing to memory cannot fail, and every map has text keys.
        let _ = serde_json::to_writer(&mut *text, body);
        let headers = vec![("content-type", "application/json".to_owned())];
        HttpResponse { status, headers, body: Bytes::from_owner(text) }
    }

    /// Creates the response that tells a client of its refusal.
    pub(crate) fn refusal(refusal: &Refusal) -> Self {
        let mut response = HttpResponse::json(refusal.status, &serde_json::json!({ "error": refusal.error }));
        response.headers.extend(refusal.allow.map(|method| ("allow", method.to_owned())));
        response
    }
}

/// Refusal of a request.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// Status code of the response.
    pub(crate) status: u16,
    /// Reason for the client.
    pub(crate) error: String,
    /// Method that the endpoint allows; set for a 405.
    pub(crate) allow: Option<&'static str>,
    /// Id of the gateway that sent the request; empty if it is not known.
    pub(crate) gateway: String,
}

impl Refusal {
    /// Creates a refusal of a request whose gateway is not known.
    pub(crate) fn new(status: u16, error: impl Into<String>) -> Self {
        Refusal { status, error: error.into(), allow: None, gateway: String::new() }
    }

    /// Sets the gateway that sent the request.
    pub(crate) fn of(mut self, gateway: &str) -> Self {
        gateway.clone_into(&mut self.gateway);
        self
    }
}

/// Response to a request, and the parts of both that an observation may show.
pub(crate) struct Served {
    /// Id of the gateway that sent the request.
    pub(crate) gateway: String,
    pub(crate) response: HttpResponse,
    /// Part of the request that may be shown.
    pub(crate) asked: Option<Value>,
    /// Part of the response that may be shown.
    pub(crate) answered: Option<Value>,
}

/// Endpoint of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Route<'a> {
    /// WebSocket endpoint, for a request that is not an upgrade.
    Socket,
    /// Exchange of an enrollment token for credentials.
    Enroll,
    /// Exchange of an access token for credentials.
    Provision,
    /// Policy of a gateway.
    Policy,
    /// Upload of a file.
    Upload,
    /// Download of the file with this id.
    Download(&'a str),
}

impl<'a> Route<'a> {
    /// Returns the endpoint of a path; `None` if there is none.
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

    /// Returns the only method that the endpoint allows.
    pub(crate) fn method(self) -> &'static str {
        match self {
            Route::Enroll | Route::Provision | Route::Policy | Route::Upload => "POST",
            Route::Socket | Route::Download(_) => "GET",
        }
    }
}

/// Parses a URL to which webhooks can be posted: http or https, without user-info.
pub(crate) fn endpoint(url: &str) -> Option<Url> {
    let is_endpoint = |url: &Url| {
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
    };
    Url::parse(url).ok().filter(is_endpoint)
}

/// Fields of a JSON body. A refusal names the field and does not quote its value, which may be a secret (C-4).
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// Parses a body, which must be a JSON object.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Refusal> {
        match frame::value(body) {
            Some(Value::Object(fields)) => Ok(Fields(fields)),
            Some(_) | None => Err(Refusal::new(400, "the body is not a JSON object")),
        }
    }

    /// Returns a string field.
    pub(crate) fn text(&self, name: &str) -> Result<&str, Refusal> {
        self.0.get(name).and_then(Value::as_str).ok_or_else(|| must_be(name, "a string"))
    }

    /// Returns a string field; `None` if it is absent or null.
    pub(crate) fn optional_text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.text(name).map(Some),
        }
    }

    /// Returns a string field that can be a header's value: 1 to 256 bytes without control characters, and without
    /// blanks around it.
    pub(crate) fn name(&self, name: &str) -> Result<&str, Refusal> {
        let text = self.text(name)?;
        let is_name =
            (1..=256).contains(&text.len()) && text.trim() == text && !text.chars().any(char::is_control);
        if !is_name {
            return Err(must_be(name, "a name: 1 to 256 bytes, no blanks around it, no control characters"));
        }
        Ok(text)
    }

    /// Returns a boolean field.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        self.0.get(name).and_then(Value::as_bool).ok_or_else(|| must_be(name, "true or false"))
    }

    /// Returns a field that is an array of strings.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<&str>, Refusal> {
        let items = self.0.get(name).and_then(Value::as_array);
        let texts = items.and_then(|items| items.iter().map(Value::as_str).collect::<Option<_>>());
        texts.ok_or_else(|| must_be(name, "an array of strings"))
    }
}

/// Returns the refusal of a body whose field is not as required.
fn must_be(name: &str, what: &str) -> Refusal {
    Refusal::new(400, format!("`{name}` must be {what}"))
}
