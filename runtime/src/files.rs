//! The files that settings name.

use std::fmt::{self, Display};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use zeroize::Zeroizing;

/// The largest file that is taken for one of settings or a secret.
const MOST: u64 = 1 << 20;

/// A file that was read. It may hold a secret, and so is not shown.
pub struct Contents {
    bytes: Zeroizing<Vec<u8>>,
    /// Its mode, where others can read it.
    exposed: Option<u32>,
}

/// Reads a file. Its mode is that of what was read, and of no other file.
///
/// # Errors
/// When it cannot be read, or is larger than any such file.
pub fn read(path: &Path) -> io::Result<Contents> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::other("it is larger than any such file: 1 MiB at most"));
    }
    Ok(Contents { bytes, exposed: exposed(&metadata) })
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contents({} bytes hidden)", self.bytes.len())
    }
}

impl Contents {
    /// Its bytes.
    pub fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.bytes
    }

    /// Its text, without the mark that some editors put before it.
    ///
    /// # Errors
    /// When it is not UTF-8.
    pub fn text(&self) -> io::Result<&str> {
        let text = std::str::from_utf8(&self.bytes);
        let text = text.map_err(|_| io::Error::other("stream did not contain valid UTF-8"))?;
        Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
    }

    /// The same, with a sign for what is not UTF-8.
    pub fn lossy_text(&self) -> Zeroizing<String> {
        let text = String::from_utf8_lossy(&self.bytes);
        Zeroizing::new(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned())
    }

    /// What to say of a file that holds a secret, if others can read it; `what` says which.
    pub fn warning(&self, what: impl Display, path: &Path) -> Option<String> {
        let mode = self.exposed?;
        let path = path.display();
        Some(format!("{what}: others on this machine can read it (mode {mode:04o}): chmod 600 {path}"))
    }
}

#[cfg(unix)]
fn exposed(metadata: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o777;
    (mode & 0o044 != 0).then_some(mode)
}

/// Who can read a file is not known here.
#[cfg(not(unix))]
fn exposed(_: &std::fs::Metadata) -> Option<u32> {
    None
}
