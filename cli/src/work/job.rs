//! One job of a worker: its agents, one after another, each with a thread that reads it and one that writes to it.

use super::host::HostEvent;
use crate::agent_output::{MAX_LINE_BYTES, each_line};
use crate::bridge::{Agent, AgentEnd, Agents};
use crate::exec::Current;
use crate::supervisor::Supervised;
use relayline_core::line::Line;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

/// Gate that holds the reading of an agent back.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Closes or opens the gate.
    pub(super) fn set(&self, is_closed: bool) {
        let (state, changed) = &*self.0;
        *state.lock().unwrap_or_else(PoisonError::into_inner) = is_closed;
        changed.notify_all();
    }

    fn wait(&self) {
        let (state, changed) = &*self.0;
        let mut is_closed = state.lock().unwrap_or_else(PoisonError::into_inner);
        while *is_closed {
            is_closed = changed.wait(is_closed).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Handle of a running agent.
#[derive(Debug)]
pub(super) struct Running {
    /// Lines for the agent. Its stdin is closed once this is dropped.
    pub(super) lines: Sender<Vec<u8>>,
    pub(super) gate: Gate,
    pub(super) current: Current,
}

/// Starts the thread of a job.
pub(super) fn start(
    number: usize,
    agents: Supervised,
    current: Current,
    events: Sender<HostEvent>,
) -> io::Result<()> {
    let serve = move || serve(number, agents, &current, &events);
    Builder::new().name("job".to_owned()).spawn(serve).map(drop)
}

fn serve(number: usize, mut agents: Supervised, current: &Current, events: &Sender<HostEvent>) {
    let mut last = None;
    for generation in 1_u64.. {
        // An error is the supervisor's, which prints it.
        let Ok(Some(agent)) = smol::block_on(agents.next(last)) else { break };
        let id = format!("{}-{generation}", number + 1);
        if serve_agent(&id, agent, current, events).is_err() {
            break;
        }
        last = Some(AgentEnd::OutputEnded);
    }
    drop(agents);
    let _ = events.send(HostEvent::JobOver);
}

/// Serves an agent to its end. An error means that the worker has ended.
fn serve_agent(id: &str, agent: Agent, current: &Current, events: &Sender<HostEvent>) -> io::Result<()> {
    let Agent { mut from, to, .. } = agent;
    let (lines, receiver) = channel();
    let writer = write(id, to, receiver, events.clone())?;
    let gate = Gate::default();
    let running = Running { lines, gate: gate.clone(), current: current.clone() };
    let ended = || io::Error::from(io::ErrorKind::BrokenPipe);
    events.send(HostEvent::Started(id.to_owned(), running)).map_err(|_| ended())?;
    each_line(&mut *from, |line| {
        let line = match line {
            Line::Whole(line) if line.iter().all(u8::is_ascii_whitespace) => return,
            Line::Whole(line) => line.to_vec(),
            // The gateway answers that this is not an op.
            Line::TooLong => format!("a line of over {MAX_LINE_BYTES} bytes was discarded").into_bytes(),
        };
        gate.wait();
        // Without a worker the rest is read, so that the agent is not killed by a closed pipe.
        let _ = events.send(HostEvent::Line(id.to_owned(), line));
    });
    events.send(HostEvent::Ended(id.to_owned())).map_err(|_| ended())?;
    let _ = writer.join();
    Ok(())
}

/// Writes lines to an agent on a thread of its own, since an agent may not read.
fn write(
    id: &str,
    mut to: Box<dyn Write + Send>,
    lines: Receiver<Vec<u8>>,
    events: Sender<HostEvent>,
) -> io::Result<JoinHandle<()>> {
    let id = id.to_owned();
    let write = move || {
        for line in lines {
            // An agent that has closed its input ends, or is ended.
            if to.write_all(&line).and_then(|()| to.flush()).is_err() {
                return;
            }
            let _ = events.send(HostEvent::Read(id.clone()));
        }
    };
    Builder::new().name("agent-in".to_owned()).spawn(write)
}
