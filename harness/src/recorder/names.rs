//! Which names say that their value is a secret (C-4).

use memchr::memmem;

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

/// Names of fields, in lower case and without `-` and `_`, whose values are secret; beside them are those of
/// `SECRET_ENDS` and `SECRET_PARTS`.
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

/// What the names of secrets end in. Who knows one of these URLs may post there.
const SECRET_ENDS: [&str; 3] = ["token", "webhookurl", "responseurl"];

/// What the names of secrets hold.
const SECRET_PARTS: [&str; 3] = ["secret", "password", "signature"];

/// Names that are secret in a query or a form, beside those that are so anywhere.
const PARAMETERS: [&str; 5] = ["key", "sig", "code", "xamzcredential", "xgoogcredential"];

/// Headers of which more than the first word is secret.
const HEADERS: [&str; 4] = ["authorization", "proxyauthorization", "cookie", "setcookie"];

/// Names that ids begin with: `auth:42` is a chat's.
const SHORT: [&str; 2] = ["auth", "otp"];

/// The longest name that is looked at.
pub(super) const MOST_NAME: usize = 64;

/// A name as the lists have it.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase()).collect()
}

/// Whether the value of a field, parameter or header of this name is a secret.
pub(super) fn is_secret(name: &str) -> bool {
    is_listed(&plain(name))
}

fn is_listed(name: &str) -> bool {
    SECRET_NAMES.contains(&name)
        || SECRET_ENDS.iter().any(|end| name.ends_with(end))
        || SECRET_PARTS.iter().any(|part| name.contains(part))
}

/// Whether it is one in a query or a form.
pub(super) fn is_secret_parameter(name: &str) -> bool {
    let name = plain(name);
    is_listed(&name) || PARAMETERS.contains(&name.as_str())
}

/// Whether it is a header whose whole line is secret.
pub(super) fn is_header(name: &str) -> bool {
    HEADERS.contains(&plain(name).as_str())
}

/// Whether a value directly behind it may be a part of an id.
pub(super) fn is_short(name: &str) -> bool {
    SHORT.contains(&plain(name).as_str())
}

/// Whether anything in it is called a secret: for what cannot be read, and so is hidden as a whole.
pub(super) fn speaks_of_secrets(text: &[u8]) -> bool {
    let lower: Vec<u8> =
        text.iter().filter(|byte| !b"-_".contains(byte)).map(u8::to_ascii_lowercase).collect();
    SECRET_PARTS.iter().chain(&SECRET_ENDS).any(|word| memmem::find(&lower, word.as_bytes()).is_some())
        || SECRET_NAMES.iter().any(|name| calls(&lower, name, name.len() <= MOST_SHORT))
        || PARAMETERS.iter().any(|name| calls(&lower, name, true))
}

/// Words of so many letters are parts of other words, and of images.
const MOST_SHORT: usize = 4;

/// Whether the text holds this name; where `quoted`, only as a field's of multipart, as XML's, or before `=` or `:`.
fn calls(text: &[u8], name: &str, quoted: bool) -> bool {
    memmem::find_iter(text, name.as_bytes()).any(|at| {
        let (before, behind) = (&text[..at], &text[at + name.len()..]);
        let is_field = before.ends_with(b"=\"") && behind.starts_with(b"\"");
        let is_element = before.ends_with(b"<") && !behind.first().is_some_and(u8::is_ascii_alphanumeric);
        let is_word = !before.last().is_some_and(u8::is_ascii_alphanumeric);
        !quoted || is_field || is_element || (is_word && matches!(behind.first(), Some(b'=' | b':')))
    })
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

    #[test]
    fn what_speaks_of_secrets() {
        for (text, speaks) in [
            ("<Token>x</Token>", true),
            ("name=\"password\"", true),
            ("<a>b</a>", false),
            ("name=\"pwd\"", true),
            ("name=\"passphrase\"", true),
            ("name=\"api_key\"", true),
            ("name=\"key\"", true),
            ("<Credentials>x</Credentials>", true),
            ("<response_url>x</response_url>", true),
            ("<pwd>x</pwd>", true),
            ("a b&pwd=x", true),
            ("an otp: 1", true),
            ("the author, authentic code of a monkey=1", false),
        ] {
            assert_eq!(speaks_of_secrets(text.as_bytes()), speaks, "{text}");
        }
    }
}
