//! Profiles: weights of the actions in a plan.

use std::fmt;
use std::str::FromStr;

/// Weights of the actions in a plan.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Profile {
    /// Normal work, and few faults.
    Calm,
    /// An unreliable network, and connectors that crash.
    Flaky,
    /// Invalid bytes, unexpected results, duplicates.
    Hostile,
    /// Idle and dormant gateways, suspended machines, clocks that jump.
    Sleepy,
    /// Refused tokens, and revocations.
    Revoking,
}

impl Profile {
    /// All profiles.
    pub const ALL: [Profile; 5] =
        [Profile::Calm, Profile::Flaky, Profile::Hostile, Profile::Sleepy, Profile::Revoking];

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Calm => "calm",
            Profile::Flaky => "flaky",
            Profile::Hostile => "hostile",
            Profile::Sleepy => "sleepy",
            Profile::Revoking => "revoking",
        }
    }

    /// Returns its column in a table of weights.
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
            format!("{name:?} is not a profile: take one of {known}")
        })
    }
}
