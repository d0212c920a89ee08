//! What of the machine outlives its process, and a machine made of it.

use super::{ConnectorConfig, ConnectorMachine};
use crate::connector::account::Account;
use crate::connector::buffer::Buffer;
use crate::connector::gateway::Gateway;
use crate::connector::saw::Saw;
use crate::connector::state::{DurableState, EntryState, FORMAT, GatewayState, StateFault};
use relayline_core::time::Now;
use zeroize::Zeroizing;

impl ConnectorMachine {
    /// A connector that goes on from [`durable_state`](Self::durable_state); from an empty text, one that has never run.
    /// What the configuration gives is good in addition. From here on each entry that is taken into a buffer is a
    /// [`Saw::Buffered`]: show it once the state is kept.
    ///
    /// # Errors
    /// When the text is no such state, or does not go with the configuration.
    pub fn restore(
        config: ConnectorConfig,
        seed: [u8; 32],
        now: Now,
        state: &[u8],
    ) -> Result<Self, StateFault> {
        let state = DurableState::read(state)?;
        let mut machine = ConnectorMachine::new(config, seed);
        machine.is_durable = true;
        // A secret that was issued must not be good for nothing, nor a door be open that was shut.
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
            self.saws.push(0, Saw::Restored { gateway, buffered, revoked, idle });
        }
        let fresh = || Gateway::new(Account::open());
        let gateway = self.gateways.entry(id.clone()).or_insert_with(fresh);
        gateway.revoked = revoked;
        gateway.is_idle = idle;
        gateway.buffer = Buffer::restored(entries, newest_id);
        gateway.account.restore(now, known);
        self.overlaps.extend(gateway.account.next_end().map(|end| (end, id)));
    }

    /// What must outlive the process, as a JSON text with the secrets in it.
    pub fn durable_state(&self, now: Now) -> Zeroizing<Vec<u8>> {
        let gateways = self.gateways.iter().map(|(id, gateway)| {
            let account = gateway.account.durable(now);
            GatewayState {
                id: id.clone(),
                revoked: gateway.revoked,
                idle: gateway.is_idle,
                newest_id: gateway.buffer.newest_id(),
                buffer: gateway.buffer.entries().map(EntryState::from).collect(),
                ..account
            }
        });
        let (gateways, enroll_tokens) = (gateways.collect(), self.admission.durable());
        DurableState { format: FORMAT, gateways, enroll_tokens }.to_text()
    }

    /// Whether [`durable_state`](Self::durable_state) may have changed since this was asked last. It must be kept before
    /// anything that the machine says is passed on: what it has answered, written or reported relies on it.
    pub fn take_durable_change(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }
}
