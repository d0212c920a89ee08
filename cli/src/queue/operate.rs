//! Requests of an operator: left for the gateway that has the queue, or carried out here if none has it.

use relayline_core::time::Time;
use relayline_queue::config::QueueLimits;
use relayline_queue::driver::QueueDriver;
use relayline_queue::id::RequestId;
use relayline_queue::output::{OperatorRequest, Output, RequestRefused};
use relayline_queue::sqlite::{QueueLock, RequestState, SqliteError, SqliteReader, SqliteStore};
use std::future::poll_fn;
use std::path::Path;
use std::task::Poll;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Maximum time for which the gateway's answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Time between two looks for it.
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
pub(super) fn operate(path: &Path, request: OperatorRequest) -> Result<(), String> {
    match QueueLock::acquire(path) {
        Ok(lock) => without_owner(lock, request),
        Err(SqliteError::InUse { .. }) => with_owner(path, request),
        Err(error) => Err(error.to_string()),
    }
}

/// Leaves the request for the gateway that has the queue, and waits for its answer.
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
            RequestState::Pending => sleep(LOOK_AGAIN),
        }
    }
}

/// Carries the request out as the gateway would, for a moment, and hands the queue over.
fn without_owner(lock: QueueLock, request: OperatorRequest) -> Result<(), String> {
    let store = SqliteStore::open(lock).map_err(|error| error.to_string())?;
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
