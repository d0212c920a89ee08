//! Limits and time-outs that are set by name: one table per struct, with defaults and bounds.

use std::time::Duration;

/// Minimum interval of recurring events, so that they cannot run in a tight loop.
pub const MIN_INTERVAL: Duration = Duration::from_millis(1);

/// Value of a limit, and its minimum.
#[derive(Debug)]
pub enum Slot<'a> {
    /// Number of things or bytes.
    Size(&'a mut usize, usize),
    /// Time.
    Time(&'a mut Duration, Duration),
}

/// Limits whose fields are accessible by name.
pub trait NamedLimits {
    /// Returns the names of all fields, in the order of their declaration.
    fn names(&self) -> &'static [&'static str];

    /// Returns the documentation of all fields, in the same order. It ends with the default: "…; 1 MiB by default."
    fn docs(&self) -> &'static [&'static str];

    /// Returns the field of this name, or `None` if there is none.
    fn slot(&mut self, name: &str) -> Option<Slot<'_>>;
}

/// Declares a struct of limits with its defaults, and implements [`NamedLimits`] for it.
///
/// A field is a [`Size`](Slot::Size) or a [`Time`](Slot::Time), with its default and its least value.
#[macro_export]
macro_rules! limits {
    ($(#[$all:meta])* $vis:vis struct $type:ident {
        $($(#[doc = $doc:literal])+ $name:ident: $kind:ident = $default:expr, least $least:expr;)*
    }) => {
        $(#[$all])*
        #[derive(Clone, PartialEq, Eq, Debug)]
        #[non_exhaustive]
        $vis struct $type { $($(#[doc = $doc])+ $vis $name: $crate::limits!(@type $kind),)* }

        impl Default for $type {
            fn default() -> Self { $type { $($name: $default,)* } }
        }

        impl $crate::limits::NamedLimits for $type {
            fn names(&self) -> &'static [&'static str] {
                &[$(stringify!($name),)*]
            }

            fn docs(&self) -> &'static [&'static str] {
                const { &[$(concat!($($doc),+).trim_ascii(),)*] }
            }

            fn slot(&mut self, name: &str) -> Option<$crate::limits::Slot<'_>> {
                match name {
                    $(stringify!($name) => Some($crate::limits::Slot::$kind(&mut self.$name, $least)),)*
                    _ => None,
                }
            }
        }
    };
    (@type Size) => { usize };
    (@type Time) => { std::time::Duration };
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::limits! {
        /// Limits of a test.
        struct Limits {
            /// Things, of which
            /// there are several; 3 by default.
            things: Size = 3, least 1;
            /// A pause; 1 s by default.
            pause: Time = Duration::from_secs(1), least MIN_INTERVAL;
        }
    }

    #[test]
    fn each_field_is_reached_by_its_name() {
        let mut limits = Limits::default();
        assert_eq!(limits.names(), ["things", "pause"]);
        assert_eq!(
            limits.docs(),
            ["Things, of which there are several; 3 by default.", "A pause; 1 s by default."]
        );
        let Some(Slot::Size(things, 1)) = limits.slot("things") else { panic!("a size, of 1 at least") };
        *things = 5;
        let Some(Slot::Time(pause, MIN_INTERVAL)) = limits.slot("pause") else { panic!("a time") };
        *pause = Duration::ZERO;
        assert_eq!(limits, Limits { things: 5, pause: Duration::ZERO });
        assert!(limits.slot("thing").is_none());
    }
}
