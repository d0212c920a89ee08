//! Uploads and downloads of media through the connector, which has the platforms' sockets.

use super::failure::{header, judge};
use super::{Base, Bearer, Body, Failure, Insecure, JSON, MAX_RESPONSE, Request};
use ::http::Method;
use ::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use relayline_core::json;
use std::time::Duration;
use url::Url;

/// Maximum size of a file, in bytes.
pub const MAX_MEDIA: u64 = 25 << 20;
/// Time-out of an upload or a download.
pub const MEDIA_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum length of a file name, in bytes.
const MAX_NAME: usize = 255;
const MEDIA_FILENAME: HeaderName = HeaderName::from_static("x-media-filename");

/// An upload.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Upload {
    /// Base URL of the connector.
    pub base: Base,
    /// A fresh upgrade token.
    pub upgrade_token: Bearer,
    /// MIME type, for instance `image/png`.
    pub content_type: String,
    /// Name of the file. Of a path, only the part after the last slash is sent.
    pub filename: Option<String>,
    /// Size in bytes.
    pub length: u64,
}

/// A file that the connector has stored.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Uploaded {
    /// URL for messages: `<base>/relay/media/<id>`.
    pub url: String,
    /// Id of the file.
    pub id: String,
    /// Size that the connector counted, if it sent it.
    pub size: Option<u64>,
}

/// A download. The host streams the body, up to [`Request::max_response`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Download {
    url: Url,
    upgrade_token: Option<Bearer>,
}

/// Headers of a downloaded file.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Downloaded {
    /// MIME type without its parameters, if the connector sent one.
    pub content_type: Option<String>,
}

/// Error returned when an upload or a download fails.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// The file is too large. Known sizes are checked before anything is sent.
    #[error("the file is too large: {} MiB at most", MAX_MEDIA >> 20)]
    TooLarge,
    /// There are no credentials.
    #[error("files go to the connector with credentials only: set GATEWAY_RELAY_ID and GATEWAY_RELAY_SECRET")]
    NoCredentials,
    /// The host could not read or write the file, or its length differs from the announced one.
    #[error("the file: {0}")]
    File(String),
    /// The text is not a MIME type.
    #[error("{0:?} is not a MIME type: write one as in image/png")]
    ContentType(String),
    /// The URL cannot be fetched.
    #[error("the media URL is not an http or https URL without user-info")]
    Url,
    /// The connector refused the upgrade token.
    #[error("{0} refused the credentials (401): check the gateway's id and secret, and the clock")]
    NotVerified(String),
    /// The file does not exist, or no longer.
    #[error("{0} has no such file, or no longer")]
    Gone(String),
    /// A redirect. It is not followed, since credentials must stay with their host.
    #[error("{host} answered with a redirect (status {status}), which is not followed")]
    Redirect {
        /// Host and port.
        host: String,
        /// Status, 300 to 399.
        status: u16,
    },
    /// The response has no usable id.
    #[error("unexpected response from {0}: it holds no usable media id")]
    NoId(String),
    /// Credentials would be sent to the connector unencrypted.
    #[error(transparent)]
    Insecure(#[from] Insecure),
    /// The exchange failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Upload {
    /// Creates the upload of a file of `length` bytes without a name.
    pub fn new(base: Base, upgrade_token: Bearer, content_type: impl Into<String>, length: u64) -> Upload {
        Upload { base, upgrade_token, content_type: content_type.into(), filename: None, length }
    }

    /// Returns the request. The host streams the file as its body.
    ///
    /// # Errors
    ///
    /// Returns [`MediaError::TooLarge`] if the file is larger than [`MAX_MEDIA`], and [`MediaError::ContentType`] if
    /// the type is not a MIME type.
    pub fn request(&self) -> Result<Request, MediaError> {
        if self.length > MAX_MEDIA {
            return Err(MediaError::TooLarge);
        }
        let mime = self.content_type.trim();
        let mime = HeaderValue::from_str(mime).ok().filter(|_| mime.contains('/') && mime.is_ascii());
        let mime = mime.ok_or_else(|| MediaError::ContentType(self.content_type.clone()))?;
        let mut headers = HeaderMap::from_iter([
            (AUTHORIZATION, self.upgrade_token.header()),
            (CONTENT_TYPE, mime),
            (ACCEPT, HeaderValue::from_static(JSON)),
        ]);
        let name = self.filename.as_deref().map(file_name).filter(|name| !name.is_empty());
        // As bytes, since file names are not limited to ASCII.
        if let Some(name) = name.and_then(|name| HeaderValue::from_bytes(name.as_bytes()).ok()) {
            headers.insert(MEDIA_FILENAME, name);
        }
        Ok(Request {
            method: Method::POST,
            url: self.base.endpoint("media"),
            headers,
            body: Body::Upload(self.length),
            timeout: MEDIA_TIMEOUT,
            max_response: MAX_RESPONSE,
        })
    }

    /// Reads the response.
    pub fn read(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Result<Uploaded, MediaError> {
        let host = self.base.host();
        let text = judge(host, status, headers, body, &[&self.upgrade_token.0]).map_err(meaning)?;
        let [id, size] = json::fields(&text, &["id", "size"]).unwrap_or_default();
        let id = id.and_then(json::id).filter(|id| is_media_id(id));
        let id = id.ok_or_else(|| MediaError::NoId(host.to_owned()))?;
        let url = self.base.endpoint(&format!("media/{id}"));
        Ok(Uploaded { url, id, size: size.and_then(json::whole).and_then(|size| u64::try_from(size).ok()) })
    }
}

impl Download {
    /// Creates a download of `url`. The upgrade token is sent only to the connector's own scheme, host and port below
    /// `/relay/media/`. Other URLs are fetched without it.
    pub fn new(url: &str, base: &Base, upgrade_token: Option<Bearer>) -> Result<Download, MediaError> {
        let mut url = Url::parse(url.trim()).map_err(|_| MediaError::Url)?;
        let plain = url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !plain {
            return Err(MediaError::Url);
        }
        url.set_fragment(None);
        let upgrade_token = upgrade_token.filter(|_| base.owns(&url));
        Ok(Download { url, upgrade_token })
    }

    /// Returns the request, with the URL as it was parsed and checked.
    pub fn request(&self) -> Request {
        let bearer = self.upgrade_token.as_ref().map(|token| (AUTHORIZATION, token.header()));
        Request {
            method: Method::GET,
            url: self.url.as_str().to_owned(),
            headers: bearer.into_iter().collect(),
            body: Body::Empty,
            timeout: MEDIA_TIMEOUT,
            max_response: usize::try_from(MAX_MEDIA).unwrap_or(usize::MAX),
        }
    }

    /// Reads status and headers. `body` is read only if the status is not a success, and may be cut off. The body of
    /// a success is the file, which the host streams; one that is longer than `max_response` is
    /// [`MediaError::TooLarge`].
    pub fn read(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Result<Downloaded, MediaError> {
        if (200..300).contains(&status) {
            let length = header(headers, CONTENT_LENGTH).and_then(|length| length.trim().parse::<u64>().ok());
            if length.is_some_and(|length| length > MAX_MEDIA) {
                return Err(MediaError::TooLarge);
            }
            let mime = header(headers, CONTENT_TYPE).and_then(|mime| mime.split(';').next());
            let mime = mime.map(str::trim).filter(|mime| !mime.is_empty());
            return Ok(Downloaded { content_type: mime.map(str::to_owned) });
        }
        let request_host = super::host(self.url.as_str());
        let hidden: Vec<_> = self.upgrade_token.iter().map(|bearer| &bearer.0).collect();
        let body = &body[..body.len().min(MAX_RESPONSE)];
        match judge(request_host, status, headers, body, &hidden) {
            Err(failure) => Err(meaning(failure)),
            // Successes were handled above.
            Ok(_) => Err(MediaError::Failed(Failure::NotJson { host: request_host.to_owned() })),
        }
    }
}

impl Base {
    /// Returns true if `url` is one of the connector's media: the same scheme, host and port, and below
    /// `/relay/media/` an id that a server cannot read as another path.
    fn owns(&self, url: &Url) -> bool {
        let Ok(own) = Url::parse(&self.endpoint("media/")) else {
            return false;
        };
        let id = url.path().strip_prefix(own.path());
        own.scheme() == url.scheme()
            && own.host() == url.host()
            && own.port_or_known_default() == url.port_or_known_default()
            && id.is_some_and(is_media_id)
    }
}

/// Converts statuses with a meaning for media.
fn meaning(failure: Failure) -> MediaError {
    match failure {
        Failure::Status { status: 401, host, .. } => MediaError::NotVerified(host),
        Failure::Status { status: 404 | 410, host, .. } => MediaError::Gone(host),
        Failure::Status { status: 413, .. } => MediaError::TooLarge,
        Failure::Redirect { host, status, .. } => MediaError::Redirect { host, status },
        other => other.into(),
    }
}

/// Returns true if the id is one unambiguous path segment.
fn is_media_id(id: &str) -> bool {
    let fits = !id.is_empty() && id.len() <= 255 && !matches!(id, "." | "..");
    fits && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~'))
}

/// Returns the part after the last slash or backslash, without characters that a header cannot have, cut to the
/// maximum length.
fn file_name(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut name: String = name.chars().filter(|c| !c.is_control()).collect();
    let mut end = name.len().min(MAX_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url::DialUrl;
    use ::http::header::LOCATION;
    use relayline_core::secret::Secret;

    fn base(url: &str) -> Base {
        Base::new(&DialUrl::parse(url).unwrap(), true).unwrap()
    }

    fn token() -> Bearer {
        Bearer::new(&Secret::new("t0ken")).unwrap()
    }

    fn upload(content_type: &str, filename: Option<&str>, length: u64) -> Upload {
        Upload {
            base: base("wss://c.example/tenant"),
            upgrade_token: token(),
            content_type: content_type.into(),
            filename: filename.map(str::to_owned),
            length,
        }
    }

    #[test]
    fn the_bearer_goes_to_the_connectors_media_only() {
        let to = |base_url: &str, url: &str| {
            let download = Download::new(url, &base(base_url), Some(token())).ok()?;
            let headers = download.request().headers;
            Some(headers.get(AUTHORIZATION).is_some_and(|value| value == "Bearer t0ken"))
        };
        for (url, expected) in [
            ("https://c.example/relay/media/7", Some(true)),
            ("HTTPS://C.Example:443/relay/media/a-b_c.~1?size=2#top", Some(true)),
            ("https://c.example/relay/x/../media/7", Some(true)),
            // With another scheme, host or port.
            ("http://c.example/relay/media/7", Some(false)),
            ("https://c.example:444/relay/media/7", Some(false)),
            ("https://c.example.evil.example/relay/media/7", Some(false)),
            ("https://evil-c.example/relay/media/7", Some(false)),
            ("https://sub.c.example/relay/media/7", Some(false)),
            ("https://c.example./relay/media/7", Some(false)),
            ("https://с.example/relay/media/7", Some(false)), // a Cyrillic letter
            ("https://evil.example/?https://c.example/relay/media/7", Some(false)),
            ("https://evil.example\\@c.example/relay/media/7", Some(false)),
            ("https:\\\\evil.example/relay/media/7", Some(false)),
            // With another path, in any spelling.
            ("https://c.example/relay/media", Some(false)),
            ("https://c.example/relay/media/", Some(false)),
            ("https://c.example/relay/mediax/7", Some(false)),
            ("https://c.example/relay/media/../provision", Some(false)),
            ("https://c.example/relay/media/%2e%2e/provision", Some(false)),
            ("https://c.example/relay/media/..%2fprovision", Some(false)),
            ("https://c.example/relay/media/7/8", Some(false)),
            ("https://c.example/relay/media//evil.example/7", Some(false)),
            ("https://c.example/relay%2fmedia/7", Some(false)),
            ("https://c.example/RELAY/media/7", Some(false)),
            ("https://c.example/tenant/relay/media/7", Some(false)),
            // URLs that cannot be fetched at all.
            ("https://c.example@evil.example/relay/media/7", None),
            ("https://t0ken@c.example/relay/media/7", None),
            ("wss://c.example/relay/media/7", None),
            ("file:///relay/media/7", None),
            ("//c.example/relay/media/7", None),
            ("", None),
        ] {
            assert_eq!(to("wss://c.example", url), expected, "{url}");
        }
        assert_eq!(to("wss://c.example/tenant", "https://c.example/tenant/relay/media/7"), Some(true));
        assert_eq!(to("wss://c.example/tenant", "https://c.example/other/relay/media/7"), Some(false));
        assert_eq!(to("ws://127.0.0.1:9", "http://127.0.0.1:9/relay/media/7"), Some(true));
        assert_eq!(to("ws://127.0.0.1:9", "http://localhost:9/relay/media/7"), Some(false));
        // The request is sent to exactly the URL that was checked.
        let download =
            Download::new("https://c.example/relay/x/../media/7#top", &base("wss://c.example"), None);
        assert_eq!(download.unwrap().request().url, "https://c.example/relay/media/7");
    }

    #[test]
    fn an_upload_is_named_and_bounded() {
        let long = "ü".repeat(200);
        for (name, expected) in [
            (Some("/home/me/cat.png"), Some("cat.png")),
            (Some("C:\\me\\a\r\nb.png"), Some("ab.png")),
            (Some(long.as_str()), Some(&long[..254])),
            (Some("dir/"), None),
            (None, None),
        ] {
            let request = upload("image/png", name, MAX_MEDIA).request().unwrap();
            assert_eq!(request.url, "https://c.example/tenant/relay/media");
            assert_eq!((request.body, request.timeout.as_secs()), (Body::Upload(26_214_400), 30));
            let sent = request.headers.get(MEDIA_FILENAME).map(HeaderValue::as_bytes);
            assert_eq!(sent, expected.map(str::as_bytes));
        }
        assert_eq!(upload("image/png", None, MAX_MEDIA + 1).request(), Err(MediaError::TooLarge));
        for mime in ["", "png", "image/png\r\nx: y"] {
            assert_eq!(upload(mime, None, 1).request(), Err(MediaError::ContentType(mime.into())));
        }
    }

    #[test]
    fn each_answer_to_media_has_its_meaning() {
        let read = |status, body: &[u8]| upload("image/png", None, 1).read(status, &HeaderMap::new(), body);
        let uploaded = read(200, br#"{"id":"m_1","size":9}"#).unwrap();
        let reference = ("https://c.example/tenant/relay/media/m_1", Some(9));
        assert_eq!((uploaded.url.as_str(), uploaded.size), reference);
        assert_eq!(read(201, br#"{"id":7}"#).map(|uploaded| uploaded.id), Ok("7".into()));
        for (status, body, expected) in [
            (200, &b"{}"[..], "unexpected response from c.example: it holds no usable media id"),
            (
                200,
                br#"{"id":"../provision"}"#,
                "unexpected response from c.example: it holds no usable media id",
            ),
            (
                401,
                b"",
                "c.example refused the credentials (401): check the gateway's id and secret, and the clock",
            ),
            (413, b"", "the file is too large: 25 MiB at most"),
            (507, br#"{"error":"disk full"}"#, "c.example answered with status 507: disk full"),
        ] {
            assert_eq!(read(status, body).unwrap_err().to_string(), expected);
        }
        let download =
            Download::new("https://c.example/relay/media/7", &base("wss://c.example"), Some(token()))
                .unwrap();
        let one = |name, value| HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        let mime = one(CONTENT_TYPE, "image/png; x=y");
        let read = |status, headers: &HeaderMap| download.read(status, headers, b"\x89PNG");
        assert_eq!(read(200, &mime), Ok(Downloaded { content_type: Some("image/png".into()) }));
        assert_eq!(read(200, &one(CONTENT_LENGTH, "26214401")), Err(MediaError::TooLarge));
        assert_eq!(read(410, &HeaderMap::new()), Err(MediaError::Gone("c.example".into())));
        let moved = MediaError::Redirect { host: "c.example".into(), status: 302 };
        assert_eq!(read(302, &one(LOCATION, "https://cdn.example/")), Err(moved));
    }
}
