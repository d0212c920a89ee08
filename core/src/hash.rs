//! Hashes and random draws from the machine's seed.

use hashbrown::HashTable;
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

/// Map for look-ups, which releases its memory after a burst.
///
/// Keys are seeded hashes. The order of its values depends on what was removed, so it must not be observable:
/// [`values_mut`](Index::values_mut) is for effects that no order changes. The table has places of values, not the values:
/// with many of them it stays small enough for the caches.
#[derive(Debug)]
pub(crate) struct Index<V> {
    /// Places in `slots`, by the hash of the key.
    table: HashTable<usize>,
    slots: Vec<Option<(u128, V)>>,
    /// Places of free slots. The last one is used first, since it is in the caches.
    free: Vec<usize>,
}

/// Number of slots that an empty [`Index`] keeps.
const KEPT_BY_INDEX: usize = 4;

impl<V> Index<V> {
    pub(crate) fn new() -> Self {
        Index { table: HashTable::new(), slots: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    fn place(&self, key: u128) -> Option<usize> {
        self.table.find(hash_of(key), |place| is_at(&self.slots, *place, key)).copied()
    }

    pub(crate) fn contains_key(&self, key: u128) -> bool {
        self.place(key).is_some()
    }

    pub(crate) fn get_mut(&mut self, key: u128) -> Option<&mut V> {
        let place = self.place(key)?;
        self.slots[place].as_mut().map(|(_, value)| value)
    }

    /// Inserts a value under a key that has none.
    pub(crate) fn insert(&mut self, key: u128, value: V) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[place] = Some((key, value));
        let slots = &self.slots;
        let rehash = |place: &usize| slots[*place].as_ref().map_or(0, |(key, _)| hash_of(*key));
        self.table.insert_unique(hash_of(key), place, rehash);
    }

    pub(crate) fn remove(&mut self, key: u128) -> Option<V> {
        let slots = &self.slots;
        let entry = self.table.find_entry(hash_of(key), |place| is_at(slots, *place, key)).ok()?;
        let place = entry.remove().0;
        let removed = self.slots[place].take();
        if self.table.is_empty() && self.slots.len() > KEPT_BY_INDEX {
            *self = Index::new();
        } else {
            self.free.push(place);
        }
        removed.map(|(_, value)| value)
    }

    pub(crate) fn clear(&mut self) {
        *self = Index::new();
    }

    /// Returns all values, in an order that the caller must not depend on.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.slots.iter().flatten().map(|(_, value)| value)
    }

    /// Returns all values, in an order that the caller must not depend on.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.slots.iter_mut().flatten().map(|(_, value)| value)
    }
}

/// Returns the half of a key that decides its place in a table. All bits of a key are equally good.
fn hash_of(key: u128) -> u64 {
    // The cut is intended.
    #[allow(clippy::cast_possible_truncation)]
    let half = key as u64;
    half
}

fn is_at<V>(slots: &[Option<(u128, V)>], place: usize, key: u128) -> bool {
    slots[place].as_ref().is_some_and(|(known, _)| *known == key)
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
    use std::collections::BTreeMap;
    use std::collections::btree_map::Entry;

    /// Compares an index with an ordered map, also for keys whose hashes are equal.
    #[test]
    fn an_index_finds_what_was_inserted() {
        let (mut index, mut model, mut seed) = (Index::new(), BTreeMap::new(), Seed::new(&[3; 32]));
        for n in 0..20_000_u64 {
            let key = u128::from(seed.draw_between(0, 200)) << 64 | u128::from(seed.draw_between(0, 3));
            if seed.draw_between(0, 2) == 0 || model.len() > 100 {
                assert_eq!(index.remove(key), model.remove(&key));
            } else if let Entry::Vacant(entry) = model.entry(key) {
                index.insert(key, n);
                entry.insert(n);
            }
            assert_eq!(index.get_mut(key).copied(), model.get(&key).copied());
            assert_eq!((index.len(), index.contains_key(key)), (model.len(), model.contains_key(&key)));
        }
        let mut values: Vec<u64> = index.values().copied().collect();
        values.sort_unstable();
        let mut expected: Vec<u64> = model.values().copied().collect();
        expected.sort_unstable();
        assert_eq!(values, expected);
        // Empty, it keeps no memory of a burst.
        for key in model.into_keys() {
            index.remove(key);
        }
        assert_eq!((index.len(), index.slots.capacity(), index.table.capacity()), (0, 0, 0));
    }

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
