//! Limits and time-outs of the control socket, for `--set` and the file's `[set]`.

use relayline_core::limits;
use relayline_core::limits::MIN_INTERVAL;
use std::time::Duration;

limits! {
    /// Limits and time-outs of the control socket and its clients.
    pub(crate) struct ControlSettings {
        /// Maximum number of clients of the control socket. A client that has been idle for at least a second is closed
        /// for a new one, else the new one is turned away; 16 by default.
        control_clients: Size = 16, least 1;
        /// Maximum length of a line of a client, in bytes; 1 MiB by default.
        control_line_bytes: Size = 1 << 20, least 1024;
        /// Maximum number of ops of a client in flight. Together the clients have at most half of `max_in_flight` and of
        /// `write_queue_bytes`, and one op each; 16 by default.
        control_in_flight: Size = 16, least 1;
        /// Maximum number of ops of a client that wait to be started; 256 by default.
        control_waiting_ops: Size = 256, least 1;
        /// Maximum number of bytes of these ops; 1 MiB by default.
        control_waiting_op_bytes: Size = 1 << 20, least 1;
        /// Maximum number of unfinished streamed replies of a client; 4 by default.
        control_streams: Size = 4, least 1;
        /// Maximum number of bytes of results that wait for a client. Beyond them none of its ops is started; 1 MiB by
        /// default.
        control_result_bytes: Size = 1 << 20, least 1024;
        /// Maximum time without a read by a client while results wait for it. It is disconnected then; 30 s by default.
        control_read_timeout: Time = Duration::from_secs(30), least MIN_INTERVAL;
    }
}
