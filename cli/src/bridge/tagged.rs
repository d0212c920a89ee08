//! An object whose `op` says which variant of an enum its other fields make up, and which may hold no others.
//!
//! serde's own tagged enums pass over unknown fields of variants without any, and name only the first of several.

use serde::de::value::{MapDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error as _, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Map, Value};

/// The value of `op`, and the other fields.
pub(super) struct Tagged {
    pub(super) name: Value,
    pub(super) fields: Map<String, Value>,
}

/// The fields of the variant of this name.
pub(super) struct Fields {
    name: String,
    fields: Map<String, Value>,
}

impl<'de> Deserializer<'de> for Tagged {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> EnumAccess<'de> for Tagged {
    type Error = Error;
    type Variant = Fields;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Fields), Error> {
        let Value::String(name) = self.name else {
            return Err(Error::custom("invalid `op`: it is the name of an op, as in \"send\""));
        };
        let variant = seed.deserialize(StringDeserializer::<Error>::new(name.clone()))?;
        Ok((variant, Fields { name, fields: self.fields }))
    }
}

/// Checks that each field of an op is one that it takes.
pub(super) fn check(op: &str, fields: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    let list = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let unknown: Vec<&str> = fields.keys().map(String::as_str).filter(|name| !known.contains(name)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let plural = if unknown.len() > 1 { "s" } else { "" };
    let takes = if known.is_empty() { "no fields".to_owned() } else { list(known) };
    Err(format!("unknown field{plural} {}: `{op}` takes {takes}", list(&unknown)))
}

impl Fields {
    fn check(&self, known: &[&str]) -> Result<(), Error> {
        check(&self.name, &self.fields, known).map_err(Error::custom)
    }
}

impl<'de> VariantAccess<'de> for Fields {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        self.check(&[])
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Error> {
        Err(Error::custom("an op is made up of fields"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("an op is made up of fields"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.check(known)?;
        visitor.visit_map(MapDeserializer::new(self.fields.into_iter()))
    }
}
