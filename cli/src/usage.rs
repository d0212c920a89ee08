//! Errors of the command line.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Prints the error and exits. Redacts two values that may be secrets (C-4): an unexpected argument, whose flag may be
/// missing, and a value that may be a URL with a password.
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
