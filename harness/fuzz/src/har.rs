//! HAR files, as browsers and proxies export them: compared with a simple reading of their JSON, and written and
//! played like any recording.

use crate::recording::{check_replay, is_written_as_it_was};
use data_encoding::BASE64;
use relayline_harness::recording::{LineContent, RecordedLine, Recording, RecordingError};
use serde_json::Value;

/// Maximum duration. A HAR's times may be years apart, which only takes longer to play.
const MAX_DURATION_MS: u64 = 120_000;

pub(crate) fn run(data: &[u8]) {
    if Recording::is_har(data) {
        assert!(Recording::read("any.jsonl", data).is_err(), "it is one or the other");
    }
    let json = data.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(data);
    let json: Option<Value> = serde_json::from_slice(json).ok();
    let recording = match Recording::read_har("any.har", data) {
        Ok(recording) => recording,
        Err(error) => return check_error_position(&error, data, json.as_ref()),
    };
    check_export(&recording, &json.unwrap());
    is_written_as_it_was(&recording);
    if recording.lines.last().is_some_and(|line| line.t_ms <= MAX_DURATION_MS) {
        check_replay(&recording);
    }
}

/// Checks that an error names an existing line or entry.
fn check_error_position(error: &RecordingError, data: &[u8], json: Option<&Value>) {
    let (at, last, problem) = match error {
        RecordingError::Line { line, problem, .. } => {
            (*line, data.split(|byte| *byte == b'\n').count(), problem)
        }
        RecordingError::Entry { entry, problem, .. } => (*entry, entries(json.unwrap()).len(), problem),
        error => panic!("{error}: nothing was to be read from a disk"),
    };
    assert!((1..=last).contains(&at) && !problem.is_empty(), "{error}");
}

fn entries(json: &Value) -> &[Value] {
    json["log"]["entries"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Checks that every socket is a dial with its messages in order, and that times start at 0 and never decrease.
fn check_export(recording: &Recording, json: &Value) {
    let times: Vec<u64> = recording.lines.iter().map(|line| line.t_ms).collect();
    assert!(times.first() == Some(&0) && times.is_sorted(), "{times:?}");
    let dials = sockets(json);
    for (at, entry) in dials.iter().enumerate() {
        let dial = u32::try_from(at + 1).unwrap();
        let of_it = || recording.lines.iter().filter(|line| line.dial() == Some(dial));
        assert_eq!(of_it().filter(|line| matches!(line.what, LineContent::Connect { .. })).count(), 1);
        assert!(
            matches!(of_it().next(), Some(RecordedLine { what: LineContent::Connect { .. }, .. })),
            "it is dialed first"
        );
        let sent: Vec<_> = of_it().filter_map(|line| message(&line.what)).collect();
        assert_eq!(sent, exported(entry), "dial {dial}");
    }
    let last = recording.lines.iter().filter_map(RecordedLine::dial).max();
    assert_eq!(last.and_then(|dial| usize::try_from(dial).ok()), Some(dials.len()));
}

/// Returns the entries with WebSockets; only those to `/relay`, if there are any.
fn sockets(json: &Value) -> Vec<&Value> {
    let url = |entry: &'_ Value| entry["request"]["url"].as_str().unwrap_or_default().to_owned();
    let goes_to_relay = |entry: &&Value| {
        let url = url(entry);
        let place = url.split_once("://").map_or(url.as_str(), |(_, place)| place);
        place.split('?').next().unwrap().ends_with("/relay")
    };
    let is_socket = |entry: &&Value| {
        entry["_webSocketMessages"].is_array()
            || entry["_resourceType"] == "websocket"
            || ["ws://", "wss://"].iter().any(|scheme| url(entry).starts_with(scheme))
    };
    let all: Vec<_> = entries(json).iter().filter(is_socket).collect();
    let to_relay: Vec<_> = all.iter().copied().filter(goes_to_relay).collect();
    if to_relay.is_empty() { all } else { to_relay }
}

/// Returns the data of a message, and true if the gateway sent it.
fn message(what: &LineContent) -> Option<(bool, Vec<u8>)> {
    match what {
        LineContent::Gateway(data) => Some((true, data.bytes().to_vec())),
        LineContent::Connector(data) => Some((false, data.bytes().to_vec())),
        LineContent::Connect { .. }
        | LineContent::Reject { .. }
        | LineContent::Close { .. }
        | LineContent::Drop { .. } => None,
        LineContent::HostCall { .. }
        | LineContent::HostEvent { .. }
        | LineContent::Note(_)
        | LineContent::Other(_) => {
            panic!("{what:?}: a HAR knows of the wire alone")
        }
    }
}

/// Returns the text and binary messages of an entry.
fn exported(entry: &Value) -> Vec<(bool, Vec<u8>)> {
    let read = |told: &Value| {
        let by_gateway = match told["type"].as_str()? {
            "send" | "request" => true,
            "receive" | "response" => false,
            _ => return None,
        };
        let data = told["data"].as_str()?.as_bytes();
        match told["opcode"].as_i64() {
            None | Some(1) => Some((by_gateway, data.to_vec())),
            Some(2) => Some((by_gateway, BASE64.decode(data).ok()?)),
            Some(_) => None,
        }
    };
    entry["_webSocketMessages"].as_array().into_iter().flatten().filter_map(read).collect()
}
