//! Requests of operators.

use super::Dispatcher;
use crate::id::{EntryId, RequestId};
use crate::ledger::EntryState;
use crate::output::{OperatorRequest, Output, RequestRefused};
use crate::record::Record;
use relayline_core::time::Time;
use std::sync::Arc;

impl Dispatcher {
    /// Handles a request of an operator. [`Output::Requested`] answers it, once it is durable.
    pub fn handle_request(&mut self, now: Time, id: RequestId, request: OperatorRequest) {
        self.now = self.now.max(now);
        let result = match request {
            _ if !self.is_leading() => Err(RequestRefused::NotLeading),
            OperatorRequest::Retry(entry) => self.retry(id, entry),
            OperatorRequest::Drop(entry) => self.drop_entry(id, entry),
        };
        if result.is_err() {
            self.outputs.push_back(Output::Requested { request: id, result });
        }
        self.advance(now);
    }

    fn retry(&mut self, request: RequestId, entry: EntryId) -> Result<(), RequestRefused> {
        let state = self.ledger.entry(entry).ok_or(RequestRefused::Unknown)?.state;
        if state == EntryState::Out {
            return Err(RequestRefused::Out);
        }
        self.stats.retried += 1;
        self.record_for(&Record::Retried { entry }, Output::Requested { request, result: Ok(()) });
        match state {
            EntryState::Dead => self.add_waiting(entry, Time::ZERO),
            EntryState::Waiting | EntryState::Out => self.schedule.set_retry(self.now, entry, Time::ZERO),
        }
        // It comes before the later ones of its session that are not out yet.
        self.take_back_after(entry);
        Ok(())
    }

    fn drop_entry(&mut self, request: RequestId, entry: EntryId) -> Result<(), RequestRefused> {
        let record = self.ledger.dropping(entry).ok_or(RequestRefused::Unknown)?;
        let session = self.ledger.entry(entry).map(|entry| Arc::clone(&entry.session));
        self.stats.dropped += 1;
        let agent = self.hand_outs.end(entry).map(|hand_out| hand_out.agent);
        self.bodies.take(entry);
        self.record_for(&record, Output::Requested { request, result: Ok(()) });
        self.writer.remove_entry(self.ledger.last_record, entry);
        self.schedule.finish(self.now, entry);
        if let Some(session) = session {
            self.forget_unclaimed(&session, entry);
        }
        if let Some(agent) = agent {
            self.deliver(agent);
        }
        Ok(())
    }
}
