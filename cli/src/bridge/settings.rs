//! Limits and time-outs of the bridge: settings of this program, which `--set` and the file's `[set]` accept like those
//! of the core.

use relayline_core::limits;
use relayline_core::limits::MIN_INTERVAL;
use std::time::Duration;

limits! {
    /// Limits and time-outs of the agent and its bridge.
    pub(crate) struct AgentSettings {
        /// Maximum number of event lines that wait for the agent; 256 by default.
        agent_events: Size = 256, least 1;
        /// Maximum number of bytes of event lines that wait for the agent; 1 MiB by default.
        agent_event_bytes: Size = 1 << 20, least 1;
        /// Maximum number of bytes of results, notices and interrupts that wait for the agent; 16 MiB by default.
        agent_result_bytes: Size = 16 << 20, least 1024;
        /// Maximum number of ops that wait for room among the requests in flight; 4096 by default.
        waiting_ops: Size = 4096, least 1;
        /// Maximum number of bytes of these ops; 8 MiB by default.
        waiting_op_bytes: Size = 8 << 20, least 1;
        /// Maximum number of files of the agent that are transferred at a time. Further ones wait; 8 by default.
        media_transfers: Size = 8, least 1;
        /// Time that an agent may leave its input unread before a warning; 5 s by default.
        agent_read_warning: Time = Duration::from_secs(5), least MIN_INTERVAL;
        /// Maximum time without a read by the agent while `agent_result_bytes` wait for it. The gateway ends then; 60 s
        /// by default.
        agent_read_timeout: Time = Duration::from_secs(60), least MIN_INTERVAL;
        /// Time from an agent's death to its next start (`--restart`), doubled with each further one; 500 ms by
        /// default.
        agent_restart_first: Time = Duration::from_millis(500), least MIN_INTERVAL;
        /// Maximum time from an agent's death to its next start; 30 s by default.
        agent_restart_most: Time = Duration::from_secs(30), least MIN_INTERVAL;
        /// Number of deaths after which an agent is given up, if they are within `agent_deaths_within`; 10 by default.
        agent_deaths: Size = 10, least 1;
        /// Maximum total time that the agent runs from the first of those deaths to the last, back-offs left out. An
        /// agent that runs this long starts over with the first back-off; 60 s by default.
        agent_deaths_within: Time = Duration::from_secs(60), least MIN_INTERVAL;
    }
}
