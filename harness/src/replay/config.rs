//! Configuration of the machine, from the header of a recording.

use super::ReplayError;
use super::session::Session;
use super::turns::flag;
use crate::recording::{LineContent, Recording};
use relayline_core::config::{Config, Credentials, Identity};
use serde_json::Value;
use std::time::Duration;

/// First back-off for a recorded gateway that had none, because it never dialed again. It is short enough for the next
/// dial to happen before such a recording ends, whatever the seed draws.
const UNRECORDED_BACKOFF: Duration = Duration::from_millis(100);

/// Returns the header's settings, with the rules' defaults for absent ones. Identities that the header does not name
/// are those of the first connection with a hello, because a recorder does not know them when it writes the header.
pub(crate) fn config(recording: &Recording, session: &Session) -> Result<Config, ReplayError> {
    let gateway = &recording.header.gateway;
    let said = |at: usize| session.dials[at].wrote.iter().filter(|frame| frame.kind() == "hello");
    let first = (0..session.dials.len()).find(|at| said(*at).next().is_some());
    let hellos: Vec<&Value> = first.map_or_else(Vec::new, |at| said(at).map(|frame| &frame.value).collect());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let identities: Vec<Identity> = if !gateway.identities.is_empty() {
        let pairs = gateway.identities.iter().cloned();
        pairs.map(|(platform, bot_id)| Identity::new(platform, bot_id)).collect()
    } else if let Some(platform) = &gateway.platform {
        let bot_id = gateway.bot_id.clone().unwrap_or_default();
        vec![Identity::new(platform.clone(), bot_id)]
    } else {
        let said = hellos.iter().map(|hello| (text(&hello["platform"]), text(&hello["botId"])));
        said.map(|(platform, bot_id)| Identity::new(platform, bot_id)).collect()
    };
    let Some(first) = identities.first().cloned() else {
        return Err(ReplayError::Silent { file: recording.file.clone() });
    };
    let mut config = Config::new(first);
    config.identities = identities;
    config.command_manifest = hellos.iter().find_map(|hello| hello["command_manifest"].as_array().cloned());
    config.credentials = credentials(recording);
    // The wire does not show if a host wanted raw forwards. Without passthrough it took them at once, as a host with
    // passthrough does: when the entry was acknowledged.
    config.passthrough = session.wire_only;

    if let Some(slack) = gateway.rest.get("slack") {
        let is_on = |name: &str| slack.get(name).and_then(flag).unwrap_or(true);
        config.slack_reply_in_thread = is_on("reply_in_thread");
        config.slack_thread_sessions = is_on("dm_top_level_threads_as_sessions");
    }

    let timing = &mut config.timing;
    // The recorded host has already waited between the states of a stream.
    timing.stream_interval = Duration::ZERO;
    if let Some(timeout) = gateway.connect_timeout {
        timing.dial_timeout = timeout;
        timing.handshake_timeout = timeout;
    }
    if let Some(timeout) = gateway.outbound_timeout {
        timing.request_timeout = timeout;
    }
    // A gateway that was recorded with another back-off than that of L-5 is replayed with its own. The reference waits
    // the whole back-off, the machine a draw from its upper half (L-5), so the machine has dialed when the recorded
    // upgrade arrives.
    if let Some(first) = gateway.reconnect_backoff {
        timing.backoff_first = first;
    } else if gateway.layer.is_some() && gateway.reconnect.is_none() {
        timing.backoff_first = UNRECORDED_BACKOFF;
    }
    if let Some(most) = gateway.reconnect_max_backoff {
        timing.backoff_most = most;
        timing.backoff_refused_most = most;
    }
    if let Some(timeout) = recording.lines.iter().find_map(|line| idle_timeout(&line.what)) {
        timing.idle_timeout = timeout;
    }
    Ok(config)
}

/// Returns the first timeout that the host gave to a `go_idle` or `go_dormant`. A machine has one timeout for all.
fn idle_timeout(what: &LineContent) -> Option<Duration> {
    let (call, args) = what.host_call()?;
    let seconds =
        args.get("timeout_s").and_then(Value::as_f64).filter(|_| matches!(call, "go_idle" | "go_dormant"));
    Duration::try_from_secs_f64(seconds?).ok()
}

/// Returns the recorded credentials. If dials were authenticated and the secret is not in the file, it returns
/// placeholder credentials, because a gateway without credentials treats the first refusal as final (L-9).
fn credentials(recording: &Recording) -> Option<Credentials> {
    let gateway = &recording.header.gateway;
    let secret = gateway.upgrade_secret.clone().filter(|secret| !secret.is_blank());
    let authorized = recording
        .lines
        .iter()
        .any(|line| matches!(&line.what, LineContent::Connect { authorization: Some(_), .. }));
    let gateway_id = gateway.gateway_id.clone().filter(|id| !id.trim().is_empty());
    match (gateway_id, secret) {
        (Some(gateway_id), Some(secret)) => Some(Credentials::new(gateway_id, secret)),
        (gateway_id, _) if authorized => Some(Credentials::new(
            gateway_id.unwrap_or_else(|| "recorded".to_owned()),
            "kept out of the recording",
        )),
        _ => None,
    }
}

/// Returns true if the recorded tokens can be recomputed.
pub(crate) fn tokens_are_known(recording: &Recording) -> bool {
    let gateway = &recording.header.gateway;
    gateway.gateway_id.as_ref().is_some_and(|id| !id.trim().is_empty())
        && gateway.upgrade_secret.as_ref().is_some_and(|secret| !secret.is_blank())
        && gateway.clock_unix_s.is_some()
}
