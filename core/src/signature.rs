//! Delivery signatures: how a gateway knows that an HTTP delivery comes from its connector (C-3).

use crate::secret::Secret;
use crate::token;
use data_encoding::HEXLOWER;

/// How far the connector's clock may be from ours, in seconds, either way (C-3).
pub const MAX_SKEW_S: u64 = 300;
/// The header with the moment of signing, in unix seconds.
pub const TIMESTAMP_HEADER: &str = "x-relay-timestamp";
/// The header with the signature, in hex.
pub const SIGNATURE_HEADER: &str = "x-relay-signature";

/// Why a delivery is not taken for the connector's own. Each of them is a 401 (H-6), with this text, which quotes
/// nothing of what came and says nothing of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotSigned {
    /// There is no key to check with, or only empty ones.
    #[error("no delivery key is configured: set GATEWAY_RELAY_DELIVERY_KEY")]
    NoKey,
    /// A header is missing.
    #[error("the header {0} is missing")]
    Missing(&'static str),
    /// The timestamp is not made of ASCII digits.
    #[error("x-relay-timestamp is no number of unix seconds: ASCII digits only")]
    Timestamp,
    /// The signature is not made of 64 hex digits.
    #[error("x-relay-signature is no signature: 64 hex digits")]
    Signature,
    /// It was signed too long ago, or too far in the future.
    #[error("signed more than {MAX_SKEW_S} s ago or ahead: check the clocks of both sides")]
    Stale,
    /// No key of the list made this signature.
    #[error("the signature is of another key, body or timestamp")]
    Wrong,
}

/// The keys of a comma list, as `GATEWAY_RELAY_DELIVERY_KEY` holds one during a rotation; blank ones are left out.
pub fn keys(list: &Secret) -> Vec<Secret> {
    list.expose().split(',').map(str::trim).filter(|key| !key.is_empty()).map(Secret::from).collect()
}

/// The signature of `body`, its exact bytes, at `unix_s`: lower-case hex of HMAC-SHA256 over `{unix_s}.{body}`.
pub fn sign(body: &[u8], key: &Secret, unix_s: u64) -> String {
    HEXLOWER.encode(&token::sign(&[unix_s.to_string().as_bytes(), b".", body], key))
}

/// Checks the two headers of a delivery against the exact bytes of its body, at `unix_s`. Any key of the rotation
/// list may match, an empty one never does; the keys are compared in constant time (C-3).
pub fn verify(
    body: &[u8],
    timestamp: Option<&str>,
    signature: Option<&str>,
    keys: &[Secret],
    unix_s: u64,
) -> Result<(), NotSigned> {
    verify_within(body, timestamp, signature, keys, unix_s, MAX_SKEW_S)
}

fn verify_within(
    body: &[u8],
    timestamp: Option<&str>,
    signature: Option<&str>,
    keys: &[Secret],
    unix_s: u64,
    max_skew_s: u64,
) -> Result<(), NotSigned> {
    if keys.iter().all(|key| key.expose().is_empty()) {
        return Err(NotSigned::NoKey);
    }
    let timestamp = timestamp.ok_or(NotSigned::Missing(TIMESTAMP_HEADER))?;
    let signature = signature.ok_or(NotSigned::Missing(SIGNATURE_HEADER))?;
    if timestamp.is_empty() || !timestamp.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NotSigned::Timestamp);
    }
    if signature.len() != 64 || !signature.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(NotSigned::Signature);
    }
    // One too long to count is too far ahead.
    let signed_at: u64 = timestamp.parse().map_err(|_| NotSigned::Stale)?;
    if unix_s.abs_diff(signed_at) > max_skew_s {
        return Err(NotSigned::Stale);
    }
    // The number is what is signed, without the zeros that may stand before it.
    let signed_at = signed_at.to_string();
    if token::signed_by_any(&[signed_at.as_bytes(), b".", body], signature, keys) {
        Ok(())
    } else {
        Err(NotSigned::Wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn vectors(kind: &str) -> Vec<Value> {
        let file: Value = serde_json::from_str(include_str!("../../harness/vectors/auth.json")).unwrap();
        file["vectors"].as_array().unwrap().iter().filter(|vector| vector["kind"] == kind).cloned().collect()
    }

    fn secrets(list: &Value) -> Vec<Secret> {
        list.as_array().unwrap().iter().map(|secret| Secret::new(secret.as_str().unwrap())).collect()
    }

    /// Where C-3 is stricter than Python's built-ins: refused, though the reference accepts them.
    const DEPARTURES: [(&str, &str); 3] = [
        ("spaces between bytes", "C-3: hex digits only"),
        ("timestamp with spaces, signed in its plain form", "C-3: ASCII digits only"),
        ("timestamp with plus, signed in its plain form", "C-3: ASCII digits only"),
    ];

    #[test]
    fn c_3_signatures_are_made_as_in_the_vectors() {
        let vectors = vectors("sign");
        assert_eq!(vectors.len(), 8);
        for vector in vectors {
            let payload = vector["payload"].as_str().unwrap();
            let secret = Secret::new(vector["secret"].as_str().unwrap());
            let ours = HEXLOWER.encode(&token::sign(&[payload.as_bytes()], &secret));
            assert_eq!(ours, vector["signature"].as_str().unwrap(), "{payload:?}");
        }
    }

    #[test]
    fn c_3_signatures_are_verified_as_in_the_vectors_but_strictly() {
        let (plain, deliveries) = (vectors("verify_signature"), vectors("verify_delivery_signature"));
        assert_eq!((plain.len(), deliveries.len()), (14, 22));
        let plain = plain.iter().map(|vector| {
            let payload = vector["payload"].as_str().unwrap().as_bytes();
            let signature = vector["signature"].as_str().unwrap();
            (vector, token::signed_by_any(&[payload], signature, &secrets(&vector["secrets"])))
        });
        let deliveries = deliveries.iter().map(|vector| {
            let verified = verify_within(
                vector["body"].as_str().unwrap().as_bytes(),
                vector["timestamp"].as_str(),
                vector["signature"].as_str(),
                &secrets(&vector["keys"]),
                vector["now"].as_u64().unwrap(),
                vector["max_skew_seconds"].as_u64().unwrap(),
            );
            (vector, verified.is_ok())
        });
        let mut departed = 0;
        for (vector, ours) in plain.chain(deliveries) {
            if Some(ours) == vector["ok"].as_bool() {
                continue;
            }
            let what = vector["what"].as_str().unwrap();
            let departure = DEPARTURES.iter().find(|(known, _)| *known == what);
            let (_, rule) = departure.unwrap_or_else(|| panic!("{what}: {ours}"));
            assert!(!ours, "{what} departs: {rule}");
            departed += 1;
        }
        assert_eq!(departed, DEPARTURES.len(), "every departure is used");
    }

    #[test]
    fn c_3_a_rotation_is_a_comma_list() {
        let list = |text: &str| keys(&Secret::new(text));
        assert_eq!(list(" new, old ,,\n"), [Secret::new("new"), Secret::new("old")]);
        assert_eq!(list(" , "), []);
    }

    #[test]
    fn c_3_each_way_to_be_refused_has_its_reason() {
        let key = Secret::new("dk");
        let body = b"\xff\x00 not even text";
        let at = 1_782_554_400;
        let good = sign(body, &key, at);
        let keys = |list: &[&str]| list.iter().map(|key| Secret::new(*key)).collect::<Vec<_>>();
        let (now, signature) = (at.to_string(), Some(good.as_str()));
        let timestamp = Some(now.as_str());
        let missing = |header| Err(NotSigned::Missing(header));
        for (timestamp, signature, list, unix_s, expected) in [
            (timestamp, signature, &["dk"][..], at, Ok(())),
            (timestamp, signature, &["dk"], at + 300, Ok(())),
            (timestamp, signature, &["dk"], at - 300, Ok(())),
            (timestamp, signature, &["dk"], at + 301, Err(NotSigned::Stale)),
            (timestamp, signature, &["dk"], at - 301, Err(NotSigned::Stale)),
            (timestamp, signature, &["new", "", "dk"], at, Ok(())),
            (timestamp, signature, &["new"], at, Err(NotSigned::Wrong)),
            (timestamp, signature, &[], at, Err(NotSigned::NoKey)),
            (timestamp, signature, &[""], at, Err(NotSigned::NoKey)),
            (None, signature, &["dk"], at, missing(TIMESTAMP_HEADER)),
            (timestamp, None, &["dk"], at, missing(SIGNATURE_HEADER)),
            (Some(""), signature, &["dk"], at, Err(NotSigned::Timestamp)),
            (Some("1782554400.0"), signature, &["dk"], at, Err(NotSigned::Timestamp)),
            (Some("١"), signature, &["dk"], at, Err(NotSigned::Timestamp)),
            (Some("99999999999999999999999"), signature, &["dk"], at, Err(NotSigned::Stale)),
            (timestamp, Some(""), &["dk"], at, Err(NotSigned::Signature)),
            (timestamp, Some(&good[1..]), &["dk"], at, Err(NotSigned::Signature)),
        ] {
            let ours = verify(body, timestamp, signature, &keys(list), unix_s);
            assert_eq!(ours, expected, "{timestamp:?} {signature:?} {list:?} {unix_s}");
        }
        // A replay on another body.
        assert_eq!(verify(b"other", timestamp, signature, &keys(&["dk"]), at), Err(NotSigned::Wrong));
    }
}
