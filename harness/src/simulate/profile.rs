//! What sort of trouble a run is full of.

use std::fmt;
use std::str::FromStr;

/// How often each kind of thing happens in a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Profile {
    /// Work, and hardly any trouble.
    Calm,
    /// A bad network, and connectors that come and go.
    Flaky,
    /// Odd bytes, odd answers, doubles.
    Hostile,
    /// Idle and dormant gateways, suspended machines, clocks that jump.
    Sleepy,
    /// Refused tokens and revocations.
    Revoking,
}

impl Profile {
    /// All of them.
    pub const ALL: [Profile; 5] =
        [Profile::Calm, Profile::Flaky, Profile::Hostile, Profile::Sleepy, Profile::Revoking];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Calm => "calm",
            Profile::Flaky => "flaky",
            Profile::Hostile => "hostile",
            Profile::Sleepy => "sleepy",
            Profile::Revoking => "revoking",
        }
    }

    /// Its column in a table of weights.
    pub(crate) fn column(self) -> usize {
        match self {
            Profile::Calm => 0,
            Profile::Flaky => 1,
            Profile::Hostile => 2,
            Profile::Sleepy => 3,
            Profile::Revoking => 4,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Profile::ALL.into_iter().find(|profile| profile.name() == name).ok_or_else(|| {
            let known = Profile::ALL.map(Profile::name).join(", ");
            format!("{name:?} is no profile: take one of {known}")
        })
    }
}
