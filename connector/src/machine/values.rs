//! What the machine and its driver say to each other.

/// One connection, named by whoever drives the machine. A name is used once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnId(pub u32);

/// What [`ConnectorMachine::poll_transmit`](super::ConnectorMachine::poll_transmit) wants done on a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Transmit {
    /// Send the caller's buffer as one text message.
    Frame {
        /// The connection.
        conn: ConnId,
    },
    /// Send a close frame; then wait for the gateway's, and say [`ConnectorMachine::handle_closed`](super::ConnectorMachine::handle_closed).
    Close {
        /// The connection.
        conn: ConnId,
        /// The close code.
        code: u16,
        /// The close reason.
        reason: String,
    },
    /// Cut the connection, without a close frame. Nothing more is heard of it.
    Drop {
        /// The connection.
        conn: ConnId,
    },
}

/// Counters of what was not obeyed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Lines that are no frame, or a frame without what it is about (W-3).
    pub malformed: u64,
    /// Frames of a type that no gateway sends (W-4).
    pub unknown: u64,
    /// Lines over the limit (W-5).
    pub too_long: u64,
    /// Acks for what was not waiting for one.
    pub stray_acks: u64,
    /// Connections cut because their gateway did not read.
    pub cut_slow: u64,
    /// Results that came at once because too many were delayed already.
    pub not_delayed: u64,
    /// Observations that nobody fetched in time.
    pub lost_observations: u64,
    /// Prompts that cannot be pressed, since others took their place or their texts are too long.
    pub evicted_prompts: u64,
    /// Files that had to go before their time, to make room for others.
    pub evicted_media: u64,
}
