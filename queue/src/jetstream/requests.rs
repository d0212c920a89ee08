//! Requests of operators: a message to the leader, and its reply.

use super::error::JetStreamError;
use super::link::Link;
use super::names::Names;
use crate::id::RequestId;
use crate::output::{OperatorRequest, RequestRefused};
use crate::store::request_text::{parse_request, parse_result, request_text, result_name};
use async_nats::{Client, Message, RequestErrorKind, Subject};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

/// Maximum number of requests that wait for their results.
const MAX_REQUESTS: usize = 1000;

/// Maximum time for which the leader's answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Result of a request that the leader does not know.
const UNSUPPORTED: &str = "unsupported";
/// Result of a request while too many wait.
const BUSY: &str = "busy";

/// Requests whose results are to be sent.
#[derive(Debug, Default)]
pub(super) struct Replies {
    waiting: RefCell<BTreeMap<RequestId, Subject>>,
    last: Cell<u64>,
}

impl Replies {
    /// Takes a request; `None` if it is answered already.
    pub(super) async fn take(
        &self,
        client: &Client,
        message: Message,
    ) -> Option<(RequestId, OperatorRequest)> {
        let reply = message.reply?;
        let request = std::str::from_utf8(&message.payload).ok().and_then(parse_request);
        let is_full = self.waiting.borrow().len() >= MAX_REQUESTS;
        let Some(request) = request.filter(|_| !is_full) else {
            let answer = if is_full { BUSY } else { UNSUPPORTED };
            // Best effort: its sender times out.
            let _ = client.publish(reply, answer.into()).await;
            return None;
        };
        self.last.set(self.last.get() + 1);
        let id = RequestId(self.last.get());
        self.waiting.borrow_mut().insert(id, reply);
        Some((id, request))
    }

    /// Sends the result of a request.
    pub(super) async fn finish(&self, client: &Client, id: RequestId, result: Result<(), RequestRefused>) {
        let reply = self.waiting.borrow_mut().remove(&id);
        if let Some(reply) = reply {
            // Best effort: its sender times out.
            let _ = client.publish(reply, result_name(result).into()).await;
            let _ = client.flush().await;
        }
    }
}

/// Sends a request to the leader, and waits for its result.
pub(super) async fn send(
    link: &Link,
    names: &Names,
    request: OperatorRequest,
) -> Result<Result<(), RequestRefused>, JetStreamError> {
    let message =
        async_nats::Request::new().payload(request_text(request).into()).timeout(Some(ANSWER_WITHIN));
    let failed = |why: &str| {
        let text = format!("the gateway that has the queue {why}");
        JetStreamError::Store(crate::store::StoreFault { kind: crate::store::FaultKind::Unavailable, text })
    };
    match link.context.client().send_request(names.requests(), message).await {
        Ok(reply) => match std::str::from_utf8(&reply.payload) {
            Ok(BUSY) => Err(failed("has too many requests: wait until it has carried them out")),
            text => match text.ok().and_then(parse_result) {
                Some(result) => Ok(result),
                None => Err(failed("is older, and does not know this request: restart it")),
            },
        },
        Err(error) if error.kind() == RequestErrorKind::NoResponders => Err(JetStreamError::NoLeader),
        Err(_) => Err(failed(
            "has not answered in time: look with `relayline queue list` whether the request was carried out",
        )),
    }
}
