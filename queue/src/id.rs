//! Numbers and names of what the queue holds.

use data_encoding::HEXLOWER;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// Declares a number that counts up from 1.
macro_rules! number {
    ($(#[$doc:meta])+ $name:ident) => {
        $(#[$doc])+
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// Returns the next number.
            #[must_use]
            pub fn next(self) -> Self {
                $name(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// Number of an entry of the queue. Numbers are in order of arrival, without gaps; 0 is before the first entry.
    EntryId
}
number! {
    /// Place of a record in the journal. Places have no gaps; 0 is before the first record.
    RecordSeq
}
number! {
    /// Number of a command for the store. Its answer names it.
    CommandId
}
number! {
    /// Number that the host gives to an arrival. The answer names it.
    ArrivalId
}
number! {
    /// Number that the host gives to an operator's request. The answer names it.
    RequestId
}

/// Id of a part of a snapshot. The epoch keeps the pieces of two leaders apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(from = "(u64, u64)", into = "(u64, u64)")]
pub struct PieceId {
    /// Epoch of the leader that wrote it.
    pub epoch: u64,
    /// Number among the pieces of this epoch.
    pub number: u64,
}

impl From<(u64, u64)> for PieceId {
    fn from((epoch, number): (u64, u64)) -> PieceId {
        PieceId { epoch, number }
    }
}

impl From<PieceId> for (u64, u64) {
    fn from(id: PieceId) -> (u64, u64) {
        (id.epoch, id.number)
    }
}

/// One hand-out of an entry. A settlement names the hand-out, so that an answer to an earlier one is recognized.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(from = "(EntryId, u32)", into = "(EntryId, u32)")]
pub struct HandOutId {
    /// The entry.
    pub entry: EntryId,
    /// Number of the hand-out of this entry, from 1.
    pub attempt: u32,
}

impl From<(EntryId, u32)> for HandOutId {
    fn from((entry, attempt): (EntryId, u32)) -> HandOutId {
        HandOutId { entry, attempt }
    }
}

impl From<HandOutId> for (EntryId, u32) {
    fn from(id: HandOutId) -> (EntryId, u32) {
        (id.entry, id.attempt)
    }
}

impl fmt::Display for HandOutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.entry, self.attempt)
    }
}

/// Id of an agent process. It may name a worker in front: `worker-a/3`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AgentId(Arc<str>);

impl AgentId {
    /// Creates an id.
    pub fn new(id: &str) -> AgentId {
        AgentId(id.into())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Creates the id of an agent of a worker.
    pub fn of_worker(worker: &str, agent: &str) -> AgentId {
        AgentId(format!("{worker}/{agent}").into())
    }

    /// Returns the worker in front; `None` for an agent of the gateway itself.
    pub fn worker(&self) -> Option<&str> {
        self.worker_and_name().map(|(worker, _)| worker)
    }

    /// Returns the worker in front, and the agent's name there; `None` for an agent of the gateway itself.
    pub fn worker_and_name(&self) -> Option<(&str, &str)> {
        self.0.split_once('/')
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Key that duplicates of an entry have in common: 16 bytes of a hash without a seed, so that it is the same in every
/// process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DedupeKey(pub [u8; 16]);

impl fmt::Debug for DedupeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl Serialize for DedupeKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&HEXLOWER.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for DedupeKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(DedupeKey).ok_or_else(|| D::Error::custom("a key is not 32 lowercase hexadecimal digits"))
    }
}
