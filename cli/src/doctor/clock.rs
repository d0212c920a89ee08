//! Comparison of the clocks of gateway and connector, by the answer's `Date`.

use super::{Findings, Verdict};
use relayline_core::signature::MAX_SKEW_S;
use relayline_core::token::TOKEN_TTL_S;
use std::time::UNIX_EPOCH;

/// Maximum difference in seconds that counts as ok: `Date` is truncated to seconds, and the answer took time to arrive.
const TOLERANCE_S: u64 = 30;

/// Compares the connector's date with this machine's clock.
pub(super) fn judge(date: Option<&str>, unix_s: u64, findings: &mut Findings) {
    let (verdict, what) = verdict(date, unix_s);
    findings.say(verdict, "clock", what);
}

fn verdict(date: Option<&str>, unix_s: u64) -> (Verdict, String) {
    let theirs = date.and_then(|date| httpdate::parse_http_date(date).ok());
    let Some(theirs) = theirs.and_then(|date| date.duration_since(UNIX_EPOCH).ok()) else {
        let what = "the connector's answer has no date: compare the clocks of both sides by hand";
        return (Verdict::Warn, what.to_owned());
    };
    // A token of a slow clock expires early, a signature of the connector expires early for a fast one (C-1, C-3).
    let (side, expiring, lifetime_s) = if theirs.as_secs() > unix_s {
        ("behind", "tokens", TOKEN_TTL_S)
    } else {
        ("ahead of", "signatures of webhook requests", MAX_SKEW_S)
    };
    let skew = theirs.as_secs().abs_diff(unix_s);
    let what = format!("{skew} s {side} the connector's");
    match skew {
        0..=TOLERANCE_S => (Verdict::Ok, what),
        skew if skew < lifetime_s => {
            (Verdict::Warn, format!("{what}: set this machine's clock, by NTP for instance"))
        }
        _ => (
            Verdict::Fail,
            format!(
                "{what}, and {expiring} are valid for {lifetime_s} s: set this machine's clock, by NTP for instance"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_clock_skew_warns_and_a_large_one_fails() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        let at = 784_111_777;
        for (date, now, expected) in [
            (date, at, (Verdict::Ok, "0 s ahead of the connector's")),
            (date, at + 30, (Verdict::Ok, "30 s ahead of the connector's")),
            (date, at - 31, (Verdict::Warn, "31 s behind the connector's: set ")),
            (date, at + 299, (Verdict::Warn, "299 s ahead of the connector's: set ")),
            (
                date,
                at + 300,
                (
                    Verdict::Fail,
                    "300 s ahead of the connector's, and signatures of webhook requests are valid for 300 s",
                ),
            ),
            (date, 0, (Verdict::Fail, "784111777 s behind the connector's, and tokens are valid for 300 s")),
            (Some("yesterday"), at, (Verdict::Warn, "the connector's answer has no date")),
            (None, at, (Verdict::Warn, "the connector's answer has no date")),
        ] {
            let (verdict, what) = verdict(date, now);
            assert!(
                verdict == expected.0 && what.starts_with(expected.1),
                "{date:?} {now}: {verdict} {what}"
            );
        }
    }
}
