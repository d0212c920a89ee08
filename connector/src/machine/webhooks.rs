//! Signed webhook requests: from an instruction to the driver, and back.

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

    /// Returns the next signed webhook request to post. Call [`handle_posted`](Self::handle_posted) with its outcome.
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
