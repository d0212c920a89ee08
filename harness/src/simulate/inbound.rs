//! Packets and upgrade responses for the gateway.

use super::network::{Packet, Stage, UpgradeResponse};
use super::world::World;
use crate::recording::{LineContent, Side};
use relayline_core::machine::{DialFailure, IoEvent};
use relayline_core::output::Conn;

impl World<'_> {
    /// Handles the response to a dial.
    pub(crate) fn answer_arrives(&mut self, place: usize) {
        let Stage::Answered { answer, .. } =
            std::mem::replace(&mut self.network.links[place].stage, Stage::Open)
        else {
            return;
        };
        let conn = self.network.links[place].ours;
        if !self.network.links[place].gateway {
            return;
        }
        match answer {
            UpgradeResponse::Accepted => {
                self.io(&IoEvent::Opened { conn });
                if let Some(reason) = self.network.links[place].refused.take() {
                    self.send_to_gateway(place, Packet::Close { code: 4401, reason });
                }
            }
            UpgradeResponse::Unanswered(reason) => {
                self.network.links[place].gateway = false;
                self.io(&IoEvent::DialFailed { conn, failure: DialFailure::Unanswered(reason) });
            }
            UpgradeResponse::Refused(answer) => {
                self.network.links[place].gateway = false;
                self.io(&IoEvent::DialFailed { conn, failure: DialFailure::Refused(answer.refusal()) });
            }
        }
    }

    /// Handles the next packet for the gateway.
    pub(crate) fn gateway_reads(&mut self, place: usize) {
        let Some((at, _)) = self.network.links[place].to_gateway.next() else { return };
        let Some(packet) = self.network.links[place].to_gateway.pop() else { return };
        let conn = self.network.links[place].ours;
        if !self.network.links[place].gateway {
            return;
        }
        match packet {
            Packet::Bytes(bytes) => {
                let taken = self.read(conn, &bytes);
                if taken > 0 {
                    self.log.record_bytes(self.now, Side::Connector, &bytes[..taken]);
                }
                if taken < bytes.len() {
                    self.network.links[place].to_gateway.push_front(at, bytes[taken..].to_vec());
                }
            }
            Packet::Ping => {
                self.io(&IoEvent::Alive { conn });
                let link = &mut self.network.links[place];
                link.to_connector.put(self.now, Packet::Pong, &mut link.random, self.setup.link_config);
            }
            Packet::Pong => self.io(&IoEvent::Alive { conn }),
            Packet::Close { code, reason } => {
                self.log.record(self.now, || LineContent::Close {
                    by: Side::Connector,
                    dial: None,
                    code: Some(code),
                    reason: reason.clone(),
                });
                self.network.links[place].gateway = false;
                let link = &mut self.network.links[place];
                link.to_connector.put(
                    self.now,
                    Packet::Close { code, reason: String::new() },
                    &mut link.random,
                    self.setup.link_config,
                );
                self.io(&IoEvent::Closed { conn, code: Some(code), reason: &reason });
            }
            Packet::Reset => {
                self.log.record(self.now, || LineContent::Drop { by: Side::Connector, dial: None });
                self.network.links[place].gateway = false;
                self.io(&IoEvent::Closed { conn, code: None, reason: "connection reset" });
            }
        }
    }

    /// Gives the machine bytes of a socket, current or old. Returns the number of bytes that it took.
    pub(crate) fn read(&mut self, conn: Conn, bytes: &[u8]) -> usize {
        let mut taken = 0;
        self.with_process(|world, process, now| {
            let wanted = process.machine.wants_read();
            process.model.advance_clock(now);
            let is_current = process.model.dials.open() == Some(conn);
            taken = process.machine.handle_bytes(now, conn, bytes);
            world.log.trace_line(
                world.now,
                format_args!("read {conn} {taken} of {}", String::from_utf8_lossy(bytes).trim_end()),
            );
            world.oracle.check(
                "A-6",
                "reads-when-it-says-so",
                taken > 0 || !wanted || !is_current || bytes.is_empty(),
                || "it wants to read, and takes nothing".to_owned(),
            );
            world.oracle.check(
                "A-6",
                "stops-when-it-says-so",
                taken == bytes.len() || !process.machine.wants_read(),
                || format!("it took {taken} of {}, and wants more", bytes.len()),
            );
            process.model.bytes(
                &mut world.oracle,
                &world.users.events,
                conn,
                &bytes[..taken.min(bytes.len())],
            );
        });
        taken
    }
}
