//! Streamed replies of a client: their number is bounded, and those that it leaves unfinished are finished.
//!
//! The machine keeps a stream until its last state, and its streams are few: clients must not use them up for the agent.

use relayline_core::op::StreamReply;
use std::collections::BTreeMap;

/// Unfinished streams of a client, by the client's name for each.
#[derive(Debug)]
pub(super) struct Streams {
    /// Prefix that keeps the names apart from those of the agent and of other clients.
    prefix: String,
    unfinished: BTreeMap<String, StreamReply>,
    max_count: usize,
    max_bytes: usize,
}

impl Streams {
    /// Creates the streams of a client. `number` identifies the client.
    pub(super) fn new(number: u64, max_count: usize, max_bytes: usize) -> Streams {
        let prefix = format!("control {number}: ");
        Streams { prefix, unfinished: BTreeMap::new(), max_count, max_bytes }
    }

    /// Takes the next state of a stream, and gives it the name that the machine knows.
    ///
    /// # Errors
    /// The client has too many streams, or their texts are too long.
    pub(super) fn take(&mut self, state: &mut StreamReply) -> Result<(), String> {
        let name = state.stream.clone();
        if state.last {
            self.unfinished.remove(&name);
        } else {
            let others = self.unfinished.iter().filter(|(known, _)| **known != name);
            let (count, bytes) =
                others.fold((0, 0), |(count, bytes), (_, other)| (count + 1, bytes + other.text.len()));
            if count >= self.max_count {
                return Err(format!(
                    "{count} streams of this client are unfinished, as many as `control_streams` allows"
                ));
            }
            if count > 0 && bytes + state.text.len() > self.max_bytes {
                return Err(format!(
                    "the unfinished streams of this client may have {} bytes of text",
                    self.max_bytes
                ));
            }
        }
        state.stream.insert_str(0, &self.prefix);
        if !state.last {
            self.unfinished.insert(name, state.clone());
        }
        Ok(())
    }

    /// Returns the last states of all unfinished streams, and forgets them.
    pub(super) fn finish(&mut self) -> impl Iterator<Item = StreamReply> + use<> {
        let unfinished = std::mem::take(&mut self.unfinished);
        unfinished.into_values().map(|state| state.last(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(streams: &mut Streams, name: &str, text: &str, last: bool) -> Result<String, String> {
        let mut state = StreamReply::new(name, text).chat_id("7").last(last);
        streams.take(&mut state).map(|()| state.stream)
    }

    #[test]
    fn x_1_unfinished_streams_are_bounded() {
        let mut streams = Streams::new(3, 2, 10);
        assert_eq!(take(&mut streams, "a", "one", false).unwrap(), "control 3: a");
        assert!(take(&mut streams, "a", "one two", false).is_ok(), "a further state is not a further stream");
        assert!(take(&mut streams, "b", "four", false).unwrap_err().contains("10 bytes"));
        assert!(take(&mut streams, "b", "two", false).is_ok());
        assert!(take(&mut streams, "c", "", false).unwrap_err().contains("control_streams"));
        // A stream of a single state, and the end of one, need no room.
        assert!(
            take(&mut streams, "c", "whole", true).is_ok() && take(&mut streams, "a", "end", true).is_ok()
        );
        let left: Vec<_> = streams.finish().map(|state| (state.stream, state.text, state.last)).collect();
        assert_eq!(left, [("control 3: b".to_owned(), "two".to_owned(), true)]);
        assert_eq!(streams.finish().count(), 0);
    }
}
