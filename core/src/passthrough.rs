//! Platform requests that the connector forwards.

mod interaction;

pub(crate) use interaction::read as interaction;

use crate::json::{self, Kind};
use data_encoding::{BASE64, BASE64_NOPAD};
use serde::Serialize;

/// Kind of the follow-up that answers a Discord interaction. The connector keeps the interaction token itself, so the
/// gateway never holds a platform's credential.
pub const INTERACTION_TOKEN: &str = "discord.interaction_token";

/// HTTP request of a platform, as the connector forwarded it. The connector has verified it; the gateway does not
/// verify it again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Forward {
    /// Platform that sent the request.
    pub platform: String,
    /// Id of the bot.
    #[serde(rename = "botId")]
    pub bot_id: String,
    /// HTTP method.
    pub method: String,
    /// Path with its query.
    pub path: String,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
    /// Body; empty if it could not be decoded.
    #[serde(rename = "bodyB64", serialize_with = "as_base64")]
    pub body: Vec<u8>,
    /// Agent profile of the bot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    #[serde(skip)]
    raw: Option<Box<str>>,
}

fn as_base64<S: serde::Serializer>(body: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(body))
}

/// Overhead of an allocation, in bytes.
const ALLOCATION: usize = 24;

pub(crate) const FIELDS: [&str; 7] = ["platform", "botId", "method", "path", "headers", "bodyB64", "profile"];

impl Forward {
    /// Reads a `forward` value. Returns it with a flag that is true if its body could be decoded, or `None` if the
    /// value is not an object. Fields that are missing or of the wrong type are empty.
    pub fn read(raw: &str) -> Option<(Forward, bool)> {
        let mut room = String::new();
        let [platform, bot_id, method, path, headers, body, profile] =
            json::peer_fields(raw, &mut room, &FIELDS)?;
        let text = |raw: Option<&str>| raw.and_then(json::id).unwrap_or_default();
        let decoded = match body.map(|raw| (json::kind(raw), json::string(raw))) {
            None | Some((Kind::Null, _)) => Some(Vec::new()),
            Some((_, Some(encoded))) => decode(&encoded),
            Some((_, None)) => None,
        };
        let clean = decoded.is_some();
        let forward = Forward {
            platform: text(platform),
            bot_id: text(bot_id),
            method: text(method),
            path: text(path),
            headers: pairs(headers.unwrap_or("null")),
            body: decoded.unwrap_or_default(),
            profile: profile.and_then(json::string).filter(|name| !name.is_empty()),
            raw: None,
        };
        Some((forward, clean))
    }

    /// Returns the JSON that the forward came as, if the configuration asks for it (`raw_events`, X-4).
    pub fn raw(&self) -> Option<&str> {
        self.raw.as_deref()
    }

    /// Keeps the JSON that the forward came as.
    pub(crate) fn keep_raw(&mut self, raw: Box<str>) {
        self.raw = Some(raw);
    }

    /// Returns the number of bytes that the forward keeps alive.
    pub(crate) fn weight(&self) -> usize {
        let Forward { platform, bot_id, method, path, headers, body, profile, raw } = self;
        let texts = [platform, bot_id, method, path].into_iter().chain(profile);
        let texts = texts.chain(headers.iter().flat_map(|(name, value)| [name, value]));
        let pairs = headers.capacity() * size_of::<(String, String)>();
        // The overhead of a short text exceeds its length.
        let heap = |text: &String| if text.capacity() == 0 { 0 } else { text.capacity() + ALLOCATION };
        let raw = raw.as_ref().map_or(0, |raw| raw.len());
        size_of::<Forward>() + texts.map(heap).sum::<usize>() + body.capacity() + pairs + raw
    }
}

/// Decodes standard base64, padded or not (P-1).
fn decode(encoded: &str) -> Option<Vec<u8>> {
    let bare = encoded.trim_end_matches('=');
    // Padding, if present, completes the last group of four.
    let padded =
        bare.len() == encoded.len() || (encoded.len().is_multiple_of(4) && encoded.len() - bare.len() <= 2);
    BASE64_NOPAD.decode(bare.as_bytes()).ok().filter(|_| padded)
}

/// Reads header pairs in order. Items that are not a pair of two strings are dropped (P-1).
fn pairs(raw: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    json::each(raw, |pair| {
        let mut texts = Vec::new();
        json::each(pair, |raw| texts.push(json::string(raw)));
        if let [Some(name), Some(value)] = texts.as_mut_slice() {
            pairs.push((std::mem::take(name), std::mem::take(value)));
        }
    });
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_1_bodies_decode_strictly_or_read_as_empty() {
        for (raw, body, clean) in [
            (r#""aGk=""#, "hi", true),
            (r#""aGk""#, "hi", true),
            (r#""""#, "", true),
            ("null", "", true),
            (r#""aGk=aGk=""#, "", false),
            (r#""====""#, "", false),
            (r#""!!!not base64!!!""#, "", false),
            (r#""aGk-_w""#, "", false),
            (r#""aG k=""#, "", false),
            (r#""aGl=""#, "", false),
            ("12345", "", false),
            (r#"["aGk="]"#, "", false),
        ] {
            let (forward, is_clean) = Forward::read(&format!(r#"{{"bodyB64":{raw}}}"#)).unwrap();
            assert_eq!((forward.body.as_slice(), is_clean), (body.as_bytes(), clean), "{raw}");
        }
        assert!(Forward::read("[]").is_none());
        assert!(Forward::read("{}").is_some_and(|(_, clean)| clean));
    }

    #[test]
    fn x_1_the_weight_of_a_forward_includes_its_raw_json() {
        let (mut forward, _) = Forward::read("{}").unwrap();
        let bare = forward.weight();
        forward.keep_raw("x".repeat(1000).into());
        assert_eq!(forward.weight(), bare + 1000);
    }

    #[test]
    fn p_1_header_pairs_keep_their_order_and_others_are_dropped() {
        let raw = r#"{"headers":[["b","2"],["a","1"],["b","3"],["x"],["x","y","z"],"x",["x",1],null]}"#;
        let (forward, _) = Forward::read(raw).unwrap();
        let shown: Vec<String> =
            forward.headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown, ["b=2", "a=1", "b=3"]);
    }
}
