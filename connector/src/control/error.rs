//! Errors of instructions, each with what to do.

use thiserror::Error;

/// Error returned when an instruction cannot be carried out. It has no effect then.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The line is not an instruction.
    #[error("{0}")]
    Unreadable(String),
    /// There is no gateway with that id.
    #[error("there is no gateway `{id}`: this connector knows {known}")]
    UnknownGateway {
        /// Id that was given.
        id: String,
        /// Ids that are known.
        known: String,
    },
    /// The instruction is for one gateway, and there are several.
    #[error("which gateway? Add \"gateway\": one of {known}")]
    WhichGateway {
        /// Ids that are known.
        known: String,
    },
    /// The gateway is not connected, or has not done its handshake.
    #[error("{gateway} is not connected: expect its dial first{hint}")]
    NotConnected {
        /// Id of the gateway, in backticks.
        gateway: String,
        /// Another way, for a delivery.
        hint: &'static str,
    },
    /// The gateway's buffer is full.
    #[error(
        "the buffer of {gateway} is full ({entries} entries, {bytes} bytes): it drains as the gateway acknowledges"
    )]
    BufferFull {
        /// Id of the gateway, in backticks.
        gateway: String,
        /// Number of entries in it.
        entries: usize,
        /// Number of bytes in it.
        bytes: usize,
    },
    /// The code is not allowed in a close frame.
    #[error("{0} cannot be sent as a close code: take 1000-1003, 1007-1014 or 3000-4999")]
    CloseCode(u16),
    /// The reason is too long for a close frame.
    #[error("the reason has {0} bytes, a close frame has room for 123")]
    CloseReason(usize),
    /// The platform of the descriptor is missing.
    #[error("the descriptor has no string `platform`: add \"platform\" beside it")]
    WhichPlatform,
    /// The instruction takes no gateway, and one was given.
    #[error("`enroll_token` is about no gateway: leave out \"gateway\"")]
    NoGatewayMeant,
    /// No gateway is known yet.
    #[error("no gateway has enrolled or provisioned yet: expect its {{\"saw\":\"http\"}} first")]
    NoGateway,
    /// No open prompt matches.
    #[error("no prompt is open{which}: expect the gateway's `prompt` first; each is answered once")]
    NoPrompt {
        /// Ids that were given, as text.
        which: String,
    },
    /// The prompt has no such option.
    #[error("the prompt `{prompt_id}` has no option `{option}`: press one of {options}")]
    NoSuchOption {
        /// Option that was given.
        option: String,
        /// Id of the prompt.
        prompt_id: String,
        /// Options of the prompt.
        options: String,
    },
    /// The state file could not be written. The connector ends.
    #[error("{0}")]
    NotKept(String),
    /// There are no secrets to rotate.
    #[error("this connector lets everybody in, and has no secrets to rotate: start it with a gateway")]
    NoSecrets,
    /// The gateway has given no endpoint for webhook requests.
    #[error("{gateway} has given no endpoint: add \"url\", or let it provision with a gatewayEndpoint")]
    NoEndpoint {
        /// Id of the gateway, in backticks.
        gateway: String,
    },
    /// The URL is not an endpoint.
    #[error("`url` must be an http or https URL, without user-info")]
    NotAnEndpoint,
    /// The gateway has no delivery key to sign with.
    #[error(
        "there is no delivery key for {gateway}: give it one at the start, rotate its credentials, or add \"key\""
    )]
    NoDeliveryKey {
        /// Id of the gateway, in backticks.
        gateway: String,
    },
    /// A webhook request needs either an event or an interrupt.
    #[error("`deliver` wants an \"event\" or an \"interrupt\", one of them")]
    WhichWebhook,
    /// Too many webhook requests are pending.
    #[error("{0} deliveries wait for their answers already: expect one first")]
    TooManyWebhooks(usize),
    /// Too many enrollment tokens are unused.
    #[error("{0} enrollment tokens are waiting to be used already")]
    TooManyTokens(usize),
    /// The table of scripted results, delays or descriptors is full.
    #[error("{0} different names are set already: restore one first")]
    TooMany(usize),
}

/// Returns a gateway's id as errors show it.
pub(crate) fn show_id(id: &str) -> String {
    match id.is_empty() {
        true => "the gateway".to_owned(),
        false => format!("`{id}`"),
    }
}
