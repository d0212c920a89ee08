//! Frames between a leader and its workers, and their encoding: a line of JSON, and then the bytes of an agent.

use super::file::{FileAnswer, FileRequest};
use crate::id::HandOutId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version of the frames. A worker of another version is refused.
pub(super) const VERSION: u32 = 2;

/// Maximum number of an agent's bytes in one frame. Servers take frames of 1 MiB by default.
pub(super) const MAX_BYTES: usize = 128 << 10;

/// Lease of a worker: the epoch of its leader, and a number of that leader.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(from = "(u64, u64)", into = "(u64, u64)")]
pub struct Lease {
    /// Epoch of the leader.
    pub epoch: u64,
    /// Number of the lease among those of the leader.
    pub number: u64,
}

impl From<(u64, u64)> for Lease {
    fn from((epoch, number): (u64, u64)) -> Lease {
        Lease { epoch, number }
    }
}

impl From<Lease> for (u64, u64) {
    fn from(lease: Lease) -> (u64, u64) {
        (lease.epoch, lease.number)
    }
}

/// Agent of a worker, with what it has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AgentClaim {
    /// Id of the agent among those of the worker.
    pub agent: String,
    /// Hand-outs that it has not settled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<HandOutId>,
    /// Hand-outs that it has settled, without an answer of the leader. They may have ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settling: Vec<HandOutId>,
}

/// Frame of a worker for the leader.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ToLeader {
    /// Asks for a lease.
    Hello {
        version: u32,
        worker: String,
        /// Number of the search for a leader: the same when the request is repeated. The answer names it.
        call: u64,
        agents: Vec<AgentClaim>,
    },
    /// An item, in order.
    Item { worker: String, lease: Lease, seq: u64, got: u64, item: UpItem },
    /// A sign of life, which the leader answers with the same number. With number 0 it only says what has come.
    Beat { worker: String, lease: Lease, number: u64, got: u64 },
    /// The worker ends.
    Bye { worker: String, lease: Lease },
    /// Asks for the workers. The answer goes to this name.
    Ask { asker: String },
}

/// Item of a worker.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum UpItem {
    /// An agent has started.
    Started { agent: String },
    /// An agent has ended: as planned, or with this error.
    Ended { agent: String, error: Option<String> },
    /// Bytes that an agent wrote.
    Wrote { agent: String },
    /// An agent has read a number of bytes, so that as many can be sent.
    Read { agent: String, bytes: u64 },
    /// The answer to a request for a file, with the bytes that were read.
    File { agent: String, call: u64, answer: FileAnswer },
}

/// Frame of the leader for a worker.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ToWorker {
    /// A gateway leads: it knows no lease yet.
    Leads { epoch: u64 },
    /// The answer to a hello.
    Welcome {
        call: u64,
        lease: Lease,
        /// Agents of the request that was answered, which may be an earlier one of this search.
        served: Vec<String>,
        /// Agents that must end, since others get what they had.
        refused: Vec<String>,
        /// Hand-outs whose entries are done, of those that were being settled.
        done: Vec<HandOutId>,
        /// Hand-outs that have ended, and whose entries are not done.
        lost: Vec<HandOutId>,
        /// Times of the lease in milliseconds.
        lease_ms: u64,
    },
    /// The worker is not accepted.
    Refused { call: u64, why: String },
    /// An item, in order.
    Item { lease: Lease, seq: u64, got: u64, item: DownItem },
    /// The answer to a sign of life.
    Beat { lease: Lease, number: u64, got: u64 },
    /// The lease is not known, or has expired.
    Lost { lease: Lease },
    /// The leader hands over.
    Bye { epoch: u64 },
    /// The workers of the leader.
    Members { members: Vec<WorkerMember> },
}

/// Worker of a leader.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WorkerMember {
    /// Name of the worker.
    pub worker: String,
    /// Number of its agents.
    pub agents: usize,
    /// Time to the end of its lease, in milliseconds.
    pub lease_ms: u64,
}

/// Returns a frame that asks the leader for its workers. It answers to the name `asker`, as to a worker.
pub fn ask_for_members(asker: &str) -> Vec<u8> {
    encode(&ToLeader::Ask { asker: asker.to_owned() }, b"")
}

/// Returns the workers of such an answer; `None` for any other frame.
pub fn read_members(frame: &[u8]) -> Option<Vec<WorkerMember>> {
    match decode(frame)? {
        (ToWorker::Members { members }, _) => Some(members),
        _ => None,
    }
}

/// Item of the leader.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DownItem {
    /// Bytes for an agent.
    Write { agent: String },
    /// The leader has read a number of an agent's bytes, so that as many can be sent.
    Read { agent: String, bytes: u64 },
    /// The leader does not serve the agent any more.
    End { agent: String },
    /// The leader asks for a file of the agent, with the bytes to write.
    File { agent: String, call: u64, request: FileRequest },
}

/// Writes a frame.
pub(super) fn encode(header: &impl Serialize, bytes: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(128 + bytes.len());
    // All keys are strings, so writing to memory does not fail.
    if serde_json::to_writer(&mut frame, header).is_ok() {
        frame.push(b'\n');
        frame.extend_from_slice(bytes);
    }
    frame
}

/// Reads a frame; `None` if it is malformed, or of another version.
pub(super) fn decode<T: DeserializeOwned>(frame: &[u8]) -> Option<(T, &[u8])> {
    let end = memchr::memchr(b'\n', frame)?;
    let (header, bytes) = frame.split_at_checked(end)?;
    Some((serde_json::from_slice(header).ok()?, bytes.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::EntryId;

    /// Leaders and workers of one version may be of different releases.
    #[test]
    fn frames_of_version_2_are_read() {
        let lease = Lease { epoch: 2, number: 7 };
        let id = HandOutId { entry: EntryId(17), attempt: 3 };
        let claim = AgentClaim { agent: "1-1".into(), held: vec![id], settling: Vec::new() };
        let (worker, agent) = ("w".to_owned(), "1-1".to_owned());
        let up = [
            (
                ToLeader::Hello { version: 2, worker: worker.clone(), call: 4, agents: vec![claim] },
                r#"{"hello":{"version":2,"worker":"w","call":4,"agents":[{"agent":"1-1","held":[[17,3]]}]}}"#,
            ),
            (
                ToLeader::Item {
                    worker: worker.clone(),
                    lease,
                    seq: 1,
                    got: 2,
                    item: UpItem::Wrote { agent: agent.clone() },
                },
                r#"{"item":{"worker":"w","lease":[2,7],"seq":1,"got":2,"item":{"wrote":{"agent":"1-1"}}}}"#,
            ),
            (
                ToLeader::Beat { worker, lease, number: 1, got: 2 },
                r#"{"beat":{"worker":"w","lease":[2,7],"number":1,"got":2}}"#,
            ),
        ];
        for (frame, text) in up {
            let text = format!("{text}\nraw");
            assert_eq!(decode::<ToLeader>(text.as_bytes()), Some((frame.clone(), b"raw".as_slice())));
            assert_eq!(encode(&frame, b"raw"), text.as_bytes());
        }
        let request = FileRequest::Place { id, name: "a.png".into() };
        let down = [
            (DownItem::End { agent: agent.clone() }, r#"{"end":{"agent":"1-1"}}"#),
            (
                DownItem::File { agent, call: 4, request },
                r#"{"file":{"agent":"1-1","call":4,"request":{"place":{"id":[17,3],"name":"a.png"}}}}"#,
            ),
        ];
        for (item, text) in down {
            let text = format!(r#"{{"item":{{"lease":[2,7],"seq":1,"got":2,"item":{text}}}}}"#);
            let frame = ToWorker::Item { lease, seq: 1, got: 2, item };
            assert_eq!(encode(&frame, b""), format!("{text}\n").as_bytes());
        }
    }

    #[test]
    fn malformed_frames_are_ignored() {
        for text in ["", "\n", "{}", "{}\n", "{\"beat\":{}}\n", "{\"news\":{}}\n", "\u{0}\n"] {
            assert_eq!(decode::<ToLeader>(text.as_bytes()), None, "{text:?}");
        }
    }
}
