//! Bugs of connectors.

use super::{Bug, bug, op, remove, set};
use crate::Hook::{Down, DownControl, Message, Request, Up, UpMessage};
use crate::proxy::{CLOSE, PONG, State, ack};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

/// Opcode of a binary message.
const BINARY: u8 = 2;

/// Kind of the token in a request's head.
#[derive(PartialEq)]
enum Token {
    Missing,
    Malformed,
    /// A token for this gateway.
    Of(String),
}

/// Returns the line with the token of a request.
fn authorization(head: &str) -> Option<&str> {
    head.split("\r\n").find(|line| line.to_ascii_lowercase().starts_with("authorization:"))
}

fn token(head: &str) -> Token {
    let Some(line) = authorization(head) else { return Token::Missing };
    let text = line.rsplit(' ').next().unwrap_or_default();
    let text = BASE64URL_NOPAD.decode(text.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let id = text.as_deref().and_then(|text| text.rsplitn(3, ':').nth(2));
    id.map_or(Token::Malformed, |id| Token::Of(id.to_owned()))
}

/// Gives the request the token of the first one, which was valid.
fn admit(state: &State, head: &str) -> String {
    let valid = authorization(&state.first_request).unwrap_or_default();
    match authorization(head) {
        Some(line) => head.replace(line, valid),
        None => head.replacen("\r\n", &format!("\r\n{valid}\r\n"), 1),
    }
}

/// Replaces the code of a close frame.
fn recode(payload: &mut Vec<u8>, code: u16) {
    if payload.len() < 2 {
        payload.resize(2, 0);
    }
    payload[..2].copy_from_slice(&code.to_be_bytes());
}

fn code(payload: &[u8]) -> u16 {
    payload.first_chunk().map_or(0, |code| u16::from_be_bytes(*code))
}

/// Returns the request that a result belongs to.
fn request<'s>(state: &'s State, result: &Value) -> Option<&'s Value> {
    let found = state.pending.iter().find(|(id, _)| result["requestId"] == id.as_str());
    found.map(|(_, request)| request)
}

/// Replaces the result of requests of one op.
fn answer(state: &State, mut frame: Value, of: &str, result: Value) -> Vec<Value> {
    if frame["type"] == "outbound_result" && request(state, &frame).is_some_and(|request| op(request) == of) {
        set(&mut frame, "", "result", result);
    }
    vec![frame]
}

/// Cuts the connection at a frame that is so.
fn cut_if(state: &mut State, frame: Value, is_bad: bool) -> Vec<Value> {
    if is_bad {
        state.cut();
        return Vec::new();
    }
    vec![frame]
}

pub(super) const BUGS: &[Bug] = &[
    bug(
        "no-newlines",
        &["handshake"],
        &[],
        &[Message(|_, _, mut payload| {
            payload.retain(|byte| *byte != b'\n');
            Some(payload)
        })],
    ),
    bug(
        "no-len-unit",
        &["handshake"],
        &[],
        &[Down(|_, mut frame| {
            remove(&mut frame, "/descriptor", "len_unit");
            vec![frame]
        })],
    ),
    bug(
        "platform-by-its-label",
        &["d-own-platform"],
        &[],
        &[Down(|_, mut frame| {
            if frame["descriptor"]["platform"] == "discord" {
                set(&mut frame, "/descriptor", "platform", "Discord");
            }
            vec![frame]
        })],
    ),
    bug(
        "one-descriptor",
        &["d-each-hello"],
        &[],
        &[Down(|state, frame| match frame["type"] == "descriptor" && state.has_descriptor {
            true => Vec::new(),
            false => vec![frame],
        })],
    ),
    bug(
        "results-without-ids",
        &["o-answered"],
        &[],
        &[Down(|_, mut frame| {
            remove(&mut frame, "", "requestId");
            vec![frame]
        })],
    ),
    bug(
        "prints-to-the-socket",
        &["w-newlines"],
        &[],
        &[Message(|_, _, mut payload| {
            if payload.starts_with(b"{\"type\":\"outbound_result\"") {
                payload.extend(b"sent 1 message\n");
            }
            Some(payload)
        })],
    ),
    bug(
        "a-message-is-a-frame",
        &["w-frame-in-pieces"],
        &[],
        &[UpMessage(|_, _, payload| match serde_json::from_slice::<Value>(&payload) {
            Err(_) if !payload.starts_with(b"\n") => Some(Vec::new()),
            _ => Some(payload),
        })],
    ),
    bug(
        "text-only",
        &["w-binary-messages"],
        &[],
        &[UpMessage(|_, opcode, payload| Some(if opcode == BINARY { Vec::new() } else { payload }))],
    ),
    bug(
        "dies-of-a-bad-line",
        &["w-bad-lines"],
        &[],
        &[UpMessage(|_, _, payload| {
            let text = String::from_utf8_lossy(&payload);
            let is_bad = text.lines().any(|line| line.starts_with(char::is_alphabetic));
            (!is_bad).then_some(payload)
        })],
    ),
    bug(
        "dies-of-an-unknown-type",
        &["w-unknown-types"],
        &[],
        &[Up(|state, frame| {
            let is_known = ["hello", "outbound", "interrupt", "going_idle", "inbound_ack"]
                .iter()
                .any(|known| frame["type"] == *known);
            cut_if(state, frame, !is_known)
        })],
    ),
    bug(
        "no-success",
        &["o-result"],
        &[],
        &[Down(|_, mut frame| {
            remove(&mut frame, "/result", "success");
            vec![frame]
        })],
    ),
    bug(
        "no-message-id",
        &["o-message-id"],
        &[],
        &[Down(|_, mut frame| {
            remove(&mut frame, "/result", "message_id");
            vec![frame]
        })],
    ),
    bug(
        "loses-the-eighth-result",
        &["o-many"],
        &[],
        &[Down(|state, frame| {
            if frame["type"] != "outbound_result" {
                state.kept.remove("results");
                return vec![frame];
            }
            let count = state.kept.get("results").and_then(Value::as_u64).unwrap_or(0) + 1;
            state.kept.insert("results", count.into());
            if count == 8 { Vec::new() } else { vec![frame] }
        })],
    ),
    bug(
        "unknown-ops-succeed",
        &["o-unknown-op"],
        &[],
        &[Down(|state, frame| answer(state, frame, "conformance_novelty", json!({"success": true})))],
    ),
    bug(
        "dies-of-a-missing-field",
        &["o-malformed-request"],
        &[],
        &[Up(|state, frame| {
            let is_bad = op(&frame) == "send" && frame["action"]["chat_id"].is_null();
            cut_if(state, frame, is_bad)
        })],
    ),
    bug(
        "chat-info-without-a-name",
        &["o-chat-info"],
        &[],
        &[Down(|state, frame| answer(state, frame, "get_chat_info", json!({"success": true})))],
    ),
    bug(
        "offers-edits-and-refuses-them",
        &["o-edit"],
        &[],
        &[Down(|state, frame| answer(state, frame, "edit", json!({"success": false, "error": "no"})))],
    ),
    bug(
        "dies-of-an-interrupt",
        &["l-interrupt"],
        &[],
        &[Up(|state, frame| {
            let is_bad = frame["type"] == "interrupt";
            cut_if(state, frame, is_bad)
        })],
    ),
    bug(
        "never-confirms-idleness",
        &["l-going-idle"],
        &[],
        &[Down(|_, frame| if frame["type"] == "going_idle_ack" { Vec::new() } else { vec![frame] })],
    ),
    bug(
        "idle-is-deaf",
        &["l-idle-requests"],
        &[],
        &[Up(|state, frame| {
            match frame["type"].as_str() {
                Some("going_idle") => drop(state.kept.insert("idle", true.into())),
                Some("hello") => drop(state.kept.remove("idle")),
                Some("outbound") if state.kept.contains_key("idle") => return Vec::new(),
                _ => {}
            }
            vec![frame]
        })],
    ),
    bug(
        "idle-is-not-idle",
        &["a-idle-buffers"],
        &[],
        &[Up(|state, frame| {
            if frame["type"] != "going_idle" {
                return vec![frame];
            }
            state.inject_down(&json!({"type": "going_idle_ack"}));
            Vec::new()
        })],
    ),
    bug("no-pongs", &["l-ping"], &[], &[DownControl(|_, opcode, _| opcode != PONG)]),
    bug(
        "refuses-with-4403",
        &["l-wrong-token"],
        &[],
        &[DownControl(|state, opcode, payload| {
            let is_of_gateway = token(&state.last_request) == token(&state.first_request);
            if opcode == CLOSE && is_of_gateway && payload.ends_with(b"unauthorized") {
                recode(payload, 4403);
            }
            true
        })],
    ),
    bug(
        "serves-without-a-token",
        &["l-no-token"],
        &[],
        &[Request(|state, head| match token(&head) {
            Token::Missing => admit(state, &head),
            _ => head,
        })],
    ),
    bug(
        "serves-any-token",
        &["l-malformed-token"],
        &[],
        &[Request(|state, head| match token(&head) {
            Token::Malformed => admit(state, &head),
            _ => head,
        })],
    ),
    bug(
        "serves-any-gateway",
        &["l-foreign-token"],
        &[],
        &[Request(|state, head| {
            let token_of_head = token(&head);
            let is_foreign =
                matches!(token_of_head, Token::Of(_)) && token_of_head != token(&state.first_request);
            if is_foreign { admit(state, &head) } else { head }
        })],
    ),
    bug(
        "expired-is-unauthorized",
        &["l-expired-token"],
        &[],
        &[DownControl(|_, opcode, payload| {
            if opcode == CLOSE && payload.ends_with(b"expired") {
                payload.truncate(2);
                payload.extend(b"unauthorized");
            }
            true
        })],
    ),
    bug(
        "waits-for-the-old-connection",
        &["l-reconnect"],
        &[],
        &[Down(|state, frame| {
            let waits = frame["type"] == "descriptor" && std::mem::take(&mut state.was_cut);
            cut_if(state, frame, waits)
        })],
    ),
    bug(
        "refuses-the-older-connection",
        &["l-second-connection"],
        &[],
        &[DownControl(|_, opcode, payload| {
            if opcode == CLOSE && ![1000, 4401].contains(&code(payload)) {
                recode(payload, 4401);
            }
            true
        })],
    ),
    bug(
        "dies-of-a-stray-ack",
        &["a-stray-ack"],
        &[],
        &[
            Down(|state, frame| {
                if let Some(id) = frame["bufferId"].as_str() {
                    state.seen.insert(id.to_owned());
                }
                vec![frame]
            }),
            Up(|state, frame| {
                let id = frame["bufferId"].as_str().unwrap_or_default();
                let is_bad = frame["type"] == "inbound_ack" && !state.seen.contains(id);
                cut_if(state, frame, is_bad)
            }),
        ],
    ),
    bug(
        "loses-live-messages",
        &["a-live"],
        &[],
        &[Down(|_, frame| {
            let is_live = frame["type"] == "inbound" && frame["bufferId"].is_null();
            if is_live { Vec::new() } else { vec![frame] }
        })],
    ),
    bug(
        "forgets-what-it-has-sent",
        &["a-buffered"],
        &[],
        &[Down(|state, frame| match frame["bufferId"].as_str() {
            Some(id) if !state.seen.insert(id.to_owned()) => Vec::new(),
            _ => vec![frame],
        })],
    ),
    bug(
        "does-not-wait-for-acks",
        &["a-drain"],
        &[],
        &[Down(|state, frame| {
            // The next entry comes as soon as this one is acknowledged.
            if frame["event"]["text"].as_str().is_some_and(|text| text.starts_with("one ")) {
                state.inject(&ack(&frame["bufferId"]));
            }
            vec![frame]
        })],
    ),
];
