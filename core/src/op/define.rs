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
/// A field is `name: Type = Format as "name on the wire"`. With `=> write_it`, the method of that name writes the field
/// instead of the format: `fn write_it(&self, &mut Object, &Context)`. Fields that several ops share are written
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
            { [$($op_doc)*] [$($($derive)*)?] $type $name $gate $returns [$($({ [$($doc)*] $own [$own_ty] })*)?] }
            [] [] $($fields)*);
    };

    (@field $head:tt [$($done:tt)*] [$($get:tt)*] chat_id, $($rest:tt)*) => {
        op!(@field $head
            [$($done)* { ["Id of the chat."] chat_id [String] [$crate::op::format::ChatId] "chat_id" format }]
            [$($get)* fn chat_id(&self) -> Option<&str> { Some(&self.chat_id) }]
            $($rest)*);
    };
    (@field $head:tt [$($done:tt)*] [$($get:tt)*] optional_chat_id, $($rest:tt)*) => {
        op!(@field $head
            [$($done)* {
                ["Id of the chat; empty where another field names it."]
                chat_id [String] [$crate::op::format::OptionalChatId] "chat_id" format
            }]
            [$($get)* fn chat_id(&self) -> Option<&str> { Some(&self.chat_id) }]
            $($rest)*);
    };
    (@field $head:tt [$($done:tt)*] $get:tt message_id, $($rest:tt)*) => {
        op!(@field $head
            [$($done)* { ["Id of the message."] message_id [String] [$crate::op::format::Id] "message_id" format }]
            $get $($rest)*);
    };
    (@field $head:tt [$($done:tt)*] $get:tt reply_to, $($rest:tt)*) => {
        op!(@field $head
            [$($done)* {
                ["Id of the message that it answers."]
                reply_to [Option<String>] [$crate::op::format::ReplyTo] "reply_to" format
            }]
            $get $($rest)*);
    };
    (@field $head:tt [$($done:tt)*] $get:tt delivery, $($rest:tt)*) => {
        op!(@field $head
            [$($done)* {
                ["Delivery that it answers: chat, platform, thread and message are the delivery's where they are not set."]
                delivery [Option<$crate::output::DeliveryId>] [$crate::op::format::OptionalDelivery] "delivery" format
            }]
            $get $($rest)*);
    };
    (@field $head:tt [$($done:tt)*] [$($get:tt)*] metadata, $($rest:tt)*) => {
        op!(@field $head
            [$($done)* {
                ["Metadata of the host's own. Values that the machine remembers of the chat are added where they are not set."]
                metadata [$crate::command::Metadata] [$crate::op::format::OwnMetadata] "metadata" format
            }]
            [$($get)*
                fn metadata(&self) -> Option<&$crate::command::Metadata> { Some(&self.metadata) }
            ]
            $($rest)*);
    };
    (@field $head:tt [$($done:tt)*] [$($get:tt)*] platform, $($rest:tt)*) => {
        op!(@field $head
            [$($done)* {
                ["Platform to use; by default the one on which the chat was last seen."]
                platform [Option<String>] [$crate::op::format::Platform] "platform" format
            }]
            [$($get)* fn platform(&self) -> Option<&str> { self.platform.as_deref() }]
            $($rest)*);
    };
    (@field $head:tt [$($done:tt)*] $get:tt
        $(#[doc = $doc:literal])* $field:ident: $ty:ty = $format:ty as $wire:literal, $($rest:tt)*
    ) => {
        op!(@field $head [$($done)* { [$($doc)*] $field [$ty] [$format] $wire format }] $get $($rest)*);
    };
    (@field $head:tt [$($done:tt)*] $get:tt
        $(#[doc = $doc:literal])* $field:ident: $ty:ty = $format:ty as $wire:literal => $write:ident, $($rest:tt)*
    ) => {
        op!(@field $head [$($done)* { [$($doc)*] $field [$ty] [$format] $wire $write }] $get $($rest)*);
    };

    (@field {
            [$($op_doc:literal)*] [$($derive:ident)*] $type:ident $name:literal $gate:ident $returns:ident
            [$({ [$($own_doc:literal)*] $own:ident [$own_ty:ty] })*]
        }
        [$({ [$($doc:literal)*] $field:ident [$ty:ty] [$format:ty] $wire:literal $write:ident })*]
        [$($get:tt)*]
    ) => {
        $(#[doc = $op_doc])*
        #[derive(Clone, PartialEq, Debug $(, $derive)*)]
        pub struct $type {
            $($(#[doc = $doc])* pub $field: $ty,)*
            $($(#[doc = $own_doc])* pub $own: $own_ty,)*
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
                    required: <$format as $crate::op::format::Format>::REQUIRED,
                    in_frame: <$format as $crate::op::format::Format>::IN_FRAME,
                },)*],
                read: |given| {
                    let op = $type {
                        $($field: $crate::op::format::take::<$format>(given, $wire)?,)*
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
                $(op!(@write self $field [$format] $wire $write action context);)*
            }
        }
    };

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

    (@write $self:ident $field:ident [$format:ty] $wire:literal format $action:ident $context:ident) => {
        <$format as $crate::op::format::Format>::write(&$self.$field, $wire, $action, $context)
    };
    (@write $self:ident $field:ident [$format:ty] $wire:literal $write:ident $action:ident $context:ident) => {
        $self.$write($action, $context)
    };
}

pub(super) use op;
