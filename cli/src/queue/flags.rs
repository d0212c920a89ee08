//! Flags of `run` for the durable queue.

use super::DEFAULT_ID;
use super::location::QueueLocation;
use super::start::QueueStart;
use clap::Args;
use relayline_control::config::GatewayConfig;
use relayline_queue::config::QueueLimits;
use relayline_queue::inbox::QueueOptions;
use std::path::PathBuf;

/// Maximum number of jobs.
const MAX_JOBS: usize = 1000;

/// Flags of the durable queue.
#[derive(Debug, Args)]
#[command(next_help_heading = "Queue")]
pub(crate) struct QueueArguments {
    /// Durable queue of the events, as in sqlite:inbox.db or nats://a,b,c/relay?replicas=3.
    ///
    /// Each event is stored, acknowledged to the connector once it is stored, and handed to the agent until the agent has
    /// done it: ack then means done. It comes again if the agent, the gateway or the machine dies before. The queue
    /// holds what people say: a file has mode 0600. A second gateway with the same queue exits with 1. With servers of NATS and
    /// neither --exec nor --acp this gateway runs no agent. Credentials are in the URL, or in the file of its parameter login.
    #[arg(long, value_name = "URL", value_parser = QueueLocation::parse)]
    queue: Option<QueueLocation>,

    /// Number of agent processes. Sessions are spread over them; 1 by default.
    #[arg(long, value_name = "N", value_parser = jobs)]
    jobs: Option<usize>,

    /// Maximum number of unsettled deliveries of one session. With 1 their order is strict; no limit by default.
    #[arg(long, value_name = "N")]
    session_window: Option<usize>,

    /// Number of failures after which an event is a dead letter; 5 by default.
    #[arg(long, value_name = "N")]
    max_attempts: Option<usize>,

    /// Time for which an event that is done is known, so that it is not handed out again, as in 48h; 24 h by default.
    #[arg(long, value_name = "TIME")]
    dedupe_for: Option<String>,

    /// Folder into which files of messages are fetched before the hand-out; none are by default.
    ///
    /// The agent finds their paths under media[].path. Files of events that are done make room for new ones (--set
    /// queue_media_bytes).
    #[arg(long, value_name = "DIR")]
    queue_media: Option<PathBuf>,

    /// Wait while another gateway has the queue, and take over when it ends.
    #[arg(long)]
    standby: bool,
}

pub(crate) fn jobs(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(jobs) if (1..=MAX_JOBS).contains(&jobs) => Ok(jobs),
        _ => Err(format!("write a number from 1 to {MAX_JOBS}")),
    }
}

impl QueueArguments {
    /// Returns true if a queue is requested.
    pub(crate) fn is_given(&self) -> bool {
        self.queue.is_some()
    }

    /// Returns the location of the queue.
    pub(crate) fn location(&self) -> Option<&QueueLocation> {
        self.queue.as_ref()
    }

    /// Returns true if agents on other machines can work from the queue.
    pub(crate) fn is_shared(&self) -> bool {
        self.queue.as_ref().is_some_and(QueueLocation::is_shared)
    }

    /// Returns the number of agent processes.
    pub(crate) fn jobs(&self) -> usize {
        self.jobs.unwrap_or(1)
    }

    /// Checks that flags of the queue come with a queue.
    ///
    /// # Errors
    /// The text for the user.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.queue.is_some() {
            return Ok(());
        }
        let given = [
            ("jobs", self.jobs.is_some()),
            ("session-window", self.session_window.is_some()),
            ("max-attempts", self.max_attempts.is_some()),
            ("dedupe-for", self.dedupe_for.is_some()),
            ("queue-media", self.queue_media.is_some()),
            ("standby", self.standby),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            Some((name, _)) => {
                Err(format!("{name} is set without queue: set queue, as in --queue sqlite:inbox.db"))
            }
            None => Ok(()),
        }
    }

    /// Returns the limits that have a flag, as texts of `--set`.
    pub(crate) fn limits(&self) -> Vec<String> {
        let limit = |name: &str, value: Option<String>| Some(format!("{name}={}", value?));
        let number = |value: Option<usize>| value.map(|value| value.to_string());
        let limits = [
            limit("session_window", number(self.session_window)),
            limit("max_attempts", number(self.max_attempts)),
            limit("dedupe_for", self.dedupe_for.clone()),
        ];
        limits.into_iter().flatten().collect()
    }

    /// Returns the start of the queue of a gateway; `None` without one.
    pub(crate) fn start(&self, config: &GatewayConfig, limits: QueueLimits) -> Option<QueueStart> {
        let location = self.queue.clone()?;
        let id = config.machine.credentials.as_ref().map(|credentials| credentials.gateway_id.as_str());
        let options = QueueOptions::default().limits(limits).gateway_id(id.unwrap_or(DEFAULT_ID));
        let options = match &self.queue_media {
            Some(folder) => options.media(folder),
            None => options,
        };
        Some(QueueStart::new(location, options, self.standby))
    }
}
