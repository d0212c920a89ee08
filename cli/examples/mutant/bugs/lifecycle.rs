//! Bugs of the connection's life.

use super::{Bug, bug, set};
use crate::Hook::{Arguments, Down, DownControl, FromAgent, Request, Response, ToAgent, Up, UpControl};
use crate::proxy::{CLOSE, PONG, State, ghost_dial};
use serde_json::json;

/// Opcode of a ping.
const PING: u8 = 9;

fn code(payload: &[u8]) -> u16 {
    payload.first_chunk().map_or(0, |code| u16::from_be_bytes(*code))
}

fn reason(payload: &[u8]) -> &str {
    payload.get(2..).and_then(|reason| std::str::from_utf8(reason).ok()).unwrap_or_default()
}

/// Ends all dials at a refusal that is so.
fn dies_at(state: &mut State, opcode: u8, payload: &[u8], is_final: impl Fn(&State, &str) -> bool) -> bool {
    if opcode == CLOSE && code(payload) == 4401 && is_final(state, reason(payload)) {
        state.is_dead = true;
    }
    true
}

pub(super) const BUGS: &[Bug] = &[
    bug(
        "reuses-the-token",
        &["l-redial"],
        &[],
        &[Request(|state, head| {
            let token = |head: &str| {
                head.split("\r\n")
                    .find(|line| line.to_ascii_lowercase().starts_with("authorization"))
                    .map(str::to_owned)
            };
            match (token(&state.first_request), token(&head)) {
                (Some(first), Some(now)) => head.replace(&now, &first),
                _ => head,
            }
        })],
    ),
    bug(
        "dials-at-once",
        &["l-redial"],
        &["l-flapping", "l-backoff-grows", "l-refusal-reason", "l-retry-after"],
        &[ToAgent(|state, line| {
            if line["event"] == "disconnected" && line["code"].is_null() && state.dials == 1 {
                ghost_dial(state);
            }
            vec![line]
        })],
    ),
    bug(
        "cold-refusals-are-final",
        &["l-cold-refusal"],
        &[],
        &[DownControl(|state, opcode, payload| {
            dies_at(state, opcode, payload, |state, _| !state.had_descriptor)
        })],
    ),
    bug(
        "expired-is-final",
        &["l-expired"],
        &[],
        &[DownControl(|state, opcode, payload| {
            dies_at(state, opcode, payload, |_, reason| reason == "expired")
        })],
    ),
    bug(
        "first-refusal-is-final",
        &["l-one-refusal", "l-revoked"],
        &["l-revoked-by-401"],
        &[DownControl(|state, opcode, payload| {
            dies_at(state, opcode, payload, |state, reason| state.had_descriptor && reason == "unauthorized")
        })],
    ),
    bug(
        "dials-after-revocation",
        &["l-revoked", "l-revoked-by-401"],
        &[],
        &[ToAgent(|state, line| {
            if line["event"] == "fatal" {
                ghost_dial(state);
            }
            vec![line]
        })],
    ),
    bug(
        "fatal-twice",
        &["l-revoked"],
        &[],
        &[ToAgent(|_, line| if line["event"] == "fatal" { vec![line.clone(), line] } else { vec![line] })],
    ),
    bug(
        "fatal-is-retryable",
        &["l-revoked"],
        &[],
        &[ToAgent(|_, mut line| {
            if line["event"] == "fatal" {
                set(&mut line, "", "retryable", true);
            }
            vec![line]
        })],
    ),
    bug(
        "never-believes-a-401",
        &["l-revoked-by-401"],
        &[],
        &[Response(|response| response.replacen("401 Unauthorized", "503 Service Unavailable", 1))],
    ),
    bug(
        "believes-a-proxy",
        &["l-foreign-401"],
        &[],
        &[Response(|response| {
            let lines = response.split("\r\n").filter(|line| !line.starts_with("www-authenticate"));
            lines.collect::<Vec<_>>().join("\r\n")
        })],
    ),
    bug(
        "believes-a-page",
        &["l-plain-401"],
        &[],
        &[Response(|response| match response.contains("<h1>401") {
            true => "HTTP/1.1 401 Unauthorized\r\ncontent-length: 24\r\n\r\n{\"error\":\"unauthorized\"}"
                .to_owned(),
            false => response,
        })],
    ),
    bug(
        "4403-is-a-refusal",
        &["l-other-close"],
        &[],
        &[DownControl(|_, opcode, payload| {
            if opcode == CLOSE && code(payload) == 4403 {
                payload[..2].copy_from_slice(&4401_u16.to_be_bytes());
            }
            true
        })],
    ),
    bug(
        "ignores-retry-after",
        &["l-retry-after"],
        &[],
        &[Response(|response| {
            let lines = response.split("\r\n").filter(|line| !line.starts_with("retry-after"));
            lines.collect::<Vec<_>>().join("\r\n")
        })],
    ),
    bug(
        "refusals-untold",
        &["l-refusal-reason"],
        &[],
        &[ToAgent(|_, mut line| {
            if line["reason"].to_string().contains("maintenance") {
                set(&mut line, "", "reason", "refused");
            }
            vec![line]
        })],
    ),
    bug(
        "never-pings",
        &["l-ping"],
        &[],
        &[UpControl(|state, opcode, payload| {
            if opcode == PING {
                // As if the connector had answered, so that nothing else changes.
                state.control_gateway(PONG, payload.clone());
            }
            opcode != PING
        })],
    ),
    bug(
        "ignores-missing-pongs",
        &["l-dead-connection"],
        &[],
        &[UpControl(|state, opcode, payload| {
            if opcode == PING {
                state.control_gateway(PONG, payload.clone());
            }
            true
        })],
    ),
    bug(
        "asks-to-go-idle-twice",
        &["l-go-idle"],
        &[],
        &[FromAgent(|state, line| {
            if line["op"] == "go_idle" && state.kept.insert("asked", true.into()).is_some() {
                state.inject(&json!({"type": "going_idle"}));
            }
            vec![line]
        })],
    ),
    bug(
        "idle-without-confirmation",
        &["l-idle-unconfirmed", "l-dormant-unconfirmed"],
        &[],
        &[ToAgent(|_, mut line| {
            if line["result"]["confirmed"] == false {
                set(&mut line, "/result", "confirmed", true);
            }
            vec![line]
        })],
    ),
    bug(
        "unconfirmed-idle-is-idle",
        &["l-idle-unconfirmed"],
        &[],
        &[
            FromAgent(|state, line| {
                if line["op"] == "go_idle" {
                    state.kept.insert("idle", line["id"].clone());
                }
                vec![line]
            }),
            ToAgent(|state, mut line| {
                if line["event"] == "result" && Some(&line["id"]) == state.kept.get("idle") {
                    set(&mut line, "/result", "confirmed", true);
                }
                vec![line]
            }),
        ],
    ),
    bug(
        "unconfirmed-is-dormant",
        &["l-dormant-unconfirmed"],
        &[],
        &[ToAgent(|state, line| {
            if line["result"]["confirmed"] == false && line["id"] == "d" {
                state.cut();
            }
            vec![line]
        })],
    ),
    bug(
        "waits-as-long-each-time",
        &["l-backoff-grows"],
        &["l-flapping"],
        &[Arguments(&["--set", "backoff_most=1s"])],
    ),
    bug("accepted-is-well", &["l-flapping"], &[], &[Arguments(&["--set", "backoff_reset=0s"])]),
    bug(
        "trusts-a-silent-connector",
        &["l-silent-connector"],
        &[],
        &[Arguments(&["--set", "handshake_timeout=1h"])],
    ),
    bug(
        "backs-off-at-a-refusal",
        &["l-one-refusal"],
        &[],
        &[
            DownControl(|state, opcode, payload| {
                if opcode == CLOSE && code(payload) == 4401 && reason(payload) == "unauthorized" {
                    state.kept.insert("refused", true.into());
                }
                true
            }),
            Request(|state, head| {
                if state.kept.remove("refused").is_some() {
                    std::thread::sleep(std::time::Duration::from_secs(1));
                }
                head
            }),
        ],
    ),
    bug(
        "dormant-closes-as-going-away",
        &["l-dormant"],
        &[],
        &[
            FromAgent(|state, line| {
                if line["op"] == "go_dormant" {
                    state.kept.insert("dormant", true.into());
                }
                vec![line]
            }),
            UpControl(|state, opcode, payload| {
                if opcode == CLOSE && state.kept.contains_key("dormant") && payload.len() >= 2 {
                    payload[..2].copy_from_slice(&1001_u16.to_be_bytes());
                }
                true
            }),
        ],
    ),
    bug(
        "ends-without-a-close",
        &["l-disconnect"],
        &[],
        &[UpControl(|state, opcode, _| {
            if opcode == CLOSE && state.has_ended {
                state.cut();
            }
            true
        })],
    ),
    bug(
        "ends-without-the-last-result",
        &["l-disconnect-pending"],
        &[],
        &[FromAgent(|state, line| {
            if line["op"] == "disconnect" {
                state.cut();
            }
            vec![line]
        })],
    ),
    bug(
        "no-interrupts",
        &["l-interrupt"],
        &[],
        &[ToAgent(|_, line| if line["event"] == "interrupt" { Vec::new() } else { vec![line] })],
    ),
    bug(
        "reason-only-if-given",
        &["l-interrupt"],
        &[],
        &[Up(|_, mut frame| {
            if frame["type"] == "interrupt" && frame["reason"].is_null() {
                super::remove(&mut frame, "", "reason");
            }
            vec![frame]
        })],
    ),
    bug(
        "early-events-are-lost",
        &["l-early-event"],
        &[],
        &[Down(
            |state, frame| {
                if frame["type"] == "inbound" && !state.has_descriptor { Vec::new() } else { vec![frame] }
            },
        )],
    ),
    bug(
        "dies-at-late-descriptors",
        &["l-late-descriptor"],
        &[],
        &[Down(|state, frame| {
            if frame["type"] == "descriptor" && state.has_descriptor && frame["descriptor"]["label"].is_null()
            {
                state.cut();
            }
            vec![frame]
        })],
    ),
];
