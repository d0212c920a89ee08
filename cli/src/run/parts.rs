//! A gateway that is about to start, and its agents: on stdin and stdout, or child processes.

use super::{RunArguments, end};
use crate::bridge::{self, Agent, Agents, End, OneAgent, Options};
use crate::exec::{AgentStderr, Current};
use crate::fail;
use crate::gateway::RuntimeName;
use crate::queue::QueueStart;
use crate::restart::{Restart, RestartLimits, Restarts};
use crate::signals::Shutdown;
use crate::supervisor::Supervisor;
use relayline_control::config::GatewayConfig;
use std::io;
use std::process::ExitCode;

/// Parts of a gateway that is about to start.
pub(super) struct RunParts {
    pub(super) runtime: RuntimeName,
    pub(super) config: GatewayConfig,
    pub(super) options: Options,
    pub(super) shutdown: Shutdown,
    pub(super) queue: Option<QueueStart>,
}

impl RunParts {
    /// Runs the gateway for the agent on its stdin and stdout.
    pub(super) fn run_stdio(self) -> ExitCode {
        let (from, to) = (Box::new(io::stdin()), Box::new(io::stdout()));
        let agent = Agent { from, to, errors: None, is_replaceable: false };
        let ended = self.serve(&mut [OneAgent(Some(agent))]);
        ended.map_or_else(|code| code, |ended| end(ended.map(|end| (end, true))))
    }

    /// Runs the gateway for agents of other processes, which work from its queue.
    pub(super) fn run_alone(self) -> ExitCode {
        let ended = self.serve::<OneAgent>(&mut []);
        ended.map_or_else(|code| code, |ended| end(ended.map(|end| (end, true))))
    }

    /// Runs the gateway for agents that are child processes.
    pub(super) fn run_exec(self, arguments: &RunArguments, program: &str, current: &Current) -> ExitCode {
        let default = if self.queue.is_some() { Restart::OnFailure } else { Restart::Never };
        let when = arguments.restart.unwrap_or(default);
        let (mut supervisors, mut jobs) = (Vec::new(), Vec::new());
        for job in 0..arguments.queue.jobs() {
            let restarts = Restarts::new(when, RestartLimits::of(&self.options.settings));
            let (stderr, current) = (AgentStderr::Inherited, current.for_job(job));
            match Supervisor::start(&arguments.exec, stderr, restarts, current, self.shutdown.clone()) {
                Ok((supervisor, agents)) => {
                    supervisors.push(supervisor);
                    jobs.push(agents);
                }
                // Those that have started end, as their input is closed.
                Err(error) => return fail(1, format_args!("--exec {program}: {error}")),
            }
        }
        let ended = self.serve(&mut jobs);
        // The agents' input is closed now, which ends an agent that reads to the end.
        drop(jobs);
        // All of them: each prints its failure.
        let successes: Vec<bool> = supervisors.into_iter().map(Supervisor::finish).collect();
        let succeeded = successes.iter().all(|succeeded| *succeeded);
        ended.map_or_else(|code| code, |ended| end(ended.map(|end| (end, succeeded))))
    }

    /// Runs the gateway. Returns the exit code if its queue cannot be used, after it has printed the error.
    fn serve<A: Agents>(self, jobs: &mut [A]) -> Result<io::Result<End>, ExitCode> {
        let RunParts { runtime, config, options, shutdown, queue } = self;
        match (queue, jobs) {
            (Some(queue), jobs) => match bridge::run_jobs(runtime, config, queue, jobs, options, &shutdown) {
                Ok(Ok(ended)) => Ok(Ok(ended)),
                Ok(Err(error)) => Err(fail(1, error)),
                Err(error) => Ok(Err(error)),
            },
            (None, [agents]) => Ok(bridge::run(runtime, config, agents, options, &shutdown)),
            // Several jobs need a queue, which was checked.
            (None, _) => Err(fail(2, "several jobs need a queue")),
        }
    }
}
