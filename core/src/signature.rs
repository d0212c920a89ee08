//! Signatures of webhook requests.

use crate::secret::Secret;
use crate::token;
use data_encoding::HEXLOWER;

/// Maximum difference between the connector's clock and ours, in seconds.
pub const MAX_SKEW_S: u64 = 300;
/// Name of the header with the time of signing, in Unix seconds.
pub const TIMESTAMP_HEADER: &str = "x-relay-timestamp";
/// Name of the header with the signature, in hex.
pub const SIGNATURE_HEADER: &str = "x-relay-signature";

/// Error returned when a webhook request is not signed by the connector. The request is answered 401 with this text,
/// which quotes neither the request nor a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// No key is configured, or only empty keys.
    #[error("no delivery key is configured: set GATEWAY_RELAY_DELIVERY_KEY")]
    NoKey,
    /// A header is missing.
    #[error("the header {0} is missing")]
    Missing(&'static str),
    /// The timestamp has a character that is not an ASCII digit.
    #[error("x-relay-timestamp is not a number of unix seconds: ASCII digits only")]
    Timestamp,
    /// The signature does not consist of 64 hex digits.
    #[error("x-relay-signature is not a signature: 64 hex digits")]
    Signature,
    /// The timestamp differs from the current time by more than [`MAX_SKEW_S`].
    #[error("signed more than {MAX_SKEW_S} s ago or ahead: check the clocks of both sides")]
    Stale,
    /// The signature does not match any key.
    #[error("the signature is of another key, body or timestamp")]
    Mismatch,
}

/// Splits a comma-separated list of keys, as in `GATEWAY_RELAY_DELIVERY_KEY` during a rotation. Blank entries are
/// left out.
pub fn keys(list: &Secret) -> Vec<Secret> {
    list.expose().split(',').map(str::trim).filter(|key| !key.is_empty()).map(Secret::from).collect()
}

/// Signs the exact bytes of `body` at the time `unix_s`. Returns the lower-case hex of HMAC-SHA256 over
/// `{unix_s}.{body}`.
pub fn sign(body: &[u8], key: &Secret, unix_s: u64) -> String {
    HEXLOWER.encode(&token::sign(&[unix_s.to_string().as_bytes(), b".", body], key))
}

/// Verifies the two headers of a webhook request against the exact bytes of its body at the time `unix_s`.
///
/// Any key of the rotation list may match; an empty key never does. Keys are compared in constant time.
///
/// # Errors
///
/// Returns the first check that fails. [`SignatureError::Stale`] is returned for a timestamp that differs from
/// `unix_s` by more than [`MAX_SKEW_S`].
pub fn verify(
    body: &[u8],
    timestamp: Option<&str>,
    signature: Option<&str>,
    keys: &[Secret],
    unix_s: u64,
) -> Result<(), SignatureError> {
    verify_within(body, timestamp, signature, keys, unix_s, MAX_SKEW_S)
}

fn verify_within(
    body: &[u8],
    timestamp: Option<&str>,
    signature: Option<&str>,
    keys: &[Secret],
    unix_s: u64,
    max_skew_s: u64,
) -> Result<(), SignatureError> {
    if keys.iter().all(|key| key.expose().is_empty()) {
        return Err(SignatureError::NoKey);
    }
    let timestamp = timestamp.ok_or(SignatureError::Missing(TIMESTAMP_HEADER))?;
    let signature = signature.ok_or(SignatureError::Missing(SIGNATURE_HEADER))?;
    if timestamp.is_empty() || !timestamp.bytes().all(|b| b.is_ascii_digit()) {
        return Err(SignatureError::Timestamp);
    }
    if signature.len() != 64 || !signature.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(SignatureError::Signature);
    }
    // A number that overflows is too far in the future.
    let signed_at: u64 = timestamp.parse().map_err(|_| SignatureError::Stale)?;
    if unix_s.abs_diff(signed_at) > max_skew_s {
        return Err(SignatureError::Stale);
    }
    // Only the number is signed, without leading zeros.
    let signed_at = signed_at.to_string();
    if token::signed_by_any(&[signed_at.as_bytes(), b".", body], signature, keys) {
        Ok(())
    } else {
        Err(SignatureError::Mismatch)
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

    /// Signatures that C-3 refuses and the reference accepts, since Python's built-ins are less strict.
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
        let missing = |header| Err(SignatureError::Missing(header));
        for (timestamp, signature, list, unix_s, expected) in [
            (timestamp, signature, &["dk"][..], at, Ok(())),
            (timestamp, signature, &["dk"], at + 300, Ok(())),
            (timestamp, signature, &["dk"], at - 300, Ok(())),
            (timestamp, signature, &["dk"], at + 301, Err(SignatureError::Stale)),
            (timestamp, signature, &["dk"], at - 301, Err(SignatureError::Stale)),
            (timestamp, signature, &["new", "", "dk"], at, Ok(())),
            (timestamp, signature, &["new"], at, Err(SignatureError::Mismatch)),
            (timestamp, signature, &[], at, Err(SignatureError::NoKey)),
            (timestamp, signature, &[""], at, Err(SignatureError::NoKey)),
            (None, signature, &["dk"], at, missing(TIMESTAMP_HEADER)),
            (timestamp, None, &["dk"], at, missing(SIGNATURE_HEADER)),
            (Some(""), signature, &["dk"], at, Err(SignatureError::Timestamp)),
            (Some("1782554400.0"), signature, &["dk"], at, Err(SignatureError::Timestamp)),
            (Some("١"), signature, &["dk"], at, Err(SignatureError::Timestamp)),
            (Some("99999999999999999999999"), signature, &["dk"], at, Err(SignatureError::Stale)),
            (timestamp, Some(""), &["dk"], at, Err(SignatureError::Signature)),
            (timestamp, Some(&good[1..]), &["dk"], at, Err(SignatureError::Signature)),
        ] {
            let ours = verify(body, timestamp, signature, &keys(list), unix_s);
            assert_eq!(ours, expected, "{timestamp:?} {signature:?} {list:?} {unix_s}");
        }
        // A replay with another body.
        assert_eq!(verify(b"other", timestamp, signature, &keys(&["dk"]), at), Err(SignatureError::Mismatch));
    }
}
