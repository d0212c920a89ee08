//! Unsettled deliveries of the agent.

use super::delivery::AgentSettlement;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Settles a delivery that is not the agent's to settle: its line was written, or could not be.
pub(crate) fn settle(settlement: AgentSettlement, taken: bool) {
    match settlement {
        AgentSettlement::Relay(settlement) if taken => settlement.ack(),
        AgentSettlement::Relay(settlement) => settlement.refuse(),
        // Its entry stays with the agent until that settles it or ends.
        AgentSettlement::Queue(..) => {}
    }
}

/// Settlements of buffered deliveries that the agent has, by number. The machine bounds their number, and so does the queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unsettled(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    settlements: BTreeMap<u64, AgentSettlement>,
    /// Number of the last delivery whose line the agent may have read.
    last: u64,
}

impl Unsettled {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks a delivery as written before its line is written: the agent may settle it as soon as it can read the line,
    /// and not before.
    pub(crate) fn mark_written(&self, settlement: &AgentSettlement) {
        self.lock().last = settlement.id().number();
    }

    pub(crate) fn insert(&self, settlement: AgentSettlement) {
        self.lock().settlements.insert(settlement.id().number(), settlement);
    }

    /// Takes a delivery by its number; `Ok(None)` if it is settled already.
    ///
    /// # Errors
    /// The delivery was not written yet.
    pub(crate) fn take(&self, number: u64) -> Result<Option<AgentSettlement>, String> {
        let mut state = self.lock();
        if number == 0 || number > state.last {
            return Err(format!("there is no delivery {number} yet"));
        }
        Ok(state.settlements.remove(&number))
    }

    /// Takes a delivery of the queue by its number, if it is unsettled.
    pub(crate) fn take_queued(&self, number: u64) -> Option<AgentSettlement> {
        let mut state = self.lock();
        let is_queued = matches!(state.settlements.get(&number), Some(AgentSettlement::Queue(..)));
        is_queued.then(|| state.settlements.remove(&number)).flatten()
    }

    /// Refuses all deliveries of the relay, since the agent has ended.
    pub(crate) fn refuse_all(&self) {
        let settlements = std::mem::take(&mut self.lock().settlements);
        drop(settlements);
    }
}
