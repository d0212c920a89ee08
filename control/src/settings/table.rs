//! Table of the settings: each one's flag, method of the builder, environment variable, key in the configuration file,
//! and help.
//!
//! To add a setting, add a row, and read the setting where a configuration is made. Its flag, its look-up in every
//! source, its key, its row in `docs/settings.md` and the tests of its secrecy follow.

/// Names of a setting, the form of its value, and its help. An empty text means that it has no such name.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Spec {
    /// Flag, with its dashes.
    pub flag: &'static str,
    /// Placeholder of the flag's value in the help.
    pub value: &'static str,
    /// Method of the runtimes' `Builder` that sets it.
    pub method: &'static str,
    /// Environment variable.
    pub variable: &'static str,
    /// Key in the configuration file; a dot follows the name of a table.
    pub key: &'static str,
    /// Key that names a file with the value. Such a setting's flag names a file, too.
    pub file_key: &'static str,
    /// Form of the value.
    pub kind: Kind,
    /// Extent to which the value may be shown.
    pub secrecy: Secrecy,
    /// Default value, if it is a fixed text.
    pub default: &'static str,
    /// Meaning, in a sentence or two.
    pub help: &'static str,
    /// Heading of the flag in the help.
    pub heading: &'static str,
}

/// Form of a setting's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Text.
    Text,
    /// Text, or a whole number in the configuration file.
    Id,
    /// Texts separated by commas, or an array of texts in the configuration file.
    List,
    /// Path of a file, which the host reads.
    File,
    /// `true` or `false`.
    Bool,
    /// `true` or `false`; a flag without a value means `true`.
    Switch,
    /// `true` or `false`; the flag has no value, and means `true`.
    Presence,
    /// `on` or `off`.
    OnOff,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// Several values: the flag can be repeated, and the configuration file has tables.
    Entries,
}

/// Extent to which a setting's value may be shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Secrecy {
    /// Errors and warnings may quote the value.
    Public,
    /// Value that may contain a password, such as a URL or a command. It is never quoted.
    Sensitive,
    /// Credential. It is never quoted, and only its owner should be able to read a file that holds it.
    Credential,
}

const NOTHING: Spec = Spec {
    flag: "",
    value: "",
    method: "",
    variable: "",
    key: "",
    file_key: "",
    kind: Text,
    secrecy: Secrecy::Public,
    default: "",
    help: "",
    heading: "",
};

/// Declares the rows. Each row belongs to the heading before it; a heading may come again.
macro_rules! settings {
    ($([$heading:literal] $(
        $(#[doc = $help:literal])+ $name:ident = $kind:expr, { $($field:ident: $value:expr),* $(,)? };
    )*)*) => {
        $($($(#[doc = $help])+ pub const $name: Spec = Spec {
            kind: $kind,
            help: concat!($($help),+).trim_ascii(),
            heading: $heading,
            $($field: $value,)*
            ..Spec { method: concat!("Builder::setting(table::", stringify!($name), ")"), ..NOTHING }
        };)*)*

        /// Every setting, in the order of the documentation.
        pub const ALL: &[&Spec] = &[$($(&$name,)*)*];
    };
}

use Kind::{Bool, Entries, File, Id, List, OnOff, Presence, Switch, Text, Word};
use Secrecy::{Credential, Sensitive};

settings! {
    ["Connection"]
    /// URL of the connector, as in wss://connector.example. https means wss, and /relay is added.
    URL = Text, {
        flag: "--url", value: "URL", method: "Builder::new", variable: "GATEWAY_RELAY_URL", key: "url",
    };
    ["Credentials"]
    /// Id of the gateway, which goes with its secret. Where a secret is to be issued, gw- and the machine's name is the
    /// default.
    GATEWAY_ID = Text, {
        flag: "--gateway-id", value: "ID", method: "Builder::credentials", variable: "GATEWAY_RELAY_ID", key: "gateway-id",
    };
    /// File that holds the gateway's secret and nothing else.
    SECRET = Text, {
        flag: "--secret-file", value: "FILE", method: "Builder::credentials", variable: "GATEWAY_RELAY_SECRET",
        key: "secret", file_key: "secret-file", secrecy: Credential,
    };
    ["Identity"]
    /// Platform to speak for, as in discord.
    PLATFORM = Text, { flag: "--platform", value: "NAME", variable: "GATEWAY_RELAY_PLATFORM", key: "platform" };
    /// Id of the bot on the platform.
    BOT_ID = Id, { flag: "--bot-id", value: "ID", variable: "GATEWAY_RELAY_BOT_ID", key: "bot-id" };
    /// One of several platforms to speak for, with the bot's id there; the first is the default. The variable lists the
    /// platforms, separated by commas.
    IDENTITY = Entries, {
        flag: "--identity", value: "PLATFORM[:BOT_ID]", method: "Builder::identity", variable: "GATEWAY_RELAY_PLATFORMS",
        key: "identity",
    };
    /// Bot ids of several platforms, as in {"discord": {"botId": "123"}}.
    BOT_IDS = Text, { variable: "GATEWAY_RELAY_BOT_IDS" };
    ["Provisioning"]
    /// When to ask the connector for a secret. auto: only if no secret is set and the install is managed or an access
    /// token is available.
    PROVISION = Word(&["auto", "always", "never"]), {
        flag: "--provision", value: "WHEN", key: "provision", default: "auto",
    };
    ["Credentials"]
    /// Enrollment token, which works once.
    ENROLL_TOKEN = Text, {
        flag: "--token", value: "TOKEN", variable: "GATEWAY_RELAY_ENROLL_TOKEN", key: "enroll-token", secrecy: Credential,
    };
    /// Access token, which says whose gateway it is.
    ACCESS_TOKEN = Text, {
        flag: "--access-token", value: "TOKEN", method: "Builder::access_token", variable: "GATEWAY_RELAY_ACCESS_TOKEN",
        key: "access-token", secrecy: Credential,
    };
    /// Command that prints an access token. GATEWAY_RELAY_ACCESS_TOKEN and GATEWAY_RELAY_IDP_TOKEN_URL are other ways to
    /// give one.
    ACCESS_TOKEN_COMMAND = Text, {
        flag: "--access-token-command", value: "CMD", variable: "GATEWAY_RELAY_ACCESS_TOKEN_COMMAND",
        key: "access-token-command", secrecy: Sensitive,
    };
    /// File that holds an access token, or FILE#dotted.path for a text in a JSON file. Nothing is refreshed or written.
    ACCESS_TOKEN_FILE = Text, {
        flag: "--access-token-file", value: "FILE[#PATH]", variable: "GATEWAY_RELAY_ACCESS_TOKEN_FILE",
        key: "access-token-file",
    };
    /// URL of an identity provider that issues access tokens for OAuth2 client credentials. Without a client it is asked
    /// with a plain GET, and answers with the token.
    IDP_TOKEN_URL = Text, { variable: "GATEWAY_RELAY_IDP_TOKEN_URL", key: "idp.token-url", secrecy: Sensitive };
    /// Client id for the identity provider.
    IDP_CLIENT_ID = Text, { variable: "GATEWAY_RELAY_IDP_CLIENT_ID", key: "idp.client-id" };
    /// Client secret for the identity provider.
    IDP_CLIENT_SECRET = Text, {
        variable: "GATEWAY_RELAY_IDP_CLIENT_SECRET", key: "idp.client-secret", secrecy: Credential,
    };
    /// Scope to ask the identity provider for.
    IDP_SCOPE = Text, { variable: "GATEWAY_RELAY_IDP_SCOPE", key: "idp.scope" };
    ["Provisioning"]
    /// URL at which the connector reaches this gateway with webhook requests.
    ENDPOINT = Text, {
        flag: "--endpoint", value: "URL", variable: "GATEWAY_RELAY_ENDPOINT", key: "endpoint", secrecy: Sensitive,
    };
    /// Keys by which the connector routes to this gateway, separated by commas.
    ROUTE_KEYS = List, { flag: "--route-keys", value: "KEYS", variable: "GATEWAY_RELAY_ROUTE_KEYS", key: "route-keys" };
    /// Id of this instance among those of its tenant.
    INSTANCE_ID = Text, {
        flag: "--instance-id", value: "ID", variable: "GATEWAY_RELAY_INSTANCE_ID", key: "instance-id",
    };
    /// URL that wakes this gateway when it sleeps.
    WAKE_URL = Text, {
        flag: "--wake-url", value: "URL", variable: "GATEWAY_RELAY_WAKE_URL", key: "wake-url", secrecy: Sensitive,
    };
    /// Name of this gateway for people.
    DISPLAY_NAME = Text, {
        flag: "--display-name", value: "NAME", variable: "GATEWAY_RELAY_DISPLAY_NAME", key: "display-name",
    };
    /// Policies that say which messages of shared chats are meant for this gateway, as a JSON object or an array of them.
    POLICY = Text, { flag: "--policy", value: "JSON", variable: "GATEWAY_RELAY_POLICY", key: "policy" };
    ["Webhooks"]
    /// Address on which webhook requests are accepted.
    INBOUND_LISTEN = Text, {
        flag: "--inbound-listen", value: "HOST:PORT", method: "Builder::webhook", variable: "GATEWAY_RELAY_INBOUND_LISTEN",
        key: "inbound-listen",
    };
    /// File that holds the key that signs webhook requests, or several keys separated by commas.
    DELIVERY_KEY = List, {
        flag: "--delivery-key-file", value: "FILE", method: "Builder::webhook", variable: "GATEWAY_RELAY_DELIVERY_KEY",
        key: "delivery-key", file_key: "delivery-key-file", secrecy: Credential,
    };
    ["Sessions"]
    /// Answer Slack's top-level messages in threads.
    SLACK_REPLY_IN_THREAD = Bool, {
        flag: "--slack-reply-in-thread", value: "BOOL", variable: "GATEWAY_RELAY_SLACK_REPLY_IN_THREAD",
        key: "slack-reply-in-thread", default: "true",
    };
    /// Make each top-level message on Slack a session of its own, if answers go into threads.
    SLACK_THREAD_SESSIONS = Bool, {
        flag: "--slack-thread-sessions", value: "BOOL", variable: "GATEWAY_RELAY_SLACK_THREAD_SESSIONS",
        key: "slack-thread-sessions", default: "true",
    };
    /// Give each user of a group or channel a session of their own.
    GROUP_SESSIONS_PER_USER = Bool, {
        flag: "--group-sessions-per-user", value: "BOOL", variable: "GATEWAY_RELAY_GROUP_SESSIONS_PER_USER",
        key: "group-sessions-per-user", default: "true",
    };
    /// Give each user of a thread a session of their own, if users of groups have one.
    THREAD_SESSIONS_PER_USER = Bool, {
        flag: "--thread-sessions-per-user", value: "BOOL", variable: "GATEWAY_RELAY_THREAD_SESSIONS_PER_USER",
        key: "thread-sessions-per-user", default: "false",
    };
    ["Agent"]
    /// Show the state of a turn (op turn) by reactions on its message.
    TURN_REACTIONS = Bool, {
        flag: "--turn-reactions", value: "BOOL", variable: "GATEWAY_RELAY_TURN_REACTIONS", key: "turn-reactions",
        default: "true",
    };
    /// Show with each event and forward the JSON that it came as, unknown fields included, as raw.
    RAW_EVENTS = Switch, {
        flag: "--raw-events", value: "BOOL", variable: "GATEWAY_RELAY_RAW_EVENTS", key: "raw-events", default: "false",
    };
    /// Show frames of a type that the gateway does not know, and those of type error, as frame lines.
    UNKNOWN_FRAMES = Switch, {
        flag: "--unknown-frames", value: "BOOL", variable: "GATEWAY_RELAY_UNKNOWN_FRAMES", key: "unknown-frames",
        default: "false",
    };
    /// Recognize answers to prompts (on), or deliver them as plain messages with their prompt_response (off), so that
    /// prompts of yours can outlive the gateway.
    PROMPTS = OnOff, {
        flag: "--prompts", value: "WHEN", variable: "GATEWAY_RELAY_PROMPTS", key: "prompts", default: "on",
    };
    ["Connection"]
    /// Use the relay. false overrides every URL: run says so and ends with 0.
    ENABLED = Bool, {
        flag: "--enabled", value: "BOOL", variable: "GATEWAY_RELAY_ENABLED", key: "enabled", default: "true",
    };
    ["Configuration"]
    /// Limit or time-out, as in handshake_timeout=1s. A wrong name lists them all.
    SET = Entries, { flag: "--set", value: "NAME=VALUE", method: "Builder::limit", key: "set" };
    ["Connection"]
    /// Send credentials over plain ws:// or http:// to other machines, too.
    ALLOW_INSECURE = Presence, {
        flag: "--allow-insecure", method: "Builder::allow_insecure", key: "allow-insecure", default: "false",
    };
    /// File of certificates to trust besides those that browsers trust, in PEM or DER form: of authorities, or of the
    /// server itself.
    CA_FILE = File, {
        flag: "--ca-file", value: "FILE", method: "Builder::certificates", variable: "SSL_CERT_FILE", key: "ca-file",
    };
    /// Name of the hosting platform that manages this install, or true.
    MANAGED = Text, { variable: "HERMES_MANAGED" };
}

/// The URL as a flag of `enroll`.
pub const CONNECTOR_URL: Spec = Spec {
    flag: "--connector-url",
    help: "URL of the connector, as in https://connector.example. It goes into the env file, without a / at its end.",
    ..URL
};

impl Spec {
    /// Returns the environment variable, unless the host reads it itself.
    pub(super) fn variable(&self) -> Option<&'static str> {
        Some(self.variable).filter(|variable| !variable.is_empty() && self.kind != File)
    }
}

/// Returns the keys of a configuration file, except those of the host's own.
pub fn file_keys() -> impl Iterator<Item = &'static str> {
    ALL.iter().flat_map(|spec| [spec.key, spec.file_key]).filter(|key| !key.is_empty())
}

/// Returns the environment variables that are looked up.
pub(super) fn variables() -> impl Iterator<Item = &'static Spec> {
    ALL.iter().copied().filter(|spec| spec.variable().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_belongs_to_one_setting() {
        let names: [fn(&Spec) -> &'static str; 4] =
            [|spec| spec.flag, |spec| spec.variable, |spec| spec.key, |spec| spec.file_key];
        for name in names {
            let mut names: Vec<_> =
                ALL.iter().map(|spec| name(spec)).filter(|name| !name.is_empty()).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{names:?}");
        }
    }
}
