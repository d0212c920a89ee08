//! Ids as hosts give them.

use compact_str::CompactString;

/// Id of a chat, a message, a user or a thread: a text, or a number, which counts as its digits.
///
/// Methods that take an id take `impl Into<Id>`, so that a host can pass what it has.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Id(String);

impl Id {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Id> for String {
    fn from(id: Id) -> String {
        id.0
    }
}

macro_rules! from {
    ($($given:ty)*) => {$(
        impl From<$given> for Id {
            fn from(given: $given) -> Id {
                Id(given.into())
            }
        }
    )*};
    (numbers: $($given:ty)*) => {$(
        impl From<$given> for Id {
            fn from(given: $given) -> Id {
                Id(given.to_string())
            }
        }
    )*};
}

from! { &str String &String CompactString }
from! { numbers: i32 i64 i128 u32 u64 u128 usize }

impl From<&CompactString> for Id {
    fn from(given: &CompactString) -> Id {
        Id(given.to_string())
    }
}

impl From<&Id> for Id {
    fn from(given: &Id) -> Id {
        given.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_any_text_or_number() {
        let text = CompactString::from("42");
        let ids =
            [Id::from(42), Id::from("42"), Id::from(&text), Id::from(42_u64), Id::from(&"42".to_owned())];
        assert!(ids.iter().all(|id| id.as_str() == "42"));
        assert_eq!(Id::from(-1_001_234_567_890_i64).as_str(), "-1001234567890");
        assert_eq!(Id::from(&ids[0]), ids[0]);
        assert_eq!(String::from(Id::from(text)), "42");
    }
}
