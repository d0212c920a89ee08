//! Start of the queue: the right to lead it, its store, and the gateway that has it.

#[cfg(feature = "jetstream")]
use super::fleet::FleetStart;
use super::location::QueueLocation;
use crate::signals::Shutdown;
use relayline_control::config::GatewayConfig;
use relayline_queue::inbox::{DurableQueue, OpenError, OpenedQueue, QueueOptions};
#[cfg(feature = "jetstream")]
use relayline_queue::jetstream::{JetStreamError, JetStreamQueue, NatsUrl};
#[cfg(feature = "sqlite")]
use relayline_queue::sqlite::{QueueLock, SqliteError, SqliteStore};
use relayline_queue::store::Store;
use relayline_runtime::observe::WireObserver;
use relayline_runtime::{Relay, Runtime, start_prepared};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Queue that is to be opened.
pub(crate) struct QueueStart {
    location: QueueLocation,
    options: QueueOptions,
    is_standby: bool,
    store: Option<Box<dyn Store + Send>>,
}

/// Result of waiting for the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Acquired {
    /// This process has it.
    Ours,
    /// There was a request to stop first.
    Stopped,
}

impl fmt::Debug for QueueStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueStart").field("location", &self.location).finish_non_exhaustive()
    }
}

impl QueueStart {
    pub(super) fn new(location: QueueLocation, options: QueueOptions, is_standby: bool) -> QueueStart {
        QueueStart { location, options, is_standby, store: None }
    }

    /// Acquires the right to lead, and opens the store, before anything else begins. With `--standby` it waits until no
    /// other process has it.
    ///
    /// # Errors
    /// Another process has it, or it cannot be used.
    pub(crate) fn acquire(&mut self, shutdown: &Shutdown) -> Result<Acquired, String> {
        self.store = match &self.location {
            QueueLocation::File(path) => {
                open_file(path, self.is_standby, shutdown).map_err(|error| error.to_string())?
            }
            #[cfg(feature = "jetstream")]
            QueueLocation::Servers(url) => {
                let opened = join_servers(url, self.gateway_id(), self.is_standby, shutdown);
                opened.map_err(|error| error.to_string())?
            }
        };
        Ok(if self.store.is_some() { Acquired::Ours } else { Acquired::Stopped })
    }

    /// Connects to the workers of the gateway, if agents on other machines can work from the queue.
    ///
    /// # Errors
    /// The servers cannot be reached.
    #[cfg(feature = "jetstream")]
    pub(crate) fn workers(&self) -> Result<Option<FleetStart>, String> {
        match &self.location {
            QueueLocation::File(_) => Ok(None),
            QueueLocation::Servers(url) => {
                let connected = FleetStart::connect(url, self.gateway_id());
                connected.map(Some).map_err(|error| format!("{}: {error}", self.location))
            }
        }
    }

    #[cfg(feature = "jetstream")]
    fn gateway_id(&self) -> &str {
        self.options.gateway_id.as_deref().unwrap_or(super::DEFAULT_ID)
    }

    /// Opens the queue, and starts its gateway. `observer` sees the gateway's wire from the first dial on.
    pub(crate) async fn open<R: Runtime>(
        self,
        runtime: R,
        mut config: GatewayConfig,
        observer: Option<Arc<dyn WireObserver>>,
    ) -> io::Result<Result<DurableQueue, OpenError>> {
        let Some(store) = self.store else {
            return Err(io::Error::other("the queue was not opened before its gateway"));
        };
        let opened = match OpenedQueue::open_on(&runtime, store, self.options).await {
            Ok(opened) => opened,
            Err(error) => return Ok(Err(error)),
        };
        opened.configure(&mut config);
        let prime = opened.preparation();
        let prepare = |relay: &Relay| {
            observer.into_iter().for_each(|observer| relay.observe(observer));
            prime(relay);
        };
        let started = start_prepared(runtime.clone(), config, prepare);
        let (relay, inbox) = started.map_err(io::Error::other)?;
        Ok(Ok(opened.serve(runtime, relay, inbox)))
    }
}

/// Locks and opens a file; `None` if there was a request to stop first.
#[cfg(feature = "sqlite")]
fn open_file(
    path: &Path,
    is_standby: bool,
    shutdown: &Shutdown,
) -> Result<Option<Box<dyn Store + Send>>, SqliteError> {
    let lock = match QueueLock::acquire(path) {
        Err(error @ SqliteError::InUse { .. }) if is_standby => {
            tracing::info!(why = %standby_reason(&error), "standby");
            match wait_for_lock(path, shutdown)? {
                Some(lock) => lock,
                None => return Ok(None),
            }
        }
        acquired => acquired?,
    };
    Ok(Some(Box::new(SqliteStore::open(lock)?)))
}

/// Returns an error. The flag refuses the URL before.
#[cfg(not(feature = "sqlite"))]
fn open_file(_: &Path, _: bool, _: &Shutdown) -> Result<Option<Box<dyn Store + Send>>, &'static str> {
    Err("this program was built without SQLite")
}

/// Waits for the lock, or for a request to stop.
#[cfg(feature = "sqlite")]
fn wait_for_lock(path: &Path, shutdown: &Shutdown) -> Result<Option<QueueLock>, SqliteError> {
    let (sender, receiver) = futures_channel::oneshot::channel();
    let waiting = path.to_owned();
    // It is abandoned at a request to stop: the process ends then.
    let wait = move || _ = sender.send(QueueLock::wait(&waiting));
    let spawned = std::thread::Builder::new().name("standby".to_owned()).spawn(wait);
    if let Err(source) = spawned {
        let (action, path) = ("start a thread for", path.to_owned());
        return Err(SqliteError::Io { action, path, source });
    }
    let stopped = Box::pin(shutdown.triggered());
    match smol::future::block_on(futures_util::future::select(receiver, stopped)) {
        futures_util::future::Either::Left((Ok(lock), _)) => lock.map(Some),
        _ => Ok(None),
    }
}

/// Returns who has the queue, without the advice to wait.
#[cfg(feature = "sqlite")]
fn standby_reason(error: &SqliteError) -> String {
    let text = error.to_string();
    text.split(": stop").next().unwrap_or_default().to_owned()
}

/// Connects to servers, and waits for the right to lead; `None` if there was a request to stop first.
#[cfg(feature = "jetstream")]
fn join_servers(
    url: &NatsUrl,
    gateway_id: &str,
    is_standby: bool,
    shutdown: &Shutdown,
) -> Result<Option<Box<dyn Store + Send>>, JetStreamError> {
    use futures_util::future::{Either, select};
    let queue = JetStreamQueue::connect(url, gateway_id, &super::process_name())?;
    queue.prepare()?;
    let acquired = {
        let acquire = Box::pin(queue.acquire(is_standby));
        match smol::future::block_on(select(acquire, Box::pin(shutdown.triggered()))) {
            Either::Left((acquired, _)) => acquired,
            Either::Right(_) => return Ok(None),
        }
    };
    acquired.map(|()| -> Option<Box<dyn Store + Send>> { Some(Box::new(queue.into_store())) })
}
