//! Why an instruction is not followed, in words that say what to do.

use thiserror::Error;

/// Why a connector did not do what it was told. Nothing of it was done then.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ControlError {
    /// The line is no instruction.
    #[error("{0}")]
    Unreadable(String),
    /// No gateway of that id.
    #[error("there is no gateway `{id}`: this connector knows {known}")]
    UnknownGateway {
        /// The id given.
        id: String,
        /// The ids there are.
        known: String,
    },
    /// A delivery goes to one gateway, and there are several.
    #[error("which gateway? Add \"gateway\": one of {known}")]
    WhichGateway {
        /// The ids there are.
        known: String,
    },
    /// It needs a connection, and there is none (or none after its handshake, for a delivery).
    #[error("{gateway} is not connected: expect its dial first{hint}")]
    NotConnected {
        /// Which gateway.
        gateway: String,
        /// What else would help.
        hint: &'static str,
    },
    /// The gateway's buffer is full.
    #[error(
        "the buffer of {gateway} is full ({entries} entries, {bytes} bytes): it drains as the gateway acknowledges"
    )]
    BufferFull {
        /// Which gateway.
        gateway: String,
        /// Entries in it.
        entries: usize,
        /// Bytes in it.
        bytes: usize,
    },
    /// No such code may stand in a close frame.
    #[error("{0} cannot be sent as a close code: take 1000-1003, 1007-1014 or 3000-4999")]
    CloseCode(u16),
    /// A close frame has room for so much.
    #[error("the reason has {0} bytes, a close frame has room for 123")]
    CloseReason(usize),
    /// Nobody says for which platform the descriptor is.
    #[error("the descriptor has no string `platform`: add \"platform\" beside it")]
    WhichPlatform,
    /// It is about no gateway, and one was named.
    #[error("`enroll_token` is about no gateway: leave out \"gateway\"")]
    NoGatewayMeant,
    /// No gateway is known yet.
    #[error("no gateway has enrolled or provisioned yet: expect its {{\"saw\":\"http\"}} first")]
    NoGateway,
    /// No open prompt fits.
    #[error("no prompt is open{which}: expect the gateway's `prompt` first; each is answered once")]
    NoPrompt {
        /// The ids that were given, as text.
        which: String,
    },
    /// The prompt has no such option.
    #[error("the prompt `{prompt_id}` has no option `{option}`: press one of {options}")]
    NoSuchOption {
        /// The option given.
        option: String,
        /// The prompt.
        prompt_id: String,
        /// Its options.
        options: String,
    },
    /// The state file could not be written. The connector ends.
    #[error("{0}")]
    NotKept(String),
    /// There are no secrets to rotate.
    #[error("this connector lets everybody in, and has no secrets to rotate: start it with a gateway")]
    NoSecrets,
    /// Nobody knows where to post a delivery.
    #[error("{gateway} has given no endpoint: add \"url\", or let it provision with a gatewayEndpoint")]
    NoEndpoint {
        /// Which gateway.
        gateway: String,
    },
    /// Nothing can be posted there.
    #[error("`url` must be an http or https URL, without user-info")]
    NotAnEndpoint,
    /// There is nothing to sign with.
    #[error(
        "there is no delivery key for {gateway}: give it one at the start, rotate its credentials, or add \"key\""
    )]
    NoDeliveryKey {
        /// Which gateway.
        gateway: String,
    },
    /// A delivery is one of two things.
    #[error("`deliver` wants an \"event\" or an \"interrupt\", one of them")]
    WhichWebhook,
    /// The queue of deliveries is full.
    #[error("{0} deliveries wait for their answers already: expect one first")]
    TooManyWebhooks(usize),
    /// There is no room for a further enrolment token.
    #[error("{0} enrolment tokens are waiting to be used already")]
    TooManyTokens(usize),
    /// The table of answers, delays or descriptors is full.
    #[error("{0} different names are set already: restore one first")]
    TooMany(usize),
}

/// Returns a gateway's id as it stands in an error.
pub(crate) fn show_id(id: &str) -> String {
    match id.is_empty() {
        true => "the gateway".to_owned(),
        false => format!("`{id}`"),
    }
}
