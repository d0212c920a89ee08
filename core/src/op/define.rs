//! The macro that defines an op: its fields once, for the struct, the reader, the writer, the checks and the docs.

/// Defines the type of an op.
///
/// ```text
/// op! {
///     /// Sends a reaction.
///     pub struct React: "react", gate Named, returns Nothing {
///         chat_id,
///         /// Emoji of the reaction.
///         emoji: String = Text as "emoji",
///         metadata,
///         platform,
///     }
/// }
/// ```
///
/// A field is `name: Type = Format as "name on the wire"`. `new` takes it as an argument; a field with a `?` after its
/// name has a setter instead. With `=> write_it`, the method of that name writes the field instead of the format:
/// `fn write_it(&self, &mut Object, &Context)`. An `Id` is kept as a `String`. Fields that several ops share are written
/// without a type: `chat_id`, `optional_chat_id`, `message_id`, `reply_to`, `delivery`, `metadata`, `platform`. Frames
/// have the fields in the order of the definition. A further part `and { name: Type, }` holds fields that only Rust
/// hosts can set.
macro_rules! op {
    (
        $(#[doc = $op_doc:literal])*
        $(#[derive($($derive:ident),*)])?
        pub struct $type:ident: $name:literal, gate $gate:ident, returns $returns:ident { $($fields:tt)* }
        $(and { $($(#[doc = $doc:literal])* $own:ident: $own_ty:ty,)* })?
    ) => {
        op!(@field
            {
                { [$($op_doc)*] [$($($derive)*)?] $type $name $gate $returns [$($({ [$($doc)*] $own [$own_ty] })*)?] }
                [] [] [] []
            }
            $($fields)*);
    };

    (@field { $head:tt $fields:tt [$($get:tt)*] $new:tt $set:tt } chat_id, $($rest:tt)*) => {
        op!(@field
            { $head $fields [$($get)* fn chat_id(&self) -> Option<&str> { Some(&self.chat_id) }] $new $set }
            /// Id of the chat.
            chat_id: Id = $crate::op::format::ChatId as "chat_id",
            $($rest)*);
    };
    (@field { $head:tt $fields:tt [$($get:tt)*] $new:tt $set:tt } optional_chat_id, $($rest:tt)*) => {
        op!(@field
            { $head $fields [$($get)* fn chat_id(&self) -> Option<&str> { Some(&self.chat_id) }] $new $set }
            /// Id of the chat; empty where another field names it.
            chat_id?: Id = $crate::op::format::OptionalChatId as "chat_id",
            $($rest)*);
    };
    (@field $state:tt message_id, $($rest:tt)*) => {
        op!(@field $state
            /// Id of the message.
            message_id: Id = $crate::op::format::Id as "message_id",
            $($rest)*);
    };
    (@field $state:tt reply_to, $($rest:tt)*) => {
        op!(@field $state
            /// Id of the message that it answers.
            reply_to?: Option<Id> = $crate::op::format::ReplyTo as "reply_to",
            $($rest)*);
    };
    (@field $state:tt delivery, $($rest:tt)*) => {
        op!(@field $state
            /// Delivery that it answers: chat, platform, thread and message are the delivery's where they are not set.
            delivery?: Option<$crate::output::DeliveryId> = $crate::op::format::OptionalDelivery as "delivery",
            $($rest)*);
    };
    (@field { $head:tt $fields:tt [$($get:tt)*] $new:tt $set:tt } metadata, $($rest:tt)*) => {
        op!(@field
            {
                $head $fields
                [$($get)*
                    fn metadata(&self) -> Option<&$crate::command::Metadata> { Some(&self.metadata) }
                ]
                $new $set
            }
            /// Metadata of the host's own. Values that the machine remembers of the chat are added where they are not set.
            metadata?: $crate::command::Metadata = $crate::op::format::OwnMetadata as "metadata",
            $($rest)*);
    };
    (@field { $head:tt $fields:tt [$($get:tt)*] $new:tt $set:tt } platform, $($rest:tt)*) => {
        op!(@field
            { $head $fields [$($get)* fn platform(&self) -> Option<&str> { self.platform.as_deref() }] $new $set }
            /// Platform to use; by default the one on which the chat was last seen.
            platform?: Option<String> = $crate::op::format::Platform as "platform",
            $($rest)*);
    };
    (@field $state:tt $(#[doc = $doc:literal])* $field:ident: $($rest:tt)*) => {
        op!(@type $state { [$($doc)*] $field required } $($rest)*);
    };
    (@field $state:tt $(#[doc = $doc:literal])* $field:ident?: $($rest:tt)*) => {
        op!(@type $state { [$($doc)*] $field optional } $($rest)*);
    };

    // Adds the field's stored type, the type that `new` or the setter takes, and the conversion to the stored type.
    (@type $state:tt { $doc:tt $field:ident $presence:ident } Id = $($rest:tt)*) => {
        op!(@add $presence $state
            { $doc $field [String] [impl Into<$crate::id::Id>] [$field.into().into()] } $($rest)*);
    };
    (@type $state:tt { $doc:tt $field:ident $presence:ident } Option<Id> = $($rest:tt)*) => {
        op!(@add $presence $state
            { $doc $field [Option<String>] [impl Into<$crate::id::Id>] [Some($field.into().into())] } $($rest)*);
    };
    (@type $state:tt { $doc:tt $field:ident $presence:ident } String = $($rest:tt)*) => {
        op!(@add $presence $state { $doc $field [String] [impl Into<String>] [$field.into()] } $($rest)*);
    };
    (@type $state:tt { $doc:tt $field:ident $presence:ident } Option<String> = $($rest:tt)*) => {
        op!(@add $presence $state
            { $doc $field [Option<String>] [impl Into<String>] [Some($field.into())] } $($rest)*);
    };
    (@type $state:tt { $doc:tt $field:ident $presence:ident } Vec<$item:ty> = $($rest:tt)*) => {
        op!(@add $presence $state
            { $doc $field [Vec<$item>] [impl Into<Vec<$item>>] [$field.into()] } $($rest)*);
    };
    (@type $state:tt { $doc:tt $field:ident $presence:ident } Option<$inner:ty> = $($rest:tt)*) => {
        op!(@add $presence $state { $doc $field [Option<$inner>] [$inner] [Some($field)] } $($rest)*);
    };
    (@type $state:tt { $doc:tt $field:ident $presence:ident } $ty:ty = $($rest:tt)*) => {
        op!(@add $presence $state { $doc $field [$ty] [$ty] [$field] } $($rest)*);
    };

    (@add required
        { $head:tt [$($fields:tt)*] $get:tt [$($new:tt)*] $set:tt }
        { $doc:tt $field:ident $ty:tt $given:tt $value:tt }
        $format:ty as $wire:literal $(=> $write:ident)?, $($rest:tt)*
    ) => {
        op!(@field
            {
                $head
                [$($fields)* { $doc $field $ty [$format] $wire required [$($write)?] }]
                $get
                [$($new)* { $field $given $value }]
                $set
            }
            $($rest)*);
    };
    (@add optional
        { $head:tt [$($fields:tt)*] $get:tt $new:tt [$($set:tt)*] }
        { $doc:tt $field:ident $ty:tt $given:tt $value:tt }
        $format:ty as $wire:literal $(=> $write:ident)?, $($rest:tt)*
    ) => {
        op!(@field
            {
                $head
                [$($fields)* { $doc $field $ty [$format] $wire optional [$($write)?] }]
                $get
                $new
                [$($set)* { $doc $field $given $value [$format] }]
            }
            $($rest)*);
    };

    (@field {
        {
            [$($op_doc:literal)*] [$($derive:ident)*] $type:ident $name:literal $gate:ident $returns:ident
            [$({ [$($own_doc:literal)*] $own:ident [$own_ty:ty] })*]
        }
        [$({
            [$($doc:literal)*] $field:ident [$ty:ty] [$format:ty] $wire:literal $presence:ident [$($write:ident)?]
        })*]
        [$($get:tt)*]
        [$({ $required:ident [$given:ty] [$value:expr] })*]
        [$({
            [$($optional_doc:literal)*] $optional:ident [$set_given:ty] [$set_value:expr] [$optional_format:ty]
        })*]
    }) => {
        $(#[doc = $op_doc])*
        #[derive(Clone, PartialEq, Debug $(, $derive)*)]
        #[non_exhaustive]
        pub struct $type {
            $($(#[doc = $doc])* pub $field: $ty,)*
            $($(#[doc = $own_doc])* pub $own: $own_ty,)*
        }

        impl $type {
            /// Creates the op from the fields that it needs.
            pub fn new($($required: $given),*) -> Self {
                $type {
                    $($required: $value,)*
                    $($optional: <$optional_format as $crate::op::format::Optional>::absent(),)*
                    $($own: Default::default(),)*
                }
            }

            $(
                #[doc = concat!("Sets `", stringify!($optional), "`.\n")]
                $(#[doc = $optional_doc])*
                #[must_use]
                pub fn $optional(mut self, $optional: $set_given) -> Self {
                    self.$optional = $set_value;
                    self
                }
            )*

            $(
                #[doc = concat!("Sets `", stringify!($own), "`.\n")]
                $(#[doc = $own_doc])*
                #[must_use]
                pub fn $own(mut self, $own: $own_ty) -> Self {
                    self.$own = $own;
                    self
                }
            )*
        }

        impl $crate::op::OpType for $type {
            type Returns = $crate::op::returns::$returns;
            const DEFINITION: $crate::op::Definition = $crate::op::Definition {
                name: $name,
                doc: concat!($($op_doc, "\n",)* ""),
                gate: $crate::op::Gate::$gate,
                returns: <$crate::op::returns::$returns as $crate::op::returns::Typed>::KIND,
                fields: &[$($crate::op::Field {
                    name: $wire,
                    doc: concat!($($doc, "\n",)* ""),
                    kind: <$format as $crate::op::format::Format>::KIND,
                    required: op!(@is_required $presence),
                    in_frame: <$format as $crate::op::format::Format>::IN_FRAME,
                },)*],
                read: |given| {
                    let op = $type {
                        $($field: $crate::op::format::$presence::<$format>(given, $wire)?,)*
                        $($own: Default::default(),)*
                    };
                    match $crate::op::Behavior::problem_as_given(&op) {
                        Some(problem) => Err(problem),
                        None => Ok(op.into()),
                    }
                },
            };
        }

        $(op!(@with $type $field);)*

        impl $crate::op::Fields for $type {
            fn definition(&self) -> &'static $crate::op::Definition {
                &<$type as $crate::op::OpType>::DEFINITION
            }

            $($get)*

            fn id_problem(&self) -> Option<String> {
                None$(.or_else(|| {
                    let id = <$format as $crate::op::format::Format>::id(&self.$field)?;
                    $crate::command::id_problem($wire, id)
                }))*
            }

            fn text_bytes(&self) -> usize {
                0$(+ <$format as $crate::op::format::Format>::text_bytes(&self.$field))*
            }

            fn write_fields(
                &self,
                action: &mut $crate::encode::Object<'_>,
                context: &$crate::op::Context<'_>,
            ) {
                $(op!(@write self $field [$format] $wire [$($write)?] action context);)*
            }
        }
    };

    (@is_required required) => { true };
    (@is_required optional) => { false };

    (@with $type:ident reply_to) => {
        impl $crate::op::WithReplyTo for $type {
            fn set_reply_to(&mut self, message_id: String) {
                self.reply_to = Some(message_id);
            }
        }
    };
    (@with $type:ident metadata) => {
        impl $crate::op::WithMetadata for $type {
            fn metadata_mut(&mut self) -> &mut $crate::command::Metadata {
                &mut self.metadata
            }
        }
    };
    (@with $type:ident platform) => {
        impl $crate::op::WithPlatform for $type {
            fn set_platform(&mut self, name: String) {
                self.platform = Some(name);
            }
        }
    };
    (@with $type:ident $other:ident) => {};

    (@write $self:ident $field:ident [$format:ty] $wire:literal [] $action:ident $context:ident) => {
        <$format as $crate::op::format::Format>::write(&$self.$field, $wire, $action, $context)
    };
    (@write $self:ident $field:ident [$format:ty] $wire:literal [$write:ident] $action:ident $context:ident) => {
        $self.$write($action, $context)
    };
}

pub(super) use op;
