//! Futures that are dropped at any point: nothing is lost that the host did not receive, and nothing is sent twice.

use super::{SOON, Stage, Wire, frame};
use futures_util::StreamExt;
use relayline_connector::chats::discord;
use relayline_connector::{ClosedBy, Observation};
use relayline_core::output::{Notice, Phase};
use relayline_runtime::{Incoming, Relay};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};

over_each_wire! {
    a_dropped_op_is_requested_once_or_never,
    a_dropped_reply_has_sent_its_first_parts,
    a_dropped_streamed_reply_sends_its_end_once,
    a_7_an_inbox_dropped_at_every_poll_loses_nothing,
    l_12_idling_continues_after_its_future_is_dropped,
    l_14_a_disconnect_continues_after_its_future_is_dropped,
    a_watch_dropped_at_every_poll_returns_the_last_state,
}

/// A future that is polled at most this many times and then dropped.
struct Cut<F>(Option<Pin<Box<F>>>, usize);

fn cut<F: Future>(future: F, polls: usize) -> Cut<F> {
    Cut(Some(Box::pin(future)), polls)
}

impl<F: Future> Future for Cut<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        let Cut(future, left) = &mut *self;
        if *left > 0
            && let Some(future) = future
        {
            *left -= 1;
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
        }
        if *left > 0 {
            return Poll::Pending;
        }
        *future = None;
        Poll::Ready(None)
    }
}

/// Request of a host with a label of its own, which the connector can see.
type Ask = fn(Relay, String) -> Pin<Box<dyn Future<Output = ()>>>;

const ASKS: [Ask; 14] = [
    |relay, label| Box::pin(async move { drop(relay.send(label, "x").await) }),
    |relay, label| Box::pin(async move { drop(relay.edit(label, "9", "x").await) }),
    |relay, label| Box::pin(async move { drop(relay.delete(label, "9").await) }),
    |relay, label| Box::pin(async move { drop(relay.react(label, "9", "👍").await) }),
    |relay, label| Box::pin(async move { relay.typing(label).await }),
    |relay, label| Box::pin(async move { drop(relay.send_media(label, "https://files.example/a").await) }),
    |relay, label| Box::pin(async move { drop(relay.prompt(label, "?").option("y", "Yes").await) }),
    |relay, label| Box::pin(async move { drop(relay.thread_create(label, "plans").await) }),
    |relay, label| Box::pin(async move { drop(relay.thread_rename(label, "9", "plans").await) }),
    |relay, label| Box::pin(async move { drop(relay.draft(label, 1, "x").platform("telegram").await) }),
    |relay, label| Box::pin(async move { drop(relay.follow_up(label, "k", "x").await) }),
    |relay, label| Box::pin(async move { drop(relay.chat_info(label).await) }),
    |relay, label| Box::pin(async move { drop(relay.interrupt(label).await) }),
    |relay, label| Box::pin(async move { drop(relay.request(send_to(label)).await) }),
];

fn send_to(chat_id: String) -> relayline_core::op::SendMessage {
    relayline_core::op::SendMessage::new(chat_id, "x")
}

/// Every op, dropped after each number of polls that leaves it unfinished. Unpolled, it requests nothing. Polled, it is
/// requested exactly once, even if nobody waits for the answer.
fn a_dropped_op_is_requested_once_or_never(wire: Wire) {
    let stage = Stage::new(wire, &[]);
    let mut expected = BTreeMap::new();
    for (at, ask) in ASKS.into_iter().enumerate() {
        for polls in 0.. {
            let label = format!("{at}:{polls}");
            if polls > 0 {
                expected.insert(label.clone(), 1);
            }
            if stage.kit.block_on(cut(ask(stage.relay.clone(), label), polls)).is_some() {
                break;
            }
        }
    }
    stage.kit.block_on(stage.relay.send("the end", "x")).unwrap();
    let mut seen = BTreeMap::new();
    loop {
        let frame = stage.sees(|frame| frame["type"] == "outbound" || frame["type"] == "interrupt");
        let action = &frame["action"];
        let label = [&action["chat_id"], &action["session_key"], &frame["session_key"]];
        let label = label.iter().find_map(|label| label.as_str()).expect("it is labelled");
        if label == "the end" {
            break;
        }
        *seen.entry(label.to_owned()).or_insert(0) += 1;
    }
    assert_eq!(seen, expected);
}

/// A reply in parts, dropped after each number of polls: its first parts were sent, each once.
fn a_dropped_reply_has_sent_its_first_parts(wire: Wire) {
    let mut stage = Stage::new(wire, &[]);
    stage.deliver(&discord::dm(), "tell me", false);
    let delivery = stage.message();
    let text = "one two three\n".repeat(400);
    let parts = stage.relay.split(discord::dm().chat_id, &text);
    assert_eq!(parts.len(), 3);
    for polls in 0.. {
        let ended = stage.kit.block_on(cut(delivery.reply(&text), polls));
        stage.kit.block_on(stage.relay.send("1", "behind it")).unwrap();
        let mut seen = Vec::new();
        loop {
            let frame = stage.sees(|frame| frame["type"] == "outbound");
            match frame["action"]["content"].as_str().unwrap() {
                "behind it" => break,
                content => seen.push(content.to_owned()),
            }
        }
        assert_eq!(seen, parts[..seen.len()], "after {polls} polls");
        assert!((polls == 0) == seen.is_empty(), "after {polls} polls");
        if ended.is_some() {
            assert_eq!(seen.len(), parts.len());
            break;
        }
    }
    delivery.ack();
}

/// The end of a streamed reply, dropped after each number of polls: it is sent exactly once.
fn a_dropped_streamed_reply_sends_its_end_once(wire: Wire) {
    let mut stage = Stage::new(wire, &[]);
    for polls in 0.. {
        stage.deliver(&discord::dm(), "tell me", false);
        let delivery = stage.message();
        let mut stream = delivery.stream();
        delivery.ack();
        let text = format!("all of it, after {polls} polls");
        let ended = stage.kit.block_on(cut(stream.finish(&text), polls));
        drop(stream);
        stage.kit.block_on(stage.relay.send("1", "behind it")).unwrap();
        for expected in [text.as_str(), "behind it"] {
            let frame = stage.sees(|frame| frame["type"] == "outbound");
            assert_eq!(frame["action"]["content"], expected);
        }
        if ended.is_some() {
            break;
        }
    }
}

/// The next delivery is dropped after each poll while deliveries arrive: none is lost, and none is repeated.
fn a_7_an_inbox_dropped_at_every_poll_loses_nothing(wire: Wire) {
    const COUNT: usize = 60;
    let mut stage = Stage::new(wire, &[("host_queue", "2")]);
    let (mut taken, mut given_up) = (Vec::new(), 0);
    for n in 0..COUNT {
        // Every third is buffered, so it is delivered once the one before it was acknowledged.
        stage.deliver(&discord::dm(), &n.to_string(), n % 3 == 0);
        let Stage { kit, inbox, .. } = &mut stage;
        kit.block_on(async {
            loop {
                match cut(inbox.next(), 1).await {
                    Some(Some(Incoming::Message(delivery))) => {
                        taken.push(delivery.message().text.to_string());
                        delivery.ack();
                        break;
                    }
                    Some(Some(_)) => {}
                    Some(None) => panic!("it is not over"),
                    None => given_up += 1,
                }
                std::thread::yield_now();
            }
        });
    }
    assert_eq!(taken, (0..COUNT).map(|n| n.to_string()).collect::<Vec<_>>());
    assert!(given_up > 0, "something was given up on");
    let stats = stage.relay.stats();
    assert_eq!((stats.delivered, stats.refused, stats.duplicates), (COUNT as u64, 0, 0));
}

/// L-12, L-13: once requested, idling continues although nobody waits for it.
fn l_12_idling_continues_after_its_future_is_dropped(wire: Wire) {
    let mut stage = Stage::new(wire, &[]);
    assert!(stage.kit.block_on(cut(stage.relay.go_idle(), 0)).is_none());
    // The answer may be ready at the first poll, which makes no difference.
    stage.kit.block_on(cut(stage.relay.go_idle(), 1));
    // The answer arrives after the confirmation.
    stage.kit.block_on(stage.relay.send("1", "behind it")).unwrap();
    assert_eq!(stage.relay.phase(), Phase::Idle);
    let frame = stage.sees(|frame| frame["type"] != "hello");
    assert_eq!(frame["type"], "going_idle");
    stage.sees_outbound("behind it");
    // A resume that is not polled resumes nothing. One that is dropped later does.
    assert!(stage.kit.block_on(cut(stage.relay.resume(), 0)).is_none());
    assert_eq!(stage.relay.phase(), Phase::Idle);
    stage.kit.block_on(cut(stage.relay.resume(), 1));
    stage.notice(|notice| matches!(notice, Notice::Resumed));
    stage.notice(|notice| matches!(notice, Notice::Platform { .. }));
    // The same holds for going dormant.
    stage.kit.block_on(cut(stage.relay.go_dormant(), 1));
    stage.notice(|notice| matches!(notice, Notice::Dormant { .. }));
}

/// L-14: a disconnect that is dropped while pending continues. One that was never polled does nothing.
fn l_14_a_disconnect_continues_after_its_future_is_dropped(wire: Wire) {
    let stage = Stage::new(wire, &[]);
    assert!(stage.kit.block_on(cut(stage.relay.disconnect(), 0)).is_none());
    stage.kit.block_on(stage.relay.send("1", "still here")).unwrap();
    let Stage { kit, relay, inbox, connector, .. } = stage;
    kit.block_on(cut(relay.disconnect(), 1));
    let rest = kit.block_on(inbox.collect::<Vec<_>>());
    assert!(matches!(rest.last(), Some(Incoming::Notice(Notice::Stopped))), "{rest:?}");
    let mut frames = 0;
    let goodbye = |saw: &Observation| {
        frames += usize::from(frame(saw).is_some_and(|frame| frame["type"] == "going_idle"));
        matches!(saw, Observation::Closed { by: ClosedBy::Gateway, code: Some(1000), .. })
    };
    connector.wait_for(goodbye, SOON).unwrap();
    assert_eq!(frames, 1);
}

/// A state that was not returned is returned by the next poll, however many polls were dropped.
fn a_watch_dropped_at_every_poll_returns_the_last_state(wire: Wire) {
    let Stage { kit, relay, inbox, connector: _connector, .. } = Stage::new(wire, &[]);
    let mut watch = relay.watch();
    kit.block_on(cut(relay.disconnect(), 1));
    let last = kit.block_on(async {
        let mut last = None;
        loop {
            match cut(watch.next(), 1).await {
                Some(Some(state)) => last = Some(state.phase),
                Some(None) => return last,
                None => std::thread::yield_now(),
            }
        }
    });
    assert_eq!(last, Some(Phase::Stopped));
    drop(inbox);
}
