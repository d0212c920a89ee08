//! Turns: the frames from a message of a chat to the end of its answer.

use std::collections::BTreeMap;

/// Maximum number of turns that are remembered. The oldest leaves.
const MAX_OPEN: usize = 4096;

/// Turns by chat and by session.
#[derive(Debug, Default)]
pub(super) struct Turns {
    open: BTreeMap<usize, OpenTurn>,
    by_chat: BTreeMap<ChatKey, usize>,
    by_session: BTreeMap<String, usize>,
    count: usize,
}

#[derive(Debug)]
struct OpenTurn {
    session: String,
    /// True once the answer is complete. Its result, reactions and signs still belong to the turn.
    is_over: bool,
}

/// A chat, or a thread in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct ChatKey {
    chat: String,
    thread: Option<String>,
}

impl ChatKey {
    /// Creates the key of a chat, or of a thread. A thread that is the chat itself is the chat.
    pub(super) fn new(chat: &str, thread: Option<&str>) -> ChatKey {
        let thread = thread.filter(|thread| *thread != chat).map(str::to_owned);
        ChatKey { chat: chat.to_owned(), thread }
    }
}

/// Turn and session of a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct OfTurn {
    /// Number of the turn; `None` if it was over.
    pub(super) number: Option<usize>,
    pub(super) session: String,
}

impl Turns {
    /// Begins a turn of these chats and this session. Returns its number.
    pub(super) fn begin(&mut self, chats: Vec<ChatKey>, session: &str) -> usize {
        self.count += 1;
        if self.open.len() >= MAX_OPEN {
            self.open.pop_first();
        }
        if self.by_chat.len() + self.by_session.len() > 4 * MAX_OPEN {
            self.by_chat.retain(|_, turn| self.open.contains_key(turn));
            self.by_session.retain(|_, turn| self.open.contains_key(turn));
        }
        self.open.insert(self.count, OpenTurn { session: session.to_owned(), is_over: false });
        self.by_session.insert(session.to_owned(), self.count);
        for chat in chats {
            self.by_chat.insert(chat, self.count);
        }
        self.count
    }

    /// Returns the turn of a frame for one of these chats: that of the first chat that has one. `is_last` ends the
    /// answer. A sign belongs to a turn also after that.
    pub(super) fn find(&mut self, chats: &[ChatKey], is_last: bool, is_sign: bool) -> Option<OfTurn> {
        let number = chats.iter().find_map(|chat| self.by_chat.get(chat)).copied()?;
        let turn = self.open.get_mut(&number)?;
        let belongs = !turn.is_over || is_sign;
        turn.is_over |= is_last;
        Some(OfTurn { number: Some(number).filter(|_| belongs), session: turn.session.clone() })
    }

    /// Returns the newest turn of a session.
    pub(super) fn of_session(&self, session: &str) -> Option<usize> {
        self.by_session.get(session).copied().filter(|turn| self.open.contains_key(turn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_ends_with_its_answer_and_signs_follow() {
        let mut turns = Turns::default();
        let (chat, thread) = (ChatKey::new("c", None), ChatKey::new("c", Some("t")));
        assert_eq!(turns.begin(vec![chat.clone()], "s"), 1);
        assert_eq!(turns.begin(vec![thread.clone()], "s/t"), 2);
        let mut number = |keys: &[&ChatKey], is_last, is_sign| {
            let keys: Vec<ChatKey> = keys.iter().copied().cloned().collect();
            turns.find(&keys, is_last, is_sign).and_then(|turn| turn.number)
        };
        assert_eq!(number(&[&thread, &chat], false, false), Some(2), "the thread goes first");
        assert_eq!(number(&[&chat], true, false), Some(1), "the last frame belongs to it");
        assert_eq!(number(&[&chat], false, false), None);
        assert_eq!(number(&[&chat], false, true), Some(1));
        assert_eq!(turns.of_session("s/t"), Some(2));
    }

    #[test]
    fn x_1_the_memory_of_turns_is_bounded() {
        let mut turns = Turns::default();
        for number in 0..4 * MAX_OPEN {
            turns.begin(vec![ChatKey::new(&number.to_string(), None)], &number.to_string());
        }
        assert_eq!(turns.open.len(), MAX_OPEN);
        assert!(turns.by_chat.len() + turns.by_session.len() <= 4 * MAX_OPEN + 2);
        assert_eq!(turns.of_session("0"), None);
    }
}
