//! W-1 to W-9 as the machine shows them: valid frames, and the handling of all others.

use super::driver::{Rig, buffered, descriptor, inbound, send};
use crate::stats::Stats;

#[test]
fn w_1_message_boundaries_mean_nothing() {
    let stream = format!(
        "{}\n{}\n\n{}\r\n{}\n",
        descriptor("discord", ""),
        inbound("c", "1"),
        buffered("c", "2", "b"),
        inbound("d", "\u{1f600}")
    );
    let stream = stream.as_bytes();
    let whole = {
        let mut rig = Rig::new();
        rig.opened();
        rig.bytes(stream);
        rig.log()
    };
    assert_eq!(whole.len(), 6, "{whole:?}");
    for size in [1, 2, 3, 7, 64, 300] {
        let mut rig = Rig::new();
        rig.opened();
        for piece in stream.chunks(size) {
            assert_eq!(rig.bytes(piece), piece.len());
        }
        assert_eq!(rig.log(), whole, "pieces of {size}");
    }
}

#[test]
fn w_2_blank_lines_and_an_unterminated_tail_are_dropped() {
    let mut rig = Rig::up();
    rig.bytes(b"\n \n\t\r\n   \r\n");
    let before = Stats { ..rig.machine.stats().clone() };
    rig.bytes(inbound("c", "1").as_bytes());
    rig.expect(&[]);
    rig.lost();
    rig.next();
    rig.connect();
    assert_eq!(rig.machine.stats().malformed_lines, 0);
    assert_eq!(rig.machine.stats().delivered, before.delivered);
}

#[test]
fn w_3_invalid_frames_are_skipped_and_counted() {
    let deep = format!(r#"{{"type":"inbound","event":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    let lines: [&[u8]; 14] = [
        b"not json",
        b"{",
        b"{}",
        b"[]",
        b"null",
        b"\"inbound\"",
        b"{\"type\":null}",
        b"{\"type\":7}",
        b"{\"type\":[\"inbound\"]}",
        b"{\"type\":\"inbound\",}",
        b"{\"type\":\"inbound\",\"event\":{\"text\":\"\xff\"}}",
        b"{\"type\":\"inbound\",\"event\":{}} x",
        b"\xef\xbb\xbf{\"type\":\"inbound\",\"event\":{}}",
        // W-9: nested too deep anywhere.
        deep.as_bytes(),
    ];
    let mut rig = Rig::up();
    for (at, line) in lines.iter().enumerate() {
        rig.bytes(&[line, b"\n".as_slice()].concat());
        let shown = String::from_utf8_lossy(line);
        assert_eq!(rig.machine.stats().malformed_lines, at as u64 + 1, "{shown}");
        assert!(rig.machine.wants_read());
    }
    // Lines with something for the host are dead letters (A-9), and nothing is acknowledged.
    let told = rig.log();
    assert_eq!(told.len(), 7, "{told:?}");
    assert!(
        told.iter().all(|told| told.starts_with("dead letter None: a line cannot be read: ")),
        "{told:?}"
    );
    // The connection stays up.
    rig.line(&inbound("c", "1"));
    rig.expect(&["deliver 1 live c 1"]);
}

#[test]
fn w_4_unknown_types_are_ignored_and_counted() {
    let types = [
        "hello",
        "outbound",
        "interrupt",
        "going_idle",
        "inbound_ack",
        "",
        "Inbound",
        "inbound ",
        "inbound\\u0000",
        "\\ud800",
        "future_thing",
    ];
    let mut rig = Rig::up();
    let request = rig.submit(send("c", "x"));
    rig.log();
    for (at, kind) in types.iter().enumerate() {
        let wire_id = rig.machine.wire_id(request);
        rig.line(&format!(
            r#"{{"type":"{kind}","requestId":"{wire_id}","session_key":"k","event":{{}},"result":{{}}}}"#
        ));
        assert_eq!(rig.machine.stats().unknown_frames, at as u64 + 1, "{kind}");
    }
    rig.expect(&[]);
    // An escape in a type's name does not change the type.
    rig.line(r#"{"type":"\u0069nterrupt_inbound","session_key":"k"}"#);
    rig.expect(&["interrupt k "]);
}

#[test]
fn w_5_a_line_too_long_is_a_dead_letter_that_names_the_setting() {
    let mut rig = Rig::up_with(|config| config.limits.max_line_bytes = 2000);
    let held = |rig: &Rig| rig.machine.splitter.pending_bytes();
    for _ in 0..1000 {
        rig.bytes(&[b'x'; 999]);
        assert!(held(&rig) <= 2000);
    }
    let letter = "dead letter None: a line of over 2000 bytes was discarded: raise `max_line_bytes` to take it; if it came from the connector's buffer it is not acknowledged, and comes again";
    rig.expect(&[letter]);
    // Up to its newline, and no byte further.
    rig.bytes(b"xx\n{\"type\":\"interrupt_inbound\",\"session_key\":\"k\"}\n");
    rig.expect(&["interrupt k "]);
    // A line of exactly the limit is accepted, its newline not counted.
    let exact = inbound("c", "1");
    let exact = exact.replace("hi", &"h".repeat(2000 - exact.len() + 2));
    assert_eq!(exact.len(), 2000);
    rig.line(&exact);
    rig.expect(&["deliver 1 live c 1"]);
    rig.line(&exact.replace("hh", "hhh"));
    assert_eq!(rig.log().len(), 1);
    assert!(rig.machine.stats().overlong_lines >= 2, "X-2");
}

#[test]
fn w_6_a_frame_ends_with_a_newline_and_holds_no_other() {
    let mut rig = Rig::up();
    rig.submit(send("c\n", "a\nb\u{2028}\0\u{7f}"));
    rig.expect(&[
        "> {\"type\":\"outbound\",\"requestId\":\"r1\",\"action\":{\"op\":\"send\",\"chat_id\":\"c\\n\",\"content\":\"a\\nb\u{2028}\\u0000\u{7f}\",\"reply_to\":null,\"metadata\":{}}}",
    ]);
}

#[test]
fn w_7_w_8_w_9_odd_frames_are_delivered() {
    let mut rig = Rig::up();
    rig.line(r#"{"type":"inbound","event":{"text":"a\ud83db\u0000","message_id":1,"source":{"chat_id":-1001234}}}"#);
    rig.line(
        r#"{"type":"x","type":"inbound","event":{},"event":{"message_id":"2","source":{"chat_id":"d"}}}"#,
    );
    rig.line(r#"{"type":"inbound","event":{"message_id":"3"},"bufferId":12345678901234567890123}"#);
    rig.taken(3);
    rig.expect(&[
        "deliver 1 live -1001234 1",
        "deliver 2 live d 2",
        "deliver 3 buffered  3",
        r#"> {"type":"inbound_ack","bufferId":"12345678901234567890123"}"#,
    ]);
    // A fraction is not an id, so there is no entry.
    rig.line(r#"{"type":"inbound","event":{"message_id":"4"},"bufferId":1.5}"#);
    rig.expect(&["deliver 4 live  4"]);
}

#[test]
fn w_9_128_levels_are_fine() {
    let mut rig = Rig::up();
    // The frame and the event take two levels.
    for (levels, malformed) in [(126, 0), (127, 1)] {
        let nest = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        rig.line(&format!(r#"{{"type":"inbound","event":{{"context":{nest}}}}}"#));
        assert_eq!(rig.machine.stats().malformed_lines, malformed, "{levels}");
    }
    assert_eq!(rig.machine.stats().delivered, 1);
}
