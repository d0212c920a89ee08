//! `relayline view`: pages and pictures of recordings, and its exit codes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../harness/recordings").join(name)
}

/// Runs the command in a folder.
fn view(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relayline"));
    command.arg("view").args(arguments).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_page_is_one_file_that_loads_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = recorded("reconnect-after-drop.jsonl");
    let output = view(folder.path(), &[file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = text(&output.stdout);
    assert!(said.starts_with("reconnect-after-drop.html: 1 session, "), "{said}");
    let path = folder.path().join("reconnect-after-drop.html");
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("default-src 'none'"));
    for address in ["http://", "https://", "src=", "@import", "url("] {
        let found: Vec<_> = page
            .match_indices(address)
            .filter(|(at, _)| !page[*at..].starts_with("http://www.w3.org/"))
            .collect();
        assert!(found.is_empty(), "{address} {found:?}");
    }
    assert!(page.contains(r#"{"encoding":"deflate-raw+base64","data":""#));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn several_files_and_gateways_are_one_page_or_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let mut text_of_two = String::from("{\"relay_session\":1}\n");
    for (dial, id) in [(1, "a"), (2, "b")] {
        text_of_two +=
            &format!("{{\"t_ms\":0,\"dir\":\"connect\",\"dial\":{dial},\"gateway_id\":\"{id}\"}}\n");
    }
    std::fs::write(folder.path().join("two.jsonl"), text_of_two).unwrap();
    let file = recorded("going-idle-acked.jsonl");
    let files = ["two.jsonl", file.to_str().unwrap()];
    let page = view(folder.path(), &[&files[..], &["--out", "all.html"]].concat());
    assert!(text(&page.stdout).starts_with("all.html: 3 sessions, "), "{page:?}");
    let pictures = view(folder.path(), &[&["--svg", "-o", "p.svg"], &files[..]].concat());
    assert_eq!(text(&pictures.stdout).lines().count(), 3, "{pictures:?}");
    let picture = std::fs::read_to_string(folder.path().join("p-3.svg")).unwrap();
    assert!(picture.starts_with("<svg ") && picture.contains(">going_idle</tspan>"), "{picture}");
    let streamed = view(folder.path(), &["--svg", "--out", "-", files[1]]);
    assert_eq!(text(&streamed.stdout), picture);
}

#[test]
fn bad_files_fail_and_the_others_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("newer.jsonl"), "{\"relay_session\":2}\n").unwrap();
    let newer = view(folder.path(), &["newer.jsonl"]);
    assert_eq!((newer.status.code(), newer.stdout.len()), (Some(1), 0));
    assert!(text(&newer.stderr).contains("newer.jsonl:1: this is a recording of version 2"), "{newer:?}");
    let good = recorded("going-idle-acked.jsonl");
    let mixed = view(folder.path(), &["missing.jsonl", good.to_str().unwrap(), "-o", "out.html"]);
    assert_eq!(mixed.status.code(), Some(1));
    assert!(text(&mixed.stderr).starts_with("relayline: missing.jsonl: cannot be read"), "{mixed:?}");
    assert!(folder.path().join("out.html").exists());
    let nowhere = view(folder.path(), &[good.to_str().unwrap(), "-o", "no/such/folder.html"]);
    assert!(text(&nowhere.stderr).contains("name another file with --out"), "{nowhere:?}");
    assert_eq!(nowhere.status.code(), Some(1));
    assert_eq!(view(folder.path(), &[]).status.code(), Some(2));
}
