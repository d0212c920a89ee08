//! Turns: the frames from a message of a chat to the end of its answer.

use std::collections::BTreeMap;

/// Maximum number of turns that are open. When it is reached, all are closed.
const MAX_OPEN: usize = 4096;

/// Open turns by chat and thread.
#[derive(Debug, Default)]
pub(super) struct Turns {
    open: BTreeMap<String, OpenTurn>,
    count: usize,
}

#[derive(Clone, Debug)]
struct OpenTurn {
    number: usize,
    session: String,
    /// True once the answer is complete. Its result, reactions and signs still belong to the turn.
    is_over: bool,
}

/// Turn and session key of a frame.
#[derive(Clone, Debug)]
pub(super) struct OfTurn {
    pub(super) number: Option<usize>,
    pub(super) session: String,
}

/// Returns the key of a chat or of a thread in it.
pub(super) fn chat_key(platform: &str, chat: &str, thread: Option<&str>) -> String {
    match thread.filter(|thread| *thread != chat) {
        Some(thread) => format!("{platform}\n{chat}\n{thread}"),
        None => format!("{platform}\n{chat}"),
    }
}

impl Turns {
    /// Begins a turn. An earlier one of the same chat is over.
    pub(super) fn begin(&mut self, keys: &[String], session: &str) -> usize {
        self.count += 1;
        if self.open.len() >= MAX_OPEN {
            self.open.clear();
        }
        let turn = OpenTurn { number: self.count, session: session.to_owned(), is_over: false };
        for key in keys {
            self.open.insert(key.clone(), turn.clone());
        }
        self.count
    }

    /// Returns the turn that a frame for one of these chats belongs to: the first that is known.
    pub(super) fn find(&mut self, keys: &[String], is_last: bool, is_sign: bool) -> Option<OfTurn> {
        let turn = keys.iter().find_map(|key| self.open.get(key)).cloned()?;
        let number = Some(turn.number).filter(|_| !turn.is_over || is_sign);
        if is_last {
            let same = self.open.values_mut().filter(|other| other.number == turn.number);
            same.for_each(|other| other.is_over = true);
        }
        Some(OfTurn { number, session: turn.session })
    }

    /// Returns the turn of a session.
    pub(super) fn of_session(&self, session: &str) -> Option<usize> {
        self.open.values().find(|turn| turn.session == session).map(|turn| turn.number)
    }
}
