//! The agent's process: it starts again at a change or at a button, and a crash waits for one of them.

use crate::agent_output::each_line;
use crate::bridge::{Agent, AgentEnd, Agents};
use crate::exec::{AgentStderr, Child, Current};
use crate::workbench::{AgentState, WorkbenchPage};
use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::StreamExt;
use relayline_core::line::Line;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// Event for the thread that owns the process.
#[derive(Debug)]
enum ProcessEvent {
    /// The gateway wants an agent: the last one has ended.
    Wanted,
    /// The agent is to be started again, for this reason.
    Restart(String),
    /// The program ends.
    End,
}

/// Source of agents for the gateway.
#[derive(Debug)]
pub(super) struct DevAgents {
    events: Sender<ProcessEvent>,
    is_requested: bool,
    agents: UnboundedReceiver<Agent>,
}

impl Agents for DevAgents {
    /// Cancel-safe.
    async fn next(&mut self, _: Option<AgentEnd>) -> io::Result<Option<Agent>> {
        if !self.is_requested {
            self.is_requested = self.events.send(ProcessEvent::Wanted).is_ok();
        }
        let agent = self.agents.next().await;
        self.is_requested = false;
        Ok(agent)
    }
}

/// Handle that starts the agent again.
#[derive(Clone, Debug)]
pub(super) struct AgentControl(Sender<ProcessEvent>);

impl AgentControl {
    /// Starts the agent again. `why` is a text for people.
    pub(super) fn restart(&self, why: &str) {
        // It fails once the program ends.
        let _ = self.0.send(ProcessEvent::Restart(why.to_owned()));
    }
}

/// Agent that is not started.
#[derive(Debug)]
pub(super) struct AgentProcess {
    command: Vec<String>,
    current: Current,
    events: Sender<ProcessEvent>,
    received: Receiver<ProcessEvent>,
    agents: UnboundedSender<Agent>,
}

/// Thread that owns the process.
#[derive(Debug)]
pub(super) struct ProcessThread {
    events: Sender<ProcessEvent>,
    thread: JoinHandle<()>,
}

impl ProcessThread {
    /// Ends the agent and the thread.
    pub(super) fn finish(self) {
        let _ = self.events.send(ProcessEvent::End);
        // The thread has printed its panic.
        let _ = self.thread.join();
    }
}

impl AgentProcess {
    /// Creates the process of a command.
    pub(super) fn new(command: Vec<String>, current: Current) -> (AgentProcess, DevAgents, AgentControl) {
        let (events, received) = channel();
        let (sender, agents) = unbounded();
        let source = DevAgents { events: events.clone(), is_requested: false, agents };
        let control = AgentControl(events.clone());
        (AgentProcess { command, current, events, received, agents: sender }, source, control)
    }

    /// Starts the first agent and the thread that serves the gateway's wishes.
    ///
    /// # Errors
    /// The agent cannot be started.
    pub(super) fn start(self, page: Arc<WorkbenchPage>) -> Result<ProcessThread, String> {
        let events = self.events.clone();
        let mut runner = Runner { process: self, page, child: None, ready: None };
        // A command that is wrong from the start is a mistake of the command line.
        runner.launch("the start of relayline")?;
        let thread = std::thread::Builder::new().name("agent".to_owned()).spawn(move || runner.run());
        let thread = thread.map_err(|error| error.to_string())?;
        Ok(ProcessThread { events, thread })
    }
}

/// The process, and what is to become of it.
struct Runner {
    process: AgentProcess,
    page: Arc<WorkbenchPage>,
    child: Option<Child>,
    /// Agent that was started, and that the gateway has not got.
    ready: Option<Agent>,
}

impl Runner {
    fn run(mut self) {
        // True while the gateway waits for an agent.
        let mut is_wanted = false;
        // Reason for which the running agent was killed, to be started again.
        let mut killed: Option<String> = None;
        while let Ok(event) = self.process.received.recv() {
            match event {
                ProcessEvent::End => break,
                ProcessEvent::Wanted if self.ready.is_some() => is_wanted = true,
                ProcessEvent::Wanted => {
                    is_wanted = true;
                    let ended = self.child.take().map(|mut child| child.wait());
                    match (killed.take(), ended) {
                        (Some(why), _) => self.relaunch(&why),
                        (None, Some(ended)) => {
                            let how =
                                ended.map_or_else(|error| error.to_string(), |status| status.to_string());
                            self.crashed(&format!("it ended: {how}"));
                        }
                        (None, None) => {}
                    }
                }
                ProcessEvent::Restart(why) => match &self.child {
                    // Its end makes the gateway want another one.
                    Some(child) if self.ready.is_none() && !is_wanted => {
                        killed = Some(why);
                        child.killer().kill();
                    }
                    _ => {
                        self.ready = None;
                        self.child = None;
                        self.relaunch(&why);
                    }
                },
            }
            if is_wanted && let Some(agent) = self.ready.take() {
                is_wanted = self.process.agents.unbounded_send(agent).is_err();
            }
        }
    }

    fn relaunch(&mut self, why: &str) {
        if let Err(error) = self.launch(why) {
            self.crashed(&format!("it cannot be started: {error}"));
        }
    }

    fn launch(&mut self, why: &str) -> Result<(), String> {
        let (program, arguments) = self.process.command.split_first().ok_or("there is no command")?;
        self.page.set_agent(|agent| {
            agent.state = AgentState::Starting;
            why.clone_into(&mut agent.why);
        });
        let (child, mut agent) =
            Child::start(program, arguments, AgentStderr::Piped).map_err(|error| error.to_string())?;
        agent.is_replaceable = true;
        self.process.current.set(&child);
        if let Some(errors) = agent.errors.take() {
            let page = self.page.clone();
            let read = move || read_stderr(errors, &page);
            let thread = std::thread::Builder::new().name("agent-err".to_owned()).spawn(read);
            thread.map_err(|error| error.to_string())?;
        }
        (self.child, self.ready) = (Some(child), Some(agent));
        self.page.set_agent(|agent| {
            agent.state = AgentState::Running;
            agent.starts += 1;
        });
        Ok(())
    }

    fn crashed(&self, how: &str) {
        tracing::warn!(how, "agent_ended");
        self.page.set_agent(|agent| {
            agent.state = AgentState::Crashed;
            how.clone_into(&mut agent.why);
        });
    }
}

/// Passes the agent's stderr on to the page and to the program's own stderr.
fn read_stderr(mut from: Box<dyn Read + Send>, page: &WorkbenchPage) {
    // Blank lines that no other line has followed.
    let mut blank = 0;
    each_line(&mut *from, |line| {
        let text = match line {
            Line::Whole(b"") => {
                blank += 1;
                return;
            }
            Line::Whole(line) => String::from_utf8_lossy(line),
            Line::TooLong => "(a line that is too long)".into(),
        };
        let lines = std::iter::repeat_n("", std::mem::take(&mut blank)).chain([&*text]);
        for line in lines {
            // A closed stderr is ignored.
            let _ = writeln!(io::stderr(), "{line}");
            page.add_stderr(line);
        }
    });
}
