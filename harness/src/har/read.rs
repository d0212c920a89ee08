//! Conversion of HAR entries to the lines of a recording.

use crate::recording::{
    DIAL, Data, Header, LineContent, RecordedLine, Recording, RecordingError, Rejection, Side,
};
use data_encoding::BASE64;
use relayline_core::secret::Secret;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Content of a line with its time in Unix milliseconds. A message has the dial it belongs to.
struct TimedContent {
    at_ms: i64,
    what: LineContent,
    dial: Option<u32>,
}

pub(super) fn read(file: &str, bytes: &[u8]) -> Result<Recording, RecordingError> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let wrong = |line, problem| RecordingError::Line { file: file.to_owned(), line, problem };
    // The whole file is parsed: if an unused part is not valid JSON, the file is truncated or not an export.
    let har: Value = serde_json::from_slice(bytes).map_err(|error| {
        // The error's own text may quote a value, and that may be a secret.
        let column = error.column();
        wrong(
            error.line(),
            format!(
                "this is not valid JSON (column {column}): the export may have been cut short, make it again"
            ),
        )
    })?;
    let entries = har["log"]["entries"].as_array().ok_or_else(|| {
        let problem =
            "this is not a HAR: it needs `log` with an array of `entries`; export it again, as \"HAR\"";
        wrong(1, problem.to_owned())
    })?;
    let sockets: Vec<(usize, &Value)> =
        entries.iter().enumerate().filter(|(_, entry)| is_socket(entry)).collect();
    let is_relay =
        |entry: &Value| path_of(entry).split('?').next().is_some_and(|path| path.ends_with("/relay"));
    let any_relay = sockets.iter().any(|(_, entry)| is_relay(entry));
    let mut events = Vec::new();
    let mut dial = 0;
    for (at, entry) in sockets.into_iter().filter(|(_, entry)| !any_relay || is_relay(entry)) {
        dial += 1;
        socket(entry, dial, &mut events).map_err(|problem| RecordingError::Entry {
            file: file.to_owned(),
            entry: at + 1,
            problem,
        })?;
    }
    if events.is_empty() {
        let problem = "this HAR holds no WebSocket: record with the network panel open before the page dials, and \
                       export with content";
        return Err(wrong(1, problem.to_owned()));
    }
    Ok(recording(file, &har["log"]["creator"], events))
}

fn recording(file: &str, creator: &Value, mut events: Vec<TimedContent>) -> Recording {
    // The sort is stable, so lines of one entry keep their order.
    events.sort_by_key(|event| event.at_ms);
    let first = events.first().map_or(0, |event| event.at_ms);
    let lines = events.into_iter().enumerate().map(|(at, TimedContent { at_ms, what, dial })| RecordedLine {
        // A HAR has no lines, so lines are numbered as in the recording.
        number: at + 2,
        t_ms: u64::try_from(at_ms.saturating_sub(first)).unwrap_or(0),
        what,
        rest: dial.map(|dial| (DIAL.to_owned(), Value::from(dial))).into_iter().collect(),
    });
    let header = Header {
        title: "WebSockets of a HAR".to_owned(),
        recorded_from: format!("HAR by {}", creator["name"].as_str().unwrap_or("an unknown program")),
        ..Header::default()
    };
    Recording { file: file.to_owned(), header, lines: lines.collect() }
}

fn is_socket(entry: &Value) -> bool {
    let url = entry["request"]["url"].as_str().unwrap_or_default();
    entry["_webSocketMessages"].is_array()
        || entry["_resourceType"] == "websocket"
        || url.starts_with("ws://")
        || url.starts_with("wss://")
}

/// Returns the path and the query of an entry's URL. A query may follow the host directly.
fn path_of(entry: &Value) -> String {
    let url = entry["request"]["url"].as_str().unwrap_or_default();
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find(['/', '?']).map_or("", |at| &rest[at..]);
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

fn socket(entry: &Value, dial: u32, events: &mut Vec<TimedContent>) -> Result<(), String> {
    let started = entry["startedDateTime"].as_str().and_then(unix_ms);
    let started = started.ok_or("`startedDateTime` must be a time, as in 2026-11-22T16:20:45.123Z")?;
    let (mut headers, mut authorization) = (Map::new(), None);
    for header in entry["request"]["headers"].as_array().into_iter().flatten() {
        let (Some(name), Some(value)) = (header["name"].as_str(), header["value"].as_str()) else { continue };
        if name.eq_ignore_ascii_case("authorization") {
            authorization = Some(Secret::new(value));
        } else {
            headers.insert(name.to_owned(), Value::from(value));
        }
    }
    let url_path = path_of(entry);
    let connect =
        LineContent::Connect { url_path, dial: Some(dial), authorization, headers, clock_unix_s: None };
    events.push(TimedContent { at_ms: started, what: connect, dial: None });

    let status = entry["response"]["status"].as_u64().and_then(|status| u16::try_from(status).ok());
    let messages = entry["_webSocketMessages"].as_array().map(Vec::as_slice).unwrap_or_default();
    match status {
        // Over HTTP/2 (RFC 8441) the status of a WebSocket is 200. Some exporters write no response.
        Some(101) | None => {}
        Some(0 | 200..=299) if !messages.is_empty() => {}
        Some(0) => {
            let cut = LineContent::Drop { by: Side::Connector, dial: Some(dial) };
            events.push(TimedContent { at_ms: started, what: cut, dial: None });
        }
        Some(status) => {
            let body = entry["response"]["content"]["text"].as_str().map(str::to_owned);
            let refused = LineContent::Reject { dial: Some(dial), answer: Rejection::new(status, body) };
            events.push(TimedContent { at_ms: started, what: refused, dial: None });
        }
    }
    let mut last = started;
    for (at, read) in messages.iter().map(|told| message(told, dial)).enumerate() {
        let (time, what) = read.map_err(|problem| format!("message {}: {problem}", at + 1))?;
        // Times come from two threads, so the order within a socket counts.
        last = last.max(time);
        let dial = matches!(what, Some(LineContent::Gateway(_) | LineContent::Connector(_))).then_some(dial);
        events.extend(what.map(|what| TimedContent { at_ms: last, what, dial }));
    }
    Ok(())
}

/// Returns a message and its time; `None` if the message has no line.
fn message(message: &Value, dial: u32) -> Result<(i64, Option<LineContent>), String> {
    let time = message["time"].as_f64().ok_or("`time` must be a number of unix seconds")?;
    let time = milliseconds(time);
    let by = match message["type"].as_str() {
        Some("send" | "request") => Side::Gateway,
        Some("receive" | "response") => Side::Connector,
        // Chrome's name for a connection that broke.
        Some("error") => {
            return Ok((time, Some(LineContent::Drop { by: Side::Connector, dial: Some(dial) })));
        }
        Some(_) | None => return Err("`type` must be \"send\" or \"receive\"".to_owned()),
    };
    let data = message["data"].as_str().ok_or("`data` must be a string")?;
    let opcode = match &message["opcode"] {
        Value::Null => 1,
        opcode => opcode.as_i64().ok_or("`opcode` must be a whole number: 1 for text, 2 for binary")?,
    };
    let what = match opcode {
        1 => sent(by, Data::Text(data.to_owned())),
        2 => sent(by, Data::Binary(decode(data)?)),
        8 => {
            // Chrome writes base64 here, other exporters the plain reason.
            let payload = decode(data).unwrap_or_default();
            let (code, reason) = match payload.split_first_chunk() {
                Some((code, reason)) => (Some(u16::from_be_bytes(*code)), String::from_utf8_lossy(reason)),
                None => (message["code"].as_u64().and_then(|code| u16::try_from(code).ok()), data.into()),
            };
            LineContent::Close { by, dial: Some(dial), code, reason: reason.into_owned() }
        }
        // Pings, pongs, and fragments.
        _ => return Ok((time, None)),
    };
    Ok((time, Some(what)))
}

fn unix_ms(text: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(text.trim(), &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

/// Converts seconds to milliseconds, rounded.
#[allow(clippy::cast_possible_truncation, reason = "it saturates")]
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

fn sent(by: Side, data: Data) -> LineContent {
    match by {
        Side::Gateway => LineContent::Gateway(data),
        Side::Connector => LineContent::Connector(data),
    }
}

fn decode(data: &str) -> Result<Vec<u8>, String> {
    BASE64.decode(data.as_bytes()).map_err(|_| "`data` of a binary message must be base64".to_owned())
}
