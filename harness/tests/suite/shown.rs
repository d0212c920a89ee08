//! C-4: no `Debug` of any public type shows a secret, and no new type can hold one as plain text.

mod fields;
mod holders;
mod sources;
mod values;
