//! What each setting is called: flag, variable and key, once.

use super::sources::{Kind, Name};

macro_rules! names {
    ($($constant:ident = $flag:literal, $variable:expr, $key:literal, $kind:ident;)*) => {
        $(pub(crate) const $constant: Name =
            Name { flag: $flag, variable: $variable, key: $key, kind: Kind::$kind };)*

        /// Every setting that a file can hold under one key.
        pub(super) const ALL: &[&Name] = &[$(&$constant,)*];
    };
}

names! {
    ENABLED = "--enabled", Some("GATEWAY_RELAY_ENABLED"), "enabled", Switch;
    URL = "--url", Some("GATEWAY_RELAY_URL"), "url", Text;
    GATEWAY_ID = "--gateway-id", Some("GATEWAY_RELAY_ID"), "gateway-id", Text;
    SECRET = "--secret-file", Some("GATEWAY_RELAY_SECRET"), "secret", Text;
    SECRET_FILE = "--secret-file", None, "secret-file", Text;
    DELIVERY_KEY = "--delivery-key-file", Some("GATEWAY_RELAY_DELIVERY_KEY"), "delivery-key", List;
    DELIVERY_KEY_FILE = "--delivery-key-file", None, "delivery-key-file", Text;
    PLATFORM = "--platform", Some("GATEWAY_RELAY_PLATFORM"), "platform", Text;
    BOT_ID = "--bot-id", Some("GATEWAY_RELAY_BOT_ID"), "bot-id", Id;
    ENDPOINT = "--endpoint", Some("GATEWAY_RELAY_ENDPOINT"), "endpoint", Text;
    ROUTE_KEYS = "--route-keys", Some("GATEWAY_RELAY_ROUTE_KEYS"), "route-keys", List;
    INSTANCE_ID = "--instance-id", Some("GATEWAY_RELAY_INSTANCE_ID"), "instance-id", Text;
    WAKE_URL = "--wake-url", Some("GATEWAY_RELAY_WAKE_URL"), "wake-url", Text;
    DISPLAY_NAME = "--display-name", Some("GATEWAY_RELAY_DISPLAY_NAME"), "display-name", Text;
    ENROLL_TOKEN = "--token", Some("GATEWAY_RELAY_ENROLL_TOKEN"), "enroll-token", Text;
    ACCESS_TOKEN = "--access-token", Some("GATEWAY_RELAY_ACCESS_TOKEN"), "access-token", Text;
    ACCESS_TOKEN_COMMAND = "--access-token-command", Some("GATEWAY_RELAY_ACCESS_TOKEN_COMMAND"), "access-token-command", Text;
    ACCESS_TOKEN_FILE = "--access-token-file", Some("GATEWAY_RELAY_ACCESS_TOKEN_FILE"), "access-token-file", Text;
    IDP_TOKEN_URL = "", Some("GATEWAY_RELAY_IDP_TOKEN_URL"), "idp.token-url", Text;
    IDP_CLIENT_ID = "", Some("GATEWAY_RELAY_IDP_CLIENT_ID"), "idp.client-id", Text;
    IDP_CLIENT_SECRET = "", Some("GATEWAY_RELAY_IDP_CLIENT_SECRET"), "idp.client-secret", Text;
    IDP_SCOPE = "", Some("GATEWAY_RELAY_IDP_SCOPE"), "idp.scope", Text;
    INBOUND_LISTEN = "--inbound-listen", Some("GATEWAY_RELAY_INBOUND_LISTEN"), "inbound-listen", Text;
    SLACK_REPLY_IN_THREAD = "--slack-reply-in-thread", Some("GATEWAY_RELAY_SLACK_REPLY_IN_THREAD"), "slack-reply-in-thread", Switch;
    SLACK_THREAD_SESSIONS = "--slack-thread-sessions", Some("GATEWAY_RELAY_SLACK_THREAD_SESSIONS"), "slack-thread-sessions", Switch;
    GROUP_SESSIONS_PER_USER = "--group-sessions-per-user", Some("GATEWAY_RELAY_GROUP_SESSIONS_PER_USER"), "group-sessions-per-user", Switch;
    THREAD_SESSIONS_PER_USER = "--thread-sessions-per-user", Some("GATEWAY_RELAY_THREAD_SESSIONS_PER_USER"), "thread-sessions-per-user", Switch;
    TURN_REACTIONS = "--turn-reactions", Some("GATEWAY_RELAY_TURN_REACTIONS"), "turn-reactions", Switch;
    RAW_EVENTS = "--raw-events", Some("GATEWAY_RELAY_RAW_EVENTS"), "raw-events", Switch;
    UNKNOWN_FRAMES = "--unknown-frames", Some("GATEWAY_RELAY_UNKNOWN_FRAMES"), "unknown-frames", Switch;
    PROMPTS = "--prompts", Some("GATEWAY_RELAY_PROMPTS"), "prompts", OnOff;
    CA_FILE = "--ca-file", None, "ca-file", Text;
    PROVISION = "--provision", None, "provision", Text;
    ALLOW_INSECURE = "--allow-insecure", None, "allow-insecure", Switch;
}

/// The policies, which a file holds as tables.
pub(crate) const POLICY: Name =
    Name { flag: "--policy", variable: Some("GATEWAY_RELAY_POLICY"), key: "policy", kind: Kind::Text };

/// The plural variables, which go before the singular ones (H-9).
pub(super) const PLATFORMS: &str = "GATEWAY_RELAY_PLATFORMS";
pub(super) const BOT_IDS: &str = "GATEWAY_RELAY_BOT_IDS";
/// Whether the install is managed (H-3).
pub(super) const MANAGED: &str = "HERMES_MANAGED";

/// Every variable that is read.
pub(super) fn variables() -> impl Iterator<Item = &'static str> {
    let single = ALL.iter().filter_map(|name| name.variable);
    single.chain(POLICY.variable).chain([PLATFORMS, BOT_IDS, MANAGED])
}

/// The secrets themselves, as opposed to the commands and files that give them.
pub(super) const SECRETS: [&Name; 5] =
    [&SECRET, &DELIVERY_KEY, &ENROLL_TOKEN, &ACCESS_TOKEN, &IDP_CLIENT_SECRET];
