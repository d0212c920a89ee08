//! What is attached to a message (E-7).

use super::{Buffer, MadeMedia, Span};
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
    /// One of an event that is put together here.
    pub(super) fn make(media: &MadeMedia, buffer: &mut Buffer) -> Attached {
        Attached {
            url: buffer.add(&media.url),
            kind: buffer.add(media.kind),
            mime: buffer.add(&media.mime),
            filename: buffer.add(&media.filename),
            caption: buffer.add(&media.caption),
            size: media.size,
        }
    }

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

pub(crate) const FIELDS: [&str; 6] = ["url", "kind", "mime", "filename", "caption", "size"];

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
    let mut by_url = ByUrl::new(&attached, buffer);
    json::known_each(media.unwrap_or("null"), |raw| {
        let Some([Some(url), kind, mime, filename, caption, size]) = json::known_fields(raw, &FIELDS) else {
            return;
        };
        let mark = buffer.mark();
        let Some(url) = buffer.string(url) else { return };
        let found = by_url.find(url, &attached, buffer);
        buffer.rewind(mark);
        if let Some(entry) = found.and_then(|at| attached.get_mut(at)) {
            entry.kind = buffer.optional(kind);
            entry.mime = buffer.optional(mime);
            entry.filename = buffer.optional(filename);
            entry.caption = buffer.optional(caption);
            entry.size = size.and_then(json::whole).and_then(|size| u64::try_from(size).ok());
        }
    });
    attached
}

/// Up to so many are looked through one by one.
const FEW: usize = 16;

/// Finds attachments by URL. A line can name tens of thousands of both: those are looked up in order of URL, so that
/// what an event costs grows with its line and no faster.
struct ByUrl {
    /// Positions by URL, and those of one URL as they came; nothing where there are few.
    order: Vec<usize>,
    /// Where the first of a URL stands in `order`: how many of them have their entry.
    done: Vec<usize>,
}

impl ByUrl {
    fn new(attached: &[Attached], buffer: &Buffer) -> ByUrl {
        if attached.len() <= FEW {
            return ByUrl { order: Vec::new(), done: Vec::new() };
        }
        let mut order: Vec<usize> = (0..attached.len()).collect();
        order.sort_by_key(|at| buffer.get(attached[*at].url));
        ByUrl { done: vec![0; order.len()], order }
    }

    /// The first of this URL of which nothing is known yet.
    fn find(&mut self, url: Span, attached: &[Attached], buffer: &Buffer) -> Option<usize> {
        let url = buffer.get(url);
        let is_it = |at: &usize| buffer.get(attached[*at].url) == url;
        if self.order.is_empty() {
            return (0..attached.len()).find(|at| is_it(at) && attached[*at].is_bare());
        }
        let first = self.order.partition_point(|at| buffer.get(attached[*at].url) < url);
        let done = self.done.get_mut(first)?;
        loop {
            let at = self.order.get(first + *done).copied().filter(is_it)?;
            if attached[at].is_bare() {
                return Some(at);
            }
            *done += 1;
        }
    }
}

impl Attached {
    /// Whether nothing is known of it yet: of two URLs that are alike each gets an entry of its own.
    fn is_bare(&self) -> bool {
        let none = Span::ABSENT;
        self.size.is_none()
            && [self.kind, self.mime, self.filename, self.caption].iter().all(|span| *span == none)
    }
}

#[cfg(test)]
mod tests {
    use crate::event::Event;

    /// A line of a mebibyte holds some ten thousands of both.
    fn many(urls: usize, entries: usize, of: fn(usize) -> usize) -> String {
        let urls: Vec<String> = (0..urls).map(|n| format!("\"u{n}\"")).collect();
        let entries: Vec<String> =
            (0..entries).map(|n| format!("{{\"url\":\"u{}\",\"size\":{n}}}", of(n))).collect();
        format!("{{\"media_urls\":[{}],\"media\":[{}]}}", urls.join(","), entries.join(","))
    }

    #[test]
    fn e_7_many_are_paired_like_few() {
        // Entries that no URL has, and entries in the other order.
        for of in [|n| n + 1_000_000, |n| 19_999 - n] {
            let event = Event::read(&many(20_000, 20_000, of)).unwrap();
            assert_eq!(event.media().count(), 20_000);
        }
        let event = Event::read(&many(20_000, 20_000, |n| 19_999 - n)).unwrap();
        assert!(event.media().enumerate().all(|(at, one)| one.size == u64::try_from(19_999 - at).ok()));
        // Of URLs that are alike each gets an entry of its own, in order.
        let urls = vec!["\"u\""; 50].join(",");
        let entries: Vec<String> = (0..60).map(|n| format!("{{\"url\":\"u\",\"size\":{n}}}")).collect();
        let line = format!("{{\"media_urls\":[{urls}],\"media\":[{}]}}", entries.join(","));
        let sizes: Vec<u64> = Event::read(&line).unwrap().media().filter_map(|one| one.size).collect();
        assert_eq!(sizes, (0..50).collect::<Vec<_>>());
    }
}
