//! What is wrong with the world at the moment.

use relayline_core::time::Time;

/// What ends with a trouble.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Recovery {
    /// The connector speaks again.
    Unmute,
    /// It confirms idleness again.
    ConfirmIdle,
    /// It describes its platforms as before.
    RestoreDescriptors,
    /// The host disconnects.
    Disconnect,
    /// It lets the gateway in again.
    Readmit,
    /// Nothing but time: whoever waited looks again.
    WakeUp,
}

/// Each until then.
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
    /// In order of time.
    pub(crate) recoveries: Vec<(Time, Recovery)>,
    /// The next gateway process begins.
    pub(crate) start_at: Option<Time>,
    /// The connection carries something that only a new one can mend: half a line, a frame that was not heard.
    pub(crate) is_tainted: bool,
}
