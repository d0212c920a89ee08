//! Deliveries on their way to the agent, and those that are the agent's to settle.

use relayline_runtime::Settlement;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Settles a delivery as the agent has said.
pub(super) fn settle(settlement: Settlement, taken: bool) {
    if taken { settlement.ack() } else { settlement.refuse() }
}

/// Buffered deliveries that are the agent's to settle, by number and without their content, which the agent has. The
/// machine bounds how many there can be.
#[derive(Clone, Debug, Default)]
pub(super) struct Held(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    owed: BTreeMap<u64, Settlement>,
    /// Number of the last delivery whose line the agent may have read.
    last: u64,
}

impl Held {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The delivery's line is about to be written: the agent may settle it as soon as it can read it, and not before
    ///
    pub(super) fn give(&self, owed: &Settlement) {
        self.lock().last = owed.id().number();
    }

    pub(super) fn keep(&self, owed: Settlement) {
        self.lock().owed.insert(owed.id().number(), owed);
    }

    /// The delivery of that number; `Ok(None)` when it is settled already, an error when it was not given yet.
    pub(super) fn take(&self, number: u64) -> Result<Option<Settlement>, String> {
        let mut held = self.lock();
        if number == 0 || number > held.last {
            return Err(format!("there was no delivery {number} yet"));
        }
        Ok(held.owed.remove(&number))
    }

    /// Refuses all of them: the agent that had them has ended.
    pub(super) fn refuse_all(&self) {
        let owed = std::mem::take(&mut self.lock().owed);
        drop(owed);
    }
}
