//! Responses that refuse an upgrade. The verdict is compared with a simple reading (L-9), and no text for the host
//! exceeds its limit or contains a secret.
//!
//! The first byte of the input selects status and flags. A line for `Retry-After` and a line for `Location` follow,
//! then the body.

use relayline_core::json::MAX_DEPTH;
use relayline_core::secret::Secret;
use relayline_core::upgrade::{Refusal, excerpt};
use serde_json::Value;

/// Secret of the gateway. No text of the core contains it.
const SECRET: &str = "zq9-Zq9";
/// Maximum number of characters of an excerpt, with its ellipsis.
const MAX_EXCERPT_CHARS: usize = 301;
/// Maximum size of a reason, in bytes: three excerpts, whose characters are escaped, and the text around them.
const MAX_REASON_BYTES: usize = 3 * MAX_EXCERPT_CHARS * 10 + 600;

/// Checks the refusal that these bytes describe.
pub(crate) fn run(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let mut lines = rest.splitn(3, |byte| *byte == b'\n');
    let mut header =
        || lines.next().and_then(|line| std::str::from_utf8(line).ok()).filter(|line| !line.is_empty());
    let (retry_after, location) = (header(), header());
    let body = lines.next().unwrap_or_default();
    let status = [401, 403, 429, 302, 200, 0, 503, 407][usize::from(kind & 7)];
    let mut refusal = Refusal::new(status, body);
    (refusal.is_whole, refusal.has_challenge) = (kind & 8 == 0, kind & 16 != 0);
    (refusal.retry_after, refusal.location) = (retry_after, location);
    let tree = std::str::from_utf8(body).ok().and_then(|text| relayline_core::json::parse(text).ok());
    let error = tree.as_ref().and_then(|tree| tree.get("error")).and_then(Value::as_str);
    let can_be_verdict = refusal.status == 401 && refusal.is_whole && !refusal.has_challenge;
    if let Some(verdict) = refusal.verdict() {
        // The simple reading rejects lone surrogates (W-7).
        assert!(can_be_verdict && (error == Some(&*verdict) || verdict.contains('\u{fffd}')), "{refusal:?}");
    } else if can_be_verdict && error.is_some() {
        // Readers differ only on bodies that nest about as deeply as is allowed.
        let brackets = body.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
        assert!(brackets >= MAX_DEPTH, "{refusal:?}");
    }
    assert_eq!(refusal.is_foreign(), matches!(refusal.status, 401 | 403) && refusal.verdict().is_none());
    let _ = refusal.retry_after(1_800_000_000);
    let reason = refusal.reason(&[&Secret::from(SECRET)]);
    assert!(reason.len() <= MAX_REASON_BYTES && !reason.chars().any(char::is_control), "{reason}");
    assert!(!reason.contains(SECRET), "C-4: {reason}");
    assert!(excerpt(&reason).chars().count() <= MAX_EXCERPT_CHARS);
}
