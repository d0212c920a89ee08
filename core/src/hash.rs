//! Hashes and random draws from the machine's seed.

use hashlink::LinkedHashMap;
use rustc_hash::FxBuildHasher;
use siphasher::sip::SipHasher13;
use siphasher::sip128::{Hasher128, SipHasher13 as SipHasher128};
use std::hash::Hasher;

/// Insertion-ordered map with O(1) look-up, removal and move to the back. It does not allocate once it has reached
/// its maximum size.
///
/// Keys are counters or seeded hashes, never a peer's data, since the hasher of the table is not seeded.
pub(crate) type Table<K, V> = LinkedHashMap<K, V, FxBuildHasher>;

/// Creates an empty table.
pub(crate) fn table<K: Eq + std::hash::Hash, V>() -> Table<K, V> {
    LinkedHashMap::with_hasher(FxBuildHasher)
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
