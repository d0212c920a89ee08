//! Prompt of a turn: the content blocks that the agent gets for a message.

use crate::output::Fetched;
use crate::texts::one_line;
use agent_client_protocol_schema::{
    AudioContent, ContentBlock, ImageContent, PromptCapabilities, ResourceLink, TextContent,
};
use data_encoding::BASE64;
use relayline_core::event::{Event, Media, MediaKind};

/// Maximum length of a name in a prompt, in characters.
const MAX_NAME: usize = 200;

/// Result of fetching a file: the file, or `None` if it is not available.
pub(crate) type FileResult = Option<Fetched>;

/// Returns true if the agent takes the content of a file within the prompt.
pub(crate) fn takes(agent: &PromptCapabilities, media: &Media) -> bool {
    match content_kind(media, None) {
        Some(InlineKind::Image) => agent.image,
        Some(InlineKind::Audio) => agent.audio,
        None => false,
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum InlineKind {
    Image,
    Audio,
}

fn content_kind(media: &Media, mime: Option<&str>) -> Option<InlineKind> {
    match mime.or(media.mime.as_deref()).and_then(|mime| mime.split_once('/')) {
        Some(("image", _)) => return Some(InlineKind::Image),
        Some(("audio", _)) => return Some(InlineKind::Audio),
        Some(("text" | "video" | "application", kind)) if kind != "octet-stream" => return None,
        _ => {}
    }
    match media.kind {
        Some(MediaKind::Image) => Some(InlineKind::Image),
        Some(MediaKind::Audio | MediaKind::Voice) => Some(InlineKind::Audio),
        _ => None,
    }
}

/// Returns the blocks of a message: the channel's context, the text, and each file with its result.
pub(crate) fn blocks(
    event: &Event,
    files: Vec<(Media, FileResult)>,
    agent: &PromptCapabilities,
) -> Vec<ContentBlock> {
    let text = |text: &str| ContentBlock::Text(TextContent::new(text));
    let mut blocks = Vec::new();
    blocks.extend(event.context.as_deref().filter(|context| !context.is_empty()).map(text));
    if !event.text.trim().is_empty() {
        blocks.push(text(&event.text));
    }
    let has_files = !files.is_empty();
    for (media, file) in files {
        if let Some(caption) = media.caption.as_deref().filter(|caption| !caption.is_empty()) {
            blocks.push(text(caption));
        }
        blocks.push(match file {
            Some(file) => file_block(&media, file, agent),
            None => text(&format!("[The file {:?} of this message is not available.]", name(&media, None))),
        });
    }
    if event.text.trim().is_empty() && !has_files {
        // A sticker or a location, for instance: a prompt must not be empty.
        blocks.push(text(&format!("[{}]", event.message_type.name())));
    }
    blocks
}

fn file_block(media: &Media, file: Fetched, agent: &PromptCapabilities) -> ContentBlock {
    let specific = |mime: &&str| !mime.is_empty() && *mime != "application/octet-stream";
    let sent = file.mime.as_deref().map(|mime| mime.split(';').next().unwrap_or_default().trim());
    let mime = sent.filter(specific).or(media.mime.as_deref().filter(specific)).map(str::to_owned);
    if let (Some(content), Some(mime)) = (&file.content, &mime) {
        match content_kind(media, Some(mime)) {
            Some(InlineKind::Image) if agent.image => {
                return ContentBlock::Image(ImageContent::new(BASE64.encode(content), mime.as_str()));
            }
            Some(InlineKind::Audio) if agent.audio => {
                return ContentBlock::Audio(AudioContent::new(BASE64.encode(content), mime.as_str()));
            }
            _ => {}
        }
    }
    let mut link = ResourceLink::new(name(media, Some(&file)), file_url(&file));
    link.mime_type = mime;
    link.size = i64::try_from(file.size).ok();
    ContentBlock::ResourceLink(link)
}

/// Returns the name of a file for the agent.
fn name(media: &Media, file: Option<&Fetched>) -> String {
    let local = || file?.path.file_name()?.to_str();
    one_line(media.filename.as_deref().or_else(local).unwrap_or("file"), MAX_NAME)
}

/// Returns the `file` URL of a local file.
fn file_url(file: &Fetched) -> String {
    let path = file.path.to_string_lossy();
    let mut url = String::from("file://");
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                url.push(char::from(byte))
            }
            // Windows: a drive and its separators.
            b'\\' => url.push('/'),
            b':' => url.push(':'),
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::path::PathBuf;

    fn media(kind: MediaKind, mime: &str) -> Media {
        let mut media = Media::default();
        media.kind = Some(kind);
        media.mime = Some(mime.into());
        media.filename = Some("a b.bin".into());
        media
    }

    fn fetched(content: Option<&[u8]>) -> Fetched {
        let path = PathBuf::from("/tmp/x/1-a b%.bin");
        Fetched { path, mime: None, size: 3, content: content.map(<[u8]>::to_vec) }
    }

    fn all() -> PromptCapabilities {
        PromptCapabilities::new().image(true).audio(true)
    }

    fn json_of(event: &Event, files: Vec<(Media, FileResult)>, agent: &PromptCapabilities) -> Vec<Value> {
        blocks(event, files, agent).iter().map(|block| serde_json::to_value(block).unwrap()).collect()
    }

    #[test]
    fn context_text_and_files_are_blocks_in_this_order() {
        let mut event = Event::default();
        (event.context, event.text) = (Some("[Recent channel messages]\na: b".into()), "look".into());
        let image = media(MediaKind::Image, "image/png");
        let blocks = json_of(&event, vec![(image, Some(fetched(Some(b"png"))))], &all());
        assert_eq!(
            blocks,
            [
                json!({"type": "text", "text": "[Recent channel messages]\na: b"}),
                json!({"type": "text", "text": "look"}),
                json!({"type": "image", "data": "cG5n", "mimeType": "image/png"}),
            ]
        );
    }

    #[test]
    fn a_file_that_the_agent_does_not_take_is_a_link() {
        let link = json!({"type": "resource_link", "name": "a b.bin", "uri": "file:///tmp/x/1-a%20b%25.bin",
            "mimeType": "audio/ogg", "size": 3});
        let voice = media(MediaKind::Voice, "audio/ogg");
        assert!(takes(&all(), &voice) && !takes(&PromptCapabilities::new(), &voice));
        for (content, agent) in [(Some(&b"ogg"[..]), PromptCapabilities::new()), (None, all())] {
            let files = vec![(voice.clone(), Some(fetched(content)))];
            assert_eq!(json_of(&Event::default(), files, &agent), std::slice::from_ref(&link));
        }
        let files = vec![(media(MediaKind::Image, "image/png"), Some(fetched(Some(b"png"))))];
        assert_eq!(json_of(&Event::default(), files, &PromptCapabilities::new())[0]["type"], "resource_link");
        let document = media(MediaKind::Document, "application/pdf");
        assert!(!takes(&all(), &document));
    }

    #[test]
    fn a_file_that_is_not_available_is_named() {
        let files = vec![(media(MediaKind::Image, "image/png"), None)];
        let expected =
            json!({"type": "text", "text": "[The file \"a b.bin\" of this message is not available.]"});
        assert_eq!(json_of(&Event::default(), files, &all()), [expected]);
    }

    #[test]
    fn a_prompt_is_never_empty() {
        let mut event = Event::default();
        event.message_type = "sticker".into();
        assert_eq!(json_of(&event, Vec::new(), &all()), [json!({"type": "text", "text": "[sticker]"})]);
    }
}
