//! What a gateway's frames bring about.

use super::{Conn, ConnectorMachine, MAX_SCRIPTED};
use crate::chats::Platform;
use crate::frame::{Known, Outgoing};
use crate::like::Like;
use crate::link::{Output, Phase};
use crate::prompts::Prompt;
use crate::saw::Saw;
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
        if self.config.like == Some(Like::Strict)
            && let Some(frame) = strictly_refused(&known, link.phase)
        {
            return self.end(conn, Output::Close { code: 1003, reason: format!("unexpected {frame}") });
        }
        match known {
            Known::Hello { platform, bot_id } => {
                let descriptor = match gateway.descriptors.get(&platform) {
                    Some(scripted) => scripted.clone(),
                    None => front(&self.config.platforms, &platform).descriptor,
                };
                let line = Outgoing::Descriptor { descriptor: &descriptor }.to_line();
                link.default_platform.get_or_insert_with(|| platform.clone());
                // A gateway cannot make this grow without bound: it fronts a handful of platforms.
                if link.descriptors.len() < MAX_SCRIPTED {
                    link.bot_ids.insert(platform.clone(), bot_id);
                    link.descriptors.insert(platform, descriptor);
                }
                link.phase = Phase::Live;
                self.is_changed |= std::mem::take(&mut gateway.is_idle);
                self.send(conn, line);
            }
            Known::Outbound { request_id, platform } => {
                let op = action.get("op").and_then(Value::as_str).unwrap_or_default();
                let scripted = gateway.answers.get(op).cloned();
                let delay = gateway.delays.get(op).copied();
                let name = platform.or_else(|| link.default_platform.clone()).unwrap_or_default();
                let platform = front(&self.config.platforms, &name);
                let descriptor = link.descriptors.get(&name).unwrap_or(&platform.descriptor);
                let (result, like) = match scripted {
                    Some(result) => {
                        self.answerer.note_scripted(action, &result);
                        (result, None)
                    }
                    None => (self.answerer.answer(now, platform.ids, descriptor, action), self.config.like),
                };
                if result.get("success").and_then(Value::as_bool) == Some(true) {
                    let text = |name: &str| action.get(name).and_then(Value::as_str);
                    match op {
                        "prompt" => {
                            let bot_id = link.bot_ids.get(&name).cloned().unwrap_or_default();
                            let shown = Prompt::read(&link.gateway, name, bot_id, action, &result);
                            // One that cannot be kept is as good as evicted.
                            self.stats.evicted_prompts += shown.map_or(1, |prompt| self.prompts.show(prompt));
                        }
                        "delete" => {
                            let message_id = text("message_id").unwrap_or_default();
                            self.prompts.delete(
                                &link.gateway,
                                text("chat_id").unwrap_or_default(),
                                message_id,
                            );
                        }
                        _ => {}
                    }
                }
                let line = answer_like(like, &request_id, result);
                self.send_after(now, conn, delay, line);
            }
            Known::InboundAck { buffer_id } => match link.unacked.remove(&buffer_id) {
                Some(sent) => {
                    if let Some(after) = self.config.unacked_after {
                        self.unacked.stop(sent + after, conn, &buffer_id);
                    }
                    gateway.buffer.remove(&buffer_id);
                    self.is_changed = true;
                }
                None => self.stats.stray_acks += 1,
            },
            Known::GoingIdle => {
                if !gateway.withholds_idle_ack && self.config.like != Some(Like::Silent) {
                    link.phase = Phase::Idle;
                    gateway.is_idle = true;
                    self.is_changed = true;
                    self.send(conn, Outgoing::GoingIdleAck.to_line());
                }
            }
            // There is no platform turn to stop here: it was shown, which is all.
            Known::Interrupt => {}
        }
    }
}

/// Returns the type of a frame that a strict connector does not take.
fn strictly_refused(known: &Known, phase: Phase) -> Option<&'static str> {
    match known {
        Known::Hello { .. } if phase != Phase::Open => Some("second hello"),
        Known::Interrupt => Some("interrupt"),
        Known::GoingIdle => Some("going_idle"),
        Known::Hello { .. } | Known::Outbound { .. } | Known::InboundAck { .. } => None,
    }
}

/// A result as the connector to play would send it.
fn answer_like(like: Option<Like>, request_id: &str, mut result: Value) -> Vec<u8> {
    match like {
        Some(Like::Errors) => {
            let text = result.get("error").and_then(Value::as_str).unwrap_or("internal error");
            return Outgoing::Error { request_id, error: text }.to_line();
        }
        Some(Like::Lenient) => {
            if let Some(fields) = result.as_object_mut() {
                fields.remove("success");
            }
        }
        Some(Like::Strict | Like::Silent | Like::Flood | Like::Displacing) | None => {}
    }
    Outgoing::OutboundResult { request_id, result: &result }.to_line()
}

/// How a platform is fronted: as configured, else generically.
pub(super) fn front(platforms: &[Platform], name: &str) -> Platform {
    match platforms.iter().find(|platform| platform.name == name) {
        Some(platform) => platform.clone(),
        None => Platform::generic(name),
    }
}
