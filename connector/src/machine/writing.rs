//! What is queued for a connection, its end included.

use super::{Conn, ConnectorMachine};
use crate::link::{Output, Phase};
use crate::saw::{ClosedBy, Saw};
use relayline_core::time::Now;
use std::time::Duration;

impl ConnectorMachine {
    pub(super) fn send(&mut self, conn: Conn, line: Vec<u8>) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        if link.phase == Phase::Ending {
            return;
        }
        if !link.queue_frame(line, self.config.limits.write_bytes) {
            self.stats.cut_slow += 1;
            link.cut();
            self.note_end(conn, None, "does not read".to_owned());
        }
        self.ready.insert(conn);
    }

    pub(super) fn send_after(&mut self, now: Now, conn: Conn, delay_ms: Option<u64>, line: Vec<u8>) {
        let Some(ms) = delay_ms else {
            return self.send(conn, line);
        };
        if self.delayed.len() >= self.config.limits.delayed_results {
            self.stats.not_delayed += 1;
            return self.send(conn, line);
        }
        self.delayed_count += 1;
        let due = now.mono + Duration::from_millis(ms);
        self.delayed.insert((due, self.delayed_count), (conn, line));
    }

    pub(super) fn end(&mut self, conn: Conn, end: Output) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        if link.phase == Phase::Ending {
            return;
        }
        let (code, reason) = match &end {
            Output::Close { code, reason } => (Some(*code), reason.clone()),
            Output::Drop | Output::Frame(_) => (None, String::new()),
        };
        link.queue_end(end);
        self.ready.insert(conn);
        self.note_end(conn, code, reason);
    }

    /// The connector ended a connection: from here on its gateway counts as away.
    pub(super) fn note_end(&mut self, conn: Conn, code: Option<u16>, reason: String) {
        let Some(link) = self.links.get(&conn) else { return };
        let (gateway, dial) = (link.gateway.clone(), link.dial);
        self.forget(&gateway, conn);
        self.saws.push(reason.len(), Saw::Closed { gateway, dial, code, reason, by: ClosedBy::Connector });
    }

    /// The connection is its gateway's no more; results for it are pointless.
    pub(super) fn forget(&mut self, gateway: &str, conn: Conn) {
        self.delayed.retain(|_, (of, _)| *of != conn);
        self.unacked.stop_all(conn);
        if let Some(gateway) = self.gateways.get_mut(gateway) {
            gateway.conn.take_if(|current| *current == conn);
        }
    }
}
