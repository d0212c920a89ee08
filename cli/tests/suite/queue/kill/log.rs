//! Log of the agents in the kill run: order and marks of the sightings, and the messages that were seen and acknowledged.

use super::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Log of the agents, as far as it was read.
pub(super) struct AgentLog {
    file: File,
    /// Last line, which may lack its end.
    rest: String,
    sessions: usize,
    attempts: BTreeMap<Message, u32>,
    /// Newest messages of the sessions, of those that were buffered and of those that were live.
    newest: BTreeMap<(bool, usize), usize>,
    acknowledged: BTreeSet<Message>,
    done: BTreeSet<Message>,
    /// Number of buffered messages that were seen.
    pub(super) buffered: usize,
    /// Number of sightings after the first.
    pub(super) again: usize,
}

impl AgentLog {
    pub(super) fn new(path: &Path, sessions: usize) -> AgentLog {
        std::fs::write(path, "").unwrap();
        AgentLog {
            file: File::open(path).unwrap(),
            rest: String::new(),
            sessions,
            attempts: BTreeMap::new(),
            newest: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            done: BTreeSet::new(),
            buffered: 0,
            again: 0,
        }
    }

    /// Reads and checks what is new.
    pub(super) fn read(&mut self) {
        self.file.read_to_string(&mut self.rest).unwrap();
        let rest = self.rest.split_off(self.rest.rfind('\n').map_or(0, |end| end + 1));
        for line in std::mem::replace(&mut self.rest, rest).lines() {
            self.check(line);
        }
    }

    fn check(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let message = Message::parse(words[1]).unwrap_or_else(|| panic!("{line}"));
        match words[0] {
            "seen" => self.saw(line, message, words[2].parse().unwrap(), words[3] == "true"),
            "acks" => _ = self.acknowledged.insert(message),
            "done" => _ = self.done.insert(message),
            _ => panic!("{line}"),
        }
    }

    fn saw(&mut self, line: &str, message: Message, attempt: u32, is_marked: bool) {
        assert!(!self.done.contains(&message), "a message is done and comes again: {line}");
        assert_eq!(is_marked, attempt > 1, "{line}");
        if let Some(last) = self.attempts.get_mut(&message) {
            self.again += 1;
            // A stopped agent reads the line of an earlier hand-out when it goes on, before its guard ends it.
            assert!(attempt != *last, "{line} after attempt {last}");
            *last = attempt.max(*last);
            return;
        }
        self.attempts.insert(message, attempt);
        // Messages that are live overtake those that are buffered.
        self.buffered += usize::from(matches!(message, Message::Buffered(_)));
        let (is_live, number) = (matches!(message, Message::Live(_)), message.number());
        let last = self.newest.insert((is_live, number % self.sessions), number);
        assert!(last.is_none_or(|last| last < number), "{line} after message {last:?} of its session");
    }

    pub(super) fn has_seen(&self, message: Message) -> bool {
        self.attempts.contains_key(&message)
    }

    /// Returns true if an agent has written the acknowledgement of a message: its result may be lost with the agent.
    pub(super) fn has_acknowledged(&self, message: Message) -> bool {
        self.acknowledged.contains(&message)
    }

    /// Returns the messages that were seen.
    pub(super) fn seen(&self) -> impl Iterator<Item = Message> {
        self.attempts.keys().copied()
    }
}
