//! The files that flags name.

use relayline_core::settings::Origin;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The largest file that is taken for one of settings or a secret.
const MOST: u64 = 1 << 20;

/// The text of a file, without the mark that some editors put before it.
pub(crate) fn text(file: &Path) -> io::Result<String> {
    let file = File::open(file)?;
    // What grows leaves copies behind.
    let room = file.metadata()?.len().min(MOST) + 1;
    let mut text = String::with_capacity(usize::try_from(room).unwrap_or_default());
    file.take(MOST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST {
        return Err(io::Error::other("it is larger than any such file: 1 MiB at most"));
    }
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// What to say of a file that holds a secret, if others can read it.
#[cfg(unix)]
pub(crate) fn exposed(file: &Path, secret: &Origin) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(file).ok()?.permissions().mode() & 0o777;
    let what = format!(
        "{secret}: others on this machine can read it (mode {mode:04o}): chmod 600 {}",
        file.display()
    );
    (mode & 0o044 != 0).then_some(what)
}

/// What to say of a file that holds a secret, if others can read it. Who can is not known here.
#[cfg(not(unix))]
pub(crate) fn exposed(_: &Path, _: &Origin) -> Option<String> {
    None
}
