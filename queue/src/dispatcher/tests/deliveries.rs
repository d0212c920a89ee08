//! Tests of hand-outs and settlements.

use super::{Bench, id};
use crate::id::{AgentId, EntryId};
use crate::ledger::EntryState;
use crate::output::AgentEnd;
use crate::store::StoreCommand;
use std::time::Duration;

#[test]
fn two_commits_come_before_a_hand_out() {
    let mut bench = Bench::leading(|_| {});
    bench.arrive(1, "a");
    assert_eq!(bench.take(), [""; 0]);
    bench.answer();
    assert_eq!(bench.take(), ["1 is 1"]);
    assert!(matches!(&bench.commands[0].1, StoreCommand::Write(batch) if batch.records.len() == 1));
    bench.answer();
    assert_eq!(bench.take(), ["x gets 1#1: 1"]);
    bench.done(1, 1);
    assert_eq!(bench.take(), [""; 0]);
    bench.answer();
    assert_eq!(bench.take(), ["1#1 is settled"]);
    assert!(bench.disk.load().entries.is_empty());
}

#[test]
fn the_first_settlement_counts() {
    let mut bench = Bench::leading(|_| {});
    bench.arrive(1, "a");
    bench.settle_down();
    bench.take();
    bench.done(1, 1);
    bench.refuse(1, 1);
    bench.done(9, 1);
    bench.done(1, 2);
    bench.settle_down();
    assert_eq!(bench.take(), ["1#1 is late", "9#1 is late", "1#2 is late", "1#1 is settled"]);
    assert_eq!((bench.dispatcher.stats().late_settlements, bench.dispatcher.stats().settled), (3, 1));
}

#[test]
fn a_refused_entry_comes_again_before_the_later_ones() {
    let mut bench = Bench::leading(|limits| limits.session_window = 1);
    [1, 2].into_iter().for_each(|n| bench.arrive(n, "a"));
    bench.settle_down();
    assert_eq!(bench.take(), ["1 is 1", "2 is 2", "x gets 1#1: 1"]);
    for attempt in 1..=4 {
        bench.refuse(1, attempt);
        bench.settle_down();
        assert_eq!(bench.take(), [format!("1#{attempt} is settled")]);
        let wait = Duration::from_secs(1 << (attempt - 1));
        bench.wait(wait - Duration::from_millis(1));
        assert_eq!(bench.take(), [""; 0]);
        bench.wait(Duration::from_millis(1));
        assert_eq!(bench.take(), [format!("x gets 1#{}: 1", attempt + 1)]);
    }
    bench.refuse(1, 5);
    bench.settle_down();
    assert_eq!(bench.take(), ["1#5 is settled", "1 is dead: no", "x gets 2#1: 2"]);
}

#[test]
fn only_the_oldest_is_charged_after_a_crash() {
    let mut bench = Bench::leading(|limits| limits.max_attempts = 1);
    (1..=3).for_each(|n| bench.arrive(n, "a"));
    bench.settle_down();
    bench.take();
    bench.dispatcher.handle_agent_ended(
        bench.now,
        &AgentId::new("x"),
        &AgentEnd::Crashed("signal 9".to_owned()),
        &[],
    );
    bench.agent("y");
    assert_eq!(bench.take(), ["1 is dead: signal 9", "y gets 2#2: 2"]);
    bench.done(2, 2);
    bench.settle_down();
    assert_eq!(bench.take(), ["2#2 is settled", "y gets 3#2: 3"]);
    assert_eq!((bench.dispatcher.stats().crashed, bench.dispatcher.stats().returned), (1, 2));
}

#[test]
fn what_a_host_kept_from_its_agent_counts_as_never_handed_out() {
    let mut bench = Bench::leading(|_| {});
    (1..=2).for_each(|n| bench.arrive(n, "a"));
    bench.settle_down();
    bench.take();
    let crash = AgentEnd::Crashed("signal 9".to_owned());
    bench.dispatcher.handle_agent_ended(bench.now, &AgentId::new("x"), &crash, &[id(2, 1)]);
    bench.agent("y");
    bench.wait(Duration::from_secs(1));
    // The session is not cautious: the agent had one of it.
    assert_eq!(bench.take(), ["y gets 1#2: 1", "y gets 2#1: 2"]);
    // One that is not out, and one of an earlier hand-out.
    bench.dispatcher.handle_drain(bench.now, &[id(1, 1), id(2, 1), id(3, 1)]);
    bench.settle_down();
    let entry = |entry| bench.dispatcher.ledger().entry(EntryId(entry)).unwrap();
    assert_eq!((entry(1).state, entry(1).attempts), (EntryState::Out, 2));
    assert_eq!((entry(2).state, entry(2).attempts, entry(2).charges), (EntryState::Waiting, 0, 0));
    assert_eq!(bench.dispatcher.stats().unseen, 2);
}

#[test]
fn a_planned_end_charges_nobody() {
    let mut bench = Bench::leading(|limits| limits.max_attempts = 1);
    bench.arrive(1, "a");
    bench.settle_down();
    bench.take();
    bench.dispatcher.handle_agent_ended(bench.now, &AgentId::new("x"), &AgentEnd::Planned, &[]);
    bench.agent("y");
    assert_eq!(bench.take(), ["y gets 1#2: 1"]);
    bench.dispatcher.handle_agent_ended(bench.now, &AgentId::new("x"), &AgentEnd::Planned, &[]);
    bench.dispatcher.handle_agent_ready(bench.now, &AgentId::new("y"));
    assert_eq!(bench.dispatcher.stats().stray_agents, 2);
}

#[test]
fn interrupts_go_to_the_agent_that_has_the_session() {
    let mut bench = Bench::leading(|_| {});
    bench.arrive(1, "a");
    bench.settle_down();
    assert_eq!(bench.dispatcher.handle_interrupt("a"), Some(AgentId::new("x")));
    bench.done(1, 1);
    // The session stays with its agent, also while nothing of it is out.
    assert_eq!(bench.dispatcher.handle_interrupt("a"), Some(AgentId::new("x")));
    assert_eq!(bench.dispatcher.handle_interrupt("b"), None);
    assert_eq!(bench.dispatcher.stats().interrupts_without_agent, 1);
}

#[test]
fn debug_prints_no_texts_of_people() {
    let mut bench = Bench::leading(|limits| limits.agent_window = 1);
    (1..=2).for_each(|n| bench.arrive(n, "a"));
    let body = |text: &str| {
        text.contains("body 1") || text.contains(&format!("{:?}", b"body").replace(['[', ']'], ""))
    };
    assert!(!body(&format!("{:?} {:?}", bench.dispatcher, bench.commands)));
    bench.settle_down();
    let shown = format!("{:?} {:?} {:?}", bench.dispatcher, bench.disk, bench.outputs);
    assert!(!body(&shown) && shown.contains("6 bytes"), "{shown}");
}
