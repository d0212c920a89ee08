//! Limits and time-outs of the program under test, on which the time limits of scenarios depend.

use relayline_control::settings::parse_time;
use std::collections::BTreeMap;
use std::time::Duration;

/// Limits and time-outs that a scenario may name, with the defaults of `PROTOCOL.md`.
const DEFAULTS: [(&str, Duration); 11] = [
    ("dial_timeout", Duration::from_secs(15)),
    ("handshake_timeout", Duration::from_secs(30)),
    ("request_timeout", Duration::from_secs(30)),
    ("backoff_first", Duration::from_secs(1)),
    ("backoff_most", Duration::from_secs(30)),
    ("ping_interval", Duration::from_secs(30)),
    ("ping_timeout", Duration::from_secs(60)),
    ("idle_timeout", Duration::from_secs(10)),
    ("dormant_delay", Duration::from_secs(1)),
    ("disconnect_budget", Duration::from_secs(5)),
    ("typing_interval", Duration::from_secs(4)),
];

/// Time-outs of the program under test, by name. The default has those of `PROTOCOL.md`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Timings(BTreeMap<&'static str, Duration>);

impl Default for Timings {
    fn default() -> Self {
        Timings(DEFAULTS.into_iter().collect())
    }
}

/// Error of a time, or of a file of times. It names the value and the forms that are valid.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct TimingsError(String);

impl Timings {
    /// Reads a TOML file of times, as in `request_timeout = "5s"`. Other times keep their defaults.
    ///
    /// # Errors
    /// The text is not TOML, a name is unknown, or a value is not a time.
    pub fn parse(text: &str) -> Result<Self, TimingsError> {
        let values: BTreeMap<String, toml::Value> =
            toml::from_str(text).map_err(|error| TimingsError(error.to_string().trim_end().to_owned()))?;
        let mut timings = Timings::default();
        for (name, value) in values {
            let value = value.as_str().ok_or_else(|| {
                TimingsError(format!("{name}: write a time as a string, as in {name} = \"5s\""))
            })?;
            timings.set(&name, value)?;
        }
        Ok(timings)
    }

    /// Sets a time by its name.
    ///
    /// # Errors
    /// The name is unknown, or the value is not a time.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), TimingsError> {
        let known = self.0.iter_mut().find(|(known, _)| **known == name);
        let (_, time) = known.ok_or_else(|| {
            let names = DEFAULTS.map(|(name, _)| name).join(", ");
            TimingsError(format!("{name}: there is no such time-out: take one of {names}"))
        })?;
        *time = parse_time(value)
            .ok_or_else(|| TimingsError(format!("{name}: {value:?} is not a time: write 500ms, 5s or 2m")))?;
        Ok(())
    }

    /// Returns the value of a sum of times and names, as in `request_timeout + 2s`.
    ///
    /// # Errors
    /// A summand is neither a time nor the name of one.
    pub fn evaluate(&self, sum: &str) -> Result<Duration, TimingsError> {
        sum.split('+').map(str::trim).try_fold(Duration::ZERO, |total, summand| {
            let time = self.0.get(summand).copied().or_else(|| parse_time(summand)).ok_or_else(|| {
                TimingsError(format!(
                    "{summand:?} is neither a time, as in 500ms, nor the name of a time-out"
                ))
            })?;
            Ok(total + time)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_replaces_the_times_that_it_names() {
        let timings = Timings::parse("request_timeout = \"5s\"\n").unwrap();
        assert_eq!(timings.evaluate("request_timeout + 500ms"), Ok(Duration::from_millis(5500)));
        assert_eq!(timings.evaluate("idle_timeout"), Ok(Duration::from_secs(10)));
        for (text, part) in [
            ("nap = \"5s\"", "nap: there is no such time-out: take one of dial_timeout, "),
            ("request_timeout = 5", "request_timeout: write a time as a string"),
            ("request_timeout = \"soon\"", "\"soon\" is not a time"),
            ("request_timeout", "TOML parse error at line 1"),
        ] {
            let error = Timings::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(timings.evaluate("soon + 1s").is_err());
    }
}
