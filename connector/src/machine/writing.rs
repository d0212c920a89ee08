//! Output of connections: their frames, and their end.

use super::ConnectorMachine;
use crate::connection::{Output, Phase};
use crate::observation::{ClosedBy, Observation};
use crate::values::ConnId;
use relayline_core::time::Now;
use std::time::Duration;

impl ConnectorMachine {
    pub(super) fn send(&mut self, conn: ConnId, line: Vec<u8>) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        if connection.phase == Phase::Ending {
            return;
        }
        if self.config.observes_output {
            let frame = serde_json::from_slice(&line)
                .unwrap_or_else(|_| String::from_utf8_lossy(&line).into_owned().into());
            let (gateway, dial) = (connection.gateway.clone(), connection.dial);
            self.observations.push(line.len(), Observation::Sent { gateway, dial, frame });
        }
        if !connection.queue_frame(line, self.config.limits.write_bytes) {
            self.stats.cut_slow += 1;
            connection.cut();
            self.record_end(conn, None, "does not read".to_owned());
        }
        self.ready.insert(conn);
    }

    pub(super) fn send_delayed(&mut self, now: Now, conn: ConnId, delay_ms: Option<u64>, line: Vec<u8>) {
        let Some(ms) = delay_ms else {
            return self.send(conn, line);
        };
        if self.delayed.len() >= self.config.limits.delayed_results {
            self.stats.not_delayed += 1;
            return self.send(conn, line);
        }
        self.delayed.push(now.mono + Duration::from_millis(ms), conn, line);
    }

    pub(super) fn end(&mut self, conn: ConnId, end: Output) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        if connection.phase == Phase::Ending {
            return;
        }
        let (code, reason) = match &end {
            Output::Close { code, reason } => (Some(*code), reason.clone()),
            Output::Drop | Output::Frame(_) => (None, String::new()),
        };
        connection.queue_end(end);
        self.ready.insert(conn);
        self.record_end(conn, code, reason);
    }

    /// Records that the connector has ended a connection. Its gateway counts as disconnected from here on.
    pub(super) fn record_end(&mut self, conn: ConnId, code: Option<u16>, reason: String) {
        let Some(connection) = self.connections.get(&conn) else { return };
        let (gateway, dial) = (connection.gateway.clone(), connection.dial);
        self.detach(&gateway, conn);
        self.observations
            .push(reason.len(), Observation::Closed { gateway, dial, code, reason, by: ClosedBy::Connector });
    }

    /// Detaches a connection from its gateway, and drops what was due on it.
    pub(super) fn detach(&mut self, gateway: &str, conn: ConnId) {
        self.delayed.drop_all(conn);
        self.ack_timers.stop_all(conn);
        if let Some(gateway) = self.gateways.get_mut(gateway) {
            gateway.conn.take_if(|current| *current == conn);
        }
    }
}
