//! Instructions of the bridge or of a test.

use super::ConnectorMachine;
use crate::config::{EnrollToken, MAX_NAMES};
use crate::connection::Output;
use crate::control::{Act, Control, ControlError, show_id};
use crate::frame::{DeliveryKind, Outgoing};
use crate::gateway::Gateway;
use crate::issuer::Credential;
use crate::values::ConnId;
use relayline_core::machine::CREDENTIALS_REJECTED;
use relayline_core::secret::Secret;
use relayline_core::time::Now;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

impl ConnectorMachine {
    /// Carries out an instruction of the host: of a bridge, a script or a test.
    ///
    /// # Errors
    /// Fails without any effect if the instruction cannot be carried out; the error says what to do instead.
    pub fn control(&mut self, now: Now, control: impl Into<Control>) -> Result<(), ControlError> {
        let Control { gateway, act } = control.into();
        let ids = match (act.is_about_gateways(), gateway) {
            (true, gateway) => self.targets(gateway)?,
            (false, None) => Vec::new(),
            (false, Some(_)) => return Err(ControlError::NoGatewayMeant),
        };
        if changes_durable_state(&act) {
            self.has_durable_change = true;
        }
        match act {
            Act::Inbound { event, buffered } => {
                self.deliver(now, &ids, DeliveryKind::Inbound, event, buffered)
            }
            Act::Passthrough { forward, buffered } => {
                self.deliver(now, &ids, DeliveryKind::Passthrough, forward, buffered)
            }
            Act::Press(press) => self.press(now, &ids, &press),
            Act::Interrupt { session_key, chat_id } => {
                let line =
                    Outgoing::InterruptInbound { session_key: &session_key, chat_id: &chat_id }.to_line();
                for conn in self.connected(&ids)? {
                    self.send(conn, line.clone());
                }
                Ok(())
            }
            Act::Raw { text } => {
                for conn in self.connected(&ids)? {
                    self.send(conn, text.clone().into_bytes());
                }
                Ok(())
            }
            Act::Drop => {
                for conn in self.connected(&ids)? {
                    self.end(conn, Output::Drop);
                }
                Ok(())
            }
            Act::HalfOpen => {
                for conn in self.connected(&ids)? {
                    if let Some(connection) = self.connections.get_mut(&conn) {
                        connection.lose();
                        self.ready.remove(&conn);
                    }
                }
                Ok(())
            }
            Act::Close { code, reason } => {
                check_close(code, &reason)?;
                for conn in self.connected(&ids)? {
                    self.end(conn, Output::Close { code, reason: reason.clone() });
                }
                Ok(())
            }
            Act::Revoke { on } => self.change_each(&ids, |machine, gateway| {
                gateway.is_revoked = on;
                if let (true, Some(conn)) = (on, gateway.conn) {
                    machine.push((conn, "unauthorized"));
                }
            }),
            Act::Expire => self.change_each(&ids, |machine, gateway| match gateway.conn {
                Some(conn) => machine.push((conn, "expired")),
                None => gateway.is_next_dial_expired = true,
            }),
            Act::Mute { on } => {
                self.change_each(&ids, |_, gateway| gateway.is_muted = on)?;
                // Deliver the entries buffered during the silence on connections with a complete handshake.
                let open: Vec<ConnId> = self.connections.keys().copied().collect();
                open.into_iter().for_each(|conn| self.drain(now, conn));
                Ok(())
            }
            Act::IdleAck { on } => self.change_each(&ids, |_, gateway| gateway.withholds_idle_ack = !on),
            Act::Answer { op, result } => {
                let result = Some(result).filter(|result| !result.is_null());
                self.script(&ids, op, result, |gateway| &mut gateway.answers)
            }
            Act::Delay { op, ms } => {
                self.script(&ids, op, Some(ms).filter(|ms| *ms > 0), |gateway| &mut gateway.delays)
            }
            Act::Descriptor { descriptor, platform } => {
                let named = || descriptor.get("platform").and_then(Value::as_str).map(str::to_owned);
                let platform = platform.or_else(named).ok_or(ControlError::WhichPlatform)?;
                self.script(&ids, platform, Some(descriptor), |gateway| &mut gateway.descriptors)
            }
            Act::EnrollToken { token, tenant, ttl_s } => self.add_enroll_token(now, token, tenant, ttl_s),
            Act::Rotate { overlap_ms, secret, delivery_key } => {
                self.rotate(now, &ids, Duration::from_millis(overlap_ms), secret, delivery_key)
            }
            Act::Deliver(delivery) => self.post(now, &ids, delivery),
        }
    }

    fn add_enroll_token(
        &mut self,
        now: Now,
        token: Secret,
        tenant: String,
        ttl_s: Option<u64>,
    ) -> Result<(), ControlError> {
        let expires_unix_s = ttl_s.map(|ttl_s| now.unix_s.saturating_add(ttl_s));
        let most = self.config.limits.enroll_tokens;
        match self.admission.add(EnrollToken { token, tenant, expires_unix_s }, most) {
            true => Ok(()),
            false => Err(ControlError::TooManyTokens(most)),
        }
    }

    fn rotate(
        &mut self,
        now: Now,
        ids: &[String],
        overlap: Duration,
        secret: Option<Secret>,
        delivery_key: Option<Secret>,
    ) -> Result<(), ControlError> {
        if self.is_open {
            return Err(ControlError::NoSecrets);
        }
        for id in ids {
            let Some(gateway) = self.gateways.get_mut(id) else { continue };
            let secret = secret.clone().unwrap_or_else(|| self.issuer.issue(Credential::Secret));
            let key = delivery_key.clone().unwrap_or_else(|| self.issuer.issue(Credential::DeliveryKey));
            gateway.account.rotate(now, overlap, secret, key);
            // Each gateway has one entry: the next end of its older secrets.
            self.overlaps.retain(|(_, of)| of != id);
            self.overlaps.extend(gateway.account.next_expiry().map(|end| (end, id.clone())));
        }
        Ok(())
    }

    pub(super) fn known_ids(&self) -> String {
        self.gateways.keys().map(|id| show_id(id)).collect::<Vec<_>>().join(", ")
    }

    fn targets(&self, gateway: Option<String>) -> Result<Vec<String>, ControlError> {
        match gateway {
            _ if self.gateways.is_empty() => Err(ControlError::NoGateway),
            None => Ok(self.gateways.keys().cloned().collect()),
            Some(id) if self.gateways.contains_key(&id) => Ok(vec![id]),
            Some(id) => Err(ControlError::UnknownGateway { id, known: self.known_ids() }),
        }
    }

    /// Returns the connections of these gateways. Fails if there are none.
    fn connected(&self, ids: &[String]) -> Result<Vec<ConnId>, ControlError> {
        let conns: Vec<ConnId> =
            ids.iter().filter_map(|id| self.gateways.get(id).and_then(|gateway| gateway.conn)).collect();
        match conns.is_empty() {
            true => Err(ControlError::NotConnected { gateway: name_all(ids), hint: "" }),
            false => Ok(conns),
        }
    }

    /// Changes each of these gateways; the connections that `change` adds are closed with 4401 and that reason.
    fn change_each(
        &mut self,
        ids: &[String],
        change: impl Fn(&mut Vec<(ConnId, &'static str)>, &mut Gateway),
    ) -> Result<(), ControlError> {
        let mut refused = Vec::new();
        for id in ids {
            if let Some(gateway) = self.gateways.get_mut(id) {
                change(&mut refused, gateway);
            }
        }
        for (conn, reason) in refused {
            self.end(conn, Output::Close { code: CREDENTIALS_REJECTED, reason: reason.to_owned() });
        }
        Ok(())
    }

    /// Sets (or, without a value, restores) a name in one of the tables of each gateway.
    fn script<V: Clone>(
        &mut self,
        ids: &[String],
        name: String,
        value: Option<V>,
        table: impl Fn(&mut Gateway) -> &mut BTreeMap<String, V>,
    ) -> Result<(), ControlError> {
        for id in ids {
            let Some(gateway) = self.gateways.get_mut(id) else { continue };
            let table = table(gateway);
            match &value {
                None => {
                    table.remove(&name);
                }
                Some(_) if table.len() >= MAX_NAMES && !table.contains_key(&name) => {
                    return Err(ControlError::TooMany(table.len()));
                }
                Some(value) => {
                    table.insert(name.clone(), value.clone());
                }
            }
        }
        Ok(())
    }
}

/// Returns true if the act changes the durable state other than by a buffered entry.
fn changes_durable_state(act: &Act) -> bool {
    matches!(act, Act::Revoke { .. } | Act::EnrollToken { .. } | Act::Rotate { .. })
}

/// Checks that a code and a reason are allowed in a close frame (RFC 6455, 7.4).
fn check_close(code: u16, reason: &str) -> Result<(), ControlError> {
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(ControlError::CloseCode(code));
    }
    match reason.len() > 123 {
        true => Err(ControlError::CloseReason(reason.len())),
        false => Ok(()),
    }
}

fn name_all(ids: &[String]) -> String {
    match ids {
        [id] => show_id(id),
        _ => "any gateway".to_owned(),
    }
}
