//! Options of a queue between a gateway and its hosts.

use crate::config::QueueLimits;
use std::path::PathBuf;

/// Options of a queue.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct QueueOptions {
    /// Limits and time-outs.
    pub limits: QueueLimits,
    /// Id of the gateway. A queue that belongs to another one is refused. `None` does not compare.
    pub gateway_id: Option<String>,
    /// Folder into which files of messages are fetched before their hand-out; none are fetched by default.
    pub media: Option<PathBuf>,
}

impl QueueOptions {
    /// Sets the limits and time-outs.
    #[must_use]
    pub fn limits(mut self, limits: QueueLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the id of the gateway.
    #[must_use]
    pub fn gateway_id(mut self, id: impl Into<String>) -> Self {
        self.gateway_id = Some(id.into());
        self
    }

    /// Sets the folder into which files of messages are fetched.
    #[must_use]
    pub fn media(mut self, folder: impl Into<PathBuf>) -> Self {
        self.media = Some(folder.into());
        self
    }
}
