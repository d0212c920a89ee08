//! Imitated connectors, late acknowledgements and presses, in virtual time.

use crate::bench::{A, B, Bench, close};
use data_encoding::BASE64;
use relayline_connector::chats::{Room, discord, slack, telegram};
use relayline_connector::{Act, ConnectorConfig, Duplicates, Like, Limits, Press};
use serde_json::{Map, Value, json};
use std::time::Duration;

fn like(like: Like) -> Bench {
    let mut bench = Bench::new(ConnectorConfig::default().like(like));
    bench.connect(A);
    bench
}

fn id(n: usize) -> Value {
    json!(format!("1718900000000-{n}"))
}

// ---- missing acks -----------------------------------------------------------------------------------------

#[test]
fn a_8_an_entry_without_its_ack_is_reported_once() {
    let mut bench = Bench::new(ConnectorConfig::default());
    bench.inject("one");
    let forward = json!({"platform": "twilio", "bodyB64": ""}).as_object().unwrap().clone();
    bench.does(Act::Passthrough { forward, buffered: Some(true) });
    assert_eq!(bench.machine.deadline(), None, "what was not sent is not late");
    bench.connect(A);
    bench.saws();
    bench.passes(9_999);
    assert_eq!(bench.saws(), [] as [Value; 0]);
    bench.passes(1);
    let late = |dial: u64, n: usize, kind: &str| json!({"saw": "unacked", "gateway": "", "dial": dial, "buffer_id": id(n), "type": kind, "for_ms": 10_000});
    assert_eq!(bench.saws(), [late(1, 0, "inbound")]);
    bench.passes(60_000);
    assert_eq!((bench.saws(), bench.machine.deadline()), (Vec::new(), None), "once");
    // On the next connection the same entry is sent again.
    bench.machine.handle_closed(bench.now, A, None, "");
    bench.connect(B);
    bench.saws();
    bench.passes(60_000);
    assert_eq!(bench.saws(), [] as [Value; 0]);
    // A late ack still counts, and the next entry has a time-out of its own.
    bench.ack(B, &id(0));
    bench.saws();
    bench.passes(10_000);
    assert_eq!(bench.saws(), [late(2, 1, "passthrough_forward")]);
    bench.ack(B, &id(1));
    assert_eq!((bench.machine.buffered("").count(), bench.machine.deadline()), (0, None));
}

#[test]
fn a_8_an_entry_that_is_acknowledged_or_cut_off_is_not_late() {
    let mut bench = Bench::live();
    let event = bench.event("one");
    bench.does(Act::Inbound { event, buffered: Some(true) });
    bench.passes(9_000);
    bench.ack(A, &id(0));
    bench.saws();
    assert_eq!(bench.machine.deadline(), None);
    let event = bench.event("two");
    bench.does(Act::Inbound { event, buffered: Some(true) });
    bench.passes(9_000);
    bench.does(Act::Drop);
    bench.written();
    bench.saws();
    assert_eq!(bench.machine.deadline(), None);
    bench.passes(9_000);
    // The time is measured from the sending on this connection.
    bench.connect(B);
    bench.saws();
    bench.passes(9_999);
    assert_eq!(bench.saws(), [] as [Value; 0]);
    bench.passes(1);
    assert_eq!(bench.saws()[0]["dial"], 2);
    // Without a configured time nothing is reported.
    let mut bench = Bench::new(ConnectorConfig::default().unacked_after(None));
    bench.inject("one");
    bench.connect(A);
    assert_eq!(bench.machine.deadline(), None);
}

// ---- imitated connectors ----------------------------------------------------------------------------------

#[test]
fn strict_closes_with_1003_on_frames_it_rejects() {
    let hello = json!({"type": "hello", "platform": "telegram", "botId": ""});
    let interrupt = json!({"type": "interrupt", "session_key": "k", "reason": null});
    for (frame, reason) in [
        (hello, "unexpected second hello"),
        (interrupt, "unexpected interrupt"),
        (json!({"type": "going_idle"}), "unexpected going_idle"),
    ] {
        let mut bench = like(Like::Strict);
        bench.saws();
        bench.says(A, frame.clone());
        assert_eq!(bench.written(), [(A, close(1003, reason))]);
        let saws = bench.saws();
        assert_eq!(
            (&saws[0]["frame"], &saws[1]["code"], &saws[1]["by"]),
            (&frame, &json!(1003), &json!("connector"))
        );
        // The next connection works as usual.
        bench.connect(B);
        bench.request(B, "r", json!({"op": "typing", "chat_id": "1"}));
        assert_eq!(bench.written()[0].1["result"]["success"], true);
    }
}

#[test]
fn silent_stays_live_and_confirms_nothing() {
    let mut bench = like(Like::Silent);
    // This holds even if an instruction asks for confirmations.
    bench.does(Act::IdleAck { on: true });
    bench.says(A, json!({"type": "going_idle"}));
    bench.inject("still served");
    assert_eq!(bench.delivered(), [(json!("still served"), Value::Null)]);
}

#[test]
fn flood_sends_a_hundred_and_takes_acks_in_any_order() {
    let mut bench = Bench::new(ConnectorConfig::default().like(Like::Flood));
    for n in 0..103 {
        bench.inject(&n.to_string());
    }
    bench.dial(A);
    bench.says(A, json!({"type": "hello", "platform": "discord", "botId": ""}));
    let sent = bench.delivered();
    let expected: Vec<_> = (0..100).map(|n| (json!(n.to_string()), id(n))).collect();
    assert_eq!(sent[1..], expected);
    // Each ack makes room for one more.
    for (acked, next) in [(99, 100), (0, 101), (42, 102)] {
        bench.ack(A, &id(acked));
        assert_eq!(bench.delivered(), [(json!(next.to_string()), id(next))]);
    }
    bench.ack(A, &id(42));
    assert_eq!((bench.delivered().len(), bench.machine.stats().stray_acks), (0, 1));
    // Unacknowledged entries are sent again, in order.
    bench.machine.handle_closed(bench.now, A, None, "");
    bench.dial(B);
    bench.says(B, json!({"type": "hello", "platform": "discord", "botId": ""}));
    let again: Vec<Value> = bench.delivered().into_iter().skip(1).map(|(_, id)| id).collect();
    let left: Vec<Value> = (0..103).filter(|n| ![99, 0, 42].contains(n)).map(id).collect();
    assert_eq!(again, left);
    left.iter().rev().for_each(|id| bench.ack(B, id));
    assert_eq!((bench.machine.buffered("").count(), bench.machine.deadline()), (0, None));
}

/// X-1: a gateway that reads slowly is not cut off because of the flood.
#[test]
fn flood_waits_for_room() {
    let mut limits = Limits::default();
    limits.write_bytes = 4096;
    let mut bench = Bench::new(ConnectorConfig::default().like(Like::Flood).limits(limits));
    for _ in 0..9 {
        bench.inject(&"x".repeat(1500));
    }
    bench.dial(A);
    bench.says(A, json!({"type": "hello", "platform": "discord", "botId": ""}));
    let mut sent = bench.delivered().into_iter().skip(1).map(|(_, id)| id).collect::<Vec<_>>();
    assert!((1..9).contains(&sent.len()), "{sent:?}");
    let mut at = 0;
    while at < sent.len() {
        bench.ack(A, &sent[at]);
        sent.extend(bench.delivered().into_iter().map(|(_, id)| id));
        at += 1;
    }
    assert_eq!((at, bench.machine.stats().cut_slow), (9, 0));
}

#[test]
fn displacing_closes_the_older_connection_with_4000() {
    // The setting for duplicates makes no difference.
    for duplicates in [Duplicates::Replace, Duplicates::Refuse] {
        let mut bench = Bench::new(ConnectorConfig::default().like(Like::Displacing).duplicates(duplicates));
        bench.connect(A);
        bench.dial(B);
        assert_eq!(bench.written(), [(A, close(4000, "replaced"))]);
        bench.says(B, json!({"type": "hello", "platform": "discord", "botId": ""}));
        bench.written();
        bench.inject("to the newer one");
        assert_eq!(bench.delivered().len(), 1);
    }
}

#[test]
fn errors_and_lenient_change_only_unscripted_results() {
    let send = || json!({"op": "send", "chat_id": "1", "content": "x"});
    let bad = || json!({"op": "dance", "chat_id": "1"});
    let answered = |bench: &mut Bench, action: Value| {
        bench.request(A, "r", action);
        bench.written().remove(0).1
    };
    let mut bench = like(Like::Errors);
    let error = |text: &str| json!({"type": "error", "requestId": "r", "error": text});
    assert_eq!(answered(&mut bench, send()), error("internal error"));
    assert_eq!(answered(&mut bench, bad()), error("unknown op `dance`"));
    let mut lenient = like(Like::Lenient);
    let result = |result: Value| json!({"type": "outbound_result", "requestId": "r", "result": result});
    let sent = answered(&mut lenient, send());
    assert!(sent["result"]["message_id"].is_string() && sent["result"].get("success").is_none(), "{sent}");
    assert_eq!(answered(&mut lenient, bad()), result(json!({"error": "unknown op `dance`"})));
    for bench in [&mut bench, &mut lenient] {
        bench.does(Act::Answer { op: "send".into(), result: json!({"success": true}) });
        assert_eq!(answered(bench, send()), result(json!({"success": true})));
    }
}

// ---- presses ----------------------------------------------------------------------------------------------

fn prompt(prompt_id: &str, chat_id: &str, metadata: Value) -> Value {
    json!({"op": "prompt", "chat_id": chat_id, "prompt_kind": "choice", "prompt_id": prompt_id, "content": "?",
        "options": [{"id": "yes", "label": "Yes, do it"}, {"id": "no", "label": "No"}, {"id": "1", "label": "One"}],
        "reply_to": null, "metadata": metadata})
}

fn press(option: &str) -> Press {
    Press::new(option)
}

/// Returns the machine's reason for refusing a press.
fn refusal(bench: &mut Bench, press: Press) -> String {
    bench.machine.control(bench.now, Act::Press(press)).unwrap_err().to_string()
}

fn hello(bench: &mut Bench, platform: &str) {
    bench.says(A, json!({"type": "hello", "platform": platform, "botId": format!("bot-{platform}")}));
    bench.written();
}

/// Returns the one event or interaction that a press caused.
fn pressed(bench: &mut Bench, press: Press) -> Value {
    bench.does(Act::Press(press));
    let mut seen = bench.written();
    assert_eq!(seen.len(), 1, "{seen:?}");
    seen.remove(0).1
}

fn ask(bench: &mut Bench, platform: &str, action: Value) -> String {
    bench.says(A, json!({"type": "outbound", "requestId": "r", "platform": platform, "action": action}));
    bench.written().remove(0).1["result"]["message_id"].as_str().unwrap().to_owned()
}

#[test]
fn p_4_i_4_a_press_on_discord_is_an_interaction() {
    let mut bench = Bench::live();
    hello(&mut bench, "discord");
    let interaction = |frame: &Value| -> Value {
        assert_eq!((&frame["type"], frame.get("bufferId")), (&json!("passthrough_forward"), None));
        let body = BASE64.decode(frame["forward"]["bodyB64"].as_str().unwrap().as_bytes()).unwrap();
        serde_json::from_slice(&body).unwrap()
    };
    for (room, kind, place) in [
        (discord::guild_channel(), 0, "member"),
        (discord::thread(), 11, "member"),
        (discord::dm(), 1, "user"),
    ] {
        let event = room.message(&mut bench.ids, bench.now, "hi");
        bench.does(Act::Inbound { event, buffered: None });
        bench.written();
        let message_id = ask(&mut bench, "discord", prompt("abc123.0000", room.chat_id, json!({})));
        let frame = pressed(&mut bench, press("no"));
        let mut forward = frame["forward"].clone();
        forward.as_object_mut().unwrap().remove("bodyB64");
        assert_eq!(
            forward,
            json!({"platform": "discord", "botId": "bot-discord", "method": "POST", "path": "/interactions",
                "headers": [["content-type", "application/json"]]})
        );
        let body = interaction(&frame);
        assert_eq!(body["data"]["custom_id"], "hp1:abc123.0000:no");
        assert_eq!((&body["type"], &body["message"]["id"]), (&json!(3), &json!(message_id)));
        assert_eq!((&body["channel_id"], &body["channel"]["type"]), (&json!(room.chat_id), &json!(kind)));
        assert_eq!(
            body["channel"].get("parent_id").map(|id| id == &json!(room.parent_chat_id)),
            (kind == 11).then_some(true)
        );
        assert_eq!(body.get("guild_id"), room.scope_id.map(|id| json!(id)).as_ref());
        let user = if place == "member" { &body["member"]["user"] } else { &body["user"] };
        assert_eq!(
            (&user["id"], &user["username"]),
            (&json!(room.person.id), &json!(room.person.name)),
            "{body}"
        );
        assert_eq!(body.get("token"), None, "P-8");
    }
}

#[test]
fn e_8_i_4_a_press_elsewhere_is_a_command_with_an_answer() {
    let mut bench = Bench::live();
    let rooms: [(Room, Value, Option<&str>); 4] = [
        (telegram::topic(), json!({}), Some("42")),
        (telegram::dm(), json!({}), None),
        // M-8: the place of the prompt decides.
        (slack::dm(), json!({"thread_ts": "17.1"}), Some("17.1")),
        (slack::thread(), json!({"thread_id": "18.1"}), Some("18.1")),
    ];
    for (room, metadata, thread_id) in rooms {
        hello(&mut bench, room.platform);
        let event = room.message(&mut bench.ids, bench.now, "hi");
        let source = event["source"].as_object().unwrap().clone();
        bench.does(Act::Inbound { event, buffered: None });
        bench.written();
        let message_id = ask(&mut bench, room.platform, prompt("abc123.0000", room.chat_id, metadata));
        let frame = pressed(&mut bench, press("yes"));
        let event = &frame["event"];
        assert_eq!((&event["text"], &event["message_type"]), (&json!("/yes"), &json!("command")), "{frame}");
        assert_eq!(
            event["prompt_response"],
            json!({"prompt_id": "abc123.0000", "option_id": "yes", "label": "Yes, do it", "prompt_message_id": message_id})
        );
        let mut expected = source;
        expected.insert("message_id".into(), event["message_id"].clone());
        if let Some(thread_id) = thread_id {
            expected.insert("thread_id".into(), thread_id.into());
        }
        assert_eq!(event["source"], Value::Object(expected));
        assert_ne!(event["message_id"], json!(message_id));
    }
}

#[test]
fn i_2_a_press_finds_its_prompt_and_its_option() {
    let mut bench = Bench::live();
    hello(&mut bench, "telegram");
    for (prompt_id, chat_id) in [("a", "1"), ("b", "1"), ("c", "2"), ("d", "2")] {
        ask(&mut bench, "telegram", prompt(prompt_id, chat_id, json!({})));
    }
    let answer = |frame: &Value| {
        let response = &frame["event"]["prompt_response"];
        [&response["prompt_id"], &response["option_id"]].map(|id| id.as_str().unwrap().to_owned())
    };
    let mut check = |press: Press, expected: [&str; 2]| {
        assert_eq!(answer(&pressed(&mut bench, press.clone())), expected, "{press:?}");
    };
    // An id takes precedence over a label, and a label over a number.
    check(press("1").chat_id("1"), ["b", "1"]);
    check(press("yes, DO it").prompt_id("c"), ["c", "yes"]);
    check(press("2"), ["d", "no"]);
    let errors = [
        (
            press("maybe"),
            "the prompt `a` has no option `maybe`: press one of yes (Yes, do it), no (No), 1 (One)",
        ),
        (press("4"), "the prompt `a` has no option `4`: "),
        (press("0"), "the prompt `a` has no option `0`: "),
        (press("yes").chat_id("2"), "no prompt is open with chat_id `2`: expect the gateway's"),
        (press("yes").prompt_id("b"), "no prompt is open with prompt_id `b`: "),
    ];
    for (press, expected) in errors {
        let error = refusal(&mut bench, press);
        assert!(error.starts_with(expected), "{error}");
    }
    // A press that could not be delivered had no effect.
    bench.does(Act::Drop);
    bench.written();
    let live = press("yes").buffered(false);
    assert!(refusal(&mut bench, live).contains("is not connected"));
    bench.does(Act::Press(press("yes")));
    assert_eq!(bench.machine.buffered("").count(), 1);
    assert!(refusal(&mut bench, press("yes")).starts_with("no prompt is open: "));
}

#[test]
fn i_4_a_press_names_its_user() {
    let mut bench = Bench::live();
    hello(&mut bench, "telegram");
    let event = telegram::dm().message(&mut bench.ids, bench.now, "hi");
    bench.does(Act::Inbound { event, buffered: None });
    bench.written();
    let chat_id = telegram::dm().chat_id;
    let who = |frame: Value| ["user_id", "user_name"].map(|name| frame["event"]["source"][name].clone());
    ask(&mut bench, "telegram", prompt("a", chat_id, json!({})));
    let zoe = press("yes").user_id("7").user_name("zoe");
    assert_eq!(who(pressed(&mut bench, zoe)), [json!("7"), json!("zoe")]);
    ask(&mut bench, "telegram", prompt("a", chat_id, json!({})));
    let someone = press("yes").user_id("7");
    assert_eq!(who(pressed(&mut bench, someone)), [json!("7"), Value::Null]);
    // In a chat without an event, the prompt's metadata names the user (M-2).
    ask(&mut bench, "telegram", prompt("a", "99", json!({"user_id": "u9", "scope_id": "s9"})));
    let frame = pressed(&mut bench, press("yes"));
    let source = json!({"platform": "telegram", "chat_id": "99", "chat_type": "group", "user_id": "u9",
        "scope_id": "s9", "guild_id": "s9", "message_id": frame["event"]["message_id"]});
    assert_eq!(frame["event"]["source"], source);
}

#[test]
fn i_2_only_shown_prompts_can_be_pressed() {
    let mut bench = Bench::live();
    hello(&mut bench, "telegram");
    // A prompt that the platform refused, one that was deleted again, and one without an id.
    bench.does(Act::Answer { op: "prompt".into(), result: json!({"success": false, "error": "no"}) });
    bench.request(A, "r", prompt("a", "1", json!({})));
    bench.written();
    bench.does(Act::Answer { op: "prompt".into(), result: Value::Null });
    let message_id = ask(&mut bench, "telegram", prompt("b", "1", json!({})));
    bench.says(
        A,
        json!({"type": "outbound", "requestId": "r", "platform": "telegram",
        "action": {"op": "delete", "chat_id": "1", "message_id": message_id}}),
    );
    bench.written();
    assert!(refusal(&mut bench, press("yes")).starts_with("no prompt is open: "));
    // X-1: beyond the limit the oldest prompt is evicted, and an id of a megabyte is not kept.
    for n in 0..1030 {
        ask(&mut bench, "telegram", prompt(&n.to_string(), "1", json!({})));
    }
    ask(&mut bench, "telegram", prompt(&"x".repeat(100_000), "1", json!({})));
    assert_eq!(bench.machine.stats().evicted_prompts, 7, "X-2");
    let of = |n: usize| press("yes").prompt_id(n);
    assert!(refusal(&mut bench, of(5)).starts_with("no prompt is open with"));
    bench.does(Act::Press(of(6)));
    bench.does(Act::Press(press("yes")));
    let last = bench.written().pop().unwrap().1;
    assert_eq!(last["event"]["prompt_response"]["prompt_id"], "1029");
}

#[test]
fn i_2_prompts_outlive_a_crash_of_the_connector() {
    let mut bench = Bench::live();
    hello(&mut bench, "telegram");
    ask(&mut bench, "telegram", prompt("a", "1", json!({})));
    let mut bench = Bench { machine: bench.machine.restart(), ..bench };
    bench.does(Act::Press(press("yes")));
    assert_eq!(bench.machine.buffered("").count(), 1);
}

// ---- users ------------------------------------------------------------------------------------------------

/// Returns what was said: platform, chat and text.
fn heard(bench: &mut Bench) -> [Value; 3] {
    let frame = bench.written().pop().unwrap().1;
    let source = &frame["event"]["source"];
    [source["platform"].clone(), source["chat_id"].clone(), frame["event"]["text"].clone()]
}

#[test]
fn a_users_message_reaches_the_connected_gateway() {
    let mut bench = Bench::new(ConnectorConfig::default());
    // While nobody is connected, it waits.
    bench.machine.say(bench.now, "hello?").unwrap();
    bench.dial(A);
    hello_and_ack(&mut bench, "discord");
    for (platform, chat_id) in [
        ("discord", discord::guild_channel().chat_id),
        ("telegram", telegram::topic().chat_id),
        ("matrix", "+15550100"),
    ] {
        bench.machine.handle_closed(bench.now, A, None, "");
        bench.dial(A);
        bench.says(A, json!({"type": "hello", "platform": platform, "botId": ""}));
        bench.written();
        bench.machine.say(bench.now, "hi {there").unwrap();
        assert_eq!(heard(&mut bench), [json!(platform), json!(chat_id), json!("hi {there")]);
    }
    // Among several gateways it is for the connected one.
    let mut bench = Bench::new(ConnectorConfig::default().gateway("gw", "s3cret").gateway("other", "s"));
    let error = bench.machine.say(bench.now, "hi").unwrap_err().to_string();
    assert!(error.starts_with("which gateway?"), "{error}");
    bench.connect(A);
    bench.machine.say(bench.now, "hi").unwrap();
    assert_eq!(bench.delivered().len(), 1);
    let mut empty = Bench::new(ConnectorConfig::default().identity("a", "t"));
    let error = empty.machine.say(empty.now, "hi").unwrap_err().to_string();
    assert!(error.starts_with("no gateway has enrolled"), "{error}");
}

fn hello_and_ack(bench: &mut Bench, platform: &str) {
    bench.says(A, json!({"type": "hello", "platform": platform, "botId": ""}));
    let seen = bench.delivered();
    assert_eq!(seen[1].0, "hello?");
    bench.ack(A, &seen[1].1);
}

/// The time until a report is configurable.
#[test]
fn a_8_the_time_until_a_report_is_a_setting() {
    let unacked_after = Some(Duration::from_millis(5));
    let mut bench = Bench::new(ConnectorConfig::default().unacked_after(unacked_after));
    bench.inject("one");
    bench.connect(A);
    bench.saws();
    bench.passes(7);
    let saws: Vec<Map<String, Value>> =
        bench.saws().into_iter().map(|saw| saw.as_object().unwrap().clone()).collect();
    assert_eq!(saws[0]["for_ms"], 7, "as long as it was when somebody looked");
}
