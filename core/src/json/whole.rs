//! Whole numbers in every spelling of a peer.

use super::{Kind, kind, unescape};

/// Reads a raw value as a whole number: `2000`, `2000.0`, `2e3` and `"2000"` alike. Returns `None` for anything else.
///
/// The arithmetic is exact and never expands an exponent. A magnitude over `i128::MAX` becomes
/// `i128::MAX`.
pub fn whole(raw: &str) -> Option<i128> {
    match kind(raw) {
        Kind::Integer | Kind::Fraction => number(raw),
        Kind::String => {
            let body = raw.get(1..raw.len().checked_sub(1)?)?;
            if !body.contains('\\') {
                return number(body);
            }
            let mut text = String::with_capacity(body.len());
            unescape(body, &mut text);
            number(&text)
        }
        Kind::Null | Kind::Bool(_) | Kind::Array | Kind::Object => None,
    }
}

/// Reads a text in JSON's notation of numbers.
fn number(text: &str) -> Option<i128> {
    let (negative, text) = sign(text, &['-']);
    let (integer, rest) = digits(text);
    if integer.is_empty() || (integer.len() > 1 && integer.starts_with('0')) {
        return None;
    }
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => Some(digits(rest)).filter(|(fraction, _)| !fraction.is_empty())?,
        None => ("", rest),
    };
    let exponent = match rest.strip_prefix(['e', 'E']) {
        Some(rest) => exponent(rest)?,
        None if rest.is_empty() => 0,
        None => return None,
    };
    let magnitude = magnitude(integer, fraction, exponent)?;
    Some(if negative { -magnitude } else { magnitude })
}

/// Returns whether `text` starts with a minus sign, and what follows the sign.
fn sign<'a>(text: &'a str, signs: &[char]) -> (bool, &'a str) {
    (text.starts_with('-'), text.strip_prefix(signs).unwrap_or(text))
}

/// Splits `text` after its leading ASCII digits.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

fn exponent(text: &str) -> Option<i64> {
    let (negative, text) = sign(text, &['-', '+']);
    let (digits, rest) = digits(text);
    if digits.is_empty() || !rest.is_empty() {
        return None;
    }
    // An exponent that does not fit exceeds the length of any text.
    let exponent: i64 = digits.parse().unwrap_or(i64::MAX);
    Some(if negative { -exponent } else { exponent })
}

/// Returns the value of the digits with their decimal point moved, if it is whole.
fn magnitude(integer: &str, fraction: &str, exponent: i64) -> Option<i128> {
    let all = || integer.bytes().chain(fraction.bytes());
    let zeros = all().rev().take_while(|digit| *digit == b'0').count();
    let significant = integer.len() + fraction.len() - zeros;
    if significant == 0 {
        return Some(0);
    }
    let moved = i64::try_from(zeros).ok()? - i64::try_from(fraction.len()).ok()?;
    let scale = u32::try_from(exponent.saturating_add(moved).min(i64::from(u32::MAX))).ok()?;
    let shown = all().take(significant).skip_while(|digit| *digit == b'0');
    shown
        .map(|digit| i128::from(digit - b'0'))
        .try_fold(0_i128, |value, digit| value.checked_mul(10)?.checked_add(digit))
        .and_then(|value| value.checked_mul(10_i128.checked_pow(scale)?))
        .or(Some(i128::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn d_3_whole_numbers_in_every_spelling() {
        for raw in [
            "2000",
            "2000.0",
            "2000.000",
            "2e3",
            "2E3",
            "2e+3",
            "2.0e3",
            "0.2e4",
            "20e2",
            "2000e0",
            "20000e-1",
            "200000.0E-02",
            "2000e-0",
            "0.0002e7",
            "\"2000\"",
            "\"2000.0\"",
            "\"2e3\"",
            r#""\u0032000""#,
        ] {
            assert_eq!(whole(raw), Some(2000), "{raw}");
        }
        for (raw, expected) in [
            ("-1.0", -1),
            ("-0", 0),
            ("-0.0e5", 0),
            ("0e999999999999999999999", 0),
            ("9007199254740993.0", 9_007_199_254_740_993),
            ("18446744073709551615", i128::from(u64::MAX)),
            ("1e38", 10_i128.pow(38)),
            ("1e39", i128::MAX),
            ("1e999999999", i128::MAX),
            ("-1e99999999999999999999999", -i128::MAX),
            ("123456789012345678901234567890123456789012", i128::MAX),
        ] {
            assert_eq!(whole(raw), Some(expected), "{raw}");
        }
    }

    #[test]
    fn d_3_other_values_are_not_whole_numbers() {
        for raw in [
            "2000.5",
            "1e-1",
            "2001e-1",
            "1e-999999999999999999999",
            "0.1",
            "null",
            "true",
            "[1]",
            "{}",
            "\"\"",
            "\"two\"",
            "\" 2000\"",
            "\"2000 \"",
            "\"+2000\"",
            "\"02000\"",
            "\"2_000\"",
            "\"2000.\"",
            "\".5e1\"",
            "\"2e\"",
            "\"2e+\"",
            "\"0x10\"",
            "\"-\"",
            "\"٢٠٠٠\"",
            "\"NaN\"",
            "\"\\\\2000\"",
        ] {
            assert_eq!(whole(raw), None, "{raw}");
        }
    }

    /// D-3: a mebibyte of digits costs one pass.
    #[test]
    fn d_3_long_numbers_are_read_in_one_pass() {
        let zeros = "0".repeat(1 << 20);
        assert_eq!(whole(&format!("2000.{zeros}")), Some(2000));
        assert_eq!(whole(&format!("2{zeros}e-{}", 1 << 20)), Some(2));
        assert_eq!(whole(&format!("0.{zeros}2e{}", (1 << 20) + 4)), Some(2000));
        assert_eq!(whole(&format!("1{zeros}")), Some(i128::MAX));
    }

    proptest! {
        /// D-3: a number that is shifted by its exponent and back is the same number.
        #[test]
        fn d_3_the_decimal_point_can_be_anywhere(value in any::<i64>(), places in 0_usize..40, zeros in 0_usize..5) {
            let (sign, shown) = if value < 0 { ("-", value.to_string()[1..].to_owned()) } else { ("", value.to_string()) };
            let zeros = "0".repeat(zeros);
            let right = format!("{sign}{shown}{zeros}e-{}", zeros.len());
            prop_assert_eq!(whole(&right), Some(i128::from(value)), "{}", right);
            let padded = format!("{}{shown}", "0".repeat(places));
            let (integer, fraction) = padded.split_at(padded.len() - places);
            let integer = integer.trim_start_matches('0');
            let integer = if integer.is_empty() { "0" } else { integer };
            let left = format!("\"{sign}{integer}.{fraction}{zeros}0E+{places}\"");
            prop_assert_eq!(whole(&left), Some(i128::from(value)), "{}", left);
        }

        /// D-3: an integer that serde_json parses is read as that integer, and nothing panics.
        #[test]
        fn d_3_any_text_is_read_without_a_panic(text in r#"[-+0-9.eE"\\ ]{0,12}"#) {
            let read = whole(&text);
            if let Ok(value) = serde_json::from_str::<i64>(&text) {
                prop_assert_eq!(whole(text.trim()), Some(i128::from(value)));
            }
            let _ = (read, whole(&format!("\"{text}\"")));
        }
    }
}
