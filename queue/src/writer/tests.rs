//! Tests of the queue of writes.

use super::{Comparison, PendingEntry, StoredEntry, Writer};
use crate::config::QueueLimits;
use crate::encoding::Bytes;
use crate::head::EntryHead;
use crate::id::{ArrivalId, CommandId, EntryId, RecordSeq};
use crate::store::memory::MemoryDisk;
use crate::store::{Batch, READ_BACK, ReadBack, StoreAnswer, StoreCommand};
use relayline_core::time::Time;

const NOW: Time = Time::from_millis(1);

fn entry(n: u64) -> PendingEntry {
    let head = EntryHead { epoch: 1, session: "a".into(), size: n, key: None, memory: None };
    PendingEntry::new(ArrivalId(n), head, b"body".as_slice().into())
}

fn record(text: &str) -> Bytes {
    text.as_bytes().into()
}

fn next(writer: &mut Writer, now: Time) -> Option<StoreCommand> {
    writer.next_command(now, &QueueLimits::default(), || CommandId(1)).map(|(_, command)| command)
}

fn batch(command: Option<StoreCommand>) -> Batch {
    match command {
        Some(StoreCommand::Write(batch)) => *batch,
        other => panic!("a batch, not {other:?}"),
    }
}

/// Returns a writer with two entries and two records under way, and its batch.
fn writing() -> (Writer, Batch) {
    let mut writer = Writer::new(EntryId(0), RecordSeq(0));
    (1..=2).for_each(|n| writer.add_entry(entry(n)));
    assert_eq!(
        [writer.add_record(record("a")), writer.add_record(record("b"))],
        [RecordSeq(1), RecordSeq(2)]
    );
    let batch = batch(next(&mut writer, NOW));
    (writer, batch)
}

fn stored(comparison: Comparison) -> Vec<(u64, bool)> {
    let Comparison::Confirmed(confirmed) = comparison else { panic!("{comparison:?}") };
    let is_own = |entry| matches!(entry, StoredEntry::Own(_));
    confirmed.entries.into_iter().map(|(id, entry)| (id.0, is_own(entry))).collect()
}

fn doubt_and_compare(writer: &mut Writer, end: &ReadBack) -> Comparison {
    writer.doubt(NOW, &QueueLimits::default());
    assert!(matches!(next(writer, NOW), Some(StoreCommand::ReadBack { .. })));
    writer.read_back(NOW, end, &QueueLimits::default())
}

#[test]
fn one_write_is_under_way_at_a_time() {
    let (mut writer, first) = writing();
    writer.add_record(record("c"));
    writer.remove_entry(RecordSeq(3), EntryId(1));
    assert!(next(&mut writer, NOW).is_none() && !writer.is_done());
    assert_eq!((first.entries.len(), first.records.len(), first.removed_entries.len()), (2, 2, 0));
    let confirmed = writer.written();
    assert_eq!(confirmed.entries.iter().map(|(id, _)| id.0).collect::<Vec<_>>(), [1, 2]);
    let second = batch(next(&mut writer, NOW));
    assert_eq!((second.after_entry, second.after_record), (EntryId(2), RecordSeq(2)));
    assert_eq!(second.removed_entries, [EntryId(1)]);
    assert_eq!(writer.written().removed_entries, [EntryId(1)]);
    assert!(writer.is_done() && next(&mut writer, NOW).is_none());
}

/// An entry has two records. And what is written must fit into what is read back: more would look like another leader's.
#[test]
fn a_write_has_twice_as_many_records_as_entries() {
    for (batch_size, entries, records) in
        [(1, 1, 2), (700, 700, READ_BACK), (usize::MAX, READ_BACK, READ_BACK)]
    {
        let limits = QueueLimits { batch_size, ..QueueLimits::default() };
        let mut writer = Writer::new(EntryId(0), RecordSeq(0));
        for n in 0..=READ_BACK as u64 {
            writer.add_entry(entry(n));
            writer.add_record(record("a"));
        }
        let (_, command) = writer.next_command(NOW, &limits, || CommandId(1)).unwrap();
        let batch = batch(Some(command));
        assert_eq!((batch.entries.len(), batch.records.len()), (entries, records));
    }
}

/// An entry leaves the store only together with the record that says why, or later.
#[test]
fn an_entry_is_not_removed_before_its_record() {
    let mut writer = Writer::new(EntryId(1), RecordSeq(0));
    let limits = QueueLimits { batch_size: 1, ..QueueLimits::default() };
    writer.add_record(record("a"));
    writer.add_record(record("b"));
    let settled = writer.add_record(record("c"));
    writer.remove_entry(settled, EntryId(1));
    let mut removed = Vec::new();
    for _ in 0..2 {
        let (_, command) = writer.next_command(NOW, &limits, || CommandId(1)).unwrap();
        removed.push(batch(Some(command)).removed_entries.len());
        writer.written();
    }
    assert_eq!(removed, [0, 1]);
}

#[test]
fn what_was_written_is_not_written_again() {
    for kept in 0..=4 {
        let (mut writer, first) = writing();
        let mut disk = MemoryDisk::default();
        disk.has_no_transactions = true;
        disk.write(&first, kept);
        let entries = kept.min(2) as u64;
        let comparison = doubt_and_compare(&mut writer, &disk.read_back(EntryId(0), RecordSeq(0)));
        assert_eq!(stored(comparison).len() as u64, entries);
        if kept < 4 {
            // The next try waits if nothing was written.
            let at = writer.deadline(&QueueLimits::default()).unwrap();
            assert_eq!(at > NOW, kept == 0);
            let rest = batch(next(&mut writer, at));
            assert_eq!(disk.execute(&StoreCommand::Write(Box::new(rest))), StoreAnswer::Written);
            writer.written();
        }
        let loaded = disk.load();
        assert_eq!((loaded.entries.len(), loaded.records.len()), (2, 2), "{kept}");
        assert!(writer.is_done());
    }
}

#[test]
fn records_of_another_leader_end_this_one() {
    let end = |records: &[(u64, &str)]| ReadBack {
        records: records.iter().map(|(seq, text)| (RecordSeq(*seq), record(text))).collect(),
        last_record: RecordSeq(records.last().map_or(0, |(seq, _)| *seq)),
        ..ReadBack::default()
    };
    for foreign in
        [end(&[(1, "x")]), end(&[(1, "a"), (2, "x")]), end(&[(1, "a"), (2, "b"), (3, "c")]), end(&[(2, "b")])]
    {
        let (mut writer, _) = writing();
        assert!(matches!(doubt_and_compare(&mut writer, &foreign), Comparison::OtherLeader), "{foreign:?}");
    }
}

/// An engine without transactions lets a leader store entries that has lost the journal and does not know it.
#[test]
fn entries_of_another_leader_are_found() {
    let (mut writer, _) = writing();
    let foreign = EntryHead { epoch: 9, session: "b".into(), size: 1, key: None, memory: None }.encode();
    let end = ReadBack {
        entries: vec![(EntryId(1), foreign)],
        // One more was there, and is done.
        last_entry: EntryId(2),
        ..ReadBack::default()
    };
    assert_eq!(stored(doubt_and_compare(&mut writer, &end)), [(1, false)]);
    let again = batch(next(&mut writer, NOW));
    assert_eq!((again.after_entry, again.entries.len()), (EntryId(2), 2));
}

#[test]
fn a_store_that_lost_records_is_noticed() {
    let (mut writer, _) = writing();
    writer.written();
    writer.add_record(record("c"));
    next(&mut writer, NOW);
    let comparison = doubt_and_compare(&mut writer, &ReadBack::default());
    assert!(matches!(comparison, Comparison::Lost), "{comparison:?}");
}

#[test]
fn an_answer_that_does_not_come_is_overdue() {
    let (mut writer, _) = writing();
    let limits = QueueLimits::default();
    let deadline = NOW + limits.store_timeout;
    assert_eq!((writer.deadline(&limits), writer.waits_since()), (Some(deadline), Some(NOW)));
    assert!(!writer.is_overdue(NOW, &limits) && writer.is_overdue(deadline, &limits));
    writer.doubt(deadline, &limits);
    assert!(!writer.awaits(CommandId(1)));
    assert!(matches!(next(&mut writer, deadline), Some(StoreCommand::ReadBack { .. })));
    // The trouble began with the write.
    assert_eq!(writer.waits_since(), Some(NOW));
    writer.doubt(deadline, &limits);
    assert_eq!(writer.deadline(&limits), Some(deadline + limits.store_retry));
}
