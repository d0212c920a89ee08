//! Step `queue`: the file of the durable queue, its mode, its content, its lock and the settings that make it durable.

use super::Findings;
use crate::queue::QueueLocation;

const STEP: &str = "queue";

/// Examines a queue. It changes nothing, but opens the queue as a gateway does if no other process has it.
#[cfg(feature = "sqlite")]
pub(super) fn examine(location: &QueueLocation, findings: &mut Findings) {
    use super::Verdict;
    use relayline_queue::sqlite::{QueueLock, SqliteError, SqliteReader, SqliteStore};
    let path = location.path();
    if !path.exists() {
        return findings.warn(STEP, format_args!("{location} does not exist yet: run --queue creates it"));
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
            match dead {
                0 => findings.ok(STEP, what),
                _ => findings.warn(STEP, format_args!("{what}: see relayline queue dead")),
            }
        }
    }
}

/// Reports that there is no engine. The flag refuses every URL before.
#[cfg(not(feature = "sqlite"))]
pub(super) fn examine(location: &QueueLocation, findings: &mut Findings) {
    findings.warn(STEP, format_args!("{location}: this program was built without an engine for queues"));
}
