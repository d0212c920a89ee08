//! `relayline connector --state`: the state that outlives the process, also after a kill, and files that are not a
//! state.

use crate::connector_program::Connector;
use crate::side_car::{ID, SECRET, SideCar};
use crate::support::{Ended, Program, relayline};
use relayline_core::secret::Secret;
use relayline_core::token;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

const ACCESS: &str = "hunter2-access";

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn state(&self) -> PathBuf {
        self.0.path().join("state.json")
    }

    fn start(&self, flags: &[&str]) -> Connector {
        Connector::start(&[&["--state", self.state().to_str().unwrap()], flags].concat())
    }

    /// Runs it, and asserts that it does not start.
    fn fails(&self, flags: &[&str]) -> Ended {
        let mut command = relayline(["connector", "--state"]);
        command.arg(self.state()).args(flags);
        let ended = Program::start(command).ended();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
        ended
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn known() -> String {
    format!("{ID}={SECRET}")
}

fn buffer(connector: &mut Connector, text: &str) {
    let source = json!({"platform": "discord", "chat_id": "c1", "user_id": "u1"});
    let event = json!({"text": text, "message_id": text, "source": source});
    connector.tell(json!({"do": "inbound", "event": event, "buffered": true}));
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn restored(buffered: usize, revoked: bool, idle: bool) -> Value {
    json!({"saw": "restored", "gateway": ID, "buffered": buffered, "revoked": revoked, "idle": idle})
}

/// an entry that was observed as buffered is delivered, however often and whenever the connector is killed. An
/// acknowledged entry need not be.
#[test]
fn a_1_no_buffered_entry_is_lost_by_kill_9() {
    let place = Place::new();
    let (mut promised, mut text) = (Vec::new(), 0);
    for round in 0..6 {
        let mut connector = place.start(&["--gateway", &known()]);
        // Later entries are under way when it is killed, and may have been accepted or not.
        for _ in 0..10 + 3 * round {
            text += 1;
            buffer(&mut connector, &format!("{text:03}"));
        }
        let first = text - (10 + 3 * round) + 1;
        for n in 0..4 + round {
            connector.sees(json!({"saw": "buffered", "gateway": ID}));
            promised.push(format!("{:03}", first + n));
        }
        assert_eq!(mode(&place.state()), 0o600);
        connector.kill();
    }
    let mut connector = place.start(&["--gateway", &known()]);
    let waiting = connector.next()["buffered"].as_u64().unwrap();
    let mut gateway = SideCar::start("tokio", &connector.url, &[]);
    gateway.event("connected");
    let mut heard = Vec::new();
    for _ in 0..waiting {
        let (delivery, text) = gateway.message();
        heard.push(text);
        gateway.settle("ack", delivery);
    }
    assert!(heard.is_sorted(), "A-7: {heard:?}");
    for text in &promised {
        assert!(heard.contains(text), "{text} is lost: {heard:?}");
    }
    for _ in 0..waiting {
        connector.frame("inbound_ack");
    }
    connector.kill();
    // Acknowledged entries are gone, and ids from before are not reused.
    let mut connector = place.start(&["--gateway", &known()]);
    buffer(&mut connector, "after");
    let after = connector.next();
    assert_eq!(after["saw"], "buffered", "nothing was restored");
    let mut gateway = SideCar::start("tokio", &connector.url, &[]);
    gateway.event("connected");
    assert_eq!(gateway.message().1, "after");
    assert_eq!(place.names(), ["state.json"], "no draft is left");
}

#[test]
fn h_1_c_4_issued_secrets_and_used_tokens_outlive_kill_9() {
    let place = Place::new();
    let flags = ["--enroll-token", "hunter2-once", "--access-token", ACCESS];
    let mut connector = place.start(&flags);
    let enroll = json!({"enrollmentToken": "hunter2-once", "gatewayId": "gw-new"});
    let (status, issued) = connector.post("/relay/enroll", ACCESS, &enroll);
    assert_eq!(status, 200, "{issued}");
    let secret = issued["secret"].as_str().unwrap().to_owned();
    let mut printed = connector.next().to_string();
    connector.tell(json!({"do": "enroll_token", "token": "hunter2-later"}));
    connector.tell(json!({"do": "inbound", "event": {"text": "hi"}}));
    printed += &connector.sees(json!({"saw": "buffered"})).to_string();
    connector.kill();
    // The secret is valid, and nobody else is admitted, even without any flag.
    for flags in [&[][..], &flags] {
        let mut connector = place.start(flags);
        let seen = connector.next();
        assert_eq!(seen["buffered"], 1, "{seen}");
        let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let token = |secret: &str| token::mint("gw-new", &Secret::from(secret), unix_s, 300);
        let policy = json!({"platform": "discord", "requireAddress": true, "freeResponseScopes": [],
            "allowOtherBots": false});
        let ask = |secret: &str| connector.post("/relay/policy", token(secret).expose(), &policy).0;
        assert_eq!((ask(&secret), ask("wrong")), (200, 401));
        printed += &format!("{seen}{}{}", connector.next(), connector.next());
        connector.kill();
    }
    let mut connector = place.start(&flags);
    let (status, error) = connector.post("/relay/enroll", ACCESS, &enroll);
    assert_eq!((status, &error["error"]), (403, &json!("enrollment token already used")));
    let later = json!({"enrollmentToken": "hunter2-later", "gatewayId": "gw-later"});
    let (status, later) = connector.post("/relay/enroll", ACCESS, &later);
    assert_eq!(status, 200, "{later}");
    printed += &format!("{}{}{}", connector.next(), connector.next(), connector.next());
    for hidden in
        [&secret, issued["deliveryKey"].as_str().unwrap(), later["secret"].as_str().unwrap(), "hunter2"]
    {
        assert!(
            !printed.contains(hidden) && !connector.program.log().contains(hidden),
            "{hidden}: {printed}"
        );
    }
}

/// L-12: idle and revoked gateways are known to the next process.
#[test]
fn l_12_idle_and_revoked_gateways_outlive_kill_9() {
    let place = Place::new();
    let mut connector = place.start(&["--gateway", &known()]);
    let mut gateway = SideCar::start("tokio", &connector.url, &["backoff_first=10s"]);
    gateway.event("connected");
    gateway.op(json!({"op": "go_idle", "id": 1}));
    assert_eq!(gateway.event("result")["result"], json!({"confirmed": true}));
    buffer(&mut connector, "while idle");
    connector.sees(json!({"saw": "buffered"}));
    connector.kill();
    drop(gateway);
    let mut connector = place.start(&["--gateway", &known()]);
    assert_eq!(connector.next(), restored(1, false, true));
    // Its next handshake ends the idleness.
    let mut gateway = SideCar::start("tokio", &connector.url, &[]);
    gateway.event("connected");
    assert_eq!(gateway.message().1, "while idle");
    connector.kill();
    drop(gateway);
    let mut connector = place.start(&["--gateway", &known()]);
    assert_eq!(connector.next(), restored(1, false, false));
    connector.tell(json!({"do": "revoke"}));
    buffer(&mut connector, "two");
    connector.sees(json!({"saw": "buffered"}));
    connector.kill();
    let mut connector = place.start(&["--gateway", &known()]);
    assert_eq!(connector.next(), restored(2, true, false));
    let mut gateway = SideCar::start("tokio", &connector.url, &[]);
    let (code, reason, _) = gateway.disconnected();
    assert_eq!((code, reason.as_str()), (Some(4401), "revoked"));
}

#[test]
fn a_file_that_is_not_a_state_is_refused_unchanged() {
    let place = Place::new();
    // The state of a connector that ran, complete and truncated.
    let mut connector = place.start(&["--gateway", &known()]);
    connector.tell(json!({"do": "rotate", "secret": "hunter2-rotated"}));
    buffer(&mut connector, "one");
    connector.sees(json!({"saw": "buffered"}));
    connector.kill();
    let good = fs::read(place.state()).unwrap();
    let damaged = String::from_utf8(good.clone()).unwrap().replace("\"idle\"", "\"idel\"").into_bytes();
    let newer = String::from_utf8(good.clone()).unwrap().replace("_state\":1", "_state\":7").into_bytes();
    for (bytes, expected) in [
        (good[..good.len() / 2].to_vec(), "is not a connector's state, or is damaged (line 1, column "),
        (damaged, "is damaged (line 1, column "),
        (newer, "has the format 7, and this program reads format 1 alone"),
        (b"hunter2=1\n".to_vec(), "is not a connector's state, or is damaged (it is not a JSON object)"),
        (b"{\"hunter2\":{}}".to_vec(), "is not a connector's state, or is damaged (it has no field"),
        (vec![0xff; 64], "is not a connector's state, or is damaged ("),
    ] {
        fs::write(place.state(), &bytes).unwrap();
        fs::set_permissions(place.state(), fs::Permissions::from_mode(0o644)).unwrap();
        let inode = fs::metadata(place.state()).unwrap().ino();
        let ended = place.fails(&["--gateway", &known()]);
        let path = place.state().display().to_string();
        assert!(ended.stderr.contains(&format!("the state file {path} {expected}")), "{ended:?}");
        assert!(ended.stderr.contains("name another file, or move it away"), "{ended:?}");
        assert!(!ended.stderr.contains("hunter2"), "C-4: {ended:?}");
        let left = (fs::read(place.state()).unwrap(), fs::metadata(place.state()).unwrap().ino());
        assert_eq!(left, (bytes, inode));
        assert_eq!(mode(&place.state()), 0o644);
    }
    // The valid state works once it is restored, and is private again.
    fs::write(place.state(), &good).unwrap();
    let mut connector = place.start(&["--gateway", &known()]);
    assert_eq!(connector.next(), restored(1, false, false));
    assert_eq!(mode(&place.state()), 0o600);
}

#[test]
fn an_unusable_state_file_is_reported_before_listening() {
    let place = Place::new();
    fs::create_dir(place.state()).unwrap();
    let ended = place.fails(&[]);
    assert!(ended.stderr.contains("cannot open the state file"), "{ended:?}");
    fs::remove_dir(place.state()).unwrap();
    let connector = place.start(&["--gateway", &known()]);
    let ended = place.fails(&["--gateway", &known()]);
    assert!(
        ended.stderr.contains("is another connector's: stop that one, or name another file"),
        "{ended:?}"
    );
    // This also holds if the file was replaced meanwhile.
    let mut connector = connector;
    buffer(&mut connector, "one");
    connector.sees(json!({"saw": "buffered"}));
    place.fails(&["--gateway", &known()]);
    connector.kill();
    // A state of a connector that admits everybody does not fit one that does not, and the reverse.
    let other = Place::new();
    let mut connector = other.start(&[]);
    connector.tell(json!({"do": "inbound", "event": {"text": "hi"}}));
    connector.sees(json!({"saw": "buffered", "gateway": ""}));
    connector.kill();
    let ended = other.fails(&["--gateway", &known()]);
    assert!(ended.stderr.contains("holds 1 messages of a connector that let everybody in"), "{ended:?}");
    let mut connector = other.start(&[]);
    assert_eq!(connector.next()["buffered"], 1);
}

/// If the state cannot be written any more, nothing relies on it: the connector ends.
#[test]
fn a_state_that_cannot_be_written_ends_the_connector() {
    let place = Place::new();
    let mut connector = place.start(&["--gateway", &known()]);
    buffer(&mut connector, "one");
    connector.sees(json!({"saw": "buffered"}));
    let before = fs::read(place.state()).unwrap();
    // A folder in place of the draft: root could write into a read-only folder.
    fs::create_dir_all(place.0.path().join(".state.json.new/full")).unwrap();
    buffer(&mut connector, "two");
    let ended = connector.ended();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.stderr.contains("cannot write the state file"), "{ended:?}");
    assert_eq!(fs::read(place.state()).unwrap(), before);
}

/// A draft left by a killed process causes no error, and a link stays a link.
#[test]
fn a_leftover_draft_and_a_link_are_handled() {
    let place = Place::new();
    let real = place.0.path().join("real.json");
    std::os::unix::fs::symlink(&real, place.state()).unwrap();
    fs::write(place.0.path().join(".real.json.new"), "half").unwrap();
    let mut connector = place.start(&["--gateway", &known()]);
    buffer(&mut connector, "one");
    connector.sees(json!({"saw": "buffered"}));
    connector.kill();
    assert_eq!(place.names(), ["real.json", "state.json"]);
    assert!(fs::symlink_metadata(place.state()).unwrap().is_symlink());
    assert_eq!(mode(&real), 0o600);
}
