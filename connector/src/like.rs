//! Behaviour of independent connectors, to test gateways against.

use std::fmt;
use std::str::FromStr;

/// An independent connector to play.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Like {
    /// Closes with 1003 on a second `hello`, on `interrupt` and on `going_idle`.
    Strict,
    /// Never confirms idleness: the connection stays live.
    Silent,
    /// Sends up to a hundred buffered entries at once, and takes their acks in any order.
    Flood,
    /// Closes the older of two connections of a gateway with 4000 `replaced`.
    Displacing,
    /// Sends a frame of type `error` where a result is due.
    Errors,
    /// Sends results without `success`.
    Lenient,
}

impl Like {
    /// All of them, in the order of the documentation.
    pub const ALL: [Like; 6] =
        [Like::Strict, Like::Silent, Like::Flood, Like::Displacing, Like::Errors, Like::Lenient];

    /// Returns the name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Like::Strict => "strict",
            Like::Silent => "silent",
            Like::Flood => "flood",
            Like::Displacing => "displacing",
            Like::Errors => "errors",
            Like::Lenient => "lenient",
        }
    }
}

impl fmt::Display for Like {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Like {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Like::ALL.map(Like::name).join(", ");
        let found = Like::ALL.into_iter().find(|like| like.name() == text);
        found.ok_or_else(|| format!("there is no such connector: take one of {}", known()))
    }
}
