//! Dispatcher and store together, for a task of any runtime.

use crate::config::QueueLimits;
use crate::dispatcher::{Arrival, Dispatcher};
use crate::id::{AgentId, HandOutId, RequestId};
use crate::output::{AgentEnd, ClaimRefused, EndedHandOuts, OperatorRequest, Output, Settlement};
use crate::store::{Leadership, Store};
use relayline_core::time::Time;
use std::task::{Context, Poll};

/// Mark of requests that come from the store. Those of the host have smaller numbers.
const FROM_STORE: u64 = 1 << 63;

/// A [`Dispatcher`] and its [`Store`]: it passes commands and answers between both, and carries out the requests that
/// operators leave in the store.
///
/// Poll it after each input, and at [`deadline`](Self::deadline). It has no clock: each input has its time.
#[derive(Debug)]
pub struct QueueDriver<S> {
    dispatcher: Dispatcher,
    store: S,
}

impl<S: Store> QueueDriver<S> {
    /// Creates a dispatcher on a store. `leader` must be random: see [`Dispatcher::new`].
    pub fn new(store: S, limits: QueueLimits, leader: &str, now: Time) -> Self {
        QueueDriver { dispatcher: Dispatcher::new(limits, leader, now), store }
    }

    /// Returns the next output that is not for the store, or arranges that the task is woken for it.
    ///
    /// After a [last](Dispatcher::has_ended) output none follows.
    pub fn poll(&mut self, cx: &mut Context<'_>, now: Time) -> Poll<Output> {
        // Before anything is handed out: the machine may have slept.
        self.dispatcher.handle_leadership(now, self.store.leadership());
        if self.dispatcher.deadline().is_some_and(|deadline| deadline <= now) {
            self.dispatcher.handle_tick(now);
        }
        loop {
            while let Some(output) = self.dispatcher.poll_output() {
                match output {
                    Output::Store { id, command } => self.store.submit(id, command),
                    Output::Requested { request: RequestId(number), result } if number >= FROM_STORE => {
                        self.store.finish_request(RequestId(number - FROM_STORE), result);
                    }
                    output => return Poll::Ready(output),
                }
            }
            match self.store.poll_answer(cx) {
                Poll::Ready((id, answer)) => self.dispatcher.handle_answer(now, id, answer),
                Poll::Pending => {
                    let can_request = self.dispatcher.is_leading();
                    // A request that comes earlier waits in the store's queue until this gateway leads.
                    let Some((id, request)) = can_request.then(|| self.store.take_request()).flatten() else {
                        return Poll::Pending;
                    };
                    self.dispatcher.handle_request(now, RequestId(id.0 | FROM_STORE), request);
                }
            }
        }
    }

    /// Returns the time at which to poll next, if nothing wakes the task before.
    pub fn deadline(&self) -> Option<Time> {
        self.dispatcher.deadline()
    }

    /// Returns the dispatcher, for its getters.
    pub fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }

    /// Returns the store, once the last output came.
    pub fn into_store(self) -> S {
        self.store
    }

    /// Finds out whether another process leads, after a sign of one.
    ///
    /// If the right to lead can be lost, the store is asked, and nothing is handed out until the answer. Otherwise the
    /// journal says which of both leads: see [`Dispatcher::check_lead`].
    pub fn check_leadership(&mut self, now: Time) {
        match self.can_lose_leadership() {
            true => self.store.check_leadership(),
            false => self.dispatcher.check_lead(now),
        }
    }

    /// Returns true if another process can lead, so that the right to lead has to be confirmed again and again.
    pub fn can_lose_leadership(&self) -> bool {
        self.store.leadership() != Leadership::Exclusive
    }

    /// Stores an event: see [`Dispatcher::handle_arrival`].
    pub fn arrive(&mut self, now: Time, arrival: Arrival) {
        self.dispatcher.handle_arrival(now, arrival);
    }

    /// Settles a hand-out: see [`Dispatcher::settle`].
    pub fn settle(&mut self, now: Time, id: HandOutId, settlement: Settlement) {
        self.dispatcher.settle(now, id, settlement);
    }

    /// Registers an agent: see [`Dispatcher::handle_agent_ready`].
    pub fn agent_ready(&mut self, now: Time, agent: &AgentId) {
        self.dispatcher.handle_agent_ready(now, agent);
    }

    /// Handles the end of an agent: see [`Dispatcher::handle_agent_ended`].
    pub fn agent_ended(&mut self, now: Time, agent: &AgentId, end: &AgentEnd, unseen: &[HandOutId]) {
        self.dispatcher.handle_agent_ended(now, agent, end, unseen);
    }

    /// Handles a sign of life of a worker: see [`Dispatcher::handle_worker`].
    ///
    /// # Errors
    /// As for [`Dispatcher::handle_worker`].
    pub fn worker(&mut self, now: Time, worker: &str) -> Result<(), ClaimRefused> {
        self.dispatcher.handle_worker(now, worker)
    }

    /// Handles the end of a worker: see [`Dispatcher::handle_worker_ended`].
    pub fn worker_ended(&mut self, now: Time, worker: &str) {
        self.dispatcher.handle_worker_ended(now, worker);
    }

    /// Handles that a worker has claimed everything: see [`Dispatcher::handle_claims_done`].
    pub fn claims_done(&mut self, now: Time, worker: &str) {
        self.dispatcher.handle_claims_done(now, worker);
    }

    /// Registers an agent of a worker with what it has: see [`Dispatcher::handle_claim`].
    ///
    /// # Errors
    /// As for [`Dispatcher::handle_claim`].
    pub fn claim(
        &mut self,
        now: Time,
        agent: &AgentId,
        held: &[HandOutId],
        settling: &[HandOutId],
    ) -> Result<EndedHandOuts, ClaimRefused> {
        self.dispatcher.handle_claim(now, agent, held, settling)
    }

    /// Returns the agent that must get an interrupt for a session: see [`Dispatcher::handle_interrupt`].
    pub fn interrupt(&mut self, session: &str) -> Option<AgentId> {
        self.dispatcher.handle_interrupt(session)
    }

    /// Carries out a request of an operator: see [`Dispatcher::handle_request`]. The number must be below 2⁶³.
    pub fn request(&mut self, now: Time, id: RequestId, request: OperatorRequest) {
        self.dispatcher.handle_request(now, RequestId(id.0 & !FROM_STORE), request);
    }

    /// Remembers something for the host: see [`Dispatcher::remember`].
    pub fn remember(&mut self, now: Time, key: &str, value: Option<&str>) {
        self.dispatcher.remember(now, key, value);
    }

    /// Hands nothing out while `is_held`: see [`Dispatcher::handle_hold`].
    pub fn hold(&mut self, now: Time, is_held: bool) {
        self.dispatcher.handle_hold(now, is_held);
    }

    /// Hands nothing out any more: see [`Dispatcher::handle_drain`].
    pub fn drain(&mut self, now: Time, unseen: &[HandOutId]) {
        self.dispatcher.handle_drain(now, unseen);
    }

    /// Ends the queue as planned: see [`Dispatcher::handle_shutdown`].
    pub fn shut_down(&mut self, now: Time) {
        self.dispatcher.handle_shutdown(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ArrivalId, EntryId};
    use crate::output::{NotSettled, RequestRefused};
    use crate::store::memory::MemoryStore;
    use std::task::Waker;

    const NOW: Time = Time::ZERO;

    fn poll<S: Store>(driver: &mut QueueDriver<S>) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Poll::Ready(output) = driver.poll(&mut Context::from_waker(Waker::noop()), NOW) {
            outputs.push(output);
        }
        outputs
    }

    fn arrival(number: u64) -> Arrival {
        let body = b"hello".as_slice().into();
        Arrival { id: ArrivalId(number), session: "a".into(), key: None, body, memory: None }
    }

    #[test]
    fn commands_and_answers_pass_between_both() {
        let mut driver = QueueDriver::new(MemoryStore::default(), QueueLimits::default(), "x", NOW);
        assert!(matches!(poll(&mut driver).as_slice(), [Output::Leading { epoch: 1 }]));
        driver.agent_ready(NOW, &AgentId::new("agent"));
        driver.arrive(NOW, arrival(1));
        let outputs = poll(&mut driver);
        let [Output::Arrived { result: Ok(_), .. }, Output::HandOut(hand_out)] = outputs.as_slice() else {
            panic!("{outputs:?}")
        };
        assert_eq!(driver.interrupt("a"), Some(AgentId::new("agent")));
        driver.settle(NOW, hand_out.id, Settlement::Done);
        driver.settle(NOW, hand_out.id, Settlement::Done);
        driver.request(NOW, RequestId(3), OperatorRequest::Drop(EntryId(1)));
        let outputs = poll(&mut driver);
        let late = Output::Settled { hand_out: hand_out.id, result: Err(NotSettled::Late) };
        let unknown = Output::Requested { request: RequestId(3), result: Err(RequestRefused::Unknown) };
        let done = Output::Settled { hand_out: hand_out.id, result: Ok(()) };
        assert_eq!(outputs, [late, unknown, done]);
        driver.remember(NOW, "key", Some("value"));
        driver.agent_ended(NOW, &AgentId::new("agent"), &AgentEnd::Planned, &[]);
        driver.shut_down(NOW);
        assert_eq!(poll(&mut driver), [Output::Released]);
        let mut driver = QueueDriver::new(driver.into_store(), QueueLimits::default(), "y", NOW);
        assert_eq!(poll(&mut driver), [Output::Leading { epoch: 2 }]);
        assert_eq!(driver.dispatcher().ledger().memory().collect::<Vec<_>>(), [("key", "value")]);
    }

    /// Waits for an output. The store's thread wakes this one.
    #[cfg(feature = "sqlite")]
    fn wait(driver: &mut QueueDriver<crate::sqlite::SqliteStore>, wanted: fn(&Output) -> bool) {
        let waker = crate::store::contract::waker();
        loop {
            match driver.poll(&mut Context::from_waker(&waker), NOW) {
                Poll::Ready(output) if wanted(&output) => return,
                Poll::Ready(_) => {}
                Poll::Pending => std::thread::park(),
            }
        }
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn requests_in_the_store_are_carried_out() {
        use crate::sqlite::{QueueLock, RequestState, SqliteReader, SqliteStore};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inbox.db");
        let store = SqliteStore::open(QueueLock::acquire(&path).unwrap()).unwrap();
        let mut driver =
            QueueDriver::new(store, QueueLimits { max_attempts: 1, ..QueueLimits::default() }, "x", NOW);
        driver.agent_ready(NOW, &AgentId::new("agent"));
        wait(&mut driver, |output| matches!(output, Output::Leading { .. }));
        driver.arrive(NOW, arrival(1));
        wait(&mut driver, |output| matches!(output, Output::HandOut(_)));
        let first = HandOutId { entry: EntryId(1), attempt: 1 };
        driver.settle(NOW, first, Settlement::Refused("no".to_owned()));
        wait(&mut driver, |output| matches!(output, Output::DeadLetter { .. }));
        let reader = SqliteReader::open(&path).unwrap();
        let request = reader.request(OperatorRequest::Retry(EntryId(1))).unwrap();
        assert_eq!(reader.request_state(request).unwrap(), RequestState::Pending);
        wait(&mut driver, |output| matches!(output, Output::HandOut(_)));
        drop(driver);
        assert_eq!(reader.request_state(request).unwrap(), RequestState::Finished(Ok(())));
    }
}
