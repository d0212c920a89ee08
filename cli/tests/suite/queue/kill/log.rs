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
    /// Attempts in which a message was seen.
    attempts: BTreeMap<Message, BTreeSet<u32>>,
    /// Newest messages of the sessions, of those that were buffered and of those that were live.
    newest: BTreeMap<(bool, usize), usize>,
    /// Last attempt in which a message was acknowledged.
    acknowledged: BTreeMap<Message, u32>,
    /// Last attempt whose acknowledgement has its result.
    done: BTreeMap<Message, u32>,
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
            acknowledged: BTreeMap::new(),
            done: BTreeMap::new(),
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
        let attempt = words[2].parse().unwrap();
        match words[0] {
            "seen" => self.saw(line, message, attempt, words[3] == "true"),
            "acks" => note_last(&mut self.acknowledged, message, attempt),
            "done" => self.done(line, message, attempt),
            _ => panic!("{line}"),
        }
    }

    fn saw(&mut self, line: &str, message: Message, attempt: u32, is_marked: bool) {
        let done = self.done.get(&message);
        assert!(done.is_none_or(|done| attempt < *done), "a message is done and comes again: {line}");
        assert_eq!(is_marked, attempt > 1, "{line}");
        let attempts = self.attempts.entry(message).or_default();
        // A stopped agent reads the line of an earlier hand-out when it goes on, before its guard ends it.
        assert!(attempts.insert(attempt), "an attempt was seen before: {line}");
        if attempts.len() > 1 {
            self.again += 1;
            return;
        }
        // Messages that are live overtake those that are buffered.
        self.buffered += usize::from(matches!(message, Message::Buffered(_)));
        let (is_live, number) = (matches!(message, Message::Live(_)), message.number());
        let last = self.newest.insert((is_live, number % self.sessions), number);
        assert!(last.is_none_or(|last| last < number), "{line} after message {last:?} of its session");
    }

    /// Handles the result of an acknowledgement. If the message was handed out again meanwhile, only that later hand-out
    /// can have settled it.
    fn done(&mut self, line: &str, message: Message, attempt: u32) {
        let (last, acknowledged) = (self.last_attempt(message), self.acknowledged.get(&message));
        let is_settled = last <= attempt || acknowledged.is_some_and(|acknowledged| *acknowledged > attempt);
        assert!(is_settled, "an acknowledgement counts after the hand-out of attempt {last}: {line}");
        note_last(&mut self.done, message, attempt);
    }

    fn last_attempt(&self, message: Message) -> u32 {
        self.attempts.get(&message).and_then(|attempts| attempts.last().copied()).unwrap_or(0)
    }

    pub(super) fn has_seen(&self, message: Message) -> bool {
        self.attempts.contains_key(&message)
    }

    /// Returns true if the agent that saw the last attempt of a message has acknowledged it: the result may be lost with the
    /// agent. An acknowledgement of an earlier attempt settles nothing.
    pub(super) fn has_acknowledged(&self, message: Message) -> bool {
        self.acknowledged.get(&message).is_some_and(|attempt| *attempt >= self.last_attempt(message))
    }

    /// Returns the messages that were seen.
    pub(super) fn seen(&self) -> impl Iterator<Item = Message> {
        self.attempts.keys().copied()
    }
}

fn note_last(attempts: &mut BTreeMap<Message, u32>, message: Message, attempt: u32) {
    let last = attempts.entry(message).or_default();
    *last = attempt.max(*last);
}
