//! Signed deliveries: what the connector posts to a gateway's own endpoint (C-3, H-6).

use super::ConnectorMachine;
use super::commands::show_id;
use super::enroll::is_endpoint;
use crate::control::{ControlError, Webhook};
use crate::frame;
use crate::http::HIDDEN;
use crate::observation::{AskedBy, Observation};
use ::http::Method;
use ::http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use relayline_control::http::{Body, MAX_ANSWER, Request, TIMEOUT};
use relayline_core::secret::Secret;
use relayline_core::signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};
use relayline_core::time::Now;
use serde_json::{Value, json};
use std::collections::{BTreeSet, VecDeque};
use url::Url;

/// One delivery that is to be posted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Post {
    /// Its number: what [`ConnectorMachine::handle_posted`] wants back.
    pub id: u64,
    /// What to send, as it is.
    pub request: Request,
}

/// A delivery that waits, or whose answer is awaited.
#[derive(Debug)]
struct Waiting {
    gateway: String,
    path: String,
    content: Value,
    bytes: usize,
    /// Until it is under way.
    post: Option<Post>,
    /// Never shown, should the gateway repeat it.
    key: Secret,
}

/// Deliveries until they are answered: each gateway's one after the other, so that they keep their order.
#[derive(Debug, Default)]
pub(super) struct Webhooks {
    waiting: VecDeque<(u64, Waiting)>,
    count: u64,
}

impl Webhooks {
    /// The next whose gateway has none before it.
    fn next(&mut self) -> Option<Post> {
        let mut seen = BTreeSet::new();
        let first =
            |(_, waiting): &(u64, Waiting)| seen.insert(waiting.gateway.clone()) && waiting.post.is_some();
        let at = self.waiting.iter().position(first)?;
        self.waiting.get_mut(at)?.1.post.take()
    }
}

impl ConnectorMachine {
    /// Signs a delivery now; it is posted as soon as the gateway has answered those before it.
    pub(super) fn post(&mut self, now: Now, ids: &[String], delivery: Webhook) -> Result<(), ControlError> {
        let [id] = ids else {
            return Err(ControlError::WhichGateway { known: self.known_ids() });
        };
        let Some(account) = self.gateways.get(id).map(|gateway| &gateway.account) else { return Ok(()) };
        let Webhook { event, interrupt, url, key, skew_s } = delivery;
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
        let told = || account.endpoint(platform.as_deref()).map(str::to_owned);
        let url = url.or_else(told).ok_or_else(|| ControlError::NoEndpoint { gateway: show_id(id) })?;
        let mut url = Url::parse(&url).ok().filter(is_endpoint).ok_or(ControlError::NotAnEndpoint)?;
        if !below.is_empty() {
            let path = [url.path().trim_end_matches('/'), below].concat();
            url.set_path(&path);
        }
        let key = key.or_else(|| account.delivery_key().cloned());
        let key = key.ok_or_else(|| ControlError::NoDeliveryKey { gateway: show_id(id) })?;
        if self.webhooks.waiting.len() >= self.config.limits.webhooks {
            return Err(ControlError::TooManyWebhooks(self.webhooks.waiting.len()));
        }
        self.webhooks.count += 1;
        let (number, path) = (self.webhooks.count, url.path().to_owned());
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
            max_answer: MAX_ANSWER,
        };
        let post = Some(Post { id: number, request });
        self.webhooks
            .waiting
            .push_back((number, Waiting { gateway: id.clone(), path, content, bytes, post, key }));
        Ok(())
    }

    /// The next delivery to post; say [`handle_posted`](Self::handle_posted) when that is done.
    pub fn poll_post(&mut self) -> Option<Post> {
        self.webhooks.next()
    }

    /// What came of a delivery: the status and what was read of the answer's body, or why there is no answer.
    pub fn handle_posted(&mut self, id: u64, outcome: Result<(u16, &[u8]), &str>) {
        let Some(at) = self.webhooks.waiting.iter().position(|(number, _)| *number == id) else { return };
        let Some((_, waiting)) = self.webhooks.waiting.remove(at) else { return };
        let (status, answer, error) = match outcome {
            Ok((status, body)) => {
                let text = String::from_utf8_lossy(body).replace(waiting.key.expose(), HIDDEN);
                let answer = frame::value(text.as_bytes()).filter(Value::is_object);
                let error =
                    answer.as_ref().and_then(|answer| Some(answer.get("error")?.as_str()?.to_owned()));
                (Some(status), answer, error)
            }
            Err(why) => (None, None, Some(why.to_owned())),
        };
        let Waiting { gateway, path, content, bytes, .. } = waiting;
        self.observations.push(
            bytes,
            Observation::Http {
                gateway,
                by: AskedBy::Connector,
                method: "POST".to_owned(),
                path,
                status,
                error,
                request: Some(content),
                answer,
            },
        );
    }
}
