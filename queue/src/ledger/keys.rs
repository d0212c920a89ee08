//! Keys of settled entries, by which duplicates are known across restarts.
//!
//! The keys are in blocks. A full block never changes, so that a snapshot writes it once. Keys of a block expire
//! together, when the newest is old enough: a key may be remembered longer than asked, and never shorter. Time in which no
//! gateway runs does not count, since clocks of two processes are not compared.

use crate::hash::{Seeded, TableSet};
use crate::id::DedupeKey;
use relayline_core::time::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// Maximum number of keys of a block.
const BLOCK_KEYS: usize = 8192;

/// Keys of settled entries.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct SettledKeys {
    known: TableSet<DedupeKey>,
    /// Blocks, oldest first. The last one grows.
    blocks: VecDeque<Block>,
    next_block: u64,
    forgotten: u64,
    keep_for: Duration,
    max_keys: usize,
}

/// Block of keys, in the order in which they were settled.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Block {
    /// Number of the block in this process.
    pub(crate) number: u64,
    pub(crate) keys: VecDeque<DedupeKey>,
    /// Age of the newest key at the time `since`.
    age: Duration,
    since: Time,
    /// Time at which the first key was added.
    began: Time,
    /// True if it does not grow any more.
    pub(crate) is_full: bool,
}

impl Block {
    /// Returns the age of the newest key.
    pub(crate) fn age(&self, now: Time) -> Duration {
        self.age + now.since(self.since)
    }
}

impl SettledKeys {
    pub(super) fn new(keep_for: Duration, max_keys: usize, seed: &str) -> Self {
        let (known, blocks) = (TableSet::with_hasher(Seeded::new(seed)), VecDeque::new());
        SettledKeys { known, blocks, next_block: 0, forgotten: 0, keep_for, max_keys }
    }

    pub(super) fn contains(&self, key: DedupeKey) -> bool {
        self.known.contains(&key)
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub(super) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.blocks.iter()
    }

    pub(super) fn insert(&mut self, now: Time, key: DedupeKey) {
        if !self.known.insert(key) {
            return;
        }
        // So that the keys of a block expire at most a sixteenth late.
        let is_old = |block: &Block| now.since(block.began) > self.keep_for / 16;
        if let Some(last) = self.blocks.back_mut() {
            last.is_full |= last.keys.len() >= BLOCK_KEYS || is_old(last);
        }
        if self.blocks.back().is_none_or(|last| last.is_full) {
            self.begin_block(now, Duration::ZERO, false);
        }
        if let Some(last) = self.blocks.back_mut() {
            last.keys.push_back(key);
            (last.age, last.since) = (Duration::ZERO, now);
        }
        self.make_room();
    }

    /// Adds a block of a snapshot. Keys of later blocks are newer.
    pub(super) fn restore(&mut self, now: Time, age: Duration, keys: Vec<DedupeKey>) -> u64 {
        let number = self.begin_block(now, age, true);
        let keys: VecDeque<DedupeKey> = keys.into_iter().filter(|key| self.known.insert(*key)).collect();
        if let Some(last) = self.blocks.back_mut() {
            last.keys = keys;
        }
        self.make_room();
        number
    }

    fn begin_block(&mut self, now: Time, age: Duration, is_full: bool) -> u64 {
        let number = self.next_block;
        self.next_block += 1;
        self.blocks.push_back(Block { number, keys: VecDeque::new(), age, since: now, began: now, is_full });
        number
    }

    /// Forgets the oldest keys beyond the limit.
    fn make_room(&mut self) {
        while self.known.len() > self.max_keys {
            let Some(oldest) = self.blocks.front_mut() else { return };
            match oldest.keys.pop_front() {
                Some(key) => {
                    self.known.remove(&key);
                    self.forgotten += 1;
                }
                None => {
                    self.blocks.pop_front();
                }
            }
        }
    }

    /// Forgets the blocks whose time is over.
    pub(super) fn expire(&mut self, now: Time) {
        while self.blocks.front().is_some_and(|block| block.age(now) >= self.keep_for) {
            for key in self.blocks.pop_front().into_iter().flat_map(|block| block.keys) {
                self.known.remove(&key);
            }
        }
    }

    /// Returns the time at which the oldest block expires.
    pub(super) fn next_expiry(&self) -> Option<Time> {
        let oldest = self.blocks.front()?;
        Some(oldest.since + self.keep_for.saturating_sub(oldest.age))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn key(n: u64) -> DedupeKey {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&n.to_le_bytes());
        DedupeKey(key)
    }

    #[test]
    fn a_key_is_known_for_its_time_and_not_much_longer() {
        let mut keys = SettledKeys::new(Duration::from_millis(16 * HOUR), 1000, "");
        for n in 0..40 {
            keys.insert(Time::from_millis(n * HOUR / 2), key(n));
            keys.insert(Time::from_millis(n * HOUR / 2), key(n));
        }
        assert_eq!(keys.len(), 40);
        let at = Time::from_millis(20 * HOUR);
        keys.expire(at);
        let oldest = (0..40).find(|n| keys.contains(key(*n))).unwrap();
        // Key 9 is younger than 16 hours. Its block may keep keys that are up to an hour older.
        assert!((7..=9).contains(&oldest), "{oldest}");
        assert!(keys.next_expiry().unwrap() > at);
        keys.expire(Time::from_millis(99 * HOUR));
        assert_eq!((keys.len(), keys.next_expiry(), keys.forgotten()), (0, None, 0));
    }

    #[test]
    fn the_oldest_keys_make_room() {
        let mut keys = SettledKeys::new(Duration::from_millis(HOUR), 3, "");
        for n in 0..5 {
            keys.insert(Time::ZERO, key(n));
        }
        assert_eq!((keys.len(), keys.forgotten()), (3, 2));
        assert!(!keys.contains(key(1)) && keys.contains(key(2)));
    }

    #[test]
    fn full_blocks_do_not_change_and_are_restored_with_their_age() {
        let mut keys = SettledKeys::new(Duration::from_millis(HOUR), 100_000, "");
        (0..BLOCK_KEYS as u64 + 1).for_each(|n| keys.insert(Time::ZERO, key(n)));
        let blocks: Vec<Block> = keys.blocks().cloned().collect();
        assert_eq!(
            blocks.iter().map(|block| (block.keys.len(), block.is_full)).collect::<Vec<_>>(),
            [(BLOCK_KEYS, true), (1, false)]
        );
        let mut later = SettledKeys::new(Duration::from_millis(HOUR), 100_000, "");
        let age = blocks[0].age(Time::from_millis(HOUR / 2));
        later.restore(Time::ZERO, age, blocks[0].keys.iter().copied().collect());
        later.insert(Time::from_millis(1), key(u64::MAX));
        later.expire(Time::from_millis(HOUR / 2 - 1));
        assert_eq!(later.len(), BLOCK_KEYS + 1);
        later.expire(Time::from_millis(HOUR / 2));
        assert_eq!(later.len(), 1);
    }
}
