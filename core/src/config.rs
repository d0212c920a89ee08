//! What a machine is configured with. How it is put together from flags and the environment: [`crate::settings`].

use crate::network::Network;
use crate::secret::Secret;
use crate::session_key::SessionKeyOptions;
use crate::slack::Subcommands;
use crate::url::DialUrl;
use serde_json::{Map, Value};
use std::time::Duration;

/// Who a gateway is on one platform: one `hello` each (L-3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The platform's protocol name, `discord` for instance; `relay` where none is meant.
    pub platform: String,
    /// The bot's id there; may be empty.
    pub bot_id: String,
}

/// What a gateway proves itself with on each dial (L-2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// The gateway's id; it may hold colons.
    pub gateway_id: String,
    /// The secret it shares with the connector.
    pub secret: Secret,
}

/// A machine's configuration, finished: nothing in it is looked up later.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// Where to dial.
    pub url: DialUrl,
    /// What to prove itself with; without, dials are unauthenticated (L-2).
    pub credentials: Option<Credentials>,
    /// Whether they may go out in the clear to another machine; false by default (C-6).
    pub allow_insecure: bool,
    /// Who it is; the first is the default. Never empty.
    pub identities: Vec<Identity>,
    /// Where signed deliveries over HTTP are taken, as in `0.0.0.0:8787`; nowhere by default (H-6).
    pub inbound_listen: Option<String>,
    /// Keys that sign those deliveries, any of which will do, so that one can be rotated (C-3). Without one each
    /// delivery is answered 401 (H-6).
    pub delivery_keys: Vec<Secret>,
    /// Proxies, and whose certificates are trusted.
    pub network: Network,
    /// The commands that the host declares; said in the `hello` for `discord` alone.
    pub command_manifest: Option<Vec<Value>>,
    /// Further fields of every `hello`; none by default. A name that a `hello` has of its own is left out (X-6).
    pub hello_extra: Map<String, Value>,
    /// Whether a refusal after a completed handshake is tried once more with a fresh token before it means
    /// "revoked"; true by default (L-9).
    pub confirm_revocation: bool,
    /// Whether forwards that become no event are handed to the host; false by default (P-2).
    pub passthrough: bool,
    /// Keeps with each event and forward the JSON that it came as; false by default (X-4).
    pub raw_events: bool,
    /// Delivers frames of an unknown type as notices; false by default (X-5).
    pub unknown_frames: bool,
    /// Recognises answers to prompts; true by default. Otherwise every answer is delivered as a plain message (I-6).
    pub prompts: bool,
    /// What Slack's sub-commands stand for; none by default (E-11).
    pub slack_subcommands: Subcommands,
    /// Whether answers to Slack's top-level messages go into threads; true by default (S-7).
    pub slack_reply_in_thread: bool,
    /// Whether each of Slack's top-level messages is a session of its own; true by default. Needs
    /// `slack_reply_in_thread`, too (S-7).
    pub slack_thread_sessions: bool,
    /// Whether a turn shows its state by reactions on the message that began it; true by default (O-15).
    pub turn_reactions: bool,
    /// How session keys are built (S-3).
    pub sessions: SessionKeyOptions,
    /// How much of everything.
    pub limits: Limits,
    /// How long for everything.
    pub timing: Timing,
}

impl Config {
    /// A configuration with every default, for one identity and without credentials.
    pub fn new(url: DialUrl, identity: Identity) -> Config {
        Config {
            url,
            credentials: None,
            allow_insecure: false,
            identities: vec![identity],
            inbound_listen: None,
            delivery_keys: Vec::new(),
            network: Network::default(),
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

    /// Sets one limit or time-out by its name, as `--set NAME=VALUE` does. Sizes take `KiB` and `MiB`, times `us`,
    /// `ms`, `s`, `m` and `h`. The error says what is wrong and what would do.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.slot(name).ok_or_else(|| unknown(&[]))?.set(value)
    }
}

/// What to say of a name that neither [`Config::set`] nor `others` know.
pub(crate) fn unknown(others: &[&str]) -> String {
    format!("no such setting; there are {}", [NAMES, others].concat().join(", "))
}

/// The most that any limit can be: offsets into one event are 32 bits wide.
const MOST: usize = 1 << 30;
/// The longest time that can be set.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// The least of a time between things that are done again and again: with none of it they never rest (L-15).
const A_REST: Duration = Duration::from_millis(1);

/// Place of a limit or a time-out, and the least that it can be.
#[derive(Debug)]
pub enum Slot<'a> {
    /// A number of things or bytes.
    Size(&'a mut usize, usize),
    /// A span of time.
    Time(&'a mut Duration, Duration),
}

impl Slot<'_> {
    /// Sets it to a value as `--set NAME=VALUE` writes it.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what would do.
    pub fn set(self, value: &str) -> Result<(), String> {
        match self {
            Slot::Size(slot, least) => {
                let size = size(value).ok_or_else(|| {
                    format!("{value:?} is no size: write a whole number, with KiB or MiB if you like")
                })?;
                if !(least..=MOST).contains(&size) {
                    return Err(format!("{value:?} is out of range: {least} to {MOST}"));
                }
                *slot = size;
            }
            Slot::Time(slot, least) => {
                let time = time(value).filter(|time| *time <= LONGEST).ok_or_else(|| {
                    format!("{value:?} is no time: write a number and its unit, as in 500ms, 1s or 2m; a day at most")
                })?;
                if time < least {
                    return Err(format!("{value:?} is too short: {least:?} at least"));
                }
                *slot = time;
            }
        }
        Ok(())
    }
}

macro_rules! settings {
    (limits { $($(#[$ldoc:meta])* $limit:ident = $size:expr, least $least:expr;)* }
     timing { $($(#[$tdoc:meta])* $time:ident = $span:expr, least $shortest:expr;)* }) => {
        /// How much of everything (X). All are bounds on memory.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub struct Limits { $($(#[$ldoc])* pub $limit: usize,)* }

        impl Default for Limits {
            fn default() -> Self { Limits { $($limit: $size,)* } }
        }

        /// How long for everything.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub struct Timing { $($(#[$tdoc])* pub $time: Duration,)* }

        impl Default for Timing {
            fn default() -> Self { Timing { $($time: $span,)* } }
        }

        /// Every name that [`Config::set`] knows.
        pub const NAMES: &[&str] = &[$(stringify!($limit),)* $(stringify!($time),)*];

        impl Config {
            pub(crate) fn slot(&mut self, name: &str) -> Option<Slot<'_>> {
                match name {
                    $(stringify!($limit) => Some(Slot::Size(&mut self.limits.$limit, $least)),)*
                    $(stringify!($time) => Some(Slot::Time(&mut self.timing.$time, $shortest)),)*
                    _ => None,
                }
            }
        }
    };
}

settings! {
    limits {
        /// The longest line that is taken, in bytes without its newline; 1 MiB by default (W-5).
        max_line_bytes = 1 << 20, least 1024;
        /// Events that wait for the host before reading stops, if they weigh `read_ahead_bytes`; 1024 by default (A-6).
        host_queue = 1024, least 1;
        /// Bytes of events that wait for the host before reading stops, and whatever went over it last; 64 MiB by
        /// default (A-6).
        host_queue_bytes = 64 << 20, least 1;
        /// Bytes of deliveries that the host has and has not settled, and whose senders wait, and whatever went over it
        /// last; 64 MiB by default (X-1).
        unsettled_bytes = 64 << 20, least 1;
        /// Bytes of events that are read however many wait for the host already, since results may come after them;
        /// 4 MiB by default (A-6).
        read_ahead_bytes = 4 << 20, least 1;
        /// Requests that wait for their answer at a time; 1024 by default (O-6).
        max_in_flight = 1024, least 1;
        /// Bytes that wait to be written; 4 MiB by default (X-1).
        write_queue_bytes = 4 << 20, least 1024;
        /// Chats that are remembered; 4096 by default (M-1).
        chats = 4096, least 1;
        /// Deliveries that are remembered to know duplicates; 4096 by default (A-4).
        dedupe = 4096, least 1;
        /// Prompts that are open; 1024 by default (I-2).
        prompts = 1024, least 1;
        /// Streamed replies that are under way; 256 by default.
        streams = 256, least 1;
        /// Deliveries that a reply or a turn can name; 4096 by default (O-15).
        reply_targets = 4096, least 1;
        /// Bytes of what is remembered of those; 1 MiB by default (X-1).
        reply_target_bytes = 1 << 20, least 1024;
        /// Turns that are open; 1024 by default (O-15).
        turns = 1024, least 1;
        /// The longest body of a signed delivery, in bytes; 1 MiB by default (H-6).
        delivery_body = 1 << 20, least 1024;
        /// Bytes of bodies of signed deliveries that are read at a time, and whatever went over it last; 16 MiB by
        /// default (H-6).
        delivery_bytes = 16 << 20, least 1024;
        /// Signed deliveries that wait for the host's word at a time; 64 by default (H-6).
        deliveries = 64, least 1;
        /// Connections on which signed deliveries come at a time; the longest idle one makes room for a further one;
        /// 128 by default (H-6).
        delivery_connections = 128, least 1;
    }
    timing {
        /// From the start of a dial to the end of its upgrade; 15 s by default (L-4).
        dial_timeout = Duration::from_secs(15), least A_REST;
        /// From the upgrade to the first descriptor; 30 s by default (L-4).
        handshake_timeout = Duration::from_secs(30), least A_REST;
        /// From our close frame to the peer's; 1 s by default (L-4).
        close_timeout = Duration::from_secs(1), least Duration::ZERO;
        /// From a request's submission to its answer; 30 s by default (O-4).
        request_timeout = Duration::from_secs(30), least A_REST;
        /// From one state of a streamed reply that is shown to the next; 1 s by default.
        stream_interval = Duration::from_secs(1), least Duration::ZERO;
        /// Between two typing signs of a turn; 4 s by default (O-15).
        typing_interval = Duration::from_secs(4), least A_REST;
        /// The longest that a turn is kept open; 30 min by default (O-15).
        turn_timeout = Duration::from_secs(30 * 60), least A_REST;
        /// The first back-off, doubled with each further attempt; 1 s by default (L-5).
        backoff_first = Duration::from_secs(1), least A_REST;
        /// The longest back-off; 30 s by default (L-5).
        backoff_most = Duration::from_secs(30), least A_REST;
        /// Longest back-off after credentials were refused by something other than the connector; 5 min by default (L-9).
        backoff_refused_most = Duration::from_secs(300), least A_REST;
        /// Longest wait that a `Retry-After` of a refused upgrade can ask for; 5 min by default (L-18).
        retry_after_most = Duration::from_secs(300), least Duration::ZERO;
        /// How long a completed handshake must hold before the back-off starts over; 60 s by default (L-5).
        backoff_reset = Duration::from_secs(60), least Duration::ZERO;
        /// Silence before a ping; 30 s by default (L-11).
        ping_interval = Duration::from_secs(30), least A_REST;
        /// Silence after that ping before the connection counts as lost; 60 s by default (L-11).
        ping_timeout = Duration::from_secs(60), least A_REST;
        /// From `going_idle` to its confirmation; 10 s by default (L-12).
        idle_timeout = Duration::from_secs(10), least Duration::ZERO;
        /// The same within a disconnect; 2 s by default (L-14).
        disconnect_idle_timeout = Duration::from_secs(2), least Duration::ZERO;
        /// What a disconnect may take in all; 5 s by default (L-14).
        disconnect_budget = Duration::from_secs(5), least Duration::ZERO;
        /// From a dormant close to the next dial, at least; 1 s by default (L-13).
        dormant_delay = Duration::from_secs(1), least Duration::ZERO;
        /// The longest that the host may hold re-dials; 60 s by default (L-13).
        hold_most = Duration::from_secs(60), least Duration::ZERO;
        /// From a signed delivery's arrival to the host's word on it; 10 s by default (H-6).
        delivery_timeout = Duration::from_secs(10), least A_REST;
        /// What the head of a signed delivery may take to come, and then its body, and how long its sender may read
        /// nothing of the answer; the same for the metrics page; 10 s by default (H-6).
        delivery_read_timeout = Duration::from_secs(10), least A_REST;
        /// Greatest age of a client's connection to the servers of signed deliveries and of metrics; 5 min by default
        /// (H-6).
        http_connection_age = Duration::from_secs(300), least A_REST;
    }
}

/// A whole number of bytes or things, with `KiB` or `MiB` if need be.
fn size(text: &str) -> Option<usize> {
    let (digits, unit) = number_and_unit(text)?;
    let factor = match unit {
        "" | "B" => 1,
        "KiB" | "K" => 1 << 10,
        "MiB" | "M" => 1 << 20,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(factor)
}

/// A whole number with its unit.
fn time(text: &str) -> Option<Duration> {
    let (digits, unit) = number_and_unit(text)?;
    let us = match unit {
        "us" => 1,
        "ms" => 1000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(us).map(Duration::from_micros)
}

fn number_and_unit(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| (&text[..end], text[end..].trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let identity = Identity { platform: "discord".into(), bot_id: "1".into() };
        Config::new(DialUrl::parse("ws://127.0.0.1:1").unwrap(), identity)
    }

    #[test]
    fn every_setting_can_be_set_by_name() {
        for name in NAMES {
            let mut config = config();
            let ok = config.set(name, "5000").or_else(|_| config.set(name, "5000us"));
            assert_eq!(ok, Ok(()), "{name}");
            assert_ne!(config, self::config(), "{name}");
        }
    }

    #[test]
    fn values_and_their_errors() {
        for (name, value, expected) in [
            ("handshake_timeout", "1s", Ok(())),
            ("handshake_timeout", " 1500 ms ", Ok(())),
            ("max_line_bytes", "2MiB", Ok(())),
            (
                "handshake_timeout",
                "1",
                Err(r#""1" is no time: write a number and its unit, as in 500ms, 1s or 2m; a day at most"#),
            ),
            (
                "handshake_timeout",
                "48h",
                Err(r#""48h" is no time: write a number and its unit, as in 500ms, 1s or 2m; a day at most"#),
            ),
            // L-15: dial after dial without a rest.
            ("backoff_first", "0s", Err(r#""0s" is too short: 1ms at least"#)),
            ("dial_timeout", "999us", Err(r#""999us" is too short: 1ms at least"#)),
            ("ping_interval", "0ms", Err(r#""0ms" is too short: 1ms at least"#)),
            ("delivery_read_timeout", "0s", Err(r#""0s" is too short: 1ms at least"#)),
            ("backoff_first", "1ms", Ok(())),
            ("close_timeout", "0s", Ok(())),
            ("chats", "many", Err(r#""many" is no size: write a whole number, with KiB or MiB if you like"#)),
            ("chats", "0", Err(r#""0" is out of range: 1 to 1073741824"#)),
        ] {
            assert_eq!(config().set(name, value), expected.map_err(String::from), "{name}={value}");
        }
        assert!(
            config()
                .set("handshake", "1s")
                .unwrap_err()
                .starts_with("no such setting; there are max_line_bytes, ")
        );
    }
}
