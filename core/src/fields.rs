//! Names of the fields that are read of each part of the connector's frames, in groups, for tools that describe them.

/// Fields of a frame, of every type.
pub const FRAME: &[&[&str]] = &[&crate::machine::frames::FIELDS];
/// Fields of a `descriptor`.
pub const DESCRIPTOR: &[&[&str]] = &[&crate::descriptor::FIELDS];
/// Fields of an `event`.
pub const EVENT: &[&[&str]] = crate::event::FIELDS;
/// Fields of an event's `source`.
pub const SOURCE: &[&[&str]] = crate::event::SOURCE_FIELDS;
/// Fields of an event's `reply_to`.
pub const REPLY_TO: &[&[&str]] = crate::event::REPLY_FIELDS;
/// Fields of an event's `prompt_response`.
pub const PROMPT_RESPONSE: &[&[&str]] = crate::event::PROMPT_FIELDS;
/// Fields of an entry of an event's `media`.
pub const MEDIA: &[&[&str]] = crate::event::MEDIA_FIELDS;
/// Fields of a `forward`.
pub const FORWARD: &[&[&str]] = &[&crate::passthrough::FIELDS];
/// Fields of a `result`.
pub const RESULT: &[&[&str]] = &[&crate::result::FIELDS];
