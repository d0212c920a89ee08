//! Capability descriptor of a connector's platform.

use crate::command::MAX_ID_BYTES;
use crate::json::{self, Kind};
use serde::Serialize;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Ops of a descriptor that does not name any.
pub const LEGACY_OPS: [&str; 4] = ["send", "edit", "typing", "follow_up"];

/// Unit of a message's length.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LenUnit {
    /// Unicode scalar values. Unknown units are read as this one.
    Chars,
    /// UTF-16 code units.
    Utf16,
}

impl LenUnit {
    /// Returns the length of `text` in this unit.
    pub fn len(self, text: &str) -> usize {
        match self {
            LenUnit::Chars => text.chars().count(),
            LenUnit::Utf16 => text.chars().map(char::len_utf16).sum(),
        }
    }

    /// Returns the length of one scalar value in this unit.
    pub fn of(self, c: char) -> usize {
        match self {
            LenUnit::Chars => 1,
            LenUnit::Utf16 => c.len_utf16(),
        }
    }
}

/// Negotiated descriptor. Every field has a value. It serializes under its wire names, normalized.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Descriptor {
    /// Version of the connector's contract, at least 1.
    pub contract_version: i64,
    /// Protocol name of the platform.
    pub platform: String,
    /// Display name of the platform.
    pub label: String,
    /// Maximum length of a message, in `len_unit`; 4096 if the connector's value is unusable.
    pub max_message_length: u64,
    /// Unit of `max_message_length`.
    pub len_unit: LenUnit,
    /// True if growing replies can be shown as drafts.
    pub supports_draft_streaming: bool,
    /// True if sent messages can be edited.
    pub supports_edit: bool,
    /// True if the platform has threads.
    pub supports_threads: bool,
    /// Markup dialect of texts; empty or `plain` means no code blocks.
    pub markdown_dialect: String,
    /// Emoji of the platform; 🔌 by default.
    pub emoji: String,
    /// Hint about the platform for an agent; empty by default.
    pub platform_hint: String,
    /// True if personal data may be shown; false by default.
    pub pii_safe: bool,
    /// True if events carry surrounding messages; false by default.
    pub supports_context: bool,
    /// True if a conversation can continue in the channel; false by default.
    pub supports_inchannel_continuable: bool,
    /// True if block formatting is supported; false by default.
    pub supports_block_formatting: bool,
    /// Supported ops, at most 256; empty means the legacy set.
    pub supported_ops: Vec<String>,
    /// Fields that the protocol does not know, at most 256 and 64 KiB of JSON. They serialize beside the others.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// Error returned when a descriptor is unusable. The handshake fails.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptorError {
    /// `descriptor` is missing or not an object.
    #[error("the descriptor is not an object")]
    NotAnObject,
    /// A required field is missing.
    #[error("the descriptor lacks `{0}`")]
    Missing(&'static str),
    /// A required field has the wrong type.
    #[error("the descriptor's `{0}` is not {1}")]
    WrongType(&'static str, &'static str),
    /// The version of the contract is below 1.
    #[error("the descriptor's `contract_version` is {0}; 1 is the least")]
    Version(i64),
}

/// Maximum number of ops that are kept of one descriptor (X-1).
const MAX_OPS: usize = 256;
/// Maximum number of unknown fields that are kept of one descriptor, and of bytes of their JSON (X-1).
const MAX_UNKNOWN: usize = 256;
const MAX_UNKNOWN_BYTES: usize = 64 << 10;

pub(crate) const FIELDS: [&str; 16] = [
    "contract_version",
    "platform",
    "label",
    "max_message_length",
    "supports_draft_streaming",
    "supports_edit",
    "supports_threads",
    "markdown_dialect",
    "len_unit",
    "emoji",
    "platform_hint",
    "pii_safe",
    "supports_context",
    "supports_inchannel_continuable",
    "supports_block_formatting",
    "supported_ops",
];

impl Descriptor {
    /// Reads a `descriptor` value. Unknown fields are kept; an optional field of the wrong type takes its default.
    pub fn read(raw: &str) -> Result<Descriptor, DescriptorError> {
        Descriptor::read_counting(raw).map(|(descriptor, _)| descriptor)
    }

    /// Reads a `descriptor` value, and counts what was dropped.
    pub(crate) fn read_counting(raw: &str) -> Result<(Descriptor, Dropped), DescriptorError> {
        let repaired = json::repair(raw);
        let raw = repaired.as_deref().unwrap_or(raw);
        let found = json::fields(raw, &FIELDS).ok_or(DescriptorError::NotAnObject)?;
        let required = |at: usize| found[at].ok_or(DescriptorError::Missing(FIELDS[at]));
        let text =
            |at: usize| json::string(required(at)?).ok_or(DescriptorError::WrongType(FIELDS[at], "a string"));
        let truth =
            |raw: &str| (json::kind(raw) == Kind::Bool(true), matches!(json::kind(raw), Kind::Bool(_)));
        let flag = |at: usize| match truth(required(at)?) {
            (value, true) => Ok(value),
            (_, false) => Err(DescriptorError::WrongType(FIELDS[at], "a boolean")),
        };
        let optional_flag = |at: usize| found[at].is_some_and(|raw| truth(raw).0);

        let version = json::whole(required(0)?).ok_or(DescriptorError::WrongType(FIELDS[0], "an integer"))?;
        // A number that overflows is still above or below 1.
        let contract_version =
            i64::try_from(version).unwrap_or(if version < 0 { i64::MIN } else { i64::MAX });
        let (mut supported_ops, mut dropped) = (Vec::new(), Dropped::default());
        json::each(found[15].unwrap_or("null"), |raw| {
            let Some(op) = json::string(raw).filter(|op| !op.is_empty()) else { return };
            // Bounded, since each request searches them (O-9).
            if supported_ops.len() < MAX_OPS && op.len() <= MAX_ID_BYTES {
                supported_ops.push(op);
            } else {
                dropped.ops += 1;
            }
        });
        let descriptor = Descriptor {
            contract_version,
            platform: text(1)?,
            label: text(2)?,
            max_message_length: max_message_length(required(3)?),
            supports_draft_streaming: flag(4)?,
            supports_edit: flag(5)?,
            supports_threads: flag(6)?,
            markdown_dialect: text(7)?,
            len_unit: match json::string(required(8)?).as_deref() {
                Some("utf16") => LenUnit::Utf16,
                Some(_) | None => LenUnit::Chars,
            },
            emoji: found[9].and_then(json::string).unwrap_or_else(|| "🔌".into()),
            platform_hint: found[10].and_then(json::string).unwrap_or_default(),
            pii_safe: optional_flag(11),
            supports_context: optional_flag(12),
            supports_inchannel_continuable: optional_flag(13),
            supports_block_formatting: optional_flag(14),
            supported_ops,
            unknown: unknown_fields(raw, &mut dropped.fields),
        };
        if contract_version < 1 {
            return Err(DescriptorError::Version(contract_version));
        }
        Ok((descriptor, dropped))
    }

    /// Returns the number of bytes that the descriptor keeps alive. Queues are bounded by it.
    pub fn weight(&self) -> usize {
        let texts = [&self.platform, &self.label, &self.markdown_dialect, &self.emoji, &self.platform_hint];
        let texts = texts.into_iter().chain(&self.supported_ops).map(String::capacity).sum::<usize>();
        let unknown = json::weight_of_fields(&self.unknown);
        size_of::<Descriptor>() + texts + self.supported_ops.capacity() * 2 * size_of::<String>() + unknown
    }

    /// Returns true if texts may contain fenced code blocks.
    pub fn code_blocks(&self) -> bool {
        !matches!(self.markdown_dialect.as_str(), "" | "plain")
    }

    /// Returns true if the descriptor offers an op: one that it names, or one of the legacy set if it does not name
    /// any.
    pub fn offers(&self, op: &str) -> bool {
        if self.supported_ops.is_empty() {
            LEGACY_OPS.contains(&op)
        } else {
            self.supported_ops.iter().any(|named| named == op)
        }
    }

    /// Returns the names of the fields that differ from `earlier`, in the order of the wire, unknown fields last.
    pub fn changes_from(&self, earlier: &Descriptor) -> Vec<Cow<'static, str>> {
        let differs = [
            self.contract_version != earlier.contract_version,
            self.platform != earlier.platform,
            self.label != earlier.label,
            self.max_message_length != earlier.max_message_length,
            self.supports_draft_streaming != earlier.supports_draft_streaming,
            self.supports_edit != earlier.supports_edit,
            self.supports_threads != earlier.supports_threads,
            self.markdown_dialect != earlier.markdown_dialect,
            self.len_unit != earlier.len_unit,
            self.emoji != earlier.emoji,
            self.platform_hint != earlier.platform_hint,
            self.pii_safe != earlier.pii_safe,
            self.supports_context != earlier.supports_context,
            self.supports_inchannel_continuable != earlier.supports_inchannel_continuable,
            self.supports_block_formatting != earlier.supports_block_formatting,
            self.supported_ops != earlier.supported_ops,
        ];
        let known = FIELDS.iter().zip(differs).filter_map(|(name, differs)| differs.then_some(*name));
        let (now, before) = (&self.unknown, &earlier.unknown);
        let gone = before.keys().filter(|name| !now.contains_key(*name));
        let unknown =
            now.iter().filter(|(name, value)| before.get(*name) != Some(value)).map(|(name, _)| name);
        let unknown = unknown.chain(gone).map(|name| Cow::Owned(name.clone()));
        known.map(Cow::Borrowed).chain(unknown).collect()
    }
}

/// Numbers of things dropped of a descriptor (X-2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Dropped {
    pub(crate) ops: u64,
    /// Unknown fields.
    pub(crate) fields: u64,
}

/// Returns the fields of an object, known to be JSON, that the protocol does not know (X-4). Fields beyond the bounds,
/// and numbers that no program can hold, are dropped and counted.
fn unknown_fields(raw: &str, dropped: &mut u64) -> Map<String, Value> {
    let (mut unknown, mut bytes) = (Map::new(), 0);
    json::entries(raw, |name, value| {
        if FIELDS.contains(&name) {
            return;
        }
        let size = name.len() + value.len();
        let fits = unknown.len() < MAX_UNKNOWN && bytes + size <= MAX_UNKNOWN_BYTES;
        let value = fits.then(|| serde_json::from_str(&json::verbatim(value)).ok()).flatten();
        match value {
            Some(value) => {
                bytes += size;
                unknown.insert(name.to_owned(), value);
            }
            None => *dropped += 1,
        }
    });
    unknown
}

/// Reads the limit of a message: zero, a negative number or no whole number reads as 4096 (D-3). One too large to count
/// is a limit that no text reaches.
fn max_message_length(raw: &str) -> u64 {
    match json::whole(raw) {
        Some(length) if length > 0 => u64::try_from(length).unwrap_or(u64::MAX),
        Some(_) | None => 4096,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// Vectors that a rule reads differently from the reference, which checks no types: the rule, and the error or the
    /// value that it gives.
    const DEPARTURES: &[(&str, &str, &str)] = &[
        ("contract_version 0", "D-7", "the descriptor's `contract_version` is 0; 1 is the least"),
        ("contract_version text", "D-3", "contract_version=1"),
        ("contract_version 1.0", "D-3", "contract_version=1"),
        ("contract_version true", "D-1", "the descriptor's `contract_version` is not an integer"),
        ("max_message_length negative", "D-3", "max_message_length=4096"),
        ("max_message_length text", "D-3", "max_message_length=2000"),
        ("max_message_length with a fraction", "D-3", "max_message_length=4096"),
        ("max_message_length null", "D-3", "max_message_length=4096"),
        ("supports_edit 1", "D-1", "the descriptor's `supports_edit` is not a boolean"),
        ("supports_threads null", "D-1", "the descriptor's `supports_threads` is not a boolean"),
        ("len_unit unknown", "D-4", "len_unit=\"chars\""),
        ("len_unit in capitals", "D-4", "len_unit=\"chars\""),
        ("len_unit null", "D-4", "len_unit=\"chars\""),
        ("markdown_dialect null", "D-1", "the descriptor's `markdown_dialect` is not a string"),
        ("optional fields null", "D-2", "emoji=\"🔌\" pii_safe=false platform_hint=\"\""),
        ("platform number", "D-1", "the descriptor's `platform` is not a string"),
        ("NaN", "W-11", "max_message_length=4096"),
    ];

    /// Returns how our reading differs from the reference's fields: an error, or the fields that differ.
    fn difference(ours: &Result<Descriptor, DescriptorError>, parsed: &Value) -> String {
        let ours = match ours {
            Ok(descriptor) => serde_json::to_value(descriptor).unwrap(),
            Err(error) => return error.to_string(),
        };
        let fields = parsed.as_object().unwrap().iter().filter(|(name, value)| ours[name] != **value);
        fields.map(|(name, _)| format!("{name}={}", ours[name])).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn d_1_d_2_d_3_d_4_d_7_vectors() {
        let file: Value =
            serde_json::from_str(include_str!("../../harness/vectors/descriptors.json")).unwrap();
        let mut departed = Vec::new();
        for vector in file["vectors"].as_array().unwrap() {
            let what = vector["what"].as_str().unwrap();
            let raw = vector
                .get("json")
                .map_or_else(|| vector["descriptor"].to_string(), |t| t.as_str().unwrap().into());
            let ours = Descriptor::read(&raw);
            if vector["parsed"].is_null() {
                let error = ours.expect_err(what);
                if let Some(missing) = vector["missing"].as_array().filter(|m| m.len() == 1) {
                    assert_eq!(
                        error.to_string(),
                        format!("the descriptor lacks `{}`", missing[0].as_str().unwrap())
                    );
                }
                continue;
            }
            let difference = difference(&ours, &vector["parsed"]);
            if difference.is_empty() {
                if let (Some(unit), Ok(ours)) = (vector["adapter"]["supports_code_blocks"].as_bool(), &ours) {
                    assert_eq!(ours.code_blocks(), unit, "{what}");
                }
                continue;
            }
            let departure = DEPARTURES.iter().find(|(name, ..)| *name == what);
            let (_, rule, expected) = departure.unwrap_or_else(|| panic!("{what}: {difference}"));
            assert_eq!(difference, *expected, "{what} departs: {rule}");
            departed.push(what);
        }
        assert_eq!(departed.len(), DEPARTURES.len(), "every departure is used");
    }

    const BARE: &str = r#""contract_version":1,"platform":"p","label":"P","max_message_length":10,"supports_draft_streaming":true,"supports_edit":true,"supports_threads":false,"markdown_dialect":"","len_unit":"chars""#;

    #[test]
    fn d_5_code_blocks_follow_the_dialect() {
        for (dialect, expected) in [("", false), ("plain", false), ("Plain", true), ("discord", true)] {
            let raw = format!(r#"{{{BARE},"markdown_dialect":"{dialect}"}}"#);
            assert_eq!(Descriptor::read(&raw).unwrap().code_blocks(), expected, "{dialect}");
        }
    }

    #[test]
    fn d_6_ops_are_those_named_or_the_legacy_set() {
        for (ops, offered, not) in [
            ("null", "send", "react"),
            ("[]", "follow_up", "delete"),
            ("\"send\"", "typing", "prompt"),
            (r#"["","",null,4]"#, "edit", "draft"),
            (r#"["react","",7,"send"]"#, "react", "edit"),
        ] {
            let descriptor = Descriptor::read(&format!(r#"{{{BARE},"supported_ops":{ops}}}"#)).unwrap();
            assert!(descriptor.offers(offered) && !descriptor.offers(not), "{ops}");
        }
    }

    #[test]
    fn d_7_versions_above_1_are_accepted() {
        for (version, ok) in
            [("1", true), ("2", true), ("99999999999999999999999", true), ("0", false), ("-1", false)]
        {
            let raw = format!(r#"{{{BARE},"contract_version":{version}}}"#);
            assert_eq!(Descriptor::read(&raw).is_ok(), ok, "{version}");
        }
    }

    #[test]
    fn d_3_d_7_versions_and_limits_are_read_in_every_spelling() {
        let read = |version: &str, limit: &str| {
            let raw = format!(r#"{{{BARE},"contract_version":{version},"max_message_length":{limit}}}"#);
            Descriptor::read(&raw).map(|read| (read.contract_version, read.max_message_length))
        };
        for (version, limit, expected) in [
            ("1.0", "2000.0", (1, 2000)),
            ("1e0", "2e3", (1, 2000)),
            ("\"1\"", "\"2000\"", (1, 2000)),
            ("20e-1", "\"2.0E3\"", (2, 2000)),
            ("1e999999999", "1e999999999", (i64::MAX, u64::MAX)),
            ("1", "2000.5", (1, 4096)),
            ("1", "1e-999999999", (1, 4096)),
            ("1", "-2e3", (1, 4096)),
            ("1", "0.0", (1, 4096)),
            ("1", "\"many\"", (1, 4096)),
            ("1", "NaN", (1, 4096)),
            ("1", "-Infinity", (1, 4096)),
        ] {
            assert_eq!(read(version, limit), Ok(expected), "{version} {limit}");
        }
        let wrong = DescriptorError::WrongType("contract_version", "an integer");
        for (version, error) in [
            ("1.5", wrong.clone()),
            ("\"one\"", wrong.clone()),
            ("NaN", wrong),
            ("0.0", DescriptorError::Version(0)),
            ("-1e999999999", DescriptorError::Version(i64::MIN)),
        ] {
            assert_eq!(read(version, "1"), Err(error), "{version}");
        }
    }

    #[test]
    fn d_4_lengths_in_both_units() {
        for (text, chars, utf16) in [("", 0, 0), ("abc", 3, 3), ("😀", 1, 2), ("👨‍👩‍👧‍👦", 7, 11), ("𝒳y", 2, 3)]
        {
            assert_eq!((LenUnit::Chars.len(text), LenUnit::Utf16.len(text)), (chars, utf16), "{text}");
        }
    }

    #[test]
    fn d_10_changes_are_named() {
        let read = |extra: &str| Descriptor::read(&format!("{{{BARE}{extra}}}")).unwrap();
        assert!(read("").changes_from(&read("")).is_empty());
        let changed = read(r#","max_message_length":20,"len_unit":"utf16","supported_ops":["react"]"#);
        assert_eq!(changed.changes_from(&read("")), ["max_message_length", "len_unit", "supported_ops"]);
        let (one, other) = (read(r#","new":1,"x":[1]"#), read(r#","new":2,"pii_safe":true"#));
        assert_eq!(other.changes_from(&one), ["pii_safe", "new", "x"]);
    }

    #[test]
    fn x_4_unknown_fields_are_kept_and_shown() {
        let raw = format!(
            r#"{{{BARE},"supports_polls":true,"n\u0065w":{{"a":[1,NaN,"\ud800"]}},"twice":1,"twice":2,"limit":1e999}}"#
        );
        let (descriptor, dropped) = Descriptor::read_counting(&raw).unwrap();
        assert_eq!(dropped, Dropped { ops: 0, fields: 1 });
        let shown = serde_json::to_value(&descriptor).unwrap();
        for (name, expected) in [
            ("supports_polls", serde_json::json!(true)),
            ("new", serde_json::json!({"a": [1, null, "\u{fffd}"]})),
            ("twice", 2.into()),
            ("limit", Value::Null),
            ("platform", "p".into()),
        ] {
            assert_eq!(shown[name], expected, "{name}");
        }
        assert_eq!(descriptor.unknown.len(), 3);
    }

    /// Each request searches the ops (O-9).
    #[test]
    fn x_1_ops_are_bounded_in_number_and_length() {
        let read = |ops: &[String]| {
            let raw = format!(r#"{{{BARE},"supported_ops":["{}"]}}"#, ops.join("\",\""));
            let (descriptor, dropped) = Descriptor::read_counting(&raw).unwrap();
            (descriptor.supported_ops.len(), dropped.ops)
        };
        let ops: Vec<String> = (0..300).map(|n| format!("op{n}")).collect();
        assert_eq!((read(&ops[..256]), read(&ops)), ((256, 0), (256, 44)));
        let (longest, longer) = ("x".repeat(MAX_ID_BYTES), "x".repeat(MAX_ID_BYTES + 1));
        assert_eq!(read(&[longer.clone(), longest, longer]), (1, 2));
    }

    #[test]
    fn x_1_x_4_unknown_fields_are_bounded_in_number_and_bytes() {
        let read = |extra: &str| Descriptor::read_counting(&format!("{{{BARE}{extra}}}")).unwrap();
        let many: String = (0..300).map(|n| format!(r#","x{n}":{n}"#)).collect();
        let (descriptor, dropped) = read(&many);
        assert_eq!((descriptor.unknown.len(), dropped.fields), (256, 44));
        let large = format!(r#","big":"{}","more":1,"small":2"#, "x".repeat(64 << 10));
        let (descriptor, dropped) = read(&large);
        assert_eq!((descriptor.unknown.len(), dropped.fields), (2, 1));
        // Seventy fields of 1000 bytes each, names and quotes included.
        let several: String =
            (10..80).map(|n| format!(r#","x{n}":"{}""#, "x".repeat(1000 - 3 - 2))).collect();
        let (descriptor, dropped) = read(&several);
        assert_eq!((descriptor.unknown.len(), dropped.fields), (65, 5));
        let (bare, _) = read("");
        let (descriptor, _) = read(&format!(r#","big":"{}""#, "x".repeat(60_000)));
        assert!(descriptor.weight() >= bare.weight() + 60_000);
    }
}
