//! Host memory: what the host remembers across restarts, bounded in number and bytes.

use crate::head::MemoryItem;
use crate::id::EntryId;
use std::collections::BTreeMap;
use std::fmt;

/// Items by key. The item that was not set for longest makes room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct HostMemory {
    items: BTreeMap<Box<str>, Value>,
    /// Keys in the order in which they were last set.
    order: BTreeMap<u64, Box<str>>,
    next: u64,
    bytes: usize,
    forgotten: u64,
    max_items: usize,
    max_bytes: usize,
}

#[derive(Clone, PartialEq, Eq)]
struct Value {
    value: Box<str>,
    /// Last entry when it was set.
    after: EntryId,
    place: u64,
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value").field("after", &self.after).finish_non_exhaustive()
    }
}

impl HostMemory {
    pub(super) fn new(max_items: usize, max_bytes: usize) -> Self {
        let (items, order) = (BTreeMap::new(), BTreeMap::new());
        HostMemory { items, order, next: 0, bytes: 0, forgotten: 0, max_items, max_bytes }
    }

    /// Sets an item, unless it has a value of a later entry.
    pub(super) fn set(&mut self, item: MemoryItem, after: EntryId) {
        if self.items.get(&item.key).is_some_and(|known| known.after > after) {
            return;
        }
        self.forget(&item.key);
        let MemoryItem { key, value } = item;
        self.bytes += key.len() + value.len();
        self.order.insert(self.next, key.clone());
        self.items.insert(key, Value { value, after, place: self.next });
        self.next += 1;
        while self.items.len() > self.max_items || self.bytes > self.max_bytes {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.forget(&oldest);
            self.forgotten += 1;
        }
    }

    pub(super) fn forget(&mut self, key: &str) {
        if let Some((key, known)) = self.items.remove_entry(key) {
            self.bytes -= key.len() + known.value.len();
            self.order.remove(&known.place);
        }
    }

    /// Returns the item of a key, if no entry after this one has set it.
    pub(super) fn item_of(&self, key: &str, entry: EntryId) -> Option<MemoryItem> {
        let known = self.items.get(key).filter(|known| known.after == entry)?;
        Some(MemoryItem { key: key.into(), value: known.value.clone() })
    }

    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.items.get(key).map(|known| &*known.value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.in_order().map(|(key, value, _)| (key, value))
    }

    /// Returns the items and their last entries, the one that was not set for longest first.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (&str, &str, EntryId)> {
        self.order.values().filter_map(|key| {
            let known = self.items.get(key)?;
            Some((&**key, &*known.value, known.after))
        })
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(memory: &mut HostMemory, key: &str, value: &str, after: u64) {
        memory.set(MemoryItem { key: key.into(), value: value.into() }, EntryId(after));
    }

    fn items(memory: &HostMemory) -> Vec<(&str, &str)> {
        memory.iter().collect()
    }

    #[test]
    fn the_value_of_the_latest_entry_wins() {
        let mut memory = HostMemory::new(9, 99);
        set(&mut memory, "a", "9", 9);
        set(&mut memory, "a", "5", 5);
        assert_eq!(items(&memory), [("a", "9")]);
        assert_eq!(memory.item_of("a", EntryId(9)).map(|item| item.value), Some("9".into()));
        assert_eq!(memory.item_of("a", EntryId(5)), None);
        set(&mut memory, "a", "sent", 9);
        assert_eq!(items(&memory), [("a", "sent")]);
        memory.forget("a");
        assert_eq!((items(&memory), memory.bytes), (vec![], 0));
    }

    #[test]
    fn items_and_bytes_are_bounded() {
        let mut memory = HostMemory::new(2, 8);
        for key in ["a", "b", "a", "c"] {
            set(&mut memory, key, "1", 1);
        }
        assert_eq!((items(&memory), memory.forgotten()), (vec![("a", "1"), ("c", "1")], 1));
        set(&mut memory, "d", "123456", 1);
        assert_eq!((items(&memory), memory.bytes), (vec![("d", "123456")], 7));
        set(&mut memory, "e", "12345678", 1);
        assert_eq!((items(&memory), memory.bytes, memory.order.len()), (vec![], 0, 0));
    }
}
