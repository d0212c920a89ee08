//! Servers that are killed, confirmations that are lost, streams that are full.

use super::proxy::Proxy;
use super::servers::{Cluster, Server, program};
use super::{eventually, new_id, store, url};
use relayline_queue::id::{EntryId, RecordSeq};
use relayline_queue::store::contract::{answer, batch, load, read_back, write};
use relayline_queue::store::{Batch, FaultKind, ReadBack, Store, StoreAnswer, StoreCommand};

/// Reads back, as the dispatcher does, until the servers answer.
fn read_back_until_answered(store: &mut impl Store, after_entry: u64, after_record: u64) -> ReadBack {
    let (after_entry, after_record) = (EntryId(after_entry), RecordSeq(after_record));
    eventually("an answer", || match answer(store, StoreCommand::ReadBack { after_entry, after_record }) {
        StoreAnswer::ReadBack(end) => Some(*end),
        _ => None,
    })
}

/// Writes records one by one for as long as `goes_on`, which gets the number of those that are confirmed. `base` is the number
/// of those that are stored.
fn write_on(store: &mut impl Store, base: &mut u64, mut goes_on: impl FnMut(u64) -> bool) {
    let mut confirmed = 0;
    while goes_on(confirmed) {
        let text = format!("record {}", *base + 1);
        match write(store, batch(0, *base, &[], &[&text])) {
            StoreAnswer::Written => {
                *base += 1;
                confirmed += 1;
            }
            _ => {
                let end = read_back_until_answered(store, 0, *base);
                assert!(end.last_record.0 >= *base, "a record is lost: {end:?}, {base}");
                *base = end.last_record.0;
            }
        }
    }
}

#[test]
fn a_killed_server_has_what_it_confirmed() {
    let Some(program) = program() else { return };
    let mut server = Server::start(&program, "");
    let url = url(&format!("nats://{}/relay", server.address()));
    let mut store = store(&url, &new_id());
    load(&mut store);
    let mut base = 0;
    for _ in 0..3 {
        write_on(&mut store, &mut base, |confirmed| confirmed < 30);
        server.kill();
        let down = write(&mut store, batch(0, base, &[], &["down"]));
        assert!(
            matches!(&down, StoreAnswer::Failed(fault) if fault.kind == FaultKind::Unavailable),
            "{down:?}"
        );
        server.resume();
    }
    write_on(&mut store, &mut base, |confirmed| confirmed < 1);
    let records = load(&mut store).records;
    assert_eq!(records.len() as u64, base);
    for (n, (seq, _)) in (1..).zip(&records) {
        assert_eq!(seq.0, n);
    }
}

#[test]
fn the_loss_of_one_of_three_servers_loses_nothing() {
    let Some(program) = program() else { return };
    let mut cluster = Cluster::start(&program, "");
    let url = url(&format!("nats://{}/relay?replicas=3", cluster.addresses()));
    let mut store = store(&url, &new_id());
    load(&mut store);
    let mut base = 0;
    for n in 0..3 {
        write_on(&mut store, &mut base, |confirmed| confirmed < 20);
        cluster.servers[n].kill();
        write_on(&mut store, &mut base, |confirmed| confirmed < 20);
        cluster.servers[n].resume();
    }
    // The servers may still elect leaders.
    let loaded = eventually("the content", || match answer(&mut store, StoreCommand::Load) {
        StoreAnswer::Loaded(loaded) => Some(loaded),
        _ => None,
    });
    assert_eq!((loaded.records.len() as u64, loaded.last_record.0), (base, base));
}

#[test]
fn lost_confirmations_are_read_back() {
    let Some(program) = program() else { return };
    let server = Server::start(&program, "");
    let proxy = Proxy::start(server.port);
    let url = url(&format!("nats://127.0.0.1:{}/relay", proxy.port));
    let mut store = store(&url, &new_id());
    load(&mut store);
    assert_eq!(write(&mut store, batch(0, 0, &["a"], &["epoch"])), StoreAnswer::Written);
    proxy.mute();
    let lost = write(&mut store, batch(1, 1, &["b", "c"], &["r"]));
    assert!(matches!(lost, StoreAnswer::Failed(_)), "{lost:?}");
    proxy.restore();
    // The record was to follow the confirmation of the entries, so it was not written.
    let end = read_back_until_answered(&mut store, 1, 1);
    let entries: Vec<u64> = end.entries.iter().map(|(id, _)| id.0).collect();
    assert_eq!((entries, end.records.len(), end.last_entry), (vec![2, 3], 0, EntryId(3)));
    assert_eq!(write(&mut store, batch(3, 1, &["d"], &["r"])), StoreAnswer::Written);
    assert_eq!(load(&mut store).entries.len(), 4);
}

/// The barrier's confirmation is lost: the leader reads back, and leads.
#[test]
fn a_lost_confirmation_of_the_barrier_is_found() {
    let Some(program) = program() else { return };
    let server = Server::start(&program, "");
    let proxy = Proxy::start(server.port);
    let url = url(&format!("nats://127.0.0.1:{}/relay", proxy.port));
    let mut store = store(&url, &new_id());
    load(&mut store);
    proxy.mute();
    let lost = write(&mut store, batch(0, 0, &[], &["epoch"]));
    assert!(matches!(lost, StoreAnswer::Failed(_)), "{lost:?}");
    proxy.restore();
    let end = read_back_until_answered(&mut store, 0, 0);
    assert_eq!((end.records.len(), end.last_entry), (1, EntryId(0)));
    assert_eq!(write(&mut store, batch(0, 1, &["a"], &["r"])), StoreAnswer::Written);
    assert_eq!(read_back(&mut store, 0, 1).entries.len(), 1);
}

#[test]
fn a_full_stream_stores_nothing_and_says_so() {
    let Some(program) = program() else { return };
    let server = Server::start(&program, "");
    let url = url(&format!("nats://{}/relay?max_bytes=20000", server.address()));
    let mut store = store(&url, &new_id());
    load(&mut store);
    assert_eq!(write(&mut store, batch(0, 0, &[], &["epoch"])), StoreAnswer::Written);
    let body = "x".repeat(4000);
    let full = (0..10).find_map(|n| match write(&mut store, batch(n, 1, &[&body], &[])) {
        StoreAnswer::Written => None,
        other => Some((n, other)),
    });
    let (stored, answer) = full.unwrap();
    assert!(
        matches!(&answer, StoreAnswer::Failed(fault) if fault.kind == FaultKind::Full && fault.text.contains("raise the limit")),
        "{answer:?}"
    );
    assert_eq!(read_back(&mut store, 0, 1).entries.len() as u64, stored);
    // There is room again.
    let removal = Batch { removed_entries: vec![EntryId(1)], ..batch(stored, 1, &[], &[]) };
    assert_eq!(write(&mut store, removal), StoreAnswer::Written);
    assert_eq!(write(&mut store, batch(stored, 1, &[&body], &[])), StoreAnswer::Written);
}
