//! Attachments of a message.

use super::read::{name, size, text};
use super::record::record;
use super::{CompactString, MediaKind};
use crate::json;

record! {
    /// An attachment. Fields that the connector does not send are absent.
    pub struct Media {
        /// URL of the file.
        pub url: CompactString,
        /// Kind of the attachment.
        pub kind: Option<MediaKind>,
        /// MIME type.
        pub mime: Option<CompactString>,
        /// Size in bytes.
        pub size: Option<u64>,
        /// Name of the file.
        pub filename: Option<CompactString>,
        /// Caption of the attachment.
        pub caption: Option<CompactString>,
    }
}

/// Names of the fields of an entry of `media`.
pub(crate) const FIELDS: [&str; 6] = ["url", "kind", "mime", "filename", "caption", "size"];

/// Reads `media_urls`, each with the `media` entry of the same URL, wherever that is (E-7).
pub(super) fn read(urls: Option<&str>, entries: Option<&str>) -> Vec<Media> {
    let mut media = Vec::new();
    json::each(urls.unwrap_or("null"), |raw| {
        if let Some(url) = name(raw) {
            media.push(Media { url, ..Media::default() });
        }
    });
    if media.is_empty() {
        return media;
    }
    let mut by_url = ByUrl::new(&media);
    json::each(entries.unwrap_or("null"), |raw| {
        let Some([Some(url), kind, mime, filename, caption, bytes]) = json::fields(raw, &FIELDS) else {
            return;
        };
        // An empty text of the entry replaces the value from the URL like any other text.
        let says = [kind, mime, filename, caption].iter().flatten().any(|raw| raw.starts_with('"'));
        let size = bytes.and_then(size);
        let Some(at) = by_url.find(&text(url), &media) else { return };
        media[at] = Media {
            url: std::mem::take(&mut media[at].url),
            kind: kind.and_then(name).map(|name| MediaKind::from(&*name)),
            mime: mime.and_then(name),
            size,
            filename: filename.and_then(name),
            caption: caption.and_then(name),
        };
        if says || size.is_some() {
            by_url.take(at);
        }
    });
    media
}

/// Maximum number of attachments that are searched linearly.
const FEW: usize = 16;

/// Index of attachments by URL. A line can name tens of thousands of both: those are looked up in order of URL, so that
/// the cost of an event grows no faster than its line (X-1).
struct ByUrl {
    /// Positions by URL, in order of arrival for equal URLs; empty if there are few.
    order: Vec<usize>,
    /// Number of attachments of one URL that have their entry, at the position of the URL's first attachment in
    /// `order`.
    done: Vec<usize>,
    /// Bit set of the attachments that have their entry, if there are few. Each of two equal URLs gets an entry of its
    /// own.
    few_taken: u32,
    taken: Vec<bool>,
}

impl ByUrl {
    fn new(media: &[Media]) -> ByUrl {
        if media.len() <= FEW {
            return ByUrl { order: Vec::new(), done: Vec::new(), few_taken: 0, taken: Vec::new() };
        }
        let mut order: Vec<usize> = (0..media.len()).collect();
        order.sort_by_key(|at| &media[*at].url);
        ByUrl { done: vec![0; order.len()], few_taken: 0, taken: vec![false; order.len()], order }
    }

    /// Returns the first of this URL that has no entry yet.
    fn find(&mut self, url: &str, media: &[Media]) -> Option<usize> {
        let is_it = |at: &usize| media[*at].url == url;
        if self.order.is_empty() {
            return (0..media.len()).find(|at| is_it(at) && self.few_taken >> at & 1 == 0);
        }
        let first = self.order.partition_point(|at| *media[*at].url < *url);
        let done = self.done.get_mut(first)?;
        loop {
            let at = self.order.get(first + *done).copied().filter(is_it)?;
            if !self.taken[at] {
                return Some(at);
            }
            *done += 1;
        }
    }

    fn take(&mut self, at: usize) {
        match self.taken.get_mut(at) {
            Some(taken) => *taken = true,
            None => self.few_taken |= 1 << at,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::event::Event;

    /// Returns the attachments read from many URLs and entries. A line of a mebibyte holds some ten thousands of both.
    fn many(urls: usize, entries: usize, of: fn(usize) -> usize) -> String {
        let urls: Vec<String> = (0..urls).map(|n| format!("\"u{n}\"")).collect();
        let entries: Vec<String> =
            (0..entries).map(|n| format!("{{\"url\":\"u{}\",\"size\":{n}}}", of(n))).collect();
        format!("{{\"media_urls\":[{}],\"media\":[{}]}}", urls.join(","), entries.join(","))
    }

    #[test]
    fn e_7_equal_urls_get_their_entries_in_order() {
        let urls = r#""a","u","b","u","u""#;
        let entries = r#"{"url":"b","size":1},{"url":"u"},{"url":"u","kind":"image"},{"url":"u","size":2},
            {"url":"u","filename":""},{"url":"u","size":3},{"url":"a","size":4}"#;
        let event = Event::read(&format!(r#"{{"media_urls":[{urls}],"media":[{entries}]}}"#)).unwrap();
        let shown = |one: &super::Media| (one.kind.is_some(), one.size);
        let expected = [(false, Some(4)), (true, None), (false, Some(1)), (false, Some(2)), (false, None)];
        assert_eq!(event.media.iter().map(shown).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn e_7_many_are_paired_like_few() {
        // With entries whose URL is missing, and with entries in reverse order.
        for of in [|n| n + 1_000_000, |n| 19_999 - n] {
            let event = Event::read(&many(20_000, 20_000, of)).unwrap();
            assert_eq!(event.media.len(), 20_000);
        }
        let event = Event::read(&many(20_000, 20_000, |n| 19_999 - n)).unwrap();
        assert!(event.media.iter().enumerate().all(|(at, one)| one.size == u64::try_from(19_999 - at).ok()));
        // Each of several equal URLs gets an entry of its own, in order.
        let urls = vec!["\"u\""; 50].join(",");
        let entries: Vec<String> = (0..60).map(|n| format!("{{\"url\":\"u\",\"size\":{n}}}")).collect();
        let line = format!("{{\"media_urls\":[{urls}],\"media\":[{}]}}", entries.join(","));
        let sizes: Vec<u64> = Event::read(&line).unwrap().media.iter().filter_map(|one| one.size).collect();
        assert_eq!(sizes, (0..50).collect::<Vec<_>>());
    }
}
