//! Control socket (`run --control`): clients write ops beside the agent, and read their results.
//!
//! [`socket`] binds the path, [`server`] accepts clients on a thread of its own, and [`client`] is one client. The relay is
//! shared with the agent's session, so that the socket works with every kind of agent, and between two agents. Clients get
//! results only, no events.

#[cfg(unix)]
mod client;
mod counters;
#[cfg(not(unix))]
mod portable;
#[cfg(unix)]
mod server;
mod settings;
#[cfg(unix)]
mod socket;
#[cfg(unix)]
mod streams;

pub(crate) use counters::ControlMonitor;
#[cfg(not(unix))]
pub(crate) use portable::{ControlServer, ControlSocket, remove_socket};
#[cfg(unix)]
pub(crate) use server::ControlServer;
pub(crate) use settings::ControlSettings;
#[cfg(unix)]
pub(crate) use socket::{ControlSocket, connect_socket, remove_socket};

use super::execution::OpContext;
use super::media::{Media, MediaFolder};
use super::monitor::Monitor;
use super::queue_prompts::QueuePrompts;
use crate::signals::Shutdown;
use relayline_core::approver::Approver;
use relayline_runtime::Relay;
use std::io;
use std::sync::Arc;

impl ControlSocket {
    /// Begins to serve clients. An op `disconnect` triggers `shutdown`. `transfers` is the maximum number of files in
    /// transfer, and `approvers` are the users who may answer the prompts that clients show in another chat.
    ///
    /// # Errors
    /// The working folder cannot be read, or there is no thread.
    pub(crate) fn serve(
        self,
        relay: &Relay,
        monitor: &Monitor,
        shutdown: &Shutdown,
        transfers: usize,
        approvers: Arc<[Approver]>,
    ) -> io::Result<ControlServer> {
        // A client has the user of the gateway, and could read and write the files itself.
        let media = Media::new(MediaFolder::find(None, true)?, transfers);
        let queue = monitor.queue().map(|queue| QueuePrompts::new(queue.clone(), None));
        let context = OpContext { relay: relay.clone(), queue, media, monitor: monitor.clone(), approvers };
        ControlServer::start(self, context, shutdown.clone())
    }
}
