//! Delivery to the host: when its task is woken, and what happens at the end.

use super::deliveries::until;
use super::peer::{Peer, inbound_line, result_line};
use super::{Stage, Wire, frame};
use crate::Kit;
use futures_util::{FutureExt, StreamExt};
use relayline_connector::Act;
use relayline_connector::chats::discord;
use relayline_core::output::Notice;
use relayline_runtime::{Inbox, Incoming, Relay};
use serde_json::json;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

over_each_wire! {
    a_6_a_host_is_woken_only_for_items_that_it_waits_for,
    a_4_a_duplicate_is_acknowledged_after_the_poll,
    a_6_queued_items_are_delivered_or_counted_at_the_end,
    a_notice_comes_before_the_events_that_follow_it,
}

/// Returns a gauge of the metrics page.
pub(super) fn held(relay: &Relay, name: &str) -> usize {
    let page = relay.metrics();
    let value = page.lines().find_map(|line| line.strip_prefix(&format!("relayline_held_{name} ")));
    value.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
}

/// Counts the wake-ups of a task.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn a_6_a_host_is_woken_only_for_items_that_it_waits_for(wire: Wire) {
    let mut stage = Stage::new(wire, &[]);
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let mut cx = Context::from_waker(&waker);
    let wakes = || count.0.load(Ordering::SeqCst);
    // Its answer arrives after all notices.
    stage.kit.block_on(stage.relay.send("1", "x")).unwrap();
    while Pin::new(&mut stage.inbox).poll_next_unpin(&mut cx).is_ready() {}
    // A host without room for events is not woken for them.
    assert!(stage.inbox.poll_urgent(&mut cx).is_pending());
    let before = wakes();
    for n in 0..5 {
        stage.deliver(&discord::dm(), &n.to_string(), false);
    }
    stage.kit.block_on(stage.relay.send("1", "behind them")).unwrap();
    assert_eq!((held(&stage.relay, "host_queue"), wakes()), (5, before));
    assert_eq!(stage.relay.stats().delivered, 0, "A-4: nothing was taken");
    stage.connector.control(Act::Interrupt { session_key: "k".into(), chat_id: "1".into() }).unwrap();
    until("it is woken", &stage.relay, |_| wakes() == before + 1);
    assert!(matches!(stage.inbox.poll_urgent(&mut cx), Poll::Ready(Some(Incoming::Interrupt { .. }))));
    // A host with room receives them, and is woken once for later events, however many.
    for n in 0..5 {
        let polled = stage.inbox.poll_next_unpin(&mut cx);
        let Poll::Ready(Some(Incoming::Message(delivery))) = polled else { panic!("{polled:?}") };
        assert_eq!(delivery.message().text, n.to_string());
        delivery.ack();
    }
    assert!(stage.inbox.poll_next_unpin(&mut cx).is_pending());
    let before = wakes();
    for n in 5..8 {
        stage.deliver(&discord::dm(), &n.to_string(), false);
    }
    stage.kit.block_on(stage.relay.send("1", "behind these")).unwrap();
    assert_eq!((held(&stage.relay, "host_queue"), wakes()), (3, before + 1));
}

/// A live delivery is accepted when the host polls it. Until then its duplicate waits. Afterwards the sleeping loop
/// wakes up and writes the acknowledgement.
fn a_4_a_duplicate_is_acknowledged_after_the_poll(wire: Wire) {
    let mut stage = Stage::new(wire, &[]);
    let event =
        json!({"text": "twice", "message_id": "m1", "source": {"platform": "discord", "chat_id": "1"}});
    let live = json!({"type": "inbound", "event": event});
    let duplicate = json!({"type": "inbound", "event": event, "bufferId": "b1"});
    stage.connector.control(Act::Raw { text: format!("{live}\n{duplicate}\n") }).unwrap();
    until("both wait", &stage.relay, |relay| held(relay, "waiting_events") == 2);
    let delivery = stage.message();
    let is_ack = |saw: &_| frame(saw).is_some_and(|frame| frame["type"] == "inbound_ack");
    // This is long before a ping of either side wakes the loop.
    let saw = stage.connector.wait_for(is_ack, Duration::from_secs(8)).unwrap();
    assert_eq!(frame(&saw).unwrap()["bufferId"], "b1");
    delivery.ack();
    assert_eq!(held(&stage.relay, "waiting_events"), 0);
}

fn a_6_queued_items_are_delivered_or_counted_at_the_end(wire: Wire) {
    let stage = Stage::new(wire, &[("host_queue", "1")]);
    let Stage { kit, relay, mut inbox, connector, mut ids } = stage;
    for n in 0..5 {
        let event = ids.event(&discord::dm(), &n.to_string());
        connector.control(Act::Inbound { event, buffered: Some(false) }).unwrap();
    }
    kit.block_on(relay.send("1", "behind them")).unwrap();
    kit.block_on(relay.disconnect());
    for n in 0..3 {
        let delivery = loop {
            if let Incoming::Message(delivery) = kit.block_on(inbox.next()).unwrap() {
                break delivery;
            }
        };
        assert_eq!(delivery.message().text, n.to_string());
        delivery.ack();
    }
    // The drive loop has ended, so only the inbox can count the rest.
    drop(inbox);
    assert_eq!((relay.stats().delivered, relay.stats().refused), (5, 2));
}

/// Waker that polls the inbox and keeps what it gets.
struct PollInbox(Mutex<(Inbox, Vec<Incoming>)>);

impl Wake for PollInbox {
    fn wake(self: Arc<Self>) {
        let (inbox, taken) = &mut *self.0.lock().unwrap();
        taken.extend(inbox.next().now_or_never().flatten());
    }
}

/// A result, an error and an event come in one batch. The host that is woken by the result does not get the event before
/// the notice of the error.
fn a_notice_comes_before_the_events_that_follow_it(wire: Wire) {
    let peer = Peer::listen(wire);
    let kit = Kit::new();
    let (relay, mut inbox) = peer.connect(&kit, &[]);
    let mut wire = peer.accept();
    while !matches!(kit.block_on(inbox.next()), Some(Incoming::Notice(Notice::Platform { .. }))) {}
    let host = Arc::new(PollInbox(Mutex::new((inbox, Vec::new()))));
    let mut request = relay.send("1", "x");
    let waker = Waker::from(host.clone());
    assert!(request.poll_unpin(&mut Context::from_waker(&waker)).is_pending());
    let (id, _) = wire.request().unwrap();
    let error = json!({"type": "error", "message": "first"});
    wire.say_lines(format!("{}{error}\n{}", result_line(&id), inbound_line("second")));
    kit.block_on(request).unwrap();
    let mut taken = Vec::new();
    while taken.len() < 2 {
        let (inbox, early) = &mut *host.0.lock().unwrap();
        taken.append(early);
        taken.extend(inbox.next().now_or_never().flatten());
        std::thread::yield_now();
    }
    let [Incoming::Notice(Notice::ConnectorError { .. }), Incoming::Message(_)] = &taken[..] else {
        panic!("{taken:?}");
    };
}
