//! Structs of named numbers: counters, and sizes of queues.

/// Defines a struct of numbers. A field's documentation is also the help text of its metric.
///
/// A field is named in traces, metrics and JSON as in the code, unless `as "name"` gives the name that is promised.
macro_rules! numbers {
    (@name $name:ident) => { stringify!($name) };
    (@name $name:ident $wire:literal) => { $wire };
    ($(#[doc = $all:literal])+ $type:ident: $number:ty,
        $($(#[doc = $doc:literal])+ $name:ident $(as $wire:literal)?;)*) => {
        $(#[doc = $all])+
        #[derive(Clone, PartialEq, Eq, Debug, Default)]
        #[non_exhaustive]
        pub struct $type { $($(#[doc = $doc])+ pub $name: $number,)* }

        impl $type {
            /// Returns all numbers with their names, in a fixed order.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, $number)> {
                [$(($crate::numbers::numbers!(@name $name $($wire)?), self.$name),)*].into_iter()
            }

            /// Returns all numbers with their names and help texts, in a fixed order.
            pub fn described(&self) -> impl Iterator<Item = (&'static str, &'static str, $number)> {
                [$(($crate::numbers::numbers!(@name $name $($wire)?), concat!($($doc),+), self.$name),)*].into_iter()
            }
        }
    };
}

pub(crate) use numbers;
