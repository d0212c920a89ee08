//! Status of a gateway: the result of the op `status`, and what `relayline status` shows. It has no text of a message and no
//! secret.

use super::monitor::{AgentKind, Monitor, millis};
#[cfg(test)]
use super::schema::Capabilities;
use relayline_control::config::GatewayConfig;
use relayline_core::config::Config;
use relayline_core::redact::redact;
use relayline_core::upgrade::excerpt;
use relayline_core::usage::Usage;
use relayline_queue::inbox::DurableQueue;
use relayline_runtime::Relay;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Instant;

/// Maximum number of errors that are shown.
const LAST_ERRORS: usize = 16;

/// Status of a gateway.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct GatewayStatus {
    /// Version of the program.
    pub(crate) version: String,
    /// Id of the gateway's process.
    pub(crate) pid: u32,
    pub(crate) running_for_ms: u64,
    /// `waiting`, `dialing`, `handshaking`, `connected`, `idle`, `closing`, `stopped` or `revoked`.
    pub(crate) phase: String,
    pub(crate) phase_for_ms: u64,
    /// Time since the handshake; null while not connected.
    pub(crate) connected_for_ms: Option<u64>,
    /// Time until the next dial; null if it waits for none.
    pub(crate) next_dial_in_ms: Option<u64>,
    /// True while the gateway sleeps, until it is woken (`--sleep-after`).
    #[serde(default)]
    pub(crate) asleep: bool,
    /// Null without credentials.
    pub(crate) gateway_id: Option<String>,
    /// URL of the connector, without the content of its query.
    pub(crate) url: String,
    /// Platforms of the gateway's identities, the default first.
    pub(crate) platforms: Vec<String>,
    /// Descriptors of this connection by platform; empty before the handshake.
    #[cfg_attr(test, schemars(with = "BTreeMap<String, Capabilities>"))]
    pub(crate) descriptors: BTreeMap<String, Value>,
    /// Sizes of all queues and tables, as on the metrics page.
    pub(crate) queues: BTreeMap<String, QueueStatus>,
    /// Counters since the start, as on the metrics page.
    pub(crate) counters: BTreeMap<String, u64>,
    pub(crate) agent: AgentStatus,
    /// Durable queue (`--queue`); null if there is none.
    #[serde(default)]
    pub(crate) queue: Option<DurableStatus>,
    /// Control socket; null if there is none.
    pub(crate) control: Option<ControlStatus>,
    /// Last 16 errors, the latest first.
    pub(crate) last_errors: Vec<ErrorStatus>,
}

/// Size of a queue or table.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct QueueStatus {
    pub(crate) used: usize,
    /// Its limit, which `--set` changes. Some queues may exceed it by one item. Null if only its bytes are limited.
    pub(crate) limit: Option<usize>,
}

/// The agent.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct AgentStatus {
    pub(crate) kind: AgentKind,
    pub(crate) running: bool,
    /// Null while no agent is running.
    pub(crate) running_for_ms: Option<u64>,
    pub(crate) restarts: u64,
    /// Counters of the sessions and turns of an ACP agent; null for others.
    #[serde(default)]
    pub(crate) counters: Option<BTreeMap<String, u64>>,
}

/// The durable queue.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct DurableStatus {
    /// Entries, dead letters included.
    pub(crate) entries: QueueStatus,
    /// Bytes of these entries.
    pub(crate) bytes: QueueStatus,
    /// Entries that wait for an agent.
    pub(crate) waiting: usize,
    /// Entries that agents have.
    pub(crate) out: usize,
    pub(crate) dead_letters: usize,
    /// Agents that get entries.
    pub(crate) agents: usize,
    /// Sessions that have entries or an agent.
    pub(crate) sessions: usize,
    /// True while the connector buffers, because the store is down or the queue is full.
    pub(crate) paused: bool,
    /// Counters since the start, as on the metrics page.
    pub(crate) counters: BTreeMap<String, u64>,
}

impl DurableStatus {
    fn of(queue: &DurableQueue) -> Option<DurableStatus> {
        let (status, limits) = (queue.status()?, queue.limits());
        let usage = status.usage;
        let size = |used: u64, limit: usize| {
            let used = usize::try_from(used).unwrap_or(usize::MAX);
            QueueStatus { used, limit: Some(limit) }
        };
        let counters = status.stats.described().chain(status.inbox.described());
        Some(DurableStatus {
            entries: size(usage.entries as u64, limits.queue_entries),
            bytes: size(usage.bytes, limits.queue_bytes),
            waiting: usage.entries.saturating_sub(usage.dead_letters + usage.out),
            out: usage.out,
            dead_letters: usage.dead_letters,
            agents: usage.agents,
            sessions: usage.sessions,
            paused: status.paused.is_some(),
            counters: counters.map(|(name, _, count)| (name.to_owned(), count)).collect(),
        })
    }
}

/// The control socket.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ControlStatus {
    pub(crate) clients: QueueStatus,
    pub(crate) counters: BTreeMap<String, u64>,
}

/// An error.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum ErrorStatus {
    /// A dial failed.
    Dial {
        ago_ms: u64,
        /// Close code, if there was one.
        code: Option<u16>,
        reason: String,
    },
    /// A connection ended.
    Close {
        ago_ms: u64,
        /// Close code, if there was one.
        code: Option<u16>,
        reason: String,
    },
    /// An op failed.
    Op {
        ago_ms: u64,
        op: String,
        /// Empty if it names no chat.
        chat_id: String,
        /// `definite`, `ambiguous`, `declined`, `unsupported` or `rejected`.
        failure: String,
        /// Error code of the connector, if it sent one.
        code: Option<String>,
    },
}

impl GatewayStatus {
    /// Returns the status of a gateway now.
    pub(super) fn of(relay: &Relay, monitor: &Monitor) -> GatewayStatus {
        let (state, config) = (relay.state(), relay.config());
        let now = Instant::now();
        let descriptors = relay.descriptors();
        let descriptor = |value| serde_json::to_value(value).unwrap_or_default();
        let counters = relay.stats();
        let dropped = [("signs_dropped", relay.signs_dropped())];
        GatewayStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            running_for_ms: u64::try_from(monitor.age().as_millis()).unwrap_or(u64::MAX),
            phase: state.phase.name().to_owned(),
            phase_for_ms: millis(now, state.since),
            connected_for_ms: state.connected_since.map(|since| millis(now, since)),
            next_dial_in_ms: state.next_dial.map(|at| millis(at, now)),
            asleep: monitor.gate().is_asleep(),
            gateway_id: config.machine.credentials.as_ref().map(|credentials| credentials.gateway_id.clone()),
            url: config.url.to_string(),
            platforms: config.machine.identities.iter().map(|identity| identity.platform.clone()).collect(),
            descriptors: descriptors.iter().map(|one| (one.platform.clone(), descriptor(&**one))).collect(),
            queues: queues(&relay.usage(), config),
            counters: counters.iter().chain(dropped).map(|(name, count)| (name.to_owned(), count)).collect(),
            agent: monitor.agent(now),
            queue: monitor.queue().and_then(DurableStatus::of),
            control: monitor.control().map(|control| control.status()),
            last_errors: last_errors(relay, monitor, now),
        }
    }
}

/// Returns the size and the limit of each queue.
fn queues(usage: &Usage, config: &GatewayConfig) -> BTreeMap<String, QueueStatus> {
    let status =
        |(name, used): (&str, usize)| (name.to_owned(), QueueStatus { used, limit: limit_of(name, config) });
    usage.iter().map(status).collect()
}

/// Returns the limit of a queue; `None` if it has none of its own.
fn limit_of(queue: &str, config: &GatewayConfig) -> Option<usize> {
    let limits = &config.machine.limits;
    Some(match queue {
        "unfinished_line_bytes" => limits.max_line_bytes,
        "waiting_event_bytes" | "host_queue_bytes" => limits.host_queue_bytes.max(limits.read_ahead_bytes),
        "early_event_bytes" | "action_bytes" => limits.read_ahead_bytes,
        "host_queue" => limits.host_queue,
        "unsettled_deliveries" | "remembered_deliveries" | "unwritten_acks" => limits.dedupe,
        "unsettled_bytes" => limits.unsettled_bytes,
        "unanswered_deliveries" => limits.deliveries,
        "requests" => limits.max_in_flight,
        "unwritten_bytes" | "stream_bytes" => limits.write_queue_bytes,
        "chats" => limits.chats,
        "prompts" => limits.prompts,
        "streams" => limits.streams,
        "reply_targets" => limits.reply_targets,
        "reply_target_bytes" => limits.reply_target_bytes,
        "turns" => limits.turns,
        _ => return None,
    })
}

/// Returns the last errors, the latest first.
fn last_errors(relay: &Relay, monitor: &Monitor, now: Instant) -> Vec<ErrorStatus> {
    let config = &relay.config().machine;
    let mut errors = monitor.failed_ops(now);
    errors.extend(relay.recent_ends().into_iter().map(|end| {
        let (ago_ms, code, reason) = (millis(now, end.at), end.ended.code, end.ended.reason);
        let error = if end.was_connected {
            ErrorStatus::Close { ago_ms, code, reason }
        } else {
            ErrorStatus::Dial { ago_ms, code, reason }
        };
        (end.at, error)
    }));
    errors.sort_by_key(|(at, _)| Reverse(*at));
    errors.into_iter().take(LAST_ERRORS).map(|(_, error)| error.cleaned(config)).collect()
}

impl ErrorStatus {
    /// Shortens the connector's texts, and removes the gateway's secrets from them (C-4).
    fn cleaned(mut self, config: &Config) -> ErrorStatus {
        let text = match &mut self {
            ErrorStatus::Dial { reason, .. } | ErrorStatus::Close { reason, .. } => Some(reason),
            ErrorStatus::Op { code, .. } => code.as_mut(),
        };
        if let Some(text) = text {
            let secret = config.credentials.iter().map(|credentials| &credentials.secret);
            let secrets = secret.chain(&config.delivery_keys).filter(|secret| !secret.is_blank());
            *text = excerpt(&secrets.fold(std::mem::take(text), redact));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relayline_control::url::DialUrl;
    use relayline_core::config::{Credentials, Identity};

    /// C-4: a connector can repeat a secret in the reason of a close.
    #[test]
    fn c_4_an_error_hides_the_secrets_of_the_gateway() {
        let mut config = Config::new(Identity::new("discord", "1"));
        config.credentials = Some(Credentials::new("gw-1", "S3CRET"));
        config.delivery_keys = vec!["K3Y".into()];
        let reason = format!("S3CRET and K3Y are old{}", "x".repeat(500));
        let close = ErrorStatus::Close { ago_ms: 1, code: None, reason };
        let code = Some("K3Y".to_owned());
        let (op, chat_id, failure) = ("send".to_owned(), "7".to_owned(), "rejected".to_owned());
        let op = ErrorStatus::Op { ago_ms: 1, op, chat_id, failure, code };
        for error in [close, op] {
            let shown = serde_json::to_string(&error.cleaned(&config)).unwrap();
            assert!(shown.contains("<hidden>") && shown.len() < 400, "{shown}");
            assert!(!shown.contains("S3CRET") && !shown.contains("K3Y"), "{shown}");
        }
    }

    /// A queue that is added needs its limit here, or a reason to have none.
    #[test]
    fn every_queue_has_a_limit_but_two() {
        let url = DialUrl::parse("ws://127.0.0.1:1").unwrap();
        let config = GatewayConfig::new(url, Identity::new("discord", "1"));
        let all = queues(&Usage::default(), &config);
        let without: Vec<&str> =
            all.iter().filter(|(_, queue)| queue.limit.is_none()).map(|(name, _)| name.as_str()).collect();
        assert_eq!(without, ["actions", "waiting_events"]);
        assert_eq!(all["requests"].limit, Some(1024));
    }
}
