//! Replies, streams and turns that name their delivery by number.

use crate::bridging::{Bridge, Unread};
use relayline_connector::Act;
use relayline_connector::chats::{discord, telegram};
use serde_json::{Value, json};

on_one_runtime! {
    m_7_a_reply_needs_nothing_but_the_deliverys_number m_7_a_reply_in_parts_is_final_and_anchored_once,
    m_7_ops_of_the_chat_wait_for_a_reply_in_parts m_7_a_stream_answers_a_delivery,
    m_7_only_a_received_delivery_can_be_answered o_15_a_turn_shows_its_state_on_the_message,
    o_15_a_turn_without_reactions_types_alone o_15_a_stopped_turn_ends_the_streams_to_its_message,
    o_15_only_a_received_delivery_has_turns m_7_the_delivery_of_a_waiting_reply_is_remembered,
}

/// Delivers a message. Returns its number and its id.
#[track_caller]
fn deliver(bridge: &mut Bridge, buffered: bool) -> (Value, Value) {
    bridge.deliver(&discord::guild_channel(), "hello", buffered);
    let mut line = bridge.next();
    assert_eq!(line["event"], "message", "{line}");
    (line["delivery"].take(), line["message"]["message_id"].take())
}

/// Returns the next op that the connector receives.
#[track_caller]
fn sees(bridge: &Bridge) -> Value {
    let frame = bridge.sees();
    assert_eq!(frame["type"], "outbound", "{frame}");
    frame
}

fn m_7_a_reply_needs_nothing_but_the_deliverys_number(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let (delivery, message_id) = deliver(&mut bridge, true);
    let chat_id = discord::guild_channel().chat_id;
    for acked in [false, true] {
        let result = bridge.ask(json!({"op": "reply", "delivery": delivery, "content": "hi"}));
        assert!(result["message_id"].is_string(), "{result}");
        let frame = sees(&bridge);
        let action = &frame["action"];
        assert_eq!((&action["op"], &action["chat_id"]), (&json!("send"), &json!(chat_id)), "{acked}");
        assert_eq!((&action["content"], &action["reply_to"]), (&json!("hi"), &message_id));
        assert_eq!(action["metadata"]["notify"], true, "{frame}");
        assert_eq!(action["metadata"]["reply_to_message_id"], message_id, "{frame}");
        assert_eq!(frame["platform"], "discord");
        if !acked {
            assert_eq!(bridge.ask(json!({"op": "ack", "delivery": delivery})), json!({}));
            assert_eq!(bridge.sees()["type"], "inbound_ack");
        }
    }
    // A reply that is not final completes nothing, and the agent's own metadata is kept.
    let interim = json!({"op": "reply", "delivery": delivery, "content": "one moment", "final": false,
        "metadata": {"mine": 1}, "split": null});
    bridge.ask(interim);
    let action = sees(&bridge)["action"].take();
    assert_eq!((&action["metadata"]["notify"], &action["metadata"]["mine"]), (&Value::Null, &json!(1)));
    assert_eq!(action["reply_to"], message_id);
    let told = json!({"op": "reply", "delivery": delivery, "content": "x", "final": null,
        "metadata": {"notify": "silent"}});
    bridge.ask(told);
    assert_eq!(sees(&bridge)["action"]["metadata"]["notify"], "silent");
    // A send does not complete the turn either.
    bridge.ask(json!({"op": "send", "chat_id": chat_id, "content": "x", "reply_to": message_id}));
    assert_eq!(sees(&bridge)["action"]["metadata"]["notify"], Value::Null);
}

fn m_7_a_reply_in_parts_is_final_and_anchored_once(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let (delivery, message_id) = deliver(&mut bridge, false);
    for last in [true, false] {
        let result = bridge.ask(json!({"op": "reply", "delivery": delivery, "content": "word ".repeat(1000),
            "final": last, "split": true}));
        let ids = result["message_ids"].as_array().unwrap();
        assert_eq!((ids.len(), ids.last()), (3, Some(&result["message_id"])), "{result}");
        for n in 0..3 {
            let action = sees(&bridge)["action"].take();
            let (is_first, completes) = (n == 0, last && n == 2);
            assert_eq!(action["reply_to"], if is_first { message_id.clone() } else { Value::Null }, "{n}");
            let notify = &action["metadata"]["notify"];
            assert_eq!(*notify, if completes { json!(true) } else { Value::Null }, "{n}");
        }
    }
    // A text that fits is one message, with the usual result.
    let short = json!({"op": "reply", "delivery": delivery, "content": "x", "split": true});
    let result = bridge.ask(short);
    assert_eq!(result, json!({"message_id": result["message_id"]}));
    assert_eq!(sees(&bridge)["action"]["metadata"]["notify"], true);
}

fn m_7_ops_of_the_chat_wait_for_a_reply_in_parts(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let (delivery, _) = deliver(&mut bridge, false);
    bridge.deliver(&telegram::supergroup(), "hello", false);
    let elsewhere = bridge.next()["delivery"].take();
    bridge.tell(Act::Delay { op: "send".into(), ms: 20 });
    let chat_id = discord::guild_channel().chat_id;
    bridge.say(json!({"op": "reply", "delivery": delivery, "content": "word ".repeat(1000), "split": true}));
    bridge.say(json!({"op": "reply", "delivery": delivery, "content": "second"}));
    bridge.say(json!({"op": "send", "chat_id": chat_id, "content": "third"}));
    bridge.say(json!({"op": "stream", "stream": "s", "delivery": delivery, "text": "fourth", "final": true}));
    bridge.say(json!({"op": "reply", "delivery": elsewhere, "content": "elsewhere"}));
    let seen: Vec<String> = (0..7)
        .map(|_| sees(&bridge)["action"]["content"].as_str().unwrap().chars().take(9).collect())
        .collect();
    assert_eq!(seen[..2], ["word word", "elsewhere"], "another chat waits for nothing");
    assert_eq!(seen[2..], ["word word", "word word", "second", "third", "fourth"]);
}

fn m_7_a_stream_answers_a_delivery(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let (delivery, message_id) = deliver(&mut bridge, false);
    let chat_id = discord::guild_channel().chat_id;
    for chat in [Value::Null, json!(chat_id)] {
        let state = json!({"op": "stream", "stream": "s", "delivery": delivery, "chat_id": chat, "text": "done",
            "final": true});
        assert!(bridge.ask(state)["message_id"].is_string());
        let action = sees(&bridge)["action"].take();
        assert_eq!((&action["chat_id"], &action["reply_to"]), (&json!(chat_id), &message_id));
        assert_eq!(action["metadata"]["notify"], true);
    }
    let stream = json!({"op": "stream", "stream": "s", "delivery": delivery, "chat_id": "7", "text": "x"});
    let failure = bridge.ask(stream);
    assert_eq!(failure["kind"], "definite");
    let message = failure["message"].as_str().unwrap();
    assert!(message.contains("leave out the chat"), "{message}");
    let neither = bridge.ask(json!({"op": "stream", "stream": "s", "text": "x"}));
    let message = "missing field `chat_id`, or `delivery` in its place";
    assert_eq!(neither, json!({"kind": "definite", "message": message}));
}

fn m_7_only_a_received_delivery_can_be_answered(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &["--set", "reply_targets=2"]);
    for delivery in [0, 1, 99] {
        for op in [
            json!({"op": "reply", "delivery": delivery, "content": "x"}),
            json!({"op": "reply", "delivery": delivery, "content": "x", "split": true}),
            json!({"op": "stream", "stream": "s", "delivery": delivery, "text": "x"}),
        ] {
            let failure = bridge.ask(op);
            assert_eq!(failure["kind"], "definite", "{failure}");
            let message = failure["message"].as_str().unwrap();
            assert!(message.starts_with(&format!("delivery {delivery} cannot be answered")), "{message}");
        }
    }
    // The oldest deliveries are forgotten.
    let numbers: Vec<Value> = (0..3).map(|_| deliver(&mut bridge, false).0).collect();
    let ask = |bridge: &mut Bridge, n: usize| {
        bridge.ask(json!({"op": "reply", "delivery": numbers[n], "content": "x"}))["message_id"].is_string()
    };
    let answered = [0, 1, 2].map(|n| ask(&mut bridge, n));
    assert_eq!(answered, [false, true, true]);
}

fn m_7_the_delivery_of_a_waiting_reply_is_remembered(runtime: &str) {
    let flags = [
        "--set",
        "reply_targets=512",
        "--set",
        "max_in_flight=1",
        "--set",
        "agent_events=4",
        "--set",
        "host_queue=8",
    ];
    let mut bridge = Unread::start(runtime, &flags);
    bridge.tell(Act::Delay { op: "send".into(), ms: 1 });
    const MESSAGES: usize = 1200;
    for n in 0..MESSAGES {
        bridge.deliver(&n.to_string());
    }
    let mut answered = 0;
    while answered < MESSAGES {
        let line = bridge.next();
        match line["event"].as_str().unwrap() {
            "message" => {
                let reply = json!({"op": "reply", "delivery": line["delivery"], "content": "x", "id": 1});
                bridge.write(format!("{reply}\n"));
            }
            "result" => {
                assert_eq!(line["ok"], true, "after {answered}: {line}");
                answered += 1;
            }
            _ => panic!("{line}"),
        }
    }
}

/// Returns the ops of a turn that the connector receives, and their emoji.
#[track_caller]
fn shown<const N: usize>(bridge: &Bridge) -> [String; N] {
    std::array::from_fn(|_| {
        let action = sees(bridge)["action"].take();
        match action["op"].as_str().unwrap() {
            "react" => format!("{} {}", if action["remove"] == true { "off" } else { "on" }, action["emoji"]),
            op => op.to_owned(),
        }
    })
}

#[track_caller]
fn turn(bridge: &mut Bridge, delivery: &Value, state: &str) {
    assert_eq!(bridge.ask(json!({"op": "turn", "delivery": delivery, "state": state})), json!({}));
}

fn o_15_a_turn_shows_its_state_on_the_message(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let (delivery, _) = deliver(&mut bridge, false);
    for (state, ends) in [("done", "on \"✅\""), ("failed", "on \"❌\"")] {
        turn(&mut bridge, &delivery, "begin");
        assert_eq!(shown(&bridge), ["on \"👀\"", "typing"]);
        turn(&mut bridge, &delivery, state);
        assert_eq!(shown(&bridge), ["off \"👀\"", ends]);
    }
    // The order of the chat is kept: the turn ends after the answer, however many parts it has.
    turn(&mut bridge, &delivery, "begin");
    assert_eq!(shown(&bridge), ["on \"👀\"", "typing"]);
    bridge.say(json!({"op": "reply", "delivery": delivery, "content": "word ".repeat(1000), "split": true}));
    bridge.say(json!({"op": "turn", "delivery": delivery, "state": "stopped"}));
    assert_eq!(shown(&bridge), ["send", "send", "send", "off \"👀\""]);
}

fn o_15_a_turn_without_reactions_types_alone(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &["--turn-reactions", "false"]);
    let (delivery, _) = deliver(&mut bridge, false);
    turn(&mut bridge, &delivery, "begin");
    turn(&mut bridge, &delivery, "done");
    bridge.say(json!({"op": "reply", "delivery": delivery, "content": "x"}));
    assert_eq!(shown(&bridge), ["typing", "send"]);
}

fn o_15_a_stopped_turn_ends_the_streams_to_its_message(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let (delivery, _) = deliver(&mut bridge, false);
    bridge.ask(json!({"op": "stream", "stream": "s", "delivery": delivery, "text": "so far"}));
    assert_eq!(shown(&bridge), ["send"]);
    turn(&mut bridge, &delivery, "stopped");
    // Later states of the stream are not sent.
    let rest =
        json!({"op": "stream", "stream": "s", "delivery": delivery, "text": "so far and on", "final": true});
    let failure = bridge.ask(rest);
    assert!(failure["message"].as_str().is_some_and(|why| why.contains("stopped")), "{failure}");
    bridge.ask(json!({"op": "reply", "delivery": delivery, "content": "as you wish"}));
    let action = sees(&bridge)["action"].take();
    assert_eq!((&action["op"], &action["content"]), (&json!("send"), &json!("as you wish")));
}

fn o_15_only_a_received_delivery_has_turns(runtime: &str) {
    let mut bridge = Bridge::start(runtime, &[]);
    let failure = bridge.ask(json!({"op": "turn", "delivery": 5, "state": "begin"}));
    assert_eq!(failure["kind"], "definite", "{failure}");
    assert!(failure["message"].as_str().unwrap().starts_with("delivery 5 cannot be answered"), "{failure}");
    let failure = bridge.ask(json!({"op": "turn", "delivery": 5, "state": "over"}));
    let message = "`state`: unknown variant `over`, expected one of `begin`, `done`, `failed`, `stopped`";
    assert_eq!(failure, json!({"kind": "definite", "message": message}));
}
