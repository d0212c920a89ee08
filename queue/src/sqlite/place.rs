//! Checks of the place of a queue: the kind of its file system, and who can read its files.

use super::error::SqliteError;
use super::lock::beside;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::path::Path;

/// Files of a queue: the database, its log and the log's index.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// Creates the file with mode 0600 if it is missing, and checks that no other user can read what is there.
///
/// SQLite gives its log and the log's index the mode of the database.
pub(super) fn prepare(path: &Path) -> Result<(), SqliteError> {
    check_file_system(path)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(SqliteError::io("create", path)(error)),
    }
    match check_files(path) {
        // Nobody should change the mode of a file that is named by mistake.
        Err(SqliteError::Exposed { .. }) if is_no_database(path) => {
            Err(SqliteError::NotADatabase(path.to_owned()))
        }
        checked => checked,
    }
}

/// Returns true if the content of a file does not begin as that of SQLite does.
fn is_no_database(path: &Path) -> bool {
    const MAGIC: &[u8] = b"SQLite format 3\0";
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut start));
    read.is_ok() && !start.is_empty() && start != MAGIC
}

/// Checks the files that exist.
pub(super) fn check_files(path: &Path) -> Result<(), SqliteError> {
    for suffix in SUFFIXES {
        let file = beside(path, suffix);
        match fs::metadata(&file) {
            Ok(metadata) if metadata.is_file() => check_mode(&file, &metadata)?,
            Ok(_) => return Err(SqliteError::NotAFile(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !suffix.is_empty() => {}
            Err(error) => return Err(SqliteError::io("read the attributes of", &file)(error)),
        }
    }
    Ok(())
}

#[cfg(unix)]
fn check_mode(file: &Path, metadata: &fs::Metadata) -> Result<(), SqliteError> {
    let mode = std::os::unix::fs::MetadataExt::mode(metadata) & 0o7777;
    match mode & 0o077 {
        0 => Ok(()),
        _ => Err(SqliteError::Exposed { path: file.to_owned(), mode }),
    }
}

/// Access lists of this system are not checked.
#[cfg(not(unix))]
fn check_mode(_: &Path, _: &fs::Metadata) -> Result<(), SqliteError> {
    Ok(())
}

/// Identity of a file, by which its replacement is noticed.
#[cfg(unix)]
pub(super) type FileId = (u64, u64);

/// Returns the identity of a file; `None` if it is missing.
#[cfg(unix)]
pub(super) fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// An open file cannot be replaced on this system.
#[cfg(not(unix))]
pub(super) type FileId = ();

#[cfg(not(unix))]
pub(super) fn file_id(_: &Path) -> Option<FileId> {
    Some(())
}

/// Kinds of file systems that may be remote, by the number that Linux gives them.
#[cfg(target_os = "linux")]
const REMOTE: [(u64, &str); 16] = [
    (0x6969, "NFS"),
    (0x517B, "SMB"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB 2"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9P"),
    (0x00C3_6400, "Ceph"),
    (0x0BD0_0BD0, "Lustre"),
    (0x5346_414F, "AFS"),
    (0x6B41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x564C, "NCP"),
    (0x7461_636F, "OCFS2"),
    (0x0116_1970, "GFS2"),
    (0x786F_4256, "a shared folder of VirtualBox"),
    (0xBACB_ACBC, "a shared folder of VMware"),
];

/// Returns the kind of a file system that may be remote, by its number.
#[cfg(target_os = "linux")]
fn remote_kind(number: u64) -> Option<&'static str> {
    REMOTE.iter().find(|(known, _)| *known == number).map(|(_, kind)| *kind)
}

/// Refuses a file system that may be on another machine: locks and shared memory do not work there.
fn check_file_system(path: &Path) -> Result<(), SqliteError> {
    let folder = path.parent().unwrap_or(path);
    match file_system(folder).map_err(SqliteError::io("find the file system of", folder))? {
        Some(kind) => Err(SqliteError::Remote { path: folder.to_owned(), kind }),
        None => Ok(()),
    }
}

#[cfg(target_os = "linux")]
fn file_system(folder: &Path) -> io::Result<Option<&'static str>> {
    let stat = rustix::fs::statfs(folder)?;
    // The type of the number differs between architectures, and may be signed and of 32 bits.
    #[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation, clippy::unnecessary_cast)]
    let number = u64::from(stat.f_type as u32);
    Ok(remote_kind(number))
}

#[cfg(target_vendor = "apple")]
fn file_system(folder: &Path) -> io::Result<Option<&'static str>> {
    /// Flag of a mount whose data is on this machine.
    const MNT_LOCAL: u32 = 0x1000;
    let stat = rustix::fs::statfs(folder)?;
    Ok((stat.f_flags & MNT_LOCAL == 0).then_some("a network volume"))
}

/// Other systems do not tell.
#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn file_system(_: &Path) -> io::Result<Option<&'static str>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn remote_file_systems_are_known() {
        assert_eq!(remote_kind(0x6969), Some("NFS"));
        assert_eq!(remote_kind(0xFF53_4D42), Some("CIFS"));
        // ext4 and tmpfs.
        assert_eq!((remote_kind(0xEF53), remote_kind(0x0102_1994)), (None, None));
        let error = SqliteError::Remote { path: "/mnt".into(), kind: "NFS" };
        assert!(
            error.to_string().starts_with("/mnt is on a file system of the kind NFS, which may be remote")
        );
        assert!(check_file_system(&std::env::temp_dir().join("inbox.db")).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn files_that_others_can_read_are_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inbox.db");
        prepare(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for suffix in SUFFIXES {
            let file = beside(&path, suffix);
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
            let error = prepare(&path).unwrap_err();
            assert!(error.to_string().contains("has mode 0640"), "{error}");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        prepare(&path).unwrap();
        fs::write(&path, "# a text").unwrap();
        prepare(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(prepare(&path), Err(SqliteError::NotADatabase(_))));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(matches!(prepare(&path), Err(SqliteError::NotAFile(_))));
    }
}
