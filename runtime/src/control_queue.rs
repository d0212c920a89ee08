//! Bounded queue of interrupts and notices for the host. The host gets them before deliveries (L-16).

use relayline_core::output::Notice;
use std::collections::VecDeque;

/// Maximum number of queued items.
const MAX_ITEMS: usize = 1024;

/// Interrupt or notice, which the host gets before deliveries.
#[derive(Debug)]
pub(crate) enum ControlItem {
    Interrupt { session_key: String, chat_id: String },
    Notice(Notice),
}

impl ControlItem {
    /// Returns true if the item is dropped before interrupts and notices of the connection's state.
    fn is_expendable(&self) -> bool {
        let ControlItem::Notice(notice) = self else { return false };
        matches!(
            notice,
            Notice::DeadLetter { .. }
                | Notice::UnknownFrame { .. }
                | Notice::ConnectorError { .. }
                | Notice::StalePrompt { .. }
                | Notice::UnauthorizedAnswer { .. }
        )
    }

    /// Returns the number of bytes of the peer's texts in the item.
    fn weight(&self) -> usize {
        match self {
            ControlItem::Interrupt { session_key, chat_id } => session_key.len() + chat_id.len(),
            ControlItem::Notice(notice) => notice.weight(),
        }
    }
}

/// Queue of items, the oldest first. When it is full the oldest item is dropped and counted, since a later notice
/// supersedes an earlier one. Dead letters, unknown frames, errors of the connector and answers that close no prompt are
/// dropped before all others: the connector, or a user of a chat, can send any number of them (A-9, X-5, I-8).
#[derive(Debug)]
pub(crate) struct ControlQueue {
    items: VecDeque<ControlItem>,
    bytes: usize,
    max_bytes: usize,
    dropped: u64,
}

impl ControlQueue {
    /// Creates a queue for `max_bytes` bytes of the peer's texts. A single item is kept whatever its size.
    pub(crate) fn new(max_bytes: usize) -> Self {
        ControlQueue { items: VecDeque::new(), bytes: 0, max_bytes, dropped: 0 }
    }

    pub(crate) fn push(&mut self, item: ControlItem) {
        self.bytes += item.weight();
        self.items.push_back(item);
        while self.items.len() > MAX_ITEMS || (self.bytes > self.max_bytes && self.items.len() > 1) {
            self.dropped += u64::from(self.make_room());
        }
    }

    /// Drops the oldest [expendable](ControlItem::is_expendable) item. If there is none, drops the oldest item.
    fn make_room(&mut self) -> bool {
        let oldest = self.items.iter().position(ControlItem::is_expendable).unwrap_or(0);
        let dropped = self.items.remove(oldest);
        self.bytes -= dropped.as_ref().map_or(0, ControlItem::weight);
        dropped.is_some()
    }

    pub(crate) fn pop(&mut self) -> Option<ControlItem> {
        let item = self.items.pop_front()?;
        self.bytes -= item.weight();
        Some(item)
    }

    /// Counts an item as dropped, because the inbox is dropped.
    pub(crate) fn drop(&mut self, _item: ControlItem) {
        self.dropped += 1;
    }

    /// Drops and counts all items, because the inbox is dropped.
    pub(crate) fn drop_all(&mut self) {
        self.dropped += self.items.len() as u64;
        self.items.clear();
        self.bytes = 0;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interrupt(n: usize, size: usize) -> ControlItem {
        ControlItem::Interrupt { session_key: n.to_string(), chat_id: "x".repeat(size) }
    }

    fn letter(n: usize, size: usize) -> ControlItem {
        let line = format!("{n}{}", "x".repeat(size));
        ControlItem::Notice(Notice::DeadLetter { reason: String::new(), buffer_id: None, line })
    }

    fn waiting(queue: &mut ControlQueue) -> Vec<String> {
        let queue = std::iter::from_fn(|| queue.pop());
        let keys = queue.map(|item| match item {
            ControlItem::Interrupt { session_key, .. } => session_key,
            ControlItem::Notice(_) => String::new(),
        });
        keys.collect()
    }

    /// A connector can send any number of unknown frames and errors.
    #[test]
    fn x_5_unknown_frames_and_errors_make_room_before_all_others() {
        let mut queue = ControlQueue::new(MAX_ITEMS * 10);
        queue.push(interrupt(0, 0));
        for n in 0..2 * MAX_ITEMS {
            let notice = match n % 2 {
                0 => Notice::UnknownFrame { kind: "x".into(), raw: "{}".into() },
                _ => Notice::ConnectorError { text: "no".into() },
            };
            queue.push(ControlItem::Notice(notice));
        }
        assert_eq!((queue.items.len(), queue.dropped()), (MAX_ITEMS, MAX_ITEMS as u64 + 1));
        assert_eq!(waiting(&mut queue)[0], "0");
    }

    /// A user can press a button any number of times.
    #[test]
    fn i_8_answers_that_close_nothing_make_room_before_all_others() {
        let mut queue = ControlQueue::new(usize::MAX);
        queue.push(interrupt(0, 0));
        for n in 0..2 * MAX_ITEMS {
            let answer = Box::default();
            queue.push(ControlItem::Notice(match n % 2 {
                0 => Notice::StalePrompt { answer },
                _ => Notice::UnauthorizedAnswer { answer },
            }));
        }
        assert_eq!((queue.items.len(), queue.dropped()), (MAX_ITEMS, MAX_ITEMS as u64 + 1));
        assert_eq!(waiting(&mut queue)[0], "0");
    }

    #[test]
    fn a_9_dead_letters_make_room_before_all_others() {
        let mut queue = ControlQueue::new(100);
        queue.push(interrupt(0, 9));
        (1..9).for_each(|n| queue.push(letter(n, 40)));
        queue.push(interrupt(9, 9));
        assert_eq!((queue.dropped(), queue.bytes), (7, 61));
        let kept = std::iter::from_fn(|| queue.pop()).map(|item| match item {
            ControlItem::Interrupt { session_key, .. } => session_key,
            ControlItem::Notice(Notice::DeadLetter { line, .. }) => line.trim_end_matches('x').to_owned(),
            ControlItem::Notice(_) => String::new(),
        });
        assert_eq!(kept.collect::<Vec<_>>(), ["0", "8", "9"]);
        assert_eq!(queue.bytes, 0);
    }

    /// The newest item makes room, too: an interrupt is never dropped for it.
    #[test]
    fn a_9_a_dead_letter_over_the_limit_drops_only_itself() {
        let mut queue = ControlQueue::new(100);
        queue.push(interrupt(0, 90));
        queue.push(letter(1, 40));
        assert_eq!((queue.dropped(), queue.bytes), (1, 91));
        assert_eq!(waiting(&mut queue), ["0"]);
    }

    #[test]
    fn x_1_the_oldest_items_are_dropped_and_counted() {
        for (max_bytes, size, pushed, left) in [
            (100, 9, 3, vec!["0", "1", "2"]),
            (100, 9, 12, vec!["3", "4", "5", "6", "7", "8", "9", "10", "11"]),
            (100, 200, 3, vec!["2"]),
            (0, 0, 2, vec!["1"]),
        ] {
            let mut queue = ControlQueue::new(max_bytes);
            (0..pushed).for_each(|n| queue.push(interrupt(n, size)));
            assert_eq!(queue.dropped(), (pushed - left.len()) as u64);
            assert_eq!(waiting(&mut queue), left, "{max_bytes} {size} {pushed}");
            assert_eq!(queue.bytes, 0);
        }
        let mut queue = ControlQueue::new(1 << 20);
        (0..MAX_ITEMS + 2).for_each(|n| queue.push(interrupt(n, 1)));
        assert_eq!((queue.dropped(), queue.items.len()), (2, MAX_ITEMS));
        queue.drop_all();
        queue.drop(interrupt(0, 0));
        assert_eq!((queue.dropped(), queue.is_empty(), queue.bytes), (2 + MAX_ITEMS as u64 + 1, true, 0));
    }
}
