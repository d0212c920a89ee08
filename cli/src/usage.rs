//! What is wrong with a command line.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Says it, and ends the program. An argument that nothing wants is not repeated: it may be a secret whose flag was
/// forgotten (C-4).
pub(crate) fn end(mut error: clap::Error) -> ! {
    let is_value = |argument: &ContextValue| !argument.to_string().starts_with('-');
    if error.kind() == ErrorKind::UnknownArgument && error.get(ContextKind::InvalidArg).is_some_and(is_value)
    {
        error.remove(ContextKind::Suggested);
        error.insert(ContextKind::InvalidArg, ContextValue::String("<hidden>".to_owned()));
    }
    error.exit()
}
