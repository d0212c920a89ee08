//! Responses that refuse an upgrade.

use crate::json;
use crate::redact::redact;
use crate::secret::Secret;
use percent_encoding::percent_decode_str;
use std::fmt::Write;
use std::time::Duration;

/// Maximum number of bytes that are read of the body of a refused upgrade.
pub const MAX_BODY: usize = 64 << 10;

/// Maximum number of a peer's characters in one reason or log line.
const MAX_EXCERPT: usize = 300;

/// HTTP answer that refused an upgrade, as far as it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Refusal<'a> {
    /// HTTP status.
    pub status: u16,
    /// Body without its transfer coding, at most [`MAX_BODY`] bytes of it.
    pub body: &'a [u8],
    /// True if `body` is complete: not cut off by the end of the connection, a time-out or [`MAX_BODY`].
    pub is_whole: bool,
    /// True if the response has a `WWW-Authenticate` header.
    pub has_challenge: bool,
    /// Value of the `Retry-After` header.
    pub retry_after: Option<&'a str>,
    /// Value of the `Location` header.
    pub location: Option<&'a str>,
}

impl<'a> Refusal<'a> {
    /// Creates a refusal of a status and a whole body, without further headers.
    pub fn new(status: u16, body: &'a [u8]) -> Self {
        Refusal { status, body, is_whole: true, has_challenge: false, retry_after: None, location: None }
    }

    /// Returns the `error` of a connector's verdict, `None` for every other answer.
    ///
    /// A verdict is a 401 without `WWW-Authenticate` whose body came whole and is a JSON object with a string `error`.
    pub fn verdict(&self) -> Option<String> {
        if self.status != 401 || self.has_challenge || !self.is_whole {
            return None;
        }
        let text = std::str::from_utf8(self.body).ok().filter(|text| json::depth_is_fine(text))?;
        let mut room = String::new();
        let [error] = json::peer_fields(text, &mut room, &["error"])?;
        error.and_then(json::string)
    }

    /// Returns whether credentials were refused by something other than the connector, a proxy for instance.
    pub fn is_foreign(&self) -> bool {
        matches!(self.status, 401 | 403) && self.verdict().is_none()
    }

    /// Returns the time that `Retry-After` asks for, counted from `unix_s`. It reads seconds and HTTP dates.
    pub fn retry_after(&self, unix_s: u64) -> Option<Duration> {
        let text = self.retry_after?.trim();
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
        }
        let date = httpdate::parse_http_date(text).ok()?;
        let due = date.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
        Some(Duration::from_secs(due.saturating_sub(unix_s)))
    }

    /// Describes the refusal of a dial for the host. The secrets in `hidden` do not appear in it.
    pub fn reason(&self, hidden: &[&Secret]) -> String {
        let foreign = if self.is_foreign() { "credentials refused: " } else { "" };
        let mut text = format!("{foreign}the upgrade was answered {}", self.describe(hidden));
        if let Some(advice) = self.advice() {
            let _ = write!(text, "; {advice}");
        }
        text
    }

    /// Describes status, body, `Location` and `Retry-After`, as in `429 Too Many Requests: busy (Retry-After: 30)`.
    pub fn describe(&self, hidden: &[&Secret]) -> String {
        let mut text = self.status_line();
        if let Some(said) = self.said(hidden) {
            let _ = write!(text, ": {said}");
        }
        let mut notes = Vec::new();
        if !self.is_whole {
            notes.push("its body did not come whole".to_owned());
        }
        notes.extend(self.location.map(|location| format!("Location: {}", bare_location(location, hidden))));
        notes.extend(self.retry_after.map(|after| format!("Retry-After: {}", excerpt(&hide(after, hidden)))));
        if !notes.is_empty() {
            let _ = write!(text, " ({})", notes.join(", "));
        }
        text
    }

    /// Returns the status and its name, as in `409 Conflict`.
    pub fn status_line(&self) -> String {
        phrase(self.status)
            .map_or_else(|| self.status.to_string(), |phrase| format!("{} {phrase}", self.status))
    }

    /// Returns a quote of the body: its error if it is JSON with one, else its text. `None` for a blank body.
    pub fn said(&self, hidden: &[&Secret]) -> Option<String> {
        let body = String::from_utf8_lossy(self.body);
        let text = error_text(&body).unwrap_or_else(|| body.into_owned());
        let words: Vec<&str> = text.split_whitespace().collect();
        (!words.is_empty()).then(|| excerpt(&hide(&words.join(" "), hidden)))
    }

    fn advice(&self) -> Option<&'static str> {
        match self.status {
            401 if self.verdict().is_some() => Some("check the gateway's id and secret"),
            401 | 403 => Some(
                "this is not the connector's verdict: check the gateway's id and secret, and the proxy or load \
                 balancer in front of the connector",
            ),
            300..=399 => Some("redirects are not followed: set the URL to the connector's own address"),
            _ => None,
        }
    }
}

/// Returns what a JSON text says of an error: `error` or `detail`, as strings or with a `message` inside.
pub(crate) fn error_text(text: &str) -> Option<String> {
    let text = Some(text).filter(|text| json::depth_is_fine(text))?;
    let mut room = String::new();
    let found = json::peer_fields(text, &mut room, &["error", "detail", "message", "reason"])?;
    found.into_iter().flatten().filter(|raw| *raw != "null").find_map(|raw| {
        let inner = json::fields(raw, &["message", "detail", "code"]);
        let inner = inner.and_then(|found| found.into_iter().flatten().find_map(json::id));
        let text = json::string(raw).or(inner).unwrap_or_else(|| raw.to_owned());
        (!text.trim().is_empty()).then_some(text)
    })
}

/// Returns the text of an `error` frame, for a log line: the whole line if no field of it holds one.
pub(crate) fn complaint(line: &str, hidden: &[&Secret]) -> String {
    let text = error_text(line).unwrap_or_else(|| line.trim().to_owned());
    excerpt(&hide(&text, hidden))
}

fn hide(text: &str, hidden: &[&Secret]) -> String {
    let without_known = |text: &str| {
        let known = hidden.iter().filter(|secret| !secret.is_blank());
        known.fold(text.to_owned(), |text, secret| redact(text, secret))
    };
    // An escape such as `%20` would be joined to the text after it, which may be a token.
    let decoded = percent_decode_str(text).decode_utf8_lossy();
    let shown = without_known(&decoded);
    if shown == decoded { without_known(text) } else { shown }
}

/// Cuts a peer's text at 300 characters and escapes its control characters, for a log line or a reason.
pub fn excerpt(text: &str) -> String {
    let mut cut = String::new();
    let mut characters = text.chars();
    for character in characters.by_ref().take(MAX_EXCERPT) {
        match character.is_control() {
            true => cut.extend(character.escape_default()),
            false => cut.push(character),
        }
    }
    if characters.next().is_some() {
        cut.push('…');
    }
    cut
}

/// Returns a redirect's target without user-info, query and fragment, which may hold secrets (C-4).
fn bare_location(location: &str, hidden: &[&Secret]) -> String {
    let bare = location.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = bare.split_at(bare.find("//").map_or(0, |slashes| slashes + 2));
    let authority = rest.split('/').next().unwrap_or_default();
    let is_port = |text: &str| text.ends_with(']') || text.bytes().all(|byte| byte.is_ascii_digit());
    let user_info = authority.rfind('@').or_else(|| match authority.rsplit_once(':') {
        // A slash in a password ends the authority early, and the text before it is not a valid port.
        Some((_, port)) if !is_port(port) => rest.rfind('@'),
        _ => None,
    });
    let bare = [scheme, &rest[user_info.map_or(0, |at| at + 1)..]].concat();
    excerpt(&hide(&bare, hidden))
}

/// Returns the standard reason phrase of a status (RFC 9110, 15) that upgrades are usually refused with.
fn phrase(status: u16) -> Option<&'static str> {
    Some(match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        421 => "Misdirected Request",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
