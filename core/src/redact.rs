//! Removes known secrets from texts of a peer.

use crate::secret::Secret;
use crate::token;
use form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

/// Replaces a secret in `text` with `<hidden>`: verbatim, as encoded in JSON and forms, and in each upgrade token
/// that it has ever signed.
pub fn redact(text: String, secret: &Secret) -> String {
    const HIDDEN: &str = "<hidden>";
    let plain = secret.expose().trim();
    let form = Zeroizing::new(byte_serialize(plain.as_bytes()).collect::<String>());
    let json = Zeroizing::new(serde_json::Value::from(plain).to_string());
    let text =
        text.replace(json.trim_matches('"'), HIDDEN).replace(form.as_str(), HIDDEN).replace(plain, HIDDEN);
    let is_token = |word: &&str| token::verify(word, std::slice::from_ref(secret), 0).is_some();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'));
    let tokens: Vec<&str> = words.filter(is_token).collect();
    tokens.iter().fold(text.clone(), |text, token| text.replace(token, HIDDEN))
}
