//! Wake-ups of gateways that are not connected while something waits for them: GETs of their wake URLs.

use relayline_core::time::{Now, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Time after which a gateway that has not connected is woken again.
const AGAIN: Duration = Duration::from_secs(30);

/// Times of the next wake-ups: at most one for each gateway.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wakes {
    next: BTreeMap<String, Time>,
    due: BTreeSet<(Time, String)>,
}

impl Wakes {
    /// Returns true if a gateway is to be woken now, and sets the time of the next wake-up.
    pub(crate) fn begin(&mut self, now: Now, gateway: &str) -> bool {
        if self.next.get(gateway).is_some_and(|next| *next > now.mono) {
            return false;
        }
        self.stop(gateway);
        let next = now.mono + AGAIN;
        self.next.insert(gateway.to_owned(), next);
        self.due.insert((next, gateway.to_owned()));
        true
    }

    /// Forgets the wake-ups of a gateway: it is connected, or nothing waits for it.
    pub(crate) fn stop(&mut self, gateway: &str) {
        if let Some(next) = self.next.remove(gateway) {
            self.due.remove(&(next, gateway.to_owned()));
        }
    }

    /// Takes the next gateway whose time has come.
    pub(crate) fn take_due(&mut self, now: Time) -> Option<String> {
        let is_due = self.due.first().is_some_and(|(due, _)| *due <= now);
        let (_, gateway) = if is_due { self.due.pop_first()? } else { return None };
        self.next.remove(&gateway);
        Some(gateway)
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.due.first().map(|(due, _)| *due)
    }
}
