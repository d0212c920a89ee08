//! Faults that are active at the moment, and their ends.

use relayline_core::time::Time;

/// Event at the end of a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Recovery {
    /// The connector writes again.
    Unmute,
    /// The connector confirms idleness again.
    ConfirmIdle,
    /// The connector restores the descriptors of its platforms.
    RestoreDescriptors,
    /// The host disconnects.
    Disconnect,
    /// The connector admits the gateway again.
    Readmit,
    /// No change. The fault's time has passed, and the parts that waited for it are scheduled again.
    WakeUp,
}

/// Times at which the active faults end, and the events at their ends.
#[derive(Debug, Default)]
pub(crate) struct ActiveFaults {
    pub(crate) refuse_dials_until: Time,
    pub(crate) swallow_dials_until: Time,
    pub(crate) bad_gateway_until: Time,
    pub(crate) no_close_echo_until: Time,
    pub(crate) refuse_closes_until: Time,
    pub(crate) unreliable_results_until: Time,
    pub(crate) not_reading_until: Time,
    pub(crate) crashed_until: Time,
    pub(crate) suspended_until: Time,
    pub(crate) host_slow_until: Time,
    pub(crate) host_refuses_until: Time,
    pub(crate) host_fails_until: Time,
    /// Ordered by time.
    pub(crate) recoveries: Vec<(Time, Recovery)>,
    /// Start of the next gateway process.
    pub(crate) start_at: Option<Time>,
    /// True if only a new connection can recover: half a line was sent, or a frame was not processed.
    pub(crate) needs_new_connection: bool,
}
