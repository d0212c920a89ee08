//! HAR files in the forms of several exporters, read as recordings and played.

use relayline_harness::recording::{Data, LineContent, RecordedLine, Recording, Side};
use relayline_harness::replay::{self, ReplayOptions};
use serde_json::{Value, json};

const DESCRIPTOR: &str = r#"{"type":"descriptor","descriptor":{"contract_version":1,"platform":"discord","label":"D","max_message_length":2000,"supports_draft_streaming":false,"supports_edit":true,"supports_threads":true,"markdown_dialect":"discord","len_unit":"chars"}}"#;
const HELLO: &str = r#"{"type":"hello","platform":"discord","botId":"1"}"#;
const OUTBOUND: &str =
    r#"{"type":"outbound","requestId":"1","action":{"op":"send","chat_id":"c","content":"x"}}"#;
const RESULT: &str = r#"{"type":"outbound_result","requestId":"1","result":{"success":true}}"#;

/// 2022-10-20T08:48:40.899Z in Unix seconds.
const START: f64 = 1_666_255_720.899;

fn message(kind: &str, after_s: f64, opcode: i64, data: &str) -> Value {
    json!({"type": kind, "time": START + after_s, "opcode": opcode, "data": data})
}

/// Returns the messages of a short session.
fn session() -> Vec<Value> {
    let line = |text: &str| format!("{text}\n");
    vec![
        message("send", 0.1, 1, &line(HELLO)),
        message("receive", 0.2, 2, &data_encoding::BASE64.encode(line(DESCRIPTOR).as_bytes())),
        message("receive", 0.25, 9, ""),
        message("send", 0.3, 1, &line(OUTBOUND)),
        message("receive", 0.4, 1, &line(RESULT)),
    ]
}

/// Returns an entry in Chrome's form: a `wss` URL, headers as pairs, and many unused fields.
fn chrome(messages: &[Value]) -> Value {
    json!({
        "_initiator": {"type": "script"}, "_priority": null, "_resourceType": "websocket",
        "_webSocketMessages": messages,
        "cache": {}, "connection": "123", "pageref": "page_1",
        "request": {
            "method": "GET", "url": "wss://c.example/relay?access=1", "httpVersion": "HTTP/1.1",
            "headers": [{"name": "Authorization", "value": "Bearer abc"}, {"name": "Upgrade", "value": "websocket"}],
            "queryString": [], "cookies": [], "headersSize": -1, "bodySize": 0
        },
        "response": {"status": 101, "statusText": "Switching Protocols", "headers": [], "content": {"size": 0}},
        "serverIPAddress": "127.0.0.1", "startedDateTime": "2022-10-20T08:48:40.899Z", "time": 5.0, "timings": {}
    })
}

/// Returns an entry in mitmproxy's form: an `https` URL, and a time with microseconds and an offset.
fn mitmproxy(messages: &[Value]) -> Value {
    json!({
        "startedDateTime": "2022-10-20T10:48:40.899000+02:00", "time": 5.0,
        "request": {
            "method": "GET", "url": "https://c.example/relay", "httpVersion": "HTTP/1.1", "cookies": [],
            "headers": [{"name": "authorization", "value": "Bearer abc"}], "queryString": []
        },
        "response": {"status": 101, "statusText": "Switching Protocols", "content": {"size": 0, "text": ""}},
        "cache": {}, "timings": {}, "serverIPAddress": "127.0.0.1",
        "_resourceType": "websocket", "_webSocketMessages": messages
    })
}

fn har(entries: &[Value]) -> String {
    let log =
        json!({"log": {"version": "1.2", "creator": {"name": "test"}, "pages": [], "entries": entries}});
    serde_json::to_string_pretty(&log).unwrap()
}

#[track_caller]
fn read(entries: &[Value]) -> Recording {
    let text = har(entries);
    assert!(Recording::is_har(text.as_bytes()));
    Recording::read_har("a/s.har", text.as_bytes()).unwrap()
}

#[test]
fn a_session_is_the_same_from_every_exporter() {
    let page =
        json!({"startedDateTime": "no time", "request": {"method": "GET", "url": "https://c.example/relay"}});
    let mut other = chrome(&[message("send", 0.0, 1, "not ours")]);
    other["request"]["url"] = json!("wss://elsewhere.example/socket");
    for entry in [chrome(&session()), mitmproxy(&session())] {
        let recording = read(&[page.clone(), other.clone(), entry]);
        let lines: Vec<(u64, &LineContent)> =
            recording.lines.iter().map(|line| (line.t_ms, &line.what)).collect();
        let text = |text: &str| Data::Text(format!("{text}\n"));
        assert!(
            matches!(lines[0], (0, LineContent::Connect { url_path, authorization: Some(_), .. }) if url_path.starts_with("/relay"))
        );
        let expected = [
            (100, &LineContent::Gateway(text(HELLO))),
            (200, &LineContent::Connector(Data::Binary(format!("{DESCRIPTOR}\n").into_bytes()))),
            (300, &LineContent::Gateway(text(OUTBOUND))),
            (400, &LineContent::Connector(text(RESULT))),
        ];
        assert_eq!(lines[1..], expected);
        let verdict = replay::check(&recording, &replay::play(&recording, ReplayOptions::default()).unwrap());
        assert_eq!(verdict.to_string(), "ok s");
    }
}

/// If no entry is for `/relay`, all are read. A `/relay` in a query is not a path.
#[test]
fn the_path_of_a_socket_ends_at_its_query() {
    let paths = |urls: &[&str]| {
        let entry = |url: &&str| {
            let mut entry = chrome(&[]);
            entry["request"]["url"] = json!(url);
            entry
        };
        let recording = read(&urls.iter().map(entry).collect::<Vec<_>>());
        let path = |line: &RecordedLine| {
            if let LineContent::Connect { url_path, .. } = &line.what { Some(url_path.clone()) } else { None }
        };
        recording.lines.iter().filter_map(path).collect::<Vec<_>>()
    };
    for (urls, expected) in [
        (["wss://c.example?to=/relay", "wss://d.example/socket"], &["/?to=/relay", "/socket"][..]),
        (["wss://c.example", "wss://d.example/socket?a=/relay"], &["/", "/socket?a=/relay"]),
        (["wss://c.example/a/relay?b=/c", "wss://relay"], &["/a/relay?b=/c"]),
    ] {
        assert_eq!(paths(&urls), expected, "{urls:?}");
    }
}

/// Several sockets, at once and one after another, a refusal, and the ends of sockets.
#[test]
fn several_entries_are_several_dials() {
    let mut refused = chrome(&[]);
    refused["response"] = json!({"status": 401, "content": {"text": "{\"error\":\"expired\"}"}});
    refused["startedDateTime"] = json!("2022-10-20T08:48:39.899Z");
    let close = data_encoding::BASE64.encode(&[&4401u16.to_be_bytes(), b"gone".as_slice()].concat());
    let ended = |end: Value| {
        let mut messages = session();
        messages.push(end);
        messages
    };
    let mut later = mitmproxy(&ended(message("error", 0.9, -1, "net::ERR")));
    later["startedDateTime"] = json!("2022-10-20T08:48:40.949Z");
    let recording = read(&[chrome(&ended(message("receive", 0.5, 8, &close))), later, refused]);
    let of = |wanted: fn(&LineContent) -> bool| {
        let lines = recording.lines.iter().filter(|line| wanted(&line.what));
        lines.map(|line| (line.t_ms, line.dial())).collect::<Vec<_>>()
    };
    let connects = of(|what| matches!(what, LineContent::Connect { .. }));
    assert_eq!(connects, [(0, Some(3)), (1000, Some(1)), (1050, Some(2))]);
    assert_eq!(
        of(
            |what| matches!(what, LineContent::Reject { answer, .. } if answer.status == 401 && answer.body.is_some())
        ),
        [(0, Some(3))]
    );
    assert_eq!(of(|what| matches!(what, LineContent::Drop { by: Side::Connector, .. })), [(1900, Some(2))]);
    let closed = |what: &LineContent| matches!(what, LineContent::Close { code: Some(4401), reason, .. } if reason == "gone");
    assert_eq!(of(closed), [(1500, Some(1))]);
    let hellos = of(|what| matches!(what, LineContent::Gateway(Data::Text(text)) if text.contains("hello")));
    assert_eq!(hellos, [(1100, Some(1)), (1100, Some(2))]);
    assert!(recording.lines.windows(2).all(|pair| pair[0].t_ms <= pair[1].t_ms));
}

#[test]
fn an_error_names_its_place() {
    let bad = |what: Value| har(&[chrome(&session()), chrome(&[message("send", 0.0, 1, "{}"), what])]);
    let mut undated = chrome(&[]);
    undated["startedDateTime"] = json!("yesterday");
    for (text, expected) in [
        (
            "{\"log\":{\n\"entries\":[}".to_owned(),
            "s.har:2: this is not valid JSON (column 12): the export may have been cut short, make it again",
        ),
        (
            "{\"log\":{}}".to_owned(),
            "s.har:1: this is not a HAR: it needs `log` with an array of `entries`; export it again, as \"HAR\"",
        ),
        (
            har(&[]),
            "s.har:1: this HAR holds no WebSocket: record with the network panel open before the page dials, and export with content",
        ),
        // Unused parts of the file are parsed as well.
        (
            "{\"log\":{\"by\":\"\\ud800\",\"entries\":[]}}".to_owned(),
            "s.har:1: this is not valid JSON (column 21): the export may have been cut short, make it again",
        ),
        (har(&[undated]), "s.har: entry 1: `startedDateTime` must be a time, as in 2026-11-22T16:20:45.123Z"),
        (
            bad(json!({"type": "send", "opcode": 1, "data": ""})),
            "s.har: entry 2: message 2: `time` must be a number of unix seconds",
        ),
        (
            bad(message("sideways", 0.0, 1, "")),
            "s.har: entry 2: message 2: `type` must be \"send\" or \"receive\"",
        ),
        (
            bad(json!({"type": "send", "time": 1, "opcode": "2", "data": ""})),
            "s.har: entry 2: message 2: `opcode` must be a whole number: 1 for text, 2 for binary",
        ),
        (
            bad(message("send", 0.0, 2, "***")),
            "s.har: entry 2: message 2: `data` of a binary message must be base64",
        ),
        (
            bad(json!({"type": "send", "time": 1, "opcode": 1, "data": 7})),
            "s.har: entry 2: message 2: `data` must be a string",
        ),
    ] {
        let error = Recording::read_har("s.har", text.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    for (text, is_har) in [
        ("{\"relay_session\":1}", false),
        (" { \"log\" : {}}", true),
        ("\u{feff}{\"log\":1}", true),
        ("", false),
    ] {
        assert_eq!(Recording::is_har(text.as_bytes()), is_har, "{text}");
    }
}
