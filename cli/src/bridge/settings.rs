//! Limits and time-outs of the bridge: a program's settings, which `--set` and the file's `[set]` know beside core's.

use relayline_core::config::Slot;
use relayline_core::settings::OtherSettings;
use std::time::Duration;

macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:expr, $slot:ident least $least:expr;)*) => {
        /// How much may wait between the agent and the gateway, and for how long.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub(crate) struct AgentSettings { $($(#[$doc])* pub(crate) $name: $type,)* }

        impl Default for AgentSettings {
            fn default() -> Self { AgentSettings { $($name: $default,)* } }
        }

        impl OtherSettings for AgentSettings {
            fn names(&self) -> &'static [&'static str] {
                &[$(stringify!($name),)*]
            }

            fn slot(&mut self, name: &str) -> Option<Slot<'_>> {
                match name {
                    $(stringify!($name) => Some(Slot::$slot(&mut self.$name, $least)),)*
                    _ => None,
                }
            }
        }
    };
}

settings! {
    /// Event lines that wait for the agent; 256 by default.
    agent_events: usize = 256, Size least 1;
    /// Bytes of event lines that wait for the agent; 1 MiB by default.
    agent_event_bytes: usize = 1 << 20, Size least 1;
    /// Bytes of results, notices and interrupts that wait for the agent; 16 MiB by default.
    agent_result_bytes: usize = 16 << 20, Size least 1024;
    /// Ops that wait for room among the requests in flight; 4096 by default.
    waiting_ops: usize = 4096, Size least 1;
    /// Bytes of those ops; 8 MiB by default.
    waiting_op_bytes: usize = 8 << 20, Size least 1;
    /// Files of the agent that are on their way at a time; 8 by default. Further ones wait.
    media_transfers: usize = 8, Size least 1;
    /// How long an agent may leave its input unread before that is warned of; 5 s by default.
    agent_read_warning: Duration = Duration::from_secs(5), Time least Duration::from_millis(1);
    /// How long an agent with `agent_result_bytes` to read may read nothing before the gateway ends; 60 s by default.
    agent_read_timeout: Duration = Duration::from_secs(60), Time least Duration::from_millis(1);
    /// From an agent's death to its next start (`--restart`), doubled with each further one; 500 ms by default.
    agent_restart_first: Duration = Duration::from_millis(500), Time least Duration::from_millis(1);
    /// The longest such time; 30 s by default.
    agent_restart_most: Duration = Duration::from_secs(30), Time least Duration::from_millis(1);
    /// Deaths within `agent_deaths_within` after which an agent is given up; 10 by default.
    agent_deaths: usize = 10, Size least 1;
    /// Time that the agent runs between those deaths, at most; 60 s by default. An agent that lives this long begins
    /// with the first back-off again.
    agent_deaths_within: Duration = Duration::from_secs(60), Time least Duration::from_millis(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_can_be_set_by_name() {
        for name in AgentSettings::default().names() {
            let mut settings = AgentSettings::default();
            let ok = settings.slot(name).unwrap().set("5001");
            let ok = ok.or_else(|_| settings.slot(name).unwrap().set("5001us"));
            assert_eq!(ok, Ok(()), "{name}");
            assert_ne!(settings, AgentSettings::default(), "{name}");
        }
        assert!(AgentSettings::default().slot("agent").is_none());
    }
}
