//! Numbers with names: what is counted, and what is held.

/// A struct of numbers, each with its documentation, which people see, too.
macro_rules! numbers {
    ($(#[doc = $all:literal])+ $type:ident: $number:ty, $($(#[doc = $doc:literal])+ $name:ident;)*) => {
        $(#[doc = $all])+
        #[derive(Clone, PartialEq, Eq, Debug, Default)]
        pub struct $type { $($(#[doc = $doc])+ pub $name: $number,)* }

        impl $type {
            /// All of them by name, in a fixed order.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, $number)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }

            /// The same, each with what it is, for people.
            pub fn described(&self) -> impl Iterator<Item = (&'static str, &'static str, $number)> {
                [$((stringify!($name), concat!($($doc),+), self.$name),)*].into_iter()
            }
        }
    };
}

pub(crate) use numbers;
