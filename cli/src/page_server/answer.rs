//! Answers to the requests of browsers: checks first, then the page, its events, actions and files.

use super::access::{Access, Denial};
use super::event_stream::{EventStream, Sleep};
use super::{PageApp, PageFile};
use futures_util::FutureExt;
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
    HeaderValue, LOCATION, REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use relayline_runtime::Runtime;
use relayline_runtime::serve::Received;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// Policy of everything but the pages: nothing runs and nothing is loaded, also if a browser opens a file of an app.
const NOTHING: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";
/// Header of browsers that come back for events.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Beginning of the policy in a page's `<meta>`.
const META_POLICY: &str = "http-equiv=\"Content-Security-Policy\" content=\"";

type PageBody = Either<Full<Bytes>, EventStream>;

/// The pages of a port.
pub(super) struct Site {
    access: Access,
    apps: Vec<(&'static str, Arc<dyn PageApp>)>,
    sleep: Arc<Sleep>,
}

impl Site {
    pub(super) fn new<R: Runtime>(
        runtime: R,
        access: Access,
        mut apps: Vec<(&'static str, Arc<dyn PageApp>)>,
    ) -> Site {
        // The longest path first: `/` is a prefix of all.
        apps.sort_by_key(|(mount, _)| std::cmp::Reverse(mount.len()));
        let sleep: Sleep = Box::new(move |span: Duration| runtime.sleep(span).boxed());
        Site { access, apps, sleep: Arc::new(sleep) }
    }

    /// Answers a request.
    pub(super) async fn answer(&self, request: Request<Received>) -> Result<Response<PageBody>, Infallible> {
        let mut response = match self.respond(request).await {
            Ok(response) => response,
            Err(refusal) => plain(refusal.0, &refusal.1),
        };
        let headers = response.headers_mut();
        for (name, value) in [
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
            (CACHE_CONTROL, "no-store"),
            (X_FRAME_OPTIONS, "DENY"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(NOTHING));
        Ok(response)
    }

    async fn respond(&self, request: Request<Received>) -> Result<Response<PageBody>, Refusal> {
        let (head, body) = request.into_parts();
        self.access.check_source(&head.uri, &head.headers)?;
        let path = head.uri.path();
        let mounted =
            self.apps.iter().find_map(|(mount, app)| Some((*mount, app, path.strip_prefix(mount)?)));
        let Some((mount, app, name)) = mounted else { return Err(Refusal::not_found()) };
        let is_get = head.method == Method::GET;
        if let ("", true, Some(token)) = (name, is_get, field_of(head.uri.query(), "token=")) {
            self.access.check_entry(token)?;
            return Ok(self.enter(mount));
        }
        self.access.check_cookie(&head.headers)?;
        let method = if name == "action" { Method::POST } else { Method::GET };
        if head.method != method {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
            if let Ok(allowed) = HeaderValue::from_str(method.as_str()) {
                response.headers_mut().insert(ALLOW, allowed);
            }
            return Ok(response);
        }
        match name {
            "" => Ok(page(&app.page())),
            "session" => Ok(json_response(StatusCode::OK, &json!({ "token": self.access.action_token() }))),
            "events" => {
                let header = head.headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok());
                let last = header.or_else(|| field_of(head.uri.query(), "last="));
                self.events(app, last.and_then(|last| last.parse().ok()))
            }
            "action" => {
                self.access.check_action(&head.headers)?;
                let kind = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
                if kind.split(';').next().map(str::trim) != Some("application/json") {
                    let why = "an action is application/json".to_owned();
                    return Err(Refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
                }
                act(app.as_ref(), body).await
            }
            name => match name.strip_prefix("files/").and_then(|name| app.file(name)) {
                Some(found) => Ok(file(found)),
                None => Err(Refusal::not_found()),
            },
        }
    }

    /// Lets a browser in: sets the cookie, and leads to the page without the token.
    fn enter(&self, mount: &str) -> Response<PageBody> {
        let mut response = plain(StatusCode::SEE_OTHER, "");
        let headers = [(LOCATION, mount.to_owned()), (SET_COOKIE, self.access.set_cookie())];
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    fn events(&self, app: &Arc<dyn PageApp>, last: Option<u64>) -> Result<Response<PageBody>, Refusal> {
        let too_many = "too many pages are open: close one, and reload this one";
        let stream = EventStream::new(app.clone(), last, self.sleep.clone())
            .ok_or_else(|| Refusal(StatusCode::SERVICE_UNAVAILABLE, too_many.to_owned()))?;
        let mut response = Response::new(Either::Right(stream));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        Ok(response)
    }
}

/// Status and text of a request that is refused.
struct Refusal(StatusCode, String);

impl Refusal {
    fn not_found() -> Refusal {
        Refusal(StatusCode::NOT_FOUND, "there is nothing here".to_owned())
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Refusal {
        Refusal(denial.status(), denial.text().to_owned())
    }
}

/// Returns a field of a query, by its name and `=`. Tokens and numbers need no decoding.
fn field_of<'q>(query: Option<&'q str>, name: &str) -> Option<&'q str> {
    query?.split('&').find_map(|field| field.strip_prefix(name))
}

/// Performs an action.
async fn act(app: &dyn PageApp, body: Received) -> Result<Response<PageBody>, Refusal> {
    let limit = app.max_action_bytes();
    let body = Limited::new(body, limit).collect().await.map_err(|_| {
        let why = format!("the action is incomplete, or has more than {limit} bytes");
        Refusal(StatusCode::PAYLOAD_TOO_LARGE, why)
    })?;
    let action: Value = serde_json::from_slice(&body.to_bytes()).map_err(|error| {
        Refusal(StatusCode::BAD_REQUEST, format!("the action is not valid JSON: {error}"))
    })?;
    match app.act(action) {
        Ok(result) => Ok(json_response(StatusCode::OK, &result)),
        Err(error) => Ok(json_response(StatusCode::BAD_REQUEST, &json!({ "error": error }))),
    }
}

/// Returns the response with a page, and its policy as a header.
fn page(html: &str) -> Response<PageBody> {
    let policy = html.split_once(META_POLICY).and_then(|(_, rest)| rest.split_once('"'));
    let policy = policy.map_or(NOTHING.to_owned(), |(policy, _)| format!("{policy}; frame-ancestors 'none'"));
    let mut response = with_type("text/html; charset=utf-8", Bytes::copy_from_slice(html.as_bytes()));
    if let Ok(policy) = HeaderValue::try_from(policy) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn file(file: PageFile) -> Response<PageBody> {
    let PageFile { content_type, save_as, bytes } = file;
    let mut response = with_type(&content_type, bytes);
    if let Some(name) = save_as {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let name: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
            response.headers_mut().insert(CONTENT_DISPOSITION, value);
        }
    }
    response
}

fn json_response(status: StatusCode, value: &Value) -> Response<PageBody> {
    let mut response = with_type("application/json", value.to_string().into());
    *response.status_mut() = status;
    response
}

fn plain(status: StatusCode, text: &str) -> Response<PageBody> {
    let mut response = with_type("text/plain; charset=utf-8", format!("{text}\n").into());
    *response.status_mut() = status;
    response
}

fn with_type(content_type: &str, bytes: Bytes) -> Response<PageBody> {
    let mut response = Response::new(Either::Left(Full::new(bytes)));
    let content_type =
        HeaderValue::try_from(content_type).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
