//! Writer thread of a recording. Events pass through a bounded queue, so a slow or full disk never delays the traffic.

use super::encoder::{Encoder, WireEvent};
use super::journal::{Journal, Store, Summary};
use crate::recording::{Header, RecordedLine};
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Maximum number of queued events, and their maximum size. Further events are lost, and counted.
const MAX_EVENTS: usize = 32_768;
const MAX_BYTES: usize = 64 << 20;
/// Maximum time to end a recording. A disk that does not respond must not block the exit.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Interval at which waiting frames are checked.
const TICK: Duration = Duration::from_secs(1);

/// An event in the queue.
struct QueuedEvent {
    t_ms: u64,
    dial: u32,
    event: WireEvent,
    size: usize,
    /// Number of events that were lost right before it.
    lost_before: u64,
}

/// A recording in progress. Clones write to the same recording.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    started: Instant,
    dials: AtomicU32,
    waiting: Arc<AtomicUsize>,
    /// Number of events that were lost after the last queued one.
    lost_last: Arc<AtomicU64>,
    queue: Mutex<Queue>,
    ended: Mutex<Receiver<Summary>>,
}

#[derive(Debug)]
struct Queue {
    /// `None` once the recording is ending.
    sender: Option<SyncSender<QueuedEvent>>,
    lost: u64,
}

/// Handler of write errors.
pub(super) type WriteErrorHandler = Box<dyn Fn(io::Error) + Send>;

impl Writer {
    /// Starts the thread that writes into a store whose first file was started. `complain` is called once with the
    /// reason for lost lines.
    pub(super) fn start(
        store: impl Store + Send + 'static,
        header: Header,
        rotate: Option<u64>,
        encoder: Encoder,
        complain: WriteErrorHandler,
    ) -> io::Result<Writer> {
        let started = Instant::now();
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started_unix_ms = u64::try_from(unix.as_millis()).unwrap_or(u64::MAX);
        let journal = Journal::new(store, header, started_unix_ms, rotate);
        let (sender, items) = sync_channel(MAX_EVENTS);
        let (end, ended) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let lost_last = Arc::new(AtomicU64::new(0));
        let (drained, lost) = (Arc::clone(&waiting), Arc::clone(&lost_last));
        std::thread::Builder::new().name("recording".to_owned()).spawn(move || {
            // The receiver may be gone.
            let _ = end.send(write(journal, encoder, &items, started, &drained, &lost, &complain));
        })?;
        let shared = Shared {
            started,
            dials: AtomicU32::new(0),
            waiting,
            lost_last,
            queue: Mutex::new(Queue { sender: Some(sender), lost: 0 }),
            ended: Mutex::new(ended),
        };
        Ok(Writer { shared: Arc::new(shared) })
    }

    /// Returns the number of a new dial.
    pub(super) fn dial(&self) -> u32 {
        self.shared.dials.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Queues an event without blocking. Without room the event is lost, and counted.
    pub(super) fn record(&self, dial: u32, event: WireEvent) {
        let size = event.size();
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Queue { sender: Some(sender), lost } = &mut *queue else { return };
        if self.shared.waiting.load(Ordering::Relaxed) + size > MAX_BYTES {
            *lost += 1;
            return;
        }
        self.shared.waiting.fetch_add(size, Ordering::Relaxed);
        // Taken under the lock, so that lines are ordered by time.
        let t_ms = ms_since(self.shared.started);
        match sender.try_send(QueuedEvent { t_ms, dial, event, size, lost_before: *lost }) {
            Ok(()) => *lost = 0,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.shared.waiting.fetch_sub(size, Ordering::Relaxed);
                *lost += 1;
            }
        }
    }

    /// Writes the queued events, and ends. Returns `None` if the disk does not respond.
    pub(super) fn finish(&self) -> Option<Summary> {
        {
            let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
            // Events that were lost last have no later event to carry their number.
            self.shared.lost_last.store(queue.lost, Ordering::SeqCst);
            queue.sender = None;
        }
        let ended = self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.recv_timeout(SHUTDOWN_TIMEOUT).ok()
    }
}

fn write(
    mut journal: Journal<impl Store>,
    mut encoder: Encoder,
    items: &Receiver<QueuedEvent>,
    started: Instant,
    waiting: &AtomicUsize,
    lost_last: &AtomicU64,
    complain: &WriteErrorHandler,
) -> Summary {
    let (mut last_ms, mut complained) = (0, false);
    let mut write = |journal: &mut Journal<_>, lines: &[RecordedLine]| {
        if let Err(error) = journal.write(lines)
            && !std::mem::replace(&mut complained, true)
        {
            complain(error);
        }
    };
    loop {
        let received = if encoder.is_holding() {
            items.recv_timeout(TICK)
        } else {
            items.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        match received {
            Ok(QueuedEvent { t_ms, dial, event, size, lost_before }) => {
                journal.lose(lost_before);
                let lines = encoder.encode(t_ms, dial, event);
                waiting.fetch_sub(size, Ordering::Relaxed);
                last_ms = t_ms;
                write(&mut journal, &lines);
            }
            Err(RecvTimeoutError::Timeout) => write(&mut journal, &encoder.expire(ms_since(started))),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    write(&mut journal, &encoder.finish());
    journal.lose(lost_last.load(Ordering::SeqCst));
    let (summary, said) = journal.finish(last_ms);
    if let Err(error) = said
        && !complained
    {
        complain(error);
    }
    summary
}

fn ms_since(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::Recording;

    /// A disk that is full until it has refused this many writes.
    #[derive(Clone, Default)]
    struct Disk {
        refuses: Arc<AtomicUsize>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Store for Disk {
        fn begin(&mut self, _: u32) -> io::Result<()> {
            Ok(())
        }

        fn append(&mut self, line: &[u8]) -> io::Result<()> {
            if self.refuses.load(Ordering::SeqCst) > 0 {
                self.refuses.fetch_sub(1, Ordering::SeqCst);
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.written.lock().unwrap().extend_from_slice(line);
            Ok(())
        }
    }

    fn answered(path: &str) -> WireEvent {
        WireEvent::Answered { method: "GET".to_owned(), path: path.to_owned(), status: 200 }
    }

    #[test]
    fn writing_resumes_once_a_full_disk_has_room() {
        let disk = Disk { refuses: Arc::new(AtomicUsize::new(3)), ..Disk::default() };
        let (tell, told) = channel();
        let complain = Box::new(move |error: io::Error| tell.send(error.kind()).unwrap());
        let writer =
            Writer::start(disk.clone(), Header::default(), None, Encoder::default(), complain).unwrap();
        for number in 0..5 {
            writer.record(0, answered(&number.to_string()));
        }
        let summary = writer.finish().unwrap();
        assert_eq!(summary, Summary { lines: 2, lost: 3, parts: 1 });
        let written = Recording::read("r.jsonl", &disk.written.lock().unwrap()).unwrap();
        let gaps: Vec<_> = written.lines.iter().map(|line| line.gap()).collect();
        assert_eq!(gaps, [Some(3), None, None]);
        assert_eq!(told.iter().collect::<Vec<_>>(), [io::ErrorKind::StorageFull]);
    }

    /// A slow disk loses lines, and never delays the traffic.
    #[test]
    fn events_beyond_the_queue_are_counted() {
        let disk = Disk::default();
        let held = disk.written.lock().unwrap();
        let complain = Box::new(|_| {});
        let writer =
            Writer::start(disk.clone(), Header::default(), None, Encoder::default(), complain).unwrap();
        for _ in 0..MAX_EVENTS + 20 {
            writer.record(0, answered(""));
        }
        drop(held);
        let summary = writer.finish().unwrap();
        assert_eq!(summary.lines + summary.lost, MAX_EVENTS as u64 + 20);
        // One more than fits may have left the queue, and wait for the disk.
        assert!((19..=20).contains(&summary.lost), "{summary:?}");
        let written = Recording::read("r.jsonl", &disk.written.lock().unwrap()).unwrap();
        assert_eq!(written.lines.iter().filter_map(|line| line.gap()).sum::<u64>(), summary.lost);
    }
}
