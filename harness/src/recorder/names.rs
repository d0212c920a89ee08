//! Which names say that their value is a secret (C-4).

/// Upgrade headers that are recorded as they are. Any other might carry a credential: nobody knows what a proxy or a
/// gateway of another make puts into its own.
const PLAIN_HEADERS: [&str; 9] = [
    "accept",
    "connection",
    "content-length",
    "content-type",
    "host",
    "origin",
    "sec-websocket-version",
    "upgrade",
    "user-agent",
];

/// Names of fields, in lower case and without `-` and `_`, whose values are secret. Beside them are all that end in
/// `token`, `webhookurl` or `responseurl` (who knows one of these may post there), and all that hold `secret`,
/// `password` or `signature`.
const SECRET_NAMES: [&str; 18] = [
    "authorization",
    "proxyauthorization",
    "cookie",
    "setcookie",
    "deliverykey",
    "apikey",
    "xapikey",
    "privatekey",
    "signingkey",
    "bearer",
    "credential",
    "credentials",
    "passwd",
    "passphrase",
    "pwd",
    "jwt",
    "otp",
    "auth",
];

/// The longest name that is looked at.
pub(super) const MOST_NAME: usize = 64;

/// Whether the value of a field, parameter or header of this name is a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name: String =
        name.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase()).collect();
    SECRET_NAMES.contains(&name.as_str())
        || ["token", "webhookurl", "responseurl"].iter().any(|end| name.ends_with(end))
        || ["secret", "password", "signature"].iter().any(|part| name.contains(part))
}

/// Whether a header of the upgrade is recorded as it is.
pub(super) fn is_plain_header(name: &str) -> bool {
    PLAIN_HEADERS.iter().any(|plain| plain.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_4_names_of_secrets() {
        for name in [
            "token",
            "Token",
            "enrollmentToken",
            "access_token",
            "secret",
            "client_secret",
            "deliveryKey",
            "delivery_key",
            "Authorization",
            "authorization",
            "Set-Cookie",
            "X-API-Key",
            "x-request-signature-256",
            "webhookSecret",
            "password",
            "passwd",
            "response_url",
            "slackWebhookUrl",
            "JWT",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in
            ["session_key", "requestId", "text", "max_tokens", "tokens", "bufferId", "key", "botId", ""]
        {
            assert!(!is_secret(name), "{name}");
        }
        assert!(is_plain_header("Host") && is_plain_header("user-agent"));
        assert!(!is_plain_header("X-Custom") && !is_plain_header("Sec-WebSocket-Protocol"));
    }
}
