//! A-9, W-11, D-3: a line that is malformed, or almost JSON, does not stop the connection.

use super::driver::{Rig, buffered, descriptor, inbound};
use crate::line::HEAD_BYTES;
use crate::output::{Action, Notice};

const ACK: &str = r#"> {"type":"inbound_ack","bufferId":"b1"}"#;

/// Returns lines, each a buffered entry `b1`, with a description of what is wrong.
fn unreadable() -> Vec<(&'static str, Vec<u8>)> {
    let nest = |open: &str, close: &str| format!("{}{}", open.repeat(200), close.repeat(200));
    let frame = |kind: &str, value: &str| {
        format!(r#"{{"type":"{kind}","event":{{"text":{value}}},"bufferId":"b1"}}"#).into_bytes()
    };
    vec![
        (
            "byte 36 of it is not UTF-8",
            [br#"{"type":"inbound","event":{"text":""#.as_slice(), b"\xff", br#""},"bufferId":"b1"}"#]
                .concat(),
        ),
        ("it nests deeper than 128", frame("inbound", &nest("[", "]"))),
        ("it nests deeper than 128", frame("passthrough_forward", &nest("{\"a\":[", "]}"))),
        ("it is not valid JSON: expected value at line 1 column 35", frame("inbound", "undefined")),
        ("it is not valid JSON: invalid number at line 1 column 36", frame("inbound", "-NaN")),
        ("it is not valid JSON: invalid escape at line 1 column 37", frame("inbound", r#""\q""#)),
        (
            "it is not valid JSON: EOF while parsing a string at line 1 column 55",
            br#"{"type":"inbound","bufferId":"b1","event":{"text":"half"#.to_vec(),
        ),
        (
            "it is not valid JSON: trailing characters at line 1 column 46",
            br#"{"type":"inbound","bufferId":"b1","event":{}}{"type":"inbound"}"#.to_vec(),
        ),
        ("it is not an object with a string `type`", br#"{"bufferId":"b1","event":{}}"#.to_vec()),
        ("it is not an object with a string `type`", br#"{"bufferId":"b1","type":null}"#.to_vec()),
    ]
}

fn letters(rig: &mut Rig) -> Vec<(Option<String>, String)> {
    let actions = std::iter::from_fn(|| rig.machine.poll_action());
    let letters = actions.filter_map(|action| match action {
        Action::Notify(Notice::DeadLetter { buffer_id, line, .. }) => Some((buffer_id, line)),
        _ => None,
    });
    letters.collect()
}

#[test]
fn a_9_an_unreadable_entry_is_acknowledged_and_reported() {
    for (reason, line) in unreadable() {
        let mut rig = Rig::up();
        rig.bytes(&[line.as_slice(), b"\n"].concat());
        let letter = format!(r#"dead letter Some("b1"): a line cannot be read: {reason}"#);
        rig.expect(&[&letter, ACK]);
        let stats = rig.machine.stats();
        assert_eq!((stats.malformed_lines, stats.acks, stats.frames_in), (1, 1, 1), "{reason}");
        // The drain continues.
        rig.line(&buffered("c", "2", "b2"));
        rig.expect(&["deliver 1 buffered c 2"]);
    }
}

#[test]
fn a_9_a_line_without_an_id_is_only_reported() {
    let mut rig = Rig::up();
    for line in [
        br#"{"type":"inbound","event":{"text":"cut o"#.as_slice(),
        br#"{"event":{"text":"cut o"},"type":"passthrough_forward",,"bufferId":"b"#,
        br#"{"event":{"text":"x"}],"type":"inbound","bufferId":"b1"}"#,
        br#"{"event":{"text":"x","bufferId":"b1"}],,}"#,
    ] {
        rig.bytes(&[line, b"\n"].concat());
        let told = rig.log();
        assert!(told.len() == 1 && told[0].starts_with("dead letter None: "), "{told:?}");
    }
    // A line with nothing for the host is only counted, and an acknowledgement is never acknowledged.
    for line in [
        "nonsense",
        "{",
        r#"{"type":"outbound_result","requestId":"x","result":nope}"#,
        r#"{"type":"inbound_ack","bufferId":"b1",,}"#,
    ] {
        rig.line(line);
        rig.expect(&[]);
    }
    assert_eq!((rig.machine.stats().malformed_lines, rig.machine.stats().acks), (8, 0), "X-2");
    // By A-3 any other type is acknowledged.
    rig.line(r#"{"type":"future","bufferId":"b1",,}"#);
    assert_eq!(rig.log()[1..], [ACK]);
}

/// A-9: an entry is acknowledged before the handshake completes, too.
#[test]
fn a_9_an_early_entry_is_acknowledged_as_well() {
    let mut rig = Rig::new();
    rig.opened();
    rig.log();
    rig.line(r#"{"bufferId":"b1",nope}"#);
    assert_eq!(rig.log().last().map(String::as_str), Some(ACK));
}

#[test]
fn a_9_a_dead_letter_carries_the_first_64_kib_of_its_line() {
    let mut rig = Rig::up();
    let long = format!("{{\"bufferId\":\"b1\",\"x\":\"{}", "é".repeat(HEAD_BYTES));
    let lines =
        [long.as_bytes(), b"{\"type\":\"inbound\",\"x\":\"a\xffb\"}", br#"{"type":"inbound","bufferId":7}"#];
    rig.machine.handle_bytes(rig.now, rig.conn(), &[&lines.join(&b'\n')[..], b"\n"].concat());
    assert_eq!(
        letters(&mut rig),
        [
            (Some("b1".to_owned()), long[..HEAD_BYTES].to_owned()),
            (None, "{\"type\":\"inbound\",\"x\":\"a\u{fffd}b\"}".to_owned()),
            (Some("7".to_owned()), r#"{"type":"inbound","bufferId":7}"#.to_owned()),
        ]
    );
}

/// A-9, W-5: the connector keeps the entry, and can redeliver it once the limit is raised.
#[test]
fn a_9_an_entry_that_is_too_long_stays_unacknowledged() {
    let mut rig = Rig::up_with(|config| config.limits.max_line_bytes = 2000);
    let long = format!(r#"{{"type":"inbound","bufferId":"b1","event":{{"text":"{}"}}}}"#, "é".repeat(4000));
    rig.machine.handle_bytes(rig.now, rig.conn(), format!("{long}\n").as_bytes());
    let letters = letters(&mut rig);
    assert_eq!(letters, [(None, long[..2001].to_owned())]);
    assert_eq!(rig.machine.stats().acks, 0);
}

/// X-1: dead letters that the host does not take stop the reading.
#[test]
fn a_9_pending_dead_letters_are_bounded_in_bytes() {
    let mut rig = Rig::up_with(|config| config.limits.read_ahead_bytes = 100_000);
    let line = [b"{\"bufferId\":\"b\",".as_slice(), &b"\xff".repeat(4000), b"\n"].concat();
    let lines = line.repeat(100);
    // Each bad byte is shown as three bytes.
    let taken = rig.machine.handle_bytes(rig.now, rig.conn(), &lines);
    assert_eq!(taken, line.len() * 9);
    assert!(!rig.machine.wants_read() && rig.machine.usage().action_bytes < 120_000);
    rig.drain();
    assert!(rig.machine.wants_read());
}

/// W-11 holds for frames of every type.
#[test]
fn w_11_frames_with_nan_are_delivered() {
    let mut rig = Rig::new();
    rig.opened();
    rig.log();
    rig.line(&descriptor("discord", r#","x":NaN"#));
    assert!(rig.log()[0].starts_with("connected discord"));
    let with = |line: String, constant: &str| format!(r#"{},"lat":{constant}}}"#, &line[..line.len() - 1]);
    rig.line(&with(buffered("c", "1", "b1"), "NaN"));
    rig.taken(1);
    rig.expect(&["deliver 1 buffered c 1", ACK]);
    let event = inbound("c", "2").replace("\"hi\"", "\"NaN\",\"context\":[Infinity,{\"text\":-Infinity}]");
    rig.line(&event);
    rig.expect(&["deliver 2 live c 2"]);
    rig.line(r#"{"type":"interrupt_inbound","session_key":"k","n":[-Infinity]}"#);
    rig.expect(&["interrupt k "]);
    rig.submit(super::driver::send("c", "x"));
    rig.log();
    let id = rig.machine.wire_id(crate::command::RequestId(1));
    rig.line(&format!(
        r#"{{"type":"outbound_result","requestId":"{id}","result":{{"success":true,"message_id":"m","took":Infinity}}}}"#
    ));
    rig.expect(&["r1 sent m"]);
    rig.line(r#"{"type":"going_idle_ack","n":NaN}"#);
    assert_eq!(rig.machine.stats().malformed_lines, 0);
    // Malformed: as a key, as part of another token, or in lower case.
    for line in [
        r#"{"type":"interrupt_inbound","session_key":"k",NaN:1}"#,
        r#"{"type":"interrupt_inbound","session_key":"k","n":-NaN}"#,
        r#"{"type":"interrupt_inbound","session_key":"k","n":NaNx}"#,
        r#"{"type":"interrupt_inbound","session_key":"k","n":nan}"#,
    ] {
        rig.line(line);
        rig.expect(&[]);
    }
    assert_eq!(rig.machine.stats().malformed_lines, 4);
}

/// D-3: a connector that writes its version as a fraction is served.
#[test]
fn d_3_a_version_of_1_0_connects() {
    let mut rig = Rig::new();
    rig.opened();
    rig.log();
    rig.line(&descriptor("discord", r#","contract_version":1.0,"max_message_length":"2e3""#));
    assert!(rig.log()[0].starts_with("connected discord"));
    assert_eq!(rig.machine.descriptors()[0].max_message_length, 2000);
}
