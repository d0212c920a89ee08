//! Tests of a store that fails, and of snapshots.

use super::Bench;
use crate::id::EntryId;
use crate::ledger::LoadError;
use crate::output::{Output, QueueError};
use crate::store::memory::MemoryDisk;
use crate::store::{Batch, FaultKind, Leadership, StoreAnswer, StoreCommand, StoreFault};
use std::time::Duration;

#[test]
fn a_store_that_is_down_pauses_the_gateway_after_10_s() {
    let mut bench = Bench::leading(|_| {});
    bench.disk.write_fault = Some(FaultKind::Full);
    bench.arrive(1, "a");
    bench.settle_down();
    assert!(!bench.dispatcher.takes_arrivals());
    bench.arrive(2, "a");
    assert_eq!(bench.take(), ["Full", "2 is not taken"]);
    bench.wait(Duration::from_millis(9999));
    assert!(bench.take().iter().all(|output| output == "Full"));
    bench.wait(Duration::from_millis(1));
    assert!(bench.take().contains(&"pause: StoreDown".to_owned()));
    bench.disk.write_fault = None;
    bench.wait(Duration::from_secs(1));
    assert_eq!(bench.take(), ["1 is 1", "resume", "x gets 1#1: 1"]);
    assert!(bench.dispatcher.takes_arrivals());
}

#[test]
fn an_answer_that_does_not_come_is_read_back() {
    let mut bench = Bench::leading(|_| {});
    bench.arrive(1, "a");
    let (late, command) = bench.commands.pop_front().unwrap();
    // It was carried out, and its answer is lost.
    assert_eq!(bench.disk.execute(&command), StoreAnswer::Written);
    bench.wait(Duration::from_secs(10));
    assert_eq!(bench.take(), ["pause: StoreDown", "1 is 1", "resume", "x gets 1#1: 1"]);
    bench.dispatcher.handle_answer(bench.now, late, StoreAnswer::Written);
    let stats = bench.dispatcher.stats();
    assert_eq!((stats.store_timeouts, stats.read_backs, stats.late_answers), (1, 1, 1));
    assert_eq!(bench.disk.load().entries.len(), 1);
}

#[test]
fn a_full_queue_takes_nothing_until_a_tenth_is_free() {
    let mut bench = Bench::leading(|limits| limits.queue_entries = 10);
    (1..=11).for_each(|n| bench.arrive(n, "a"));
    bench.settle_down();
    assert!(bench.take().contains(&"11 is not taken".to_owned()));
    bench.wait(Duration::from_secs(10));
    assert_eq!(bench.take(), ["pause: Full"]);
    // A duplicate needs no room.
    bench.arrive(1, "a");
    assert_eq!(bench.take(), ["1 is known"]);
    bench.done(1, 1);
    bench.settle_down();
    assert!(!bench.dispatcher.takes_arrivals());
    bench.done(2, 1);
    assert_eq!(bench.take(), ["1#1 is settled", "resume"]);
    assert!(bench.dispatcher.takes_arrivals());
    assert_eq!(bench.dispatcher.stats().arrivals_refused, 1);
}

#[test]
fn an_entry_without_a_body_is_a_dead_letter() {
    let mut bench = Bench::leading(|limits| limits.body_cache_bytes = 0);
    [(1, "a"), (2, "a")].into_iter().for_each(|(n, session)| bench.arrive(n, session));
    bench.answer();
    let reads = bench.commands.iter().filter(|(_, command)| matches!(command, StoreCommand::ReadBody(_)));
    assert_eq!(reads.count(), 1);
    // Someone has removed the row.
    let mut batch = Batch { removed_entries: vec![EntryId(1)], ..Batch::default() };
    (batch.after_entry, batch.after_record) = (bench.disk.load().last_entry, bench.disk.load().last_record);
    assert_eq!(bench.disk.execute(&StoreCommand::Write(Box::new(batch))), StoreAnswer::Written);
    bench.settle_down();
    let error = "1 is dead: the body of the entry is not in the store";
    assert_eq!(bench.take(), ["1 is 1", "2 is 2", error, "x gets 2#1: 2"]);
}

#[test]
fn a_failed_read_of_a_body_is_repeated() {
    let mut bench = Bench::leading(|limits| limits.body_cache_bytes = 0);
    bench.arrive(1, "a");
    bench.answer();
    bench.disk.read_fault = Some(FaultKind::Unavailable);
    bench.settle_down();
    bench.disk.read_fault = None;
    assert_eq!(bench.take(), ["1 is 1", "Unavailable"]);
    bench.wait(Duration::from_secs(1));
    assert_eq!(bench.take(), ["x gets 1#1: 1"]);
}

#[test]
fn a_store_of_a_newer_version_is_not_used() {
    let mut disk = MemoryDisk::default();
    let newer = br#"[1,{"lease":{}}]"#.as_slice().into();
    let batch = Batch { records: vec![newer], ..Batch::default() };
    disk.execute(&StoreCommand::Write(Box::new(batch)));
    let mut bench = Bench::on(disk, |_| {});
    let Some(Output::Failed(QueueError::Load(LoadError::Decode(error)))) = bench.outputs.pop_front() else {
        panic!("it fails")
    };
    assert!(error.to_string().contains("which a newer version of this program wrote"), "{error}");
    assert_eq!(bench.disk.load().records.len(), 1);
}

#[test]
fn a_store_that_cannot_be_read_is_tried_again() {
    let mut disk = MemoryDisk::default();
    disk.read_fault = Some(FaultKind::Unavailable);
    let mut bench = Bench::on(disk, |_| {});
    assert_eq!(bench.take(), ["Unavailable"]);
    bench.disk.read_fault = None;
    bench.wait(Duration::from_secs(1));
    assert_eq!(bench.take(), ["leading 1"]);
}

#[test]
fn snapshots_bound_the_journal() {
    let mut bench = Bench::leading(|limits| limits.snapshot_records = 10);
    for n in 1..=100 {
        bench.arrive(n, "a");
        bench.settle_down();
        bench.done(u64::from(n), 1);
        bench.settle_down();
    }
    assert!(bench.dispatcher.stats().snapshots >= 18, "{:?}", bench.dispatcher.stats());
    let loaded = bench.disk.load();
    assert!(loaded.records.len() <= 22 && loaded.pieces.len() <= 2, "{loaded:?}");
    let mut later = Bench::on(bench.disk, |_| {});
    for n in 1..=100 {
        later.arrive(n, "a");
    }
    assert_eq!(later.take().iter().filter(|output| output.ends_with("is known")).count(), 100);
}

#[test]
fn a_leader_checks_that_it_leads() {
    let mut bench = Bench::leading(|_| {});
    bench.dispatcher.check_lead(bench.now);
    // What arrives meanwhile is stored after it.
    bench.arrive(1, "a");
    assert!(matches!(bench.commands[0].1, StoreCommand::ReadBack { .. }) && bench.commands.len() == 1);
    bench.settle_down();
    assert_eq!(bench.take(), ["still leading", "1 is 1", "x gets 1#1: 1"]);
    // A failure is no answer.
    bench.dispatcher.check_lead(bench.now);
    bench.drain();
    let (id, _) = bench.commands.pop_front().unwrap();
    let fault = StoreFault { kind: FaultKind::Unavailable, text: String::new() };
    bench.dispatcher.handle_answer(bench.now, id, StoreAnswer::Failed(fault));
    assert_eq!(bench.take(), ["Unavailable"]);
    bench.wait(Duration::from_secs(1));
    assert_eq!(bench.take(), ["still leading"]);
    // A write that was on its way says nothing of the time since.
    bench.arrive(2, "a");
    bench.dispatcher.check_lead(bench.now);
    bench.answer();
    assert_eq!(bench.take(), ["2 is 2"]);
    let mut other = Bench::on(std::mem::take(&mut bench.disk), |_| {});
    assert_eq!(other.take(), ["leading 2"]);
    bench.disk = other.disk;
    bench.settle_down();
    assert_eq!(bench.take(), ["lost"]);
}

/// Nothing is handed out while another process may lead, and the gateway pauses at once.
#[test]
fn without_the_right_to_lead_nothing_is_handed_out() {
    let mut bench = Bench::leading(|_| {});
    let seconds = |n| Leadership::For(Duration::from_secs(n));
    bench.dispatcher.handle_leadership(bench.now, seconds(7));
    bench.arrive(1, "a");
    bench.settle_down();
    assert_eq!(bench.take(), ["1 is 1", "x gets 1#1: 1"]);
    bench.wait(Duration::from_secs(6));
    bench.dispatcher.handle_leadership(bench.now, seconds(7));
    bench.wait(Duration::from_secs(6));
    assert_eq!(bench.take(), [] as [&str; 0]);
    bench.wait(Duration::from_secs(1));
    assert_eq!(bench.take(), ["pause: Unconfirmed"]);
    bench.arrive(2, "a");
    bench.done(1, 1);
    bench.settle_down();
    assert_eq!(bench.take(), ["2 is 2", "1#1 is settled"]);
    bench.dispatcher.handle_leadership(bench.now, seconds(7));
    bench.settle_down();
    assert_eq!(bench.take(), ["resume", "x gets 2#1: 2"]);
    bench.dispatcher.handle_leadership(bench.now, Leadership::Uncertain);
    assert_eq!(bench.take(), ["pause: Unconfirmed"]);
    bench.dispatcher.handle_leadership(bench.now, Leadership::Lost);
    assert_eq!(bench.take(), ["lost"]);
}
