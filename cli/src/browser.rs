//! The program that the desktop has for files and URLs.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// Opens a file or a URL.
///
/// # Errors
/// It is not opened: the text for the user, without `what`, which can have a token.
pub(crate) fn open(what: &OsStr) -> Result<(), String> {
    let program = match std::env::consts::OS {
        "macos" => "open",
        "windows" => "explorer",
        _ => "xdg-open",
    };
    let mut command = Command::new(program);
    command.arg(what).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match command.status() {
        // The explorer ends with 1 also when it has opened the file.
        Ok(status) if status.success() || cfg!(windows) => Ok(()),
        Ok(_) => Err(format!("{program} cannot open it")),
        Err(error) => Err(format!("{program} cannot be started ({error})")),
    }
}
