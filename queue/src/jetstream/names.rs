//! Names of a queue's streams and subjects.

use std::fmt::Write;

/// Maximum length of an encoded id: the servers' limit for the name of a stream is 255.
const MAX_ID: usize = 180;

/// Names of the streams and subjects of one queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Names {
    prefix: String,
    id: String,
}

impl Names {
    /// Creates the names of a gateway's queue. `prefix` is valid in a subject. `None` if the id is too long.
    pub(super) fn new(prefix: &str, gateway_id: &str) -> Option<Names> {
        let id = encode(gateway_id);
        (id.len() <= MAX_ID).then(|| Names { prefix: prefix.to_owned(), id })
    }

    fn stream(&self, kind: &str) -> String {
        // Neither part contains an underscore that is not an escape, so that two queues have two names.
        format!("{}_{}_{kind}", self.prefix, self.id)
    }

    fn subject(&self, kind: &str) -> String {
        format!("{}.{}.{kind}", self.prefix, self.id)
    }

    /// Returns the stream of entries.
    pub(super) fn entry_stream(&self) -> String {
        self.stream("in")
    }

    /// Returns the subject of entries.
    pub(super) fn entries(&self) -> String {
        self.subject("in")
    }

    /// Returns the subject of barriers between the entries of two leaders.
    pub(super) fn barriers(&self) -> String {
        self.subject("in.barrier")
    }

    /// Returns the stream of the journal.
    pub(super) fn record_stream(&self) -> String {
        self.stream("log")
    }

    /// Returns the subject of journal records.
    pub(super) fn records(&self) -> String {
        self.subject("log")
    }

    /// Returns the stream of things that have no number: pieces of snapshots, parts of large entries, the leader.
    pub(super) fn keyed_stream(&self) -> String {
        self.stream("kv")
    }

    /// Returns all subjects of that stream.
    pub(super) fn keyed(&self) -> String {
        self.subject("kv.>")
    }

    /// Returns the subject of the leader's key.
    pub(super) fn leader(&self) -> String {
        self.subject("kv.leader")
    }

    /// Returns the subjects of all parts of one kind. The last four tokens of such a subject are the kind, the two of
    /// its group, and the part's number.
    pub(super) fn parts(&self, kind: &str) -> String {
        self.subject(&format!("kv.{kind}.>"))
    }

    /// Returns the subject of one part of a group; without a number that of all of them.
    pub(super) fn part(&self, kind: &str, group: &str, number: Option<usize>) -> String {
        let number = number.map_or("*".to_owned(), |number| number.to_string());
        self.subject(&format!("kv.{kind}.{group}.{number}"))
    }

    /// Returns the subject on which the leader takes requests. No stream stores it.
    pub(super) fn requests(&self) -> String {
        self.subject("request")
    }

    /// Returns a subject of the leader and its workers. No stream stores it.
    pub(super) fn fleet(&self, kind: &str) -> String {
        self.subject(&format!("fleet.{kind}"))
    }

    /// Returns the subject on which a leader says that it has handed the queue over. No stream stores it.
    pub(super) fn released(&self) -> String {
        self.subject("released")
    }
}

/// Returns an id as one token of a subject: other bytes than letters, digits and hyphens as an underscore and two
/// hexadecimal digits.
fn encode(id: &str) -> String {
    let mut token = String::with_capacity(id.len());
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => token.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => _ = write!(token, "_{byte:02X}"),
        }
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_become_one_token_each() {
        for (id, token) in [
            ("default", "default"),
            ("a.b c", "a_2Eb_20c"),
            ("a_2E", "a_5F2E"),
            ("*>", "_2A_3E"),
            ("é", "_C3_A9"),
        ] {
            assert_eq!(encode(id), token);
        }
        assert!(Names::new("relay", &"é".repeat(31)).is_none());
    }

    #[test]
    fn names_follow_the_prefix_and_the_id() {
        let names = Names::new("relay", "g.1").unwrap();
        assert_eq!(
            (names.entry_stream().as_str(), names.entries().as_str()),
            ("relay_g_2E1_in", "relay.g_2E1.in")
        );
        assert_eq!(names.part("piece", "3.1", Some(0)), "relay.g_2E1.kv.piece.3.1.0");
        assert_eq!(names.part("piece", "3.1", None), "relay.g_2E1.kv.piece.3.1.*");
    }
}
