//! Hand-outs from their choice to their end. An agent gets its entries in the order in which they were chosen: each
//! waits for its record's commit, for its body, and for those before it.

use crate::encoding::Bytes;
use crate::id::{EntryId, RecordSeq};
use crate::schedule::AgentNo;
use std::collections::{BTreeMap, VecDeque};

/// Hand-outs that have not ended.
#[derive(Debug, Default)]
pub(crate) struct HandOuts {
    by_entry: BTreeMap<EntryId, HandOut>,
    /// Entries on their way to an agent, in order.
    lines: BTreeMap<AgentNo, VecDeque<EntryId>>,
    /// Number of hand-outs on their way.
    on_their_way: usize,
}

/// Hand-out of an entry.
#[derive(Debug)]
pub(crate) struct HandOut {
    pub(crate) agent: AgentNo,
    pub(crate) attempt: u32,
    /// Its record.
    seq: RecordSeq,
    is_committed: bool,
    body: Option<Bytes>,
    /// True if its host has it, and may settle it.
    pub(crate) is_out: bool,
    /// True if the agent has it since an earlier leader.
    is_claimed: bool,
}

impl HandOut {
    /// Returns true if the agent has it, or may have it.
    pub(crate) fn is_with_agent(&self) -> bool {
        self.is_out || self.is_claimed
    }

    /// Returns true if its host has it, and may have kept it from the agent.
    pub(crate) fn can_be_unseen(&self) -> bool {
        self.is_out && !self.is_claimed
    }
}

/// Hand-out that the agent gets now.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) entry: EntryId,
    pub(crate) attempt: u32,
    pub(crate) body: Bytes,
    pub(crate) is_claimed: bool,
}

impl HandOuts {
    /// Adds a hand-out whose record was issued.
    pub(crate) fn begin(
        &mut self,
        entry: EntryId,
        agent: AgentNo,
        attempt: u32,
        seq: RecordSeq,
        body: Option<Bytes>,
    ) {
        let (is_committed, is_out, is_claimed) = (false, false, false);
        self.add(entry, HandOut { agent, attempt, seq, is_committed, body, is_out, is_claimed });
    }

    /// Adds a hand-out that the agent has since an earlier leader. Its host waits for the body.
    pub(crate) fn adopt(&mut self, entry: EntryId, agent: AgentNo, attempt: u32) {
        let (seq, is_committed, body) = (RecordSeq(0), true, None);
        let (is_out, is_claimed) = (false, true);
        self.add(entry, HandOut { agent, attempt, seq, is_committed, body, is_out, is_claimed });
    }

    fn add(&mut self, entry: EntryId, hand_out: HandOut) {
        self.lines.entry(hand_out.agent).or_default().push_back(entry);
        self.by_entry.insert(entry, hand_out);
        self.on_their_way += 1;
    }

    /// Handles the commit of a record. Returns the agent whose line to look at.
    pub(crate) fn committed(&mut self, entry: EntryId, seq: RecordSeq) -> Option<AgentNo> {
        // The record may be that of an earlier hand-out, which was taken back.
        let hand_out = self.by_entry.get_mut(&entry).filter(|hand_out| hand_out.seq == seq)?;
        hand_out.is_committed = true;
        Some(hand_out.agent)
    }

    /// Handles a body that was read. Returns the agent whose line to look at.
    pub(crate) fn body_read(&mut self, entry: EntryId, body: Bytes) -> Option<AgentNo> {
        let hand_out = self.by_entry.get_mut(&entry).filter(|hand_out| !hand_out.is_out)?;
        hand_out.body = Some(body);
        Some(hand_out.agent)
    }

    /// Returns true if a hand-out waits for its body.
    pub(crate) fn wants_body(&self, entry: EntryId) -> bool {
        self.by_entry.get(&entry).is_some_and(|hand_out| !hand_out.is_out && hand_out.body.is_none())
    }

    /// Returns the next entry of an agent's line, if nothing keeps it.
    pub(crate) fn next_ready(&mut self, agent: AgentNo) -> Option<Ready> {
        let line = self.lines.get_mut(&agent)?;
        let entry = *line.front()?;
        let hand_out = self.by_entry.get_mut(&entry)?;
        if !hand_out.is_committed {
            return None;
        }
        let body = hand_out.body.take()?;
        hand_out.is_out = true;
        line.pop_front();
        self.on_their_way -= 1;
        Some(Ready { entry, attempt: hand_out.attempt, body, is_claimed: hand_out.is_claimed })
    }

    pub(crate) fn get(&self, entry: EntryId) -> Option<&HandOut> {
        self.by_entry.get(&entry)
    }

    /// Ends a hand-out.
    pub(crate) fn end(&mut self, entry: EntryId) -> Option<HandOut> {
        let hand_out = self.by_entry.remove(&entry)?;
        if !hand_out.is_out {
            self.on_their_way -= 1;
            if let Some(line) = self.lines.get_mut(&hand_out.agent) {
                line.retain(|waiting| *waiting != entry);
            }
        }
        Some(hand_out)
    }

    /// Forgets an agent that has ended. Its hand-outs must have been ended.
    pub(crate) fn forget_agent(&mut self, agent: AgentNo) {
        self.lines.remove(&agent);
    }

    /// Returns the number of hand-outs whose host does not have them yet.
    pub(crate) fn on_their_way(&self) -> usize {
        self.on_their_way
    }

    /// Returns the entries that have not reached their agents.
    pub(crate) fn unseen(&self) -> Vec<EntryId> {
        self.by_entry
            .iter()
            .filter(|(_, hand_out)| !hand_out.is_with_agent())
            .map(|(entry, _)| *entry)
            .collect()
    }

    pub(crate) fn clear(&mut self) {
        *self = HandOuts::default();
    }
}
