//! Unsettled deliveries of the agent.

use relayline_runtime::Settlement;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Settles a delivery as the agent requested.
pub(crate) fn settle(settlement: Settlement, taken: bool) {
    if taken { settlement.ack() } else { settlement.refuse() }
}

/// Settlements of buffered deliveries that the agent has, by number. The machine bounds their number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unsettled(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    settlements: BTreeMap<u64, Settlement>,
    /// Number of the last delivery whose line the agent may have read.
    last: u64,
}

impl Unsettled {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks a delivery as written before its line is written: the agent may settle it as soon as it can read the line,
    /// and not before.
    pub(crate) fn mark_written(&self, settlement: &Settlement) {
        self.lock().last = settlement.id().number();
    }

    pub(crate) fn insert(&self, settlement: Settlement) {
        self.lock().settlements.insert(settlement.id().number(), settlement);
    }

    /// Takes a delivery by its number; `Ok(None)` if it is settled already.
    ///
    /// # Errors
    /// The delivery was not written yet.
    pub(crate) fn take(&self, number: u64) -> Result<Option<Settlement>, String> {
        let mut state = self.lock();
        if number == 0 || number > state.last {
            return Err(format!("there is no delivery {number} yet"));
        }
        Ok(state.settlements.remove(&number))
    }

    /// Refuses all deliveries, since the agent has ended.
    pub(crate) fn refuse_all(&self) {
        let settlements = std::mem::take(&mut self.lock().settlements);
        drop(settlements);
    }
}
