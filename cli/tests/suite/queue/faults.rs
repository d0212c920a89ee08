//! Queues that cannot be used, and disks that fail.
//!
//! | fault | tests |
//! |---|---|
//! | the disk is full | `a_full_disk_acknowledges_nothing_and_passes`; in `queue/src/sqlite/tests.rs` `a_full_disk_passes` |
//! | the file is read-only | `a_read_only_queue_is_refused`; there `a_read_only_file_passes`, while it is open |
//! | the database is corrupt | `a_queue_that_cannot_be_used_is_refused`; there `a_damaged_file_is_refused_and_unchanged`, damaged at several places |
//! | a newer schema, another program's file, an exposed file | `a_queue_that_cannot_be_used_is_refused`; there `files_of_others_are_refused_and_unchanged` |
//! | an acknowledgement before the commit | `a_sync_precedes_each_acknowledgement`; with kills `kill::nothing_stored_is_lost_by_kills` |
//! | the queue is full | `a_full_queue_lets_the_connector_buffer` |
//! | a second process, another gateway with the id | `a_standby_takes_over`, `displaced` |

use super::Stage;
use crate::support::{Program, copy_program};
use relayline_connector::chats::discord;
use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Runs a gateway that is to fail, and returns what it says.
fn fails(stage: &Stage) -> String {
    let ended = Program::start(stage.command(&[])).ended();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    ended.stderr
}

#[test]
fn a_queue_that_cannot_be_used_is_refused() {
    let stage = Stage::new("tokio");
    let path = stage.path("inbox.db");
    fs::write(&path, "this is no database, but it is long enough to be taken for one by its size".repeat(99))
        .unwrap();
    set_mode(&path, 0o600);
    assert!(fails(&stage).contains("is damaged"), "{}", fails(&stage));
    fs::remove_file(&path).unwrap();
    stage.gateway(&[]).stop();
    // A newer version of the program has it.
    sql(&path, "PRAGMA user_version = 99");
    assert!(fails(&stage).contains("use a newer version of this program"), "{}", fails(&stage));
    sql(&path, "PRAGMA user_version = 1");
    set_mode(&path, 0o644);
    assert!(fails(&stage).contains("run `chmod 600"), "{}", fails(&stage));
    set_mode(&path, 0o600);
    let missing = stage.queue(&["status", "--gateway-id", "default"]);
    assert_eq!(missing.code, Some(0), "{}", missing.stderr);
    // Another program's database is left as it is.
    fs::remove_file(&path).unwrap();
    sql(&path, "CREATE TABLE mine (x)");
    set_mode(&path, 0o600);
    assert!(fails(&stage).contains("is a database of another program"), "{}", fails(&stage));
}

fn set_mode(path: &std::path::Path, mode: u32) {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

/// Changes a database, as another program would.
fn sql(path: &std::path::Path, statement: &str) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch(statement).unwrap();
}

/// A limit of the size of files acts like a full disk.
#[test]
fn a_full_disk_acknowledges_nothing_and_passes() {
    let mut stage = Stage::new("smol");
    stage.gateway(&[]).stop();
    // The shell passes its limit on. The signal of the limit is ignored, as it is on a full disk.
    let gateway = stage.command(&["--set", "store_patience=100ms", "--set", "store_retry=20ms"]);
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -S -f 64; exec \"$@\"", "sh"]).arg(gateway.get_program());
    command.args(gateway.get_args());
    let mut agent = super::Agent(Program::start(command));
    agent.event("connected");
    let long = "x".repeat(60_000);
    stage.deliver(&discord::dm(), &long);
    agent.0.logged("queue_paused");
    assert!(agent.0.log().contains("queue_store_failed"), "{}", agent.0.log());
    stage.sees("going_idle");
    assert!(stage.listed(&["list"]).is_empty(), "it is not stored");
    // Somebody frees some space: the gateway notices by itself.
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};
        let pid = Pid::from_raw(agent.0.id().try_into().unwrap());
        prlimit(pid, Resource::Fsize, Rlimit { current: None, maximum: None }).unwrap();
        agent.0.logged("queue_resumed");
    }
    #[cfg(not(target_os = "linux"))]
    {
        agent.kill();
        agent = stage.gateway(&[]);
    }
    // The connector has it still: nothing was acknowledged.
    let (delivery, attempt, _, text) = agent.message();
    assert_eq!((attempt, text), (1, long));
    stage.sees("inbound_ack");
    agent.does(serde_json::json!({"op": "ack", "delivery": delivery}));
}

#[test]
fn a_read_only_queue_is_refused() {
    let mut stage = Stage::new("tokio");
    let mut agent = stage.gateway(&[]);
    stage.deliver(&discord::dm(), "still there");
    agent.message();
    agent.kill();
    let folder = stage.path("");
    let set_modes = |file: u32, of_folder: u32| {
        ["inbox.db", "inbox.db-wal", "inbox.db-shm"].into_iter().for_each(|name| {
            if stage.path(name).exists() {
                set_mode(&stage.path(name), file);
            }
        });
        set_mode(&folder, of_folder);
    };
    let mut command = stage.command(&[]);
    if rustix::process::geteuid().is_root() {
        // No mode keeps this user from writing: another one runs the gateway.
        let program = copy_program(&folder);
        for file in fs::read_dir(&folder).unwrap() {
            chown(file.unwrap().path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
        let mut other = Command::new(program);
        other.args(command.get_args()).current_dir(&folder).uid(NOBODY).gid(NOBODY);
        command = other;
    }
    set_modes(0o400, 0o500);
    let ended = Program::start(command).ended();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("make the file and its folder writable"), "{}", ended.stderr);
    // Nothing is lost.
    set_modes(0o600, 0o700);
    let mut agent = stage.gateway(&[]);
    assert_eq!(agent.message().3, "still there");
}

/// A user without rights.
const NOBODY: u32 = 65_534;

#[test]
fn a_sync_precedes_each_acknowledgement() {
    let strace = Command::new("strace").arg("-V").output();
    if !strace.is_ok_and(|ran| ran.status.success()) {
        println!("skipped: there is no strace");
        return;
    }
    let mut stage = Stage::new("tokio");
    let trace = stage.path("trace");
    let gateway = stage.command(&[]);
    let mut command = Command::new("strace");
    command.args(["-f", "-e", "trace=fdatasync,fsync", "-o"]).arg(&trace).arg(gateway.get_program());
    command.args(gateway.get_args());
    let mut agent = super::Agent(Program::start(command));
    agent.event("connected");
    let syncs = || fs::read_to_string(&trace).unwrap().lines().filter(|line| line.contains("sync(")).count();
    for number in 0..5 {
        let before = syncs();
        stage.deliver(&discord::dm(), &format!("text {number}"));
        stage.sees("inbound_ack");
        assert!(syncs() > before, "no sync before acknowledgement {number}");
        let (delivery, ..) = agent.message();
        agent.does(serde_json::json!({"op": "ack", "delivery": delivery}));
    }
}
