//! The right to lead: one process has it, gives it up, or loses it with its network.

use super::proxy::Proxy;
use super::servers::{Server, program};
use super::{acquire, eventually, new_id, open, url};
use relayline_queue::id::EntryId;
use relayline_queue::jetstream::{JetStreamError, JetStreamQueue};
use relayline_queue::output::{OperatorRequest, RequestRefused};
use relayline_queue::store::contract::{batch, load, read_back, write};
use relayline_queue::store::{Leadership, Store, StoreAnswer};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

#[test]
fn a_second_gateway_is_refused_or_waits() {
    let Some(program) = program() else { return };
    let server = Server::start(&program, "");
    let url = url(&format!("nats://{}/relay", server.address()));
    let id = new_id();
    let first = open(&url, &id);
    acquire(&first, false).unwrap();
    let first = first.into_store();
    assert!(matches!(first.leadership(), Leadership::For(_)));
    let second = open(&url, &id);
    assert_eq!(second.owner().unwrap().as_deref(), Some("test"));
    let refused = acquire(&second, false).unwrap_err();
    assert!(matches!(&refused, JetStreamError::InUse { owner, .. } if owner == "test"), "{refused}");
    // A leader that hands over wakes the one that waits.
    let began = Instant::now();
    let standby = std::thread::spawn(move || acquire(&second, true).map(|()| second));
    std::thread::sleep(Duration::from_millis(500));
    assert!(!standby.is_finished());
    drop(first);
    assert!(standby.join().unwrap().is_ok());
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

/// The leader stops before another one can begin.
#[test]
fn a_leader_without_its_servers_stops_first() {
    let Some(program) = program() else { return };
    let server = Server::start(&program, "");
    let proxy = Proxy::start(server.port);
    let id = new_id();
    let first = open(&url(&format!("nats://127.0.0.1:{}/relay", proxy.port)), &id);
    acquire(&first, false).unwrap();
    let mut first = first.into_store();
    load(&mut first);
    assert_eq!(write(&mut first, batch(0, 0, &[], &["epoch 1"])), StoreAnswer::Written);
    let second = open(&url(&format!("nats://{}/relay", server.address())), &id);
    let standby = std::thread::spawn(move || acquire(&second, true).map(|()| (second, Instant::now())));
    proxy.cut();
    let began = Instant::now();
    eventually("the end of the lease", || (first.leadership() == Leadership::Uncertain).then_some(()));
    let stopped = Instant::now();
    let (second, acquired) = standby.join().unwrap().unwrap();
    assert!(stopped - began <= Duration::from_secs(8), "{:?}", stopped - began);
    assert!(acquired - stopped >= Duration::from_secs(1), "{:?}", acquired - stopped);
    let mut second = second.into_store();
    assert_eq!(load(&mut second).records.len(), 1);
    assert_eq!(write(&mut second, batch(0, 1, &[], &["epoch 2"])), StoreAnswer::Written);
    proxy.restore();
    eventually("the loss", || (first.leadership() == Leadership::Lost).then_some(()));
    assert!(matches!(second.leadership(), Leadership::For(_)));
    assert_eq!(write(&mut second, batch(0, 2, &["a"], &["r"])), StoreAnswer::Written);
}

/// An earlier leader that has read the end of the streams does not write after it, as its entries have no barrier before
/// them.
#[test]
fn an_earlier_leader_does_not_adopt_a_barrier() {
    let Some(program) = program() else { return };
    let server = Server::start(&program, "");
    let url = url(&format!("nats://{}/relay", server.address()));
    let id = new_id();
    let [mut first, mut second] = [open(&url, &id), open(&url, &id)].map(JetStreamQueue::into_store);
    for (base, store) in (0..).zip([&mut first, &mut second]) {
        assert_eq!(load(store).records.len() as u64, base);
        assert_eq!(write(store, batch(0, base, &[], &["epoch"])), StoreAnswer::Written);
    }
    assert_eq!(read_back(&mut first, 0, 1).records.len(), 1);
    assert_eq!(write(&mut first, batch(0, 2, &["late"], &[])), StoreAnswer::Conflict);
    assert_eq!(write(&mut second, batch(0, 2, &["a"], &[])), StoreAnswer::Written);
}

/// Without another leader the lease is had again.
#[test]
fn a_leader_whose_servers_come_back_leads_on() {
    let Some(program) = program() else { return };
    let mut server = Server::start(&program, "");
    let id = new_id();
    let first = open(&url(&format!("nats://{}/relay", server.address())), &id);
    acquire(&first, false).unwrap();
    let mut first = first.into_store();
    load(&mut first);
    assert_eq!(write(&mut first, batch(0, 0, &[], &["epoch 1"])), StoreAnswer::Written);
    server.kill();
    eventually("the end of the lease", || (first.leadership() == Leadership::Uncertain).then_some(()));
    server.resume();
    eventually("the lease", || matches!(first.leadership(), Leadership::For(_)).then_some(()));
    // Otherwise the answer may come before the look.
    server.kill();
    first.check_leadership();
    assert_eq!(first.leadership(), Leadership::Uncertain);
    server.resume();
    eventually("the answer", || matches!(first.leadership(), Leadership::For(_)).then_some(()));
    assert_eq!(write(&mut first, batch(0, 1, &["a"], &["r"])), StoreAnswer::Written);
}

#[test]
fn requests_reach_the_leader_and_are_answered() {
    let Some(program) = program() else { return };
    let server = Server::start(&program, "");
    let url = url(&format!("nats://{}/relay", server.address()));
    let id = new_id();
    let operator = open(&url, &id);
    assert!(matches!(operator.request(OperatorRequest::Drop(EntryId(1))), Err(JetStreamError::NoLeader)));
    let leader = open(&url, &id);
    acquire(&leader, false).unwrap();
    let mut leader = leader.into_store();
    let sender = std::thread::spawn(move || {
        // The leader subscribes after it has acquired the right to lead.
        eventually("an answer", || operator.request(OperatorRequest::Retry(EntryId(7))).ok())
    });
    let (request, wanted) = eventually("the request", || {
        let _ = leader.poll_answer(&mut Context::from_waker(Waker::noop()));
        leader.take_request()
    });
    assert_eq!(wanted, OperatorRequest::Retry(EntryId(7)));
    leader.finish_request(request, Err(RequestRefused::Unknown));
    assert_eq!(sender.join().unwrap(), Err(RequestRefused::Unknown));
}
