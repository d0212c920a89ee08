//! Start of the queue: its lock, its store, and the gateway that has it.

use super::location::QueueLocation;
use crate::signals::Shutdown;
use relayline_control::config::GatewayConfig;
#[cfg(feature = "sqlite")]
use relayline_queue::inbox::OpenedQueue;
use relayline_queue::inbox::{DurableQueue, OpenError, QueueOptions};
#[cfg(feature = "sqlite")]
use relayline_queue::sqlite::{QueueLock, SqliteError, SqliteStore};
use relayline_runtime::Runtime;
use relayline_runtime::observe::WireObserver;
#[cfg(feature = "sqlite")]
use relayline_runtime::{Relay, start_prepared};
use std::io;
use std::sync::Arc;

/// Queue that is to be opened.
#[derive(Debug)]
pub(crate) struct QueueStart {
    location: QueueLocation,
    options: QueueOptions,
    is_standby: bool,
    #[cfg(feature = "sqlite")]
    store: Option<SqliteStore>,
}

/// Result of waiting for the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Acquired {
    /// This process has it.
    Ours,
    /// There was a request to stop first.
    Stopped,
}

impl QueueStart {
    pub(super) fn new(location: QueueLocation, options: QueueOptions, is_standby: bool) -> QueueStart {
        QueueStart {
            location,
            options,
            is_standby,
            #[cfg(feature = "sqlite")]
            store: None,
        }
    }
}

#[cfg(feature = "sqlite")]
impl QueueStart {
    /// Locks and opens the store, before anything else begins. With `--standby` it waits until no other process has it.
    ///
    /// # Errors
    /// Another process has it, or it cannot be used.
    pub(crate) fn acquire(&mut self, shutdown: &Shutdown) -> Result<Acquired, SqliteError> {
        let lock = match QueueLock::acquire(self.location.path()) {
            Err(error @ SqliteError::InUse { .. }) if self.is_standby => {
                tracing::info!(why = %standby_reason(&error), "standby");
                match self.wait(shutdown)? {
                    Some(lock) => lock,
                    None => return Ok(Acquired::Stopped),
                }
            }
            acquired => acquired?,
        };
        self.store = Some(SqliteStore::open(lock)?);
        Ok(Acquired::Ours)
    }

    /// Waits for the lock, or for a request to stop.
    fn wait(&self, shutdown: &Shutdown) -> Result<Option<QueueLock>, SqliteError> {
        let path = self.location.path().to_owned();
        let (sender, receiver) = futures_channel::oneshot::channel();
        // It is abandoned at a request to stop: the process ends then.
        let wait = move || _ = sender.send(QueueLock::wait(&path));
        let spawned = std::thread::Builder::new().name("standby".to_owned()).spawn(wait);
        if let Err(source) = spawned {
            let (action, path) = ("start a thread for", self.location.path().to_owned());
            return Err(SqliteError::Io { action, path, source });
        }
        let stopped = Box::pin(shutdown.triggered());
        match smol::future::block_on(futures_util::future::select(receiver, stopped)) {
            futures_util::future::Either::Left((Ok(lock), _)) => lock.map(Some),
            _ => Ok(None),
        }
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

/// Returns who has the queue, without the advice to wait.
#[cfg(feature = "sqlite")]
fn standby_reason(error: &SqliteError) -> String {
    let text = error.to_string();
    text.split(": stop").next().unwrap_or_default().to_owned()
}

/// Error of a program without an engine for queues. Its flags refuse every URL before.
#[cfg(not(feature = "sqlite"))]
const NO_ENGINE: &str = "this program was built without an engine for queues";

#[cfg(not(feature = "sqlite"))]
impl QueueStart {
    /// Returns an error.
    pub(crate) fn acquire(&mut self, _: &Shutdown) -> Result<Acquired, &'static str> {
        let _ = (&self.location, &self.options, self.is_standby);
        Err(NO_ENGINE)
    }

    pub(crate) async fn open<R: Runtime>(
        self,
        _: R,
        _: GatewayConfig,
        _: Option<Arc<dyn WireObserver>>,
    ) -> io::Result<Result<DurableQueue, OpenError>> {
        Err(io::Error::other(NO_ENGINE))
    }
}
