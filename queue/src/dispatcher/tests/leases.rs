//! Workers: their leases, and claims after a take-over.

use super::*;
use crate::output::{AgentEnd, ClaimRefused, EndedHandOuts};

const SECOND: Duration = Duration::from_secs(1);

impl Bench {
    fn worker(&mut self, worker: &str) {
        self.dispatcher.handle_worker(self.now, worker).unwrap();
        self.settle_down();
    }

    fn claim(&mut self, agent: &str, held: &[HandOutId]) -> Result<EndedHandOuts, ClaimRefused> {
        let result = self.dispatcher.handle_claim(self.now, &AgentId::new(agent), held, &[]);
        self.settle_down();
        result
    }

    /// Returns a leader whose worker `w` has entries 1 and 2 of session `a`.
    fn with_worker() -> Bench {
        let mut bench = Bench::new(|_| {});
        bench.worker("w");
        bench.claim("w/1", &[]).unwrap();
        for n in 1..=2 {
            bench.arrive(n, "a");
        }
        bench.settle_down();
        assert_eq!(bench.take()[1..], ["1 is 1", "2 is 2", "w/1 gets 1#1: 1", "w/1 gets 2#1: 2"]);
        bench
    }

    /// Starts the next leader on the same disk, after a crash of this one.
    fn next_leader(self) -> Bench {
        let mut next = Bench::on(self.disk, |_| {});
        assert_eq!(next.take(), ["leading 2"]);
        next
    }
}

#[test]
fn a_take_over_is_no_redelivery() {
    let mut bench = Bench::with_worker().next_leader();
    bench.arrive(3, "a");
    bench.arrive(4, "b");
    bench.agent("x");
    assert_eq!(bench.take(), ["3 is 3", "4 is 4", "x gets 4#1: 4"], "session a waits for claims");
    bench.worker("w");
    bench.claim("w/1", &[id(2, 1), id(1, 1)]).unwrap();
    assert_eq!(bench.take(), ["w/1 gets 1#1: 1", "w/1 gets 2#1: 2", "w/1 gets 3#1: 3"]);
    bench.done(1, 1);
    bench.refuse(2, 1);
    bench.settle_down();
    assert_eq!(bench.take(), ["1#1 is settled", "2#1 is settled"]);
    bench.wait(SECOND);
    assert_eq!(bench.take(), ["w/1 gets 2#2: 2"]);
}

#[test]
fn what_nobody_claims_is_charged_once() {
    let mut bench = Bench::with_worker().next_leader();
    bench.agent("x");
    bench.arrive(3, "a");
    bench.settle_down();
    bench.wait(Duration::from_millis(29_999));
    assert_eq!(bench.take(), ["3 is 3"]);
    bench.worker("w");
    bench.wait(Duration::from_millis(1));
    assert_eq!(bench.claim("w/1", &[id(1, 1)]), Err(ClaimRefused::Ended));
    bench.wait(SECOND);
    assert_eq!(bench.take(), ["x gets 1#2: 1"], "the oldest alone, until one is done");
    bench.done(1, 2);
    bench.wait(SECOND);
    assert_eq!(bench.take(), ["1#2 is settled", "x gets 2#2: 2", "x gets 3#1: 3"]);
    let charges = |entry| bench.dispatcher.ledger().entry(EntryId(entry)).unwrap().charges;
    assert_eq!((charges(2), charges(3)), (0, 0));
}

#[test]
fn what_a_worker_no_longer_has_goes_to_others_at_once() {
    let mut bench = Bench::with_worker().next_leader();
    bench.agent("x");
    bench.worker("w");
    bench.claim("w/1", &[id(2, 1)]).unwrap();
    assert_eq!(bench.take(), ["w/1 gets 2#1: 2"]);
    bench.dispatcher.handle_claims_done(bench.now, "v");
    bench.wait(SECOND * 2);
    assert_eq!(bench.take(), [""; 0], "it is another worker's");
    bench.dispatcher.handle_claims_done(bench.now, "w");
    bench.settle_down();
    bench.wait(SECOND);
    assert_eq!(bench.take(), ["w/1 gets 1#2: 1"], "the session is its agent's");
    assert_eq!(bench.dispatcher.ledger().entry(EntryId(1)).unwrap().charges, 1);
}

#[test]
fn a_claim_of_others_is_refused_as_a_whole() {
    let mut bench = Bench::with_worker().next_leader();
    bench.worker("w");
    bench.worker("v");
    for (agent, claims) in [
        ("v/1", vec![id(1, 1)]),
        ("w/1", vec![id(1, 1), id(2, 2)]),
        ("w/1", vec![id(1, 1), id(1, 1)]),
        ("w/1", vec![id(9, 1)]),
        ("u/1", vec![]),
    ] {
        assert_eq!(bench.claim(agent, &claims), Err(ClaimRefused::Ended), "{agent} {claims:?}");
    }
    bench.claim("w/1", &[id(1, 1)]).unwrap();
    assert_eq!(bench.claim("w/2", &[id(1, 1)]), Err(ClaimRefused::Ended), "it is claimed");
    assert_eq!(bench.take(), ["w/1 gets 1#1: 1"]);
    assert_eq!(bench.dispatcher.usage().unclaimed, 1);
}

/// The answer to a settlement may be lost with its leader.
#[test]
fn a_claim_says_which_settlements_were_durable() {
    let mut bench = Bench::with_worker();
    bench.done(1, 1);
    bench.settle_down();
    let mut bench = bench.next_leader();
    bench.worker("w");
    let claim = |bench: &mut Bench, held: &[HandOutId], settling: &[HandOutId]| {
        bench.dispatcher.handle_claim(bench.now, &AgentId::new("w/1"), held, settling)
    };
    assert_eq!(claim(&mut bench, &[id(1, 1)], &[id(2, 1)]), Err(ClaimRefused::Ended));
    let ended = EndedHandOuts { done: vec![id(1, 1)], lost: vec![] };
    assert_eq!(claim(&mut bench, &[], &[id(1, 1), id(2, 1)]), Ok(ended));
    bench.settle_down();
    assert_eq!(bench.take(), ["w/1 gets 2#1: 2"]);
    bench.done(2, 1);
    bench.settle_down();
    assert_eq!(bench.take(), ["2#1 is settled"]);
}

/// An acknowledgement that was on its way when the lease was lost does not count.
#[test]
fn a_claim_says_which_settlements_are_lost() {
    let mut bench = Bench::with_worker();
    bench.agent("x");
    bench.wait(SECOND * 30);
    assert_eq!(bench.take(), ["w has no lease"]);
    bench.worker("w");
    let agent = AgentId::new("w/1");
    let settling = [id(1, 1), id(2, 1)];
    let claim = |bench: &mut Bench| bench.dispatcher.handle_claim(bench.now, &agent, &[], &settling).unwrap();
    let ended = EndedHandOuts { done: vec![], lost: settling.to_vec() };
    assert_eq!(claim(&mut bench), ended, "both wait");
    bench.dispatcher.handle_agent_ended(bench.now, &agent, &AgentEnd::Planned, &[]);
    bench.wait(SECOND);
    assert_eq!(bench.take(), ["x gets 1#2: 1"]);
    assert_eq!(claim(&mut bench), ended, "another agent has the first one");
    bench.dispatcher.handle_agent_ended(bench.now, &agent, &AgentEnd::Planned, &[]);
    bench.done(1, 2);
    bench.settle_down();
    let ended = EndedHandOuts { done: vec![id(1, 1)], lost: vec![id(2, 1)] };
    assert_eq!(claim(&mut bench), ended, "the other agent has settled it");
}

#[test]
fn a_lease_expires_after_its_time() {
    let mut bench = Bench::with_worker();
    bench.agent("x");
    bench.wait(SECOND * 20);
    bench.worker("w");
    bench.wait(Duration::from_millis(29_999));
    assert_eq!(bench.take(), [""; 0]);
    bench.wait(Duration::from_millis(1));
    assert_eq!(bench.take(), ["w has no lease"]);
    bench.done(1, 1);
    bench.wait(SECOND);
    assert_eq!(bench.take(), ["1#1 is late", "x gets 1#2: 1"]);
    let entry = bench.dispatcher.ledger().entry(EntryId(1)).unwrap();
    assert_eq!((entry.charges, entry.worker.as_deref()), (1, None));
    assert_eq!(entry.error.as_deref(), Some("the worker was not heard of for 30 s"));
    // It comes back, with what it had.
    bench.worker("w");
    assert_eq!(bench.claim("w/1", &[id(2, 1)]), Err(ClaimRefused::Ended));
    bench.claim("w/2", &[]).unwrap();
}

#[test]
fn a_planned_end_of_a_worker_charges_nobody() {
    let mut bench = Bench::with_worker();
    bench.agent("x");
    bench.dispatcher.handle_worker_ended(bench.now, "w");
    bench.settle_down();
    assert_eq!(bench.take(), ["x gets 1#2: 1", "x gets 2#2: 2"]);
    assert_eq!(bench.dispatcher.ledger().entry(EntryId(1)).unwrap().charges, 0);
    assert_eq!(bench.dispatcher.workers().count(), 0);
}

#[test]
fn a_gateway_that_hands_over_leaves_entries_to_workers() {
    let mut bench = Bench::with_worker();
    bench.agent("x");
    bench.arrive(5, "b");
    bench.settle_down();
    assert_eq!(bench.take(), ["5 is 3", "x gets 3#1: 5"]);
    bench.dispatcher.handle_shutdown(bench.now);
    // It is not done: the worker settles it with the next leader.
    bench.done(1, 1);
    assert_eq!(bench.take(), ["1#1 has no leader"]);
    bench.dispatcher.handle_agent_ended(bench.now, &AgentId::new("x"), &AgentEnd::Planned, &[]);
    bench.settle_down();
    assert_eq!(bench.take(), ["released"]);
    let mut next = bench.next_leader();
    next.worker("w");
    next.claim("w/1", &[id(1, 1), id(2, 1)]).unwrap();
    assert_eq!(next.take(), ["w/1 gets 1#1: 1", "w/1 gets 2#1: 2", "w/1 gets 3#2: 5"]);
}

#[test]
fn an_operator_can_drop_what_nobody_has_claimed() {
    let mut bench = Bench::with_worker().next_leader();
    bench.agent("x");
    bench.arrive(3, "a");
    bench.settle_down();
    bench.take();
    assert_eq!(bench.request(OperatorRequest::Retry(EntryId(1))), Err(RequestRefused::Out));
    bench.request(OperatorRequest::Drop(EntryId(1))).unwrap();
    assert_eq!(bench.take(), [""; 0]);
    bench.request(OperatorRequest::Drop(EntryId(2))).unwrap();
    assert_eq!(bench.take(), ["x gets 3#1: 3"]);
}

#[test]
fn x_1_workers_are_bounded_in_number() {
    let mut bench = Bench::new(|limits| limits.workers = 1);
    bench.worker("w");
    bench.worker("w");
    assert_eq!(bench.dispatcher.handle_worker(bench.now, "v"), Err(ClaimRefused::TooMany));
    assert_eq!(bench.dispatcher.stats().workers_refused, 1);
}

/// An agent that crashes after a take-over has seen its entries, even if their bodies are still being read.
#[test]
fn a_claimed_entry_is_charged_before_its_body_is_read() {
    let mut bench = Bench::with_worker().next_leader();
    bench.dispatcher.handle_worker(bench.now, "w").unwrap();
    let agent = AgentId::new("w/1");
    bench.dispatcher.handle_claim(bench.now, &agent, &[id(1, 1), id(2, 1)], &[]).unwrap();
    // The agent has them, even if its new host has kept them from it.
    let crash = AgentEnd::Crashed("gone".to_owned());
    bench.dispatcher.handle_agent_ended(bench.now, &agent, &crash, &[id(1, 1), id(2, 1)]);
    bench.settle_down();
    let entry = |entry| bench.dispatcher.ledger().entry(EntryId(entry)).unwrap();
    assert_eq!((entry(1).charges, entry(1).attempts), (1, 1));
    assert_eq!((entry(2).charges, entry(2).attempts), (0, 1));
}
