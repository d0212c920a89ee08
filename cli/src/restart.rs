//! Decides whether and when an agent that has ended is started again.

use crate::bridge::AgentSettings;
use clap::ValueEnum;
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// Ends of the agent that are followed by another start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Restart {
    Never,
    OnFailure,
    Always,
}

/// Numbers of a [`Restarts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// First back-off, doubled with each further death.
    pub(crate) first: Duration,
    /// Longest back-off.
    pub(crate) most: Duration,
    /// Deaths after which the agent is given up.
    pub(crate) deaths: usize,
    /// Time that those deaths are within. An agent that lives this long begins with the first back-off again.
    pub(crate) within: Duration,
}

impl Pace {
    pub(crate) fn of(settings: &AgentSettings) -> Pace {
        Pace {
            first: settings.agent_restart_first,
            most: settings.agent_restart_most,
            deaths: settings.agent_deaths,
            within: settings.agent_deaths_within,
        }
    }
}

/// Step that follows the end of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The gateway ends, too.
    End,
    /// The agent is started again after this time.
    Start(Duration),
    /// The gateway gives up: the agent has died too often.
    GiveUp,
}

/// Deaths of an agent so far. Only the time that it ran counts, and not the back-offs between: otherwise they would keep
/// an agent that never works from being given up.
#[derive(Debug)]
pub(crate) struct Restarts {
    when: Restart,
    pace: Pace,
    backoff: Duration,
    /// Time that each of the latest agents lived, the last one last.
    lives: VecDeque<Duration>,
}

impl Restarts {
    pub(crate) fn new(when: Restart, pace: Pace) -> Restarts {
        Restarts { when, pace, backoff: pace.first, lives: VecDeque::new() }
    }

    /// Tells whether any end can be followed by another start.
    pub(crate) fn may_restart(&self) -> bool {
        self.when != Restart::Never
    }

    /// Decides what follows the end of an agent that lived this long.
    pub(crate) fn ended(&mut self, lived: Duration, succeeded: bool) -> Next {
        match self.when {
            Restart::Never => return Next::End,
            Restart::OnFailure if succeeded => return Next::End,
            Restart::OnFailure | Restart::Always => {}
        }
        if lived >= self.pace.within {
            self.lives.clear();
            self.backoff = self.pace.first;
        }
        self.lives.push_back(lived);
        if self.lives.len() > self.pace.deaths {
            self.lives.pop_front();
        }
        // From the first of these deaths to the last.
        let between: Duration = self.lives.iter().skip(1).sum();
        if self.lives.len() >= self.pace.deaths && between < self.pace.within {
            return Next::GiveUp;
        }
        let backoff = self.backoff.min(self.pace.most);
        self.backoff = backoff.saturating_mul(2);
        Next::Start(backoff)
    }
}

impl fmt::Display for Restarts {
    /// Says why the agent was given up.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pace { deaths, within, .. } = self.pace;
        write!(f, "died {deaths} times within {within:?} of running, and is not started again")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        first: Duration::from_millis(500),
        most: Duration::from_secs(30),
        deaths: 10,
        within: Duration::from_secs(60),
    };

    #[test]
    fn the_pace_is_a_setting_and_has_these_defaults() {
        assert_eq!(Pace::of(&AgentSettings::default()), PACE);
    }

    /// What follows each of several lives, in seconds; `None` where the agent is given up.
    fn backoffs(restarts: &mut Restarts, lives: &[f64]) -> Vec<Option<f64>> {
        let next = |&lived: &f64| match restarts.ended(Duration::from_secs_f64(lived), false) {
            Next::Start(backoff) => Some(backoff.as_secs_f64()),
            Next::GiveUp => None,
            Next::End => panic!("it is to be restarted"),
        };
        lives.iter().map(next).collect()
    }

    #[test]
    fn which_ends_are_followed_by_a_start() {
        let start = Next::Start(PACE.first);
        for (when, after_success, after_failure) in [
            (Restart::Never, Next::End, Next::End),
            (Restart::OnFailure, Next::End, start),
            (Restart::Always, start, start),
        ] {
            assert_eq!(Restarts::new(when, PACE).ended(Duration::ZERO, true), after_success, "{when:?}");
            assert_eq!(Restarts::new(when, PACE).ended(Duration::ZERO, false), after_failure, "{when:?}");
        }
    }

    #[test]
    fn the_backoff_doubles_and_the_tenth_death_is_the_last() {
        let mut restarts = Restarts::new(Restart::Always, PACE);
        let expected = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0].map(Some);
        assert_eq!(backoffs(&mut restarts, &[0.0; 9]), expected);
        assert_eq!(backoffs(&mut restarts, &[0.0]), [None]);
    }

    #[test]
    fn ten_deaths_count_within_a_minute_of_running() {
        // Nine lives lie between ten deaths.
        let mut slow = Restarts::new(Restart::OnFailure, PACE);
        assert!(backoffs(&mut slow, &[60.0 / 9.0; 40]).iter().all(Option::is_some));
        let mut fast = Restarts::new(Restart::OnFailure, PACE);
        let next = backoffs(&mut fast, &[6.6; 10]);
        assert_eq!(next.iter().position(Option::is_none), Some(9));
        // One long life is forgotten with the deaths before it.
        let mut once = Restarts::new(Restart::OnFailure, PACE);
        let next = backoffs(&mut once, &[1.0, 1.0, 1.0, 59.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(next.iter().position(Option::is_none), Some(12));
    }

    #[test]
    fn a_long_life_starts_the_backoff_over() {
        let mut restarts = Restarts::new(Restart::OnFailure, PACE);
        assert_eq!(backoffs(&mut restarts, &[0.0, 59.9, 0.0]), [0.5, 1.0, 2.0].map(Some));
        assert_eq!(backoffs(&mut restarts, &[60.0, 0.0]), [0.5, 1.0].map(Some));
    }

    #[test]
    fn numbers_at_their_ends_are_borne() {
        let pace = Pace { first: Duration::MAX, most: Duration::MAX, deaths: 1, within: Duration::MAX };
        assert_eq!(Restarts::new(Restart::Always, pace).ended(Duration::ZERO, true), Next::GiveUp);
        let pace = Pace { deaths: 3, ..pace };
        assert_eq!(backoffs_max(pace), Next::Start(Duration::MAX));
    }

    fn backoffs_max(pace: Pace) -> Next {
        let mut restarts = Restarts::new(Restart::Always, pace);
        restarts.ended(Duration::ZERO, true);
        restarts.ended(Duration::ZERO, true)
    }
}
