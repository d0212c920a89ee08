//! Upgrade tokens, with which a gateway authenticates one dial, and the signatures that they are made of.

use crate::secret::Secret;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Lifetime of the token of a dial, in seconds.
pub const TOKEN_TTL_S: u64 = 300;

/// Mints a token: `base64url_nopad("{id}:{exp}:{sig}")`.
///
/// `exp` is the time at which the token expires, `unix_s + ttl_s`. If `ttl_s` is 0, `exp` is 0 and the token never
/// expires. `sig` is the signature of `{id}:{exp}`, as 64 hex digits.
pub fn mint(id: &str, secret: &Secret, unix_s: u64, ttl_s: u64) -> Secret {
    let exp = if ttl_s == 0 { 0 } else { unix_s.saturating_add(ttl_s) };
    let payload = format!("{id}:{exp}");
    let signature = sign(&[payload.as_bytes()], secret);
    let signature = Zeroizing::new(HEXLOWER.encode(&signature));
    let token = Zeroizing::new([&payload, ":", &signature].concat());
    Secret::new(BASE64URL_NOPAD.encode(token.as_bytes()))
}

/// Verifies a token at the time `unix_s`. Returns the token's id, or `None` if the token is malformed, has expired, or
/// is signed by none of `secrets`.
pub fn verify(token: &str, secrets: &[Secret], unix_s: u64) -> Option<String> {
    let raw = decode_base64url(token)?;
    let text = Zeroizing::new(String::from_utf8(raw).ok()?);
    // Split from the right, since an id may contain colons.
    let (payload, signature) = text.rsplit_once(':')?;
    let (id, exp) = payload.rsplit_once(':')?;
    if exp.is_empty() || !exp.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // A time beyond 64 bits is never reached.
    let exp: u64 = exp.parse().unwrap_or(u64::MAX);
    if !signed_by_any(&[payload.as_bytes()], signature, secrets) || (exp != 0 && unix_s > exp) {
        return None;
    }
    Some(id.to_owned())
}

/// Returns true if `signature`, 64 hex digits of either case, is the signature of `message` under one of `secrets`.
///
/// `message` is the concatenation of its parts. Empty secrets never match. Comparisons take constant time.
pub fn signed_by_any(message: &[&[u8]], signature: &str, secrets: &[Secret]) -> bool {
    if signature.len() != 64 {
        return false;
    }
    let Ok(signature) = HEXLOWER_PERMISSIVE.decode(signature.as_bytes()) else {
        return false;
    };
    secrets
        .iter()
        .filter(|secret| !secret.expose().is_empty())
        .fold(subtle::Choice::from(0), |found, secret| {
            found | subtle::ConstantTimeEq::ct_eq(sign(message, secret).as_slice(), &signature)
        })
        .into()
}

/// Returns the HMAC-SHA256 of `message`, which is the concatenation of its parts. So a large body need not be copied.
pub fn sign(message: &[&[u8]], secret: &Secret) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .unwrap_or_else(|_| unreachable!("HMAC takes a key of any length"));
    for part in message {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Decodes base64url, with or without padding; `None` if there is any other character (C-2).
fn decode_base64url(text: &str) -> Option<Vec<u8>> {
    let bare = text.trim_end_matches('=');
    if text.len() - bare.len() > 2 {
        return None;
    }
    BASE64URL_NOPAD.decode(bare.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// A key may be listed twice while keys are rotated.
    #[test]
    fn c_3_a_duplicate_key_is_valid() {
        let (one, other) = (Secret::from("one"), Secret::from("other"));
        let signature = HEXLOWER_PERMISSIVE.encode(&sign(&[b"text"], &one));
        for (secrets, expected) in [
            (vec![one.clone()], true),
            (vec![one.clone(), one.clone()], true),
            (vec![other.clone(), one], true),
            (vec![other], false),
        ] {
            assert_eq!(signed_by_any(&[b"te", b"xt"], &signature, &secrets), expected);
        }
    }

    #[test]
    fn c_2_padding_is_at_most_two_characters() {
        for (text, decoded) in [("YQ", Some("a")), ("YQ=", Some("a")), ("YQ==", Some("a")), ("YQ===", None)] {
            assert_eq!(decode_base64url(text).as_deref(), decoded.map(str::as_bytes), "{text}");
        }
    }

    fn vectors(kinds: &[&str]) -> Vec<Value> {
        let file: Value = serde_json::from_str(include_str!("../../harness/vectors/auth.json")).unwrap();
        let of_kind = |vector: &&Value| kinds.contains(&vector["kind"].as_str().unwrap());
        file["vectors"].as_array().unwrap().iter().filter(of_kind).cloned().collect()
    }

    /// Returns a vector's time in whole seconds. The reference truncates it in the same way.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn seconds(now: &Value) -> u64 {
        now.as_f64().unwrap() as u64
    }

    #[test]
    fn c_1_tokens_are_minted_as_in_the_vectors() {
        let vectors = vectors(&["make_token", "make_upgrade_token"]);
        assert_eq!(vectors.len(), 14);
        for vector in vectors {
            let secret = Secret::new(vector["secret"].as_str().unwrap());
            let id = vector["payload"].as_str().unwrap();
            let ttl_s = vector["ttl_seconds"].as_u64().unwrap();
            let token = mint(id, &secret, seconds(&vector["now"]), ttl_s);
            assert_eq!(token.expose(), vector["token"].as_str().unwrap(), "{id}");
            // A minted token is valid until it expires.
            let expiry = vector["exp"].as_u64().unwrap();
            assert_eq!(verify(token.expose(), &[secret], expiry).as_deref(), Some(id));
        }
        assert_eq!(TOKEN_TTL_S, 300);
    }

    /// Vectors that the reference accepts and C-2 rejects, with the reason. Python's built-ins are less strict.
    const DEPARTURES: [(&str, &str); 7] = [
        ("exp with spaces, signed in its plain form", "C-2: ASCII digits only"),
        ("exp with underscores, signed in its plain form", "C-2: ASCII digits only"),
        ("exp in Arabic-Indic digits, signed in its plain form", "C-2: ASCII digits only"),
        ("signature followed by a newline", "C-2: 64 hex digits"),
        ("four spaces in the middle", "C-2: no foreign characters"),
        ("standard alphabet with + and /", "C-2: base64url"),
        ("both alphabets mixed", "C-2: base64url"),
    ];

    #[test]
    fn c_2_tokens_are_verified_as_in_the_vectors_but_strictly() {
        let mut departed = 0;
        for vector in vectors(&["verify_token"]) {
            let what = vector["what"].as_str().unwrap();
            let secrets: Vec<Secret> = vector["secrets"]
                .as_array()
                .unwrap()
                .iter()
                .map(|secret| Secret::new(secret.as_str().unwrap()))
                .collect();
            let ours = verify(vector["token"].as_str().unwrap(), &secrets, seconds(&vector["now"]));
            if ours.as_deref() == vector["payload"].as_str() {
                continue;
            }
            let departure = DEPARTURES.iter().find(|(known, _)| *known == what);
            let (_, rule) = departure.unwrap_or_else(|| panic!("{what}: {ours:?}"));
            assert_eq!(ours, None, "{what} departs: {rule}");
            departed += 1;
        }
        assert_eq!(departed, DEPARTURES.len(), "every departure is used");
    }

    #[test]
    fn c_2_any_secret_of_the_list_may_match() {
        let token = mint("gw:1", &Secret::new("b"), 1000, 10);
        let secrets = |list: &[&str]| list.iter().map(|s| Secret::new(*s)).collect::<Vec<_>>();
        for (list, now, expected) in [
            (&["a", "b"][..], 1010, Some("gw:1")),
            (&["b", ""], 1010, Some("gw:1")),
            (&["b"], 1011, None),
            (&["a", ""], 1010, None),
            (&[], 1010, None),
        ] {
            assert_eq!(verify(token.expose(), &secrets(list), now).as_deref(), expected, "{list:?}");
        }
        let padded = format!("{}===", token.expose());
        assert_eq!(verify(&padded, &secrets(&["b"]), 1000), None);
    }
}
