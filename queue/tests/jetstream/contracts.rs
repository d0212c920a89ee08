//! The contract of stores, on one server and on three, with messages of any size.

use super::servers::{Cluster, Server, program};
use super::{new_id, open, store, url};
use relayline_queue::config::QueueLimits;
use relayline_queue::id::{EntryId, PieceId, RecordSeq};
use relayline_queue::store::contract::{self, answer, batch, load, write};
use relayline_queue::store::{Batch, NewEntry, StoreAnswer, StoreCommand};

#[test]
fn one_server_fulfils_the_contract() {
    let Some(program) = program() else { return };
    let server = Server::start(&program, "");
    let url = url(&format!("nats://{}/relay", server.address()));
    contract::check(&mut || store(&url, &new_id()));
    contract::check_two(&mut || {
        let id = new_id();
        (store(&url, &id), store(&url, &id))
    });
}

#[test]
fn three_servers_fulfil_the_contract() {
    let Some(program) = program() else { return };
    let cluster = Cluster::start(&program, "");
    let url = url(&format!("nats://{}/relay?replicas=3", cluster.addresses()));
    contract::check(&mut || store(&url, &new_id()));
    // Two connections, to two servers, so that messages take different ways.
    let [a, b] =
        [0, 1].map(|n| super::url(&format!("nats://{}/relay?replicas=3", cluster.servers[n].address())));
    contract::check_two(&mut || {
        let id = new_id();
        (store(&a, &id), store(&b, &id))
    });
}

/// Entries, records and pieces that do not fit into a message are stored in parts, and the parts are removed with them.
#[test]
fn large_things_are_stored_in_parts() {
    let Some(program) = program() else { return };
    let server = Server::start(&program, "max_payload: 4096");
    let url = url(&format!("nats://{}/relay", server.address()));
    let id = new_id();
    let mut first = store(&url, &id);
    load(&mut first);
    let text = |size: usize, c: char| c.to_string().repeat(size).into_bytes();
    let entry = |head: Vec<u8>, body: Vec<u8>| NewEntry { head: head.into(), body: body.into() };
    let piece = PieceId { epoch: 1, number: 1 };
    let entries = vec![
        entry(text(10, 'h'), text(50_000, 'b')),
        entry(text(9000, 'h'), text(3, 'b')),
        entry(b" a\r\nb ".to_vec(), Vec::new()),
    ];
    let mut large = Batch { entries: entries.clone(), ..Batch::default() };
    large.records = vec![text(20_000, 'r').into(), text(1, 'r').into()];
    large.pieces = vec![(piece, text(12_345, 'p').into())];
    assert_eq!(write(&mut first, large.clone()), StoreAnswer::Written);
    let check = |store: &mut _| {
        let loaded = load(store);
        let heads: Vec<_> = loaded.entries.into_iter().map(|(_, head)| head).collect();
        assert_eq!(heads, entries.iter().map(|entry| entry.head.clone()).collect::<Vec<_>>());
        assert_eq!(loaded.pieces, large.pieces);
        let records: Vec<_> = loaded.records.into_iter().map(|(_, record)| record).collect();
        assert_eq!(records, large.records);
        for (n, entry) in (1..).zip(&entries) {
            let body = answer(store, StoreCommand::ReadBody(EntryId(n)));
            assert_eq!(body, StoreAnswer::Body(Some(entry.body.clone())));
        }
    };
    check(&mut first);
    // A part that an earlier leader left is removed by the next one; what is in use is not.
    let mut second = store(&url, &id);
    load(&mut second);
    assert_eq!(write(&mut second, batch(3, 2, &[], &["epoch"])), StoreAnswer::Written);
    let removal = Batch {
        after_entry: EntryId(3),
        after_record: RecordSeq(3),
        removed_records: Some(RecordSeq(3)),
        ..Batch::default()
    };
    let reader = open(&url, &id);
    let parts = |reader: &relayline_queue::jetstream::JetStreamQueue| reader.streams().unwrap()[2].messages;
    let before = parts(&reader);
    assert!(before > 17, "{before}");
    assert_eq!(write(&mut second, removal.clone()), StoreAnswer::Written);
    let removal =
        Batch { removed_entries: (1..=3).map(EntryId).collect(), removed_pieces: vec![piece], ..removal };
    assert_eq!(write(&mut second, removal), StoreAnswer::Written);
    assert_eq!(parts(&reader), 0);
}

#[test]
fn a_reader_sees_what_the_leader_has_written() {
    let Some(program) = program() else { return };
    let server = Server::start(&program, "");
    let url = url(&format!("nats://{}/relay", server.address()));
    let id = new_id();
    let reader = open(&url, &id);
    assert_eq!(reader.owner().unwrap(), None);
    assert_eq!(reader.ledger(&QueueLimits::default()).unwrap().len(), 0);
    assert_eq!(reader.body(EntryId(1)).unwrap(), None);
    let streams = reader.streams().unwrap();
    let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
    let id = id.replace('.', "_2E");
    assert_eq!(names, ["in", "log", "kv"].map(|kind| format!("relay_{id}_{kind}")));
    assert!(streams.iter().all(|stream| (stream.replicas, stream.current_replicas) == (1, 1)));
}
