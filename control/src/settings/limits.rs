//! Limits and time-outs, set by name and text.

use relayline_core::limits::{NamedLimits, Slot};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Maximum of any size.
const MAX_SIZE: usize = 1 << 30;
/// Maximum of any time.
const MAX_TIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Units of a size, and their number of bytes or things.
const SIZE_UNITS: [(&str, usize); 6] =
    [("", 1), ("B", 1), ("KiB", 1 << 10), ("K", 1 << 10), ("MiB", 1 << 20), ("M", 1 << 20)];
/// Units of a time, and their microseconds; the largest first.
const TIME_UNITS: [(&str, u64); 5] =
    [("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1000), ("us", 1)];

/// Sets the limit `name` to a value that is written as in `--set NAME=VALUE`. One of `all` has the limit.
///
/// # Errors
/// Returns a text if the name is unknown, or if the value is malformed or out of range. The text names the accepted
/// values.
pub fn set(all: &mut [&mut dyn NamedLimits], name: &str, value: &str) -> Result<(), String> {
    if let Some(slot) = all.iter_mut().find_map(|limits| limits.slot(name)) {
        return fill(slot, value);
    }
    let names: Vec<&str> = all.iter().flat_map(|limits| limits.names()).copied().collect();
    Err(format!("no such setting; there are {}", names.join(", ")))
}

/// Parses a value, checks its range and stores it.
fn fill(slot: Slot<'_>, value: &str) -> Result<(), String> {
    match slot {
        Slot::Size(slot, min) => {
            let size = parse_size(value).ok_or_else(|| {
                format!("{value:?} is not a size: write a whole number, with KiB or MiB if you like")
            })?;
            *slot = check_range(value, size, min..=MAX_SIZE, |size| size.to_string())?;
        }
        Slot::Time(slot, min) => {
            let time = parse_time(value).ok_or_else(|| {
                format!("{value:?} is not a time: write a number and its unit, as in 500ms, 1s or 2m")
            })?;
            *slot = check_range(value, time, min..=MAX_TIME, format_time)?;
        }
    }
    Ok(())
}

/// Returns the parsed value if it is in the range.
fn check_range<T: Copy + PartialOrd>(
    text: &str,
    parsed: T,
    range: RangeInclusive<T>,
    format: impl Fn(T) -> String,
) -> Result<T, String> {
    if range.contains(&parsed) {
        return Ok(parsed);
    }
    Err(format!("{text:?} is out of range: {} to {}", format(*range.start()), format(*range.end())))
}

/// Parses a whole number of bytes or things, with an optional unit. A number that is too large for a `usize` becomes
/// its maximum.
fn parse_size(text: &str) -> Option<usize> {
    let (digits, unit) = number_and_unit(text)?;
    let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?;
    Some(digits.parse().unwrap_or(usize::MAX).saturating_mul(*factor))
}

/// Parses a whole number with its unit of time, as in `10m`; `None` if it is not one. A number that is too large for a
/// `u64` of microseconds becomes its maximum.
pub fn parse_time(text: &str) -> Option<Duration> {
    let (digits, unit) = number_and_unit(text)?;
    let (_, us) = TIME_UNITS.iter().find(|(name, _)| *name == unit)?;
    Some(Duration::from_micros(digits.parse().unwrap_or(u64::MAX).saturating_mul(*us)))
}

/// Writes a time as [`parse_time`] reads it, in the largest unit of which it is a multiple.
fn format_time(time: Duration) -> String {
    let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    if us == 0 {
        return "0s".to_owned();
    }
    let fitting = TIME_UNITS.iter().find(|(_, unit_us)| us.is_multiple_of(*unit_us));
    fitting.map_or_else(|| format!("{us}us"), |(name, unit_us)| format!("{}{name}", us / unit_us))
}

/// Splits a text into its leading digits, of which there is at least one, and the unit after them.
fn number_and_unit(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| (&text[..end], text[end..].trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::GatewayConfig;
    use crate::url::DialUrl;
    use relayline_core::config::Identity;

    fn config() -> GatewayConfig {
        let identity = Identity::new("discord", "1");
        GatewayConfig::new(DialUrl::parse("ws://127.0.0.1:1").unwrap(), identity)
    }

    #[test]
    fn every_setting_can_be_set_by_name() {
        let config = config();
        let all: [&dyn NamedLimits; 3] = [&config.machine.limits, &config.machine.timing, &config.server];
        let names: Vec<&str> = all.into_iter().flat_map(|limits| limits.names()).copied().collect();
        assert!(names.len() >= 39, "{names:?}");
        for name in names {
            let mut config = self::config();
            let ok = config.set(name, "5000").or_else(|_| config.set(name, "5000us"));
            assert_eq!(ok, Ok(()), "{name}");
            assert_ne!(config, self::config(), "{name}");
        }
    }

    #[test]
    fn values_and_their_errors() {
        for (name, value, expected) in [
            ("handshake_timeout", "1s", Ok(())),
            ("handshake_timeout", " 1500 ms ", Ok(())),
            ("max_line_bytes", "2MiB", Ok(())),
            (
                "handshake_timeout",
                "1",
                Err(r#""1" is not a time: write a number and its unit, as in 500ms, 1s or 2m"#),
            ),
            ("handshake_timeout", "48h", Err(r#""48h" is out of range: 1ms to 24h"#)),
            (
                "handshake_timeout",
                "99999999999999999999h",
                Err(r#""99999999999999999999h" is out of range: 1ms to 24h"#),
            ),
            ("handshake_timeout", "24h", Ok(())),
            ("close_timeout", "25h", Err(r#""25h" is out of range: 0s to 24h"#)),
            // L-15: dials would follow each other without a pause.
            ("backoff_first", "0s", Err(r#""0s" is out of range: 1ms to 24h"#)),
            ("dial_timeout", "999us", Err(r#""999us" is out of range: 1ms to 24h"#)),
            ("ping_interval", "0ms", Err(r#""0ms" is out of range: 1ms to 24h"#)),
            ("delivery_read_timeout", "0s", Err(r#""0s" is out of range: 1ms to 24h"#)),
            ("backoff_first", "1ms", Ok(())),
            ("close_timeout", "0s", Ok(())),
            (
                "chats",
                "many",
                Err(r#""many" is not a size: write a whole number, with KiB or MiB if you like"#),
            ),
            ("chats", "0", Err(r#""0" is out of range: 1 to 1073741824"#)),
            (
                "chats",
                "99999999999999999999",
                Err(r#""99999999999999999999" is out of range: 1 to 1073741824"#),
            ),
        ] {
            assert_eq!(config().set(name, value), expected.map_err(String::from), "{name}={value}");
        }
        assert!(
            config()
                .set("handshake", "1s")
                .unwrap_err()
                .starts_with("no such setting; there are max_line_bytes, ")
        );
    }
}
