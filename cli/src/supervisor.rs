//! Supervisor of the agent of `--exec`: waits for its end, and restarts it according to `--restart`.

use crate::bridge::{Agent, AgentEnd, Agents};
use crate::complain;
use crate::exec::{AgentStderr, Child, Current, StartError};
use crate::restart::{Next, Restarts};
use crate::signals::Shutdown;
use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::{FutureExt, StreamExt};
use std::io;
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Source of a supervisor's agents, for the bridge.
#[derive(Debug)]
pub(crate) struct Supervised {
    /// Requests the first agent, or the next one.
    requests: Sender<()>,
    is_requested: bool,
    agents: UnboundedReceiver<Agent>,
}

impl Agents for Supervised {
    /// Cancel-safe. Drop the pipes of the previous agent first: it has ended, or ends within five seconds.
    async fn next(&mut self, _: Option<AgentEnd>) -> io::Result<Option<Agent>> {
        if !self.is_requested {
            // It fails if the supervisor has ended: then there is no further agent.
            self.is_requested = self.requests.send(()).is_ok();
        }
        let agent = self.agents.next().await;
        self.is_requested = false;
        Ok(agent)
    }
}

/// Thread that waits for the agent's end.
#[derive(Debug)]
pub(crate) struct Supervisor(JoinHandle<Conclusion>);

/// Failure of the last agent, as a line for the user; `None` if it succeeded.
type Conclusion = Option<String>;

impl Supervisor {
    /// Starts the agent and its supervisor.
    ///
    /// # Errors
    /// The agent cannot be started.
    pub(crate) fn start(
        exec: &[String],
        stderr: AgentStderr,
        restarts: Restarts,
        current: Current,
        shutdown: Shutdown,
    ) -> Result<(Supervisor, Supervised), StartError> {
        let (requests, requested) = channel();
        let (sender, agents) = unbounded();
        let mut process = AgentProcess {
            exec: exec.to_vec(),
            stderr,
            restarts,
            current,
            shutdown,
            started: Instant::now(),
        };
        let (child, agent) = process.start()?;
        let watch = move || process.watch(child, agent, &requested, &sender);
        let thread = std::thread::Builder::new().name("supervisor".to_owned()).spawn(watch)?;
        Ok((Supervisor(thread), Supervised { requests, is_requested: false, agents }))
    }

    /// Waits for the end of the last agent, once its [`Supervised`] is dropped. Returns true if it succeeded, else prints the
    /// reason.
    pub(crate) fn finish(self) -> bool {
        let conclusion = self.wait();
        if let Some(failure) = &conclusion {
            complain(failure);
        }
        conclusion.is_none()
    }

    /// Waits for the end of the last agent, once its [`Supervised`] is dropped. Returns the reason if it failed.
    pub(crate) fn wait(self) -> Option<String> {
        self.0.join().unwrap_or_else(|_| Some("the agent's supervisor panicked".to_owned()))
    }
}

/// Exit status of an agent, or the error.
type AgentOutcome = Result<ExitStatus, String>;

fn has_succeeded(ended: &AgentOutcome) -> bool {
    ended.as_ref().is_ok_and(ExitStatus::success)
}

struct AgentProcess {
    exec: Vec<String>,
    stderr: AgentStderr,
    restarts: Restarts,
    current: Current,
    shutdown: Shutdown,
    /// Start of the latest agent.
    started: Instant,
}

impl AgentProcess {
    fn program(&self) -> &str {
        self.exec.first().map_or("", String::as_str)
    }

    fn start(&mut self) -> Result<(Child, Agent), StartError> {
        let arguments = self.exec.get(1..).unwrap_or_default();
        let (child, mut agent) = Child::start(self.program(), arguments, self.stderr)?;
        agent.is_replaceable = self.restarts.may_restart();
        self.current.set(&child);
        self.started = Instant::now();
        Ok((child, agent))
    }

    /// Provides an agent for each request. Returns the failure of the last one, if it failed.
    fn watch(
        mut self,
        mut child: Child,
        mut agent: Agent,
        requests: &Receiver<()>,
        agents: &UnboundedSender<Agent>,
    ) -> Conclusion {
        let mut is_wanted = requests.recv().is_ok();
        loop {
            // Another request means that this agent has ended. Without a bridge it must end.
            is_wanted = is_wanted && agents.unbounded_send(agent).is_ok() && requests.recv().is_ok();
            let lived = self.started.elapsed();
            let ended = child.wait().map_err(|error| error.to_string());
            if !is_wanted {
                return self.conclude(&ended);
            }
            match self.replace(lived, ended, requests) {
                Ok(next) => (child, agent) = next,
                Err(conclusion) => return conclusion,
            }
        }
    }

    /// Restarts the agent after a back-off, until that succeeds. Returns the failure of the agent, if it failed, when
    /// there is to be no other.
    fn replace(
        &mut self,
        mut lived: Duration,
        mut ended: AgentOutcome,
        requests: &Receiver<()>,
    ) -> Result<(Child, Agent), Conclusion> {
        loop {
            let how = match &ended {
                Ok(status) => status.to_string(),
                Err(error) => error.clone(),
            };
            let backoff = match self.restarts.ended(lived, has_succeeded(&ended)) {
                Next::Start(backoff) => backoff,
                Next::End => return Err(self.conclude(&ended)),
                Next::GiveUp => {
                    let restarts = &self.restarts;
                    return Err(Some(format!(
                        "the agent {} {restarts}; the last end: {how}",
                        self.program()
                    )));
                }
            };
            let restart_in_ms = u64::try_from(backoff.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(how, restart_in_ms, "agent_ended");
            let is_over = requests.recv_timeout(backoff) == Err(RecvTimeoutError::Disconnected);
            if is_over || self.shutdown.triggered().now_or_never().is_some() {
                // The gateway ends meanwhile, which is not a failure of the agent.
                return Err(None);
            }
            match self.start() {
                Ok(started) => return Ok(started),
                Err(error) => (lived, ended) = (Duration::ZERO, Err(error.to_string())),
            }
        }
    }

    /// Returns the failure of the last agent, if it failed.
    fn conclude(&self, ended: &AgentOutcome) -> Conclusion {
        match ended {
            Ok(status) if status.success() => None,
            Ok(status) => Some(format!("the agent {} failed: {status}", self.program())),
            Err(error) => Some(format!("the agent {}: {error}", self.program())),
        }
    }
}
