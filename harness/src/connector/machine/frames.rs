//! What a gateway's frames bring about.

use super::{Conn, ConnectorMachine, MAX_SCRIPTED};
use crate::chats::Platform;
use crate::connector::frame::{Known, Outgoing};
use crate::connector::link::Phase;
use crate::connector::saw::Saw;
use relayline_core::time::Now;
use serde_json::Value;

impl ConnectorMachine {
    pub(super) fn show(&mut self, conn: Conn, weight: usize, frame: Value) {
        if let Some(link) = self.links.get(&conn) {
            self.saws.push(weight, Saw::Frame { gateway: link.gateway.clone(), dial: link.dial, frame });
        }
    }

    pub(super) fn obey(&mut self, now: Now, conn: Conn, known: Known, action: &Value) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        let Some(gateway) = self.gateways.get_mut(&link.gateway) else { return };
        if gateway.muted {
            return;
        }
        match known {
            Known::Hello { platform } => {
                let descriptor = match gateway.descriptors.get(&platform) {
                    Some(scripted) => scripted.clone(),
                    None => front(&self.config.platforms, &platform).descriptor,
                };
                let line = Outgoing::Descriptor { descriptor: &descriptor }.to_line();
                link.default_platform.get_or_insert_with(|| platform.clone());
                // A gateway cannot make this grow without bound: it fronts a handful of platforms.
                if link.descriptors.len() < MAX_SCRIPTED {
                    link.descriptors.insert(platform, descriptor);
                }
                link.phase = Phase::Live;
                self.send(conn, line);
            }
            Known::Outbound { request_id, platform } => {
                let op = action.get("op").and_then(Value::as_str).unwrap_or_default();
                let scripted = gateway.answers.get(op).cloned();
                let delay = gateway.delays.get(op).copied();
                let name = platform.or_else(|| link.default_platform.clone()).unwrap_or_default();
                let platform = front(&self.config.platforms, &name);
                let descriptor = link.descriptors.get(&name).unwrap_or(&platform.descriptor);
                let result = match scripted {
                    Some(result) => {
                        self.answerer.note_scripted(action, &result);
                        result
                    }
                    None => self.answerer.answer(now, platform.ids, descriptor, action),
                };
                let line = Outgoing::OutboundResult { request_id: &request_id, result: &result }.to_line();
                self.send_after(now, conn, delay, line);
            }
            Known::InboundAck { buffer_id } => {
                if link.awaits_ack.as_ref() == Some(&buffer_id) {
                    link.awaits_ack = None;
                    gateway.buffer.pop();
                } else {
                    self.stats.stray_acks += 1;
                }
            }
            Known::GoingIdle => {
                if !gateway.withholds_idle_ack {
                    link.phase = Phase::Idle;
                    self.send(conn, Outgoing::GoingIdleAck.to_line());
                }
            }
            // There is no platform turn to stop here: it was shown, which is all.
            Known::Interrupt => {}
        }
    }
}

/// How a platform is fronted: as configured, else generically.
fn front(platforms: &[Platform], name: &str) -> Platform {
    match platforms.iter().find(|platform| platform.name == name) {
        Some(platform) => platform.clone(),
        None => Platform::generic(name),
    }
}
