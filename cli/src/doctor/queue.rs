//! Step `queue`: the durable queue, its content, who has it, and what makes it durable.

use super::Findings;
use crate::queue::QueueLocation;

const STEP: &str = "queue";

/// Examines a queue. It changes nothing, but opens a file as a gateway does if no other process has it.
pub(super) fn examine(location: &QueueLocation, gateway_id: Option<&str>, findings: &mut Findings) {
    match location {
        QueueLocation::File(path) => file::examine(location, path, findings),
        #[cfg(feature = "jetstream")]
        QueueLocation::Servers(url) => {
            servers::examine(url, gateway_id.unwrap_or(crate::queue::DEFAULT_ID), findings);
        }
    }
    let _ = gateway_id;
}

/// Returns the advice for a queue with dead letters.
#[cfg(any(feature = "jetstream", feature = "sqlite"))]
fn report(findings: &mut Findings, dead: usize, what: &str) {
    match dead {
        0 => findings.ok(STEP, what),
        _ => findings.warn(STEP, format_args!("{what}: see relayline queue dead")),
    }
}

#[cfg(feature = "sqlite")]
mod file {
    //! A queue in a file: its mode, its lock and the settings that make it durable.

    use super::super::{Findings, Verdict};
    use super::STEP;
    use crate::queue::QueueLocation;
    use relayline_queue::sqlite::{QueueLock, SqliteError, SqliteReader, SqliteStore};
    use std::path::Path;

    pub(super) fn examine(location: &QueueLocation, path: &Path, findings: &mut Findings) {
        if !path.exists() {
            return findings
                .warn(STEP, format_args!("{location} does not exist yet: run --queue creates it"));
        }
        let owner = match QueueLock::acquire(path) {
            Ok(lock) => match SqliteStore::open(lock) {
                Ok(store) => {
                    drop(store.close());
                    "no process has it".to_owned()
                }
                Err(error) => return findings.say(Verdict::Fail, STEP, error),
            },
            Err(SqliteError::InUse { pid: Some(pid), .. }) => format!("process {pid} has it"),
            Err(SqliteError::InUse { pid: None, .. }) => "another process has it".to_owned(),
            Err(error) => return findings.say(Verdict::Fail, STEP, error),
        };
        let limits = relayline_queue::config::QueueLimits::default();
        let ledger = SqliteReader::open(path)
            .map_err(|error| error.to_string())
            .and_then(|reader| reader.ledger(&limits).map_err(|error| error.to_string()));
        match ledger {
            Err(error) => findings.say(Verdict::Fail, STEP, error),
            Ok(ledger) => {
                let (entries, dead) = (ledger.len(), ledger.dead_letters());
                let durable = "wal, synchronous=full, secure_delete";
                let what = format!("{location}: {entries} entries, {dead} of them dead; {durable}; {owner}");
                super::report(findings, dead, &what);
            }
        }
    }
}

#[cfg(not(feature = "sqlite"))]
mod file {
    //! The flag refuses the URL of a file before.

    use super::super::Findings;
    use super::STEP;
    use crate::queue::QueueLocation;
    use std::path::Path;

    pub(super) fn examine(location: &QueueLocation, _: &Path, findings: &mut Findings) {
        findings.warn(STEP, format_args!("{location}: this program was built without SQLite"));
    }
}

#[cfg(feature = "jetstream")]
mod servers {
    //! A queue on servers: their version, the replicas of its streams, and its leader.

    use super::super::{Findings, Verdict};
    use super::STEP;
    use crate::queue::process_name;
    use relayline_queue::config::QueueLimits;
    use relayline_queue::jetstream::{JetStreamError, JetStreamQueue, NatsUrl, StreamStatus};

    pub(super) fn examine(url: &NatsUrl, gateway_id: &str, findings: &mut Findings) {
        if let Err(error) = look(url, gateway_id, findings) {
            findings.say(Verdict::Fail, STEP, error);
        }
    }

    fn look(url: &NatsUrl, gateway_id: &str, findings: &mut Findings) -> Result<(), JetStreamError> {
        let queue = JetStreamQueue::connect(url, gateway_id, &process_name())?;
        let (server, version) = queue.server()?;
        findings.ok(STEP, format_args!("{url}: connected to {server}, version {version}, JetStream is on"));
        let replicas = match queue.streams() {
            Ok(streams) => content(&queue, &streams, findings)?,
            Err(JetStreamError::Missing) => {
                findings.warn(STEP, "its streams do not exist yet: run --queue creates them");
                url.replicas()
            }
            Err(error) => return Err(error),
        };
        if replicas < 3 {
            findings.warn(
                STEP,
                format_args!(
                    "replicas={replicas}: what is stored does not survive the loss of a server: use a cluster of \
                     three, and replicas=3"
                ),
            );
        }
        findings.warn(
            STEP,
            "a confirmation means that a majority of the replicas has a message, but on their disks it is only with \
             `sync_interval: always` in the servers' jetstream block, which clients cannot see: without it a power loss \
             of the majority can lose two minutes",
        );
        Ok(())
    }

    /// Reports what the queue holds. Returns the smallest number of replicas.
    fn content(
        queue: &JetStreamQueue,
        streams: &[StreamStatus],
        findings: &mut Findings,
    ) -> Result<usize, JetStreamError> {
        for stream in streams.iter().filter(|stream| stream.current_replicas < stream.replicas) {
            let StreamStatus { name, current_replicas, replicas, .. } = stream;
            let what = format!("the stream {name}: {current_replicas} of {replicas} replicas are up to date");
            findings.warn(STEP, format_args!("{what}: check its servers"));
        }
        let ledger = queue.ledger(&QueueLimits::default())?;
        let (entries, dead, epoch) = (ledger.len(), ledger.dead_letters(), ledger.epoch());
        let owner = match queue.owner()? {
            Some(owner) => format!("the gateway {owner} has it"),
            None => "no gateway has it".to_owned(),
        };
        let what = format!("{entries} entries, {dead} of them dead; epoch {epoch}; {owner}");
        super::report(findings, dead, &what);
        Ok(streams.iter().map(|stream| stream.replicas).min().unwrap_or(1))
    }
}
