//! Message ids in each platform's style, from a counter and the given time.

use relayline_core::time::Now;

/// Style of a platform's message ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdStyle {
    /// A Discord snowflake: milliseconds since 2015 in the upper 42 bits.
    Snowflake,
    /// A small number that counts up, as Telegram does.
    Counter,
    /// Slack's `seconds.microseconds`.
    Timestamp,
}

/// Discord's epoch, 2015-01-01, in Unix milliseconds.
const DISCORD_EPOCH_MS: u64 = 1_420_070_400_000;

/// Source of message ids. They never repeat, whatever the clock does.
#[derive(Clone, Debug)]
pub struct Ids {
    counter: u64,
    last_snowflake: u64,
    last_slack_us: u64,
}

impl Ids {
    /// Creates a source of ids. The seed decides the first small id, so that those of two connectors differ.
    pub fn new(seed: [u8; 32]) -> Self {
        let start = u64::from(u16::from_le_bytes([seed[0], seed[1]]));
        Ids { counter: 1000 + start, last_snowflake: 0, last_slack_us: 0 }
    }

    /// Returns the next id. Ids of one style grow, even if the clock stands still or goes back.
    pub fn next(&mut self, style: IdStyle, now: Now) -> String {
        match style {
            IdStyle::Snowflake => {
                let stamp = unix_ms(now).saturating_sub(DISCORD_EPOCH_MS).min(u64::MAX >> 22) << 22;
                self.last_snowflake = stamp.max(self.last_snowflake.saturating_add(1));
                self.last_snowflake.to_string()
            }
            IdStyle::Counter => {
                self.counter = self.counter.saturating_add(1);
                self.counter.to_string()
            }
            IdStyle::Timestamp => {
                let stamp = unix_ms(now).saturating_mul(1000);
                self.last_slack_us = stamp.max(self.last_slack_us.saturating_add(1));
                format!("{}.{:06}", self.last_slack_us / 1_000_000, self.last_slack_us % 1_000_000)
            }
        }
    }
}

/// Returns Unix milliseconds: seconds of the wall clock, and the rest of the monotonic clock.
pub(crate) fn unix_ms(now: Now) -> u64 {
    now.unix_s.saturating_mul(1000).saturating_add(now.mono.as_millis() % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use relayline_core::time::Time;

    #[test]
    fn l_15_ids_grow_when_the_clock_stands_still_or_goes_back() {
        let at = |unix_s, ms| Now { unix_s, mono: Time::from_millis(ms) };
        let check = |style, expected: [&str; 3]| {
            let mut ids = Ids::new([0; 32]);
            let got = [at(1_718_900_000, 123), at(1_718_900_000, 123), at(1_718_800_000, 0)];
            assert_eq!(got.map(|now| ids.next(style, now)), expected, "{style:?}");
        };
        check(IdStyle::Snowflake, ["1253382187114299392", "1253382187114299393", "1253382187114299394"]);
        check(IdStyle::Counter, ["1001", "1002", "1003"]);
        check(IdStyle::Timestamp, ["1718900000.123000", "1718900000.123001", "1718900000.123002"]);
        // The ends of the time range do not overflow.
        let mut ids = Ids::new([255; 32]);
        for style in [IdStyle::Snowflake, IdStyle::Counter, IdStyle::Timestamp] {
            ids.next(style, at(0, 0));
            ids.next(style, at(u64::MAX, u64::MAX));
            ids.next(style, at(u64::MAX, u64::MAX));
        }
    }
}
