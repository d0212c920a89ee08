//! Writes JSON, in the same bytes as serde_json. Strings are copied in runs instead of byte by byte.

use super::scan::special;
use compact_str::CompactString;
use serde::Serialize;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Value that can be written as JSON.
pub(crate) trait Write {
    fn write(&self, out: &mut Vec<u8>);
}

/// Value that serde_json writes.
pub(crate) struct BySerde<T>(pub(crate) T);

impl<T: Serialize> Write for BySerde<T> {
    fn write(&self, out: &mut Vec<u8>) {
        // Writing to memory cannot fail, and all keys that are written here are strings.
        let written = serde_json::to_writer(out, &self.0);
        debug_assert!(written.is_ok());
    }
}

impl<T: Write + ?Sized> Write for &T {
    fn write(&self, out: &mut Vec<u8>) {
        T::write(self, out);
    }
}

impl<T: Write> Write for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.write(out),
            None => out.extend_from_slice(b"null"),
        }
    }
}

impl Write for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

impl Write for String {
    fn write(&self, out: &mut Vec<u8>) {
        str::write(self, out);
    }
}

impl Write for CompactString {
    fn write(&self, out: &mut Vec<u8>) {
        str::write(self, out);
    }
}

impl Write for Cow<'_, str> {
    fn write(&self, out: &mut Vec<u8>) {
        str::write(self, out);
    }
}

impl Write for str {
    fn write(&self, out: &mut Vec<u8>) {
        let bytes = self.as_bytes();
        out.reserve(bytes.len() + 2);
        out.push(b'"');
        let mut start = 0;
        loop {
            let end = special(bytes, start);
            out.extend_from_slice(&bytes[start..end]);
            let Some(byte) = bytes.get(end) else { break };
            write_escaped(out, *byte);
            start = end + 1;
        }
        out.push(b'"');
    }
}

/// Writes a quote, a backslash or a control character.
fn write_escaped(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            let mut digits = [0; 2];
            data_encoding::HEXLOWER.encode_mut(&[byte], &mut digits);
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&digits);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

impl Write for Value {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(flag) => flag.write(out),
            Value::Number(number) => BySerde(number).write(out),
            Value::String(text) => text.write(out),
            Value::Array(items) => items.write(out),
            Value::Object(fields) => fields.write(out),
        }
    }
}

impl<T: Write> Write for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (index, item) in self.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            item.write(out);
        }
        out.push(b']');
    }
}

impl Write for Map<String, Value> {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (index, (name, value)) in self.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            name.write(out);
            out.push(b':');
            value.write(out);
        }
        out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: &(impl Write + ?Sized)) -> String {
        let mut out = Vec::new();
        value.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_character_is_escaped_as_by_serde_json() {
        for byte in 0..=0x7f_u8 {
            // At each place of a run of eight bytes.
            for before in 0..9 {
                let text = format!("{}{}é", "x".repeat(before), char::from(byte));
                assert_eq!(written(text.as_str()), serde_json::to_string(&text).unwrap(), "{byte}");
            }
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::vec((any::<String>(), inner), 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_are_written_as_by_serde_json(value in values()) {
            prop_assert_eq!(written(&value), serde_json::to_string(&value).unwrap());
        }
    }
}
