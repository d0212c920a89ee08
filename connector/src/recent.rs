//! A bounded map that forgets its oldest entries.

use std::collections::{BTreeMap, VecDeque};

/// Map of the `max` newest keys.
#[derive(Clone, Debug)]
pub(crate) struct Recent<K, V> {
    map: BTreeMap<K, V>,
    order: VecDeque<K>,
    max: usize,
}

impl<K: Ord + Clone, V> Recent<K, V> {
    pub(crate) fn new(max: usize) -> Self {
        Recent { map: BTreeMap::new(), order: VecDeque::new(), max }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.map.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > self.max {
            if let Some(oldest) = self.order.pop_front() {
                self.map.remove(&oldest);
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &K) {
        if self.map.remove(key).is_some() {
            self.order.retain(|kept| kept != key);
        }
    }
}
