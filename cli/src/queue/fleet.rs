//! Connection of a gateway to its workers, before its queue is open; and the workers as another process sees them.

use super::location::QueueLocation;
use crate::bridge::{FleetHost, FleetShared, GatewayParts};
use relayline_queue::fleet::{WorkerMember, ask_for_members, read_members};
use relayline_queue::inbox::DurableQueue;
use relayline_queue::jetstream::{FleetBus, FleetSubject, JetStreamError, NatsUrl};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

/// Maximum time for the leader's answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Connection of a gateway to its workers.
pub(crate) struct FleetStart {
    shared: Arc<FleetShared>,
    bus: FleetBus,
}

impl FleetStart {
    /// Connects to the servers. Frames of workers are ignored until the queue is open.
    pub(crate) fn connect(url: &NatsUrl, gateway_id: &str) -> Result<FleetStart, JetStreamError> {
        let shared = FleetShared::new();
        let frames = shared.clone();
        let bus = FleetBus::leader(url, gateway_id, move |frame| frames.handle_frame(frame))?;
        Ok(FleetStart { shared, bus })
    }

    /// Begins to serve workers from an open queue.
    pub(crate) fn host(self, queue: DurableQueue, parts: GatewayParts) -> FleetHost {
        FleetHost::new(self.shared, queue, self.bus, parts)
    }
}

/// Returns the workers of the gateway that leads; none if it does not answer.
pub(super) fn members(location: &QueueLocation, gateway_id: Option<&str>) -> Vec<WorkerMember> {
    let QueueLocation::Servers(url) = location else { return Vec::new() };
    let Ok(asker) = super::random_name("status") else { return Vec::new() };
    let (sender, answers) = channel();
    let on_frame = move |frame: &[u8]| {
        if let Some(members) = read_members(frame) {
            let _ = sender.send(members);
        }
    };
    let id = gateway_id.unwrap_or(super::DEFAULT_ID);
    let Ok(bus) = FleetBus::worker(url, id, &asker, on_frame) else { return Vec::new() };
    bus.publish(FleetSubject::Leader, ask_for_members(&asker));
    answers.recv_timeout(ANSWER_WITHIN).unwrap_or_default()
}
