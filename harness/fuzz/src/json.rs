//! Simple JSON reader on serde_json's maps and strings. The core reads in one pass, with care for lone surrogates and
//! duplicates. Both are compared on the texts that both can read.

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Returns the text with `null` in place of Python's constants outside strings (W-11).
pub(crate) fn without_constants(raw: &str) -> String {
    let mut out = String::new();
    let mut rest = raw;
    while let Some(first) = rest.chars().next() {
        let is_token = |c: char| c.is_alphanumeric() || matches!(c, '-' | '+' | '.' | '_');
        let length = match first {
            '"' => string_length(rest),
            _ => rest.find(|c| !is_token(c)).filter(|length| *length > 0).unwrap_or(match is_token(first) {
                true => rest.len(),
                false => first.len_utf8(),
            }),
        };
        let (token, behind) = rest.split_at(length);
        out.push_str(if matches!(token, "NaN" | "Infinity" | "-Infinity") { "null" } else { token });
        rest = behind;
    }
    out
}

/// Returns the length of the string at the start of `rest`, quotes included; the whole length if it is not terminated.
fn string_length(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Returns a whole number in any spelling (D-3), with all its digits; `None` for other values. Above some thousand
/// digits it is only known to be large.
pub(crate) fn whole(raw: &str) -> Option<Whole> {
    let number = text(raw).unwrap_or_else(|| raw.to_owned());
    // A string may hold anything. serde_json decides what a number is, too.
    let plain = serde_json::from_str::<Box<RawValue>>(&number).ok().filter(|plain| plain.get() == number)?;
    let plain = plain.get().to_ascii_lowercase();
    plain.starts_with(|c: char| c.is_ascii_digit() || c == '-').then_some(())?;
    let is_negative = plain.starts_with('-');
    let (mantissa, exponent) = plain.trim_start_matches('-').split_once('e').unwrap_or((&plain, "0"));
    let (integer, fraction) =
        mantissa.trim_start_matches('-').split_once('.').unwrap_or((mantissa.trim_start_matches('-'), ""));
    if integer.bytes().chain(fraction.bytes()).all(|digit| digit == b'0') {
        return Some(Whole { is_negative: false, digits: "0".into() });
    }
    let places =
        exponent.parse::<i64>().unwrap_or(if exponent.starts_with('-') { -100_000 } else { 100_000 });
    let places = usize::try_from(places.unsigned_abs().min(100_000)).unwrap();
    let (whole, part) = match exponent.starts_with('-') {
        false => {
            let padded = format!("{fraction}{}", "0".repeat(places.saturating_sub(fraction.len())));
            (format!("{integer}{}", &padded[..places]), padded[places..].to_owned())
        }
        true => {
            let padded = format!("{}{integer}", "0".repeat(places.saturating_sub(integer.len())));
            let split = padded.len() - places;
            (padded[..split].to_owned(), format!("{}{fraction}", &padded[split..]))
        }
    };
    let digits = whole.trim_start_matches('0').to_owned();
    part.bytes().all(|digit| digit == b'0').then_some(Whole { is_negative, digits })
}

/// Digits of a whole number.
pub(crate) struct Whole {
    pub(crate) is_negative: bool,
    digits: String,
}

impl Whole {
    /// Returns its value if it is not negative; `None` if it does not fit.
    pub(crate) fn fits(&self) -> Option<u64> {
        self.digits.parse().ok().filter(|_| !self.is_negative)
    }
}

/// Fields of an object. Of duplicates the last one counts (W-9).
pub(crate) struct Object(BTreeMap<String, Box<RawValue>>);

/// Returns true if serde_json reads the whole text. It rejects lone surrogates and numbers beyond its range.
pub(crate) fn is_plain(raw: &str) -> bool {
    serde_json::from_str::<Value>(raw).is_ok()
}

impl Object {
    pub(crate) fn read(raw: &str) -> Option<Object> {
        serde_json::from_str(raw).ok().map(Object)
    }

    fn empty() -> Object {
        Object(BTreeMap::new())
    }

    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|raw| raw.get())
    }

    /// Returns all fields. Each was read before.
    pub(crate) fn values(&self) -> Map<String, Value> {
        let read = |raw: &RawValue| serde_json::from_str(raw.get()).unwrap();
        self.0.iter().map(|(name, raw)| (name.clone(), read(raw))).collect()
    }

    /// Returns the object in a field; an empty one if there is none.
    pub(crate) fn object(&self, name: &str) -> Object {
        self.raw(name).and_then(Object::read).unwrap_or_else(Object::empty)
    }

    pub(crate) fn items(&self, name: &str) -> Vec<Box<RawValue>> {
        self.raw(name).and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default()
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.raw(name).and_then(text)
    }

    /// Returns a string, or an integer as written (W-8).
    pub(crate) fn id(&self, name: &str) -> Option<String> {
        self.text(name).or_else(|| self.raw(name).filter(|raw| is_integer(raw)).map(str::to_owned))
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.raw(name).and_then(|raw| serde_json::from_str(raw).ok())
    }
}

pub(crate) fn text(raw: &str) -> Option<String> {
    serde_json::from_str(raw).ok()
}

pub(crate) fn is_integer(raw: &str) -> bool {
    raw.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// Returns a text, with an empty one as absent.
pub(crate) fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}
