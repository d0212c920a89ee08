//! Protection of the memory and environment of this process from other processes of the same user (Linux).

/// Variable that turns the protection off, for debuggers and profilers.
const VARIABLE: &str = "RELAYLINE_DEBUGGABLE";

/// Outcome of [`protect`], to be logged once there is a log.
#[derive(Debug)]
pub(crate) enum Protection {
    /// Nothing to report: the process is protected, or its system has no such protection.
    Usual,
    /// The user has turned the protection off.
    TurnedOff,
    /// The variable is neither on nor off.
    Unclear,
    /// The system refused.
    #[cfg(target_os = "linux")]
    Failed(std::io::Error),
}

/// Makes this process not dumpable: another process of the same user cannot attach to it nor read its
/// `/proc/PID/environ` and `/proc/PID/mem`, and it leaves no core file. Call this before any secret is read.
pub(crate) fn protect() -> Protection {
    let value = std::env::var_os(VARIABLE).unwrap_or_default();
    if value == "1" {
        return Protection::TurnedOff;
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
    {
        return Protection::Failed(error.into());
    }
    if value.is_empty() || value == "0" { Protection::Usual } else { Protection::Unclear }
}

impl Protection {
    /// Logs what the user should know.
    pub(crate) fn log(&self) {
        let warning = match self {
            Protection::Usual => return,
            Protection::TurnedOff => format!(
                "{VARIABLE}=1: other processes of this user, the agent among them, can read the gateway's secrets from \
                 its memory and environment: unset it outside of debugging"
            ),
            Protection::Unclear => {
                format!("{VARIABLE} is neither 1 nor 0: it is ignored, and the process cannot be debugged")
            }
            #[cfg(target_os = "linux")]
            Protection::Failed(error) => format!(
                "other processes of this user can read the gateway's secrets from its memory and environment: the \
                 system did not protect it: {error}"
            ),
        };
        tracing::warn!(warning, "process");
    }
}
