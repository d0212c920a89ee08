//! Enums of the kinds that the protocol names. Those of the macro `kinds!` keep an unknown name as `Other`.

use super::Part;
use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Defines an enum of kinds that also keeps unknown ones.
macro_rules! kinds {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$of_kind:meta])* $kind:ident = $text:literal, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Debug)]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[$of_kind])* $kind, )*
            /// Any other kind, with its name on the wire.
            Other(CompactString),
        }

        impl $name {
            /// Every kind that the protocol names.
            pub const ALL: &'static [$name] = &[$( $name::$kind, )*];

            /// Returns the name on the wire.
            pub fn name(&self) -> &str {
                match self {
                    $( $name::$kind => $text, )*
                    $name::Other(name) => name,
                }
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                match name {
                    $( $text => $name::$kind, )*
                    other => $name::Other(other.into()),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = CompactString::deserialize(deserializer)?;
                Ok($name::from(name.as_str()))
            }
        }

        impl Part for $name {
            fn heap(&self) -> usize {
                match self {
                    $name::Other(name) => name.heap(),
                    $( $name::$kind => 0, )*
                }
            }
        }
    };
}

kinds! {
    /// Kind of a message. Handle [`Other`](Self::Other) as text.
    #[derive(Default)]
    pub enum MessageType {
        /// Plain text.
        #[default]
        Text = "text",
        /// A location.
        Location = "location",
        /// A photo from the camera or the gallery of the app.
        Photo = "photo",
        /// An image of any other origin.
        Image = "image",
        /// A video.
        Video = "video",
        /// An audio file; not a voice message.
        Audio = "audio",
        /// A voice message; not an audio file.
        Voice = "voice",
        /// Any other file.
        Document = "document",
        /// A sticker.
        Sticker = "sticker",
        /// A command; its text starts with `/`.
        Command = "command",
    }
}

kinds! {
    /// Kind of a chat.
    #[derive(Default)]
    pub enum ChatType {
        /// A direct message; the default.
        #[default]
        Dm = "dm",
        /// A group.
        Group = "group",
        /// A channel.
        Channel = "channel",
        /// A thread.
        Thread = "thread",
        /// A forum, or one topic of it.
        Forum = "forum",
    }
}

kinds! {
    /// Kind of an attachment, as the connector named it. `voice` and `audio` stay distinct.
    pub enum MediaKind {
        /// An image.
        Image = "image",
        /// A voice message.
        Voice = "voice",
        /// An audio file.
        Audio = "audio",
        /// A video.
        Video = "video",
        /// Any other file.
        Document = "document",
    }
}

/// Kind of a [`Target`](super::Target).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TargetKind {
    /// A user.
    #[default]
    User,
    /// A message.
    Message,
}

impl TargetKind {
    /// Returns its name, `user` or `message`.
    pub fn name(self) -> &'static str {
        match self {
            TargetKind::User => "user",
            TargetKind::Message => "message",
        }
    }
}

impl Part for TargetKind {
    fn heap(&self) -> usize {
        0
    }
}
