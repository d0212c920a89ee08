//! Interrupts and notices on their way to the host: a queue of their own, ahead of deliveries (L-16), and bounded.

use relayline_core::output::Notice;
use std::collections::VecDeque;

/// How many may wait for the host.
const MOST: usize = 1024;

/// What overtakes deliveries.
#[derive(Debug)]
pub(crate) enum Sign {
    Interrupt { session_key: String, chat_id: String },
    Notice(Notice),
}

impl Sign {
    /// Returns whether it makes room for interrupts and for notices of the connection's state.
    fn makes_room(&self) -> bool {
        let Sign::Notice(notice) = self else { return false };
        matches!(
            notice,
            Notice::DeadLetter { .. } | Notice::UnknownFrame { .. } | Notice::ConnectorError { .. }
        )
    }

    /// Bytes of what a peer said in it.
    fn weight(&self) -> usize {
        match self {
            Sign::Interrupt { session_key, chat_id } => session_key.len() + chat_id.len(),
            Sign::Notice(notice) => notice.weight(),
        }
    }
}

/// Those that wait, the oldest first. The oldest make room, and are counted: of two notices the later says how
/// things are. Dead letters, unknown frames and errors of the connector make room before all others, since it can write
/// as many as it likes.
#[derive(Debug)]
pub(crate) struct Signs {
    queue: VecDeque<Sign>,
    bytes: usize,
    most_bytes: usize,
    dropped: u64,
}

impl Signs {
    /// A queue for so many bytes of what a peer said; the newest is kept whatever its size.
    pub(crate) fn new(most_bytes: usize) -> Self {
        Signs { queue: VecDeque::new(), bytes: 0, most_bytes, dropped: 0 }
    }

    pub(crate) fn push(&mut self, sign: Sign) {
        self.bytes += sign.weight();
        self.queue.push_back(sign);
        while self.queue.len() > MOST || (self.bytes > self.most_bytes && self.queue.len() > 1) {
            self.dropped += u64::from(self.make_room());
        }
    }

    /// Drops the oldest of those, or the oldest of all if none is queued before the newest.
    fn make_room(&mut self) -> bool {
        let older = self.queue.len().saturating_sub(1);
        let oldest = self.queue.iter().take(older).position(Sign::makes_room).unwrap_or(0);
        let dropped = self.queue.remove(oldest);
        self.bytes -= dropped.as_ref().map_or(0, Sign::weight);
        dropped.is_some()
    }

    pub(crate) fn pop(&mut self) -> Option<Sign> {
        let sign = self.queue.pop_front()?;
        self.bytes -= sign.weight();
        Some(sign)
    }

    /// One that nobody is there for.
    pub(crate) fn drop(&mut self, _sign: Sign) {
        self.dropped += 1;
    }

    /// Nobody is there any more for those that wait.
    pub(crate) fn drop_all(&mut self) {
        self.dropped += self.queue.len() as u64;
        self.queue.clear();
        self.bytes = 0;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interrupt(n: usize, size: usize) -> Sign {
        Sign::Interrupt { session_key: n.to_string(), chat_id: "x".repeat(size) }
    }

    fn waiting(signs: &mut Signs) -> Vec<String> {
        let signs = std::iter::from_fn(|| signs.pop());
        let keys = signs.map(|sign| match sign {
            Sign::Interrupt { session_key, .. } => session_key,
            Sign::Notice(_) => String::new(),
        });
        keys.collect()
    }

    /// A connector can write as many as it likes.
    #[test]
    fn x_5_unknown_frames_and_errors_make_room_before_all_others() {
        let mut signs = Signs::new(MOST * 10);
        signs.push(interrupt(0, 0));
        for n in 0..2 * MOST {
            let notice = match n % 2 {
                0 => Notice::UnknownFrame { kind: "x".into(), raw: "{}".into() },
                _ => Notice::ConnectorError { text: "no".into() },
            };
            signs.push(Sign::Notice(notice));
        }
        assert_eq!((signs.queue.len(), signs.dropped()), (MOST, MOST as u64 + 1));
        assert_eq!(waiting(&mut signs)[0], "0");
    }

    #[test]
    fn a_9_dead_letters_make_room_before_all_others() {
        let letter = |n: usize| {
            let line = format!("{n}{}", "x".repeat(40));
            Sign::Notice(Notice::DeadLetter { reason: String::new(), buffer_id: None, line })
        };
        let mut signs = Signs::new(100);
        signs.push(interrupt(0, 9));
        (1..9).for_each(|n| signs.push(letter(n)));
        signs.push(interrupt(9, 9));
        assert_eq!((signs.dropped(), signs.bytes), (7, 61));
        let kept = std::iter::from_fn(|| signs.pop()).map(|sign| match sign {
            Sign::Interrupt { session_key, .. } => session_key,
            Sign::Notice(Notice::DeadLetter { line, .. }) => line.trim_end_matches('x').to_owned(),
            Sign::Notice(_) => String::new(),
        });
        assert_eq!(kept.collect::<Vec<_>>(), ["0", "8", "9"]);
        assert_eq!(signs.bytes, 0);
    }

    #[test]
    fn x_1_the_oldest_make_room_and_are_counted() {
        for (most_bytes, size, pushed, left) in [
            (100, 9, 3, vec!["0", "1", "2"]),
            (100, 9, 12, vec!["3", "4", "5", "6", "7", "8", "9", "10", "11"]),
            (100, 200, 3, vec!["2"]),
            (0, 0, 2, vec!["1"]),
        ] {
            let mut signs = Signs::new(most_bytes);
            (0..pushed).for_each(|n| signs.push(interrupt(n, size)));
            assert_eq!(signs.dropped(), (pushed - left.len()) as u64);
            assert_eq!(waiting(&mut signs), left, "{most_bytes} {size} {pushed}");
            assert_eq!(signs.bytes, 0);
        }
        let mut signs = Signs::new(1 << 20);
        (0..MOST + 2).for_each(|n| signs.push(interrupt(n, 1)));
        assert_eq!((signs.dropped(), signs.queue.len()), (2, MOST));
        signs.drop_all();
        signs.drop(interrupt(0, 0));
        assert_eq!((signs.dropped(), signs.is_empty(), signs.bytes), (2 + MOST as u64 + 1, true, 0));
    }
}
