//! Format of the recordings: reading, writing, and errors about files that are not recordings.

use relayline_core::secret::Secret;
use relayline_harness::recording::{
    CallOutcome, Data, Gateway, Header, LineContent, RecordedLine, Recording, RecordingError,
};
use serde_json::{Map, Value, json};
use std::path::Path;

fn read(text: &str) -> Result<Recording, RecordingError> {
    Recording::read("recordings/x.jsonl", text.as_bytes())
}

fn written(recording: &Recording) -> String {
    let mut out = Vec::new();
    recording.write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

const HEADER: &str =
    r#"{"relay_session":1,"title":"t","recorded_from":"f","note":"","gateway":{"platform":"p"}}"#;

/// Every recording is unchanged after a round trip, field by field, and writing it again changes nothing.
#[test]
fn a_round_trip_loses_nothing_and_is_stable() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "jsonl") {
            continue;
        }
        let original = std::fs::read_to_string(&path).unwrap();
        let first = written(&Recording::load(&path).unwrap());
        let values = |text: &str| -> Vec<Value> {
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        assert_eq!(values(&first), values(&original), "{}", path.display());
        assert_eq!(written(&read(&first).unwrap()), first, "{}", path.display());
    }
}

#[test]
fn unknown_fields_are_kept() {
    let lines = [
        r#"{"relay_session":1,"title":"","recorded_from":"","note":"","gateway":{"region":"eu"},"made":"later"}"#,
        r#"{"t_ms":1,"dir":"weather","seen_at":1.7825544007777777e+24,"sky":["grey"]}"#,
        r#"{"t_ms":1,"dir":"connect","url_path":"/relay","headers":{"x":"y"},"tls":true}"#,
        r#"{"t_ms":2,"dir":"connector","data_b64":"/wA="}"#,
        r#"{"t_ms":3,"dir":"reject","status":401,"body":"{\"error\":\"expired\"}"}"#,
        r#"{"t_ms":3,"dir":"host_call","call":"dance","args":{},"raised":{"type":"E","message":"m"},"done_ms":4}"#,
        r#"{"t_ms":3,"dir":"host_event","kind":"message","event":{},"session_key":null,"handler_raised":{}}"#,
        r#"{"t_ms":3,"dir":"note","text":"é"}"#,
    ];
    let text = lines.join("\n") + "\n";
    let recording = read(&text).unwrap();
    assert_eq!(written(&recording), text);
    assert_eq!(recording.lines[0].what, LineContent::Other("weather".into()));
    assert_eq!(recording.lines[2].what, LineContent::Connector(Data::Binary(vec![255, 0])));
    // Empty lines do not count, and do not break the order of a file.
    assert_eq!(read(&text.replace('\n', "\n\r\n")).unwrap().lines[1].number, 5);
}

#[test]
fn an_error_of_a_file_names_its_line_and_the_fix() {
    let version = "this is a recording of version 2, and only version 1 can be read: use a newer relayline, or record \
                   the session again";
    let header = "this is not a recorded session: its first line must be a header with `relay_session`: 1";
    for (text, line, problem) in [
        ("", 1, header),
        ("{}", 1, header),
        (r#"{"relay_session":2}"#, 1, version),
        (r#"{"relay_session":"1"}"#, 1, "`relay_session` is the format's version: it must be 1"),
        (
            r#"{"relay_session":1,"gateway":{"connect_timeout_s":-1}}"#,
            1,
            "gateway: `connect_timeout_s` must be a number of seconds, not negative",
        ),
        ("hello", 1, header),
        ("[]", 1, header),
        (
            "@hello",
            2,
            "this is not valid JSON (column 1): write one object per line, and no line break within it",
        ),
        ("@[]", 2, "this is not a JSON object: write one object per line"),
        (r#"@{"dir":"note","text":"x"}"#, 2, "`t_ms` is missing: it must be a whole number, not negative"),
        (r#"@{"t_ms":1.5,"dir":"note","text":"x"}"#, 2, "`t_ms` must be a whole number, not negative"),
        (r#"@{"t_ms":1}"#, 2, "`dir` is missing: it must be a string"),
        (r#"@{"t_ms":1,"dir":"note"}"#, 2, "a `note` line: `text` is missing: it must be a string"),
        (
            r#"@{"t_ms":1,"dir":"close","by":"me"}"#,
            2,
            "a `close` line: `by` must be \"gateway\" or \"connector\"",
        ),
        (
            r#"@{"t_ms":1,"dir":"gateway"}"#,
            2,
            "a `gateway` line: `data` is missing: write the message's text, or its bytes as `data_b64`",
        ),
        (
            r#"@{"t_ms":1,"dir":"connector","data_b64":"?"}"#,
            2,
            "a `connector` line: `data_b64` must be standard base64, padded",
        ),
        (
            "@{\"t_ms\":5,\"dir\":\"note\",\"text\":\"\"}\n\n{\"t_ms\":4,\"dir\":\"note\",\"text\":\"\"}",
            4,
            "`t_ms` goes back from 5 to 4: put the lines in the order of time",
        ),
    ] {
        let text = text.replace('@', &format!("{HEADER}\n"));
        let error = read(&text).unwrap_err();
        assert_eq!(error.to_string(), format!("recordings/x.jsonl:{line}: {problem}"));
    }
    // An incomplete line at the end of the file is a gap: its recorder was killed.
    for torn in [&b"{\"t_ms\":1,\"dir\":\"no"[..], b"{", b"{\"t_ms\":1,\"dir\":\"note\",\"text\":\"\xc3"] {
        let text = [HEADER.as_bytes(), b"\n", torn].concat();
        assert_eq!(Recording::read("x", &text).unwrap().until_gap().1, Some(2));
        Recording::read("x", &[&text[..], b"\n"].concat()).unwrap_err();
    }
    let error = Recording::read("x", b"{\"relay_session\":1}\n\xff").unwrap_err();
    assert_eq!(error.to_string(), "x:2: byte 1 is not UTF-8: save the file as UTF-8");
    let error = Recording::load(Path::new("no/such.jsonl")).unwrap_err().to_string();
    assert!(error.starts_with("no/such.jsonl: cannot be read: "), "{error}");
}

/// C-4: neither `Debug` nor an error about a bad line shows a secret.
#[test]
fn c_4_secrets_are_not_shown() {
    let secret = "hunter2";
    let recording = read(&format!(
        "{}\n{}\n",
        r#"{"relay_session":1,"gateway":{"platform":"p","gateway_id":"g","upgrade_secret":"hunter2"}}"#,
        r#"{"t_ms":0,"dir":"connect","url_path":"/relay","headers":{"Authorization":"Bearer hunter2"}}"#,
    ))
    .unwrap();
    assert!(!format!("{recording:?}").contains(secret));
    assert!(format!("{recording:?}").contains("authorization: Some(<hidden>)"));
    // The file itself contains it, as intended.
    assert_eq!(written(&recording).matches(secret).count(), 2);
    for line in [
        r#"{"t_ms":"hunter2","dir":"connect"}"#,
        r#"{"t_ms":0,"dir":"connect","headers":"hunter2"}"#,
        r#"{"t_ms":0,"dir":"connect","headers":{"authorization":["hunter2"]}}"#,
        r#"{"t_ms":0,"dir":"connect","headers":{"authorization":"hunter2"}"#,
    ] {
        let error = read(&format!("{HEADER}\n{line}\n")).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(secret), "{error}");
    }
}

/// A recorder writes line by line, and never has a secret.
#[test]
fn lines_can_be_written_one_by_one() {
    let header = Header {
        title: "a session".into(),
        recorded_from: "relayline record".into(),
        gateway: Gateway { gateway_id: Some("gw-1".into()), ..Gateway::default() },
        ..Header::default()
    };
    assert_eq!(
        header.to_json(),
        r#"{"relay_session":1,"title":"a session","recorded_from":"relayline record","note":"","gateway":{"gateway_id":"gw-1"}}"#
    );
    let call = LineContent::HostCall {
        call: "send".into(),
        args: Map::from_iter([("chat_id".to_owned(), json!("c"))]),
        ended: CallOutcome::Result(Value::Null),
        done_ms: None,
    };
    let connect = LineContent::Connect {
        url_path: "/relay".into(),
        dial: Some(1),
        authorization: Some(Secret::new("Bearer <hidden>")),
        headers: Map::new(),
        clock_unix_s: None,
    };
    for (what, expected) in [
        (call, r#"{"t_ms":7,"dir":"host_call","call":"send","args":{"chat_id":"c"},"result":null}"#),
        (
            connect,
            r#"{"t_ms":7,"dir":"connect","url_path":"/relay","dial":1,"headers":{"authorization":"Bearer <hidden>"}}"#,
        ),
        (LineContent::Gateway(Data::Text("{}\n".into())), r#"{"t_ms":7,"dir":"gateway","data":"{}\n"}"#),
    ] {
        let line = RecordedLine { number: 2, t_ms: 7, what, rest: Map::new() };
        assert_eq!(line.to_json(), expected);
        assert_eq!(read(&format!("{HEADER}\n{expected}")).unwrap().lines, [line]);
    }
}
