//! O-10, and the effect of the other O rules on a streamed reply: as frames and answers, in virtual time.

use super::driver::{Rig, buffered, descriptor, inbound, send};
use crate::command::{Command, RequestId};
use crate::op::StreamReply;
use serde_json::{Value, json};

const DRAFTS: &str = r#","supports_draft_streaming":true,"supported_ops":["send","edit","draft"]"#;
const EDITS: &str = "";
const SEGMENTS: &str = r#","supports_edit":false"#;
/// Draft id before the first draft, as drawn from the rig's seed (O-12).
const BEFORE_DRAFTS: i64 = 114_613_302_053_189;
/// A limit of forty characters per message.
const SHORT: &str = r#","max_message_length":40"#;

/// Creates a machine that is connected to a platform with `more` in its descriptor.
fn rig(more: &str) -> Rig {
    let mut rig = Rig::new();
    serve(&mut rig, more);
    rig
}

/// Creates a machine that is connected to Slack, with drafts.
fn on_slack() -> Rig {
    let mut rig = Rig::with(|config| config.identities[0].platform = "slack".into());
    rig.opened();
    rig.line(&descriptor("slack", DRAFTS));
    rig.log();
    rig
}

fn serve(rig: &mut Rig, more: &str) {
    rig.opened();
    rig.line(&descriptor("discord", more));
    rig.log();
}

fn state(text: &str, last: bool) -> StreamReply {
    StreamReply::new("s1", text).chat_id("c").last(last).reply_to("m")
}

fn text(text: &str) -> Command {
    Command::Stream(state(text, false))
}

fn last(text: &str) -> Command {
    Command::Stream(state(text, true))
}

fn segment(text: &str) -> Command {
    Command::Stream(state(text, false).segment(true))
}

/// Returns the outputs since the last call, with actions in short: `> r2 edit 7 "text"`.
fn log(rig: &mut Rig) -> Vec<String> {
    rig.log().iter().map(|line| short(line).unwrap_or_else(|| line.clone())).collect()
}

fn short(line: &str) -> Option<String> {
    let frame: Value = serde_json::from_str(line.strip_prefix("> ")?).ok()?;
    let (id, action) = (frame["requestId"].as_str()?, frame["action"].as_object()?);
    let content = &action["content"];
    let rest = match action["op"].as_str()? {
        "send" if action["reply_to"].is_null() => format!("send {content}"),
        "send" => format!("send {content} to {}", action["reply_to"].as_str()?),
        "edit" => format!("edit {} {content}", action["message_id"].as_str()?),
        "draft" => {
            let number = action["draft_id"].as_i64()? - BEFORE_DRAFTS;
            format!("draft {number} {content} final={}", action["final"])
        }
        _ => return None,
    };
    Some(format!("> {id} {rest}"))
}

#[track_caller]
fn expect(rig: &mut Rig, expected: &[&str]) {
    assert_eq!(log(rig), expected);
}

/// Answers the request of this number, a step or a command, with success.
fn ok(rig: &mut Rig, number: u64, message_id: &str) {
    rig.answer(RequestId(number), &json!({"success": true, "message_id": message_id}).to_string());
}

#[test]
fn o_10_o_12_on_slack_a_reply_grows_as_a_draft_that_is_sealed() {
    let mut rig = on_slack();
    rig.submit(text("on"));
    expect(&mut rig, &["r1 done", r#"> r2 draft 1 "on" final=false"#]);
    ok(&mut rig, 2, "");
    rig.wait(1000);
    rig.submit(text("on and"));
    expect(&mut rig, &["r3 done", r#"> r4 draft 1 "on and" final=false"#]);
    ok(&mut rig, 4, "");
    rig.submit(last("on and on"));
    expect(&mut rig, &[r#"> r6 draft 1 "on and on" final=true"#]);
    ok(&mut rig, 6, "7");
    expect(&mut rig, &[r#"r5 streamed ["7"]"#]);
    // The next reply gets another draft. Without one the answer is a message.
    rig.submit(text("new"));
    expect(&mut rig, &["r7 done", r#"> r8 draft 2 "new" final=false"#]);
    rig.submit(Command::Stream(StreamReply { stream: "s2".into(), ..state("at once", true) }));
    expect(&mut rig, &[r#"> r10 send "at once" to m"#]);
}

#[test]
fn o_12_elsewhere_the_draft_vanishes_and_the_message_is_sent() {
    let mut rig = rig(DRAFTS);
    rig.submit(text("on"));
    ok(&mut rig, 2, "");
    rig.submit(last("on and on"));
    ok(&mut rig, 4, "7");
    expect(
        &mut rig,
        &[
            "r1 done",
            r#"> r2 draft 1 "on" final=false"#,
            r#"> r4 send "on and on" to m"#,
            r#"r3 streamed ["7"]"#,
        ],
    );
}

#[test]
fn o_12_no_draft_where_the_host_unfurls_on_slack() {
    for (value, drafts) in [(json!(false), false), (json!(true), false), (json!(null), true)] {
        let mut rig = on_slack();
        let mut state = state("a", false);
        state.metadata.insert("unfurl_links".to_owned(), value.clone());
        rig.submit(Command::Stream(state));
        let op = if drafts { "draft 1" } else { "send" };
        assert!(log(&mut rig)[1].starts_with(&format!("> r2 {op}")), "{value}");
    }
}

/// M-7: checks the metadata of each frame.
#[test]
fn m_7_only_the_frame_that_completes_the_text_notifies() {
    let said = |rig: &mut Rig| -> Vec<String> {
        let frames = rig.log().into_iter().filter_map(|line| {
            let frame: Value = serde_json::from_str(line.strip_prefix("> ")?).ok()?;
            let metadata = &frame["action"]["metadata"];
            Some(format!("{} {metadata}", frame["action"]["op"].as_str()?))
        });
        frames.collect()
    };
    let mut rig = rig(EDITS);
    let mut first = state("a", false);
    first.metadata.insert("notify".to_owned(), json!("host's"));
    rig.submit(Command::Stream(first));
    ok(&mut rig, 2, "7");
    rig.wait(1000);
    rig.submit(text("a b"));
    ok(&mut rig, 4, "");
    rig.submit(last("a b"));
    ok(&mut rig, 6, "");
    assert_eq!(
        said(&mut rig),
        [
            r#"send {"reply_to_message_id":"m"}"#,
            r#"edit {"reply_to_message_id":"m"}"#,
            r#"edit {"notify":"host's","reply_to_message_id":"m"}"#,
        ]
    );
    // M-8: on Slack every frame goes to the thread of the message.
    let mut rig = on_slack();
    rig.line(&inbound("c", "m").replace(r#""platform":"discord""#, r#""platform":"slack""#));
    rig.log();
    rig.submit(text("a"));
    ok(&mut rig, 2, "");
    rig.submit(last("a b"));
    assert_eq!(
        said(&mut rig),
        [
            r#"draft {"reply_to_message_id":"m","thread_id":"m"}"#,
            r#"draft {"notify":true,"reply_to_message_id":"m","thread_id":"m"}"#,
        ]
    );
}

/// An answer in several messages: only the last completes the turn, and only the first points at the message.
#[test]
fn m_7_an_interim_message_does_not_notify() {
    let said = |rig: &mut Rig| -> Vec<String> {
        let frames = rig.log().into_iter().filter_map(|line| {
            let frame: Value = serde_json::from_str(line.strip_prefix("> ")?).ok()?;
            let action = &frame["action"];
            let op = action["op"].as_str()?;
            Some(format!("{op} {} {} {}", action["content"], action["reply_to"], action["metadata"]))
        });
        frames.collect()
    };
    let mut rig = rig(EDITS);
    let interim = |text: &str, is_last: bool| Command::Stream(state(text, is_last).interim(is_last));
    rig.submit(interim("a", false));
    ok(&mut rig, 2, "7");
    // All of it is shown already: no further frame is needed.
    rig.submit(interim("a", true));
    assert_eq!(said(&mut rig), [r#"send "a" "m" {"reply_to_message_id":"m"}"#]);
    let mut next = state("b", true).continues(true);
    next.metadata.insert("notify".to_owned(), json!("host's"));
    rig.submit(Command::Stream(next));
    ok(&mut rig, 5, "8");
    assert_eq!(said(&mut rig), [r#"send "b" null {"notify":"host's","reply_to_message_id":"m"}"#]);
    // The last state decides.
    rig.submit(text("c"));
    ok(&mut rig, 7, "9");
    let mut last = last("c");
    if let Command::Stream(state) = &mut last {
        state.metadata.insert("notify".to_owned(), json!("later"));
    }
    rig.submit(last);
    rig.wait(1000);
    assert_eq!(said(&mut rig)[1..], [r#"edit "c" null {"notify":"later","reply_to_message_id":"m"}"#]);
}

#[test]
fn o_13_an_unanswered_seal_is_written_once_more() {
    let mut rig = on_slack();
    rig.submit(text("a"));
    ok(&mut rig, 2, "");
    rig.submit(last("a b"));
    let seal = |id: u64| format!(r#"> r{id} draft 1 "a b" final=true"#);
    expect(&mut rig, &["r1 done", r#"> r2 draft 1 "a" final=false"#, &seal(4)]);
    rig.wait(30_000);
    expect(&mut rig, &["> ping #1", &seal(5)]);
    // The first answer arrives late and is ignored. The second decides.
    ok(&mut rig, 4, "7");
    ok(&mut rig, 5, "7");
    expect(&mut rig, &[r#"r3 streamed ["7"]"#]);
}

#[test]
fn o_13_a_lost_seal_is_ambiguous_and_nothing_follows() {
    // The connection is lost before any answer, or after an ambiguous one.
    for answers in [&[][..], &[r#"{"success":false,"ambiguous":true,"error":"lost"}"#]] {
        let mut rig = on_slack();
        rig.submit(text("a"));
        ok(&mut rig, 2, "");
        rig.submit(last("a b"));
        for answer in answers {
            rig.answer(RequestId(4), answer);
        }
        rig.log();
        rig.lost();
        assert!(log(&mut rig)[0].starts_with("r3 ambiguous: "));
        rig.next();
        rig.opened();
        rig.line(&descriptor("slack", DRAFTS));
        rig.log();
        rig.wait(60_000);
        assert!(log(&mut rig).iter().all(|line| !line.contains(r#""outbound""#)));
    }
}

#[test]
fn o_7_after_a_declined_seal_nothing_more_is_sent() {
    let mut rig = on_slack();
    rig.submit(text("a"));
    ok(&mut rig, 2, "");
    rig.submit(last("a b"));
    rig.answer(RequestId(4), r#"{"success":false,"code":"egress_declined","error":"x"}"#);
    rig.wait(20_000);
    let log = log(&mut rig);
    assert_eq!(log[3..], ["r3 declined: x"]);
}

#[test]
fn o_10_edits_come_once_per_interval() {
    let mut rig = rig(EDITS);
    rig.submit(text("a"));
    expect(&mut rig, &["r1 done", r#"> r2 send "a" to m"#]);
    // Never two at a time, however long the answer takes.
    rig.wait(1500);
    rig.submit(text("a b"));
    rig.submit(text("a b c"));
    expect(&mut rig, &["r3 done", "r4 done"]);
    ok(&mut rig, 2, "7");
    expect(&mut rig, &[r#"> r5 edit 7 "a b c""#]);
    ok(&mut rig, 5, "");
    // Too soon: the newest text is sent when the interval is over.
    rig.submit(text("a b c d"));
    rig.wait(400);
    rig.submit(text("a b c d e"));
    assert_eq!(rig.until_deadline_us(), 600_000);
    rig.wait(599);
    expect(&mut rig, &["r6 done", "r7 done"]);
    rig.wait(1);
    expect(&mut rig, &[r#"> r8 edit 7 "a b c d e""#]);
    ok(&mut rig, 8, "");
    // The last state waits for nothing, and ends without a further step if everything is shown.
    rig.submit(last("a b c d e!"));
    expect(&mut rig, &[r#"> r10 edit 7 "a b c d e!""#]);
    ok(&mut rig, 10, "");
    expect(&mut rig, &[r#"r9 streamed ["7"]"#]);
    // Its timers are gone: the next timer is the ping.
    assert_eq!(rig.machine.deadline().map(|(_, timer)| timer), Some(crate::output::Timer::Ping));
}

#[test]
fn o_10_the_last_state_waits_for_the_step_that_is_under_way() {
    let mut rig = rig(EDITS);
    rig.submit(text("a"));
    ok(&mut rig, 2, "7");
    rig.wait(1000);
    rig.submit(text("a b"));
    rig.submit(last("a b c"));
    expect(&mut rig, &["r1 done", r#"> r2 send "a" to m"#, "r3 done", r#"> r4 edit 7 "a b""#]);
    assert_eq!(rig.refused(text("x")), r#"definite: the stream "s1" is finishing"#);
    assert_eq!(rig.refused(last("x")), r#"definite: the stream "s1" is finishing"#);
    ok(&mut rig, 4, "");
    expect(&mut rig, &[r#"> r6 edit 7 "a b c""#]);
    ok(&mut rig, 6, "");
    expect(&mut rig, &[r#"r5 streamed ["7"]"#]);
    // Now the name is free.
    rig.submit(last("x"));
    expect(&mut rig, &[r#"> r8 send "x" to m"#]);
}

#[test]
fn o_10_segments_are_separate_messages() {
    let mut rig = rig(SEGMENTS);
    rig.submit(text("one"));
    rig.wait(5000);
    rig.submit(segment("one."));
    expect(&mut rig, &["r1 done", "r2 done", r#"> r3 send "one." to m"#]);
    ok(&mut rig, 3, "7");
    rig.submit(segment("one. two."));
    rig.submit(text("one. two. three"));
    rig.wait(999);
    expect(&mut rig, &["r4 done", "r5 done"]);
    rig.wait(1);
    expect(&mut rig, &[r#"> r6 send "two.""#]);
    ok(&mut rig, 6, "8");
    rig.submit(last("one. two. three."));
    expect(&mut rig, &[r#"> r8 send "three.""#]);
    ok(&mut rig, 8, "9");
    expect(&mut rig, &[r#"r7 streamed ["7", "8", "9"]"#]);
}

#[test]
fn d_9_o_10_each_chat_as_its_platform_allows() {
    let mut rig = Rig::with(|config| {
        config.identities.push(crate::config::Identity::new("slack", ""));
    });
    serve(&mut rig, SEGMENTS);
    rig.line(&descriptor("slack", ""));
    rig.line(&inbound("c", "1").replace(r#""platform":"discord""#, r#""platform":"slack""#));
    rig.log();
    rig.submit(text("on slack"));
    let on = |platform: &str| {
        Command::Stream(StreamReply { stream: "s2".into(), ..state("on discord", false) }.platform(platform))
    };
    rig.submit(on("discord"));
    expect(&mut rig, &["r1 done", r#"> r2 send "on slack" to m"#, "r3 done"]);
    let other = |name: &str, chat: &str, platform: Option<&str>| {
        let platform = platform.map(str::to_owned);
        Command::Stream(StreamReply {
            stream: name.into(),
            chat_id: chat.into(),
            platform,
            ..state("x", false)
        })
    };
    // M-3
    assert_eq!(
        rig.refused(other("s3", "c", Some("matrix"))),
        "definite: relay does not front platform matrix"
    );
    assert_eq!(rig.refused(other("s1", "d", None)), r#"definite: the stream "s1" goes to chat c"#);
}

#[test]
fn o_11_a_long_reply_takes_several_messages() {
    let code = "```rust\nfn one() {}\nfn two() {}\nfn three() {}\n```\nand so on\nand on and on and on";
    let mut rig = rig(SHORT);
    rig.submit(text(&code[..20]));
    ok(&mut rig, 2, "7");
    rig.submit(last(code));
    ok(&mut rig, 4, "");
    // Only the first answers the host's message. None of them waits for the interval.
    ok(&mut rig, 5, "8");
    ok(&mut rig, 6, "9");
    expect(
        &mut rig,
        &[
            "r1 done",
            r#"> r2 send "```rust\nfn one() {}\n```" to m"#,
            r#"> r4 edit 7 "```rust\nfn one() {}\nfn two() {}\n```""#,
            r#"> r5 send "```rust\nfn three() {}\n```\nand so on""#,
            r#"> r6 send "and on and on and on""#,
            r#"r3 streamed ["7", "8", "9"]"#,
        ],
    );
}

#[test]
fn o_10_two_replies_at_once_keep_their_own_pace() {
    let mut rig = rig(EDITS);
    let of = |name: &str, text: &str, last: bool| {
        Command::Stream(StreamReply { stream: name.into(), chat_id: name.into(), ..state(text, last) })
    };
    rig.submit(of("a", "1", false));
    rig.wait(300);
    rig.submit(of("b", "2", false));
    ok(&mut rig, 4, "B");
    ok(&mut rig, 2, "A");
    rig.submit(of("a", "1 1", false));
    rig.submit(of("b", "2 2", false));
    expect(
        &mut rig,
        &["r1 done", r#"> r2 send "1" to m"#, "r3 done", r#"> r4 send "2" to m"#, "r5 done", "r6 done"],
    );
    rig.wait(700);
    expect(&mut rig, &[r#"> r7 edit A "1 1""#]);
    rig.wait(300);
    expect(&mut rig, &[r#"> r8 edit B "2 2""#]);
    rig.submit(of("b", "2 2 2", true));
    ok(&mut rig, 8, "");
    ok(&mut rig, 10, "");
    expect(&mut rig, &[r#"> r10 edit B "2 2 2""#, r#"r9 streamed ["B"]"#]);
}

/// Each step of a reply fails in each way. Checks the frames and the result of the last state.
#[test]
fn o_3_o_7_each_failure_of_a_step() {
    let cases: &[(&str, &str, &[&str])] = &[
        // The message itself.
        (r#"{"success":false,"error":"no"}"#, "", &["r3 rejected: no"]),
        (r#"{"success":false,"code":"egress_declined","error":"x"}"#, "", &["r3 declined: x"]),
        (
            r#"{"success":false,"ambiguous":true,"error":"lost"}"#,
            r#"{"success":true,"message_id":"8"}"#,
            &[r#"> r4 send "b""#, "r3 ambiguous: lost"],
        ),
        // The edit of a shown message.
        (
            r#"{"success":true,"message_id":"7"}"#,
            r#"{"success":false,"error":"too old"}"#,
            &[r#"> r4 edit 7 "a b""#, r#"> r5 send "b""#],
        ),
        (
            r#"{"success":true,"message_id":"7"}"#,
            r#"{"success":false,"ambiguous":true,"error":"lost"}"#,
            &[r#"> r4 edit 7 "a b""#, "r3 ambiguous: lost"],
        ),
        (
            r#"{"success":true,"message_id":"7"}"#,
            r#"{"success":false,"error":"egress declined: b"}"#,
            &[r#"> r4 edit 7 "a b""#, "r3 declined: egress declined: b"],
        ),
    ];
    for (first, second, expected) in cases {
        let mut rig = rig(EDITS);
        rig.submit(text("a"));
        expect(&mut rig, &["r1 done", r#"> r2 send "a" to m"#]);
        rig.submit(last("a b"));
        rig.answer(RequestId(2), first);
        rig.answer(RequestId(4), second);
        expect(&mut rig, expected);
    }
}

#[test]
fn o_9_a_draft_that_is_refused_becomes_edits() {
    let mut rig = rig(DRAFTS);
    rig.submit(text("a"));
    rig.answer(RequestId(2), r#"{"success":false,"error":"no drafts in groups"}"#);
    expect(&mut rig, &["r1 done", r#"> r2 draft 1 "a" final=false"#]);
    rig.wait(1000);
    expect(&mut rig, &[r#"> r3 send "a" to m"#]);
    ok(&mut rig, 3, "7");
    rig.submit(last("a b"));
    expect(&mut rig, &[r#"> r5 edit 7 "a b""#]);
}

#[test]
fn o_7_after_a_decline_every_state_fails_until_the_last() {
    let mut rig = rig(EDITS);
    rig.submit(text("a"));
    rig.answer(RequestId(2), r#"{"success":false,"code":"egress_declined","error":"x"}"#);
    rig.submit(text("a b"));
    rig.wait(5000);
    rig.submit(last("a b c"));
    expect(&mut rig, &["r1 done", r#"> r2 send "a" to m"#, "r3 declined: x", "r4 declined: x"]);
    rig.submit(text("new"));
    expect(&mut rig, &["r5 done", r#"> r6 send "new" to m"#]);
}

#[test]
fn o_4_a_step_that_is_not_answered_counts_as_shown() {
    let mut rig = rig(EDITS);
    rig.submit(text("a"));
    rig.submit(text("a b"));
    rig.wait(29_999);
    expect(&mut rig, &["r1 done", r#"> r2 send "a" to m"#, "r3 done"]);
    rig.line("");
    rig.wait(1);
    expect(&mut rig, &[r#"> r4 send "b""#]);
    ok(&mut rig, 4, "8");
    // The late answer is ignored.
    ok(&mut rig, 2, "7");
    assert_eq!(rig.machine.stats().stray_results, 1);
    rig.submit(last("a b"));
    ok(&mut rig, 6, "");
    expect(&mut rig, &[r#"> r6 edit 8 "b""#, "r5 ambiguous: no answer came in time"]);
}

#[test]
fn o_8_a_stream_continues_only_when_the_host_asks() {
    let mut rig = rig(EDITS);
    rig.submit(text("a"));
    ok(&mut rig, 2, "7");
    rig.submit(text("a b"));
    rig.log();
    rig.lost();
    assert_eq!(rig.refused(text("a b c")), "definite: the relay is not connected");
    assert_eq!(rig.refused(last("a b c")), "definite: the relay is not connected");
    rig.next();
    serve(&mut rig, EDITS);
    rig.wait(5000);
    expect(&mut rig, &[]);
    rig.submit(last("a b c"));
    ok(&mut rig, 5, "");
    expect(&mut rig, &[r#"> r5 edit 7 "a b c""#, r#"r4 streamed ["7"]"#]);
}

#[test]
fn o_3_o_8_the_last_state_fails_once_with_its_connection() {
    // Written: the text may be shown, and the stream sends no more.
    let mut rig = rig(EDITS);
    rig.submit(last("a"));
    rig.lost();
    let log = log(&mut rig);
    assert_eq!(
        log[..2],
        [r#"> r2 send "a" to m"#, "r1 ambiguous: the connection was lost before the answer came"]
    );
    // Not written: the state can be submitted again, and nothing is shown twice.
    let mut rig = self::rig(EDITS);
    rig.submit(text("a"));
    ok(&mut rig, 2, "7");
    rig.writable = false;
    rig.submit(last("a b"));
    rig.lost();
    assert_eq!(self::log(&mut rig)[2], "r3 definite: the connection was lost before it was written");
    rig.writable = true;
    rig.next();
    serve(&mut rig, EDITS);
    rig.submit(last("a b"));
    ok(&mut rig, 6, "");
    expect(&mut rig, &[r#"> r6 edit 7 "a b""#, r#"r5 streamed ["7"]"#]);
    // Partly written: the written part may be shown, the rest continues.
    let mut rig = self::rig(SHORT);
    let long = format!("{} the rest", "a".repeat(39));
    rig.submit(last(&long));
    rig.lost();
    assert_eq!(self::log(&mut rig)[1], "r1 definite: the connection was lost");
    rig.next();
    serve(&mut rig, SHORT);
    rig.submit(last(&long));
    ok(&mut rig, 4, "8");
    expect(
        &mut rig,
        &[r#"> r4 send "the rest""#, "r3 ambiguous: the connection was lost before the answer came"],
    );
}

#[test]
fn o_6_a_step_counts_as_in_flight() {
    let mut rig = Rig::up_with(|config| config.limits.max_in_flight = 1);
    rig.submit(text("a"));
    assert_eq!(
        rig.refused(send("c", "x")),
        "definite: 1 requests wait for their answer, as many as `max_in_flight` allows"
    );
    ok(&mut rig, 2, "7");
    rig.submit(send("c", "x"));
    rig.log();
    // If there is no room, the step waits.
    rig.submit(last("a b"));
    expect(&mut rig, &[]);
    ok(&mut rig, 3, "8");
    expect(&mut rig, &["r3 sent 8", r#"> r5 edit 7 "a b""#]);
}

#[test]
fn x_1_streams_and_their_texts_are_bounded() {
    let of = |name: &str, text: &str, last: bool| {
        Command::Stream(StreamReply { stream: name.into(), ..state(text, last) })
    };
    let mut rig = Rig::up_with(|config| {
        config.limits.streams = 2;
        config.limits.write_queue_bytes = 1024;
    });
    rig.submit(of("a", "x", false));
    rig.submit(of("b", "x", false));
    const FULL: &str = "definite: 2 streams are under way, as many as `streams` allows";
    assert_eq!(rig.refused(of("c", "x", false)), FULL);
    // A failed stream makes room once its failure was reported to the host. A stream in progress does not.
    rig.answer(RequestId(4), r#"{"success":false,"error":"no"}"#);
    assert_eq!(rig.refused(of("c", "x", false)), FULL);
    rig.submit(of("b", "x y", false));
    rig.submit(of("c", "x", false));
    assert_eq!(rig.refused(of("d", "x", false)), FULL);
    assert_eq!(
        rig.refused(of("a", &"x".repeat(1024), false)),
        "definite: the texts of all streams are longer than `write_queue_bytes` allows, 1024 bytes"
    );
    rig.submit(of("a", &"x".repeat(1000), false));
    // Metadata is kept as long as its stream, and counts.
    let mut rig = Rig::up_with(|config| config.limits.write_queue_bytes = 1024);
    let metadata = crate::command::Metadata::from_iter([("m".to_owned(), "x".repeat(1000).into())]);
    let wide = Command::Stream(state("x", false).metadata(metadata));
    assert!(rig.refused(wide).starts_with("definite: the texts of all streams are longer"));
    // A stream that is over needs no room.
    let mut rig = Rig::up_with(|config| config.limits.write_queue_bytes = 1024);
    for n in 0..3 {
        let id = rig.submit(of("a", &"x".repeat(500), true));
        ok(&mut rig, id.number() + 1, "7");
        assert_eq!(rig.log().len(), 2, "{n}");
    }
}

#[test]
fn x_1_a_resumed_stream_is_not_evicted() {
    let of = |name: &str, text: &str, last: bool| {
        Command::Stream(StreamReply { stream: name.into(), ..state(text, last) })
    };
    let mut rig = Rig::up_with(|config| config.limits.streams = 1);
    rig.submit(of("a", "x", false));
    ok(&mut rig, 2, "7");
    rig.writable = false;
    rig.submit(of("a", "x y", true));
    rig.lost();
    rig.writable = true;
    rig.next();
    serve(&mut rig, EDITS);
    rig.submit(of("a", "x y", false));
    ok(&mut rig, 6, "");
    expect(&mut rig, &["r5 done", r#"> r6 edit 7 "x y""#]);
    assert!(rig.refused(of("b", "x", false)).starts_with("definite: 1 streams are under way"));
}

#[test]
fn l_14_a_disconnect_leaves_no_stream_pending() {
    // The step is answered in time, and there is no further step.
    let mut rig = rig(SHORT);
    rig.submit(last("a"));
    rig.submit(Command::Disconnect);
    ok(&mut rig, 2, "7");
    assert!(log(&mut rig).contains(&r#"r1 streamed ["7"]"#.to_owned()));
    // The next step is not begun any more.
    let mut rig = self::rig(SHORT);
    rig.submit(text("a"));
    rig.submit(last(&"b".repeat(50)));
    rig.submit(Command::Disconnect);
    assert_eq!(rig.refused(text("x")), "definite: the connection is being closed");
    ok(&mut rig, 2, "7");
    assert_eq!(log(&mut rig).last().unwrap(), "r3 definite: the connection is being closed");
    // The step is not even written: the last state fails as soon as the close begins.
    let mut rig = self::rig(SHORT);
    rig.writable = false;
    rig.submit(last("a"));
    rig.submit(Command::Disconnect);
    rig.wait(4000);
    expect(&mut rig, &["r1 definite: the connection is being closed"]);
    // The step is not answered.
    let mut rig = self::rig(SHORT);
    rig.submit(text("a"));
    rig.submit(last("a b"));
    rig.submit(Command::Disconnect);
    rig.wait(6000);
    let log = log(&mut rig);
    let at = |line: &str| log.iter().position(|said| said.starts_with(line)).unwrap();
    assert!(at("r3 definite: the connection was lost") < at("stopped"), "{log:?}");
    assert_eq!(rig.machine.deadline(), None);
}

#[test]
fn a_2_the_dial_for_a_refused_entry_waits_for_the_last_state() {
    let mut rig = rig(SHORT);
    rig.line(&buffered("d", "1", "b1"));
    rig.submit(last(&format!("{} the rest", "a".repeat(39))));
    rig.reject(1);
    rig.log();
    ok(&mut rig, 2, "7");
    expect(&mut rig, &[r#"> r3 send "the rest""#]);
    ok(&mut rig, 3, "8");
    assert_eq!(log(&mut rig)[0], r#"r1 streamed ["7", "8"]"#);
    assert_eq!(rig.machine.phase(), crate::output::Phase::Closing);
}

#[test]
fn l_10_a_revocation_leaves_no_stream_pending() {
    let mut rig = Rig::up_with(|config| config.confirm_revocation = false);
    rig.submit(text("a"));
    ok(&mut rig, 2, "7");
    rig.submit(last("a b"));
    rig.log();
    rig.closed(4401, "revoked");
    let log = log(&mut rig);
    assert_eq!(log[0], "r3 ambiguous: the connection was lost before the answer came");
    assert_eq!(log.last().unwrap(), "fatal relay_disabled retryable=false");
    assert_eq!(rig.machine.deadline(), None);
}

#[test]
fn l_15_a_clock_at_its_end_or_a_jump_makes_no_loop() {
    let mut rig = rig(EDITS);
    rig.submit(text("a"));
    ok(&mut rig, 2, "7");
    rig.submit(text("a b"));
    rig.log();
    rig.jump_to(80_000);
    let edits = |line: &&String| line.starts_with("> r4 edit");
    assert_eq!(log(&mut rig).iter().filter(edits).count(), 1);
    rig.jump_to(u64::MAX);
    rig.tick();
    assert!(rig.machine.deadline().is_none_or(|(due, _)| due > rig.now.mono));
}

/// X-1: ids of messages are kept until the reply is complete, so an id that is too long counts as missing.
#[test]
fn x_1_a_message_id_of_over_a_kilobyte_is_not_kept() {
    for (size, kept) in [(1024, 1), (1025, 0)] {
        let mut rig = rig(SEGMENTS);
        rig.submit(last("all"));
        rig.log();
        ok(&mut rig, 2, &"x".repeat(size));
        assert_eq!(rig.machine.stats().overlong_ids, 1 - kept);
        let ids: Vec<String> = (0..kept).map(|_| "x".repeat(size)).collect();
        rig.expect(&[&format!("r1 streamed {ids:?}")]);
    }
}

/// O-6 limits the host's requests. A step of an accepted stream waits for room, and keeps its turn.
#[test]
fn o_6_a_step_waits_for_room() {
    let mut rig = Rig::with(|config| config.limits.max_in_flight = 1);
    serve(&mut rig, EDITS);
    rig.submit(send("c", "before"));
    expect(&mut rig, &[r#"> r1 send "before""#]);
    rig.submit(last("one"));
    rig.submit(Command::Stream(StreamReply { stream: "s2".into(), ..state("two", true) }));
    expect(&mut rig, &[]);
    ok(&mut rig, 1, "5");
    expect(&mut rig, &["r1 sent 5", r#"> r4 send "one" to m"#]);
    ok(&mut rig, 4, "6");
    expect(&mut rig, &[r#"r2 streamed ["6"]"#, r#"> r5 send "two" to m"#]);
    ok(&mut rig, 5, "7");
    expect(&mut rig, &[r#"r3 streamed ["7"]"#]);
}

/// X-1: a step also waits for room in the write queue, and is written afterwards.
#[test]
fn x_1_a_step_waits_for_the_write_queue() {
    let mut rig = Rig::with(|config| config.limits.write_queue_bytes = 1024);
    serve(&mut rig, EDITS);
    rig.writable = false;
    rig.submit(send("c", &"x".repeat(700)));
    rig.submit(last(&"y".repeat(100)));
    rig.writable = true;
    rig.drain();
    let frames: Vec<String> = log(&mut rig).into_iter().filter(|line| line.starts_with('>')).collect();
    assert_eq!(frames.len(), 2, "{frames:?}");
    assert!(frames[1].contains("yyy"), "{frames:?}");
}

/// A step that fits beside the unwritten frames does not wait.
#[test]
fn x_1_a_step_that_fits_beside_others_is_queued() {
    let mut rig = Rig::with(|config| config.limits.write_queue_bytes = 4096);
    serve(&mut rig, EDITS);
    rig.writable = false;
    rig.submit(send("c", &"x".repeat(700)));
    rig.submit(last(&"y".repeat(100)));
    assert_eq!(rig.machine.usage().requests, 2);
}

/// O-8: a step that still waits for room when the connection is lost fails.
#[test]
fn o_8_a_step_that_waits_for_room_fails_with_the_connection() {
    let mut rig = Rig::with(|config| config.limits.max_in_flight = 1);
    serve(&mut rig, EDITS);
    rig.submit(send("c", "before"));
    rig.submit(last("one"));
    rig.log();
    rig.lost();
    let ended = log(&mut rig);
    assert!(ended.iter().any(|line| line.starts_with("r2 definite")), "{ended:?}");
}

/// X-1: texts, ids and metadata count until the reply is complete, and not afterwards.
#[test]
fn x_1_a_streams_weight_is_that_of_its_kept_parts() {
    let mut rig = rig(SEGMENTS);
    let say = |stream: &str, text: &str, last: bool| {
        let metadata = json!({"k": "v"}).as_object().cloned().unwrap_or_default();
        Command::Stream(StreamReply {
            stream: stream.into(),
            chat_id: "chat".into(),
            reply_to: Some("m7".into()),
            platform: Some("discord".into()),
            segment: true,
            metadata,
            ..state(text, last)
        })
    };
    let own = "chatm7discord".len() + crate::json::weight_of_fields(json!({"k": "v"}).as_object().unwrap());
    let bytes = |rig: &Rig| (rig.machine.usage().streams, rig.machine.usage().stream_bytes);
    let end = size_of::<usize>();
    rig.submit(say("s1", "hello", false));
    assert_eq!(bytes(&rig), (1, own + 5 + end));
    rig.submit(say("s1", "hello you", false));
    assert_eq!(bytes(&rig), (1, own + 9 + 2 * end));
    let id = "x".repeat(100);
    ok(&mut rig, 2, &id);
    rig.wait(1000);
    ok(&mut rig, 4, &id);
    assert_eq!(bytes(&rig), (1, own + 2 * (100 + size_of::<String>())));
    rig.submit(say("s2", "more", false));
    assert_eq!(bytes(&rig), (2, 2 * own + 2 * (100 + size_of::<String>()) + 4 + end));
    rig.submit(say("s1", "hello you", true));
    assert_eq!(bytes(&rig), (1, own + 4 + end));
}

#[test]
fn x_1_the_texts_of_all_streams_are_bounded_to_the_byte() {
    let mut rig = Rig::with(|config| config.limits.write_queue_bytes = 2000);
    serve(&mut rig, SEGMENTS);
    let say = |stream: &str, bytes: usize| {
        Command::Stream(StreamReply { stream: stream.into(), ..state(&"x".repeat(bytes), false) })
    };
    let full = "definite: the texts of all streams are longer than `write_queue_bytes` allows, 2000 bytes";
    // The ids of the chat and of the answered message have one byte each.
    assert_eq!(rig.refused(say("s1", 1999)), full);
    rig.submit(say("s1", 998));
    assert_eq!(rig.refused(say("s2", 999)), full);
    rig.submit(say("s2", 998));
    // A state replaces the previous one.
    rig.submit(say("s1", 998));
    assert_eq!((rig.machine.usage().streams, rig.machine.usage().stream_bytes), (2, 2000));
}
