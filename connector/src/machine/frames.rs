//! Handling of a gateway's frames.

use super::ConnectorMachine;
use crate::config::MAX_NAMES;
use crate::connection::{Output, Phase};
use crate::frame::{GatewayFrame, Outgoing};
use crate::like::Like;
use crate::observation::Observation;
use crate::prompts::Prompt;
use crate::values::ConnId;
use relayline_core::time::Now;
use serde_json::Value;

impl ConnectorMachine {
    /// Reports a frame of a gateway to the host. `weight` is the frame's length in bytes.
    pub(super) fn observe_frame(&mut self, conn: ConnId, weight: usize, frame: Value) {
        if let Some(connection) = self.connections.get(&conn) {
            self.observations.push(
                weight,
                Observation::Frame { gateway: connection.gateway.clone(), dial: connection.dial, frame },
            );
        }
    }

    /// Handles a frame of a gateway. `action` is the raw action of an `outbound` frame.
    pub(super) fn handle_frame(&mut self, now: Now, conn: ConnId, frame: GatewayFrame, action: &Value) {
        let Some(connection) = self.connections.get(&conn) else { return };
        let Some(gateway) = self.gateways.get(&connection.gateway) else { return };
        if gateway.is_muted {
            return;
        }
        if self.config.like == Some(Like::Strict)
            && let Some(name) = strictly_refused(&frame, connection.phase)
        {
            return self.end(conn, Output::Close { code: 1003, reason: format!("unexpected {name}") });
        }
        match frame {
            GatewayFrame::Hello { platform, bot_id } => self.handle_hello(conn, platform, bot_id),
            GatewayFrame::Outbound { request_id, platform } => {
                self.handle_request(now, conn, &request_id, platform, action);
            }
            GatewayFrame::InboundAck { buffer_id } => self.handle_ack(conn, &buffer_id),
            GatewayFrame::GoingIdle => self.handle_going_idle(conn),
            // There is no platform turn to stop. The frame was observed.
            GatewayFrame::Interrupt => {}
        }
    }

    /// Answers a `hello` with the descriptor of its platform, which completes the handshake.
    fn handle_hello(&mut self, conn: ConnId, platform: String, bot_id: String) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let Some(gateway) = self.gateways.get_mut(&connection.gateway) else { return };
        let descriptor = match gateway.descriptors.get(&platform) {
            Some(scripted) => scripted.clone(),
            None => self.config.platform(&platform).descriptor,
        };
        let line = Outgoing::Descriptor { descriptor: &descriptor }.to_line();
        connection.default_platform.get_or_insert_with(|| platform.clone());
        // Real gateways front a few platforms. The bound limits a gateway that sends many names.
        if connection.descriptors.len() < MAX_NAMES {
            connection.bot_ids.insert(platform.clone(), bot_id);
            connection.descriptors.insert(platform, descriptor);
        }
        connection.phase = Phase::Live;
        self.wakes.stop(&connection.gateway);
        self.has_durable_change |= std::mem::take(&mut gateway.is_idle);
        self.send(conn, line);
    }

    /// Answers a request with its scripted result, or else with the responder's. `platform` is the platform that the
    /// frame names.
    fn handle_request(
        &mut self,
        now: Now,
        conn: ConnId,
        request_id: &str,
        platform: Option<String>,
        action: &Value,
    ) {
        let Some(connection) = self.connections.get(&conn) else { return };
        let Some(gateway) = self.gateways.get(&connection.gateway) else { return };
        let op = action.get("op").and_then(Value::as_str).unwrap_or_default();
        let scripted = gateway.answers.get(op).cloned();
        let delay = gateway.delays.get(op).copied();
        let name = platform.or_else(|| connection.default_platform.clone()).unwrap_or_default();
        let platform = self.config.platform(&name);
        let descriptor = connection.descriptors.get(&name).unwrap_or(&platform.descriptor);
        let (result, like) = match scripted {
            Some(result) => {
                self.responder.note_scripted(action, &result);
                (result, None)
            }
            None => (self.responder.answer(now, platform.ids, descriptor, action), self.config.like),
        };
        if self.config.observes_output {
            self.observations.push(
                request_id.len(),
                Observation::Answered {
                    gateway: connection.gateway.clone(),
                    dial: connection.dial,
                    request_id: request_id.to_owned(),
                    result: result.clone(),
                },
            );
        }
        if result.get("success").and_then(Value::as_bool) == Some(true) {
            self.update_prompts(conn, name, op, action, &result);
        }
        let line = result_line(like, request_id, result);
        self.send_delayed(now, conn, delay, line);
    }

    /// Opens the prompt that a successful `prompt` has shown, or closes the prompts of a deleted message.
    fn update_prompts(&mut self, conn: ConnId, platform: String, op: &str, action: &Value, result: &Value) {
        let Some(connection) = self.connections.get(&conn) else { return };
        let text = |name: &str| action.get(name).and_then(Value::as_str).unwrap_or_default();
        match op {
            "prompt" => {
                let bot_id = connection.bot_ids.get(&platform).cloned().unwrap_or_default();
                let prompt = Prompt::read(&connection.gateway, platform, bot_id, action, result);
                // A prompt that is too large to keep counts as evicted.
                self.stats.evicted_prompts += prompt.map_or(1, |prompt| self.prompts.show(prompt));
            }
            "delete" => self.prompts.delete(&connection.gateway, text("chat_id"), text("message_id")),
            _ => {}
        }
    }

    /// Removes an acknowledged entry from the gateway's buffer.
    fn handle_ack(&mut self, conn: ConnId, buffer_id: &str) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let Some(gateway) = self.gateways.get_mut(&connection.gateway) else { return };
        let Some(sent) = connection.in_flight.remove(buffer_id) else {
            self.stats.stray_acks += 1;
            return;
        };
        if let Some(after) = self.config.unacked_after {
            self.ack_timers.stop(sent + after, conn, buffer_id);
        }
        gateway.buffer.remove(buffer_id);
        self.has_durable_change = true;
    }

    /// Confirms idleness, unless an instruction or the imitated connector withholds the confirmation.
    fn handle_going_idle(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let Some(gateway) = self.gateways.get_mut(&connection.gateway) else { return };
        if gateway.withholds_idle_ack || self.config.like == Some(Like::Silent) {
            return;
        }
        connection.phase = Phase::Idle;
        gateway.is_idle = true;
        self.has_durable_change = true;
        self.send(conn, Outgoing::GoingIdleAck.to_line());
    }
}

/// Returns the name of a frame that a strict connector rejects; `None` if it accepts the frame.
fn strictly_refused(frame: &GatewayFrame, phase: Phase) -> Option<&'static str> {
    match frame {
        GatewayFrame::Hello { .. } if phase != Phase::Open => Some("second hello"),
        GatewayFrame::Interrupt => Some("interrupt"),
        GatewayFrame::GoingIdle => Some("going_idle"),
        GatewayFrame::Hello { .. } | GatewayFrame::Outbound { .. } | GatewayFrame::InboundAck { .. } => None,
    }
}

/// Returns the line of a result, as the imitated connector sends it.
fn result_line(like: Option<Like>, request_id: &str, mut result: Value) -> Vec<u8> {
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
