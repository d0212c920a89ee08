//! A message with its files: the ops that send it, and what its failure says.

use crate::bridge::media_kind;
use crate::control::{AskError, Connection, OpFailure, op};
use serde_json::{Map, Value};

/// Maximum length of a caption, in UTF-16 code units: that of Telegram, the shortest of all platforms.
const MAX_CAPTION: usize = 1024;

/// Message to send.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) chat_id: String,
    pub(super) text: String,
    /// Absolute paths.
    pub(super) files: Vec<String>,
    pub(super) platform: Option<String>,
    pub(super) scope_id: Option<String>,
    pub(super) user_id: Option<String>,
    pub(super) thread_id: Option<String>,
    pub(super) reply_to: Option<String>,
}

/// Error returned when a message was not sent as a whole.
#[derive(Debug)]
pub(super) struct SendError {
    pub(super) error: AskError,
    /// True if the failed op sends something; false for one that prepares it.
    sends: bool,
    /// Number of parts of the text that it sends.
    parts: usize,
}

/// An error before anything is sent.
impl From<AskError> for SendError {
    fn from(error: AskError) -> SendError {
        SendError { error, sends: false, parts: 1 }
    }
}

impl SendError {
    fn definite(message: String) -> SendError {
        SendError::from(AskError::Failed(OpFailure { kind: "definite".to_owned(), message, code: None }))
    }

    /// Returns the text for people: whether it was sent, and why not. `sent` is the number of messages that were sent
    /// before.
    pub(super) fn text(&self, sent: usize) -> String {
        let (error, again) = (&self.error, "send it again only if a duplicate does no harm");
        let is_ambiguous = match error {
            AskError::NotAsked(_) => false,
            AskError::NoAnswer(_) => self.sends,
            AskError::Failed(failure) => failure.kind == "ambiguous",
        };
        let text = match error {
            _ if is_ambiguous => format!("it may have been sent: {error}; {again}"),
            AskError::Failed(failure) if self.parts > 1 && self.sends => {
                format!(
                    "not sent as a whole, some of its {} parts may have been: {}",
                    self.parts,
                    because(failure)
                )
            }
            AskError::Failed(failure) => format!("not sent: {}", because(failure)),
            AskError::NotAsked(why) | AskError::NoAnswer(why) => format!("not sent: {why}"),
        };
        match sent {
            0 => text,
            1 => format!("1 message was sent, the next one failed: {text}"),
            sent => format!("{sent} messages were sent, the next one failed: {text}"),
        }
    }
}

/// Returns the cause of a failure.
fn because(failure: &OpFailure) -> String {
    let OpFailure { kind, message, .. } = failure;
    match kind.as_str() {
        "declined" => format!("the connector's policy forbids it: {message}"),
        "rejected" => format!("the connector refused it: {message}"),
        "unsupported" => format!("the platform does not offer it: {message}"),
        _ => message.clone(),
    }
}

impl Message {
    /// Sends it. Appends the result of each message to `sent`.
    pub(super) fn send(&self, gateway: &mut Connection, sent: &mut Vec<Value>) -> Result<(), SendError> {
        self.introduce_chat(gateway)?;
        let parts = self.parts(gateway)?;
        let is_caption =
            !self.files.is_empty() && parts == 1 && self.text.encode_utf16().count() <= MAX_CAPTION;
        if parts > 0 && !is_caption {
            let mut text = self.op("send", &self.text);
            text.insert("split".to_owned(), true.into());
            sent.push(ask(gateway, text, parts)?);
        }
        for (number, file) in self.files.iter().enumerate() {
            let caption = if is_caption && number == 0 { self.text.as_str() } else { "" };
            let mut media = self.op("send_media", caption);
            let name = file.rsplit(['/', '\\']).next().unwrap_or_default();
            media.insert("path".to_owned(), file.as_str().into());
            media.insert("filename".to_owned(), name.into());
            media.insert("media_kind".to_owned(), media_kind(name).into());
            sent.push(ask(gateway, media, 1)?);
        }
        Ok(())
    }

    /// Returns the number of parts in which the text would be sent; 0 without a text.
    fn parts(&self, gateway: &mut Connection) -> Result<usize, SendError> {
        if self.text.trim().is_empty() {
            return Ok(0);
        }
        let content = Value::from(self.text.as_str());
        let parts =
            gateway.ask(op("split", [("chat_id", self.chat_id.as_str().into()), ("content", content)]))?;
        Ok(parts.as_array().map_or(1, Vec::len).max(1))
    }

    /// Describes a chat to the gateway that it has not seen.
    ///
    /// # Errors
    /// The flags do not say where the chat is. Nothing is sent then.
    fn introduce_chat(&self, gateway: &mut Connection) -> Result<(), SendError> {
        let chat_id = || ("chat_id", Value::from(self.chat_id.as_str()));
        let known = gateway.ask(op("chat", [chat_id()]))?;
        if known.get("known") == Some(&true.into()) {
            return Ok(());
        }
        let has_place = self.scope_id.is_some() || self.user_id.is_some();
        let missing = match (&self.platform, has_place) {
            (Some(platform), true) => {
                check_platform(gateway, platform)?;
                let mut prime = op("prime", [chat_id(), ("platform", platform.as_str().into())]);
                add(&mut prime, [("scope_id", &self.scope_id), ("user_id", &self.user_id)]);
                gateway.ask(prime)?;
                return Ok(());
            }
            (Some(_), false) => "give --scope-id, its server or workspace, or --user-id for a direct message",
            (None, true) => "give --platform, as in --platform discord",
            (None, false) => {
                "give --platform and --scope-id, its server or workspace (--user-id instead for a direct message)"
            }
        };
        let chat = &self.chat_id;
        Err(SendError::definite(format!("the gateway has not seen the chat {chat} yet: {missing}")))
    }

    /// Creates an op that sends a text.
    fn op(&self, name: &str, content: &str) -> Map<String, Value> {
        let mut op = op(name, [("chat_id", self.chat_id.as_str().into()), ("content", content.into())]);
        let mut metadata = Map::new();
        add(
            &mut metadata,
            [("scope_id", &self.scope_id), ("user_id", &self.user_id), ("thread_id", &self.thread_id)],
        );
        add(&mut op, [("platform", &self.platform), ("reply_to", &self.reply_to)]);
        op.insert("metadata".to_owned(), metadata.into());
        op
    }
}

/// Asks for an op that sends `parts` parts.
fn ask(gateway: &mut Connection, op: Map<String, Value>, parts: usize) -> Result<Value, SendError> {
    gateway.ask(op).map_err(|error| SendError { error, sends: true, parts })
}

/// Checks that the gateway speaks for a platform, before a chat is remembered there.
fn check_platform(gateway: &mut Connection, platform: &str) -> Result<(), SendError> {
    let mut status = gateway.ask(op("status", []))?;
    let platforms: Vec<String> =
        serde_json::from_value(status.get_mut("platforms").map(Value::take).unwrap_or_default())
            .unwrap_or_default();
    if platforms.iter().any(|known| known == platform) {
        return Ok(());
    }
    let known = platforms.join(", ");
    Err(SendError::definite(format!(
        "the gateway does not speak for {platform}: give --platform with one of {known}"
    )))
}

/// Adds the fields that have a value.
fn add<const N: usize>(to: &mut Map<String, Value>, fields: [(&str, &Option<String>); N]) {
    let fields = fields.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    to.extend(fields.map(|(name, value)| (name.to_owned(), value.as_str().into())));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(kind: &str, sends: bool, parts: usize) -> SendError {
        let failure = OpFailure { kind: kind.to_owned(), message: "why".to_owned(), code: None };
        SendError { error: AskError::Failed(failure), sends, parts }
    }

    #[test]
    fn each_failure_says_whether_it_may_have_been_sent() {
        let lost = |sends| SendError { error: AskError::NoAnswer("gone".into()), sends, parts: 1 };
        let not_asked = SendError { error: AskError::NotAsked("gone".into()), sends: true, parts: 3 };
        for (error, sent, begin) in [
            (failed("definite", true, 1), 0, "not sent: why"),
            (failed("declined", true, 1), 0, "not sent: the connector's policy forbids it: why"),
            (failed("rejected", true, 1), 0, "not sent: the connector refused it: why"),
            (failed("unsupported", true, 1), 0, "not sent: the platform does not offer it: why"),
            (failed("ambiguous", true, 1), 0, "it may have been sent: why; send it again only if"),
            (failed("definite", true, 3), 0, "not sent as a whole, some of its 3 parts may have been: why"),
            (failed("definite", true, 1), 1, "1 message was sent, the next one failed: not sent: why"),
            (failed("definite", true, 1), 2, "2 messages were sent, the next one failed: not sent: why"),
            (lost(true), 0, "it may have been sent: gone"),
            (lost(false), 0, "not sent: gone"),
            (not_asked, 0, "not sent: gone"),
        ] {
            let text = error.text(sent);
            assert!(text.starts_with(begin), "{text}");
        }
    }
}
