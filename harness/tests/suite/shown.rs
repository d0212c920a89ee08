//! C-4: no `Debug` of any public type shows a secret; nor can a new type hold one as a plain text.

mod fields;
mod holders;
mod sources;
mod values;
