//! Records of the journal, and their encoding.
//!
//! A record is the JSON array of the format's version and the record: `[1,{"hand_out":{"entry":17,"attempt":1}}]`.
//! A later release may add kinds. A release that meets a kind or a version that it does not know reports that a newer
//! one wrote it, and does not start.

use crate::encoding::{Bytes, DecodeError, Draft, decode, encode};
use crate::head::MemoryItem;
use crate::id::{DedupeKey, EntryId, PieceId, RecordSeq};
use serde::{Deserialize, Serialize};

/// Record of the journal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Record {
    /// First record of a leader. `leader` differs between leaders that start at the same time.
    Epoch {
        /// Number of the leader, from 1.
        epoch: u64,
        /// Random name of the leader.
        leader: Box<str>,
    },
    /// An entry is about to be handed out.
    HandOut {
        /// The entry.
        entry: EntryId,
        /// Number of its hand-out, from 1.
        attempt: u32,
    },
    /// An entry is about to be handed out to an agent of a worker, which may keep it when another gateway takes over.
    Leased {
        /// The entry.
        entry: EntryId,
        /// Number of its hand-out, from 1.
        attempt: u32,
        /// The worker.
        worker: Box<str>,
    },
    /// A hand-out ended without a charge. The entry waits again.
    Returned {
        /// The entry.
        entry: EntryId,
        /// Cause.
        reason: ReturnReason,
    },
    /// A session gets one entry at a time until one of it is done, because an agent crashed with several.
    Cautious {
        /// The session.
        session: Box<str>,
    },
    /// A hand-out failed and is charged to the entry, which waits again.
    Charged {
        /// The entry.
        entry: EntryId,
        /// Error of the agent.
        error: Box<str>,
    },
    /// A hand-out failed for the last time. The entry is a dead letter.
    Dead {
        /// The entry.
        entry: EntryId,
        /// Error of the agent.
        error: Box<str>,
    },
    /// An entry is done.
    Settled {
        /// The entry.
        entry: EntryId,
        /// Key of its duplicates.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<DedupeKey>,
        /// Its host memory, if no later entry has the same memory.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        memory: Option<MemoryItem>,
        /// Its session, if that gets one entry at a time. It does so no more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        relaxes: Option<Box<str>>,
    },
    /// An operator dropped an entry.
    Dropped {
        /// The entry.
        entry: EntryId,
        /// Key of its duplicates.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<DedupeKey>,
    },
    /// An operator retries an entry: its charges are forgotten.
    Retried {
        /// The entry.
        entry: EntryId,
    },
    /// The host remembers something, or forgets it.
    Memory {
        /// Key.
        key: Box<str>,
        /// Value; `None` to forget the key.
        value: Option<Box<str>>,
        /// Last entry when it was set. Later entries override it.
        after: EntryId,
    },
    /// A snapshot is complete. The records up to `upto` are no longer needed.
    Snapshot {
        /// Last record whose effect is in the snapshot.
        upto: RecordSeq,
        /// Epoch of the leader.
        epoch: u64,
        /// Pieces with the state.
        state: Vec<PieceId>,
        /// Pieces with keys of duplicates, oldest first, and the age of the newest key of each in seconds.
        keys: Vec<(PieceId, u64)>,
    },
    /// The leader has handed over. Nothing is out, except to workers.
    Released,
}

/// Cause of a hand-out's end without a charge.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReturnReason {
    /// The agent never got the entry. The attempt does not count.
    Unseen,
    /// The agent ended as planned.
    Planned,
    /// The agent crashed, and an older entry of the session is charged.
    Crash,
}

/// Kinds of this version, as they are written.
const KINDS: [&str; 13] = [
    "epoch", "hand_out", "leased", "returned", "cautious", "charged", "dead", "settled", "dropped",
    "retried", "memory", "snapshot", "released",
];

impl Record {
    /// Encodes the record for the store.
    pub fn encode(&self) -> Bytes {
        match self {
            // Each entry has these two.
            Record::HandOut { entry, attempt } => {
                let mut draft = Draft::new();
                draft.raw(r#"{"hand_out":{"entry":"#).number(entry.0);
                draft.raw(r#","attempt":"#).number((*attempt).into()).raw("}}").finish()
            }
            Record::Settled { entry, key, memory, relaxes } => {
                let mut draft = Draft::new();
                draft.raw(r#"{"settled":{"entry":"#).number(entry.0);
                if let Some(DedupeKey(key)) = key {
                    draft.raw(r#","key":"#).hex(key);
                }
                if let Some(memory) = memory {
                    draft.raw(r#","memory":"#).value(memory);
                }
                if let Some(session) = relaxes {
                    draft.raw(r#","relaxes":"#).value(session);
                }
                draft.raw("}}").finish()
            }
            other => encode(other),
        }
    }

    /// Decodes the record at a place of the journal.
    ///
    /// # Errors
    /// The record is damaged, or a newer version wrote it.
    pub fn decode(seq: RecordSeq, bytes: &[u8]) -> Result<Record, DecodeError> {
        decode(&format!("record {seq} of the journal"), bytes, &KINDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// These bytes are in people's files: a change of the encoding must read them still.
    #[test]
    fn records_of_version_1_are_read() {
        let entry = EntryId(17);
        let key = Some(DedupeKey([0xAB; 16]));
        let memory = Some(MemoryItem { key: "chat/1".into(), value: "x".into() });
        let hex = "ab".repeat(16);
        let piece = |number| PieceId { epoch: 2, number };
        let table = [
            (
                Record::Epoch { epoch: 2, leader: "a1".into() },
                r#"{"epoch":{"epoch":2,"leader":"a1"}}"#.to_owned(),
            ),
            (Record::HandOut { entry, attempt: 3 }, r#"{"hand_out":{"entry":17,"attempt":3}}"#.to_owned()),
            (
                Record::Leased { entry, attempt: 3, worker: "w1".into() },
                r#"{"leased":{"entry":17,"attempt":3,"worker":"w1"}}"#.to_owned(),
            ),
            (
                Record::Returned { entry, reason: ReturnReason::Unseen },
                r#"{"returned":{"entry":17,"reason":"unseen"}}"#.to_owned(),
            ),
            (
                Record::Returned { entry, reason: ReturnReason::Planned },
                r#"{"returned":{"entry":17,"reason":"planned"}}"#.to_owned(),
            ),
            (
                Record::Returned { entry, reason: ReturnReason::Crash },
                r#"{"returned":{"entry":17,"reason":"crash"}}"#.to_owned(),
            ),
            (Record::Cautious { session: "a:b".into() }, r#"{"cautious":{"session":"a:b"}}"#.to_owned()),
            (
                Record::Charged { entry, error: "no".into() },
                r#"{"charged":{"entry":17,"error":"no"}}"#.to_owned(),
            ),
            (Record::Dead { entry, error: "no".into() }, r#"{"dead":{"entry":17,"error":"no"}}"#.to_owned()),
            (
                Record::Settled { entry, key: None, memory: None, relaxes: None },
                r#"{"settled":{"entry":17}}"#.to_owned(),
            ),
            (
                Record::Settled { entry, key, memory, relaxes: Some("a:b".into()) },
                format!(
                    r#"{{"settled":{{"entry":17,"key":"{hex}","memory":["chat/1","x"],"relaxes":"a:b"}}}}"#
                ),
            ),
            (Record::Dropped { entry, key }, format!(r#"{{"dropped":{{"entry":17,"key":"{hex}"}}}}"#)),
            (Record::Retried { entry }, r#"{"retried":{"entry":17}}"#.to_owned()),
            (
                Record::Memory { key: "k".into(), value: None, after: entry },
                r#"{"memory":{"key":"k","value":null,"after":17}}"#.to_owned(),
            ),
            (
                Record::Snapshot {
                    upto: RecordSeq(9),
                    epoch: 2,
                    state: vec![piece(1)],
                    keys: vec![(piece(2), 5)],
                },
                r#"{"snapshot":{"upto":9,"epoch":2,"state":[[2,1]],"keys":[[[2,2],5]]}}"#.to_owned(),
            ),
            (Record::Released, r#""released""#.to_owned()),
        ];
        for (record, text) in table {
            let text = format!("[1,{text}]");
            assert_eq!(Record::decode(RecordSeq(1), text.as_bytes()).unwrap(), record);
            assert_eq!(std::str::from_utf8(&record.encode()).unwrap(), text);
            assert_eq!(record.encode(), encode(&record));
        }
    }

    #[test]
    fn a_newer_kind_or_version_is_named() {
        let error = |text: &str| Record::decode(RecordSeq(9), text.as_bytes()).unwrap_err();
        for text in [r#"[1,{"lease":{"worker":"a"}}]"#, r#"[1,"paused"]"#, r#"[2,{"epoch":{}}]"#, "[7]"] {
            let error = error(text);
            assert!(matches!(error, DecodeError::Newer { .. }), "{text}: {error}");
            assert!(error.to_string().contains("newer version of this program wrote"), "{error}");
        }
        for text in [
            "",
            "[1]",
            r#"[1,{"hand_out":{"entry":-1}}]"#,
            r#"[1,{"hand_out":{"entry":1,"attempt":1,"x":1}}]"#,
        ] {
            assert!(matches!(error(text), DecodeError::Damaged { .. }), "{text}");
        }
    }
}
