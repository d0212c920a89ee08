//! Forwarded platform requests (P).

mod interaction;

pub(crate) use interaction::read as interaction;

use crate::json::{self, Kind};
use data_encoding::{BASE64, BASE64_NOPAD};
use serde::Serialize;

/// The kind of follow-up that answers a Discord interaction (P-8). The connector keeps the token itself: the gateway
/// never holds a platform's credential (M-4).
pub const INTERACTION_TOKEN: &str = "discord.interaction_token";

/// A platform's HTTP request, as the connector forwarded it. Nothing in it has been verified here: that is the
/// connector's business (C-5).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Forward {
    /// The platform it is from.
    pub platform: String,
    /// The bot it is for.
    #[serde(rename = "botId")]
    pub bot_id: String,
    /// The HTTP method.
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// The headers, in order (P-1).
    pub headers: Vec<(String, String)>,
    /// The body; empty when it could not be decoded (P-1).
    #[serde(rename = "bodyB64", serialize_with = "as_base64")]
    pub body: Vec<u8>,
    /// The agent profile it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    #[serde(skip)]
    raw: Option<Box<str>>,
}

fn as_base64<S: serde::Serializer>(body: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(body))
}

/// Bytes that an allocation costs beside its content.
const ALLOCATION: usize = 24;

pub(crate) const FIELDS: [&str; 7] = ["platform", "botId", "method", "path", "headers", "bodyB64", "profile"];

impl Forward {
    /// Reads a `forward` value, and whether its body decoded. `None` when it is no object. What is missing or of the
    /// wrong type is empty.
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

    /// Bytes that it keeps alive, for the bounds of queues.
    pub(crate) fn weight(&self) -> usize {
        let Forward { platform, bot_id, method, path, headers, body, profile, raw } = self;
        let texts = [platform, bot_id, method, path].into_iter().chain(profile);
        let texts = texts.chain(headers.iter().flat_map(|(name, value)| [name, value]));
        let pairs = headers.capacity() * size_of::<(String, String)>();
        // What an allocator takes for a short text is more than the text.
        let heap = |text: &String| if text.capacity() == 0 { 0 } else { text.capacity() + ALLOCATION };
        let raw = raw.as_ref().map_or(0, |raw| raw.len());
        size_of::<Forward>() + texts.map(heap).sum::<usize>() + body.capacity() + pairs + raw
    }
}

/// Standard base64, padded or not, and nothing else (P-1).
fn decode(encoded: &str) -> Option<Vec<u8>> {
    let bare = encoded.trim_end_matches('=');
    // Padding, where there is any, completes the last group of four.
    let padded =
        bare.len() == encoded.len() || (encoded.len().is_multiple_of(4) && encoded.len() - bare.len() <= 2);
    BASE64_NOPAD.decode(bare.as_bytes()).ok().filter(|_| padded)
}

/// Header pairs in their order; what is no pair of two strings is dropped (P-1).
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
    fn p_1_header_pairs_keep_their_order_and_what_is_no_pair_is_dropped() {
        let raw = r#"{"headers":[["b","2"],["a","1"],["b","3"],["x"],["x","y","z"],"x",["x",1],null]}"#;
        let (forward, _) = Forward::read(raw).unwrap();
        let shown: Vec<String> =
            forward.headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown, ["b=2", "a=1", "b=3"]);
    }
}
