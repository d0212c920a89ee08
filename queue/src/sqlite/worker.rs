//! The thread that has the connection. It carries out one command after the other.

use super::engine::Engine;
use crate::id::{CommandId, RequestId};
use crate::output::{OperatorRequest, RequestRefused};
use crate::store::{FaultKind, StoreAnswer, StoreCommand, StoreFault};
use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Interval of looks for requests of operators while there are no commands.
const IDLE_INTERVAL: Duration = Duration::from_millis(500);

/// Number of commands between two looks for requests while there is no pause.
const COMMANDS_BETWEEN_LOOKS: u64 = 64;

/// Job for the thread.
enum Job {
    Command(CommandId, StoreCommand),
    FinishRequest(RequestId, Result<(), RequestRefused>),
}

/// Event for the owner of the store.
#[derive(Debug)]
pub(super) enum Event {
    /// Answer to a command.
    Answer(CommandId, Box<StoreAnswer>),
    /// Request of an operator.
    Request(RequestId, OperatorRequest),
}

/// Events that nobody has polled.
#[derive(Debug, Default)]
struct Events {
    queue: VecDeque<Event>,
    waker: Option<Waker>,
    /// True once the thread has ended.
    has_ended: bool,
}

/// Handle of the thread.
#[derive(Debug)]
pub(super) struct Worker {
    /// `None` once the thread is asked to end.
    jobs: Option<Sender<Job>>,
    events: Arc<Mutex<Events>>,
    thread: Option<JoinHandle<()>>,
}

fn lock(events: &Mutex<Events>) -> MutexGuard<'_, Events> {
    // A panic in between leaves nothing half done.
    events.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds events, and wakes the task that waits for them.
fn add(events: &Mutex<Events>, new: impl IntoIterator<Item = Event>) {
    let waker = {
        let mut events = lock(events);
        let before = events.queue.len();
        events.queue.extend(new);
        if events.queue.len() == before { None } else { events.waker.take() }
    };
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Notes the end of the thread, also by a panic.
struct End(Arc<Mutex<Events>>);

impl Drop for End {
    fn drop(&mut self) {
        let mut events = lock(&self.0);
        events.has_ended = true;
        if let Some(waker) = events.waker.take() {
            waker.wake();
        }
    }
}

impl Worker {
    /// Starts the thread.
    pub(super) fn start(engine: Engine) -> io::Result<Worker> {
        let (sender, receiver) = channel();
        let events = Arc::new(Mutex::new(Events::default()));
        let end = End(Arc::clone(&events));
        let thread = Builder::new().name("relayline-queue".to_owned());
        let thread = thread.spawn(move || run(engine, &receiver, &end))?;
        Ok(Worker { jobs: Some(sender), events, thread: Some(thread) })
    }

    pub(super) fn submit(&self, id: CommandId, command: StoreCommand) {
        if !self.send(Job::Command(id, command)) {
            let text = "the thread of the queue has ended: start the gateway anew".to_owned();
            let fault = StoreFault { kind: FaultKind::Unavailable, text };
            add(&self.events, [Event::Answer(id, Box::new(StoreAnswer::Failed(fault)))]);
        }
    }

    pub(super) fn finish_request(&self, id: RequestId, result: Result<(), RequestRefused>) {
        // Without the thread there is nothing to write to: the sender of the request times out.
        let _ = self.send(Job::FinishRequest(id, result));
    }

    fn send(&self, job: Job) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok())
    }

    pub(super) fn poll_event(&self, cx: &mut Context<'_>) -> Poll<Event> {
        let mut events = lock(&self.events);
        match events.queue.pop_front() {
            Some(event) => Poll::Ready(event),
            None => {
                events.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        lock(&self.events).has_ended
    }

    /// Ends the thread once it has carried out what was submitted.
    pub(super) fn stop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported where it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(mut engine: Engine, jobs: &Receiver<Job>, end: &End) {
    let events = &*end.0;
    let mut is_tidy = false;
    let mut commands: u64 = 0;
    loop {
        match jobs.recv_timeout(IDLE_INTERVAL) {
            Ok(Job::Command(id, command)) => {
                is_tidy &= !matches!(command, StoreCommand::Write(_));
                let answer = engine.execute(command);
                add(events, [Event::Answer(id, Box::new(answer))]);
                commands += 1;
                if commands.is_multiple_of(COMMANDS_BETWEEN_LOOKS) {
                    look_for_requests(&mut engine, events);
                }
            }
            Ok(Job::FinishRequest(id, result)) => {
                // It fails as the next write does, which reports it.
                let _ = engine.finish_request(id, result);
            }
            Err(RecvTimeoutError::Timeout) => {
                look_for_requests(&mut engine, events);
                if !std::mem::replace(&mut is_tidy, true) {
                    engine.tidy();
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    engine.tidy();
}

fn look_for_requests(engine: &mut Engine, events: &Mutex<Events>) {
    // A failure is that of the next command, too, which reports it.
    let requests = engine.requests().unwrap_or_default();
    add(events, requests.into_iter().map(|(id, request)| Event::Request(id, request)));
}
