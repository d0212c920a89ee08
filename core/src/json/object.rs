//! Reads objects field by field, in one pass over their JSON if it follows the protocol.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Way of reading nested objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pass {
    /// Values are read as they arrive. A value of the wrong type can make the whole object unreadable: a number that no
    /// float can hold, or a string with a lone surrogate.
    One,
    /// Each value is located first and read afterwards. Works for any JSON.
    Two,
}

/// Value that is filled from a JSON object field by field. Filling in place avoids moves, since some values are large.
pub(crate) trait FromObject<'de>: Default {
    /// Reads all fields.
    fn fill<A: MapAccess<'de>>(&mut self, fields: Fields<A>) -> Result<(), A::Error>;
}

impl<'de, T: FromObject<'de>> FromObject<'de> for Box<T> {
    fn fill<A: MapAccess<'de>>(&mut self, fields: Fields<A>) -> Result<(), A::Error> {
        T::fill(self, fields)
    }
}

/// Fields of an object that are not read yet.
pub(crate) struct Fields<A> {
    map: A,
    pass: Pass,
}

impl<'de, A: MapAccess<'de>> Fields<A> {
    /// Returns the name of the next field. A lone surrogate in it is U+FFFD (W-7).
    pub(crate) fn next_name(&mut self) -> Result<Option<Cow<'de, str>>, A::Error> {
        self.map.next_key_seed(Name)
    }

    /// Returns the raw value of the field.
    pub(crate) fn raw(&mut self) -> Result<&'de str, A::Error> {
        self.map.next_value::<&RawValue>().map(RawValue::get)
    }

    /// Reads the field's value into `into`; the default where it is not an object. Returns whether it is one.
    pub(crate) fn object<T: FromObject<'de>>(&mut self, into: &mut T) -> Result<bool, A::Error> {
        *into = T::default();
        self.map.next_value_seed(Object { pass: self.pass, into })
    }

    /// Reads the field's value; `None` when it is not an object. Returns also its raw text, where the pass has it.
    pub(crate) fn object_and_raw<T: FromObject<'de>>(
        &mut self,
    ) -> Result<(Option<T>, Option<&'de str>), A::Error> {
        match self.pass {
            Pass::One => {
                let mut read = T::default();
                let is_object = self.map.next_value_seed(Object { pass: self.pass, into: &mut read })?;
                Ok((is_object.then_some(read), None))
            }
            Pass::Two => {
                let raw = self.raw()?;
                Ok((read_object(raw, Pass::Two).map_err(A::Error::custom)?, Some(raw)))
            }
        }
    }
}

/// Keeps the raw value of a field at the position of its name in `names`. Drops it if the name is not listed.
pub(crate) fn keep<'a, const N: usize>(
    values: &mut [Option<&'a str>; N],
    names: &[&str; N],
    name: &str,
    value: Option<&'a str>,
) {
    if let Some(at) = names.iter().position(|known| *known == name) {
        values[at] = value;
    }
}

/// Reads a whole text as an object. Returns `None` when it is JSON of another kind.
///
/// # Errors
/// Fails when the text is not JSON, or cannot be read in one pass.
pub(crate) fn read_object<'de, T: FromObject<'de>>(
    text: &'de str,
    pass: Pass,
) -> Result<Option<T>, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut read = T::default();
    let is_object = Object { pass, into: &mut read }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(is_object.then_some(read))
}

/// Seed that fills a value. Its result is true if there was an object to fill it from.
struct Object<'t, T> {
    pass: Pass,
    into: &'t mut T,
}

impl<'de, T: FromObject<'de>> DeserializeSeed<'de> for Object<'_, T> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        match self.pass {
            Pass::One => reader.deserialize_any(self),
            Pass::Two => {
                let raw = <&RawValue as serde::Deserialize>::deserialize(reader)?.get();
                if !raw.starts_with('{') {
                    return Ok(false);
                }
                serde_json::Deserializer::from_str(raw).deserialize_any(self).map_err(D::Error::custom)
            }
        }
    }
}

impl<'de, T: FromObject<'de>> Visitor<'de> for Object<'_, T> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        self.into.fill(Fields { map, pass: self.pass })?;
        Ok(true)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(false)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(false)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(false)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(false)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(false)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(false)
    }
}

/// Name of a field, read as bytes, since it may hold a lone surrogate.
pub(super) struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_bytes(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_bytes<E: Error>(self, name: &'de [u8]) -> Result<Self::Value, E> {
        Ok(match std::str::from_utf8(name) {
            Ok(name) => Cow::Borrowed(name),
            Err(_) => String::from_utf8_lossy(name),
        })
    }

    fn visit_bytes<E: Error>(self, name: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(String::from_utf8_lossy(name).into_owned()))
    }
}
