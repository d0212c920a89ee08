//! Open turns (O-15): which messages the agent works on, and when each shows a typing sign or times out.

use crate::hash::{Table, table};
use crate::targets::Target;
use crate::time::Time;

/// An open turn.
#[derive(Debug)]
pub(crate) struct OpenTurn {
    pub(crate) target: Target,
    pub(crate) ends: Time,
    /// True if 👀 was added.
    pub(crate) is_marked: bool,
}

/// Open turns by delivery, oldest first.
#[derive(Debug)]
pub(crate) struct Turns {
    open: Table<u64, OpenTurn>,
    /// Time of each turn's next typing sign. All wait alike, so the first is always the next.
    typing: Table<u64, Time>,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Turns { open: table(), typing: table() }
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    pub(crate) fn contains(&self, delivery: u64) -> bool {
        self.open.contains_key(&delivery)
    }

    pub(crate) fn oldest(&self) -> Option<u64> {
        self.open.front().map(|(delivery, _)| *delivery)
    }

    /// Returns when the next typing sign or time-out is due.
    pub(crate) fn next_due(&self) -> Option<Time> {
        let typing = self.typing.front().map(|(_, due)| *due);
        let end = self.open.front().map(|(_, turn)| turn.ends);
        typing.into_iter().chain(end).min()
    }

    /// Returns the turn whose typing sign is due.
    pub(crate) fn typing_due(&self, now: Time) -> Option<u64> {
        self.typing.front().filter(|(_, due)| **due <= now).map(|(delivery, _)| *delivery)
    }

    /// Returns the turn that has timed out.
    pub(crate) fn timed_out(&self, now: Time) -> Option<u64> {
        self.open.front().filter(|(_, turn)| turn.ends <= now).map(|(delivery, _)| *delivery)
    }

    pub(crate) fn open(&mut self, delivery: u64, turn: OpenTurn) {
        self.open.insert(delivery, turn);
    }

    /// Schedules the next typing sign of a turn. Returns its target.
    pub(crate) fn schedule_typing(&mut self, delivery: u64, due: Time) -> Option<Target> {
        let target = self.open.get(&delivery)?.target.clone();
        self.typing.remove(&delivery);
        self.typing.insert(delivery, due);
        Some(target)
    }

    pub(crate) fn close(&mut self, delivery: u64) -> Option<OpenTurn> {
        self.typing.remove(&delivery);
        self.open.remove(&delivery)
    }

    /// Closes all turns: the connection is over.
    pub(crate) fn clear(&mut self) {
        self.open.clear();
        self.typing.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o_15_the_turn_that_began_first_is_the_oldest() {
        let mut turns = Turns::new();
        for delivery in [3, 2] {
            turns.open(delivery, OpenTurn { target: Target::default(), ends: Time::ZERO, is_marked: false });
        }
        assert_eq!(turns.oldest(), Some(3));
        turns.close(3);
        assert_eq!(turns.oldest(), Some(2));
    }
}
