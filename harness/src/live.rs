//! Sessions that are going on, for an inspector: [`LiveFeed`] collects what passes on a wire, and [`LiveSessions`] describes
//! it as a [view](crate::view) does, and keeps the last lines as a recording.
//!
//! The feed is an observer of the wire. It never blocks it: what it has no room for is lost, and counted. Credentials are
//! redacted as a recorder does, and on request texts and ids, too.

mod feed;
mod line_ring;
mod session;
mod sessions;
#[cfg(test)]
mod tests;

pub use feed::{FeedEvent, FeedLimits, LiveFeed};
pub use line_ring::RingLimits;
pub use session::LiveUpdate;
pub use sessions::{LiveOptions, LiveSessions, LiveStep};
