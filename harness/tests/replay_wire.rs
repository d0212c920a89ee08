//! Sessions as a recorder on the wire writes them: what their lines imply of the host, and what a replay makes of a
//! gateway that is not the reference.
#![allow(clippy::unwrap_used)] // a test that cannot go on should stop

use relayline_harness::recording::Recording;
use relayline_harness::replay::{self, Cut, Drain, Options, Run, Verdict};
use serde_json::{Value, json};

const DESCRIPTOR: &str = r#"{"type":"descriptor","descriptor":{"contract_version":1,"platform":"discord","label":"D","max_message_length":2000,"supports_draft_streaming":false,"supports_edit":true,"supports_threads":true,"markdown_dialect":"discord","len_unit":"chars"}}"#;
const HELLO: &str = r#"{"type":"hello","platform":"discord","botId":"1"}"#;
const GOING_IDLE: &str = r#"{"type":"going_idle"}"#;
const IDLE_ACK: &str = r#"{"type":"going_idle_ack"}"#;

fn connect(t_ms: u64) -> Value {
    json!({"t_ms": t_ms, "dir": "connect", "url_path": "/relay", "headers": {"authorization": "Bearer <hidden>"}})
}

fn gateway(t_ms: u64, data: &str) -> Value {
    json!({"t_ms": t_ms, "dir": "gateway", "data": format!("{data}\n")})
}

fn connector(t_ms: u64, data: &str) -> Value {
    json!({"t_ms": t_ms, "dir": "connector", "data": format!("{data}\n")})
}

fn close(t_ms: u64, by: &str, code: u16, reason: &str) -> Value {
    json!({"t_ms": t_ms, "dir": "close", "by": by, "code": code, "reason": reason})
}

/// An upgrade, and its handshake a millisecond later.
fn handshake(t_ms: u64) -> [Value; 3] {
    [connect(t_ms), gateway(t_ms, HELLO), connector(t_ms + 1, DESCRIPTOR)]
}

fn inbound(buffer: &str, text: &str) -> String {
    json!({"type": "inbound", "bufferId": buffer, "event": {"text": text, "message_id": text, "source": {"chat_id": "c"}}})
        .to_string()
}

fn recording(lines: &[Value]) -> Recording {
    let header = json!({"relay_session": 1, "title": "", "recorded_from": "relayline record", "note": ""});
    let text: String = std::iter::once(&header).chain(lines).map(|line| format!("{line}\n")).collect();
    Recording::read("wire.jsonl", text.as_bytes()).unwrap()
}

fn run(lines: &[Value]) -> (Run, Verdict) {
    let recording = recording(lines);
    let run = replay::play(&recording, Options::default()).unwrap();
    let verdict = replay::check(&recording, &run);
    // W-1 holds for any session.
    for cut in [Cut::Bytes, Cut::Random(3)] {
        let again = replay::play(&recording, Options { cut, drain: Drain::Messages }).unwrap();
        assert_eq!(text(&again), text(&run));
    }
    (run, verdict)
}

fn text(run: &Run) -> Vec<String> {
    run.trace.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn passes(lines: &[Value]) -> Vec<String> {
    let (run, verdict) = run(lines);
    assert!(verdict.passes() && verdict.departs.is_empty(), "{verdict}\n{}", text(&run).join("\n"));
    text(&run)
}

/// How many entries of the trace hold a text.
fn count(trace: &[String], what: &str) -> usize {
    trace.iter().filter(|entry| entry.contains(what)).count()
}

#[test]
fn o_01_the_nth_request_id_stands_for_the_nth_even_when_two_messages_share_it() {
    let outbound = |id: &str, text: &str| {
        json!({"type": "outbound", "requestId": id, "action": {"op": "send", "chat_id": "c", "content": text},
               "platform": "discord", "botId": "1"})
        .to_string()
    };
    let result = |id: &str| {
        format!(
            r#"{{"requestId":"{id}","type":"outbound_result","result":{{"success":true,"message_id":"{id}"}}}}"#
        )
    };
    let mut lines = handshake(0).to_vec();
    // Short ids, as another gateway might choose, and two frames in one message of the gateway.
    lines.push(gateway(10, &format!("{}\n{}", outbound("1", "the id 1"), outbound("\u{e9}2", "b"))));
    let answer = result("\u{e9}2") + "\n";
    let cut = answer.find('2').unwrap();
    lines.push(json!({"t_ms": 11, "dir": "connector", "data": &answer[..cut]}));
    lines.push(json!({"t_ms": 12, "dir": "connector", "data_b64": data_encoding::BASE64.encode(&answer.as_bytes()[cut..])}));
    lines.push(connector(13, &result("1")));
    lines.push(connector(14, &result("3")));
    let trace = passes(&lines);
    assert_eq!(count(&trace, "0.012 completed request 2 ok {\"message_id\":\"\u{e9}2\"}"), 1, "{trace:#?}");
    assert_eq!(count(&trace, "0.013 completed request 1 ok {\"message_id\":\"1\"}"), 1, "{trace:#?}");
    assert_eq!(count(&trace, "completed"), 2);
}

#[test]
fn a_01_an_ack_is_the_host_taking_that_entry() {
    let mut lines = handshake(0).to_vec();
    lines.push(connector(5, &format!("{}\n{}", inbound("b1", "one"), inbound("b2", "two"))));
    lines.push(gateway(20, r#"{"type":"inbound_ack","bufferId":"b2"}"#));
    lines.push(gateway(30, r#"{"type":"inbound_ack","bufferId":"b1"}"#));
    let trace = passes(&lines);
    assert_eq!(count(&trace, "0.020 settled   delivery 2 taken"), 1, "{trace:#?}");
}

/// A-2: a gateway that closes and dials again has refused what it did not acknowledge.
#[test]
fn a_02_a_close_before_another_dial_refuses_what_was_not_acknowledged() {
    let mut lines = handshake(0).to_vec();
    lines.push(connector(5, &inbound("b1", "one")));
    lines.push(close(50, "gateway", 1000, ""));
    lines.extend(handshake(1500));
    lines.push(connector(1600, &inbound("b1", "one")));
    lines.push(gateway(1700, r#"{"type":"inbound_ack","bufferId":"b1"}"#));
    let trace = passes(&lines);
    assert_eq!(count(&trace, "settled   delivery 1 refused"), 1, "{trace:#?}");
    assert_eq!(count(&trace, "settled   delivery 2 taken"), 1, "{trace:#?}");
}

/// L-12, L-13, L-14: what a `going_idle` was for shows in what follows.
#[test]
fn l_12_l_13_l_14_why_a_gateway_went_idle() {
    let idle = |t_ms: u64| [gateway(t_ms, GOING_IDLE), connector(t_ms + 1, IDLE_ACK)];
    for (redial, expected) in [
        (Some(2500), "going_idle -> request 1"),
        (Some(102), "close -> request"),
        (None, "does not dial again"),
    ] {
        let mut lines = handshake(0).to_vec();
        lines.extend(idle(100));
        lines.push(close(101, "gateway", 1000, ""));
        if let Some(redial) = redial {
            lines.extend(handshake(redial));
            lines.push(connector(redial + 5, &inbound("", "live again")));
        }
        let trace = passes(&lines);
        assert_eq!(count(&trace, "stopped"), usize::from(redial.is_none()), "{trace:#?}");
        assert_eq!(count(&trace, "dormant, dials"), usize::from(redial == Some(2500)), "{trace:#?}");
        assert_eq!(count(&trace, "notice    resumed"), usize::from(redial == Some(102)), "{trace:#?}");
        assert!(count(&trace, expected) > 0, "{expected}: {trace:#?}");
    }
}

/// L-5: the machine's own wait counts; a recorded dial that came sooner waits for it, and all that follows too.
#[test]
fn l_05_a_recorded_dial_that_came_too_soon_waits() {
    let mut lines = handshake(0).to_vec();
    lines.push(json!({"t_ms": 10, "dir": "drop", "by": "connector"}));
    lines.extend(handshake(20));
    lines.push(connector(30, &inbound("", "late")));
    let (run, verdict) = run(&lines);
    assert!(verdict.passes(), "{verdict}");
    // The draw is from 500 ms to 1 s, and the recorded dial came after 10 ms.
    assert!((490..=990).contains(&run.late.as_millis()), "{:?}", run.late);
}

/// L-7, L-8: a 401 whose body says `expired` is no revocation, and neither is one before the first handshake.
#[test]
fn l_07_l_08_refused_upgrades_are_told_apart() {
    let reject = |t_ms: u64, body: &str| json!({"t_ms": t_ms, "dir": "reject", "status": 401, "body": body});
    let mut lines = vec![connect(0), reject(1, "")];
    lines.extend(handshake(2000));
    lines.push(close(2100, "connector", 4401, "expired"));
    lines.extend([connect(4000), reject(4001, r#"{"error":"expired"}"#)]);
    lines.extend(handshake(9000));
    let trace = passes(&lines);
    assert_eq!(count(&trace, "timer     redial"), 3, "{trace:#?}");
    // L-9, L-10: any other is tried once more, at once, and then it is over.
    lines.push(close(9100, "connector", 4401, "unauthorized"));
    lines.extend([connect(9101), reject(9102, "")]);
    let trace = passes(&lines);
    assert_eq!(count(&trace, "fatal     relay_disabled"), 1, "{trace:#?}");
}

/// L-11: recordings hold no pongs, so a long silence is no loss.
#[test]
fn l_11_pings_are_answered() {
    let mut lines = handshake(0).to_vec();
    lines.push(connector(3_600_000, &inbound("", "an hour later")));
    let trace = passes(&lines);
    assert_eq!(count(&trace, " message "), 1);
    assert!(count(&trace, " pong ") > 100);
}

#[test]
fn what_cannot_be_played_is_named() {
    for (lines, expected) in [
        (
            vec![connect(0)],
            "wire.jsonl:1: nobody says which platform the gateway was for: name `platform` and `bot_id` under \
             `gateway`",
        ),
        (
            vec![gateway(0, HELLO)],
            "wire.jsonl:2: there is no `connect` line before it that it could belong to: put one first, or mend its \
             `dial`",
        ),
        (
            vec![connect(0), gateway(0, HELLO), json!({"t_ms": 1, "dir": "drop", "dial": 7})],
            "wire.jsonl:4: there is no `connect` line before it that it could belong to: put one first, or mend its \
             `dial`",
        ),
        (
            vec![
                connect(0),
                gateway(0, HELLO),
                json!({"t_ms": 1, "dir": "host_call", "call": "send", "args": {}}),
            ],
            "wire.jsonl:4: `args.chat_id` must be a string",
        ),
    ] {
        let error = replay::play(&recording(&lines), Options::default()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}
