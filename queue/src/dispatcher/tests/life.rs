//! Tests of what lasts: leaders, restarts, operators.

use super::Bench;
use crate::config::QueueLimits;
use crate::dispatcher::Dispatcher;
use crate::id::{AgentId, EntryId};
use crate::output::{AgentEnd, OperatorRequest, Output, RequestRefused};
use crate::record::Record;
use relayline_core::time::Time;
use std::time::Duration;

#[test]
fn duplicates_are_known_across_restarts() {
    let mut bench = Bench::leading(|_| {});
    bench.arrive(1, "a");
    bench.arrive(1, "a");
    bench.settle_down();
    bench.arrive(1, "a");
    assert_eq!(bench.take(), ["1 is 1", "1 is known", "x gets 1#1: 1", "1 is known"]);
    bench.done(1, 1);
    bench.settle_down();
    let mut later = Bench::on(bench.disk, |_| {});
    later.arrive(1, "a");
    assert_eq!(later.take(), ["leading 2", "1 is known"]);
    assert_eq!(later.dispatcher.usage().settled_keys, 1);
    later.wait(Duration::from_secs(24 * 3600));
    later.arrive(1, "a");
    later.settle_down();
    assert_eq!(later.take(), ["1 is 2"]);
}

#[test]
fn another_leader_ends_this_one_at_once() {
    let mut bench = Bench::leading(|_| {});
    [(1, "a"), (2, "b")].into_iter().for_each(|(n, session)| bench.arrive(n, session));
    bench.settle_down();
    bench.take();
    let rival = Bench::on(bench.disk.clone(), |_| {});
    bench.disk = rival.disk;
    bench.done(1, 1);
    bench.arrive(3, "a");
    assert!(matches!(bench.take().as_slice(), []));
    bench.settle_down();
    assert_eq!(bench.take(), ["1#1 has no leader", "3 has no leader", "lost"]);
    assert!(bench.dispatcher.has_ended() && bench.dispatcher.deadline().is_none());
    bench.done(2, 1);
    bench.arrive(4, "a");
    bench.agent("y");
    bench.wait(Duration::from_secs(100));
    assert_eq!(bench.take(), ["2#1 has no leader", "4 has no leader"]);
    assert_eq!(bench.request(OperatorRequest::Drop(EntryId(1))), Err(RequestRefused::NotLeading));
    assert_eq!(bench.dispatcher.handle_interrupt("b"), None);
}

#[test]
fn a_shutdown_hands_over_once_the_agents_have_ended() {
    let mut bench = Bench::leading(|limits| limits.max_attempts = 1);
    [(1, "a"), (2, "b")].into_iter().for_each(|(n, session)| bench.arrive(n, session));
    bench.settle_down();
    bench.arrive(3, "a");
    bench.answer();
    bench.take();
    bench.dispatcher.handle_shutdown(bench.now);
    bench.done(1, 1);
    bench.arrive(4, "a");
    bench.settle_down();
    assert_eq!(bench.take(), ["4 has no leader", "1#1 is settled"]);
    bench.dispatcher.handle_agent_ended(bench.now, &AgentId::new("x"), &AgentEnd::Planned, &[]);
    bench.settle_down();
    assert_eq!(bench.take(), ["released"]);
    // Nothing is charged, and what no agent saw counts as never handed out.
    let mut later = Bench::on(bench.disk, |_| {});
    later.agent("y");
    assert_eq!(later.take(), ["leading 2", "y gets 2#2: 2", "y gets 3#1: 3"]);
}

#[test]
fn a_shutdown_before_the_store_is_read_writes_nothing() {
    let mut dispatcher = Dispatcher::new(QueueLimits::default(), "x", Time::ZERO);
    dispatcher.handle_shutdown(Time::ZERO);
    let outputs: Vec<Output> = std::iter::from_fn(|| dispatcher.poll_output()).collect();
    assert_eq!(outputs, [Output::Released]);
}

#[test]
fn operators_retry_and_drop() {
    let mut bench = Bench::leading(|limits| limits.max_attempts = 2);
    (1..=3).for_each(|n| bench.arrive(n, "a"));
    bench.settle_down();
    bench.take();
    assert_eq!(bench.request(OperatorRequest::Retry(EntryId(1))), Err(RequestRefused::Out));
    assert_eq!(bench.request(OperatorRequest::Retry(EntryId(9))), Err(RequestRefused::Unknown));
    bench.refuse(1, 1);
    bench.settle_down();
    bench.take();
    // It need not wait any longer.
    assert_eq!(bench.request(OperatorRequest::Retry(EntryId(1))), Ok(()));
    assert_eq!(bench.take(), ["x gets 1#2: 1"]);
    bench.refuse(1, 2);
    bench.wait(Duration::from_secs(1));
    bench.refuse(1, 3);
    bench.settle_down();
    assert_eq!(bench.take(), ["1#2 is settled", "x gets 1#3: 1", "1#3 is settled", "1 is dead: no"]);
    assert_eq!(bench.request(OperatorRequest::Retry(EntryId(1))), Ok(()));
    assert_eq!(bench.request(OperatorRequest::Drop(EntryId(1))), Ok(()));
    assert_eq!(bench.request(OperatorRequest::Drop(EntryId(2))), Ok(()));
    bench.done(2, 1);
    assert_eq!(bench.take(), ["x gets 1#4: 1", "2#1 is late"]);
    assert_eq!(bench.disk.load().entries.len(), 1);
    // Its duplicate is still known.
    bench.arrive(1, "a");
    assert_eq!(bench.take(), ["1 is known"]);
}

#[test]
fn host_memory_survives() {
    let mut bench = Bench::leading(|limits| limits.snapshot_records = 3);
    for (key, value) in [("a", Some("1")), ("b", Some("2")), ("a", None), ("c", Some("3"))] {
        bench.dispatcher.remember(bench.now, key, value);
        bench.settle_down();
    }
    let later = Bench::on(bench.disk, |_| {});
    assert_eq!(later.dispatcher.ledger().memory().collect::<Vec<_>>(), [("b", "2"), ("c", "3")]);
    let epochs =
        later.disk.load().records.into_iter().map(|(seq, bytes)| Record::decode(seq, &bytes).unwrap());
    assert!(epochs.into_iter().any(|record| matches!(record, Record::Epoch { epoch: 2, .. })));
}

#[test]
fn counters_have_names_and_texts() {
    let bench = Bench::leading(|_| {});
    let stats = bench.dispatcher.stats();
    let (name, text, value) = stats.described().find(|(name, ..)| *name == "writes").unwrap();
    assert_eq!((name, text, value), ("writes", "Writes to the store that succeeded.", 1));
    assert_eq!(bench.dispatcher.now(), Time::ZERO);
}
