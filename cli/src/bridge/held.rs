//! Deliveries on their way to the agent, and those that are the agent's to settle.

use relayline_core::passthrough::Forward;
use relayline_runtime::Delivery;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A delivery that is not settled. Dropping it refuses it.
#[derive(Debug)]
pub(super) enum Owed {
    Event(Delivery),
    Forward(Delivery<Forward>),
}

impl Owed {
    pub(super) fn settle(self, taken: bool) {
        match (self, taken) {
            (Owed::Event(delivery), true) => delivery.ack(),
            (Owed::Event(delivery), false) => delivery.refuse(),
            (Owed::Forward(delivery), true) => delivery.ack(),
            (Owed::Forward(delivery), false) => delivery.refuse(),
        }
    }

    fn number(&self) -> u64 {
        match self {
            Owed::Event(delivery) => delivery.id().number(),
            Owed::Forward(delivery) => delivery.id().number(),
        }
    }

    pub(super) fn is_buffered(&self) -> bool {
        match self {
            Owed::Event(delivery) => delivery.is_buffered(),
            Owed::Forward(delivery) => delivery.is_buffered(),
        }
    }
}

/// Buffered deliveries that are the agent's to settle, by number. The machine bounds how many there can be.
#[derive(Clone, Debug, Default)]
pub(super) struct Held(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    owed: BTreeMap<u64, Owed>,
    /// Number of the last delivery whose line the agent may have read.
    last: u64,
}

impl Held {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The delivery's line is about to be written: the agent may settle it as soon as it can read it, and not before
    ///
    pub(super) fn give(&self, owed: &Owed) {
        self.lock().last = owed.number();
    }

    pub(super) fn keep(&self, owed: Owed) {
        self.lock().owed.insert(owed.number(), owed);
    }

    /// The delivery of that number; `Ok(None)` when it is settled already, an error when it was not given yet.
    pub(super) fn take(&self, number: u64) -> Result<Option<Owed>, String> {
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
