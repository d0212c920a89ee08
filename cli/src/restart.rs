//! Policy for restarting an agent.

use crate::bridge::AgentSettings;
use clap::ValueEnum;
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// Condition for restarting the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Restart {
    Never,
    OnFailure,
    Always,
}

/// Limits of a [`Restarts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RestartLimits {
    /// First back-off, doubled with each further death.
    pub(crate) first: Duration,
    /// Longest back-off.
    pub(crate) most: Duration,
    /// Number of deaths after which the agent is given up.
    pub(crate) deaths: usize,
    /// Maximum running time from the first of those deaths to the last. An agent that runs this long resets the back-off.
    pub(crate) within: Duration,
}

impl RestartLimits {
    pub(crate) fn of(settings: &AgentSettings) -> RestartLimits {
        RestartLimits {
            first: settings.agent_restart_first,
            most: settings.agent_restart_most,
            deaths: settings.agent_deaths,
            within: settings.agent_deaths_within,
        }
    }
}

/// Step after the end of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// End the gateway.
    End,
    /// Start the agent again after this time.
    Start(Duration),
    /// Abandon the agent, since it has died too often.
    GiveUp,
}

/// State of the policy: the deaths of an agent so far. Only its running time counts, without back-offs: otherwise an agent
/// that never works would not be abandoned.
#[derive(Debug)]
pub(crate) struct Restarts {
    when: Restart,
    limits: RestartLimits,
    backoff: Duration,
    /// Running times of the latest agents, the last one last.
    lives: VecDeque<Duration>,
}

impl Restarts {
    pub(crate) fn new(when: Restart, limits: RestartLimits) -> Restarts {
        Restarts { when, limits, backoff: limits.first, lives: VecDeque::new() }
    }

    /// Returns true if the agent may be restarted.
    pub(crate) fn may_restart(&self) -> bool {
        self.when != Restart::Never
    }

    /// Returns the step after the end of an agent that ran for `lived`.
    pub(crate) fn ended(&mut self, lived: Duration, succeeded: bool) -> Next {
        match self.when {
            Restart::Never => return Next::End,
            Restart::OnFailure if succeeded => return Next::End,
            Restart::OnFailure | Restart::Always => {}
        }
        if lived >= self.limits.within {
            self.lives.clear();
            self.backoff = self.limits.first;
        }
        self.lives.push_back(lived);
        if self.lives.len() > self.limits.deaths {
            self.lives.pop_front();
        }
        // The running time from the first of these deaths to the last.
        let between: Duration = self.lives.iter().skip(1).sum();
        if self.lives.len() >= self.limits.deaths && between < self.limits.within {
            return Next::GiveUp;
        }
        let backoff = self.backoff.min(self.limits.most);
        self.backoff = backoff.saturating_mul(2);
        Next::Start(backoff)
    }
}

impl fmt::Display for Restarts {
    /// Formats why the agent was abandoned.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RestartLimits { deaths, within, .. } = self.limits;
        write!(f, "died {deaths} times within {within:?} of running, and is not started again")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: RestartLimits = RestartLimits {
        first: Duration::from_millis(500),
        most: Duration::from_secs(30),
        deaths: 10,
        within: Duration::from_secs(60),
    };

    #[test]
    fn the_limits_are_settings_with_these_defaults() {
        assert_eq!(RestartLimits::of(&AgentSettings::default()), PACE);
    }

    /// Returns the back-off after each of several lives, in seconds; `None` if the agent is abandoned.
    fn backoffs(restarts: &mut Restarts, lives: &[f64]) -> Vec<Option<f64>> {
        let next = |&lived: &f64| match restarts.ended(Duration::from_secs_f64(lived), false) {
            Next::Start(backoff) => Some(backoff.as_secs_f64()),
            Next::GiveUp => None,
            Next::End => panic!("it is to be restarted"),
        };
        lives.iter().map(next).collect()
    }

    #[test]
    fn which_ends_cause_a_restart() {
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
        // Nine lives are between ten deaths.
        let mut slow = Restarts::new(Restart::OnFailure, PACE);
        assert!(backoffs(&mut slow, &[60.0 / 9.0; 40]).iter().all(Option::is_some));
        let mut fast = Restarts::new(Restart::OnFailure, PACE);
        let next = backoffs(&mut fast, &[6.6; 10]);
        assert_eq!(next.iter().position(Option::is_none), Some(9));
        // A long life is forgotten together with the deaths before it.
        let mut once = Restarts::new(Restart::OnFailure, PACE);
        let next = backoffs(&mut once, &[1.0, 1.0, 1.0, 59.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(next.iter().position(Option::is_none), Some(12));
    }

    #[test]
    fn a_long_life_resets_the_backoff() {
        let mut restarts = Restarts::new(Restart::OnFailure, PACE);
        assert_eq!(backoffs(&mut restarts, &[0.0, 59.9, 0.0]), [0.5, 1.0, 2.0].map(Some));
        assert_eq!(backoffs(&mut restarts, &[60.0, 0.0]), [0.5, 1.0].map(Some));
    }

    #[test]
    fn extreme_limits_are_valid() {
        let limits =
            RestartLimits { first: Duration::MAX, most: Duration::MAX, deaths: 1, within: Duration::MAX };
        assert_eq!(Restarts::new(Restart::Always, limits).ended(Duration::ZERO, true), Next::GiveUp);
        let limits = RestartLimits { deaths: 3, ..limits };
        assert_eq!(backoffs_max(limits), Next::Start(Duration::MAX));
    }

    fn backoffs_max(limits: RestartLimits) -> Next {
        let mut restarts = Restarts::new(Restart::Always, limits);
        restarts.ended(Duration::ZERO, true);
        restarts.ended(Duration::ZERO, true)
    }
}
