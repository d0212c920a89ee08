//! Entries of a queue as lines: for people, or JSON.

use crate::printable::printable;
use relayline_queue::fleet::WorkerMember;
use relayline_queue::id::EntryId;
use relayline_queue::ledger::{EntryState, Ledger, LedgerEntry};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// Process that has a queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    /// It is not known which.
    Unknown,
    /// A process of this machine.
    Process(u32),
    /// A process of any machine, by its name.
    Named(String),
}

impl Owner {
    fn text(&self) -> String {
        match self {
            Owner::Unknown => "a gateway".to_owned(),
            Owner::Process(pid) => format!("process {pid}"),
            Owner::Named(name) => format!("the gateway {}", printable(name)),
        }
    }
}

/// Stream of a queue on servers.
#[derive(Clone, Debug, Serialize)]
pub(super) struct StreamSummary {
    name: String,
    messages: u64,
    bytes: u64,
    /// Maximum of these bytes, if there is one.
    max_bytes: Option<u64>,
    replicas: usize,
    /// Replicas that have all messages.
    current_replicas: usize,
    /// Server that leads the stream, in a cluster.
    leader: Option<String>,
}

#[cfg(feature = "jetstream")]
impl From<relayline_queue::jetstream::StreamStatus> for StreamSummary {
    fn from(status: relayline_queue::jetstream::StreamStatus) -> StreamSummary {
        StreamSummary {
            name: status.name,
            messages: status.messages,
            bytes: status.bytes,
            max_bytes: status.max_bytes,
            replicas: status.replicas,
            current_replicas: status.current_replicas,
            leader: status.leader,
        }
    }
}

impl StreamSummary {
    fn text(&self) -> String {
        let StreamSummary { name, messages, bytes, replicas, current_replicas, .. } = self;
        let led =
            self.leader.as_ref().map_or(String::new(), |leader| format!(", led by {}", printable(leader)));
        let most = self.max_bytes.map_or(String::new(), |most| format!(" of {most}"));
        format!(
            "stream    {name}: {messages} messages, {bytes}{most} bytes, {current_replicas} of {replicas} replicas{led}"
        )
    }
}

/// Worker of a gateway.
#[derive(Clone, Debug, Serialize)]
pub(super) struct WorkerSummary {
    worker: String,
    agents: usize,
    /// Entries that its agents have.
    out: usize,
    /// Time to the end of its lease, in milliseconds.
    lease_ms: u64,
}

impl WorkerSummary {
    pub(super) fn new(ledger: &Ledger, member: WorkerMember) -> WorkerSummary {
        let WorkerMember { worker, agents, lease_ms } = member;
        let is_of_worker = |entry: &LedgerEntry| entry.worker.as_deref() == Some(&*worker);
        let out = ledger.entries().filter(|(_, entry)| is_of_worker(entry)).count();
        WorkerSummary { worker, agents, out, lease_ms }
    }

    fn text(&self) -> String {
        let WorkerSummary { worker, agents, out, lease_ms } = self;
        let worker = printable(worker);
        format!("worker    {worker}: {agents} agents, {out} out, lease for {} s", lease_ms / 1000)
    }
}

/// State of a queue.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    queue: String,
    /// True while a gateway has the queue.
    in_use: bool,
    /// Process of that gateway, if it is known and on this machine.
    owner_pid: Option<u32>,
    /// Name of that gateway's process, if the queue is on servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    leader: Option<String>,
    entries: usize,
    waiting: usize,
    out: usize,
    dead: usize,
    /// Bytes of the entries.
    bytes: u64,
    /// Sessions that have entries.
    sessions: usize,
    /// Number of gateways that have had the queue.
    epoch: u64,
    /// Number of the entry that has waited for longest.
    oldest_waiting: Option<u64>,
    /// Workers of the gateway, if the queue is on servers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    workers: Vec<WorkerSummary>,
    /// Streams of a queue on servers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    streams: Vec<StreamSummary>,
    #[serde(skip)]
    owner: Option<Owner>,
}

impl Summary {
    /// Summarizes a queue. `owner` is the process that has it.
    pub(super) fn new(
        queue: String,
        ledger: &Ledger,
        owner: Option<Owner>,
        workers: Vec<WorkerSummary>,
        streams: Vec<StreamSummary>,
    ) -> Summary {
        let mut waiting = ledger.entries().filter(|(_, entry)| entry.state == EntryState::Waiting);
        let oldest_waiting = waiting.next().map(|(id, _)| id.0);
        let count = |state| ledger.entries().filter(|(_, entry)| entry.state == state).count();
        let sessions: BTreeSet<&str> = ledger.entries().map(|(_, entry)| &*entry.session).collect();
        Summary {
            queue,
            in_use: owner.is_some(),
            owner_pid: match owner {
                Some(Owner::Process(pid)) => Some(pid),
                _ => None,
            },
            leader: match &owner {
                Some(Owner::Named(name)) => Some(name.clone()),
                _ => None,
            },
            entries: ledger.len(),
            waiting: count(EntryState::Waiting),
            out: count(EntryState::Out),
            dead: count(EntryState::Dead),
            bytes: ledger.bytes(),
            sessions: sessions.len(),
            epoch: ledger.epoch(),
            oldest_waiting,
            workers,
            streams,
            owner,
        }
    }

    pub(super) fn json(&self) -> String {
        // All keys are strings, so writing to memory does not fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn text(&self) -> Vec<String> {
        let owner = self.owner.as_ref().map_or("no gateway".to_owned(), Owner::text);
        let Summary { queue, entries, waiting, out, dead, bytes, sessions, .. } = self;
        let mut lines = vec![
            format!("queue     {queue}: {owner} has it"),
            format!("entries   {entries} of {sessions} sessions, {bytes} bytes"),
            match self.oldest_waiting {
                Some(oldest) => format!("waiting   {waiting}, the oldest is {oldest}"),
                None => format!("waiting   {waiting}"),
            },
            format!("out       {out}"),
            format!("dead      {dead}"),
        ];
        if !self.streams.is_empty() {
            lines.push(format!("epoch     {}", self.epoch));
        }
        lines.extend(self.workers.iter().map(WorkerSummary::text));
        lines.extend(self.streams.iter().map(StreamSummary::text));
        lines
    }
}

/// Entry of a queue.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    id: u64,
    session: String,
    /// `waiting`, `out` or `dead`.
    state: &'static str,
    /// Number of hand-outs.
    attempts: u32,
    /// Number of hand-outs that failed.
    failures: u32,
    bytes: u64,
    /// Last error of an agent.
    error: Option<String>,
    /// The message, if it is to be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Value>,
}

impl Entry {
    pub(super) fn new(id: EntryId, entry: &LedgerEntry, message: Option<Value>) -> Entry {
        Entry {
            id: id.0,
            session: entry.session.to_string(),
            state: match entry.state {
                EntryState::Waiting => "waiting",
                EntryState::Out => "out",
                EntryState::Dead => "dead",
                _ => "unknown",
            },
            attempts: entry.attempts,
            failures: entry.charges,
            bytes: entry.size,
            error: entry.error.as_deref().map(str::to_owned),
            message,
        }
    }

    pub(super) fn json(&self) -> String {
        // All keys are strings, so writing to memory does not fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn text(&self) -> String {
        let Entry { id, session, state, attempts, bytes, error, message, .. } = self;
        let mut line = format!("{id}  {state:<8} attempts {attempts}  {bytes} bytes  {}", printable(session));
        if let Some(error) = error {
            line += &format!("  error: {}", printable(error));
        }
        if let Some(message) = message {
            let text = message.get("text").and_then(Value::as_str).map(str::to_owned);
            line += &format!("\n    {}", printable(&text.unwrap_or_else(|| message.to_string())));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(message: Option<Value>) -> Entry {
        let (session, error) = ("a:dm:7".to_owned(), Some("no\u{1b}[31m".to_owned()));
        Entry { id: 17, session, state: "dead", attempts: 5, failures: 5, bytes: 90, error, message }
    }

    #[test]
    fn an_entry_is_one_line_without_its_text() {
        assert_eq!(entry(None).text(), "17  dead     attempts 5  90 bytes  a:dm:7  error: no\\u{1b}[31m");
        assert!(!entry(None).json().contains("message"));
        let shown = entry(Some(json!({"text": "hi\nyou"})));
        assert!(shown.text().ends_with("\n    hi\\nyou"), "{}", shown.text());
        assert!(shown.json().contains(r#""message":{"text":"hi\nyou"}"#));
    }
}
