//! Observation of the wire by the drive loop.

use super::Driver;
use crate::Runtime;
use crate::observe::{ObservedMachine, WireEvent, WireSide};
use relayline_core::output::Conn;
use relayline_core::time::{Now, Time};

impl<R: Runtime> Driver<R> {
    /// Notes an event of the wire for its observer.
    pub(super) fn note(&self, at: Time, event: WireEvent<'_>) {
        if let Some(observed) = &self.observed {
            observed.observer().note(at, event);
        }
    }

    /// Notes a dial for the observer of the wire, if there is one.
    pub(super) fn observe_dial(&mut self, conn: Conn, has_token: bool) {
        let Some(observer) = self.shared.observer.get() else { return };
        let config = &self.shared.config;
        let url = config.url.as_str();
        let target = url.split_once("://").map_or(url, |(_, rest)| rest);
        let target = target.find('/').map_or("/", |at| &target[at..]);
        let gateway_id = config.machine.credentials.as_ref().map(|known| known.gateway_id.as_str());
        let observed = self.observed.get_or_insert_with(|| ObservedMachine::new(observer.clone()));
        let event = WireEvent::Dial { target, gateway_id, has_token };
        observed.begin(conn.number()).note(self.shared.now().mono, event);
    }

    /// Notes the end of the socket by the connector, or by an error.
    pub(super) fn note_end(&self, now: Now, has_close_frame: bool, code: Option<u16>, reason: &str) {
        let by = WireSide::Connector;
        if has_close_frame {
            self.note(now.mono, WireEvent::Close { by, code, reason });
        }
        let reason = if has_close_frame { "" } else { reason };
        self.note(now.mono, WireEvent::Cut { by, reason });
    }
}
