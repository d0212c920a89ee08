//! Responses that refuse an upgrade: the first byte selects the kind, then a line each for `Retry-After` and
//! `Location`, then the body. The verdict is compared with a simple reading (L-9), and no text of the peer exceeds its
//! limit.

use relayline_core::secret::Secret;
use relayline_core::upgrade::{Refusal, excerpt};
use serde_json::Value;

/// A secret that no text of the core contains.
const SECRET: &str = "zq9-Zq9";
/// Maximum size of a reason: three texts of 300 characters, each escaped, and the text around them.
const MAX_INPUTS: usize = 3 * 301 * 10 + 600;

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
    let may = refusal.status == 401 && refusal.is_whole && !refusal.has_challenge;
    if let Some(verdict) = refusal.verdict() {
        // The simple reading rejects lone surrogates (W-7).
        assert!(may && (error == Some(&*verdict) || verdict.contains('\u{fffd}')), "{refusal:?}");
    } else if may && error.is_some() {
        assert!(body.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() > 100, "{refusal:?}");
    }
    assert_eq!(refusal.is_foreign(), matches!(refusal.status, 401 | 403) && refusal.verdict().is_none());
    let _ = refusal.retry_after(1_800_000_000);
    let reason = refusal.reason(&[&Secret::from(SECRET)]);
    assert!(reason.len() <= MAX_INPUTS && !reason.chars().any(char::is_control), "{reason}");
    assert!(!reason.contains(SECRET), "C-4: {reason}");
    assert!(excerpt(&reason).chars().count() <= 301);
}
