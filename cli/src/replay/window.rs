//! Part of a session to print, and the speed.

use relayline_core::time::Time;
use relayline_harness::recording::{RecordedLine, Recording};
use relayline_harness::replay::Entry;
use std::str::FromStr;
use std::time::Duration;

/// Point of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SessionPoint {
    /// Milliseconds from its start.
    Time(u64),
    /// Time of this line of its file.
    Line(usize),
}

impl FromStr for SessionPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<SessionPoint, String> {
        let wrong = || "write a time, as in 90s, 1500ms or 2m, or a line of the file, as in :120".to_owned();
        if let Some(line) = text.strip_prefix(':') {
            return line.parse().map(SessionPoint::Line).map_err(|_| wrong());
        }
        let (number, unit) = [("ms", 1.0), ("s", 1_000.0), ("m", 60_000.0), ("h", 3_600_000.0)]
            .into_iter()
            .find_map(|(unit, ms)| text.strip_suffix(unit).map(|number| (number, ms)))
            .ok_or_else(wrong)?;
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let time = Duration::try_from_secs_f64(number * unit / 1000.0).map_err(|_| wrong())?;
        u64::try_from(time.as_millis()).map(SessionPoint::Time).map_err(|_| wrong())
    }
}

/// Speed of printing, as a multiple of the recorded speed; `None` does not wait.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Speed(Option<f64>);

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Speed, String> {
        match text.parse() {
            _ if text == "max" => Ok(Speed(None)),
            Ok(0.0) => Ok(Speed(None)),
            Ok(speed) if f64::is_finite(speed) && speed > 0.0 => Ok(Speed(Some(speed))),
            Ok(_) | Err(_) => {
                Err("write a number, as in 1, 10 or 0.5, or max (or 0), which does not wait".to_owned())
            }
        }
    }
}

impl Speed {
    /// Returns the time to wait for an entry that is `span` later.
    pub(super) fn wait(self, span: Duration) -> Option<Duration> {
        let wait = Duration::try_from_secs_f64(span.as_secs_f64() / self.0?).unwrap_or(span);
        (!wait.is_zero()).then_some(wait)
    }
}

/// Part of a session between two points, both included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Window {
    pub(super) from_ms: u64,
    pub(super) until_ms: u64,
}

impl Window {
    pub(super) fn new(
        recording: &Recording,
        from: Option<&SessionPoint>,
        until: Option<&SessionPoint>,
    ) -> Window {
        let lines = &recording.lines;
        let from_ms = match from {
            None => 0,
            Some(SessionPoint::Time(ms)) => *ms,
            Some(SessionPoint::Line(number)) => {
                lines.iter().find(|line| line.number >= *number).map_or(u64::MAX, |line| line.t_ms)
            }
        };
        let until_ms = match until {
            None => u64::MAX,
            Some(SessionPoint::Time(ms)) => *ms,
            Some(SessionPoint::Line(number)) => {
                lines.iter().rfind(|line| line.number <= *number).map_or(0, |line| line.t_ms)
            }
        };
        Window { from_ms, until_ms }
    }

    /// Returns a note if the part is empty, both in the recording and in the trace.
    pub(super) fn emptiness(self, recording: &Recording, trace: &[Entry]) -> Option<String> {
        let mut recorded = recording.lines.iter().map(|line| line.t_ms);
        if recorded.any(|at| (self.from_ms..=self.until_ms).contains(&at))
            || trace.iter().any(|entry| self.holds(entry.at()))
        {
            return None;
        }
        let last = recording.lines.last()?;
        let RecordedLine { number, t_ms, .. } = last;
        Some(format!("nothing happened from --from to --until; its last line is :{number}, at {t_ms}ms"))
    }

    pub(super) fn holds(self, at: Time) -> bool {
        (self.from_ms..=self.until_ms).contains(&(at.as_micros() / 1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_speeds() {
        for (text, expected) in [
            ("1500ms", Some(SessionPoint::Time(1500))),
            ("90s", Some(SessionPoint::Time(90_000))),
            ("1.5s", Some(SessionPoint::Time(1500))),
            ("2m", Some(SessionPoint::Time(120_000))),
            ("1h", Some(SessionPoint::Time(3_600_000))),
            (":120", Some(SessionPoint::Line(120))),
            ("90", None),
            ("-1s", None),
            ("s", None),
            (":", None),
            ("1e300h", None),
            ("NaNs", None),
        ] {
            assert_eq!(text.parse().ok(), expected, "{text}");
        }
        for (text, expected) in [
            ("max", Some(Speed(None))),
            ("0", Some(Speed(None))),
            ("0.5", Some(Speed(Some(0.5)))),
            ("10", Some(Speed(Some(10.0)))),
            ("-1", None),
            ("inf", None),
            ("fast", None),
        ] {
            assert_eq!(text.parse().ok(), expected, "{text}");
        }
    }
}
