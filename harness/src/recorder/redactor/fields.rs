//! Names whose values are credentials. `harness/recordings/README.md` repeats this table.

/// Headers of an upgrade that are recorded with their values. Others may hold a credential of a proxy or of another
/// gateway.
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

/// Schemes of an `Authorization` header that are recorded. An unknown one may be a part of the credential.
const SCHEMES: [&str; 4] = ["Bearer", "Basic", "Digest", "Negotiate"];

/// Names of credentials in JSON, headers, queries and forms. Lower case, without `-` and `_`.
const NAMES: [&str; 18] = [
    "apikey",
    "auth",
    "authorization",
    "bearer",
    "cookie",
    "credential",
    "credentials",
    "deliverykey",
    "jwt",
    "otp",
    "passphrase",
    "passwd",
    "privatekey",
    "proxyauthorization",
    "pwd",
    "setcookie",
    "signingkey",
    "xapikey",
];

/// Endings of such names. Knowing one of these URLs is enough to post there.
const ENDINGS: [&str; 3] = ["responseurl", "token", "webhookurl"];

/// Parts of such names.
const PARTS: [&str; 3] = ["password", "secret", "signature"];

/// Names of credentials in queries and forms alone.
const PARAMETERS: [&str; 5] = ["code", "key", "sig", "xamzcredential", "xgoogcredential"];

/// Returns a name in the form of the table.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase()).collect()
}

/// Returns true if a JSON field or a header of this name holds a credential.
pub(super) fn is_secret(name: &str) -> bool {
    let name = plain(name);
    NAMES.contains(&name.as_str())
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
        || PARTS.iter().any(|part| name.contains(part))
}

/// Returns true if a parameter of this name, in a query or a form, holds a credential.
pub(super) fn is_secret_parameter(name: &str) -> bool {
    is_secret(name) || PARAMETERS.contains(&plain(name).as_str())
}

/// Returns true if an upgrade's header is recorded with its value.
pub(super) fn is_plain_header(name: &str) -> bool {
    PLAIN_HEADERS.iter().any(|plain| plain.eq_ignore_ascii_case(name))
}

/// Returns the scheme of an `Authorization` header, if it is a known one, and the credential.
pub(super) fn authorization(value: &str) -> (Option<&'static str>, &str) {
    let (scheme, credential) = value.trim().split_once(' ').unwrap_or(("", value.trim()));
    let known = SCHEMES.into_iter().find(|known| known.eq_ignore_ascii_case(scheme));
    (known, if known.is_some() { credential.trim() } else { value.trim() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_4_names_of_credentials() {
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
        assert!(is_secret_parameter("key") && is_secret_parameter("X-Amz-Credential"));
        assert!(is_plain_header("Host") && is_plain_header("user-agent"));
        assert!(!is_plain_header("X-Custom") && !is_plain_header("Sec-WebSocket-Protocol"));
    }

    #[test]
    fn c_4_an_unknown_scheme_is_part_of_the_credential() {
        for (value, expected) in [
            ("Bearer abc", (Some("Bearer"), "abc")),
            ("bearer  abc ", (Some("Bearer"), "abc")),
            ("hunter2 abc", (None, "hunter2 abc")),
            ("abc", (None, "abc")),
        ] {
            assert_eq!(authorization(value), expected, "{value}");
        }
    }
}
