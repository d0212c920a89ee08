//! Tables that are hashed: for look-ups by names and keys that peers choose. Nothing iterates over one.
//!
//! A look-up in a tree of them reads places all over the memory. The hash is seeded with the random name of the leader, so
//! that a peer cannot choose keys that collide. Outputs do not depend on it.

use std::hash::{BuildHasher, DefaultHasher, Hash};

/// Map that is not iterated.
pub(crate) type Table<K, V> = hashbrown::HashMap<K, V, Seeded>;

/// Set that is not iterated.
pub(crate) type TableSet<K> = hashbrown::HashSet<K, Seeded>;

/// Maker of hashers that have hashed a seed.
#[derive(Clone, Debug)]
pub(crate) struct Seeded(DefaultHasher);

impl Seeded {
    pub(crate) fn new(seed: &str) -> Seeded {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        Seeded(hasher)
    }
}

impl BuildHasher for Seeded {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        self.0.clone()
    }
}
