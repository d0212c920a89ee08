//! Checks that no other user can change a file or folder, in the spirit of OpenSSH's StrictModes (H-2). Root can, and the
//! user's own group may write to a folder.

use rustix::fs::{FileType, Stat};
use rustix::process::{getegid, geteuid};

/// Bit of a mode: writable by the group.
const GROUP_WRITES: u32 = 0o020;
/// Bit of a mode: writable by others.
const OTHERS_WRITE: u32 = 0o002;
/// Bit of a folder's mode: only an entry's owner may replace the entry.
const STICKY: u32 = 0o1000;

/// Returns the reason if other users could replace entries of this folder.
pub(super) fn folder(stat: &Stat) -> Option<String> {
    let mode = mode(stat);
    let owner = user(stat.st_uid);
    if is_foreign(stat) {
        return Some(format!("belongs to {owner}, who can replace what is in it"));
    }
    // In a sticky folder users can replace only their own entries.
    if mode & STICKY != 0 {
        return None;
    }
    if mode & OTHERS_WRITE != 0 {
        return Some(format!("belongs to {owner} and is writable by everybody (mode {mode:04o})"));
    }
    // The user's own group is trusted (H-2).
    if mode & GROUP_WRITES != 0 && stat.st_gid != getegid().as_raw() {
        let group = group(stat.st_gid);
        return Some(format!("belongs to {owner} and is writable by the group {group} (mode {mode:04o})"));
    }
    None
}

/// Returns the reason if another user could redirect this link on the way to a folder.
pub(super) fn link(stat: &Stat) -> Option<String> {
    is_foreign(stat)
        .then(|| format!("is a symbolic link of {}, who can make it lead elsewhere", user(stat.st_uid)))
}

/// Returns the reason if another user may read what is written to this file.
pub(super) fn file(stat: &Stat) -> Option<String> {
    let owner = user(stat.st_uid);
    if kind(stat) == FileType::Symlink {
        return Some(format!("is a symbolic link of {owner}, and may lead to somebody else's file"));
    }
    if stat.st_uid != geteuid().as_raw() {
        return Some(format!("belongs to {owner}, who would get the secret"));
    }
    if kind(stat) == FileType::RegularFile && stat.st_nlink != 1 {
        return Some(format!("belongs to {owner} and has {} names (hard links)", stat.st_nlink));
    }
    None
}

/// Returns true if the owner is neither root nor this user.
fn is_foreign(stat: &Stat) -> bool {
    stat.st_uid != 0 && stat.st_uid != geteuid().as_raw()
}

pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Returns the permission bits, including those above the lower nine.
#[allow(clippy::useless_conversion)] // `Mode` is narrower on other systems.
pub(super) fn mode(stat: &Stat) -> u32 {
    u32::from(stat.st_mode) & 0o7777
}

fn user(id: u32) -> String {
    describe("/etc/passwd", "uid", id)
}

fn group(id: u32) -> String {
    describe("/etc/group", "gid", id)
}

/// Returns an id with its name, or the id alone if the file does not contain it.
fn describe(path: &str, what: &str, id: u32) -> String {
    let list = std::fs::read_to_string(path).unwrap_or_default();
    match name(&list, id) {
        Some(name) => format!("{name} ({what} {id})"),
        None => format!("{what} {id}"),
    }
}

/// Finds the name of an id in `/etc/passwd` or `/etc/group`: `name:password:id:…`.
fn name(list: &str, id: u32) -> Option<&str> {
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_shown_with_its_name() {
        let list = "root:x:0:0:root:/root:/bin/sh\n\nbroken\nnobody:x:65534:65534::/:\n";
        for (id, expected) in [(0, Some("root")), (65534, Some("nobody")), (7, None)] {
            assert_eq!(name(list, id), expected);
        }
    }
}
