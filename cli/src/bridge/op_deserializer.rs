//! Deserializer of an op from a JSON object: the field `op` names a variant of an enum, and the other fields are those
//! of the variant.
//!
//! Unknown fields are rejected, and all of them are reported. serde's tagged enums ignore unknown fields in variants
//! without fields, and otherwise report only the first.

use serde::de::value::{MapDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error as _, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Map, Value};

/// Deserializer of an op.
pub(super) struct OpDeserializer {
    /// Value of the field `op`.
    pub(super) name: Value,
    /// Other fields of the object.
    pub(super) fields: Map<String, Value>,
}

/// Deserializer of the fields of an op.
pub(super) struct OpVariant {
    /// Name of the op.
    name: String,
    fields: Map<String, Value>,
}

impl<'de> Deserializer<'de> for OpDeserializer {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> EnumAccess<'de> for OpDeserializer {
    type Error = Error;
    type Variant = OpVariant;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, OpVariant), Error> {
        let Value::String(name) = self.name else {
            return Err(Error::custom("invalid `op`: it is the name of an op, as in \"send\""));
        };
        let variant = seed.deserialize(StringDeserializer::<Error>::new(name.clone()))?;
        Ok((variant, OpVariant { name, fields: self.fields }))
    }
}

impl OpVariant {
    fn check_fields(&self, known: &[&str]) -> Result<(), Error> {
        check_fields(&self.name, &self.fields, known).map_err(Error::custom)
    }
}

impl<'de> VariantAccess<'de> for OpVariant {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        self.check_fields(&[])
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
        self.check_fields(known)?;
        visitor.visit_map(MapDeserializer::new(self.fields.into_iter()))
    }
}

/// Checks that an op takes each of these fields. `known` lists the fields that the op takes.
///
/// # Errors
/// Returns a text that names all unknown fields and the known ones.
pub(super) fn check_fields(op: &str, fields: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    let list = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let unknown: Vec<&str> = fields.keys().map(String::as_str).filter(|name| !known.contains(name)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let plural = if unknown.len() > 1 { "s" } else { "" };
    let takes = if known.is_empty() { "no fields".to_owned() } else { list(known) };
    Err(format!("unknown field{plural} {}: `{op}` takes {takes}", list(&unknown)))
}
