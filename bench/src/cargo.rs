//! Programs that are built by cargo before they are measured.

use crate::Result;
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Builds a program of the workspace with a profile, and returns the path of its executable.
///
/// # Errors
/// The build fails. Its errors are on stderr.
pub(crate) fn build(package: &str, program: &str, profile: &str) -> Result<PathBuf> {
    let output = command()
        .args(["build", "--quiet", "--message-format=json-render-diagnostics"])
        .args(["--package", package, "--bin", program, "--profile", profile])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{program} cannot be built").into());
    }
    let messages = String::from_utf8(output.stdout)?;
    let executable = messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_program = message["target"]["name"] == program;
        message["executable"].as_str().filter(|_| is_program).map(PathBuf::from)
    });
    executable.ok_or_else(|| format!("cargo names no executable of {program}").into())
}

/// Returns the command of cargo, in the repository.
pub(crate) fn command() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::root());
    // `cargo run` describes this package by such variables. A build script that reads them would run again, and all that
    // depends on it would be built again.
    let describes_package =
        |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(describes_package) {
            command.env_remove(name);
        }
    }
    command
}
