//! Structs that are read from JSON objects. Each field is one line: its name, its type, and the reader of its value.

use compact_str::CompactString;

/// Part of an event that has a size and can be absent.
pub(crate) trait Part {
    /// Returns the bytes that it keeps alive on the heap.
    fn heap(&self) -> usize;

    /// Returns whether its JSON form leaves it out.
    fn is_absent(&self) -> bool {
        false
    }
}

impl Part for CompactString {
    fn heap(&self) -> usize {
        if self.is_heap_allocated() { self.capacity() } else { 0 }
    }
}

impl Part for bool {
    fn heap(&self) -> usize {
        0
    }

    fn is_absent(&self) -> bool {
        !self
    }
}

impl Part for u64 {
    fn heap(&self) -> usize {
        0
    }
}

impl Part for str {
    fn heap(&self) -> usize {
        0
    }
}

impl<T: Part + ?Sized> Part for Box<T> {
    fn heap(&self) -> usize {
        size_of_val::<T>(self) + T::heap(self)
    }
}

impl<T: Part> Part for Option<T> {
    fn heap(&self) -> usize {
        self.as_ref().map_or(0, Part::heap)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Part> Part for Vec<T> {
    fn heap(&self) -> usize {
        self.capacity() * size_of::<T>() + self.iter().map(Part::heap).sum::<usize>()
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

/// Defines a struct. A field with `= id "message_id"` is read from the JSON field `message_id` by the function `id` of
/// [`read`](super::read); any other is set by hand. Absent fields are left out of its JSON form.
macro_rules! record {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[$of_field:meta])* $vis:vis $field:ident: $type:ty $(= $reader:ident $key:literal)?, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        #[non_exhaustive]
        pub struct $name {
            $(
                $(#[$of_field])*
                #[serde(skip_serializing_if = "crate::event::Part::is_absent")]
                $vis $field: $type,
            )*
        }

        impl $name {
            /// Names of the JSON fields that [`set`](Self::set) reads.
            #[allow(dead_code)]
            pub(crate) const FIELDS: &'static [&'static str] = &[$( $($key,)? )*];

            /// Sets the field at a position of [`FIELDS`](Self::FIELDS).
            #[allow(dead_code, unused_variables, clippy::needless_pass_by_ref_mut)]
            pub(super) fn set(&mut self, at: usize, raw: crate::json::Raw<'_>) {
                // The positions are constants, so this is compiled to a jump.
                match at {
                    $( $( it if it == const { crate::event::record::position(Self::FIELDS, $key) } => {
                        self.$field = crate::event::read::$reader(raw);
                    } )? )*
                    _ => {}
                }
            }
        }

        impl crate::event::Part for $name {
            fn heap(&self) -> usize {
                let $name { $( $field, )* } = self;
                0 $( + crate::event::Part::heap($field) )*
            }
        }
    };
}

/// Returns the position of a name that the list has.
pub(super) const fn position(names: &[&str], name: &str) -> usize {
    let (name, mut at) = (name.as_bytes(), 0);
    loop {
        let (known, mut same) = (names[at].as_bytes(), 0);
        while same < name.len() && known.len() == name.len() && known[same] == name[same] {
            same += 1;
        }
        if same == name.len() && known.len() == name.len() {
            return at;
        }
        at += 1;
    }
}

pub(super) use record;
