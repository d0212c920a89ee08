//! Truth about the store: a reading of its records that shares no code with the ledger.

use relayline_queue::head::EntryHead;
use relayline_queue::id::{DedupeKey, EntryId, RecordSeq};
use relayline_queue::record::{Record, ReturnReason};
use relayline_queue::store::memory::MemoryDisk;
use std::collections::{BTreeMap, BTreeSet};

/// Entry as the store has it.
#[derive(Clone, Debug)]
pub(crate) struct Truth {
    pub(crate) session: String,
    pub(crate) key: Option<DedupeKey>,
    pub(crate) epoch: u64,
    pub(crate) body: Vec<u8>,
    /// Attempts that are committed.
    pub(crate) attempts: BTreeSet<u32>,
    pub(crate) charges: u32,
    pub(crate) state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Waiting,
    Out,
    Dead,
    Settled,
    Dropped,
}

/// Everything that was ever durable.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) entries: BTreeMap<EntryId, Truth>,
    pub(crate) records: Vec<Record>,
    last_entry: EntryId,
    last_record: RecordSeq,
    pub(crate) epoch: u64,
    pub(crate) leader: String,
    pub(crate) is_released: bool,
    /// Sessions with several entries out when their agent crashed, and none done since.
    pub(crate) cautious: BTreeSet<String>,
}

impl Journal {
    /// Reads what is new. Returns the new records, each checked by itself.
    pub(crate) fn follow(&mut self, disk: &MemoryDisk) -> Result<Vec<Record>, String> {
        let end = disk.read_back(self.last_entry, self.last_record);
        for (id, head) in end.entries {
            let head = EntryHead::decode(id, &head).map_err(|error| error.to_string())?;
            let body = disk.body(id).map(|body| body.to_vec()).unwrap_or_default();
            self.entries.insert(
                id,
                Truth {
                    session: head.session.to_string(),
                    key: head.key,
                    epoch: head.epoch,
                    body,
                    attempts: BTreeSet::new(),
                    charges: 0,
                    state: State::Waiting,
                },
            );
        }
        self.last_entry = end.last_entry;
        let mut new = Vec::new();
        for (seq, bytes) in end.records {
            let record = Record::decode(seq, &bytes).map_err(|error| error.to_string())?;
            self.apply(&record).map_err(|error| format!("{error}: {record:?}"))?;
            new.push(record);
        }
        self.last_record = end.last_record;
        self.records.extend(new.iter().cloned());
        Ok(new)
    }

    /// Returns true if the leader of an epoch wrote a record.
    pub(crate) fn is_of_epoch(&self, epoch: u64, record: &Record) -> bool {
        let mut current = 0;
        self.records.iter().any(|written| {
            if let Record::Epoch { epoch, .. } = written {
                current = *epoch;
            }
            current == epoch && written == record
        })
    }

    /// Returns true if a session has entries in the store.
    pub(crate) fn has_entries(&self, session: &str) -> bool {
        let is_over = |truth: &Truth| matches!(truth.state, State::Settled | State::Dropped);
        self.entries.values().any(|truth| truth.session == session && !is_over(truth))
    }

    fn apply(&mut self, record: &Record) -> Result<(), String> {
        self.is_released = *record == Record::Released;
        match record {
            Record::Epoch { epoch, leader } => {
                if *epoch != self.epoch + 1 {
                    return Err(format!("epoch {epoch} after {}", self.epoch));
                }
                (self.epoch, self.leader) = (*epoch, leader.to_string());
            }
            Record::HandOut { entry, attempt } => {
                let truth = self.entry(*entry, &[State::Waiting])?;
                truth.state = State::Out;
                if *attempt == 0 || truth.attempts.last().is_some_and(|last| last >= attempt) {
                    return Err("an attempt is not counted".to_owned());
                }
                truth.attempts.insert(*attempt);
            }
            Record::Returned { entry, reason } => {
                let truth = self.entry(*entry, &[State::Out])?;
                truth.state = State::Waiting;
                if *reason == ReturnReason::Unseen {
                    truth.attempts.pop_last();
                }
            }
            Record::Cautious { session } => _ = self.cautious.insert(session.to_string()),
            Record::Charged { entry, .. } => {
                let truth = self.entry(*entry, &[State::Out])?;
                truth.state = State::Waiting;
                truth.charges += 1;
            }
            Record::Dead { entry, .. } => {
                let truth = self.entry(*entry, &[State::Out])?;
                truth.state = State::Dead;
                truth.charges += 1;
            }
            Record::Settled { entry, relaxes, .. } => {
                let truth = self.entry(*entry, &[State::Out])?;
                truth.state = State::Settled;
                let session = truth.session.clone();
                if self.cautious.remove(&session) && relaxes.as_deref() != Some(&session) {
                    return Err("the session still gets one entry at a time".to_owned());
                }
            }
            Record::Dropped { entry, .. } => {
                let truth = self.entry(*entry, &[State::Out, State::Waiting, State::Dead])?;
                truth.state = State::Dropped;
                let session = truth.session.clone();
                // A session without entries may be forgotten.
                if !self.has_entries(&session) {
                    self.cautious.remove(&session);
                }
            }
            Record::Retried { entry } => {
                let truth = self.entry(*entry, &[State::Waiting, State::Dead])?;
                truth.state = State::Waiting;
                truth.charges = 0;
            }
            _ => {}
        }
        Ok(())
    }

    fn entry(&mut self, id: EntryId, states: &[State]) -> Result<&mut Truth, String> {
        let truth = self.entries.get_mut(&id).ok_or("a record of an entry that was never stored")?;
        match states.contains(&truth.state) {
            true => Ok(truth),
            false => Err(format!("a record of an entry that is {:?}", truth.state)),
        }
    }
}
