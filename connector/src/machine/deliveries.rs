//! Deliveries to a gateway: live, or through its buffer.

use super::ConnectorMachine;
use crate::connection::Phase;
use crate::control::{ControlError, show_id};
use crate::frame::DeliveryKind;
use crate::like::Like;
use crate::observation::Observation;
use crate::values::ConnId;
use relayline_core::time::Now;
use serde_json::{Map, Value};

/// Maximum number of unacknowledged entries of [`Like::Flood`].
const FLOOD: usize = 100;

impl ConnectorMachine {
    pub(super) fn deliver(
        &mut self,
        now: Now,
        ids: &[String],
        kind: DeliveryKind,
        content: Map<String, Value>,
        buffered: Option<bool>,
    ) -> Result<(), ControlError> {
        let [id] = ids else {
            return Err(ControlError::WhichGateway { known: self.known_ids() });
        };
        if kind == DeliveryKind::Inbound {
            self.prompts.note_author(&content);
        }
        let Some(gateway) = self.gateways.get_mut(id) else { return Ok(()) };
        let live = gateway.conn.filter(|conn| {
            !gateway.is_muted
                && self.connections.get(conn).is_some_and(|connection| connection.phase == Phase::Live)
        });
        match (live, buffered) {
            (Some(conn), Some(false)) => {
                self.send(conn, kind.to_line(&content, None));
                return Ok(());
            }
            // An entry of the same chat that waits goes first.
            (Some(conn), None) if !gateway.buffer.has_lane_of(kind, &content) => {
                self.send(conn, kind.to_line(&content, None));
                return Ok(());
            }
            (None, Some(false)) => {
                let hint = ", or leave out \"buffered\": it then waits for the gateway";
                return Err(ControlError::NotConnected { gateway: show_id(id), hint });
            }
            (Some(_) | None, Some(true) | None) => {}
        }
        let Some(buffer_id) = gateway.buffer.push(now, kind, content, &self.config.limits) else {
            let (entries, bytes) = (gateway.buffer.len(), gateway.buffer.bytes());
            return Err(ControlError::BufferFull { gateway: show_id(id), entries, bytes });
        };
        self.has_durable_change = true;
        if self.is_durable {
            self.observations.push(buffer_id.len(), Observation::Buffered { gateway: id.clone(), buffer_id });
        }
        match live {
            Some(conn) => self.drain(now, conn),
            None => self.wake(now, id),
        }
        Ok(())
    }

    /// Sends the first buffered entry, unless one is waiting for its ack. A connector that floods sends all that
    /// fit.
    pub(super) fn drain(&mut self, now: Now, conn: ConnId) {
        let most = if self.config.like == Some(Like::Flood) { FLOOD } else { 1 };
        let mut at = 0;
        while let Some(connection) = self.connections.get_mut(&conn)
            && let Some(gateway) = self.gateways.get(&connection.gateway)
            && connection.phase == Phase::Live
            && connection.in_flight.len() < most
            && !gateway.is_muted
            && gateway.conn == Some(conn)
            && let Some(entry) = gateway.buffer.get(at)
        {
            at += 1;
            let id = entry.buffer_id();
            if connection.in_flight.contains_key(id) {
                continue;
            }
            let line = entry.to_line();
            // The next ack makes room, and drains again.
            if !connection.in_flight.is_empty()
                && !connection.has_room(line.len(), self.config.limits.write_bytes)
            {
                return;
            }
            connection.in_flight.insert(id.to_owned(), now.mono);
            if let Some(after) = self.config.unacked_after {
                self.ack_timers.start(now.mono + after, conn, id);
            }
            self.send(conn, line);
        }
    }

    /// Reports an entry whose ack is late, once.
    pub(super) fn report_late_ack(&mut self, now: Now, conn: ConnId, id: &str) {
        let Some(connection) = self.connections.get(&conn) else { return };
        let Some(gateway) = self.gateways.get_mut(&connection.gateway) else { return };
        let (Some(sent), Some(entry)) = (connection.in_flight.get(id), gateway.buffer.find_mut(id)) else {
            return;
        };
        if std::mem::replace(&mut entry.is_reported, true) {
            return;
        }
        let for_ms = now.mono.since(*sent).as_millis();
        self.observations.push(
            id.len(),
            Observation::Unacked {
                gateway: connection.gateway.clone(),
                dial: connection.dial,
                buffer_id: id.to_owned(),
                frame_type: entry.kind().frame_type(),
                for_ms: u64::try_from(for_ms).unwrap_or(u64::MAX),
            },
        );
    }
}
