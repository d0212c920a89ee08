//! What is attached to a message (E-7).

use super::{Buffer, Span};
use crate::json;

/// What an attachment is, by the connector's word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MediaKind<'a>(&'a str);

impl<'a> MediaKind<'a> {
    /// The connector's word: `image`, `voice`, `audio`, `video`, `document` or another. `voice` and `audio` stay
    /// distinct (E-2).
    pub fn name(self) -> &'a str {
        self.0
    }
}

/// One attachment (E-7). What the connector did not say of its URL is unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Media<'a> {
    /// Where it can be fetched.
    pub url: &'a str,
    /// What it is.
    pub kind: Option<MediaKind<'a>>,
    /// Its MIME type.
    pub mime: Option<&'a str>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// The name it had.
    pub filename: Option<&'a str>,
    /// The text that goes with it.
    pub caption: Option<&'a str>,
}

/// An attachment's texts in the event's buffer.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Attached {
    url: Span,
    kind: Span,
    mime: Span,
    filename: Span,
    caption: Span,
    size: Option<u64>,
}

impl Attached {
    pub(super) fn view<'a>(&self, buffer: &'a Buffer) -> Media<'a> {
        let get = |span: Span| buffer.get(span).filter(|text| !text.is_empty());
        Media {
            url: buffer.get(self.url).unwrap_or(""),
            kind: get(self.kind).map(MediaKind),
            mime: get(self.mime),
            size: self.size,
            filename: get(self.filename),
            caption: get(self.caption),
        }
    }
}

const FIELDS: [&str; 6] = ["url", "kind", "mime", "filename", "caption", "size"];

/// Reads `media_urls`, each with the `media` entry of the same URL, wherever that stands (E-7).
pub(super) fn read(urls: Option<&str>, media: Option<&str>, buffer: &mut Buffer) -> Vec<Attached> {
    let mut attached = Vec::new();
    json::known_each(urls.unwrap_or("null"), |raw| {
        if let Some(url) = buffer.string(raw).filter(|url| url.len() > 0) {
            if attached.is_empty() {
                // One allocation for what there usually is.
                attached.reserve_exact(4);
            }
            let none = Span::ABSENT;
            attached.push(Attached {
                url,
                kind: none,
                mime: none,
                filename: none,
                caption: none,
                size: None,
            });
        }
    });
    if attached.is_empty() {
        return attached;
    }
    json::known_each(media.unwrap_or("null"), |raw| {
        let Some([Some(url), kind, mime, filename, caption, size]) = json::known_fields(raw, &FIELDS) else {
            return;
        };
        let mark = buffer.mark();
        let Some(url) = buffer.string(url) else { return };
        let matches = |entry: &&mut Attached| buffer.get(entry.url) == buffer.get(url) && entry.is_bare();
        let found = attached.iter_mut().find(matches);
        buffer.rewind(mark);
        if let Some(entry) = found {
            entry.kind = buffer.optional(kind);
            entry.mime = buffer.optional(mime);
            entry.filename = buffer.optional(filename);
            entry.caption = buffer.optional(caption);
            entry.size = size.and_then(|raw| raw.parse().ok());
        }
    });
    attached
}

impl Attached {
    /// Whether nothing is known of it yet: of two URLs that are alike each gets an entry of its own.
    fn is_bare(&self) -> bool {
        let none = Span::ABSENT;
        self.size.is_none()
            && [self.kind, self.mime, self.filename, self.caption].iter().all(|span| *span == none)
    }
}
