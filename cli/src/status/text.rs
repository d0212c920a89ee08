//! A status as text for people: aligned sections.

use crate::bridge::{AgentKind, DurableStatus, ErrorStatus, GatewayStatus, QueueStatus};
use crate::printable::printable;
use serde_json::Value;
use std::fmt::Write as _;

/// Returns a status as text, without a newline at its end.
pub(super) fn of(status: &GatewayStatus) -> String {
    let mut text = String::new();
    rows(&mut text, &about(status));
    section(&mut text, "platforms", &platforms(status));
    section(&mut text, "queues", &queues(status));
    section(&mut text, "counters", &counters(status));
    section(&mut text, "last errors", &status.last_errors.iter().map(error).collect::<Vec<_>>());
    text.truncate(text.trim_end().len());
    text
}

/// Returns what a gateway is and does.
fn about(status: &GatewayStatus) -> Vec<Vec<String>> {
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let mut phase = format!("{}, for {}", status.phase, rounded(status.phase_for_ms));
    if let Some(ms) = status.connected_for_ms.filter(|_| status.phase != "connected") {
        let _ = write!(phase, "; connected for {}", rounded(ms));
    }
    if status.asleep {
        phase.push_str("; asleep until it is woken");
    }
    if let Some(ms) = status.next_dial_in_ms {
        let _ = write!(phase, "; next dial in {}", rounded(ms));
    }
    let mut about = vec![
        row("phase", phase),
        row("gateway", status.gateway_id.clone().unwrap_or_else(|| "without credentials".to_owned())),
        row("url", status.url.clone()),
        row(
            "process",
            format!("{}, relayline {}, for {}", status.pid, status.version, rounded(status.running_for_ms)),
        ),
        row("agent", agent(status)),
    ];
    if let Some(queue) = &status.queue {
        let DurableStatus { waiting, out, dead_letters, paused, .. } = queue;
        let paused = if *paused { "; paused: the connector buffers" } else { "" };
        about.push(row("queue", format!("{waiting} waiting, {out} out, {dead_letters} dead{paused}")));
    }
    if let Some(control) = &status.control {
        let QueueStatus { used, limit } = control.clients;
        about.push(row("control", format!("{} of {} clients", used, limit.unwrap_or_default())));
    }
    about
}

fn agent(status: &GatewayStatus) -> String {
    let agent = &status.agent;
    let kind = match agent.kind {
        AgentKind::Stdio => "on stdin and stdout",
        AgentKind::Exec => "by --exec",
        AgentKind::Acp => "by --acp",
        AgentKind::None => return "none here".to_owned(),
    };
    let state = match agent.running_for_ms {
        Some(ms) => format!("running for {}", rounded(ms)),
        None => "not running".to_owned(),
    };
    match agent.restarts {
        0 => format!("{kind}, {state}"),
        1 => format!("{kind}, {state}, 1 restart"),
        restarts => format!("{kind}, {state}, {restarts} restarts"),
    }
}

/// Returns a row for each platform: its name, its limit of a message, and the features that people ask for.
fn platforms(status: &GatewayStatus) -> Vec<Vec<String>> {
    let names = status.platforms.iter().chain(status.descriptors.keys());
    let mut seen: Vec<&String> = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen.into_iter().map(|name| platform(name, status.descriptors.get(name))).collect()
}

fn platform(name: &str, descriptor: Option<&Value>) -> Vec<String> {
    let Some(descriptor) = descriptor else {
        return vec![name.to_owned(), "no descriptor yet".to_owned()];
    };
    let limit = descriptor.get("max_message_length").and_then(Value::as_u64).unwrap_or_default();
    let unit = match descriptor.get("len_unit").and_then(Value::as_str) {
        Some("utf16") => "UTF-16 units",
        Some(_) | None => "characters",
    };
    let features =
        [("supports_edit", "edits"), ("supports_draft_streaming", "drafts"), ("supports_threads", "threads")];
    let has = |field: &str| descriptor.get(field).and_then(Value::as_bool) == Some(true);
    let offered: Vec<&str> = features.iter().filter(|(field, _)| has(field)).map(|(_, name)| *name).collect();
    let label = descriptor.get("label").and_then(Value::as_str).unwrap_or_default();
    vec![
        name.to_owned(),
        label.to_owned(),
        format!("{limit} {unit}"),
        if offered.is_empty() { "–".to_owned() } else { offered.join(", ") },
    ]
}

fn queues(status: &GatewayStatus) -> Vec<Vec<String>> {
    let shown = |(name, queue): (&String, &QueueStatus)| {
        let limit = queue.limit.map_or_else(|| "–".to_owned(), |limit| limit.to_string());
        vec![name.clone(), format!("{} / {limit}", queue.used)]
    };
    status.queues.iter().map(shown).collect()
}

/// Returns the counters that are not 0, those of the control socket and the queue last.
fn counters(status: &GatewayStatus) -> Vec<Vec<String>> {
    let row = |name: String, count: u64| (count > 0).then(|| vec![name, count.to_string()]);
    let own = status.counters.iter().filter_map(|(name, count)| row(name.clone(), *count));
    let control = status.control.iter().flat_map(|control| &control.counters);
    let control = control.filter_map(|(name, count)| row(format!("control {name}"), *count));
    let queue = status.queue.iter().flat_map(|queue| &queue.counters);
    own.chain(control).chain(queue.filter_map(|(name, count)| row(format!("queue {name}"), *count))).collect()
}

fn error(error: &ErrorStatus) -> Vec<String> {
    let with_code = |what: &str, code: &Option<u16>| match code {
        Some(code) => format!("{what}, {code}"),
        None => what.to_owned(),
    };
    let (ago_ms, what, why) = match error {
        ErrorStatus::Dial { ago_ms, code, reason } => {
            (ago_ms, with_code("dial failed", code), reason.clone())
        }
        ErrorStatus::Close { ago_ms, code, reason } => {
            (ago_ms, with_code("connection ended", code), reason.clone())
        }
        ErrorStatus::Op { ago_ms, op, chat_id, failure, code } => {
            let chat = if chat_id.is_empty() { String::new() } else { format!(" to {chat_id}") };
            let code = code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
            (ago_ms, format!("{op}{chat}"), format!("{failure}{code}"))
        }
    };
    vec![format!("{} ago", rounded(*ago_ms)), what, why]
}

/// Appends a section, unless it is empty.
fn section(text: &mut String, name: &str, all: &[Vec<String>]) {
    if !all.is_empty() {
        let _ = write!(text, "\n{name}\n");
        let all: Vec<Vec<String>> = all.iter().map(|row| indented(row)).collect();
        rows(text, &all);
    }
}

fn indented(row: &[String]) -> Vec<String> {
    row.iter()
        .enumerate()
        .map(|(at, cell)| if at == 0 { format!("  {cell}") } else { cell.clone() })
        .collect()
}

/// Appends rows whose cells are aligned.
fn rows(text: &mut String, all: &[Vec<String>]) {
    let all: Vec<Vec<String>> =
        all.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let columns = all.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = all.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in &all {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// Returns a duration for people, in its two largest units.
fn rounded(ms: u64) -> String {
    let s = ms / 1000;
    match (s / 86_400, s / 3600 % 24, s / 60 % 60, s % 60) {
        (0, 0, 0, 0) => format!("{ms} ms"),
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, min, s) => format!("{min} min {s} s"),
        (0, h, min, _) => format!("{h} h {min} min"),
        (days, h, ..) => format!("{days} d {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_status_is_aligned_and_complete() {
        let status = json!({
            "version": "1.2.3", "pid": 7, "running_for_ms": 93_784_000_u64, "phase": "waiting", "phase_for_ms": 1500,
            "connected_for_ms": null, "next_dial_in_ms": 61_000, "gateway_id": "gw-1", "url": "wss://c.example/relay",
            "platforms": ["telegram", "slack"],
            "descriptors": {"telegram": {"label": "Telegram", "max_message_length": 4096, "len_unit": "utf16",
                "supports_edit": true, "supports_draft_streaming": false, "supports_threads": true}},
            "queues": {"actions": {"used": 0, "limit": null}, "requests": {"used": 3, "limit": 1024}},
            "counters": {"acks": 0, "dials": 12},
            "agent": {"kind": "exec", "running": false, "running_for_ms": null, "restarts": 2},
            "control": {"clients": {"used": 1, "limit": 16}, "counters": {"clients": 4, "results_dropped": 0}},
            "last_errors": [
                {"kind": "dial", "ago_ms": 20, "code": null, "reason": "refused\u{1b}[2J"},
                {"kind": "close", "ago_ms": 5000, "code": 1013, "reason": "later"},
                {"kind": "op", "ago_ms": 7_200_000, "op": "send", "chat_id": "-7", "failure": "rejected", "code": "x"},
            ],
        });
        let status = serde_json::from_value(status).unwrap();
        let expected = "\
phase    waiting, for 1 s; next dial in 1 min 1 s
gateway  gw-1
url      wss://c.example/relay
process  7, relayline 1.2.3, for 1 d 2 h
agent    by --exec, not running, 2 restarts
control  1 of 16 clients

platforms
  telegram  Telegram           4096 UTF-16 units  edits, threads
  slack     no descriptor yet

queues
  actions   0 / –
  requests  3 / 1024

counters
  dials            12
  control clients  4

last errors
  20 ms ago      dial failed             refused\\u{1b}[2J
  5 s ago        connection ended, 1013  later
  2 h 0 min ago  send to -7              rejected (x)";
        assert_eq!(of(&status), expected);
    }
}
