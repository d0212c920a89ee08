//! The handle: each op with its options, and the watched state of the connection.

use super::peer::Peer;
use super::{SOON, Stage, Wire, config, frame};
use crate::Kit;
use futures_util::StreamExt;
use relayline_connector::Act;
use relayline_connector::chats::{discord, telegram};
use relayline_core::chats::Chat;
use relayline_core::command::{Command, Failure, FailureKind};
use relayline_core::op::{MediaKind, Op, PromptKind, SendMessage};
use relayline_core::output::{Notice, Phase};
use relayline_runtime::{
    ConnectionState, Delivery, Ended, Inbox, Incoming, PendingReply, Prompted, Relay, ReplyStream, Request,
    Watch,
};
use serde_json::{Value, json};
use std::time::Duration;

over_each_wire! {
    o_10_two_streamed_replies_to_one_message_do_not_mix,
    x_2_notices_of_a_dropped_inbox_are_counted,
    a_hosts_handles_are_send_and_sync,
    o_each_op_writes_its_fields,
    a_delivery_can_be_answered,
    a_streamed_reply_can_be_finished_after_a_definite_failure,
    a_watch_returns_the_newest_state_and_ends_with_the_last,
    l_10_a_watch_ends_with_revoked,
    l_14_a_watch_keeps_nothing_alive_and_sees_the_end,
    m_6_a_primed_chat_is_read_and_written,
    o_6_a_host_can_wait_for_room,
    l_16_a_host_without_room_gets_interrupts_and_notices,
    a_1_a_settlement_is_enough_without_the_content,
    i_1_too_many_options_are_refused_and_counted,
    i_6_a_prompt_may_have_a_hosts_own_id,
    x_4_x_5_a_host_gets_the_connectors_own_json,
    x_5_an_early_error_explains_the_failed_dial,
}

/// A-1, A-2: the settlement outlives the content. Dropping it refuses the delivery.
fn a_1_a_settlement_is_enough_without_the_content(wire: Wire) {
    let mut stage = Stage::new(wire, &[("backoff_first", "10ms")]);
    for text in ["first", "second"] {
        stage.deliver(&discord::dm(), text, true);
    }
    let (message, settlement) = stage.message().into_parts();
    assert_eq!((&*message.text, settlement.is_buffered()), ("first", true));
    drop(message);
    settlement.ack();
    let (_, settlement) = stage.message().into_parts();
    drop(settlement);
    let again = stage.message();
    assert_eq!(again.message().text, "second");
    again.ack();
    assert_eq!(stage.relay.stats().refused, 1);
}

fn i_1_too_many_options_are_refused_and_counted(wire: Wire) {
    let stage = Stage::new(wire, &[]);
    let mut prompt = stage.relay.prompt("77", "which?");
    for n in 0..101 {
        prompt = prompt.option(n.to_string(), "one of many");
    }
    let failure = stage.kit.block_on(prompt).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Definite);
    assert_eq!(failure.message, "the prompt has 101 options: 100 at most");
    assert_eq!(stage.relay.stats().not_accepted, 1);
}

fn i_6_a_prompt_may_have_a_hosts_own_id(wire: Wire) {
    let stage = Stage::new(wire, &[]);
    let ask = || stage.relay.prompt("77", "which?").option("a", "A").prompt_id("order-7");
    assert_eq!(stage.kit.block_on(ask()).unwrap().prompt_id, "order-7");
    let failure = stage.kit.block_on(ask()).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Definite);
    assert!(failure.message.starts_with("a prompt with the id \"order-7\" is open"), "{failure}");
}

fn x_4_x_5_a_host_gets_the_connectors_own_json(wire: Wire) {
    let connector = Stage::connector(wire);
    let mut stage = Stage::dial_with(wire, connector, &[], |config| {
        config.machine.raw_events = true;
        config.machine.unknown_frames = true;
        config.machine.passthrough = true;
    });
    stage.notice(|notice| matches!(notice, Notice::Platform { .. }));
    let write =
        |stage: &Stage, text: &str| stage.connector.control(Act::Raw { text: format!("{text}\n") }).unwrap();
    write(&stage, r#"{"type":"presence", "who":NaN}"#);
    let shown = r#"{"type":"presence","who":null}"#;
    stage.notice(|notice| {
        matches!(notice, Notice::UnknownFrame { kind, raw } if kind == "presence" && **raw == *shown)
    });
    write(&stage, r#"{"type":"inbound","event":{"text":"hi","new":[1, "\ud800"]}}"#);
    let delivery = stage.message();
    assert_eq!(delivery.raw(), Some(r#"{"text":"hi","new":[1,"\ufffd"]}"#));
    delivery.ack();
    write(&stage, r#"{"type":"passthrough_forward","forward":{"platform":"twilio","x":1}}"#);
    let Incoming::Forward(forward) = stage.next_but_notices() else { panic!("no forward") };
    assert_eq!(forward.raw(), Some(r#"{"platform":"twilio","x":1}"#));
    forward.ack();
}

fn x_5_an_early_error_explains_the_failed_dial(wire: Wire) {
    let connector = Stage::connector(wire);
    connector.control(Act::Mute { on: true }).unwrap();
    let mut stage = Stage::dial(wire, connector, &[]);
    stage.sees(|frame| frame["type"] == "hello");
    let text = "{\"type\":\"error\",\"error\":\"no\\u0007 bot\"}\n".to_owned();
    stage.connector.control(Act::Raw { text }).unwrap();
    stage.notice(|notice| matches!(notice, Notice::ConnectorError { text } if text == "no\\u{7} bot"));
    stage.connector.control(Act::Close { code: 1008, reason: "policy".into() }).unwrap();
    stage.notice(|notice| {
        matches!(notice, Notice::Disconnected { code: Some(1008), reason, .. }
            if reason == "policy; the connector said: no\\u{7} bot")
    });
}

/// A host may keep all of these in any task or thread.
fn a_hosts_handles_are_send_and_sync(wire: Wire) {
    fn check<T: Send + Sync>() {}
    fn awaited<T: Send>(_: &T) {}
    check::<(Relay, Inbox, Delivery, Delivery<relayline_core::passthrough::Forward>, Incoming)>();
    check::<(ReplyStream, PendingReply, Request<SendMessage>, Watch, ConnectionState)>();
    let mut stage = Stage::new(wire, &[]);
    stage.deliver(&telegram::topic(), "to be answered", false);
    let delivery = stage.message();
    let relay = &stage.relay;
    awaited(&delivery.reply("x"));
    awaited(&relay.go_idle());
    awaited(&relay.go_dormant());
    awaited(&relay.hold(Duration::ZERO));
    awaited(&relay.resume());
    awaited(&relay.disconnect());
    let mut stream = delivery.stream();
    awaited(&stream.finish("x"));
    delivery.ack();
}

/// O: every op is written with all its options, as its method documents.
fn o_each_op_writes_its_fields(wire: Wire) {
    let stage = Stage::new(wire, &[]);
    let (kit, relay) = (&stage.kit, &stage.relay);
    let wrote = |expected: Value| {
        let mut seen = stage.sees(|frame| frame["type"] == "outbound" || frame["type"] == "interrupt");
        let action = if seen["action"].is_null() { seen } else { seen["action"].take() };
        assert_eq!(action, expected);
    };
    let some_id = |id: Result<Option<String>, Failure>| id.unwrap().expect("the connector gives ids");

    let sent = some_id(kit.block_on(relay.send("1", "hi").reply_to("9").metadata("k", 5)));
    wrote(json!({"op": "send", "chat_id": "1", "content": "hi", "reply_to": "9", "metadata": {"k": 5}}));
    kit.block_on(relay.edit("1", &sent, "better").metadata("k", "v")).unwrap();
    wrote(
        json!({"op": "edit", "chat_id": "1", "message_id": sent, "content": "better", "metadata": {"k": "v"}}),
    );
    kit.block_on(relay.react("1", &sent, "👍")).unwrap();
    wrote(
        json!({"op": "react", "chat_id": "1", "message_id": sent, "emoji": "👍", "remove": false, "metadata": {}}),
    );
    kit.block_on(relay.react("1", &sent, "👍").remove()).unwrap();
    wrote(
        json!({"op": "react", "chat_id": "1", "message_id": sent, "emoji": "👍", "remove": true, "metadata": {}}),
    );
    kit.block_on(relay.delete("1", &sent)).unwrap();
    wrote(json!({"op": "delete", "chat_id": "1", "message_id": sent, "metadata": {}}));
    kit.block_on(relay.typing("1"));
    wrote(json!({"op": "typing", "chat_id": "1", "metadata": {}}));
    kit.block_on(relay.typing("1").status("thinking"));
    wrote(json!({"op": "typing", "chat_id": "1", "content": "thinking", "metadata": {}}));
    some_id(kit.block_on(relay.follow_up("key", "discord.interaction_token", "later")));
    wrote(
        json!({"op": "follow_up", "session_key": "key", "kind": "discord.interaction_token", "content": "later", "metadata": {}}),
    );
    let chat = telegram::topic();
    let details = kit.block_on(relay.chat_info(chat.chat_id).platform("telegram")).unwrap();
    assert_eq!((Some(&*details.name), &*details.chat_type), (chat.chat_name, chat.chat_type));
    wrote(json!({"op": "get_chat_info", "chat_id": chat.chat_id}));
    let media = relay.send_media("1", "https://files.example/cat.png").kind(MediaKind::Image);
    some_id(kit.block_on(media.caption("a cat").filename("cat.png").reply_to("9")));
    wrote(
        json!({"op": "send_media", "chat_id": "1", "media_kind": "image", "content": "a cat", "filename": "cat.png",
        "source_url": "https://files.example/cat.png", "reply_to": "9", "metadata": {}}),
    );
    let prompt = relay.prompt("1", "Deploy?").kind(PromptKind::Approval).option("y", "Yes").style("primary");
    let asked = prompt.option("n", "No").timeout(Duration::from_secs(60)).reply_to("9");
    let Prompted { prompt_id, message_id, .. } = kit.block_on(asked).unwrap();
    assert!(message_id.is_some());
    wrote(
        json!({"op": "prompt", "chat_id": "1", "prompt_kind": "approval", "prompt_id": prompt_id, "content": "Deploy?",
        "options": [{"id": "y", "label": "Yes", "style": "primary"}, {"id": "n", "label": "No"}],
        "timeout_s": 60, "reply_to": "9", "metadata": {}}),
    );
    let thread = some_id(kit.block_on(relay.thread_create("1", "plans").on_message("9")));
    wrote(
        json!({"op": "thread_create", "chat_id": "1", "thread_name": "plans", "message_id": "9", "metadata": {}}),
    );
    let rename = relay.thread_rename("1", &thread, "better plans").only_if_current_name("plans");
    kit.block_on(rename).unwrap();
    wrote(json!({"op": "thread_rename", "chat_id": "1", "message_id": thread, "thread_name": "better plans",
        "only_if_current_name": "plans", "metadata": {}}));
    kit.block_on(relay.thread_rename("", &thread, "plans").only_if_connector_created()).unwrap();
    wrote(json!({"op": "thread_rename", "chat_id": thread, "message_id": thread, "thread_name": "plans",
        "only_if_connector_created": true, "metadata": {}}));
    let action = json!({"op": "typing", "chat_id": "1"});
    let result = kit.block_on(relay.raw(action.as_object().cloned().unwrap()).bare()).unwrap();
    assert_eq!(Value::Object(result), json!({"success": true}));
    wrote(action);
    // O-16: the platforms of this test offer no cards.
    let card = kit.block_on(relay.task_card("1", []).reply_to("9").metadata("x", 1)).unwrap_err();
    let stop = kit.block_on(relay.task_card_stop("1").card_id("own").platform("telegram")).unwrap_err();
    assert_eq!([card.kind, stop.kind], [FailureKind::Unsupported; 2]);
    let draft = relay.draft("1", 3, "so far").platform("telegram").last();
    some_id(kit.block_on(draft));
    wrote(
        json!({"op": "draft", "chat_id": "1", "draft_id": 3, "content": "so far", "final": true, "metadata": {}}),
    );
    kit.block_on(relay.interrupt("key").reason("enough")).unwrap();
    wrote(json!({"type": "interrupt", "session_key": "key", "reason": "enough"}));
    // O-9: the default platform has no drafts. I-1: an option needs an id. Neither op is ever written.
    for (failure, kind) in [
        (kit.block_on(relay.draft("1", 3, "so far")).map(drop), FailureKind::Unsupported),
        (kit.block_on(relay.prompt("1", "?").option("", "Yes")).map(drop), FailureKind::Definite),
    ] {
        assert_eq!(failure.unwrap_err().kind, kind);
    }
    kit.block_on(relay.send("1", "the end")).unwrap();
    wrote(json!({"op": "send", "chat_id": "1", "content": "the end", "reply_to": null, "metadata": {}}));
}

fn a_delivery_can_be_answered(wire: Wire) {
    let mut stage = Stage::new(wire, &[]);
    let room = discord::guild_channel();
    stage.deliver(&room, "tell me", false);
    let delivery = stage.message();
    assert_eq!((delivery.text(), delivery.chat_id()), ("tell me", room.chat_id));
    let message_id = delivery.message().any_message_id().unwrap().to_string();
    let action = |stage: &Stage, op: &str| stage.sees(|frame| frame["action"]["op"] == op)["action"].clone();
    stage.kit.block_on(delivery.react("👀")).unwrap();
    let reaction = action(&stage, "react");
    assert_eq!((&reaction["chat_id"], &reaction["message_id"]), (&json!(room.chat_id), &json!(message_id)));
    stage.kit.block_on(delivery.prompt("Shall I?").option("y", "Yes")).unwrap();
    assert_eq!(action(&stage, "prompt")["chat_id"], room.chat_id);
    stage.kit.block_on(delivery.reply_interim("wait")).unwrap();
    assert_eq!(action(&stage, "send")["content"], "wait");
    // Ids can be numbers, too.
    let (chat, message) = (1_187_654_321_098_765_432_u64, 7);
    stage.kit.block_on(stage.relay.react(chat, message, "👍")).unwrap();
    let reaction = action(&stage, "react");
    assert_eq!((&reaction["chat_id"], &reaction["message_id"]), (&json!(chat.to_string()), &json!("7")));
}

/// After a definite failure a streamed reply is unchanged: it can be finished over the next connection.
fn a_streamed_reply_can_be_finished_after_a_definite_failure(wire: Wire) {
    let mut stage = Stage::new(wire, &[]);
    stage.deliver(&telegram::topic(), "tell me", false);
    let delivery = stage.message();
    let mut stream = delivery.stream();
    delivery.ack();
    stream.update("so far").unwrap();
    stage.sees_outbound("so far");
    stage.kit.block_on(stage.relay.hold(Duration::from_secs(60))).unwrap();
    stage.connector.control(Act::Drop).unwrap();
    stage.notice(|notice| matches!(notice, Notice::Disconnected { .. }));
    let failure = stage.kit.block_on(stream.finish("so far, so good")).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Definite);
    stage.kit.block_on(stage.relay.resume()).unwrap();
    stage.notice(|notice| matches!(notice, Notice::Platform { .. }));
    let ended = stage.kit.block_on(stream.finish("so far, so good"));
    // The step that was pending at the drop is reported as ambiguous, unless a later one replaced it.
    assert!(ended.is_ok() || ended.unwrap_err().kind == FailureKind::Ambiguous);
    stage.sees_outbound("so far, so good");
    // The stream is over: neither its destructor nor the host sends anything more.
    assert_eq!(stream.update("more").unwrap_err().kind, FailureKind::Definite);
    drop(stream);
    stage.kit.block_on(stage.relay.send("1", "behind it")).unwrap();
    let next = stage.sees(|frame| frame["type"] == "outbound");
    assert_eq!(next["action"]["content"], "behind it");
}

/// A watch returns the present state first, then each new one, and ends after the last.
fn a_watch_returns_the_newest_state_and_ends_with_the_last(wire: Wire) {
    let stage = Stage::new(wire, &[]);
    let Stage { kit, relay, mut inbox, connector, .. } = stage;
    let (mut watch, mut late) = (relay.watch(), relay.watch());
    let mut next = |wanted: &dyn Fn(&ConnectionState) -> bool| {
        kit.block_on(async {
            loop {
                let state = watch.next().await.expect("it is not over");
                if wanted(&state) {
                    return state;
                }
            }
        })
    };
    let first = next(&|_| true);
    assert!(first.is_served());
    assert_eq!((first.descriptors.len(), &first.ended, first.next_dial), (2, &None, None));
    assert_eq!(relay.state(), first, "nothing has happened meanwhile");
    assert!(first.connected_since.is_some() && relay.recent_ends().is_empty());

    kit.block_on(relay.hold(Duration::from_secs(60))).unwrap();
    connector.control(Act::Close { code: 1013, reason: "later".into() }).unwrap();
    let waiting = next(&|state| state.phase == Phase::Waiting);
    let ended = waiting.ended.expect("it says how the connection ended");
    assert_eq!((ended.code, ended.reason.as_str()), (Some(1013), "later"));
    assert!(waiting.next_dial.is_some() && waiting.since >= first.since && waiting.connected_since.is_none());
    let ends = relay.recent_ends();
    assert_eq!((ends.len(), ends[0].was_connected, &ends[0].ended), (1, true, &ended));

    kit.block_on(relay.resume()).unwrap();
    let again = next(&|state| state.is_served() && state.descriptors.len() == 2);
    assert_eq!((again.ended, again.next_dial), (None, None));
    kit.block_on(relay.disconnect());
    next(&|state| state.phase == Phase::Stopped);
    assert_eq!(kit.block_on(watch.next()), None);
    // A watch that was not polled meanwhile gets only the last state, and none of the states before it.
    let phases = kit.block_on(late.by_ref().map(|state| state.phase).collect::<Vec<_>>());
    assert_eq!(phases, [Phase::Stopped]);
    kit.block_on(async { while inbox.next().await.is_some() {} });
}

/// L-10: the last state of a revoked gateway says so.
fn l_10_a_watch_ends_with_revoked(wire: Wire) {
    let stage = Stage::new(wire, &[]);
    let mut watch = stage.relay.watch();
    stage.connector.control(Act::Revoke { on: true }).unwrap();
    let phases = stage.kit.block_on(watch.by_ref().map(|state| state.phase).collect::<Vec<_>>());
    assert_eq!(phases.last(), Some(&Phase::Revoked));
}

/// A status page that watches must not keep an unused gateway alive (L-14).
fn l_14_a_watch_keeps_nothing_alive_and_sees_the_end(wire: Wire) {
    let Stage { kit, relay, inbox, connector: _connector, .. } = Stage::new(wire, &[]);
    let mut watch = relay.watch();
    drop((relay, inbox));
    let phases = kit.block_on(watch.by_ref().map(|state| state.phase).collect::<Vec<_>>());
    assert_eq!(phases.last(), Some(&Phase::Stopped));
}

/// The reason of a failed dial is in the state, not only in the notices, which are delivered once.
#[test]
fn l_5_the_state_has_the_reason_of_a_failed_dial() {
    let peer = Peer::listen(Wire::Tcp);
    let url = peer.url();
    drop(peer);
    let kit = Kit::new();
    let (relay, _inbox) = kit.connect(config(&url, &[("backoff_first", "60s")]));
    let state = kit.block_on(async {
        relay.watch().filter(|state| std::future::ready(state.ended.is_some())).next().await.unwrap()
    });
    assert_eq!(state.phase, Phase::Waiting);
    let Some(Ended { code: None, reason, .. }) = state.ended else { panic!("{:?}", state.ended) };
    assert!(reason.contains("refused"), "{reason}");
    let ends = relay.recent_ends();
    assert_eq!((ends.len(), ends[0].was_connected, &ends[0].ended.reason), (1, false, &reason));
}

/// X-1: the ends of a gateway that never connects do not add up.
#[test]
fn x_1_only_the_last_ends_are_kept() {
    let peer = Peer::listen(Wire::Tcp);
    let url = peer.url();
    drop(peer);
    let kit = Kit::new();
    let (relay, _inbox) = kit.connect(config(&url, &[("backoff_first", "1ms"), ("backoff_most", "1ms")]));
    let dialed = |_: &ConnectionState| std::future::ready(relay.stats().dials > 20);
    kit.block_on(relay.watch().filter(dialed).next());
    let ends = relay.recent_ends();
    assert!(ends.len() == 16 && ends.is_sorted_by_key(|end| end.at), "{ends:?}");
}

/// M-1, M-6: the memory of a chat can be read, and is written in frames.
fn m_6_a_primed_chat_is_read_and_written(wire: Wire) {
    let stage = Stage::new(wire, &[]);
    let mut chat = Chat::new("discord");
    chat.scope = Some("guild".into());
    assert_eq!(stage.relay.prime("77", chat.clone()), Ok(()));
    assert_eq!(stage.relay.chat("77"), Some(chat));
    stage.kit.block_on(stage.relay.send("77", "hello")).unwrap();
    let saw = stage.connector.wait_for(|saw| frame(saw).is_some_and(|one| one["type"] == "outbound"), SOON);
    assert_eq!(frame(&saw.unwrap()).unwrap()["action"]["metadata"]["guild_id"], "guild");
    assert!(stage.relay.authorization_is_upstream(), "E-10");
}

/// O-10: the text of one reply is not a state of another, though both answer the same message.
fn o_10_two_streamed_replies_to_one_message_do_not_mix(wire: Wire) {
    let mut stage = Stage::new(wire, &[]);
    stage.deliver(&discord::dm(), "tell me", false);
    let delivery = stage.message();
    let (mut one, mut two) = (delivery.stream(), delivery.stream());
    let both = futures_util::future::join(one.finish("progress: all done"), two.finish("the answer"));
    let (first, second) = stage.kit.block_on(both);
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(first.len() == 1 && second.len() == 1 && first != second, "{first:?} {second:?}");
    stage.sees_outbound("progress: all done");
    stage.sees_outbound("the answer");
    delivery.ack();
}

/// X-2: notices that the host did not take are counted, including those that were queued when the stream was dropped.
fn x_2_notices_of_a_dropped_inbox_are_counted(wire: Wire) {
    let Stage { kit, relay, inbox, connector: _connector, .. } =
        Stage::dial(wire, Stage::connector(wire), &[]);
    kit.block_on(relay.watch().filter(|state| std::future::ready(state.descriptors.len() == 2)).next());
    assert_eq!(relay.signs_dropped(), 0);
    drop(inbox);
    // The notices of the connection and of its second platform.
    assert_eq!(relay.signs_dropped(), 2);
}

/// O-6: a host that has a queue of its own.
fn o_6_a_host_can_wait_for_room(wire: Wire) {
    let stage = Stage::new(wire, &[("max_in_flight", "1")]);
    let (kit, relay) = (&stage.kit, &stage.relay);
    stage.connector.control(Act::Delay { op: "send".into(), ms: 20 }).unwrap();
    let first = stage.submit("first");
    assert!(!relay.has_room());
    let command = || {
        let send = SendMessage::new("1", "second");
        Command::Op(Op::Send(send))
    };
    let second = kit.block_on(async {
        let mut refusals = 0;
        loop {
            let room = relay.room();
            match relay.submit(command()) {
                Ok(answer) => break (answer, refusals),
                Err(refused) => assert!(refused.is_backpressure(), "{refused}"),
            }
            refusals += 1;
            room.await;
        }
    });
    assert!(second.1 > 0);
    kit.block_on(async { (first.await.unwrap(), second.0.await.unwrap()) });
    // Once the gateway has ended, nobody waits any more.
    let room = relay.room();
    kit.block_on(relay.disconnect());
    kit.block_on(room);
    kit.block_on(relay.room());
    assert!(!relay.submit(command()).unwrap_err().is_backpressure());
}

/// L-16, A-6: interrupts, notices and the end overtake the events that wait.
fn l_16_a_host_without_room_gets_interrupts_and_notices(wire: Wire) {
    let mut stage = Stage::new(wire, &[]);
    stage.deliver(&discord::dm(), "waits", false);
    stage.connector.control(Act::Interrupt { session_key: "k".into(), chat_id: "1".into() }).unwrap();
    let Stage { kit, relay, mut inbox, connector, .. } = stage;
    let mut urgent = || kit.block_on(std::future::poll_fn(|cx| inbox.poll_urgent(cx)));
    assert!(matches!(urgent(), Some(Incoming::Interrupt { session_key, .. }) if session_key == "k"));
    connector.control(Act::Close { code: 1012, reason: "restart".into() }).unwrap();
    assert!(matches!(urgent(), Some(Incoming::Notice(Notice::Disconnected { code: Some(1012), .. }))));
    kit.block_on(relay.disconnect());
    while urgent().is_some() {}
    // The event was left in the queue.
    assert!(matches!(kit.block_on(inbox.next()), Some(Incoming::Message(_))));
}
