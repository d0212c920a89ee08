//! Behavior of independent connectors, to test gateways with.

use std::fmt;
use std::str::FromStr;

/// Declares [`Like`] from one table: the command line's help and `docs/connectors.md` show the same descriptions.
macro_rules! likes {
    ($($variant:ident, $name:literal, $description:literal;)+) => {
        /// Independent connector to imitate.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Like {
            $(
                #[doc = concat!("Connector that ", $description, ".")]
                $variant,
            )+
        }

        impl Like {
            /// All connectors, in the order of the documentation.
            pub const ALL: [Like; [$($name),+].len()] = [$(Like::$variant),+];

            /// Returns the name on the command line.
            pub fn name(self) -> &'static str {
                match self {
                    $(Like::$variant => $name,)+
                }
            }

            /// Returns the difference to other connectors: a predicate, such as "never confirms idleness".
            pub fn description(self) -> &'static str {
                match self {
                    $(Like::$variant => $description,)+
                }
            }
        }
    };
}

likes! {
    Strict, "strict", "closes with 1003 on a second `hello`, on `interrupt` and on `going_idle`";
    Silent, "silent", "never confirms idleness";
    Flood, "flood", "sends up to a hundred buffered entries at once, and takes their acks in any order";
    Displacing, "displacing", "closes the older of two connections of a gateway with 4000 `replaced`";
    Errors, "errors", "sends a frame of type `error` where a result is due";
    Lenient, "lenient", "sends results without `success`";
}

/// Error returned when a name is not that of a [`Like`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no such connector: take one of {}", Like::ALL.map(Like::name).join(", "))]
pub struct UnknownLike;

impl fmt::Display for Like {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Like {
    type Err = UnknownLike;

    fn from_str(text: &str) -> Result<Self, UnknownLike> {
        Like::ALL.into_iter().find(|like| like.name() == text).ok_or(UnknownLike)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_describes_each_connector() {
        let page = include_str!("../../docs/connectors.md");
        for like in Like::ALL {
            let row = format!("| `{like}` | {} |\n", like.description());
            assert!(page.contains(&row), "docs/connectors.md lacks {row}");
        }
    }

    #[test]
    fn each_connector_is_found_by_its_name() {
        for like in Like::ALL {
            assert_eq!(like.name().parse(), Ok(like));
        }
        assert_eq!("nice".parse::<Like>(), Err(UnknownLike));
    }
}
