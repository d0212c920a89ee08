//! Files with settings and secrets.

use std::fmt::{self, Display};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use zeroize::Zeroizing;

/// Maximum size of a file with settings or a secret, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Contents of a file. They may hold a secret, and `Debug` does not print them.
pub struct Contents {
    bytes: Zeroizing<Vec<u8>>,
    /// Mode of the file, if other users can read it.
    exposed: Option<u32>,
}

/// Reads a file and its mode.
///
/// # Errors
/// The file cannot be read, or is larger than 1 MiB.
pub fn read(path: &Path) -> io::Result<Contents> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("it is larger than 1 MiB, the maximum"));
    }
    Ok(Contents { bytes, exposed: exposed(&metadata) })
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contents({} bytes hidden)", self.bytes.len())
    }
}

impl Contents {
    /// Returns the bytes.
    pub fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.bytes
    }

    /// Returns the text, without a byte order mark.
    ///
    /// # Errors
    /// The contents are not UTF-8.
    pub fn text(&self) -> io::Result<&str> {
        let text = std::str::from_utf8(&self.bytes);
        let text = text.map_err(|_| io::Error::other("stream did not contain valid UTF-8"))?;
        Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
    }

    /// Returns the text, without a byte order mark and with U+FFFD for invalid UTF-8.
    pub fn lossy_text(&self) -> Zeroizing<String> {
        let text = String::from_utf8_lossy(&self.bytes);
        Zeroizing::new(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned())
    }

    /// Returns a warning if other users can read the file. `what` names the file and its setting.
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

/// The mode of a file is unknown on this system.
#[cfg(not(unix))]
fn exposed(_: &std::fs::Metadata) -> Option<u32> {
    None
}
