//! The three streams of a queue: their configuration, and the check of those that exist.

use super::error::{JetStreamError, fault, server_error};
use super::location::NatsUrl;
use super::names::Names;
use crate::store::StoreFault;
use async_nats::jetstream::context::{CreateStreamError, CreateStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType};
use async_nats::jetstream::{Context, ErrorCode};

/// Returns the configurations of the streams of a queue.
pub(super) fn configurations(names: &Names, url: &NatsUrl) -> [Config; 3] {
    let stream = |name: String, subjects: Vec<String>| Config {
        name,
        subjects,
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        num_replicas: url.replicas(),
        max_bytes: url.max_bytes.and_then(|most| i64::try_from(most).ok()).unwrap_or(-1),
        max_messages: -1,
        max_messages_per_subject: -1,
        max_message_size: -1,
        max_consumers: -1,
        allow_atomic_publish: true,
        ..Config::default()
    };
    [
        stream(names.entry_stream(), vec![names.entries(), names.barriers()]),
        stream(names.record_stream(), vec![names.records()]),
        Config {
            // A later message of a subject replaces the earlier one, and the leader's key expires.
            max_messages_per_subject: 1,
            allow_message_ttl: true,
            ..stream(names.keyed_stream(), vec![names.keyed()])
        },
    ]
}

/// Creates the streams that are missing, and checks those that exist.
pub(super) async fn ensure(context: &Context, names: &Names, url: &NatsUrl) -> Result<(), JetStreamError> {
    for wanted in configurations(names, url) {
        let found = match info(context, &wanted.name).await? {
            Some(found) => found,
            None => match context.create_stream(wanted.clone()).await {
                Ok(_) => continue,
                // Another gateway has created it meanwhile, perhaps.
                Err(error) => {
                    info(context, &wanted.name).await?.ok_or_else(|| not_created(&wanted.name, &error))?
                }
            },
        };
        check(&wanted, &found.config)?;
    }
    Ok(())
}

fn not_created(name: &str, error: &CreateStreamError) -> JetStreamError {
    let code = match error.kind() {
        CreateStreamErrorKind::JetStream(error) => Some(error.error_code()),
        _ => None,
    };
    let advice = match code {
        Some(
            ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED
            | ErrorCode::INSUFFICIENT_RESOURCES
            | ErrorCode::CLUSTER_NO_PEERS,
        ) => "use at most as many replicas as there are servers in the cluster",
        Some(ErrorCode::STREAM_SUBJECT_OVERLAP) => "choose another prefix, as in nats://a/other",
        Some(ErrorCode::STREAM_MAX_BYTES_REQUIRED) => "set max_bytes in the URL",
        _ => "check the limits of the account and the permissions of the user",
    };
    JetStreamError::Stream { name: name.to_owned(), why: format!("cannot be created: {error}: {advice}") }
}

/// Returns the state of a stream; `None` if there is no such stream.
pub(super) async fn info(context: &Context, name: &str) -> Result<Option<Info>, StoreFault> {
    let action = format!("read the stream {name}");
    let stream = context.get_stream_no_info(name).await.map_err(|error| fault(&action, &error))?;
    match stream.get_info().await {
        Ok(info) => Ok(Some(info)),
        Err(error) if server_error(&error).is_some_and(is_missing) => Ok(None),
        Err(error) => Err(fault(&action, &error)),
    }
}

fn is_missing(error: &async_nats::jetstream::Error) -> bool {
    error.error_code() == ErrorCode::STREAM_NOT_FOUND
}

/// Checks that a stream neither loses nor changes what is stored. Limits of size and the number of replicas are its
/// operator's choice.
fn check(wanted: &Config, found: &Config) -> Result<(), JetStreamError> {
    let mut subjects = (wanted.subjects.clone(), found.subjects.clone());
    subjects.0.sort();
    subjects.1.sort();
    let problem = if subjects.0 != subjects.1 {
        Some("has other subjects: choose another prefix, as in nats://a/other")
    } else if found.storage != StorageType::File {
        Some("is in memory: delete it, or edit it to file storage")
    } else if found.retention != RetentionPolicy::Limits {
        Some("removes what is read: delete it, so that it is created with retention by limits")
    } else if found.discard != DiscardPolicy::New {
        Some("drops old messages when it is full: set its discard policy to new")
    } else if !found.max_age.is_zero() {
        Some("drops messages by age: remove its max_age")
    } else if wanted.max_messages_per_subject.max(0) != found.max_messages_per_subject.max(0) {
        // Zero and less are no limit.
        Some("has another limit of messages per subject: delete it, so that it is created as needed")
    } else if found.sealed || found.deny_delete || found.deny_purge {
        Some("refuses removals: delete it, so that it is created as needed")
    } else if !found.allow_atomic_publish {
        Some("refuses batches: enable allow_atomic")
    } else if wanted.allow_message_ttl && !found.allow_message_ttl {
        Some("refuses messages that expire: enable allow_msg_ttl")
    } else if found.no_ack {
        Some("does not confirm messages: set its no_ack to false")
    } else {
        None
    };
    match problem {
        Some(why) => Err(JetStreamError::Stream { name: found.name.clone(), why: why.to_owned() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn streams_that_lose_entries_are_refused() {
        let names = Names::new("relay", "default").unwrap();
        let url = "nats://a/relay?replicas=3&max_bytes=1000".parse().unwrap();
        let [entries, _, keyed] = configurations(&names, &url);
        assert_eq!((entries.num_replicas, entries.max_bytes), (3, 1000));
        assert!(check(&entries, &entries).is_ok());
        assert!(check(&entries, &Config { num_replicas: 1, max_bytes: 5, ..entries.clone() }).is_ok());
        for (wanted, found, why) in [
            (&entries, Config { max_age: Duration::from_secs(1), ..entries.clone() }, "by age"),
            (&entries, Config { discard: DiscardPolicy::Old, ..entries.clone() }, "when it is full"),
            (&entries, Config { storage: StorageType::Memory, ..entries.clone() }, "in memory"),
            (&entries, Config { retention: RetentionPolicy::WorkQueue, ..entries.clone() }, "what is read"),
            (&entries, Config { subjects: vec!["x".to_owned()], ..entries.clone() }, "other subjects"),
            (&entries, Config { deny_purge: true, ..entries.clone() }, "removals"),
            (&entries, Config { allow_atomic_publish: false, ..entries.clone() }, "batches"),
            (&entries, Config { no_ack: true, ..entries.clone() }, "confirm"),
            (&entries, Config { max_messages_per_subject: 1, ..entries.clone() }, "per subject"),
            (&keyed, Config { max_messages_per_subject: -1, ..keyed.clone() }, "per subject"),
            (&keyed, Config { allow_message_ttl: false, ..keyed.clone() }, "expire"),
        ] {
            let error = check(wanted, &found).unwrap_err().to_string();
            assert!(error.starts_with("the stream relay_default_") && error.contains(why), "{error}");
        }
    }
}
