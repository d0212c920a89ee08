//! A gateway as the subject of an inspector: its settings, its secrets and its status.

use super::monitor::Monitor;
use super::status::GatewayStatus;
use crate::inspector::Inspected;
use relayline_core::secret::Secret;
use relayline_harness::recording::Gateway;
use relayline_runtime::Relay;
use serde_json::json;

/// Returns the subject of a gateway's inspector.
pub(super) fn inspected(relay: &Relay, monitor: &Monitor) -> Inspected {
    let machine = &relay.config().machine;
    let secrets: Vec<Secret> = machine
        .credentials
        .iter()
        .map(|known| known.secret.clone())
        .chain(machine.delivery_keys.iter().cloned())
        .collect();
    let timing = &machine.timing;
    let gateway = Gateway {
        outbound_timeout: Some(timing.request_timeout),
        reconnect_backoff: Some(timing.backoff_first),
        reconnect_max_backoff: Some(timing.backoff_most),
        ..Gateway::default()
    };
    let (relay, monitor) = (relay.clone(), monitor.clone());
    let status = move || {
        let GatewayStatus {
            phase,
            phase_for_ms,
            next_dial_in_ms,
            asleep,
            queues,
            counters,
            agent,
            queue,
            ..
        } = GatewayStatus::of(&relay, &monitor);
        // Without ids and errors, which may have texts.
        json!({
            "phase": phase,
            "phase_for_ms": phase_for_ms,
            "next_dial_in_ms": next_dial_in_ms,
            "asleep": asleep,
            "queues": queues,
            "counters": counters,
            "agent": agent,
            "queue": queue,
        })
    };
    Inspected { is_connector: false, gateway, secrets, status: Box::new(status) }
}
