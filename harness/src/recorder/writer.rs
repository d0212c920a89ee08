//! Writing beside the traffic: events go through a bounded queue to a thread of their own, so that neither a slow disk
//! nor a full one ever holds up a message.

use super::files::Files;
use super::journal::{Journal, Summary};
use super::scribe::{Event, Scribe};
use crate::recording::Header;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Events that may wait to be written, and how much memory they may take. What comes beyond is lost, and counted.
const MOST_EVENTS: usize = 32_768;
const MOST_BYTES: usize = 64 << 20;
/// How long a recording may take to end: a disk that does not answer must keep nobody from leaving.
const GOODBYE: Duration = Duration::from_secs(5);

/// One event on its way to the file.
struct Item {
    t_ms: u64,
    dial: u32,
    event: Event,
    size: usize,
    /// Events that were lost right before it.
    lost_before: u64,
}

/// A recording that is being written. Clones write to the same.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    started: Instant,
    dials: AtomicU32,
    waiting: Arc<AtomicUsize>,
    queue: Mutex<Queue>,
    ended: Mutex<Receiver<Summary>>,
}

#[derive(Debug)]
struct Queue {
    /// `None` once the recording has been told to end.
    sender: Option<SyncSender<Item>>,
    lost: u64,
}

/// What is told of a recording while it is made.
pub(super) type Complaint = Box<dyn Fn(io::Error) + Send>;

impl Writer {
    /// Begins the file, and the thread that writes it. `complain` is told once why lines are lost.
    pub(super) fn start(
        file: &Path,
        header: Header,
        rotate: Option<u64>,
        complain: Complaint,
    ) -> io::Result<Writer> {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started_unix_ms = u64::try_from(unix.as_millis()).unwrap_or(u64::MAX);
        let journal = Journal::new(Files::create(file)?, header, started_unix_ms, rotate);
        let (sender, items) = sync_channel(MOST_EVENTS);
        let (end, ended) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let drained = Arc::clone(&waiting);
        std::thread::Builder::new().name("recording".to_owned()).spawn(move || {
            // Nobody may be left to hear of it.
            let _ = end.send(write(journal, &items, &drained, &complain));
        })?;
        let shared = Shared {
            started: Instant::now(),
            dials: AtomicU32::new(0),
            waiting,
            queue: Mutex::new(Queue { sender: Some(sender), lost: 0 }),
            ended: Mutex::new(ended),
        };
        Ok(Writer { shared: Arc::new(shared) })
    }

    /// A number for a dial that is about to be.
    pub(super) fn dial(&self) -> u32 {
        self.shared.dials.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Has an event written. It never waits: where there is no room the event is lost, and counted.
    pub(super) fn record(&self, dial: u32, event: Event) {
        let size = event.size();
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Queue { sender: Some(sender), lost } = &mut *queue else { return };
        if self.shared.waiting.load(Ordering::Relaxed) + size > MOST_BYTES {
            *lost += 1;
            return;
        }
        self.shared.waiting.fetch_add(size, Ordering::Relaxed);
        // Under the lock, so that the order of the lines is that of their times.
        let t_ms = u64::try_from(self.shared.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match sender.try_send(Item { t_ms, dial, event, size, lost_before: *lost }) {
            Ok(()) => *lost = 0,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.shared.waiting.fetch_sub(size, Ordering::Relaxed);
                *lost += 1;
            }
        }
    }

    /// Writes what waits, and ends. `None` when the disk does not answer.
    pub(super) fn finish(&self) -> Option<Summary> {
        // What was lost last has no line behind it that would tell.
        self.record(0, Event::Over { note: None });
        let lost = {
            let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.sender = None;
            // That line itself is none that was lost.
            queue.lost.saturating_sub(1)
        };
        let ended = self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let summary = ended.recv_timeout(GOODBYE).ok()?;
        Some(Summary { lost: summary.lost + lost, ..summary })
    }
}

fn write(
    mut journal: Journal<Files>,
    items: &Receiver<Item>,
    waiting: &AtomicUsize,
    complain: &Complaint,
) -> Summary {
    let mut scribe = Scribe::default();
    let (mut last_ms, mut complained) = (0, false);
    while let Ok(Item { t_ms, dial, event, size, lost_before }) = items.recv() {
        journal.lose(lost_before);
        let lines = scribe.lines(t_ms, dial, event);
        waiting.fetch_sub(size, Ordering::Relaxed);
        last_ms = t_ms;
        if let Err(error) = journal.write(t_ms, &lines)
            && !complained
        {
            complained = true;
            complain(error);
        }
    }
    let (summary, said) = journal.finish(last_ms);
    if let Err(error) = said
        && !complained
    {
        complain(error);
    }
    summary
}
