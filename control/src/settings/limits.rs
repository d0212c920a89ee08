//! Limits and time-outs, set by name and text.

use relayline_core::limits::{NamedLimits, Slot};
use std::time::Duration;

/// Maximum of any limit. Offsets into one event are 32 bits wide.
const MAX_SIZE: usize = 1 << 30;
/// Maximum of any time.
const MAX_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Sets the limit `name` of one of `all` to a value as in `--set NAME=VALUE`.
///
/// # Errors
/// The name is unknown, or the value is malformed or out of range. The text says what would be accepted.
pub(crate) fn set(all: &mut [&mut dyn NamedLimits], name: &str, value: &str) -> Result<(), String> {
    if let Some(slot) = all.iter_mut().find_map(|limits| limits.slot(name)) {
        return fill(slot, value);
    }
    let names: Vec<&str> = all.iter().flat_map(|limits| limits.names()).copied().collect();
    Err(format!("no such setting; there are {}", names.join(", ")))
}

fn fill(slot: Slot<'_>, value: &str) -> Result<(), String> {
    match slot {
        Slot::Size(slot, least) => {
            let size = size(value).ok_or_else(|| {
                format!("{value:?} is not a size: write a whole number, with KiB or MiB if you like")
            })?;
            if !(least..=MAX_SIZE).contains(&size) {
                return Err(format!("{value:?} is out of range: {least} to {MAX_SIZE}"));
            }
            *slot = size;
        }
        Slot::Time(slot, least) => {
            let time = time(value).filter(|time| *time <= MAX_TIME).ok_or_else(|| {
                format!(
                    "{value:?} is not a time: write a number and its unit, as in 500ms, 1s or 2m; a day at most"
                )
            })?;
            if time < least {
                return Err(format!("{value:?} is too short: {least:?} at least"));
            }
            *slot = time;
        }
    }
    Ok(())
}

/// Parses a number of bytes or things, optionally with `KiB` or `MiB`.
fn size(text: &str) -> Option<usize> {
    let (digits, unit) = number_and_unit(text)?;
    let factor = match unit {
        "" | "B" => 1,
        "KiB" | "K" => 1 << 10,
        "MiB" | "M" => 1 << 20,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(factor)
}

/// Parses a whole number with its unit of time.
fn time(text: &str) -> Option<Duration> {
    let (digits, unit) = number_and_unit(text)?;
    let us = match unit {
        "us" => 1,
        "ms" => 1000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(us).map(Duration::from_micros)
}

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
                Err(
                    r#""1" is not a time: write a number and its unit, as in 500ms, 1s or 2m; a day at most"#,
                ),
            ),
            (
                "handshake_timeout",
                "48h",
                Err(
                    r#""48h" is not a time: write a number and its unit, as in 500ms, 1s or 2m; a day at most"#,
                ),
            ),
            // L-15: it would dial again and again without a pause.
            ("backoff_first", "0s", Err(r#""0s" is too short: 1ms at least"#)),
            ("dial_timeout", "999us", Err(r#""999us" is too short: 1ms at least"#)),
            ("ping_interval", "0ms", Err(r#""0ms" is too short: 1ms at least"#)),
            ("delivery_read_timeout", "0s", Err(r#""0s" is too short: 1ms at least"#)),
            ("backoff_first", "1ms", Ok(())),
            ("close_timeout", "0s", Ok(())),
            (
                "chats",
                "many",
                Err(r#""many" is not a size: write a whole number, with KiB or MiB if you like"#),
            ),
            ("chats", "0", Err(r#""0" is out of range: 1 to 1073741824"#)),
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
