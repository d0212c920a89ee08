//! Which files and folders only root and this user can change, in the spirit of OpenSSH's StrictModes (H-2).

use rustix::fs::{FileType, Stat};
use rustix::process::{getegid, geteuid};

/// Bits of a mode: writable by the group, writable by others, and sticky (only an entry's owner may replace it).
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Returns why other users could replace what is in this folder, if they could.
pub(super) fn folder(stat: &Stat) -> Option<String> {
    let mode = mode(stat);
    let owner = user(stat.st_uid);
    if stat.st_uid != 0 && stat.st_uid != geteuid().as_raw() {
        return Some(format!("belongs to {owner}, who can replace what is in it"));
    }
    // In a sticky folder nobody replaces what belongs to somebody else.
    if mode & STICKY != 0 {
        return None;
    }
    if mode & OTHERS_WRITE != 0 {
        return Some(format!("belongs to {owner} and is writable by everybody (mode {mode:04o})"));
    }
    if mode & GROUP_WRITES != 0 && stat.st_gid != getegid().as_raw() {
        let group = group(stat.st_gid);
        return Some(format!("belongs to {owner} and is writable by the group {group} (mode {mode:04o})"));
    }
    None
}

/// Returns why this link on the way to a folder may lead somewhere else tomorrow, if it may.
pub(super) fn link(stat: &Stat) -> Option<String> {
    let foreign = stat.st_uid != 0 && stat.st_uid != geteuid().as_raw();
    foreign.then(|| format!("is a symbolic link of {}, who can make it lead elsewhere", user(stat.st_uid)))
}

/// Returns why what is written to this file may be somebody else's to read, if it may.
pub(super) fn file(stat: &Stat) -> Option<String> {
    let owner = user(stat.st_uid);
    if kind(stat) == FileType::Symlink {
        return Some(format!("is a symbolic link of {owner}, and may lead to a file of somebody else's"));
    }
    if stat.st_uid != geteuid().as_raw() {
        return Some(format!("belongs to {owner}, who would get the secret"));
    }
    if kind(stat) == FileType::RegularFile && stat.st_nlink != 1 {
        return Some(format!("belongs to {owner} and has {} names (hard links)", stat.st_nlink));
    }
    None
}

pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Permission bits, those above the usual nine included.
#[allow(clippy::useless_conversion)] // Narrower elsewhere.
pub(super) fn mode(stat: &Stat) -> u32 {
    u32::from(stat.st_mode) & 0o7777
}

fn user(id: u32) -> String {
    named("/etc/passwd", "uid", id)
}

fn group(id: u32) -> String {
    named("/etc/group", "gid", id)
}

/// Returns the name of an id and the id itself; the id alone where this machine keeps its users elsewhere.
fn named(list: &str, what: &str, id: u32) -> String {
    let list = std::fs::read_to_string(list).unwrap_or_default();
    match name(&list, id) {
        Some(name) => format!("{name} ({what} {id})"),
        None => format!("{what} {id}"),
    }
}

/// Finds an id's name in `/etc/passwd` or `/etc/group`: `name:password:id:…`.
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
    fn an_id_is_called_by_its_name() {
        let list = "root:x:0:0:root:/root:/bin/sh\n\nbroken\nnobody:x:65534:65534::/:\n";
        for (id, expected) in [(0, Some("root")), (65534, Some("nobody")), (7, None)] {
            assert_eq!(name(list, id), expected);
        }
    }
}
