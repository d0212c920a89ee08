//! Tests of the durable state.

use super::{EntryState, KnownKey, Ledger, LoadError};
use crate::config::QueueLimits;
use crate::encoding::{Bytes, DecodeError};
use crate::head::{EntryHead, MemoryItem};
use crate::id::{DedupeKey, EntryId, PieceId, RecordSeq};
use crate::ledger::Piece;
use crate::record::{Record, ReturnReason};
use crate::store::Loaded;
use relayline_core::time::Time;

const NOW: Time = Time::ZERO;

fn key(n: u8) -> DedupeKey {
    DedupeKey([n; 16])
}

fn head(n: u8) -> EntryHead {
    let memory = Some(MemoryItem { key: "chat".into(), value: n.to_string().into() });
    EntryHead { epoch: 1, session: "a".into(), size: 10, key: Some(key(n)), memory }
}

/// Returns a state with three entries, and their heads.
fn ledger() -> (Ledger, Vec<(EntryId, Bytes)>) {
    let mut ledger = Ledger::new(&QueueLimits::default(), "");
    let mut heads = Vec::new();
    for n in 1..=3 {
        heads.push((EntryId(u64::from(n)), head(n).encode()));
        assert!(ledger.add(EntryId(u64::from(n)), head(n)));
    }
    (ledger, heads)
}

/// Records that change everything.
fn records() -> Vec<Record> {
    let [one, two, three] = [1, 2, 3].map(EntryId);
    vec![
        Record::Epoch { epoch: 4, leader: "x".into() },
        Record::HandOut { entry: one, attempt: 1 },
        Record::HandOut { entry: two, attempt: 1 },
        Record::HandOut { entry: three, attempt: 1 },
        Record::Returned { entry: three, reason: ReturnReason::Unseen },
        Record::Cautious { session: "a".into() },
        Record::Returned { entry: two, reason: ReturnReason::Crash },
        Record::Charged { entry: one, error: "no".into() },
        Record::HandOut { entry: one, attempt: 2 },
        Record::Settled { entry: one, key: Some(key(1)), memory: None, relaxes: None },
        Record::HandOut { entry: two, attempt: 2 },
        Record::Dead { entry: two, error: "never".into() },
        Record::Leased { entry: three, attempt: 1, worker: "w".into() },
        Record::Memory { key: "sent".into(), value: Some("x".into()), after: three },
    ]
}

fn loaded(heads: Vec<(EntryId, Bytes)>, records: &[(RecordSeq, Record)], last: u64) -> Loaded {
    Loaded {
        entries: heads,
        last_entry: EntryId(3),
        records: records.iter().map(|(seq, record)| (*seq, record.encode())).collect(),
        last_record: RecordSeq(last),
        pieces: Vec::new(),
    }
}

fn numbered(records: Vec<Record>, after: u64) -> Vec<(RecordSeq, Record)> {
    (after + 1..).map(RecordSeq).zip(records).collect()
}

#[test]
fn the_journal_gives_the_same_state_again() {
    let (mut ours, heads) = ledger();
    records().iter().for_each(|record| ours.apply(NOW, record));
    let state = |id: u64| ours.entry(EntryId(id)).map(|entry| (entry.attempts, entry.charges, entry.state));
    assert_eq!(state(1), None);
    assert_eq!(state(2), Some((2, 1, EntryState::Dead)));
    assert_eq!(state(3), Some((1, 0, EntryState::Out)));
    assert_eq!(ours.entry(EntryId(3)).and_then(|entry| entry.worker.as_deref()), Some("w"));
    assert_eq!((ours.len(), ours.dead_letters(), ours.oldest_dead()), (2, 1, Some(EntryId(2))));
    assert_eq!(ours.bytes(), 2 * (10 + 1 + 5));
    let records = numbered(records(), 0);
    let last = records.len() as u64;
    let read =
        Ledger::replay(&QueueLimits::default(), "", NOW, &loaded(heads.clone(), &records, last)).unwrap();
    assert_eq!(read.ledger, ours);
    assert_eq!(read.unremoved, [EntryId(1)]);
    // The same without the settled entry, which the store has removed.
    let loaded = loaded(heads[1..].to_vec(), &records, last);
    let read = Ledger::replay(&QueueLimits::default(), "", NOW, &loaded).unwrap();
    assert!(read.ledger.entries().eq(ours.entries()) && read.unremoved.is_empty());
    assert_eq!((read.ledger.keys, read.ledger.settled), (ours.keys, ours.settled));
}

#[test]
fn a_snapshot_gives_the_same_state_again() {
    let piece = |number| PieceId { epoch: 4, number };
    for cut in 0..=records().len() {
        let (mut ours, heads) = ledger();
        records()[..cut].iter().for_each(|record| ours.apply(NOW, record));
        let mut pieces: Vec<(PieceId, Bytes)> = Vec::new();
        for (number, part) in (1..).zip(ours.state_pieces()) {
            pieces.push((piece(number), part.encode()));
        }
        let state: Vec<PieceId> = pieces.iter().map(|(id, _)| *id).collect();
        let mut keys = Vec::new();
        for (number, block) in (100..).zip(ours.key_blocks()) {
            pieces.push((piece(number), Piece::of_keys(block.keys.iter()).encode()));
            keys.push((piece(number), block.age(NOW).as_secs()));
        }
        pieces.push((piece(999), b"stray".as_slice().into()));
        let upto = RecordSeq(cut as u64);
        let mut later = records()[cut..].to_vec();
        later.push(Record::Snapshot { upto, epoch: ours.epoch, state, keys });
        later.iter().for_each(|record| ours.apply(NOW, record));
        let records = numbered(later, cut as u64);
        let last = cut + records.len();
        let loaded = Loaded { pieces, ..loaded(heads, &records, last as u64) };
        let read = Ledger::replay(&QueueLimits::default(), "", NOW, &loaded).unwrap();
        assert!(read.ledger.entries().eq(ours.entries()), "{cut}: {:?} and {ours:?}", read.ledger);
        assert!(
            read.ledger.memory().eq(ours.memory())
                && read.ledger.cautious_sessions().eq(ours.cautious_sessions())
        );
        assert_eq!((read.ledger.epoch, read.ledger.last_record), (ours.epoch, ours.last_record));
        assert_eq!(
            (read.ledger.bytes, &read.ledger.changed, &read.ledger.dead, &read.ledger.keys),
            (ours.bytes, &ours.changed, &ours.dead, &ours.keys)
        );
        assert_eq!(read.ledger.known_key(key(1)), Some(KnownKey::Settled));
        assert_eq!(read.ledger.known_key(key(2)), Some(KnownKey::Entry(EntryId(2))));
        assert_eq!((read.upto, read.stray_pieces), (upto, vec![piece(999)]));
        assert_eq!(read.unremoved, [EntryId(1)], "{cut}");
    }
}

#[test]
fn a_settled_entry_gives_its_memory_only_if_it_is_the_latest() {
    let (mut ledger, _) = ledger();
    let memory = |ledger: &Ledger, id: u64| match ledger.settlement(EntryId(id)) {
        Some(Record::Settled { memory, .. }) => memory.map(|item| item.value.to_string()),
        other => panic!("{other:?}"),
    };
    assert_eq!((memory(&ledger, 1), memory(&ledger, 3)), (None, Some("3".to_owned())));
    let settled = ledger.settlement(EntryId(3)).unwrap();
    ledger.apply(NOW, &settled);
    let item = MemoryItem { key: "chat".into(), value: "1".into() };
    ledger.apply(NOW, &Record::Settled { entry: EntryId(1), key: None, memory: Some(item), relaxes: None });
    assert_eq!(ledger.memory().collect::<Vec<_>>(), [("chat", "3")]);
}

#[test]
fn missing_parts_are_named() {
    let (_, heads) = ledger();
    let error = |records: &[(u64, Record)], last: u64| {
        let records: Vec<_> = records.iter().map(|(seq, record)| (RecordSeq(*seq), record.clone())).collect();
        Ledger::read(&QueueLimits::default(), &loaded(heads.clone(), &records, last)).unwrap_err()
    };
    let epoch = Record::Epoch { epoch: 1, leader: "x".into() };
    for (records, last, part) in [
        (vec![(2, epoch.clone())], 2, "record 1 of the journal"),
        (vec![(1, epoch.clone()), (3, epoch.clone())], 3, "record 2 of the journal"),
        (vec![(1, epoch)], 2, "record 2 of the journal"),
        (
            vec![(
                1,
                Record::Snapshot {
                    upto: RecordSeq(0),
                    epoch: 1,
                    state: vec![PieceId { epoch: 1, number: 7 }],
                    keys: Vec::new(),
                },
            )],
            1,
            "piece 1-7 of the snapshot",
        ),
    ] {
        assert_eq!(error(&records, last), LoadError::Missing(part.to_owned()));
    }
}

/// These bytes are in people's files: a change of the encoding must read them still.
#[test]
fn pieces_of_version_1_are_read() {
    let state = concat!(
        r#"[1,{"state":{"entries":[[1,2,1,"waiting","no"],[2,1,0,"out",null],[3,5,5,"dead","x"]],"#,
        r#""unremoved":[7],"cautious":["a"],"memory":[["k","v",3]]}}]"#
    );
    let (_, mut heads) = ledger();
    heads.push((EntryId(7), head(7).encode()));
    let piece = |number| PieceId { epoch: 1, number };
    let keys = r#"[1,{"keys":"CQkJCQkJCQkJCQkJCQkJCQ=="}]"#;
    let snapshot =
        Record::Snapshot { upto: RecordSeq(0), epoch: 6, state: vec![piece(1)], keys: vec![(piece(2), 60)] };
    let pieces = vec![(piece(1), state.as_bytes().into()), (piece(2), keys.as_bytes().into())];
    let with = |pieces| Loaded { pieces, ..loaded(heads.clone(), &[(RecordSeq(1), snapshot.clone())], 1) };
    let ledger = Ledger::read(&QueueLimits::default(), &with(pieces)).unwrap();
    let entry = |id: u64| ledger.entry(EntryId(id)).map(|entry| (entry.attempts, entry.charges, entry.state));
    assert_eq!(entry(1), Some((2, 1, EntryState::Waiting)));
    assert_eq!(entry(2), Some((1, 0, EntryState::Out)));
    assert_eq!(entry(3), Some((5, 5, EntryState::Dead)));
    assert_eq!((entry(7), ledger.epoch(), ledger.settled_keys()), (None, 6, 1));
    assert_eq!(ledger.known_key(key(9)), Some(KnownKey::Settled));
    for (bytes, expected) in [
        (r#"[1,{"leases":{}}]"#, "has the unknown kind \"leases\""),
        (r#"[3,{}]"#, "has version 3"),
        (r#"[1,{"keys":"x"}]"#, "is damaged: it is of another kind"),
        (r#"[1,{"state":{"entries":[[1]]}}]"#, "is damaged"),
    ] {
        let pieces = vec![(piece(1), bytes.as_bytes().into()), (piece(2), keys.as_bytes().into())];
        let error = Ledger::read(&QueueLimits::default(), &with(pieces)).unwrap_err();
        assert!(matches!(error, LoadError::Decode(DecodeError::Newer { .. } | DecodeError::Damaged { .. })));
        assert!(error.to_string().starts_with(&format!("piece 1-1 of the snapshot {expected}")), "{error}");
    }
}
