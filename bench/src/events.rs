//! An inbound event as bytes, and the structs that a hand-written gateway reads it into.

use std::ops::Range;

/// A message in a group chat, with the fields that a connector sends.
const EVENT: &str = r#"{"text":"Hello 👋 <@1187654321098765432>, what's the plan?\nTwo lines of it.","message_type":"text","source":{"platform":"discord","chat_id":"1234567890123456789","chat_type":"group","chat_name":"general","user_id":"204255221017214977","user_name":"ada","thread_id":null,"chat_topic":"General chat – be nice","guild_id":"987654321098765432","message_id":"1299999999999999001"},"message_id":"1299999999999999001","reply_to_message_id":"1299999999999998888"}"#;
/// Part of the text of [`EVENT`] that a longer text replaces, and that text.
const LINE: &str = "Two lines of it.";
const LONG_LINE: &str = "Two lines of it: first we read the logs of last night, then each of us takes one of the three \
    open reports and says by noon what it needs. Whoever is done early looks at the build, which is slow again.";
/// The ids of [`EVENT`] that differ from event to event, all of the same length.
const CHAT_ID: &str = "1234567890123456789";
const MESSAGE_ID: &str = "1299999999999999001";

/// A frame whose ids are replaced in place, so that each frame is a new message.
#[derive(Clone, Debug)]
pub struct Frame {
    bytes: Vec<u8>,
    /// Places of the message id, also inside the entry id.
    message_ids: Vec<usize>,
    chat_ids: Vec<usize>,
}

impl Frame {
    /// Creates a frame: with an entry id in the connector's buffer if it is `buffered`.
    pub fn new(buffered: bool) -> Frame {
        let entry = if buffered { format!(r#","bufferId":"{MESSAGE_ID}-b""#) } else { String::new() };
        Frame::from_parts(EVENT, &entry)
    }

    /// Creates a frame of about 700 bytes, which is not buffered.
    pub fn long() -> Frame {
        Frame::from_parts(&EVENT.replace(LINE, LONG_LINE), "")
    }

    fn from_parts(event: &str, entry: &str) -> Frame {
        let text = format!("{{\"type\":\"inbound\",\"event\":{event}{entry}}}\n");
        let places = |id: &str| text.match_indices(id).map(|(at, _)| at).collect::<Vec<_>>();
        let (message_ids, chat_ids) = (places(MESSAGE_ID), places(CHAT_ID));
        Frame { bytes: text.into_bytes(), message_ids, chat_ids }
    }

    /// Returns the places of the message id in the frame.
    pub fn message_ids(&self) -> impl Iterator<Item = Range<usize>> {
        self.message_ids.iter().map(|at| *at..at + MESSAGE_ID.len())
    }

    /// Gives the frame other ids. Returns its bytes.
    pub fn with(&mut self, message: u64, chat: u64) -> &[u8] {
        for at in &self.message_ids {
            write_digits(&mut self.bytes[*at..at + MESSAGE_ID.len()], message);
        }
        for at in &self.chat_ids {
            write_digits(&mut self.bytes[*at..at + CHAT_ID.len()], chat);
        }
        &self.bytes
    }
}

/// Writes a number in decimal digits, with leading zeros.
pub fn write_digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Defines a frame as a hand-written gateway reads it, with the fields that the core reads of such an event.
macro_rules! frame {
    ($id:ty, $(#[$of_text:meta])* $text:ty $(, $life:lifetime)?) => {
        use serde::Deserialize;

        /// Frame of the connector.
        #[derive(Deserialize, Debug)]
        #[allow(missing_docs)]
        pub struct Frame $(<$life>)? {
            #[serde(rename = "type")]
            pub kind: $id,
            $(#[$of_text])*
            pub event: Option<Event $(<$life>)?>,
            #[serde(rename = "bufferId")]
            pub buffer_id: Option<$id>,
        }

        /// The `event` of a frame.
        #[derive(Deserialize, Debug)]
        #[allow(missing_docs)]
        pub struct Event $(<$life>)? {
            $(#[$of_text])*
            pub text: $text,
            pub message_type: Option<$id>,
            pub message_id: Option<$id>,
            pub reply_to_message_id: Option<$id>,
            pub source: Source $(<$life>)?,
        }

        /// The `source` of an event.
        #[derive(Deserialize, Debug)]
        #[allow(missing_docs)]
        pub struct Source $(<$life>)? {
            pub platform: $id,
            pub chat_id: $id,
            pub chat_type: Option<$id>,
            pub chat_name: Option<$id>,
            pub user_id: Option<$id>,
            pub user_name: Option<$id>,
            pub user_display_name: Option<$id>,
            pub user_id_alt: Option<$id>,
            pub chat_id_alt: Option<$id>,
            pub thread_id: Option<$id>,
            pub chat_topic: Option<$id>,
            pub scope_id: Option<$id>,
            pub guild_id: Option<$id>,
            pub parent_chat_id: Option<$id>,
            pub message_id: Option<$id>,
            pub is_bot: Option<bool>,
        }
    };
}

/// A frame with owned texts.
pub mod owned {
    frame!(String, String);
}

/// A frame whose texts borrow from the line. Ids must not have escapes.
pub mod borrowed {
    frame!(&'a str, #[serde(borrow)] std::borrow::Cow<'a, str>, 'a);
}
