//! Upgrade tokens: how a gateway proves who it is on each dial (C-1, C-2).

use crate::secret::Secret;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// How long a token is good for, in seconds, from when it is minted (C-1).
pub const TOKEN_TTL_S: u64 = 300;

/// Mints the token for one dial: `base64url_nopad("{id}:{exp}:{sig}")` with `exp = unix_s + ttl_s`,
/// or 0 ("never") when `ttl_s` is 0 (C-1).
pub fn mint(id: &str, secret: &Secret, unix_s: u64, ttl_s: u64) -> Secret {
    let exp = if ttl_s == 0 { 0 } else { unix_s.saturating_add(ttl_s) };
    let payload = format!("{id}:{exp}");
    let signature = sign(payload.as_bytes(), secret);
    let token = Zeroizing::new(format!("{payload}:{}", HEXLOWER.encode(&signature)));
    Secret::new(BASE64URL_NOPAD.encode(token.as_bytes()))
}

/// The id that `token` was minted for, when one of `secrets` signed it and it has not expired; `None`
/// for everything else, malformed input included (C-2).
pub fn verify(token: &str, secrets: &[Secret], unix_s: u64) -> Option<String> {
    let raw = decode_base64url(token)?;
    let text = Zeroizing::new(String::from_utf8(raw).ok()?);
    // From the right, since an id may hold colons.
    let (payload, signature) = text.rsplit_once(':')?;
    let (id, exp) = payload.rsplit_once(':')?;
    if exp.is_empty() || !exp.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let exp: u64 = exp.parse().ok()?;
    if !signed_by_any(payload.as_bytes(), signature, secrets) || (exp != 0 && unix_s > exp) {
        return None;
    }
    Some(id.to_owned())
}

/// Whether `signature`, 64 hex digits of either case, is that of `message` under one of `secrets`. Empty
/// secrets never match; all comparisons take constant time (C-2).
pub fn signed_by_any(message: &[u8], signature: &str, secrets: &[Secret]) -> bool {
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

/// HMAC-SHA256 of `message`.
pub fn sign(message: &[u8], secret: &Secret) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .unwrap_or_else(|_| unreachable!("HMAC takes a key of any length"));
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// base64url with tolerated padding; any foreign character is an error (C-2).
fn decode_base64url(text: &str) -> Option<Vec<u8>> {
    let bare = text.trim_end_matches('=');
    if text.len() - bare.len() > 2 {
        return None;
    }
    BASE64URL_NOPAD.decode(bare.as_bytes()).ok()
}
