//! The machine's durable state: writing it, and restoring a machine from it.

use super::ConnectorMachine;
use crate::account::Account;
use crate::buffer::{Buffer, Entry};
use crate::config::ConnectorConfig;
use crate::gateway::Gateway;
use crate::observation::Observation;
use crate::state::{DurableState, FORMAT, GatewayState, StateFault};
use relayline_core::time::Now;
use zeroize::Zeroizing;

impl ConnectorMachine {
    /// Restores a connector from [`durable_state`](Self::durable_state); an empty text is a new connector. The
    /// configuration applies in addition to the state. From then on each newly buffered entry is observed as
    /// [`Observation::Buffered`].
    ///
    /// # Errors
    /// Fails if the text is not such a state, or does not fit the configuration.
    pub fn restore(
        config: ConnectorConfig,
        seed: [u8; 32],
        now: Now,
        state: &[u8],
    ) -> Result<Self, StateFault> {
        let state = DurableState::read(state)?;
        let mut machine = ConnectorMachine::new(config, seed);
        machine.is_durable = true;
        // With issued secrets a connector does not admit every gateway, whatever the flags say.
        let is_closed = state.gateways.iter().any(|known| !known.id.is_empty());
        if is_closed && machine.is_open {
            machine.is_open = false;
            machine.gateways.clear();
        }
        for known in state.gateways {
            if known.id.is_empty() && !machine.is_open {
                match known.buffer.len() {
                    0 => continue,
                    waiting => return Err(StateFault::Open(waiting)),
                }
            }
            machine.restore_gateway(now, known);
        }
        let known: Vec<String> = machine.gateways.keys().cloned().collect();
        for id in known {
            machine.wake(now, &id);
        }
        for token in state.enroll_tokens {
            machine.admission.restore(token);
        }
        Ok(machine)
    }

    fn restore_gateway(&mut self, now: Now, mut known: GatewayState) {
        let (id, entries) = (std::mem::take(&mut known.id), std::mem::take(&mut known.buffer));
        let GatewayState { revoked, idle, newest_id, .. } = known;
        if !entries.is_empty() || revoked || idle {
            let (gateway, buffered) = (id.clone(), entries.len());
            self.observations.push(0, Observation::Restored { gateway, buffered, revoked, idle });
        }
        let fresh = || Gateway::new(Account::open());
        let gateway = self.gateways.entry(id.clone()).or_insert_with(fresh);
        gateway.is_revoked = revoked;
        gateway.is_idle = idle;
        gateway.buffer = Buffer::restored(entries, newest_id);
        gateway.account.restore(now, known);
        self.overlaps.extend(gateway.account.next_expiry().map(|end| (end, id)));
    }

    /// Returns the state that must outlive the process, as a JSON text. It holds secrets in plain text.
    pub fn durable_state(&self, now: Now) -> Zeroizing<Vec<u8>> {
        let gateways = self.gateways.iter().map(|(id, gateway)| {
            let account = gateway.account.durable(now);
            GatewayState {
                id: id.clone(),
                revoked: gateway.is_revoked,
                idle: gateway.is_idle,
                newest_id: gateway.buffer.newest_id(),
                buffer: gateway.buffer.entries().map(Entry::durable).collect(),
                ..account
            }
        });
        let (gateways, enroll_tokens) = (gateways.collect(), self.admission.durable());
        DurableState { format: FORMAT, gateways, enroll_tokens }.to_text()
    }

    /// Returns true if [`durable_state`](Self::durable_state) may have changed since the last call. The state must be
    /// written before any response, transmit or observation is passed on: they rely on it.
    pub fn take_durable_change(&mut self) -> bool {
        std::mem::take(&mut self.has_durable_change)
    }
}
