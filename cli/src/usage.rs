//! What is wrong with a command line.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Says it, and ends the program. Two things that may be secrets are not repeated (C-4): an argument that nothing wants,
/// since its flag may have been forgotten, and a value that may be a URL with a password.
pub(crate) fn end(mut error: clap::Error) -> ! {
    let hidden = || ContextValue::String("<hidden>".to_owned());
    let shown = |kind| error.get(kind).map(ContextValue::to_string).unwrap_or_default();
    let is_stray =
        error.kind() == ErrorKind::UnknownArgument && !shown(ContextKind::InvalidArg).starts_with('-');
    let may_be_url = shown(ContextKind::InvalidValue).contains('@');
    if is_stray {
        error.remove(ContextKind::Suggested);
        error.insert(ContextKind::InvalidArg, hidden());
    }
    if may_be_url {
        error.insert(ContextKind::InvalidValue, hidden());
    }
    error.exit()
}
