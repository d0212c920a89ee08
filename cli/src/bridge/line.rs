//! Lines that the bridge writes: one JSON object each, with `event` first.

use super::delivery::AgentSettlement;
#[cfg(test)]
use super::schema::{self, Capabilities, Message};
use relayline_core::command::Failure;
use relayline_core::descriptor::Descriptor;
use relayline_core::event::{Event, Source};
use relayline_core::output::Fatal;
use relayline_core::passthrough::Forward;
use serde::Serialize;
#[cfg(test)]
use serde_json::Map;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) enum BridgeLine<'a> {
    /// The gateway is connected. Repeated when a further platform has answered: each replaces the one before.
    Connected {
        #[cfg_attr(test, schemars(with = "Capabilities"))]
        descriptor: &'a Descriptor,
        #[cfg_attr(test, schemars(with = "BTreeMap<String, Capabilities>"))]
        descriptors: BTreeMap<&'a str, &'a Descriptor>,
        platforms: Vec<&'a str>,
        /// The connector has already decided that a message's author may reach this instance (E-10).
        authorization_is_upstream: bool,
    },
    /// A connection ended or a dial failed. Written once for each.
    Disconnected { code: Option<u16>, reason: &'a str, retry_in_ms: Option<u64> },
    /// A user sent a message. With `buffered` it is kept until it is acknowledged.
    Message {
        delivery: u64,
        buffered: bool,
        #[serde(flatten)]
        attempt: Option<Attempt>,
        session_key: &'a str,
        #[cfg_attr(test, schemars(with = "Message"))]
        message: ShownMessage<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, schemars(with = "Option<Map<String, Value>>"))]
        raw: Option<&'a RawValue>,
    },
    /// A user chose from an open prompt. Acknowledge it like a message.
    PromptAnswer {
        delivery: u64,
        buffered: bool,
        #[serde(flatten)]
        attempt: Option<Attempt>,
        #[serde(flatten)]
        choice: Choice<'a>,
    },
    /// A user chose from a prompt that is no longer open.
    StalePrompt {
        #[serde(flatten)]
        choice: Choice<'a>,
    },
    /// A user chose from an open prompt without the right to: it is still open (`--approver`).
    UnauthorizedAnswer {
        #[serde(flatten)]
        choice: Choice<'a>,
    },
    /// A platform's HTTP request (`--passthrough`). Acknowledge it like a message.
    Passthrough {
        delivery: u64,
        buffered: bool,
        #[serde(flatten)]
        attempt: Option<Attempt>,
        #[cfg_attr(test, schemars(with = "schema::Forward"))]
        forward: &'a Forward,
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, schemars(with = "Option<Map<String, Value>>"))]
        raw: Option<&'a RawValue>,
    },
    /// A frame of an unknown type or of type `error` (`--unknown-frames`, X-5).
    Frame {
        #[serde(rename = "type")]
        kind: &'a str,
        #[cfg_attr(test, schemars(with = "Map<String, Value>"))]
        raw: &'a RawValue,
    },
    /// Stop the turn of exactly this session.
    Interrupt { session_key: &'a str, chat_id: &'a str },
    /// The result of the op with this id.
    Result {
        id: &'a Value,
        ok: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<&'a Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<ErrorBody<'a>>,
    },
    /// The connector sent something that cannot be used.
    DeadLetter { reason: &'a str, buffer_id: Option<&'a str>, line: &'a str },
    /// The agent wrote a line that is not an op.
    Invalid { line: &'a str, message: &'a str },
    /// The gateway has ended for good.
    Fatal { code: &'a str, message: &'a str, retryable: bool },
}

/// Number of a hand-out, with `--queue`.
#[derive(Clone, Copy, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Attempt {
    /// Number of the entry, by which `relayline queue` names it. With `--queue` only.
    entry: u64,
    /// Number of this hand-out, from 1. With `--queue` only.
    attempt: u32,
    /// True if this may not be the first hand-out: the agent may have begun with it before. With `--queue` only.
    redelivered: bool,
}

impl Attempt {
    /// Returns that of a delivery; `None` without a queue.
    pub(super) fn of(settlement: &AgentSettlement) -> Option<Attempt> {
        settlement.hand_out().map(|hand_out| Attempt {
            entry: hand_out.entry.0,
            attempt: hand_out.attempt,
            redelivered: hand_out.attempt > 1,
        })
    }
}

/// Choice of a user from a prompt.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Choice<'a> {
    prompt_id: &'a str,
    option_id: &'a str,
    #[cfg_attr(test, schemars(with = "schema::Source"))]
    source: &'a Source,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<Map<String, Value>>"))]
    raw: Option<&'a RawValue>,
}

impl<'a> Choice<'a> {
    /// Returns the choice of an event: both ids are empty if it is none.
    pub(super) fn of(event: &'a Event) -> Choice<'a> {
        let ids = event.prompt_response.as_ref();
        let (prompt_id, option_id) = ids.map_or(("", ""), |ids| (&ids.prompt_id, &ids.option_id));
        Choice { prompt_id, option_id, source: &event.source, raw: verbatim(event.raw.as_deref()) }
    }
}

/// Message as the agent sees it.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ShownMessage<'a> {
    Event(&'a Event),
    /// With the paths of its files, which the queue has fetched.
    WithPaths(Value),
}

impl<'a> ShownMessage<'a> {
    /// Shows an event. `paths` has the path of each of its files that is there.
    pub(super) fn of(event: &'a Event, paths: &[Option<PathBuf>]) -> ShownMessage<'a> {
        if paths.iter().all(Option::is_none) {
            return ShownMessage::Event(event);
        }
        let mut shown = serde_json::to_value(event).unwrap_or_default();
        for (index, path) in paths.iter().enumerate() {
            let path = path.as_ref().map(|path| path.to_string_lossy().into_owned());
            if let (Some(path), Some(media)) = (path, shown.pointer_mut(&format!("/media/{index}"))) {
                media["path"] = path.into();
            }
        }
        ShownMessage::WithPaths(shown)
    }
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct ErrorBody<'a> {
    kind: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
}

impl<'a> BridgeLine<'a> {
    pub(super) fn connected(
        descriptors: &'a [Arc<Descriptor>],
        authorization_is_upstream: bool,
    ) -> Option<Self> {
        let descriptor = descriptors.first()?;
        Some(BridgeLine::Connected {
            descriptor,
            descriptors: descriptors.iter().map(|one| (one.platform.as_str(), &**one)).collect(),
            platforms: descriptors.iter().map(|one| one.platform.as_str()).collect(),
            authorization_is_upstream,
        })
    }

    pub(super) fn result(id: &'a Value, result: &'a Result<Value, Failure>) -> Self {
        let (result, error) = match result {
            Ok(result) => (Some(result), None),
            Err(failure) => {
                let (kind, message) = (failure.kind.name(), failure.message.as_str());
                (None, Some(ErrorBody { kind, message, code: failure.code.as_deref() }))
            }
        };
        BridgeLine::Result { id, ok: error.is_none(), result, error }
    }

    pub(super) fn fatal(fatal: &'a Fatal) -> Self {
        BridgeLine::Fatal { code: fatal.code, message: fatal.message, retryable: fatal.retryable }
    }

    pub(super) fn text(&self) -> String {
        // This cannot fail: all keys are strings.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Returns the connector's JSON unchanged.
pub(super) fn verbatim(raw: Option<&str>) -> Option<&RawValue> {
    // This cannot fail: the text was parsed as JSON before.
    serde_json::from_str(raw?).ok()
}
