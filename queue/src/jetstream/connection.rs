//! Connection to the servers of NATS.

use super::error::{JetStreamError, OLDEST, fault};
use super::location::{Login, NatsUrl};
use crate::clock;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::{Context, ErrorCode};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Maximum time for a connection, and for the answer to a request. It is shorter than `store_timeout`, so that the
/// dispatcher gets the reason of a failure.
pub(super) const TIMEOUT: Duration = Duration::from_secs(4);

/// Interval of pings. A connection without an answer to two of them is dialed again.
const PING_INTERVAL: Duration = Duration::from_secs(3);

/// Maximum time from a failed dial to the next one.
const MAX_DELAY: Duration = Duration::from_secs(1);

/// Time after which the same refusal is logged again.
const REFUSAL_LOG: Duration = Duration::from_secs(60);

/// Name of this client in the servers' lists.
const CLIENT: &str = "relayline";

/// Connects to the first server that answers, and checks its version.
pub(super) async fn connect(url: &NatsUrl) -> Result<(Client, Context), JetStreamError> {
    let servers = url.servers().join(",");
    let log = Log::default();
    let mut options = ConnectOptions::new()
        .name(CLIENT)
        .connection_timeout(TIMEOUT)
        .request_timeout(Some(TIMEOUT))
        .ping_interval(PING_INTERVAL)
        .require_tls(url.is_tls)
        .event_callback(move |event| {
            log.event(&event);
            std::future::ready(())
        })
        .reconnect_delay_callback(|attempts| match attempts {
            0 | 1 => Duration::ZERO,
            _ => Duration::from_millis(50 << attempts.min(8)).min(MAX_DELAY),
        });
    let login = match &url.login {
        Login::File(path) => {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|error| login_file(path, &error.to_string()))?;
            Login::read(&text).ok_or_else(|| login_file(path, "its first line is empty"))?
        }
        login => login.clone(),
    };
    options = match login {
        Login::Anonymous | Login::File(_) => options,
        Login::Token(token) => options.token(token),
        Login::Password { user, password } => options.user_and_password(user, password),
    };
    if let Some(ca) = &url.ca {
        options = options.add_root_certificates(ca.clone());
    }
    if let Some((certificate, key)) = &url.certificate {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    let addresses: Vec<String> =
        url.servers().iter().map(|server| format!("{}://{server}", url.scheme())).collect();
    let client = options.connect(addresses).await.map_err(|error| match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            JetStreamError::Refused { servers: servers.clone() }
        }
        _ => JetStreamError::Unreachable { servers: servers.clone(), why: error.to_string() },
    })?;
    let info = client.server_info();
    if is_too_old(&info.version) {
        let server = if info.server_name.is_empty() { servers } else { info.server_name };
        return Err(JetStreamError::TooOld { server, found: info.version });
    }
    // Whether JetStream is on is the account's affair, too: a request shows it.
    let context = ContextBuilder::new().timeout(TIMEOUT).build(client.clone());
    Ok((client, context))
}

fn login_file(path: &Path, why: &str) -> JetStreamError {
    JetStreamError::LoginFile { path: path.to_owned(), why: why.to_owned() }
}

/// Log of the changes of a connection. The texts of servers name subjects, and no contents.
#[derive(Default)]
struct Log {
    /// Last refusal, and the time at which it was logged.
    refusal: Mutex<Option<(String, Duration)>>,
}

impl Log {
    fn event(&self, event: &Event) {
        match event {
            Event::Connected => tracing::debug!("queue_servers_connected"),
            Event::Disconnected => tracing::warn!("queue_servers_disconnected"),
            Event::ServerError(why) => {
                let why = why.to_string();
                if self.is_news(&why, clock::elapsed()) {
                    tracing::warn!(why, "queue_servers_refuse");
                }
            }
            Event::SlowConsumer(_) | Event::ClientError(_) => tracing::warn!(%event, "queue_servers_failed"),
            Event::LameDuckMode | Event::Draining | Event::Closed => {}
        }
    }

    /// Returns false for a refusal that was logged a short time ago: what is tried again is refused again.
    fn is_news(&self, why: &str, now: Duration) -> bool {
        let mut refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known =
            refusal.as_ref().is_some_and(|(last, at)| last == why && now.saturating_sub(*at) < REFUSAL_LOG);
        if !is_known {
            *refusal = Some((why.to_owned(), now));
        }
        !is_known
    }
}

/// Checks that the account can store anything.
pub(super) async fn check_account(context: &Context, url: &NatsUrl) -> Result<(), JetStreamError> {
    use async_nats::jetstream::context::AccountErrorKind as Kind;
    match context.query_account().await {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.kind() {
            Kind::JetStreamUnavailable => JetStreamError::NoJetStream(url.servers().join(",")),
            Kind::JetStream(error) if error.error_code() == ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
                JetStreamError::NoJetStream(url.servers().join(","))
            }
            _ => JetStreamError::Store(fault("ask for the account's limits", &error)),
        }),
    }
}

/// Returns true if a version is older than the oldest one that works. A version that cannot be read counts as old.
fn is_too_old(version: &str) -> bool {
    let mut numbers = version.split(['.', '-']).map(|part| part.parse::<u64>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) < OLDEST,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_that_repeats_is_logged_once_a_minute() {
        let log = Log::default();
        let at = |seconds: u64| Duration::from_secs(1000 + seconds);
        let news = |why, seconds| log.is_news(why, at(seconds));
        assert!(news("a", 0) && !news("a", 1) && !news("a", 59) && news("a", 60));
        assert!(news("b", 61) && news("a", 62) && !news("a", 63));
    }

    #[test]
    fn servers_before_2_12_are_too_old() {
        for (version, expected) in [
            ("2.10.29", true),
            ("2.9.10", true),
            ("2.11.9", true),
            ("2.12.0", false),
            ("2.15.1-beta", false),
            ("3.0.0", false),
            ("", true),
        ] {
            assert_eq!(is_too_old(version), expected, "{version}");
        }
    }
}
