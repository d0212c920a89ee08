//! `send_media`: sends a file.

use super::define::op;
use super::format::{Named, OneOf, OptionalText, OrDefault, Text};
use super::{Behavior, Placement};
use serde::{Deserialize, Serialize};

/// Kind of a file that is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MediaKind {
    /// An image.
    Image,
    /// A voice message; not an audio file.
    Voice,
    /// An audio file; not a voice message.
    Audio,
    /// A video.
    Video,
    /// Any other file.
    #[default]
    Document,
}

impl Named for MediaKind {
    const NAMES: &'static [&'static str] = &["image", "voice", "audio", "video", "document"];
}

op! {
    /// Sends a file by its URL. Completes with [`Reply::Sent`](crate::command::Reply::Sent).
    pub struct SendMedia: "send_media", gate Named, returns Message {
        chat_id,
        /// Kind of the file.
        kind: MediaKind = OneOf<MediaKind> as "media_kind",
        /// URL from which the connector fetches the file.
        source_url: String = Text as "source_url",
        /// Caption of the file.
        caption?: String = OrDefault<Text> as "content",
        /// Name of the file.
        filename?: Option<String> = OptionalText as "filename",
        reply_to,
        metadata,
        platform,
    }
}

impl Behavior for SendMedia {
    fn placement(&self) -> Placement<'_> {
        Placement::Message(self.reply_to.as_deref())
    }
}
