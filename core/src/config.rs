//! Configuration of a machine.

use crate::id::Id;
use crate::limits;
use crate::limits::MIN_INTERVAL;
use crate::secret::Secret;
use crate::session_key::SessionKeyOptions;
use crate::slack::Subcommands;
use serde_json::{Map, Value};
use std::time::Duration;

/// Identity of a gateway on one platform. The gateway sends a `hello` for each.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Identity {
    /// Name of the platform in the protocol, for instance `discord`; `relay` for no particular platform.
    pub platform: String,
    /// Id of the bot on that platform. May be empty.
    pub bot_id: String,
}

impl Identity {
    /// Creates an identity from the name of its platform and the id of its bot.
    pub fn new(platform: impl Into<String>, bot_id: impl Into<Id>) -> Identity {
        Identity { platform: platform.into(), bot_id: bot_id.into().into() }
    }
}

impl<P: Into<String>, B: Into<Id>> From<(P, B)> for Identity {
    fn from((platform, bot_id): (P, B)) -> Identity {
        Identity::new(platform, bot_id)
    }
}

/// Credentials that a gateway presents on each dial.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Credentials {
    /// Id of the gateway. It may contain colons.
    pub gateway_id: String,
    /// Secret shared with the connector.
    pub secret: Secret,
}

impl Credentials {
    /// Creates credentials.
    pub fn new(gateway_id: impl Into<Id>, secret: impl Into<Secret>) -> Credentials {
        Credentials { gateway_id: gateway_id.into().into(), secret: secret.into() }
    }
}

/// Configuration of a machine.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Credentials of the gateway. Without them, dials are unauthenticated.
    pub credentials: Option<Credentials>,
    /// Identities of the gateway. The first is the default one. Never empty.
    pub identities: Vec<Identity>,
    /// Keys that verify webhook requests. A request may be signed with any of them, so that keys can be rotated.
    /// Without a key, each request is answered 401.
    pub delivery_keys: Vec<Secret>,
    /// Commands that the host declares; none by default. They are sent in the `hello` for `discord` only.
    pub command_manifest: Option<Vec<Value>>,
    /// Further fields of every `hello`; none by default. They do not replace the fields that a `hello` always has.
    pub hello_extra: Map<String, Value>,
    /// Retries once with a fresh token when the connector refuses the credentials after a completed handshake, and
    /// counts only a second refusal as a revocation; true by default.
    pub confirm_revocation: bool,
    /// Delivers forwards that cannot be converted into an event to the host; false by default.
    pub passthrough: bool,
    /// Keeps the received JSON with each event and forward; false by default.
    pub raw_events: bool,
    /// Delivers frames of an unknown type, and those of type `error`, as notices; false by default.
    pub unknown_frames: bool,
    /// Recognises answers to prompts; true by default. If false, every answer is delivered as a message.
    pub prompts: bool,
    /// Meanings of Slack's sub-commands; none by default.
    pub slack_subcommands: Subcommands,
    /// Sends replies to Slack's top-level messages into threads; true by default.
    pub slack_reply_in_thread: bool,
    /// Gives each of Slack's top-level messages a session of its own; true by default. Has no effect without
    /// `slack_reply_in_thread`.
    pub slack_thread_sessions: bool,
    /// Shows the state of a turn by reactions on the message that began it; true by default.
    pub turn_reactions: bool,
    /// Options for building session keys.
    pub sessions: SessionKeyOptions,
    /// Bounds on memory.
    pub limits: Limits,
    /// Time-outs and intervals.
    pub timing: Timing,
}

impl Config {
    /// Creates a configuration with every default, for one identity and without credentials.
    pub fn new(identity: Identity) -> Config {
        Config {
            credentials: None,
            identities: vec![identity],
            delivery_keys: Vec::new(),
            command_manifest: None,
            hello_extra: Map::new(),
            confirm_revocation: true,
            passthrough: false,
            raw_events: false,
            unknown_frames: false,
            prompts: true,
            slack_subcommands: Subcommands::new(),
            slack_reply_in_thread: true,
            slack_thread_sessions: true,
            turn_reactions: true,
            sessions: SessionKeyOptions::default(),
            limits: Limits::default(),
            timing: Timing::default(),
        }
    }
}

limits! {
    /// Bounds on memory.
    pub struct Limits {
        /// Maximum size of a line that is read, in bytes without its newline; 1 MiB by default.
        max_line_bytes: Size = 1 << 20, least 1024;
        /// Number of waiting events at which reading stops, if they take at least `read_ahead_bytes`; 1024 by default.
        host_queue: Size = 1024, least 1;
        /// Bytes of waiting events at which reading stops. The last event may exceed this limit; 64 MiB by default.
        host_queue_bytes: Size = 64 << 20, least 1;
        /// Bytes of unsettled deliveries at which the host gets no further buffered delivery or webhook request. The
        /// last delivery may exceed this limit; 64 MiB by default.
        unsettled_bytes: Size = 64 << 20, least 1;
        /// Bytes of waiting events that are read even if `host_queue` is reached, since results may follow them; 4 MiB
        /// by default.
        read_ahead_bytes: Size = 4 << 20, least 1;
        /// Maximum number of requests in flight; 1024 by default.
        max_in_flight: Size = 1024, least 1;
        /// Maximum number of bytes that wait to be written; 4 MiB by default.
        write_queue_bytes: Size = 4 << 20, least 1024;
        /// Maximum number of chats that are remembered; 4096 by default.
        chats: Size = 4096, least 1;
        /// Maximum number of deliveries that are remembered to detect duplicates; 4096 by default.
        dedupe: Size = 4096, least 1;
        /// Maximum number of open prompts; 1024 by default.
        prompts: Size = 1024, least 1;
        /// Maximum number of unfinished streamed replies; 256 by default.
        streams: Size = 256, least 1;
        /// Maximum number of deliveries that are remembered for replies and turns; 4096 by default.
        reply_targets: Size = 4096, least 1;
        /// Maximum number of bytes that are remembered of these deliveries; 1 MiB by default.
        reply_target_bytes: Size = 1 << 20, least 1024;
        /// Maximum number of open turns; 1024 by default.
        turns: Size = 1024, least 1;
        /// Maximum number of webhook requests that wait for the host; 64 by default.
        deliveries: Size = 64, least 1;
    }
}

limits! {
    /// Time-outs and intervals.
    pub struct Timing {
        /// Maximum time from the start of a dial to the end of its upgrade; 15 s by default.
        dial_timeout: Time = Duration::from_secs(15), least MIN_INTERVAL;
        /// Maximum time from the upgrade to the first descriptor; 30 s by default.
        handshake_timeout: Time = Duration::from_secs(30), least MIN_INTERVAL;
        /// Maximum time from the gateway's close frame to the connector's; 1 s by default.
        close_timeout: Time = Duration::from_secs(1), least Duration::ZERO;
        /// Maximum time from a request's submission to its result; 30 s by default.
        request_timeout: Time = Duration::from_secs(30), least MIN_INTERVAL;
        /// Minimum time between two shown states of a streamed reply; 1 s by default.
        stream_interval: Time = Duration::from_secs(1), least Duration::ZERO;
        /// Time between two typing indicators of a turn; 4 s by default.
        typing_interval: Time = Duration::from_secs(4), least MIN_INTERVAL;
        /// Maximum time that a turn is kept open; 30 min by default.
        turn_timeout: Time = Duration::from_secs(30 * 60), least MIN_INTERVAL;
        /// First back-off, which doubles with each further attempt; 1 s by default.
        backoff_first: Time = Duration::from_secs(1), least MIN_INTERVAL;
        /// Maximum back-off; 30 s by default.
        backoff_most: Time = Duration::from_secs(30), least MIN_INTERVAL;
        /// Maximum back-off after credentials were refused by something other than the connector; 5 min by default.
        backoff_refused_most: Time = Duration::from_secs(300), least MIN_INTERVAL;
        /// Maximum wait that a `Retry-After` of a refused upgrade can ask for; 5 min by default.
        retry_after_most: Time = Duration::from_secs(300), least Duration::ZERO;
        /// Minimum time from a handshake to the end of its connection after which the back-off starts over; 60 s by
        /// default.
        backoff_reset: Time = Duration::from_secs(60), least Duration::ZERO;
        /// Time without input before a ping; 30 s by default.
        ping_interval: Time = Duration::from_secs(30), least MIN_INTERVAL;
        /// Time without input after a ping before the connection counts as lost; 60 s by default.
        ping_timeout: Time = Duration::from_secs(60), least MIN_INTERVAL;
        /// Maximum time from `going_idle` to its confirmation; 10 s by default.
        idle_timeout: Time = Duration::from_secs(10), least Duration::ZERO;
        /// Maximum time from `going_idle` to its confirmation during a disconnect; 2 s by default.
        disconnect_idle_timeout: Time = Duration::from_secs(2), least Duration::ZERO;
        /// Maximum time of a disconnect; 5 s by default.
        disconnect_budget: Time = Duration::from_secs(5), least Duration::ZERO;
        /// Minimum time from a dormant close to the next dial; 1 s by default.
        dormant_delay: Time = Duration::from_secs(1), least Duration::ZERO;
        /// Maximum time that the host may hold re-dials; 60 s by default.
        hold_most: Time = Duration::from_secs(60), least Duration::ZERO;
        /// Maximum time from a webhook request's arrival to its settlement by the host; 10 s by default.
        delivery_timeout: Time = Duration::from_secs(10), least MIN_INTERVAL;
    }
}
