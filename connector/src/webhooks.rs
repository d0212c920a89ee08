//! Requests to the gateways: signed webhook requests to their own endpoints (C-3, H-6), and wake-ups. Each from its
//! queue to its answer.

use crate::account::Account;
use crate::control::{ControlError, Webhook, show_id};
use crate::frame;
use crate::http::{HIDDEN, endpoint};
use crate::observation::{AskedBy, Observation};
use crate::values::Post;
use ::http::Method;
use ::http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use relayline_control::http::{Body, MAX_RESPONSE, Request, TIMEOUT};
use relayline_core::secret::Secret;
use relayline_core::signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};
use relayline_core::time::Now;
use serde_json::{Value, json};
use std::collections::{BTreeSet, VecDeque};

/// A request that waits to be posted, or for its answer.
#[derive(Debug)]
struct Pending {
    gateway: String,
    method: &'static str,
    path: String,
    /// Body of a webhook request.
    content: Option<Value>,
    bytes: usize,
    /// The request, until the driver takes it.
    post: Option<Post>,
    /// Key to hide in the response, if the gateway repeats it.
    key: Option<Secret>,
}

/// The requests until they are answered. Each gateway's are posted one after the other, so that they keep their order
///
#[derive(Debug, Default)]
pub(crate) struct Webhooks {
    pending: VecDeque<(u64, Pending)>,
    count: u64,
}

impl Webhooks {
    /// Signs a request and queues it. At most `max` are pending.
    pub(crate) fn push(
        &mut self,
        now: Now,
        id: &str,
        account: &Account,
        webhook: Webhook,
        max: usize,
    ) -> Result<(), ControlError> {
        let Webhook { event, interrupt, url, key, skew_s } = webhook;
        let (content, platform, below) = match (event, interrupt) {
            (Some(event), None) => {
                let platform = event.get("source").and_then(|source| source.get("platform")?.as_str());
                let platform = platform.map(str::to_owned);
                (json!({ "type": "message", "event": event }), platform, "")
            }
            (None, Some(mut interrupt)) => {
                interrupt.insert("type".to_owned(), "interrupt".into());
                (Value::Object(interrupt), None, "/interrupt")
            }
            (Some(_), Some(_)) | (None, None) => return Err(ControlError::WhichWebhook),
        };
        let provisioned = || account.endpoint(platform.as_deref()).map(str::to_owned);
        let url =
            url.or_else(provisioned).ok_or_else(|| ControlError::NoEndpoint { gateway: show_id(id) })?;
        let mut url = endpoint(&url).ok_or(ControlError::NotAnEndpoint)?;
        if !below.is_empty() {
            let path = [url.path().trim_end_matches('/'), below].concat();
            url.set_path(&path);
        }
        let key = key.or_else(|| account.delivery_key().cloned());
        let key = key.ok_or_else(|| ControlError::NoDeliveryKey { gateway: show_id(id) })?;
        if self.pending.len() >= max {
            return Err(ControlError::TooManyWebhooks(self.pending.len()));
        }
        let path = url.path().to_owned();
        let body = content.to_string().into_bytes();
        let unix_s = now.unix_s.saturating_add_signed(skew_s);
        let (bytes, signature) = (body.len(), sign(&body, &key, unix_s));
        let Ok(mut signature) = HeaderValue::try_from(signature) else { unreachable!("it is hexadecimal") };
        signature.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (ACCEPT, HeaderValue::from_static("application/json")),
            (HeaderName::from_static(TIMESTAMP_HEADER), HeaderValue::from(unix_s)),
            (HeaderName::from_static(SIGNATURE_HEADER), signature),
        ]);
        let request = Request {
            method: Method::POST,
            url: url.into(),
            headers,
            body: Body::Bytes(body.into()),
            timeout: TIMEOUT,
            max_response: MAX_RESPONSE,
        };
        let (gateway, content, key) = (id.to_owned(), Some(content), Some(key));
        self.queue(request, |post| Pending { gateway, method: "POST", path, content, bytes, post, key });
        Ok(())
    }

    /// Queues the GET that wakes a gateway up, unless `max` requests are pending. It has no body and no credentials.
    pub(crate) fn push_wake(&mut self, id: &str, url: &str, max: usize) {
        let Some(url) = endpoint(url).filter(|_| self.pending.len() < max) else { return };
        let (gateway, path) = (id.to_owned(), url.path().to_owned());
        let request = Request {
            method: Method::GET,
            url: url.into(),
            headers: HeaderMap::new(),
            body: Body::Empty,
            timeout: TIMEOUT,
            max_response: MAX_RESPONSE,
        };
        let (content, key) = (None, None);
        self.queue(request, |post| Pending { gateway, method: "GET", path, content, bytes: 0, post, key });
    }

    fn queue(&mut self, request: Request, pending: impl FnOnce(Option<Post>) -> Pending) {
        self.count += 1;
        self.pending.push_back((self.count, pending(Some(Post { id: self.count, request }))));
    }

    /// Takes the next request of a gateway without an earlier one.
    pub(crate) fn take_next(&mut self) -> Option<Post> {
        let mut seen = BTreeSet::new();
        let first =
            |(_, pending): &(u64, Pending)| seen.insert(pending.gateway.clone()) && pending.post.is_some();
        let at = self.pending.iter().position(first)?;
        self.pending.get_mut(at)?.1.post.take()
    }

    /// Completes a request. Returns the observation, with the length of what was posted.
    pub(crate) fn complete(
        &mut self,
        id: u64,
        outcome: Result<(u16, &[u8]), &str>,
    ) -> Option<(usize, Observation)> {
        let at = self.pending.iter().position(|(number, _)| *number == id)?;
        let (_, pending) = self.pending.remove(at)?;
        let (status, answer, error) = match outcome {
            Ok((status, body)) => {
                let text = String::from_utf8_lossy(body);
                let text = match &pending.key {
                    Some(key) => text.replace(key.expose(), HIDDEN),
                    None => text.into_owned(),
                };
                let answer = frame::value(text.as_bytes()).filter(Value::is_object);
                let error =
                    answer.as_ref().and_then(|answer| Some(answer.get("error")?.as_str()?.to_owned()));
                (Some(status), answer, error)
            }
            Err(why) => (None, None, Some(why.to_owned())),
        };
        let Pending { gateway, method, path, content: request, bytes, .. } = pending;
        let observation = Observation::Http {
            gateway,
            by: AskedBy::Connector,
            method: method.to_owned(),
            path,
            status,
            error,
            request,
            answer,
        };
        Some((bytes, observation))
    }
}
