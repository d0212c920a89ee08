//! Signed webhook requests and wake-ups: to the driver, and back.

use super::ConnectorMachine;
use crate::control::{ControlError, Webhook};
use crate::values::Post;
use relayline_core::time::Now;

impl ConnectorMachine {
    /// Signs a request now. It is posted once the gateway has answered those before it.
    pub(super) fn post(&mut self, now: Now, ids: &[String], webhook: Webhook) -> Result<(), ControlError> {
        let [id] = ids else {
            return Err(ControlError::WhichGateway { known: self.known_ids() });
        };
        let Some(account) = self.gateways.get(id).map(|gateway| &gateway.account) else { return Ok(()) };
        self.webhooks.push(now, id, account, webhook, self.config.limits.webhooks)
    }

    /// Wakes a gateway up that is not connected while an entry waits for it, if it has a URL for that. It is woken again
    /// after a while.
    pub(super) fn wake(&mut self, now: Now, id: &str) {
        let Some(gateway) = self.gateways.get(id) else { return };
        let Some(url) = gateway.account.wake_url() else { return };
        let waits = gateway.conn.is_none() && gateway.buffer.len() > 0 && !gateway.is_revoked;
        if waits && self.wakes.begin(now, id) {
            self.webhooks.push_wake(id, url, self.config.limits.webhooks);
        }
    }

    /// Returns the next request to a gateway: a signed webhook request, or a wake-up. Call [`handle_posted`](Self::handle_posted) with its outcome.
    pub fn poll_post(&mut self) -> Option<Post> {
        self.webhooks.take_next()
    }

    /// Handles the outcome of a [`Post`]: the status and the body of the answer, or the reason for which there is no
    /// answer. An unknown id is ignored.
    pub fn handle_posted(&mut self, id: u64, outcome: Result<(u16, &[u8]), &str>) {
        if let Some((weight, observation)) = self.webhooks.complete(id, outcome) {
            self.observations.push(weight, observation);
        }
    }
}
