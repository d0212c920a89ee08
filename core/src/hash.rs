//! Hashes and random draws from the machine's seed.

use hashbrown::HashMap;
use hashlink::LinkedHashMap;
use rustc_hash::FxBuildHasher;
use siphasher::sip::SipHasher13;
use siphasher::sip128::{Hasher128, SipHasher13 as SipHasher128};
use std::hash::{Hash, Hasher};

/// Insertion-ordered map with O(1) look-up, removal and move to the back. It does not allocate once it has reached
/// its maximum size.
///
/// Keys are counters or seeded hashes, never a peer's data, since the hasher of the table is not seeded.
pub(crate) type Table<K, V> = LinkedHashMap<K, V, FxBuildHasher>;

/// Creates an empty table.
pub(crate) fn table<K: Eq + Hash, V>() -> Table<K, V> {
    LinkedHashMap::with_hasher(FxBuildHasher)
}

/// Map for look-ups, which releases its memory after a burst. It is smaller and faster than a [`Table`].
///
/// Keys are as in a [`Table`]. The order of its values depends on the hasher, so it must not be observable:
/// [`values_mut`](Index::values_mut) is for effects that no order changes.
#[derive(Debug)]
pub(crate) struct Index<K, V>(HashMap<K, V, FxBuildHasher>);

/// Capacity that an empty [`Index`] keeps.
const KEPT_BY_INDEX: usize = 7;

impl<K: Eq + Hash, V> Index<K, V> {
    pub(crate) fn new() -> Self {
        Index(HashMap::with_hasher(FxBuildHasher))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.0.insert(key, value);
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let removed = self.0.remove(key);
        if self.0.is_empty() && self.0.capacity() > KEPT_BY_INDEX {
            self.0.shrink_to(KEPT_BY_INDEX);
        }
        removed
    }

    pub(crate) fn clear(&mut self) {
        self.0 = HashMap::with_hasher(FxBuildHasher);
    }

    /// Returns all values, in an order that the caller must not depend on.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.values()
    }

    /// Returns all values, in an order that the caller must not depend on.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.values_mut()
    }
}

/// Seed of the machine's random draws: request ids, back-off, hash keys. The same seed gives the same draws.
#[derive(Clone)]
pub(crate) struct Seed {
    keys: [u8; 16],
    draws: SipHasher13,
    drawn: u64,
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seed").field("drawn", &self.drawn).finish_non_exhaustive()
    }
}

impl Seed {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        let (mut keys, mut draws) = ([0; 16], [0; 16]);
        keys.copy_from_slice(&seed[..16]);
        draws.copy_from_slice(&seed[16..]);
        Seed { keys, draws: SipHasher13::new_with_key(&draws), drawn: 0 }
    }

    /// Draws the next 64 bits.
    pub(crate) fn draw(&mut self) -> u64 {
        let mut hasher = self.draws;
        hasher.write(&self.drawn.to_le_bytes());
        self.drawn += 1;
        hasher.finish()
    }

    /// Draws a number from `low..=high`, uniformly.
    pub(crate) fn draw_between(&mut self, low: u64, high: u64) -> u64 {
        let span = high.saturating_sub(low).saturating_add(1);
        // The bias of the modulo is below one in 2^30 for spans of microseconds.
        low + self.draw() % span
    }

    /// Returns a 128-bit hash of several texts in order. The boundaries between texts count.
    pub(crate) fn hash<const N: usize>(&self, texts: &[&str; N]) -> u128 {
        let mut hasher = SipHasher128::new_with_key(&self.keys);
        // The lengths come first, in one write. They have the same bytes on every machine, whatever its word size.
        let lengths = texts.map(|text| (text.len() as u64).to_le_bytes());
        hasher.write(lengths.as_flattened());
        for text in texts {
            hasher.write(text.as_bytes());
        }
        hasher.finish128().as_u128()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_on_every_machine() {
        let draw = |seed: u8| {
            let mut seed = Seed::new(&[seed; 32]);
            [seed.draw(), seed.draw()]
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_ne!(draw(1)[0], draw(1)[1]);
    }

    #[test]
    fn a_hash_depends_on_text_boundaries() {
        let seed = Seed::new(&[7; 32]);
        assert_ne!(seed.hash(&["ab", "c"]), seed.hash(&["a", "bc"]));
        assert_eq!(seed.hash(&["ab", "c"]), seed.hash(&["ab", "c"]));
    }
}
