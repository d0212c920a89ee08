//! Sessions as a recorder of the wire writes them: the host's commands that their lines imply, and replays of gateways
//! other than the reference.

use relayline_harness::recording::Recording;
use relayline_harness::replay::{self, Cut, ReplayOptions, ReplayRun, Verdict};
use serde_json::{Value, json};

const DESCRIPTOR: &str = r#"{"type":"descriptor","descriptor":{"contract_version":1,"platform":"discord","label":"D","max_message_length":2000,"supports_draft_streaming":false,"supports_edit":true,"supports_threads":true,"markdown_dialect":"discord","len_unit":"chars"}}"#;
const HELLO: &str = r#"{"type":"hello","platform":"discord","botId":"1"}"#;
const GOING_IDLE: &str = r#"{"type":"going_idle"}"#;
const SEND: &str =
    r#"{"type":"outbound","requestId":"1","action":{"op":"send","chat_id":"c","content":"x"}}"#;
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

fn cut(t_ms: u64) -> Value {
    json!({"t_ms": t_ms, "dir": "drop", "by": "connector"})
}

/// Returns an upgrade, and its handshake a millisecond later.
fn handshake(t_ms: u64) -> [Value; 3] {
    [connect(t_ms), gateway(t_ms, HELLO), connector(t_ms + 1, DESCRIPTOR)]
}

fn inbound(buffer: &str, text: &str) -> String {
    json!({"type": "inbound", "bufferId": buffer, "event": {"text": text, "message_id": text, "source": {"chat_id": "c"}}})
        .to_string()
}

fn ack(buffer: &str) -> String {
    json!({"type": "inbound_ack", "bufferId": buffer}).to_string()
}

fn recording(lines: &[Value]) -> Recording {
    let header = json!({"relay_session": 1, "title": "", "recorded_from": "relayline record", "note": ""});
    let text: String = std::iter::once(&header).chain(lines).map(|line| format!("{line}\n")).collect();
    Recording::read("wire.jsonl", text.as_bytes()).unwrap()
}

fn run(lines: &[Value]) -> (ReplayRun, Verdict) {
    let recording = recording(lines);
    let run = replay::play(&recording, ReplayOptions::default()).unwrap();
    let verdict = replay::check(&recording, &run);
    // W-1 holds for any session.
    for cut in [Cut::Bytes, Cut::Random(3)] {
        let again = replay::play(&recording, ReplayOptions::cut(cut)).unwrap();
        assert_eq!(text(&again), text(&run));
    }
    (run, verdict)
}

fn text(run: &ReplayRun) -> Vec<String> {
    run.trace.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn passes(lines: &[Value]) -> Vec<String> {
    let (run, verdict) = run(lines);
    assert!(verdict.passes() && verdict.departs.is_empty(), "{verdict}\n{}", text(&run).join("\n"));
    text(&run)
}

/// Returns the number of trace entries that contain a text.
fn count(trace: &[String], what: &str) -> usize {
    trace.iter().filter(|entry| entry.contains(what)).count()
}

#[test]
fn o_1_the_nth_request_id_corresponds_to_the_nth() {
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
    // Short ids, as another gateway might choose them, and two frames in one message of the gateway.
    lines.push(gateway(10, &format!("{}\n{}", outbound("1", "the id 1"), outbound("\u{e9}2", "b"))));
    let answer = result("\u{e9}2") + "\n";
    let cut = answer.find('2').unwrap();
    lines.push(json!({"t_ms": 11, "dir": "connector", "data": &answer[..cut]}));
    lines.push(json!({"t_ms": 12, "dir": "connector", "data_b64": data_encoding::BASE64.encode(&answer.as_bytes()[cut..])}));
    lines.push(connector(13, &result("1")));
    lines.push(connector(14, &result("3")));
    let trace = passes(&lines);
    assert_eq!(
        count(&trace, "0.012 completed request 2 ok {\"message_id\":\"\u{e9}2\",\"success\":true}"),
        1,
        "{trace:#?}"
    );
    assert_eq!(
        count(&trace, "0.013 completed request 1 ok {\"message_id\":\"1\",\"success\":true}"),
        1,
        "{trace:#?}"
    );
    assert_eq!(count(&trace, "completed"), 2);
}

#[test]
fn a_1_an_ack_means_that_the_host_took_the_entry() {
    let mut lines = handshake(0).to_vec();
    lines.push(connector(5, &format!("{}\n{}", inbound("b1", "one"), inbound("b2", "two"))));
    lines.push(gateway(20, &ack("b2")));
    lines.push(gateway(30, &ack("b1")));
    let trace = passes(&lines);
    assert_eq!(count(&trace, "0.020 settled   delivery 2 taken"), 1, "{trace:#?}");
}

/// A-2: a gateway that closes and dials again has refused the entries that it did not acknowledge.
#[test]
fn a_2_a_close_refuses_unacknowledged_entries() {
    let mut lines = handshake(0).to_vec();
    lines.push(connector(5, &inbound("b1", "one")));
    lines.push(close(50, "gateway", 1000, ""));
    lines.extend(handshake(1500));
    lines.push(connector(1600, &inbound("b1", "one")));
    lines.push(gateway(1700, &ack("b1")));
    let trace = passes(&lines);
    assert_eq!(count(&trace, "settled   delivery 1 refused"), 1, "{trace:#?}");
    assert_eq!(count(&trace, "settled   delivery 2 taken"), 1, "{trace:#?}");
}

/// L-12, L-13, L-14: the purpose of a `going_idle` follows from the events after it.
#[test]
fn l_12_l_13_l_14_the_purpose_of_going_idle() {
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

/// L-5: dials happen at the recorded times. If a recorded dial came sooner than the machine's, the machine's clock
/// jumps ahead.
#[test]
fn l_5_the_clock_jumps_ahead_to_an_early_recorded_dial() {
    let mut lines = handshake(0).to_vec();
    lines.push(cut(10));
    lines.extend(handshake(20));
    lines.push(connector(30, &inbound("", "late")));
    let trace = passes(&lines);
    // The draw is from 500 ms to 1 s, and the recorded dial came after 10 ms.
    let jump = trace.iter().find_map(|entry| entry.strip_prefix("    0.020 clock     ")).unwrap();
    let ms: u64 = jump.split(' ').next().unwrap().parse().unwrap();
    assert!((490..=990).contains(&ms), "{jump}");
    assert_eq!(count(&trace, "    0.030 message   "), 1, "{trace:#?}");
}

/// If a recorded dial comes later, the clock stands still: a recording of the wire does not contain unanswered dials.
#[test]
fn l_5_the_clock_stops_for_a_late_recorded_dial() {
    let mut lines = handshake(0).to_vec();
    lines.push(cut(10));
    lines.extend(handshake(3_600_000));
    let trace = passes(&lines);
    assert_eq!((count(&trace, " dial "), count(&trace, "dial_timeout")), (2, 0), "{trace:#?}");
    // A dial that never comes implies nothing either.
    lines.push(cut(3_600_010));
    lines.push(json!({"t_ms": 7_200_000, "dir": "note", "text": "the recorder ends"}));
    passes(&lines);
}

/// L-10, L-14: a gateway that has ended dials no more, so a further dial belongs to a new process.
#[test]
fn l_10_l_14_a_dial_after_the_end_is_a_new_process() {
    let unauthorized = |t_ms| close(t_ms, "connector", 4401, "unauthorized");
    for ended in [
        vec![gateway(20, GOING_IDLE), close(2020, "gateway", 1000, "")],
        vec![
            unauthorized(20),
            connect(21),
            json!({"t_ms": 22, "dir": "reject", "status": 401, "body": "{\"error\":\"unauthorized\"}"}),
        ],
    ] {
        let mut lines = handshake(0).to_vec();
        lines.push(connector(5, &inbound("b1", "one")));
        lines.extend(ended);
        lines.extend(handshake(9_000));
        lines.push(connector(9_005, &inbound("b1", "one")));
        lines.push(gateway(9_010, &ack("b1")));
        let trace = passes(&lines);
        assert_eq!(count(&trace, " process "), 1, "{trace:#?}");
    }
}

/// L-7, L-8: a 401 whose body says `expired` is not a revocation. Neither is a refusal before the first handshake.
#[test]
fn l_7_l_8_kinds_of_refused_upgrades_are_distinguished() {
    let reject = |t_ms: u64, body: &str| json!({"t_ms": t_ms, "dir": "reject", "status": 401, "body": body});
    let mut lines = vec![connect(0), reject(1, "")];
    lines.extend(handshake(2000));
    lines.push(close(2100, "connector", 4401, "expired"));
    lines.extend([connect(4000), reject(4001, r#"{"error":"expired"}"#)]);
    lines.extend(handshake(9000));
    let trace = passes(&lines);
    assert_eq!(count(&trace, "timer     redial"), 3, "{trace:#?}");
    // L-9, L-10: any other refusal is retried once, at once, and then it is final.
    lines.push(close(9100, "connector", 4401, "unauthorized"));
    lines.extend([connect(9101), reject(9102, r#"{"error":"unauthorized"}"#)]);
    let trace = passes(&lines);
    assert_eq!(count(&trace, "fatal     relay_disabled"), 1, "{trace:#?}");
}

/// L-11: recordings contain no pongs, so a long silence is not a loss.
#[test]
fn l_11_pings_are_answered() {
    let mut lines = handshake(0).to_vec();
    lines.push(connector(3_600_000, &inbound("", "an hour later")));
    let trace = passes(&lines);
    assert_eq!(count(&trace, " message "), 1);
    assert!(count(&trace, " pong ") > 100);
}

#[test]
fn an_unplayable_line_is_named() {
    for (lines, expected) in [
        (
            vec![connect(0)],
            "wire.jsonl: no gateway said hello in it, so that there is nothing to play (a recording whose first line \
             names `platform` and `bot_id` under `gateway` is played all the same)",
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
        let error = replay::play(&recording(&lines), ReplayOptions::default()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

/// Returns an event that is identical to others.
fn anonymous(buffer: &str) -> String {
    json!({"type": "inbound", "bufferId": buffer, "event": {"text": "x", "source": {"chat_id": "c"}}})
        .to_string()
}

/// I-1, I-3: a prompt of the recorded gateway corresponds to one of the machine under another id, so its answers are
/// recognised, in an event and in a forwarded interaction.
#[test]
fn i_1_i_3_the_nth_prompt_corresponds_to_the_nth() {
    let prompt = |request: &str, id: &str| {
        json!({"type": "outbound", "requestId": request, "platform": "discord", "botId": "1", "action":
            {"op": "prompt", "chat_id": "c", "prompt_kind": "choice", "prompt_id": id, "content": "?",
             "options": [{"id": "yes", "label": "Yes"}], "timeout_s": 60, "reply_to": null, "metadata": {}}})
        .to_string()
    };
    let answer = |buffer: &str, id: &str| {
        json!({"type": "inbound", "bufferId": buffer, "event": {"text": "/yes", "message_id": buffer,
               "prompt_response": {"prompt_id": id, "option_id": "yes"}, "source": {"chat_id": "c"}}})
        .to_string()
    };
    let interaction =
        json!({"id": buffer_of(2), "type": 3, "channel_id": "c", "data": {"custom_id": "hp1:mine-2:yes"}});
    let body = data_encoding::BASE64.encode(interaction.to_string().as_bytes());
    let chosen = json!({"type": "passthrough_forward", "bufferId": buffer_of(2), "forward":
        {"platform": "discord", "method": "POST", "path": "/", "headers": [], "bodyB64": body}});
    let offers = DESCRIPTOR.replace("\"chars\"", r#""chars","supported_ops":["send","prompt"]"#);
    let mut lines = vec![connect(0), gateway(0, HELLO), connector(1, &offers)];
    lines.extend([gateway(10, &prompt("a", "mine-1")), gateway(11, &prompt("b", "mine-2"))]);
    // Each is acknowledged late: an answer without an open prompt would be acknowledged at once (A-3).
    lines.extend([connector(20, &answer("b1", "mine-1")), gateway(30, &ack("b1"))]);
    let split = chosen.to_string();
    let (head, tail) = split.split_at(split.len() / 2);
    lines.push(json!({"t_ms": 40, "dir": "connector", "data": head}));
    lines.extend([connector(41, tail), gateway(50, &ack(&buffer_of(2)))]);
    lines.extend([connector(60, &answer("b3", "mine-1")), gateway(60, &ack("b3"))]);
    let trace = passes(&lines);
    assert_eq!(count(&trace, " answer "), 2, "{trace:#?}");
    assert_eq!(
        (
            count(&trace, "0.030 settled   delivery 1 taken"),
            count(&trace, "0.050 settled   delivery 2 taken")
        ),
        (1, 1)
    );

    // If the platform offers no prompts, the frame is written unchanged.
    lines[2] = connector(1, DESCRIPTOR);
    let trace = text(&run(&lines).0);
    assert_eq!(
        (count(&trace, r#""prompt_id":"mine-1""#), count(&trace, "unsupported")),
        (3, 2),
        "{trace:#?}"
    );
}

fn buffer_of(n: u32) -> String {
    format!("b{n}")
}

/// A-5: an acknowledgement is for the entry of its own connection, even if an earlier entry is identical.
#[test]
fn a_5_an_ack_belongs_to_its_own_connection() {
    let mut lines = handshake(0).to_vec();
    lines.push(connector(5, &anonymous("b1")));
    lines.push(cut(10));
    lines.extend(handshake(1000));
    lines.extend([connector(1005, &anonymous("b1")), gateway(1010, &ack("b1"))]);
    let trace = passes(&lines);
    assert_eq!(count(&trace, "1.010 settled   delivery 2 taken"), 1, "{trace:#?}");
}

/// A-2, A-4: the refused entry may have come on an earlier connection, with its duplicate on this one.
#[test]
fn a_2_a_4_a_close_refuses_a_delivery_and_its_duplicate() {
    let mut lines = handshake(0).to_vec();
    lines.push(connector(5, &inbound("b1", "one")));
    lines.push(cut(10));
    lines.extend(handshake(1000));
    lines.extend([connector(1005, &inbound("b1", "one")), close(1010, "gateway", 1000, "")]);
    lines.extend(handshake(3000));
    lines.extend([connector(3005, &inbound("b1", "one")), gateway(3010, &ack("b1"))]);
    let trace = passes(&lines);
    assert_eq!(count(&trace, "1.010 settled   delivery 1 refused"), 1, "{trace:#?}");
    assert_eq!(count(&trace, "1.010 settled   delivery 2 refused"), 1, "{trace:#?}");
    assert_eq!(count(&trace, "3.010 settled   delivery 3 taken"), 1, "{trace:#?}");
}

/// P-2: only the time of its acknowledgement shows that the host asked for a raw forward.
#[test]
fn p_2_a_raw_forward_is_accepted_when_acknowledged() {
    let forward = json!({"type": "passthrough_forward", "bufferId": "b1", "forward": {"platform": "twilio"}})
        .to_string();
    for acked in [5, 500] {
        let mut lines = handshake(0).to_vec();
        lines.extend([connector(5, &forward), gateway(acked, &ack("b1"))]);
        let trace = passes(&lines);
        assert_eq!(count(&trace, &format!("0.{acked:03} settled   delivery 1 taken")), 1, "{trace:#?}");
    }
}

/// L-12, L-13, L-14: further combinations of a `going_idle`, a close and the next dial.
#[test]
fn l_12_l_13_l_14_the_purpose_of_a_close_after_going_idle() {
    let idle = gateway(100, GOING_IDLE);
    let confirmed = connector(200, IDLE_ACK);
    let busy = gateway(150, SEND);
    for (between, close_at, redial, expected) in [
        // Until idleness is confirmed a host may send requests.
        (vec![busy.clone(), confirmed.clone()], 200, 1300, "notice    dormant"),
        // A host that resumes does not wait for the confirmation,
        (vec![], 150, 160, "close -> request"),
        // and a disconnecting gateway waits for it in vain.
        (vec![], 2100, 9000, "process "),
    ] {
        let mut lines = handshake(0).to_vec();
        lines.push(idle.clone());
        lines.extend(between);
        lines.push(close(close_at, "gateway", 1000, ""));
        lines.extend(handshake(redial));
        let trace = passes(&lines);
        assert_eq!(count(&trace, expected), 1, "{expected}: {trace:#?}");
    }
}

/// L-13, L-14: a disconnecting gateway takes no more requests. If a request came meanwhile, the gateway went dormant,
/// and stays so.
#[test]
fn l_13_l_14_a_recording_may_end_while_the_gateway_sleeps() {
    let mut lines = handshake(0).to_vec();
    lines.extend([gateway(100, GOING_IDLE), gateway(150, SEND), connector(200, IDLE_ACK)]);
    lines.push(close(200, "gateway", 1000, ""));
    let trace = passes(&lines);
    assert_eq!(count(&trace, "notice    dormant"), 1, "{trace:#?}");
}

/// L-14, L-4: a gateway that closes before its handshake was told to disconnect. One that has written nothing was cut
/// off.
#[test]
fn l_14_before_the_handshake() {
    let mut lines = vec![connect(0), gateway(1, HELLO), close(50, "gateway", 1000, "")];
    lines.extend(handshake(5000));
    let trace = passes(&lines);
    assert_eq!((count(&trace, " process "), count(&trace, "notice    stopped")), (1, 1), "{trace:#?}");

    let mut lines = vec![connect(0), cut(1)];
    lines.extend(handshake(5000));
    passes(&lines);
}

/// A note of the recorder is shown in the trace, at its time.
#[test]
fn notes_are_shown_in_the_trace() {
    let mut lines = handshake(0).to_vec();
    lines.push(json!({"t_ms": 7, "dir": "note", "text": "the user pulls the plug"}));
    let trace = passes(&lines);
    assert_eq!(count(&trace, "    0.007 note      the user pulls the plug"), 1, "{trace:#?}");
}
