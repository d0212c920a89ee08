//! Formats of the fields of ops: how each is read from what a host gives, and written to the wire.

use super::Context;
use crate::anchor::Anchor;
use crate::command::Metadata;
use crate::encode::Object;
use crate::json::BySerde;
use crate::output::DeliveryId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::marker::PhantomData;

/// A field of an op, for tools that describe or make ops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Name of the field, on the wire and in the bridge.
    pub name: &'static str,
    /// Documentation of the field, in lines.
    pub doc: &'static str,
    /// Kind of its values.
    pub kind: Kind,
    /// True if a host must give it. Fields that may be absent may be null.
    pub required: bool,
    /// Presence in the frame.
    pub in_frame: InFrame,
}

/// Kind of a field's values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// An id: a string, or an integer, which counts as its literal.
    Id,
    /// A string.
    Text,
    /// A boolean.
    Flag,
    /// A signed integer of 64 bits.
    Integer,
    /// An unsigned integer of 64 bits.
    Unsigned,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// An object with any fields.
    Object,
    /// A list of objects with any fields.
    Objects,
    /// A list of prompt options: objects with `id`, `label` and optionally `style`.
    Options,
}

/// Presence of a field in a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InFrame {
    /// Always, with a value.
    Always,
    /// Always; a reader takes its default where an older gateway leaves it out.
    OrDefault,
    /// Always; null where it is not set.
    OrNull,
    /// Only if it is set.
    IfSet,
    /// Never: it is the machine's to use.
    Never,
}

/// Format of one kind of field: its reader, its writer, and what is checked of it.
pub(crate) trait Format {
    /// Type of the field.
    type Value;
    const KIND: Kind;
    const IN_FRAME: InFrame;

    /// Reads a value that is not null.
    fn read(value: Value) -> Result<Self::Value, String>;

    /// Writes the field. Does nothing by default, for fields that are never written or that the op writes itself.
    fn write(value: &Self::Value, name: &'static str, action: &mut Object<'_>, context: &Context<'_>) {
        let _ = (value, name, action, context);
    }

    /// Returns the id in the field, whose length is bounded.
    fn id(value: &Self::Value) -> Option<&str> {
        let _ = value;
        None
    }

    /// Returns the minimum number of bytes that the field takes up in a frame; ids and metadata do not count.
    fn text_bytes(value: &Self::Value) -> usize {
        let _ = value;
        0
    }
}

/// Format of a field that may be absent or null.
pub(crate) trait Optional: Format {
    /// Returns the value that it has then.
    fn absent() -> Self::Value;
}

/// Takes a field out of what a host gives, where the op needs it.
pub(crate) fn required<F: Format>(given: &mut Map<String, Value>, name: &str) -> Result<F::Value, String> {
    take::<F>(given, name)?.ok_or_else(|| format!("missing field `{name}`"))
}

/// Takes a field out of what a host gives, where it may be absent.
pub(crate) fn optional<F: Optional>(given: &mut Map<String, Value>, name: &str) -> Result<F::Value, String> {
    Ok(take::<F>(given, name)?.unwrap_or_else(F::absent))
}

fn take<F: Format>(given: &mut Map<String, Value>, name: &str) -> Result<Option<F::Value>, String> {
    let value = given.remove(name).filter(|value| !value.is_null());
    value.map(F::read).transpose().map_err(|problem| format!("`{name}`: {problem}"))
}

pub(super) fn parse<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// Reads an id. An integer counts as its literal.
///
/// # Errors
/// Returns the forms that an id can have, if the value has none of them.
pub fn read_id(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) if !number.is_f64() => Ok(number.to_string()),
        Value::Null | Value::Number(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err("an id is a string or an integer".to_owned())
        }
    }
}

/// Declares formats. The parts in brackets are optional and come in this order.
macro_rules! formats {
    ($(
        $(#[$doc:meta])*
        $name:ident: $value:ty, $kind:expr, $in_frame:ident,
        read $read:expr,
        $(default $default:expr,)?
        $(write |$given:ident, $key:ident, $action:ident, $context:ident| $write:expr,)?
        $(id |$of:ident| $id:expr,)?
        $(bytes |$texts:ident| $bytes:expr,)?
    ;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl $crate::op::format::Format for $name {
            type Value = $value;
            const KIND: $crate::op::Kind = $kind;
            const IN_FRAME: $crate::op::InFrame = $crate::op::InFrame::$in_frame;

            fn read(value: serde_json::Value) -> Result<$value, String> {
                $read(value)
            }

            $(fn write(
                $given: &$value,
                $key: &'static str,
                $action: &mut $crate::encode::Object<'_>,
                $context: &$crate::op::Context<'_>,
            ) {
                $write;
            })?

            $(fn id($of: &$value) -> Option<&str> {
                $id
            })?

            $(fn text_bytes($texts: &$value) -> usize {
                $bytes
            })?
        }

        $(impl $crate::op::format::Optional for $name {
            fn absent() -> $value {
                $default
            }
        })?
    )*};
}

pub(super) use formats;

formats! {
    /// Id of the chat. The frame's is that of the op's destination.
    ChatId: String, Kind::Id, Always, read read_id, id |text| Some(text),;
    /// Id of the chat, where another field can stand in for it.
    OptionalChatId: String, Kind::Id, Always, read read_id, default String::new(), id |text| Some(text),;
    /// Id that the op needs.
    Id: String, Kind::Id, Always, read read_id,
        write |text, name, action, _context| action.field(name, text), id |text| Some(text),;
    /// Id that goes out where it is set.
    OptionalId: Option<String>, Kind::Id, IfSet, read |value| read_id(value).map(Some), default None,
        write |text, name, action, _context| action.optional(name, text.as_ref()), id |text| text.as_deref(),;
    /// Message that the op answers. An op that is placed flat does not name it (M-8).
    ReplyTo: Option<String>, Kind::Id, OrNull, read |value| read_id(value).map(Some), default None,
        write |text, name, action, context| {
            action.field(name, text.as_deref().filter(|_| context.anchor != Anchor::Flat))
        },
        id |text| text.as_deref(),;
    /// Short text that the machine remembers, or that identifies something.
    Name: String, Kind::Text, Always, read parse,
        write |text, name, action, _context| action.field(name, text), id |text| Some(text),;
    /// Platform. It is written beside the action, not in it.
    Platform: Option<String>, Kind::Text, Never, read |value| parse(value).map(Some), default None,
        id |text| text.as_deref(),;
    /// Text that the op needs.
    Text: String, Kind::Text, Always, read parse,
        write |text, name, action, _context| action.field(name, text), bytes |text| text.len(),;
    /// Text that the op cuts, and writes itself.
    CutText: String, Kind::Text, Always, read parse,;
    /// Same as above, empty by default.
    CutTextOrEmpty: String, Kind::Text, Always, read parse, default String::new(),;
    /// Text that goes out where it is set.
    OptionalText: Option<String>, Kind::Text, IfSet, read |value| parse(value).map(Some), default None,
        write |text, name, action, _context| action.optional(name, text.as_ref()),
        bytes |text| text.as_ref().map_or(0, String::len),;
    /// Switch that is off by default.
    Flag: bool, Kind::Flag, Always, read parse, default false,
        write |flag, name, action, _context| action.field(name, flag),;
    /// Switch of a command that is on by default.
    FlagOrTrue: bool, Kind::Flag, Never, read parse, default true,;
    /// Switch that goes out where it is on.
    FlagIfTrue: bool, Kind::Flag, IfSet, read parse, default false,
        write |flag, name, action, _context| action.optional(name, flag.then_some(true)),;
    /// Number that the op needs.
    Integer: i64, Kind::Integer, Always, read parse,
        write |number, name, action, _context| action.field(name, BySerde(number)),;
    /// Delivery that the op needs.
    Delivery: DeliveryId, Kind::Unsigned, Never, read |value| parse(value).map(DeliveryId::from_number),;
    /// Delivery that can stand in for a chat.
    OptionalDelivery: Option<DeliveryId>, Kind::Unsigned, Never,
        read |value| parse(value).map(|number| Some(DeliveryId::from_number(number))), default None,;
    /// The host's metadata. It is written last, with what is remembered of the chat.
    OwnMetadata: Metadata, Kind::Object, OrDefault, read parse, default Metadata::new(),;
    /// Object that the op needs.
    AnyObject: Map<String, Value>, Kind::Object, Never, read parse,;
    /// Objects that the op needs.
    Objects: Vec<Map<String, Value>>, Kind::Objects, Always, read parse,
        write |objects, name, action, _context| action.field(name, objects),
        bytes |objects| objects.len() * EMPTY_OBJECT,;
}

/// Bytes of the shortest object in JSON.
const EMPTY_OBJECT: usize = 2;

/// A value with a fixed set of names.
pub(crate) trait Named: Serialize + DeserializeOwned {
    /// The names.
    const NAMES: &'static [&'static str];
}

/// One of a fixed set of names, which the op needs.
pub(crate) struct OneOf<T>(PhantomData<T>);

impl<T: Named> Format for OneOf<T> {
    type Value = T;
    const KIND: Kind = Kind::OneOf(T::NAMES);
    const IN_FRAME: InFrame = InFrame::Always;

    fn read(value: Value) -> Result<T, String> {
        parse(value)
    }

    fn write(value: &T, name: &'static str, action: &mut Object<'_>, _: &Context<'_>) {
        action.field(name, BySerde(value));
    }
}

/// A field with a default, which readers take where an older gateway leaves it out.
pub(crate) struct OrDefault<F>(PhantomData<F>);

impl<F: Format<Value: Default>> Format for OrDefault<F> {
    type Value = F::Value;
    const KIND: Kind = F::KIND;
    const IN_FRAME: InFrame = InFrame::OrDefault;

    fn read(value: Value) -> Result<F::Value, String> {
        F::read(value)
    }

    fn write(value: &F::Value, name: &'static str, action: &mut Object<'_>, context: &Context<'_>) {
        F::write(value, name, action, context);
    }

    fn id(value: &F::Value) -> Option<&str> {
        F::id(value)
    }

    fn text_bytes(value: &F::Value) -> usize {
        F::text_bytes(value)
    }
}

impl<F: Format<Value: Default>> Optional for OrDefault<F> {
    fn absent() -> F::Value {
        F::Value::default()
    }
}

/// A field that its format does not write.
pub(crate) struct Apart<F, const IS_WRITTEN: bool>(PhantomData<F>);

/// A field that never goes out.
pub(crate) type Unwritten<F> = Apart<F, false>;

/// A field that always goes out: the op writes it itself, with a default of its own.
pub(crate) type Computed<F> = Apart<F, true>;

impl<F: Format, const IS_WRITTEN: bool> Format for Apart<F, IS_WRITTEN> {
    type Value = F::Value;
    const KIND: Kind = F::KIND;
    const IN_FRAME: InFrame = if IS_WRITTEN { InFrame::Always } else { InFrame::Never };

    fn read(value: Value) -> Result<F::Value, String> {
        F::read(value)
    }

    fn id(value: &F::Value) -> Option<&str> {
        F::id(value)
    }

    fn text_bytes(value: &F::Value) -> usize {
        F::text_bytes(value)
    }
}

impl<F: Optional, const IS_WRITTEN: bool> Optional for Apart<F, IS_WRITTEN> {
    fn absent() -> F::Value {
        F::absent()
    }
}
