//! Requests of an operator: left for the gateway that has the queue, or carried out here if none has it.

use super::location::QueueLocation;
use relayline_core::time::Time;
use relayline_queue::config::QueueLimits;
use relayline_queue::driver::QueueDriver;
use relayline_queue::id::RequestId;
#[cfg(feature = "jetstream")]
use relayline_queue::jetstream::{JetStreamError, JetStreamQueue, NatsUrl};
use relayline_queue::output::{OperatorRequest, Output, RequestRefused};
#[cfg(feature = "sqlite")]
use relayline_queue::sqlite::{QueueLock, RequestState, SqliteError, SqliteReader, SqliteStore};
use relayline_queue::store::Store;
use std::future::poll_fn;
#[cfg(feature = "sqlite")]
use std::path::Path;
use std::task::Poll;
use std::time::{Duration, Instant};

/// Maximum time for which the gateway's answer is waited for.
#[cfg(feature = "sqlite")]
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Time between two looks for it.
#[cfg(feature = "sqlite")]
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Returns limits under which nothing is forgotten and nothing becomes a dead letter: those of the gateway are not known here.
pub(super) fn unbounded() -> QueueLimits {
    let mut limits = QueueLimits::default();
    for limit in [
        &mut limits.memory_items,
        &mut limits.memory_bytes,
        &mut limits.dedupe_keys,
        &mut limits.dead_letters,
        &mut limits.max_attempts,
        &mut limits.snapshot_records,
    ] {
        *limit = usize::MAX;
    }
    limits.dedupe_for = Duration::from_secs(u64::from(u32::MAX));
    limits
}

/// Carries out a request.
///
/// # Errors
/// The request is refused, or the queue cannot be used.
pub(super) fn operate(
    location: &QueueLocation,
    gateway_id: Option<&str>,
    request: OperatorRequest,
) -> Result<(), String> {
    match location {
        #[cfg(feature = "sqlite")]
        QueueLocation::File(path) => {
            let _ = gateway_id;
            match QueueLock::acquire(path) {
                Ok(lock) => {
                    without_owner(SqliteStore::open(lock).map_err(|error| error.to_string())?, request)
                }
                Err(SqliteError::InUse { .. }) => with_owner(path, request),
                Err(error) => Err(error.to_string()),
            }
        }
        #[cfg(not(feature = "sqlite"))]
        QueueLocation::File(_) => Err("this program was built without SQLite".to_owned()),
        #[cfg(feature = "jetstream")]
        QueueLocation::Servers(url) => {
            let id = gateway_id.unwrap_or(super::DEFAULT_ID);
            on_servers(url, id, request).map_err(|error| error.to_string())?
        }
    }
}

/// Sends the request to the gateway that has the queue, or leads for a moment if none has it.
#[cfg(feature = "jetstream")]
fn on_servers(
    url: &NatsUrl,
    gateway_id: &str,
    request: OperatorRequest,
) -> Result<Result<(), String>, JetStreamError> {
    let queue = JetStreamQueue::connect(url, gateway_id, &super::process_name())?;
    match queue.request(request) {
        Err(JetStreamError::NoLeader) => {}
        answered => return answered.map(|result| result.map_err(|refused| refused.to_string())),
    }
    // A gateway that was killed has the queue for some seconds still.
    smol::future::block_on(queue.acquire(false))?;
    Ok(without_owner(queue.into_store(), request))
}

/// Leaves the request for the gateway that has the queue, and waits for its answer.
#[cfg(feature = "sqlite")]
fn with_owner(path: &Path, request: OperatorRequest) -> Result<(), String> {
    let failed = |error: SqliteError| error.to_string();
    let reader = SqliteReader::open(path).map_err(failed)?;
    let id = reader.request(request).map_err(failed)?;
    let until = Instant::now() + ANSWER_WITHIN;
    loop {
        match reader.request_state(id).map_err(failed)? {
            RequestState::Finished(result) => return result.map_err(|refused| refused.to_string()),
            RequestState::Unsupported => {
                return Err(
                    "the gateway that has the queue is older, and does not know this request: restart it"
                        .to_owned(),
                );
            }
            RequestState::Pending if Instant::now() >= until => {
                return Err("the gateway that has the queue has not answered in time. The request stays: it is carried out as \
                            soon as the gateway can, or by the next one"
                    .to_owned());
            }
            RequestState::Pending => std::thread::sleep(LOOK_AGAIN),
        }
    }
}

/// Carries the request out as the gateway would, for a moment, and hands the queue over.
fn without_owner(store: impl Store, request: OperatorRequest) -> Result<(), String> {
    let (began, leader) = (Instant::now(), format!("operator-{}", std::process::id()));
    let now = || Time::ZERO + began.elapsed();
    let mut driver = QueueDriver::new(store, unbounded(), &leader, now());
    let mut result: Result<(), RequestRefused> = Err(RequestRefused::NotLeading);
    let done = smol::future::block_on(poll_fn(|cx| {
        loop {
            match driver.poll(cx, now()) {
                Poll::Ready(Output::Leading { .. }) => driver.request(now(), RequestId(1), request),
                Poll::Ready(Output::Requested { result: answered, .. }) => {
                    result = answered;
                    driver.shut_down(now());
                }
                Poll::Ready(Output::Released) => return Poll::Ready(Ok(())),
                Poll::Ready(Output::StoreFailed(fault)) => return Poll::Ready(Err(fault.to_string())),
                Poll::Ready(Output::Failed(error)) => return Poll::Ready(Err(error.to_string())),
                Poll::Ready(Output::Lost) => {
                    return Poll::Ready(Err("another process has the queue".to_owned()));
                }
                Poll::Ready(_) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }));
    drop(driver);
    done.and(result.map_err(|refused| refused.to_string()))
}
