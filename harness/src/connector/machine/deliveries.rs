//! Events and forwards on their way to a gateway: live, or through its buffer.

use super::told::show_id;
use super::{Conn, ConnectorMachine};
use crate::connector::buffer::Kind;
use crate::connector::control::ControlError;
use crate::connector::link::Phase;
use relayline_core::time::Now;
use serde_json::{Map, Value};

impl ConnectorMachine {
    pub(super) fn deliver(
        &mut self,
        now: Now,
        ids: &[String],
        kind: Kind,
        content: Map<String, Value>,
        buffered: Option<bool>,
    ) -> Result<(), ControlError> {
        let [id] = ids else {
            return Err(ControlError::WhichGateway { known: self.known() });
        };
        let Some(gateway) = self.gateways.get_mut(id) else { return Ok(()) };
        let live = gateway.conn.filter(|conn| {
            !gateway.muted && self.links.get(conn).is_some_and(|link| link.phase == Phase::Live)
        });
        match (live, buffered) {
            (Some(conn), Some(false)) => {
                self.send(conn, kind.to_line(&content, None));
                return Ok(());
            }
            // What waits for the same chat goes first.
            (Some(conn), None) if !gateway.buffer.holds_lane_of(kind, &content) => {
                self.send(conn, kind.to_line(&content, None));
                return Ok(());
            }
            (None, Some(false)) => {
                let hint = ", or leave out \"buffered\": it then waits for the gateway";
                return Err(ControlError::NotConnected { gateway: show_id(id), hint });
            }
            (Some(_) | None, Some(true) | None) => {}
        }
        let limits = &self.config.limits;
        if !gateway.buffer.push(now, kind, content, (limits.buffer_entries, limits.buffer_bytes)) {
            let (entries, bytes) = (gateway.buffer.len(), gateway.buffer.bytes());
            return Err(ControlError::BufferFull { gateway: show_id(id), entries, bytes });
        }
        if let Some(conn) = live {
            self.drain(conn);
        }
        Ok(())
    }

    /// Sends the first buffered entry, unless one is waiting for its ack.
    pub(super) fn drain(&mut self, conn: Conn) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        let Some(gateway) = self.gateways.get_mut(&link.gateway) else { return };
        if link.phase != Phase::Live
            || link.awaits_ack.is_some()
            || gateway.muted
            || gateway.conn != Some(conn)
        {
            return;
        }
        let Some(entry) = gateway.buffer.front() else { return };
        link.awaits_ack = Some(entry.buffer_id().to_owned());
        let line = entry.to_line();
        self.send(conn, line);
    }
}
