//! The thread that has the connection. It carries out one command after the other.

use super::engine::Engine;
use crate::id::{CommandId, RequestId};
use crate::output::RequestRefused;
use crate::store::StoreCommand;
use crate::store::events::{EndOfThread, Events};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
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

/// Handle of the thread.
#[derive(Debug)]
pub(super) struct Worker {
    /// `None` once the thread is asked to end.
    jobs: Option<Sender<Job>>,
    pub(super) events: Events,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread.
    pub(super) fn start(engine: Engine) -> io::Result<Worker> {
        let (sender, receiver) = channel();
        let events = Events::default();
        let end = EndOfThread(events.clone());
        let thread = Builder::new().name("relayline-queue".to_owned());
        let thread = thread.spawn(move || run(engine, &receiver, &end))?;
        Ok(Worker { jobs: Some(sender), events, thread: Some(thread) })
    }

    pub(super) fn submit(&self, id: CommandId, command: StoreCommand) {
        if !self.send(Job::Command(id, command)) {
            self.events.refuse(id);
        }
    }

    pub(super) fn finish_request(&self, id: RequestId, result: Result<(), RequestRefused>) {
        // Without the thread there is nothing to write to: the sender of the request times out.
        let _ = self.send(Job::FinishRequest(id, result));
    }

    fn send(&self, job: Job) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok())
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

fn run(mut engine: Engine, jobs: &Receiver<Job>, end: &EndOfThread) {
    let events = &end.0;
    let mut is_tidy = false;
    let mut commands: u64 = 0;
    loop {
        match jobs.recv_timeout(IDLE_INTERVAL) {
            Ok(Job::Command(id, command)) => {
                is_tidy &= !matches!(command, StoreCommand::Write(_));
                events.answer(id, engine.execute(command));
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

fn look_for_requests(engine: &mut Engine, events: &Events) {
    // A failure is that of the next command, too, which reports it.
    for (id, request) in engine.requests().unwrap_or_default() {
        events.request(id, request);
    }
}
