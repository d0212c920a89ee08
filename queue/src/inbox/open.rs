//! Opening a queue: it leads before the gateway dials.

use super::chat_memory;
use super::media::MediaStore;
use super::options::QueueOptions;
use super::prompts::{PREFIX_KEY, Prompts, prompt_of_key};
use super::pump::Pump;
use super::queue::DurableQueue;
use super::shared::{AnyStore, State};
use crate::clock;
use crate::config::QueueLimits;
use crate::driver::QueueDriver;
use crate::ledger::Ledger;
use crate::output::{Output, QueueError};
use crate::store::{Store, StoreFault};
use data_encoding::HEXLOWER;
use futures_core::future::BoxFuture;
use futures_util::FutureExt;
use relayline_core::chats::Chat;
use relayline_core::time::Time;
use relayline_runtime::control::config::GatewayConfig;
use relayline_runtime::{Builder, ConnectError, CurrentRuntime, Inbox, Relay, Runtime};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;
use thiserror::Error;

/// Key of the gateway's id in the host memory.
const GATEWAY_KEY: &str = "gateway";

/// Maximum time for which a gateway whose right to lead has ended waits for the connector's confirmation that it buffers.
/// Another gateway dials three seconds after the end.
const MAX_IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// Error returned when a queue cannot be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The store cannot be read or written.
    #[error("{0}")]
    Store(StoreFault),
    /// Its content cannot be used.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Another gateway took it meanwhile.
    #[error("another gateway has the queue: stop that one, or name another queue")]
    Lost,
    /// It is the queue of another gateway.
    #[error("the queue belongs to the gateway {found:?}, and this one is {wanted:?}: name another queue")]
    OtherGateway {
        /// Id of the queue's gateway.
        found: String,
        /// Id of this gateway.
        wanted: String,
    },
    /// The folder for files of messages cannot be used.
    #[error("the folder {path} for files of messages: {error}: name a folder that can be written", path = .path.display())]
    Media {
        /// The folder.
        path: PathBuf,
        /// Cause.
        error: io::Error,
    },
    /// The system cannot provide random numbers.
    #[error("no randomness: {0}")]
    NoRandomness(String),
}

/// Queue that leads, before its gateway dials.
pub struct OpenedQueue {
    driver: QueueDriver<AnyStore>,
    media: Option<MediaStore>,
    limits: QueueLimits,
    chats: Vec<(String, Chat)>,
    prefix: String,
    /// False if the host handles answers to prompts itself.
    recognizes_answers: Arc<AtomicBool>,
    /// True if the gateway must close in time before another one leads.
    is_leased: bool,
}

impl fmt::Debug for OpenedQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedQueue").finish_non_exhaustive()
    }
}

impl OpenedQueue {
    /// Opens a queue: reads it, and begins to lead.
    ///
    /// # Errors
    /// The store fails, or its content cannot be used.
    pub async fn open<R: CurrentRuntime>(
        store: impl Store + Send + 'static,
        options: QueueOptions,
    ) -> Result<OpenedQueue, OpenError> {
        let runtime = R::current().map_err(|error| OpenError::NoRandomness(error.to_string()))?;
        OpenedQueue::open_on(&runtime, store, options).await
    }

    /// Opens a queue on a runtime: see [`open`](Self::open).
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub async fn open_on<R: Runtime>(
        runtime: &R,
        store: impl Store + Send + 'static,
        options: QueueOptions,
    ) -> Result<OpenedQueue, OpenError> {
        let QueueOptions { limits, gateway_id, media } = options;
        let media = media
            .map(|path| {
                let opened = MediaStore::open(&path, limits.queue_media_bytes);
                opened.map_err(|error| OpenError::Media { path, error })
            })
            .transpose()?;
        let leader = random()?;
        let store: AnyStore = Box::new(store);
        let mut driver = QueueDriver::new(store, limits.clone(), &leader, clock::now());
        lead(runtime, &mut driver).await?;
        let memory = |key: &str| driver.dispatcher().ledger().memory_value(key).map(str::to_owned);
        if let (Some(found), Some(wanted)) = (memory(GATEWAY_KEY), gateway_id.clone())
            && found != wanted
        {
            return Err(OpenError::OtherGateway { found, wanted });
        }
        let prefix = memory(PREFIX_KEY).unwrap_or_else(|| leader.chars().take(6).collect());
        let now = clock::now();
        // Anew, so that they do not leave for other items.
        if let Some(id) = &gateway_id {
            driver.remember(now, GATEWAY_KEY, Some(id));
        }
        driver.remember(now, PREFIX_KEY, Some(&prefix));
        // Until the gateway is connected.
        driver.hold(now, true);
        let chats = driver.dispatcher().ledger().memory().filter_map(|(key, value)| {
            Some((chat_memory::chat_of_key(key)?.to_owned(), chat_memory::read(value)?))
        });
        let chats = chats.collect();
        let recognizes_answers = Arc::new(AtomicBool::new(true));
        let is_leased = driver.can_lose_leadership();
        Ok(OpenedQueue { driver, media, limits, chats, prefix, recognizes_answers, is_leased })
    }

    /// Changes the configuration of the gateway, before it starts: answers to prompts are recognized by the queue, unless the
    /// configuration turns `prompts` off, and the queue holds dials for as long as its store is down.
    pub fn configure(&self, config: &mut GatewayConfig) {
        configure(config, &self.recognizes_answers, self.is_leased);
    }

    /// Returns a function that prepares the gateway, before its first dial: it primes the chats that are stored.
    pub fn preparation(&self) -> impl FnOnce(&Relay) + Send + 'static {
        let chats = self.chats.clone();
        move |relay| {
            for (chat_id, chat) in chats {
                // It was remembered by the same rules.
                let _ = relay.prime(&chat_id, chat);
            }
        }
    }

    /// Serves hosts from a gateway that was configured and prepared.
    pub fn serve<R: Runtime>(self, runtime: R, relay: Relay, inbox: Inbox) -> DurableQueue {
        let OpenedQueue { driver, media, limits, prefix, recognizes_answers, .. } = self;
        let media_timeout = limits.queue_media_timeout;
        let most = relay.config().machine.limits.prompts;
        let ledger = driver.dispatcher().ledger();
        let mut prompts = Prompts::new(&prefix, ledger.epoch(), most);
        for (key, value) in ledger.memory() {
            if let Some(id) = prompt_of_key(key) {
                prompts.restore(clock::now(), id, value);
            }
        }
        let mut state = State::new(driver, prompts, media);
        state.recognizes_answers = recognizes_answers.load(Ordering::Relaxed);
        let queue = DurableQueue::new(runtime.clone(), state, limits, relay);
        let pump = Pump::new(runtime.clone(), queue.shared().clone(), inbox, media_timeout);
        runtime.spawn(pump);
        queue
    }

    /// Connects a gateway, and serves hosts from it. Returns its handle and that of the queue.
    ///
    /// # Errors
    /// As for [`Builder::connect`].
    pub async fn connect<R: CurrentRuntime>(
        self,
        builder: Builder<R>,
    ) -> Result<(Relay, DurableQueue), ConnectError> {
        let runtime = R::current()?;
        let (recognizes, is_leased) = (self.recognizes_answers.clone(), self.is_leased);
        let builder = builder
            .configure(move |config| configure(config, &recognizes, is_leased))
            .prepare(self.preparation());
        let (relay, inbox) = builder.connect().await?;
        let queue = self.serve(runtime, relay.clone(), inbox);
        Ok((relay, queue))
    }
}

fn configure(config: &mut GatewayConfig, recognizes_answers: &AtomicBool, is_leased: bool) {
    recognizes_answers.store(config.machine.prompts, Ordering::Relaxed);
    config.machine.prompts = false;
    config.machine.timing.hold_most = Duration::MAX;
    if is_leased {
        let timing = &mut config.machine.timing;
        timing.idle_timeout = timing.idle_timeout.min(MAX_IDLE_TIMEOUT);
    }
}

/// Returns twelve random hexadecimal digits.
fn random() -> Result<String, OpenError> {
    let mut bytes = [0; 6];
    getrandom::fill(&mut bytes).map_err(|error| OpenError::NoRandomness(error.to_string()))?;
    Ok(HEXLOWER.encode(&bytes))
}

/// Drives the dispatcher until it leads. The first failure of the store is final: somebody is there to see it.
async fn lead<R: Runtime>(runtime: &R, driver: &mut QueueDriver<AnyStore>) -> Result<(), OpenError> {
    let mut timer: Option<(Time, BoxFuture<'static, ()>)> = None;
    poll_fn(|cx| {
        loop {
            match driver.poll(cx, clock::now()) {
                Poll::Ready(Output::Leading { .. }) => return Poll::Ready(Ok(())),
                Poll::Ready(Output::StoreFailed(fault)) => return Poll::Ready(Err(OpenError::Store(fault))),
                Poll::Ready(Output::Failed(error)) => return Poll::Ready(Err(OpenError::Queue(error))),
                Poll::Ready(Output::Lost | Output::Released) => return Poll::Ready(Err(OpenError::Lost)),
                Poll::Ready(_) => continue,
                Poll::Pending => {}
            }
            let Some(due) = driver.deadline() else { return Poll::Pending };
            if timer.as_ref().is_none_or(|(set, _)| *set != due) {
                let wait = due.since(clock::now()).max(Duration::from_millis(1));
                timer = Some((due, runtime.sleep(wait).boxed()));
            }
            if timer.as_mut().is_none_or(|(_, sleep)| sleep.poll_unpin(cx).is_pending()) {
                return Poll::Pending;
            }
            timer = None;
        }
    })
    .await
}

/// Returns the id of a queue's gateway; `None` if no gateway with an id has had it.
pub fn gateway_of(ledger: &Ledger) -> Option<&str> {
    ledger.memory_value(GATEWAY_KEY)
}
