//! Enrolment over real sockets, and what it does to the env file (H-1, H-2, H-3).
#![cfg(unix)]
#![allow(clippy::unwrap_used)] // Helpers of tests are tests, too.

mod support;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::http::{Answer, Server, answer, answer_with};
use support::{Ended, Program, relayline};

on_both_runtimes! {
    h_1_h_2_an_enrolment_fills_the_env_file_and_a_second_one_changes_nothing
    h_1_each_failure_says_why_and_leaves_the_env_file_alone
    h_1_a_connector_that_never_answers
    h_8_c_6_what_cannot_work_is_not_tried
    h_3_a_managed_install_does_not_enroll
    h_2_a_write_that_breaks_off_leaves_the_old_file
}

const OLD: &str = "# mine\nexport OTHER='x y' # keep\nGATEWAY_RELAY_SECRET=\"old\"\nrubbish\n";
const ISSUED: &str = r#"{"secret":"s3cret","deliveryKey":"d3livery","tenant":"acme","gatewayId":"gw-7"}"#;
/// What must be seen nowhere: what was sent, and what came.
const SECRETS: [&str; 4] = ["s3cret", "d3livery", "acc3ss", "0nce"];

/// A folder with an env file.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(text: &str) -> Place {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        fs::write(place.file(), text).unwrap();
        place
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join(".env")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    /// Nothing but the env file is there.
    #[track_caller]
    fn is_tidy(&self) {
        let names: Vec<_> =
            fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [".env"]);
    }
}

fn enroll(runtime: &str, url: &str, env_file: &Path) -> Command {
    let mut command =
        relayline(["enroll", "-vv", "--runtime", runtime, "--connector-url", url, "--env-file"]);
    command
        .arg(env_file)
        .env("GATEWAY_RELAY_ENROLL_TOKEN", "0nce")
        .env("GATEWAY_RELAY_ACCESS_TOKEN", "acc3ss");
    command.env("GATEWAY_RELAY_ID", "gw-1").env("RUST_LOG", "trace");
    command
}

/// Runs it to its end; none of the secrets is in what it says (C-4).
#[track_caller]
fn ended(command: Command) -> Ended {
    let ended = Program::start(command).ended();
    for secret in SECRETS {
        assert!(!ended.stdout.contains(secret) && !ended.stderr.contains(secret), "{ended:?}");
    }
    ended
}

fn h_1_h_2_an_enrolment_fills_the_env_file_and_a_second_one_changes_nothing(runtime: &str) {
    let server = Server::start(|_| answer(200, ISSUED));
    let place = Place::new(OLD);
    let url = server.url();
    let file = place.file().display().to_string();
    let expected = OLD.replace("\"old\"", "\"s3cret\"");
    let expected = format!(
        "{expected}GATEWAY_RELAY_URL={url}\nGATEWAY_RELAY_ID=gw-7\nGATEWAY_RELAY_DELIVERY_KEY=d3livery\n\
         GATEWAY_RELAY_WAKE_URL=https://wake.example\n"
    );
    for end in ["written to", "nothing to change in"] {
        let mut command = enroll(runtime, &url, &place.file());
        command.args(["--wake-url", "https://wake.example"]);
        let ended = ended(command);
        let said = format!(
            "enrolled gw-7 for acme\nGATEWAY_RELAY_URL={url}\nGATEWAY_RELAY_ID=gw-7\nGATEWAY_RELAY_SECRET=<hidden>\n\
             GATEWAY_RELAY_DELIVERY_KEY=<hidden>\nGATEWAY_RELAY_WAKE_URL=https://wake.example\n{end} {file}\n"
        );
        assert_eq!((ended.code, ended.stdout), (Some(0), said), "{}", ended.stderr);
        assert_eq!(place.text(), expected);
        assert_eq!(fs::metadata(place.file()).unwrap().permissions().mode() & 0o7777, 0o600);
        place.is_tidy();
    }
    let [request, _] = &server.came()[..] else { panic!("two requests") };
    assert_eq!(request.line, "POST /relay/enroll HTTP/1.1");
    assert_eq!(request.header("authorization"), Some("Bearer acc3ss"));
    assert_eq!(request.body, r#"{"enrollmentToken":"0nce","gatewayId":"gw-1"}"#);

    // H-2: what was not given explicitly does not go into the file.
    let bare = Place::new("");
    let mut command = relayline(["enroll", "--env-file"]);
    command
        .arg(bare.file())
        .env("GATEWAY_RELAY_URL", &url)
        .env("GATEWAY_RELAY_WAKE_URL", "https://wake.example");
    command.args(["--token", "0nce", "--access-token-command", "echo acc3ss", "--runtime", runtime]);
    assert_eq!(ended(command).code, Some(0));
    let expected =
        "GATEWAY_RELAY_ID=gw-7\nGATEWAY_RELAY_SECRET=s3cret\nGATEWAY_RELAY_DELIVERY_KEY=d3livery\n";
    assert_eq!(bare.text(), expected);
    assert_eq!(server.came()[0].header("authorization"), Some("Bearer acc3ss"));
}

fn h_1_each_failure_says_why_and_leaves_the_env_file_alone(runtime: &str) {
    let elsewhere = Server::start(|_| answer(200, ISSUED));
    let to = format!("Location: http://localhost:{}/relay/enroll\r\n", elsewhere.address.port());
    let no_object = "no JSON object, check the URL";
    type Case = (Box<dyn Fn() -> Answer + Send>, &'static str);
    let cases: Vec<Case> = vec![
        (
            Box::new(|| answer(401, r#"{"error":"acc3ss"}"#)),
            "the connector could not verify your identity (401): get a fresh access token and try again",
        ),
        (
            Box::new(|| answer(403, r#"{"error":"0nce was used"}"#)),
            "the enrollment token was refused (403): <hidden> was used",
        ),
        (
            Box::new(|| answer(403, "")),
            "the enrollment token was refused (403): invalid, expired, already used, or tenant mismatch",
        ),
        (Box::new(|| answer(500, r#"{"error":"down"}"#)), "HOST answered with status 500: down"),
        (Box::new(|| answer(200, "<html>")), no_object),
        (Box::new(|| answer(200, r#"{"tenant":"acme"}"#)), "it holds no usable secret, check the URL"),
        (Box::new(|| answer(200, vec![b' '; 200 << 10])), "HOST answered with more than 65536 bytes"),
        (
            Box::new(move || answer_with(302, &to, "")),
            "HOST answered with a redirect to localhost (status 302), which is not followed",
        ),
        (Box::new(|| Answer::Raw(Vec::new())), "could not reach HOST: the connection broke ("),
        (
            Box::new(|| Answer::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_vec())),
            "could not reach HOST: the connection broke (",
        ),
        (Box::new(|| Answer::Raw(b"SSH-2.0-x\r\n".to_vec())), "could not reach HOST: the connection broke ("),
    ];
    let place = Place::new(OLD);
    let fails = |url: &str, host: &str, expected: &str| {
        let ended = ended(enroll(runtime, url, &place.file()));
        let expected = expected.replace("HOST", host);
        let said = ended.stderr.lines().last().unwrap_or_default();
        assert!(said.starts_with("relayline: ") && said.contains(&expected), "{expected}: {}", ended.stderr);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{expected}");
        assert_eq!(place.text(), OLD, "{expected}");
        place.is_tidy();
    };
    for (answer, expected) in cases {
        let server = Server::start(move |_| answer());
        fails(&server.url(), &server.address.to_string(), expected);
        // It is asked once, whatever comes.
        assert_eq!(server.came().len(), 1, "{expected}");
    }
    assert_eq!(elsewhere.came().len(), 0, "a redirect is not followed");

    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fails(&format!("http://{gone}"), &gone.to_string(), "could not reach HOST: no connection (");
    let plain = Server::start(|_| answer(400, ""));
    let url = format!("https://{}", plain.address);
    fails(&url, &plain.address.to_string(), "could not reach HOST: TLS failed: ");
    fails(
        "https://no-such-host.invalid",
        "no-such-host.invalid",
        "could not reach HOST: its name cannot be looked up",
    );
}

/// H-1: a connector that never answers is given up after 15 s.
fn h_1_a_connector_that_never_answers(runtime: &str) {
    let server = Server::start(|_| Answer::Hang);
    let place = Place::new(OLD);
    let ended = ended(enroll(runtime, &server.url(), &place.file()));
    let expected = format!("relayline: could not reach {}: no complete answer within 15 s\n", server.address);
    assert!(ended.stderr.ends_with(&expected), "{}", ended.stderr);
    assert_eq!((ended.code, place.text().as_str()), (Some(1), OLD));
    place.is_tidy();
}

/// H-1, H-8, C-6: nothing is asked when it is clear that it would be of no use.
fn h_8_c_6_what_cannot_work_is_not_tried(runtime: &str) {
    let server = Server::start(|_| answer(200, ISSUED));
    let url = server.url();
    let nowhere = tempfile::tempdir().unwrap();
    fs::write(nowhere.path().join("file"), "").unwrap();
    let nowhere = nowhere.path().join("file/.env");
    let place = Place::new(OLD);
    let file = place.file();
    type Change = Box<dyn Fn(&mut Command) -> &mut Command>;
    let cases: Vec<(&str, &Path, Change, i32, &str)> = vec![
        (
            "http://connector.example",
            &file,
            Box::new(|c| c),
            2,
            "http://connector.example/relay is no loopback address",
        ),
        (
            &url,
            &file,
            Box::new(|c| c.env_remove("GATEWAY_RELAY_ENROLL_TOKEN")),
            2,
            "no enrollment token: give --token",
        ),
        (&url, &file, Box::new(|c| c.env_remove("GATEWAY_RELAY_ACCESS_TOKEN")), 2, "no access token: give "),
        (
            &url,
            &file,
            Box::new(|c| c.env_remove("GATEWAY_RELAY_ACCESS_TOKEN").env("GATEWAY_RELAY_IDP_CLIENT_ID", "me")),
            2,
            "GATEWAY_RELAY_IDP_CLIENT_ID is set, but GATEWAY_RELAY_IDP_CLIENT_SECRET is not",
        ),
        (
            &url,
            &file,
            Box::new(|c| c.args(["--access-token-command", "echo acc3ss >&2; exit 3"])),
            1,
            "the access token command: it ended with exit status: 3: run it by hand to see why",
        ),
        (&url, &nowhere, Box::new(|c| c), 1, "cannot "),
    ];
    for (url, path, change, code, expected) in cases {
        let mut command = enroll(runtime, url, path);
        change(&mut command);
        let ended = ended(command);
        let said = ended.stderr.lines().last().unwrap_or_default();
        // ws, since that is what is dialled.
        let expected = expected.replace("http://connector", "ws://connector");
        assert!(said.starts_with(&format!("relayline: {expected}")), "{expected}: {}", ended.stderr);
        assert_eq!((ended.code, place.text().as_str()), (Some(code), OLD), "{expected}");
        place.is_tidy();
    }
    assert_eq!(server.came().len(), 0);
}

/// H-3: a managed install refuses, and says why.
fn h_3_a_managed_install_does_not_enroll(runtime: &str) {
    let server = Server::start(|_| answer(200, ISSUED));
    let place = Place::new(OLD);
    let refuses = |command: Command, by: &str| {
        let ended = ended(command);
        let expected = format!(
            "relayline: this install is managed ({by} says so): its secret comes from the hosting platform, so there \
             is nothing to enroll\n"
        );
        assert_eq!((ended.code, ended.stderr), (Some(1), expected));
        assert_eq!(place.text(), OLD);
    };
    let mut command = enroll(runtime, &server.url(), &place.file());
    command.env("HERMES_MANAGED", "true");
    refuses(command, "HERMES_MANAGED");
    let marker = place.folder.path().join(".managed");
    fs::write(&marker, "").unwrap();
    refuses(enroll(runtime, &server.url(), &place.file()), &marker.display().to_string());
    assert_eq!(server.came().len(), 0);
}

/// H-2: a write that breaks off in the middle leaves the old file. The shell limits how long a file may become: who
/// writes beyond that is killed on the spot by SIGXFSZ, or, when that is ignored, fails as on a full disk.
fn h_2_a_write_that_breaks_off_leaves_the_old_file(runtime: &str) {
    let server = Server::start(|_| answer(200, ISSUED));
    let old = format!("{OLD}# {}\n", "x".repeat(64 << 10));
    for (trap, killed) in [("", true), ("trap '' XFSZ;", false)] {
        let place = Place::new(&old);
        let mut command = Command::new("sh");
        let enroll = enroll(runtime, &server.url(), &place.file());
        command.arg("-c").arg(format!("{trap} ulimit -c 0; ulimit -f 8; exec \"$@\"")).arg("sh");
        command.arg(enroll.get_program()).args(enroll.get_args());
        for (name, value) in enroll.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(place.text(), old);
        if killed {
            assert_eq!(output.status.signal(), Some(25), "{said}");
            // What was begun is there for nobody else to read.
            for entry in fs::read_dir(place.folder.path()).unwrap().map(Result::unwrap) {
                let private = entry.metadata().unwrap().permissions().mode() & 0o77 == 0;
                assert!(private || entry.file_name() == ".env", "{entry:?}");
            }
        } else {
            let expected = "File too large (os error 27); name another file with --env-file; the enrollment token is used \
                            up by now: ask for another one\n";
            assert!(said.ends_with(expected), "{said}");
            assert_eq!(output.status.code(), Some(1));
            place.is_tidy();
        }
    }
}
