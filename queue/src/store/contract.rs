//! Checks of the contract of a [`Store`], for the tests of each engine. A check panics if it fails.

use super::{Batch, Loaded, NewEntry, READ_BACK, ReadBack, Store, StoreAnswer, StoreCommand};
use crate::encoding::Bytes;
use crate::id::{CommandId, EntryId, PieceId, RecordSeq};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Wakes the thread that waits for an answer.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Returns a waker that unparks this thread.
pub fn waker() -> Waker {
    Waker::from(Arc::new(Unpark(thread::current())))
}

/// Submits a command and waits for its answer.
///
/// # Panics
/// The answer names another command.
pub fn answer(store: &mut impl Store, command: StoreCommand) -> StoreAnswer {
    let id = CommandId(7);
    store.submit(id, command);
    let (answered, answer) = next_answer(store);
    assert_eq!(answered, id, "an answer names its command");
    answer
}

/// Waits for the next answer.
pub fn next_answer(store: &mut impl Store) -> (CommandId, StoreAnswer) {
    let waker = waker();
    let mut cx = Context::from_waker(&waker);
    loop {
        match store.poll_answer(&mut cx) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}

fn bytes(text: &str) -> Bytes {
    text.as_bytes().into()
}

/// Returns the answer with a body.
pub fn body(text: &str) -> StoreAnswer {
    StoreAnswer::Body(Some(bytes(text)))
}

/// Returns a batch of entries and records. The head of an entry is its body with `head of ` in front.
pub fn batch(after_entry: u64, after_record: u64, entries: &[&str], records: &[&str]) -> Batch {
    let entry = |text: &&str| NewEntry { head: bytes(&format!("head of {text}")), body: bytes(text) };
    Batch {
        after_entry: EntryId(after_entry),
        after_record: RecordSeq(after_record),
        entries: entries.iter().map(entry).collect(),
        records: records.iter().map(|text| bytes(text)).collect(),
        ..Batch::default()
    }
}

/// Writes a batch.
pub fn write(store: &mut impl Store, batch: Batch) -> StoreAnswer {
    answer(store, StoreCommand::Write(Box::new(batch)))
}

/// Loads a store.
///
/// # Panics
/// The store does not answer with its content.
pub fn load(store: &mut impl Store) -> Loaded {
    match answer(store, StoreCommand::Load) {
        StoreAnswer::Loaded(loaded) => *loaded,
        other => panic!("the content of the store, not {other:?}"),
    }
}

/// Reads back.
///
/// # Panics
/// The store answers with something else.
pub fn read_back(store: &mut impl Store, after_entry: u64, after_record: u64) -> ReadBack {
    let (after_entry, after_record) = (EntryId(after_entry), RecordSeq(after_record));
    match answer(store, StoreCommand::ReadBack { after_entry, after_record }) {
        StoreAnswer::ReadBack(end) => *end,
        other => panic!("the end of the store, not {other:?}"),
    }
}

/// Runs all checks. `empty` opens a new, empty store.
pub fn check<S: Store>(empty: &mut dyn FnMut() -> S) {
    an_empty_store_has_nothing(&mut empty());
    what_is_written_is_loaded(&mut empty());
    a_write_at_another_place_conflicts(&mut empty());
    numbers_are_not_used_again(&mut empty());
    removals_and_pieces_can_be_repeated(&mut empty());
    the_end_is_read_back_in_bounds(&mut empty());
    each_command_is_answered_once(&mut empty());
}

/// Runs the checks of a store that several processes can open at once. `pair` opens a new, empty store twice.
pub fn check_two<S: Store>(pair: &mut dyn FnMut() -> (S, S)) {
    one_of_two_writers_wins(&mut pair());
    batches_of_two_writers_do_not_mix(&mut pair());
    nothing_of_an_earlier_leader_is_written(&mut pair());
    a_lost_answer_can_be_read_back(&mut pair());
}

fn one_of_two_writers_wins<S: Store>((first, second): &mut (S, S)) {
    assert_eq!((load(first), load(second)), (Loaded::default(), Loaded::default()));
    for base in 0..20 {
        let text = ["first", "second"].map(|who| format!("{who} {base}"));
        first.submit(CommandId(1), StoreCommand::Write(Box::new(batch(0, base, &[], &[&text[0]]))));
        second.submit(CommandId(2), StoreCommand::Write(Box::new(batch(0, base, &[], &[&text[1]]))));
        let answers = [next_answer(first).1, next_answer(second).1];
        // Neither may win if both were under way at once. The base is the same then.
        let winner = answers.iter().position(|answer| *answer == StoreAnswer::Written);
        let records = read_back(first, 0, base).records;
        match winner {
            Some(winner) => {
                let bytes = bytes(&text[winner]);
                assert_eq!(records, [(RecordSeq(base + 1), bytes)], "{answers:?}");
                assert!(!answers.iter().all(|answer| *answer == StoreAnswer::Written));
            }
            None => {
                assert!(records.len() <= 1, "{answers:?}: {}", records.len());
                if records.is_empty() {
                    assert_eq!(write(first, batch(0, base, &[], &["again"])), StoreAnswer::Written);
                }
            }
        }
        read_back(second, 0, base);
    }
}

/// A record that is in the journal follows the records of its batch that are before it.
fn batches_of_two_writers_do_not_mix<S: Store>((first, second): &mut (S, S)) {
    let (_, _) = (load(first), load(second));
    let mut base = 0;
    for round in 0..30 {
        let texts = |who: &str| (0..20).map(|n| format!("{who} {round} {n}")).collect::<Vec<_>>();
        let (mine, other) = (texts("first"), texts("second"));
        let records =
            |texts: &[String]| batch(0, base, &[], &texts.iter().map(String::as_str).collect::<Vec<_>>());
        first.submit(CommandId(1), StoreCommand::Write(Box::new(records(&mine))));
        // One that is shorter leaves places that records of the other expect.
        second.submit(CommandId(2), StoreCommand::Write(Box::new(records(&other[..1 + round % 3]))));
        next_answer(first);
        next_answer(second);
        let end = read_back(first, 0, base);
        let found: Vec<&Bytes> = end.records.iter().map(|(_, record)| record).collect();
        let is_start_of = |texts: &[String]| {
            found.len() <= texts.len()
                && found.iter().zip(texts).all(|(found, text)| ***found == *text.as_bytes())
        };
        assert!(is_start_of(&mine) || is_start_of(&other), "round {round}: {} records", found.len());
        base = end.last_record.0;
        read_back(second, 0, base);
    }
}

fn nothing_of_an_earlier_leader_is_written<S: Store>((first, second): &mut (S, S)) {
    load(first);
    assert_eq!(write(first, batch(0, 0, &[], &["epoch 1"])), StoreAnswer::Written);
    assert_eq!(write(first, batch(0, 1, &["a"], &[])), StoreAnswer::Written);
    let loaded = load(second);
    assert_eq!((loaded.last_entry, loaded.last_record), (EntryId(1), RecordSeq(1)));
    // An entry that the new leader has not read is not lost.
    assert_eq!(write(first, batch(1, 1, &["b"], &[])), StoreAnswer::Written);
    let claim = write(second, batch(1, 1, &[], &["epoch 2"]));
    let end = read_back(second, 1, 1);
    assert_eq!(end.entries, [(EntryId(2), bytes("head of b"))], "{claim:?}");
    match claim {
        StoreAnswer::Written => assert_eq!(end.records.len(), 1),
        // It was not compared before the record was written, or the record was not written.
        StoreAnswer::Conflict if end.records.is_empty() => {
            assert_eq!(write(second, batch(2, 1, &[], &["epoch 2"])), StoreAnswer::Written);
        }
        other => assert_eq!(other, StoreAnswer::Conflict),
    }
    for late in [batch(2, 1, &["late"], &[]), batch(2, 1, &[], &["late"]), batch(2, 1, &["late"], &["late"])]
    {
        assert_eq!(write(first, late), StoreAnswer::Conflict);
    }
    let end = read_back(first, 2, 1);
    assert_eq!((end.entries.len(), end.records.len()), (0, 1));
    assert_eq!(write(second, batch(2, 2, &["c"], &["r"])), StoreAnswer::Written);
    let loaded = load(second);
    let entries: Vec<u64> = loaded.entries.iter().map(|(id, _)| id.0).collect();
    assert_eq!((entries, loaded.last_entry), (vec![1, 2, 3], EntryId(3)));
    assert_eq!(answer(second, StoreCommand::ReadBody(EntryId(2))), body("b"));
    assert_eq!(answer(second, StoreCommand::ReadBody(EntryId(3))), body("c"));
}

/// An answer that nobody awaits: what was written is a start of the batch.
fn a_lost_answer_can_be_read_back<S: Store>((first, second): &mut (S, S)) {
    load(first);
    first.submit(CommandId(1), StoreCommand::Write(Box::new(batch(0, 0, &["a", "b", "c"], &["r"]))));
    next_answer(first);
    let end = read_back(second, 0, 0);
    let heads = ["a", "b", "c"].map(|text| bytes(&format!("head of {text}")));
    assert!(end.entries.iter().zip((1..).zip(heads)).all(|((id, head), (n, own))| id.0 == n && *head == own));
    assert!(end.records.is_empty() || end.entries.len() == 3);
}

fn an_empty_store_has_nothing(store: &mut impl Store) {
    assert_eq!(load(store), Loaded::default());
    assert_eq!(read_back(store, 0, 0), ReadBack::default());
    assert_eq!(answer(store, StoreCommand::ReadBody(EntryId(1))), StoreAnswer::Body(None));
    assert_eq!(write(store, Batch::default()), StoreAnswer::Written);
}

fn what_is_written_is_loaded(store: &mut impl Store) {
    let mut first = batch(0, 0, &["a", ""], &["r1", "r2"]);
    let piece = |number| PieceId { epoch: 1, number };
    first.pieces = vec![(piece(2), bytes("p2")), (piece(1), bytes("p1"))];
    assert_eq!(write(store, first), StoreAnswer::Written);
    assert_eq!(write(store, batch(2, 2, &["c"], &[])), StoreAnswer::Written);
    assert_eq!(write(store, batch(3, 2, &[], &["r3"])), StoreAnswer::Written);
    let head = |n, text: &str| (EntryId(n), bytes(&format!("head of {text}")));
    let record = |n, text: &str| (RecordSeq(n), bytes(text));
    let expected = Loaded {
        entries: vec![head(1, "a"), head(2, ""), head(3, "c")],
        last_entry: EntryId(3),
        records: vec![record(1, "r1"), record(2, "r2"), record(3, "r3")],
        last_record: RecordSeq(3),
        pieces: vec![(piece(1), bytes("p1")), (piece(2), bytes("p2"))],
    };
    assert_eq!(load(store), expected);
    assert_eq!(answer(store, StoreCommand::ReadBody(EntryId(1))), body("a"));
    assert_eq!(answer(store, StoreCommand::ReadBody(EntryId(2))), body(""));
    let end = read_back(store, 1, 2);
    assert_eq!((end.entries, end.records), (vec![head(2, ""), head(3, "c")], vec![record(3, "r3")]));
    assert_eq!((end.last_entry, end.last_record), (EntryId(3), RecordSeq(3)));
}

/// The last record is the fence: a batch with records that expects another one is not applied.
fn a_write_at_another_place_conflicts(store: &mut impl Store) {
    assert_eq!(write(store, batch(0, 0, &["a"], &["r1"])), StoreAnswer::Written);
    for (after_entry, after_record) in [(0, 1), (2, 1), (1, 0), (1, 2), (0, 0)] {
        let stale = batch(after_entry, after_record, &[], &["x"]);
        assert_eq!(write(store, stale), StoreAnswer::Conflict, "after {after_entry}, {after_record}");
    }
    assert_eq!(write(store, batch(0, 1, &["x"], &[])), StoreAnswer::Conflict);
    let loaded = load(store);
    assert_eq!((loaded.entries.len(), loaded.records.len()), (1, 1));
    assert_eq!(write(store, batch(1, 1, &["b"], &["r2"])), StoreAnswer::Written);
}

fn numbers_are_not_used_again(store: &mut impl Store) {
    let mut all = batch(0, 0, &["a", "b"], &["r1", "r2"]);
    all.removed_entries = vec![EntryId(2)];
    all.removed_records = Some(RecordSeq(2));
    assert_eq!(write(store, all), StoreAnswer::Written);
    let loaded = load(store);
    assert_eq!((loaded.last_entry, loaded.last_record), (EntryId(2), RecordSeq(2)));
    assert_eq!((loaded.entries.len(), loaded.records.len()), (1, 0));
    assert_eq!(write(store, batch(2, 2, &["c"], &["r3"])), StoreAnswer::Written);
    let loaded = load(store);
    assert_eq!(loaded.entries.iter().map(|(id, _)| id.0).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(loaded.records, [(RecordSeq(3), bytes("r3"))]);
}

fn removals_and_pieces_can_be_repeated(store: &mut impl Store) {
    let piece = PieceId { epoch: 3, number: 1 };
    for _ in 0..2 {
        let pieces = vec![(piece, bytes("p"))];
        assert_eq!(write(store, Batch { pieces, ..Batch::default() }), StoreAnswer::Written);
    }
    assert_eq!(load(store).pieces, [(piece, bytes("p"))]);
    for _ in 0..2 {
        let removal = Batch {
            removed_pieces: vec![piece],
            removed_entries: vec![EntryId(9)],
            removed_records: Some(RecordSeq(0)),
            ..Batch::default()
        };
        assert_eq!(write(store, removal), StoreAnswer::Written);
    }
    assert_eq!(load(store), Loaded::default());
}

fn the_end_is_read_back_in_bounds(store: &mut impl Store) {
    let many = vec!["x"; READ_BACK + 1];
    assert_eq!(write(store, batch(0, 0, &many, &many)), StoreAnswer::Written);
    let end = read_back(store, 0, 0);
    assert_eq!((end.entries.len(), end.records.len()), (READ_BACK, READ_BACK));
    assert_eq!(end.last_record, RecordSeq(READ_BACK as u64 + 1));
    assert_eq!(read_back(store, READ_BACK as u64, READ_BACK as u64).records.len(), 1);
}

fn each_command_is_answered_once(store: &mut impl Store) {
    assert_eq!(write(store, batch(0, 0, &["a", "b"], &[])), StoreAnswer::Written);
    for n in [1, 2] {
        store.submit(CommandId(n), StoreCommand::ReadBody(EntryId(n)));
    }
    let mut answers = [next_answer(store), next_answer(store)];
    answers.sort_by_key(|(id, _)| *id);
    assert_eq!(answers, [(CommandId(1), body("a")), (CommandId(2), body("b"))]);
}
