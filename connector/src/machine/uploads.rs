//! Policies (H-5) and files (H-7) that a gateway uploads, and its downloads.

use super::ConnectorMachine;
use crate::config::MAX_NAMES;
use crate::http::{Fields, HttpHead, HttpResponse, Refusal, Served};
use crate::media::{File, Lookup};
use bytes::Bytes;
use relayline_core::time::Now;
use serde_json::{Value, json};

/// Maximum length of a file's name, in bytes (H-7).
const MAX_NAME: usize = 255;

impl ConnectorMachine {
    pub(super) fn take_policy(&mut self, id: &str, body: &[u8]) -> Result<Served, Refusal> {
        let fields = Fields::read(body)?;
        let platform = fields.name("platform")?;
        let policy = json!({
            "platform": platform,
            "requireAddress": fields.flag("requireAddress")?,
            "freeResponseScopes": fields.texts("freeResponseScopes")?,
            "allowOtherBots": fields.flag("allowOtherBots")?,
        });
        let policies = self.gateways.get_mut(id).map(|gateway| &mut gateway.account.policies);
        if let (Some(policies), Value::Object(policy)) = (policies, &policy) {
            if policies.len() >= MAX_NAMES && !policies.contains_key(platform) {
                return Err(Refusal::new(503, "too many platforms"));
            }
            policies.insert(platform.to_owned(), policy.clone());
        }
        Ok(served(id, json!({ "ok": true }), policy))
    }

    pub(super) fn take_media(
        &mut self,
        now: Now,
        id: &str,
        head: &HttpHead<'_>,
        content: Bytes,
    ) -> Result<Served, Refusal> {
        let mime = head.content_type.map(str::trim).filter(|mime| is_mime(mime));
        let mime =
            mime.ok_or_else(|| Refusal::new(400, "content-type must name a MIME type, as image/png"))?;
        let name = head.media_filename.map(file_name).transpose()?.filter(|name| !name.is_empty());
        let size = content.len();
        let asked = json!({ "contentType": mime, "filename": name, "size": size });
        let media_id = self.issuer.media_id();
        let file = File {
            gateway: id.to_owned(),
            content_type: mime.to_owned(),
            name,
            content,
            expires: now.mono + self.config.media_ttl,
        };
        let limits = &self.config.limits;
        let kept = self.media.insert(media_id.clone(), file, limits.media_files, limits.media_bytes);
        self.stats.evicted_media += kept.ok_or_else(|| Refusal::new(413, "the body is too large"))?;
        Ok(served(id, json!({ "id": media_id, "size": size }), asked))
    }

    /// Returns a file to the gateway that has uploaded it.
    pub(super) fn give_media(&self, now: Now, id: &str, media_id: &str) -> Result<Served, Refusal> {
        let file = match self.media.find(media_id, id, now.mono) {
            Lookup::File(file) => file,
            Lookup::Gone => return Err(Refusal::new(410, "the file is gone")),
            Lookup::Unknown => return Err(Refusal::new(404, "no such file")),
        };
        let mut headers = vec![("content-type", file.content_type.clone())];
        headers.extend(file.name.clone().map(|name| ("x-media-filename", name)));
        let response = HttpResponse { status: 200, headers, body: file.content.clone() };
        let shown =
            json!({ "contentType": file.content_type, "filename": file.name, "size": file.content.len() });
        Ok(Served { gateway: id.to_owned(), response, asked: None, answered: Some(shown) })
    }
}

fn served(id: &str, answer: Value, asked: Value) -> Served {
    Served {
        gateway: id.to_owned(),
        response: HttpResponse::json(200, &answer),
        asked: Some(asked),
        answered: Some(answer),
    }
}

fn is_mime(text: &str) -> bool {
    let fits = text.len() <= MAX_NAME && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    let (kind, rest) = text.split_once('/').unwrap_or_default();
    fits && !kind.is_empty() && !rest.is_empty()
}

fn file_name(bytes: &[u8]) -> Result<String, Refusal> {
    if bytes.len() > MAX_NAME {
        return Err(Refusal::new(
            400,
            format!("x-media-filename has {} bytes, {MAX_NAME} at most", bytes.len()),
        ));
    }
    let name = std::str::from_utf8(bytes).ok().filter(|name| !name.chars().any(char::is_control));
    name.map(|name| name.trim().to_owned()).ok_or_else(|| Refusal::new(400, "x-media-filename is not UTF-8"))
}
