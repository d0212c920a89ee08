//! Pipes of an agent of a worker. They block their threads, as those of a child process do.

use super::FleetShared;
use super::files::Answer;
use futures_channel::oneshot::Sender;
use relayline_queue::clock;
use relayline_queue::id::AgentId;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of an agent that are not read, the requests for its files, and its end.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Bounded by the window of the agent.
    bytes: VecDeque<Vec<u8>>,
    /// Those who wait for answers to requests for files, by number.
    calls: BTreeMap<u64, Sender<Answer>>,
    /// Error of the agent, or `None` for a planned end, once it has ended.
    end: Option<Option<String>>,
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn fill(&self, bytes: Vec<u8>) {
        self.lock().bytes.push_back(bytes);
        self.filled.notify_all();
    }

    /// Notes who waits for the answer to a request for a file.
    pub(super) fn add_call(&self, number: u64, waiting: Sender<Answer>) {
        self.lock().calls.insert(number, waiting);
    }

    /// Passes an answer to the one who waits for it.
    pub(super) fn answer(&self, number: u64, answer: Answer) {
        let waiting = self.lock().calls.remove(&number);
        // It may have given up.
        let _ = waiting.map(|waiting| waiting.send(answer));
    }

    /// Ends the agent's output, and the requests for its files. The first end counts.
    pub(super) fn close(&self, error: Option<String>) {
        let mut state = self.lock();
        state.end.get_or_insert(error);
        let calls = std::mem::take(&mut state.calls);
        drop(state);
        // Those who wait are woken without the lock.
        drop(calls);
        self.filled.notify_all();
    }

    /// Returns the end, once the agent has ended.
    pub(super) fn error(&self) -> Option<Option<String>> {
        self.lock().end.clone()
    }

    /// Waits for bytes. Returns none at the end.
    fn take(&self, most: usize) -> Vec<u8> {
        let mut state = self.lock();
        loop {
            if let Some(first) = state.bytes.front_mut() {
                if first.len() > most {
                    let rest = first.split_off(most);
                    return std::mem::replace(first, rest);
                }
                return state.bytes.pop_front().unwrap_or_default();
            }
            if state.end.is_some() {
                return Vec::new();
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Output of an agent.
pub(super) struct RemoteReader {
    shared: Arc<FleetShared>,
    pipe: Arc<Pipe>,
    agent: AgentId,
}

impl RemoteReader {
    pub(super) fn new(shared: Arc<FleetShared>, pipe: Arc<Pipe>, agent: AgentId) -> RemoteReader {
        RemoteReader { shared, pipe, agent }
    }
}

impl Read for RemoteReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.pipe.take(buffer.len());
        if let Some(space) = buffer.get_mut(..bytes.len()) {
            space.copy_from_slice(&bytes);
        }
        if !bytes.is_empty() {
            let read = bytes.len() as u64;
            self.shared.change(|fleet| fleet.handle_read(clock::now(), &self.agent, read));
        }
        Ok(bytes.len())
    }
}

/// Input of an agent.
pub(super) struct RemoteWriter {
    shared: Arc<FleetShared>,
    pipe: Arc<Pipe>,
    agent: AgentId,
}

impl RemoteWriter {
    pub(super) fn new(shared: Arc<FleetShared>, pipe: Arc<Pipe>, agent: AgentId) -> RemoteWriter {
        RemoteWriter { shared, pipe, agent }
    }
}

impl Write for RemoteWriter {
    /// Waits while the agent has not read enough.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.shared.lock();
        loop {
            if self.pipe.error().is_some() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            match &mut state.fleet {
                Some(fleet) if fleet.takes_bytes(&self.agent) => {
                    fleet.handle_write(clock::now(), &self.agent, bytes);
                    break;
                }
                Some(_) => {}
                None => return Err(io::ErrorKind::BrokenPipe.into()),
            }
            state = self.shared.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        self.shared.changes.set();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
