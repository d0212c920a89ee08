//! Files of the agent: uploads and downloads, and the paths that they may use.

use crate::bridging::Bridge;
use crate::support::{Ended, Program, SOON, relayline};
use relayline_connector::chats::Ids;
use relayline_connector::{ConnectorConfig, EmbeddedConnector, Observation};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;

on_one_runtime! {
    h_7_a_file_is_uploaded_and_downloaded h_7_the_agents_description_of_a_file_counts,
    h_7_send_media_uploads_the_file_at_its_path h_7_a_source_url_is_not_a_local_path,
    o_9_a_file_that_cannot_be_sent_is_not_uploaded h_7_paths_stay_in_the_media_folder,
    h_7_links_within_the_media_folder_are_followed h_7_with_media_anywhere_any_path_works,
    h_7_a_failed_download_keeps_the_old_file h_7_a_download_that_is_interrupted_leaves_nothing,
    h_7_the_bearer_goes_to_the_connector_only h_7_without_credentials_nothing_is_uploaded,
}

/// Starts a connected bridge with credentials. Its working folder is `in` below `home`.
fn start(runtime: &str, home: &Path, flags: &[&str]) -> Bridge {
    let config = ConnectorConfig::default().gateway("gw-1", "SECRET");
    let connector = EmbeddedConnector::start(config, "127.0.0.1:0").unwrap();
    let mut command = relayline(["run", "--url", &connector.url(), "--runtime", runtime]);
    command.args(["--gateway-id", "gw-1", "--identity", "discord:1"]).args(flags);
    command.env("GATEWAY_RELAY_SECRET", "SECRET").current_dir(home.join("in"));
    let mut bridge = Bridge { program: Program::start(command), connector, ids: Ids::new([0; 32]) };
    assert_eq!(bridge.next()["event"], "connected");
    bridge
}

/// Returns a folder with the media folder `in`, which has `plan.txt` and the folder `sub`, and beside it `out` with
/// `secret.txt`.
fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    for folder in ["in/sub", "out"] {
        fs::create_dir_all(home.path().join(folder)).unwrap();
    }
    fs::write(home.path().join("in/plan.txt"), "the plan").unwrap();
    fs::write(home.path().join("out/secret.txt"), "secret").unwrap();
    home
}

/// Returns the names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[track_caller]
fn uploaded(bridge: &mut Bridge, op: Value) -> Value {
    let result = bridge.ask(op);
    let url = result["url"].as_str().unwrap_or_else(|| panic!("{result}"));
    assert!(url.starts_with("http://127.0.0.1:") && url.contains("/relay/media/"), "{url}");
    result
}

#[track_caller]
fn is_definite(failure: &Value, words: &str) {
    assert_eq!(failure["kind"], "definite", "{failure}");
    assert!(failure["message"].as_str().unwrap().contains(words), "{failure}: {words}");
}

fn h_7_a_file_is_uploaded_and_downloaded(runtime: &str) {
    let home = home();
    let mut bridge = start(runtime, home.path(), &[]);
    let result = uploaded(&mut bridge, json!({"op": "upload", "path": "plan.txt"}));
    assert_eq!(result["bytes"], 8);
    let absolute = home.path().canonicalize().unwrap().join("in/absolute.txt");
    // The last path exists already.
    for path in ["copy.txt", "sub/copy.txt", absolute.to_str().unwrap(), "copy.txt"] {
        let got = bridge.ask(json!({"op": "download", "url": result["url"], "path": path}));
        assert_eq!(got, json!({"path": path, "content_type": "text/plain", "bytes": 8}));
        assert_eq!(fs::read_to_string(home.path().join("in").join(path)).unwrap(), "the plan");
    }
    assert_eq!(names(&home.path().join("in")), ["absolute.txt", "copy.txt", "plan.txt", "sub"]);
    assert_eq!(names(&home.path().join("in/sub")), ["copy.txt"]);
}

fn h_7_the_agents_description_of_a_file_counts(runtime: &str) {
    let home = home();
    let mut bridge = start(runtime, home.path(), &[]);
    fs::write(home.path().join("in/a.PNG"), "x").unwrap();
    fs::write(home.path().join("in/blob"), "x").unwrap();
    for (op, expected) in [
        (json!({"op": "upload", "path": "plan.txt", "content_type": "audio/ogg"}), "audio/ogg"),
        (json!({"op": "upload", "path": "plan.txt", "filename": "plan.pdf"}), "application/pdf"),
        (json!({"op": "upload", "path": "a.PNG", "content_type": null, "filename": null}), "image/png"),
        (json!({"op": "upload", "path": "blob"}), "application/octet-stream"),
    ] {
        let url = uploaded(&mut bridge, op.clone())["url"].take();
        let got = bridge.ask(json!({"op": "download", "url": url, "path": "sub/x"}));
        assert_eq!(got["content_type"], expected, "{op}");
    }
    let wrong = bridge.ask(json!({"op": "upload", "path": "blob", "content_type": "picture"}));
    is_definite(&wrong, "is not a MIME type");
}

fn h_7_send_media_uploads_the_file_at_its_path(runtime: &str) {
    let home = home();
    let mut bridge = start(runtime, home.path(), &[]);
    for (filename, expected) in [(Value::Null, "plan.txt"), (json!("the plan"), "the plan")] {
        bridge.say(json!({"op": "send_media", "chat_id": "7", "media_kind": "document", "path": "plan.txt",
            "filename": filename, "content": "as agreed", "id": "media"}));
        // A later op for the same chat comes after it.
        bridge.say(json!({"op": "send", "chat_id": "7", "content": "next"}));
        assert!(bridge.result("media")["message_id"].is_string());
        let action = bridge.sees()["action"].take();
        assert_eq!((&action["op"], &action["content"]), (&json!("send_media"), &json!("as agreed")));
        assert_eq!(action["filename"], expected);
        assert_eq!(bridge.sees()["action"]["content"], "next");
        let got = bridge.ask(json!({"op": "download", "url": action["source_url"], "path": "got"}));
        assert_eq!(got["bytes"], 8, "{got}");
    }
}

/// O-9, M-3: nothing is uploaded for a refused op.
fn o_9_a_file_that_cannot_be_sent_is_not_uploaded(runtime: &str) {
    let home = home();
    let mut bridge = start(runtime, home.path(), &[]);
    let send = json!({"op": "send_media", "chat_id": "7", "media_kind": "image", "path": "plan.txt",
        "platform": "matrix"});
    is_definite(&bridge.ask(send), "relay does not front platform matrix");
    uploaded(&mut bridge, json!({"op": "upload", "path": "plan.txt"}));
    let is_upload =
        |saw: &Observation| matches!(saw, Observation::Http { path, .. } if path == "/relay/media");
    let saws = std::iter::from_fn(|| bridge.connector.next_observation(Duration::from_millis(200)));
    assert_eq!(saws.filter(is_upload).count(), 1);
}

fn h_7_a_source_url_is_not_a_local_path(runtime: &str) {
    let home = home();
    let mut bridge = start(runtime, home.path(), &[]);
    let op = |fields: Value| {
        let mut op = json!({"op": "send_media", "chat_id": "7", "media_kind": "image"});
        op.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        op
    };
    for url in ["/etc/passwd", "plan.txt", "file:///etc/passwd", "", "ftp://x/y", "https:/x", "C:\\x"] {
        is_definite(&bridge.ask(op(json!({"source_url": url}))), "is not an http or https URL");
    }
    is_definite(&bridge.ask(op(json!({}))), "missing field `source_url`, or `path` in its place");
    is_definite(
        &bridge.ask(op(json!({"source_url": "https://x/y", "path": "plan.txt"}))),
        "give one of them",
    );
    bridge.ask(op(json!({"source_url": "HTTPS://x/y", "path": null})));
    assert_eq!(bridge.sees()["action"]["source_url"], "HTTPS://x/y");
}

fn h_7_paths_stay_in_the_media_folder(runtime: &str) {
    let home = home();
    let (inside, outside) = (home.path().join("in"), home.path().canonicalize().unwrap().join("out"));
    symlink("../out/secret.txt", inside.join("file")).unwrap();
    symlink("../out", inside.join("folder")).unwrap();
    symlink("../out/new.txt", inside.join("nothing")).unwrap();
    let mut bridge = start(runtime, home.path(), &[]);
    let url = uploaded(&mut bridge, json!({"op": "upload", "path": "plan.txt"}))["url"].take();
    let absolute = outside.join("secret.txt");
    let words = "is outside of the media folder";
    for path in [
        "file",
        "folder/secret.txt",
        "../out/secret.txt",
        "sub/../../out/secret.txt",
        absolute.to_str().unwrap(),
    ] {
        is_definite(&bridge.ask(json!({"op": "upload", "path": path})), words);
        is_definite(&bridge.ask(json!({"op": "download", "url": url, "path": path})), words);
        let send = json!({"op": "send_media", "chat_id": "7", "media_kind": "image", "path": path});
        is_definite(&bridge.ask(send), words);
    }
    let new = bridge.ask(json!({"op": "download", "url": url, "path": "folder/new.txt"}));
    is_definite(&new, words);
    for (path, words) in [
        ("nothing", "No such file"),
        ("absent/x", "No such file"),
        ("sub", "is a folder"),
        (".", "is a folder"),
        ("..", "names no file"),
        ("sub/..", "names no file"),
        ("", "names no file"),
    ] {
        is_definite(&bridge.ask(json!({"op": "download", "url": url, "path": path})), words);
        is_definite(&bridge.ask(json!({"op": "upload", "path": path})), words);
    }
    is_definite(&bridge.ask(json!({"op": "upload", "path": "absent"})), "No such file");
    assert_eq!(fs::read_to_string(&absolute).unwrap(), "secret");
    assert_eq!(names(&outside), ["secret.txt"]);
    assert_eq!(names(&inside), ["file", "folder", "nothing", "plan.txt", "sub"]);
}

fn h_7_links_within_the_media_folder_are_followed(runtime: &str) {
    let home = home();
    let inside = home.path().join("in");
    symlink("../plan.txt", inside.join("sub/link")).unwrap();
    symlink("sub", inside.join("folder")).unwrap();
    // The media folder itself may be given by a link.
    symlink("in", home.path().join("named")).unwrap();
    let named = home.path().join("named");
    let mut bridge = start(runtime, home.path(), &["--media-dir", named.to_str().unwrap()]);
    let result = uploaded(&mut bridge, json!({"op": "upload", "path": "folder/link"}));
    assert_eq!(result["bytes"], 8);
    fs::write(inside.join("plan.txt"), "old").unwrap();
    let absolute = named.join("sub/link");
    for path in ["sub/link", absolute.to_str().unwrap()] {
        bridge.ask(json!({"op": "download", "url": result["url"], "path": path}));
        assert_eq!(fs::read_to_string(inside.join("plan.txt")).unwrap(), "the plan");
        assert!(fs::symlink_metadata(inside.join("sub/link")).unwrap().is_symlink());
        fs::write(inside.join("plan.txt"), "old").unwrap();
    }
}

fn h_7_with_media_anywhere_any_path_works(runtime: &str) {
    let home = home();
    let mut bridge = start(runtime, home.path(), &["--media-anywhere"]);
    let url = uploaded(&mut bridge, json!({"op": "upload", "path": "../out/secret.txt"}))["url"].take();
    let absolute = home.path().join("out/copy.txt");
    for path in ["../out/copy.txt", absolute.to_str().unwrap(), "copy.txt"] {
        assert_eq!(bridge.ask(json!({"op": "download", "url": url, "path": path}))["bytes"], 6);
    }
    assert_eq!(fs::read_to_string(absolute).unwrap(), "secret");
}

/// Starts a web server for one request. Returns the connection and the head of the request once it was read.
fn server() -> (String, JoinHandle<(TcpStream, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/relay/media/m-1", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        (stream, String::from_utf8(head).unwrap())
    });
    (url, served)
}

fn h_7_a_failed_download_keeps_the_old_file(runtime: &str) {
    let home = home();
    let mut bridge = start(runtime, home.path(), &[]);
    for answer in
        ["HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it", "HTTP/1.1 404 Not Found\r\n\r\n"]
    {
        let (url, served) = server();
        bridge.say(json!({"op": "download", "url": url, "path": "plan.txt", "id": "ask"}));
        let (mut stream, _) = served.join().unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        drop(stream);
        let failure = bridge.result("ask");
        assert!(failure["kind"].is_string(), "{failure}");
        assert_eq!(fs::read_to_string(home.path().join("in/plan.txt")).unwrap(), "the plan");
        assert_eq!(names(&home.path().join("in")), ["plan.txt", "sub"]);
    }
    is_definite(&bridge.ask(json!({"op": "download", "url": "plan.txt", "path": "x"})), "URL");
}

fn h_7_a_download_that_is_interrupted_leaves_nothing(runtime: &str) {
    // A second signal ends the program at once.
    for signals in [1, 2] {
        let home = home();
        let mut bridge = start(runtime, home.path(), &["--set", "disconnect_budget=1s"]);
        let (url, served) = server();
        bridge.say(json!({"op": "download", "url": url, "path": "plan.txt"}));
        let (mut stream, _) = served.join().unwrap();
        let inside = home.path().join("in");
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it").unwrap();
        assert_eq!(names(&inside).len(), 3, "it is written beside its place");
        let (ends, ended) = channel();
        let pid = bridge.program.id().to_string();
        for signal in &["TERM", "INT"][..signals] {
            assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        }
        std::thread::spawn(move || ends.send(bridge.program.ended()));
        let Ended { stderr, .. } = ended.recv_timeout(SOON).unwrap();
        assert_eq!(names(&inside), ["plan.txt", "sub"], "{stderr}");
        assert_eq!(fs::read_to_string(inside.join("plan.txt")).unwrap(), "the plan");
    }
}

fn h_7_the_bearer_goes_to_the_connector_only(runtime: &str) {
    let home = home();
    let mut bridge = start(runtime, home.path(), &[]);
    let (url, served) = server();
    bridge.say(json!({"op": "download", "url": url, "path": "x", "id": "ask"}));
    let (mut stream, head) = served.join().unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").unwrap();
    assert_eq!(bridge.result("ask"), json!({"path": "x", "content_type": null, "bytes": 2}));
    assert!(!head.to_ascii_lowercase().contains("authorization"), "{head}");
}

fn h_7_without_credentials_nothing_is_uploaded(runtime: &str) {
    let home = home();
    let folder = home.path().join("in");
    let mut bridge = Bridge::start(runtime, &["--media-dir", folder.to_str().unwrap()]);
    is_definite(&bridge.ask(json!({"op": "upload", "path": "plan.txt"})), "with credentials only");
    fs::File::create(folder.join("large")).unwrap().set_len((25 << 20) + 1).unwrap();
    let mut bridge = start(runtime, home.path(), &[]);
    is_definite(&bridge.ask(json!({"op": "upload", "path": "large"})), "too large");
}

#[test]
fn h_7_the_media_folder_must_exist() {
    let home = home();
    let url = "ws://127.0.0.1:1";
    for folder in ["absent", "in/plan.txt"] {
        let folder = home.path().join(folder);
        let run = ["run", "--url", url, "--platform", "discord", "--media-dir", folder.to_str().unwrap()];
        let output = relayline(run).args(["--exec", "cat"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(log.contains(&format!("--media-dir {}: ", folder.display())), "{log}");
    }
}
