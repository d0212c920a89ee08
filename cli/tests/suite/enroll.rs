//! Enrollment over real sockets, and what it does to the env file (H-1, H-2, H-3).

use crate::support::http::{Answer, Server, answer, answer_with};
use crate::support::{Ended, Program, copy_program, is_full, relayline};
use relayline_connector::{Act, ConnectorConfig, EmbeddedConnector, Observation};
use rustix::process::{Pid, Signal};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

on_one_runtime! {
    h_1_h_2_an_enrolment_fills_the_env_file_once h_1_each_failure_has_a_cause_and_keeps_the_env_file,
    h_1_a_connector_that_never_answers h_8_c_6_an_impossible_request_is_not_sent,
    h_8_a_command_prints_a_token_or_is_an_error h_8_a_command_that_hangs_is_ended,
    h_8_a_command_does_not_outlive_the_program h_8_a_login_in_a_file_is_used_unchanged,
    h_8_an_ambient_endpoint_gives_the_token h_3_a_managed_install_does_not_enroll,
    h_2_a_failed_write_keeps_the_old_file h_2_a_planted_env_file_is_refused,
    h_2_an_interrupted_enrolment_leaves_no_file h_2_the_last_line_runs_the_gateway,
}

const OLD: &str = "# mine\nexport OTHER='x y' # keep\nGATEWAY_RELAY_SECRET=\"old\"\nrubbish\n";
const ISSUED: &str = r#"{"secret":"s3cret","deliveryKey":"d3livery","tenant":"acme","gatewayId":"gw-7"}"#;
/// A token in the form of those from an ambient endpoint.
const AMBIENT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl";
/// Secrets that must never be printed: those that were sent, and those that were received.
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

    /// Asserts that the folder contains only the env file.
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

/// Runs the command to its end. Asserts that its output contains no secret (C-4).
#[track_caller]
fn ended(command: Command) -> Ended {
    let ended = Program::start(command).ended();
    for secret in SECRETS {
        assert!(!ended.stdout.contains(secret) && !ended.stderr.contains(secret), "{ended:?}");
    }
    ended
}

fn h_1_h_2_an_enrolment_fills_the_env_file_once(runtime: &str) {
    let server = Server::start(|_| answer(200, ISSUED));
    let place = Place::new(OLD);
    let url = server.url();
    let file = place.file().display().to_string();
    let expected = OLD.replace("\"old\"", "\"s3cret\"");
    let expected = format!(
        "{expected}GATEWAY_RELAY_URL={url}\nGATEWAY_RELAY_ID=gw-7\nGATEWAY_RELAY_DELIVERY_KEY=d3livery\n\
         GATEWAY_RELAY_WAKE_URL=https://wake.example\n"
    );
    let smol = if runtime == "smol" { " --runtime smol" } else { "" };
    for end in ["written to", "nothing to change in"] {
        let mut command = enroll(runtime, &url, &place.file());
        command.args(["--wake-url", "https://wake.example"]);
        let ended = ended(command);
        let said = format!(
            "enrolled gw-7 for acme\nGATEWAY_RELAY_URL={url}\nGATEWAY_RELAY_ID=gw-7\nGATEWAY_RELAY_SECRET=<hidden>\n\
             GATEWAY_RELAY_DELIVERY_KEY=<hidden>\nGATEWAY_RELAY_WAKE_URL=https://wake.example\n{end} {file}\n{}\nrelayline run --env-file {file}{smol}\n",
            "run it, with --platform for your platform and --exec for your agent:"
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

    // H-2: a value that was not given explicitly is not written to the file.
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

fn h_1_each_failure_has_a_cause_and_keeps_the_env_file(runtime: &str) {
    let elsewhere = Server::start(|_| answer(200, ISSUED));
    let to = format!("Location: http://localhost:{}/relay/enroll\r\n", elsewhere.address.port());
    let no_object = "not a JSON object, check the URL";
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
        // The connector gets one request, whatever the answer.
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

/// H-1: the command gives up after 15 s without an answer.
fn h_1_a_connector_that_never_answers(runtime: &str) {
    let server = Server::start(|_| Answer::Hang);
    let place = Place::new(OLD);
    let ended = ended(enroll(runtime, &server.url(), &place.file()));
    let expected = format!("relayline: could not reach {}: no complete answer within 15 s\n", server.address);
    assert!(ended.stderr.ends_with(&expected), "{}", ended.stderr);
    assert_eq!((ended.code, place.text().as_str()), (Some(1), OLD));
    place.is_tidy();
}

fn enroll_with(runtime: &str, url: &str, place: &Place, command_text: &str) -> Command {
    let mut command = enroll(runtime, url, &place.file());
    command.env_remove("GATEWAY_RELAY_ACCESS_TOKEN").args(["--access-token-command", command_text]);
    command
}

fn h_8_a_command_prints_a_token_or_is_an_error(runtime: &str) {
    let server = Server::start(|request| match request.header("authorization") {
        Some("Bearer acc3ss") => answer(200, ISSUED),
        _ => answer(401, ""),
    });
    let place = Place::new(OLD);
    let too_much = "it printed more than 65536 bytes: let it print the token alone";
    for (command, expected) in [
        ("echo acc3ss", None),
        ("echo ' acc3ss'; cat", None),
        (
            "echo hunter2 >&2; echo hunter2; exit 3",
            Some("it ended with exit status: 3: run it by hand to see why"),
        ),
        ("no-such-program-at-all", Some("it ended with exit status: 127: run it by hand to see why")),
        ("true", Some("the access token is empty")),
        ("yes | head -c 70000", Some(too_much)),
        ("yes", Some(too_much)),
    ] {
        let ended = ended(enroll_with(runtime, &server.url(), &place, command));
        assert!(!ended.stderr.contains("hunter2"), "C-4: {}", ended.stderr);
        match expected {
            None => assert_eq!(ended.code, Some(0), "{command}: {}", ended.stderr),
            Some(why) => {
                let line = format!("relayline: the access token command: {why}\n");
                assert!(ended.stderr.ends_with(&line), "{command}: {}", ended.stderr);
                assert_eq!(ended.code, Some(1), "{command}");
            }
        }
    }
}

/// Returns a command that writes its process id and that of a child, and then hangs.
fn hanging(pids: &Path) -> String {
    format!("sleep 1000 & echo $! $$ > {0}.new; mv {0}.new {0}; wait", pids.display())
}

/// Waits until the processes of [`hanging`] are gone.
#[track_caller]
fn have_gone(pids: &Path) {
    let until = Instant::now() + crate::support::SOON;
    for pid in fs::read_to_string(pids).unwrap().split_whitespace() {
        while fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(Instant::now() < until, "{pid} lives on");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn h_8_a_command_that_hangs_is_ended(runtime: &str) {
    if !is_full() {
        eprintln!("skipped: this waits for 30 s; RELAYLINE_FULL=1 runs it");
        return;
    }
    let (place, folder) = (Place::new(OLD), tempfile::tempdir().unwrap());
    let pids = folder.path().join("pids");
    let output = enroll_with(runtime, "http://127.0.0.1:9", &place, &hanging(&pids)).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let expected =
        "relayline: the access token command: it did not end within 30 s: run it by hand to see why\n";
    assert!(stderr.ends_with(expected), "{stderr}");
    have_gone(&pids);
}

/// This holds however the program ends.
fn h_8_a_command_does_not_outlive_the_program(runtime: &str) {
    for signal in ["-TERM", "-INT", "-KILL"] {
        let (place, folder) = (Place::new(OLD), tempfile::tempdir().unwrap());
        let pids = folder.path().join("pids");
        let program = Program::start(enroll_with(runtime, "http://127.0.0.1:9", &place, &hanging(&pids)));
        let until = Instant::now() + crate::support::SOON;
        while !pids.exists() {
            assert!(Instant::now() < until, "it was not run");
            std::thread::sleep(Duration::from_millis(10));
        }
        let id = program.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        have_gone(&pids);
        program.ended();
    }
}

/// H-8: the login of the public agent, from its file.
fn h_8_a_login_in_a_file_is_used_unchanged(runtime: &str) {
    let server = Server::start(|request| match request.header("authorization") {
        Some("Bearer acc3ss") => answer(200, ISSUED),
        _ => answer(401, ""),
    });
    let (place, home) = (Place::new(OLD), tempfile::tempdir().unwrap());
    let login = home.path().join(".hermes/auth.json");
    fs::create_dir(home.path().join(".hermes")).unwrap();
    let enroll = |expires_at: &str| {
        let text =
            format!(r#"{{"providers":{{"nous":{{"access_token":"acc3ss","expires_at":"{expires_at}"}}}}}}"#);
        fs::write(&login, &text).unwrap();
        let mut command = enroll(runtime, &server.url(), &place.file());
        command.env_remove("GATEWAY_RELAY_ACCESS_TOKEN").env("HOME", home.path());
        command.args(["--access-token-file", "~/.hermes/auth.json#providers.nous.access_token"]);
        let ended = ended(command);
        assert_eq!(fs::read_to_string(&login).unwrap(), text, "nothing is refreshed or written");
        ended
    };
    let stale = enroll("2026-01-02T03:04:05+00:00");
    let expected = "relayline: the access token in ~/.hermes/auth.json expired at 2026-01-02T03:04:05+00:00: log in \
                    again\n";
    assert!(stale.stderr.ends_with(expected), "{}", stale.stderr);
    assert_eq!((stale.code, place.text().as_str(), server.came().len()), (Some(1), OLD, 0));
    let fresh = enroll("2999-01-02T03:04:05+00:00");
    assert_eq!((fresh.code, server.came().len()), (Some(0), 1), "{}", fresh.stderr);
}

/// H-8: with a URL alone, the request is a plain GET, and no redirect is followed.
fn h_8_an_ambient_endpoint_gives_the_token(runtime: &str) {
    let server = Server::start(|request| match (request.line.as_str(), request.header("authorization")) {
        ("GET /token HTTP/1.1", None) => answer(200, format!("{AMBIENT}\n")),
        ("GET /moved HTTP/1.1", None) => answer_with(302, "Location: /token\r\n", ""),
        ("GET /page HTTP/1.1", None) => answer(200, "<html>"),
        ("POST /relay/enroll HTTP/1.1", Some(given)) if given == format!("Bearer {AMBIENT}") => {
            answer(200, ISSUED)
        }
        _ => answer(400, ""),
    });
    let place = Place::new(OLD);
    for (path, code, expected) in [
        (
            "/moved",
            1,
            "answered with a redirect (status 302), which is not followed: check GATEWAY_RELAY_IDP_TOKEN_URL",
        ),
        (
            "/page",
            1,
            "set GATEWAY_RELAY_IDP_CLIENT_ID and GATEWAY_RELAY_IDP_CLIENT_SECRET if it takes client credentials",
        ),
        ("/token", 0, ""),
    ] {
        let mut command = enroll(runtime, &server.url(), &place.file());
        command.env_remove("GATEWAY_RELAY_ACCESS_TOKEN");
        command.env("GATEWAY_RELAY_IDP_TOKEN_URL", format!("{}{path}", server.url()));
        let ended = ended(command);
        assert!(!ended.stderr.contains(AMBIENT), "C-4: {}", ended.stderr);
        let last = ended.stderr.lines().last().unwrap_or_default();
        assert_eq!(ended.code, Some(code), "{path}: {}", ended.stderr);
        assert!(last.ends_with(expected), "{path}: {last}");
    }
}

/// H-1, H-8, C-6: a request that cannot succeed is not sent.
fn h_8_c_6_an_impossible_request_is_not_sent(runtime: &str) {
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
            "http://connector.example/relay is not a loopback address",
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
        // ws, since that is what is dialed.
        let expected = expected.replace("http://connector", "ws://connector");
        assert!(said.starts_with(&format!("relayline: {expected}")), "{expected}: {}", ended.stderr);
        assert_eq!((ended.code, place.text().as_str()), (Some(code), OLD), "{expected}");
        place.is_tidy();
    }
    assert_eq!(server.came().len(), 0);
}

/// H-3: a managed install refuses to enrol, with the reason.
fn h_3_a_managed_install_does_not_enroll(runtime: &str) {
    let server = Server::start(|_| answer(200, ISSUED));
    let place = Place::new(OLD);
    let refuses = |command: Command, by: &str| {
        let ended = ended(command);
        let expected = format!(
            "relayline: this install is managed ({by} says so): its secret comes from the hosting platform, and it \
             cannot be enrolled\n"
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

/// H-2: a file that cannot be written is detected before the token is used, and the old file stays. A file size limit
/// of the shell, which ends other programs by a signal, is an error like a full disk.
fn h_2_a_failed_write_keeps_the_old_file(runtime: &str) {
    let server = Server::start(|_| answer(200, ISSUED));
    let old = format!("{OLD}# {}\n", "x".repeat(64 << 10));
    for limit in ["ulimit -f 8", "ulimit -f 0", "trap '' XFSZ; ulimit -f 0"] {
        let place = Place::new(&old);
        let output = through_a_shell(limit, &enroll(runtime, &server.url(), &place.file()));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.ends_with("File too large (os error 27); name another file with --env-file\n"),
            "{limit}: {said}"
        );
        assert_eq!(output.status.code(), Some(1), "{limit}: {said}");
        assert_eq!(place.text(), old);
        place.is_tidy();
    }
    assert_eq!(server.came().len(), 0);
}

/// Runs a command in a shell, after these words.
fn through_a_shell(words: &str, what: &Command) -> Output {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit -c 0; {words}; exec \"$@\"")).arg("sh");
    command.arg(what.get_program()).args(what.get_args());
    for (name, value) in what.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.output().unwrap()
}

/// Returns true if this test can give files to other users. Otherwise prints that it is skipped.
fn is_root(test: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("{test}: only root can give files away, so that this is not tested");
    }
    is_root
}

const NOBODY: u32 = 65534;

/// H-2: an env file that another user could read or replace is refused before any request. The error names the owner
/// and the reason. `--force` overrides this.
fn h_2_a_planted_env_file_is_refused(runtime: &str) {
    let server = Server::start(|_| answer(200, ISSUED));
    let refuses = |place: &Place, file: &Path, expected: &str| {
        let before = fs::read_to_string(file).ok();
        let ended = ended(enroll(runtime, &server.url(), file));
        let said = ended.stderr.lines().last().unwrap_or_default();
        let expected = format!("relayline: {}{expected}", place.folder.path().display());
        assert!(
            said.starts_with(&expected) && said.ends_with(", or give --force"),
            "{expected}: {}",
            ended.stderr
        );
        assert_eq!((ended.code, fs::read_to_string(file).ok()), (Some(1), before), "{expected}");
        assert_eq!(server.came().len(), 0, "{expected}");
    };
    let forced = |file: &Path| {
        let mut command = enroll(runtime, &server.url(), file);
        command.arg("--force");
        let ended = ended(command);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(fs::read_to_string(file).unwrap().contains("GATEWAY_RELAY_SECRET=s3cret\n"));
        assert_eq!(server.came().len(), 1);
    };
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();

    // A link to a file that others can read: its mode is not ours to change.
    let place = Place::new("");
    let [target, link] = ["target", "link"].map(|name| place.folder.path().join(name));
    fs::write(&target, "OTHER=1\n").unwrap();
    mode(&target, 0o644);
    symlink(&target, &link).unwrap();
    refuses(&place, &link, "/link is a symbolic link of ");
    forced(&link);
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o7777, 0o644);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());

    let place = Place::new("");
    mode(place.folder.path(), 0o777);
    refuses(&place, &place.file(), " belongs to ");
    forced(&place.file());

    if !is_root("h_2_a_planted_env_file_is_refused") {
        return;
    }
    let place = Place::new("A=1\n");
    chown(place.file(), Some(NOBODY), None).unwrap();
    refuses(&place, &place.file(), "/.env belongs to nobody (uid 65534), who would get the secret: ");
    forced(&place.file());
    assert_eq!(fs::metadata(place.file()).unwrap().uid(), NOBODY, "who forces it gives it to them");

    let place = Place::new("");
    let inner = place.folder.path().join("a/b");
    fs::create_dir_all(&inner).unwrap();
    chown(place.folder.path().join("a"), Some(NOBODY), None).unwrap();
    refuses(&place, &inner.join(".env"), "/a belongs to nobody (uid 65534), who can replace what is in it: ");
    chown(place.folder.path().join("a"), Some(0), Some(NOBODY)).unwrap();
    mode(&place.folder.path().join("a"), 0o775);
    refuses(&place, &inner.join(".env"), "/a belongs to root (uid 0) and is writable by the group ");
    forced(&inner.join(".env"));
    // A folder that our own group can write to is accepted. So is a sticky one, where nobody else can replace our
    // files.
    chown(place.folder.path().join("a"), Some(0), Some(0)).unwrap();
    assert_eq!(ended(enroll(runtime, &server.url(), &inner.join(".env"))).code, Some(0));
    mode(&place.folder.path().join("a"), 0o1777);
    assert_eq!(ended(enroll(runtime, &server.url(), &inner.join(".env"))).code, Some(0));
    // Another user could redirect a link of theirs on the way.
    let way = place.folder.path().join("a/way");
    symlink(&inner, &way).unwrap();
    lchown(&way, Some(NOBODY), None).unwrap();
    server.came();
    refuses(
        &place,
        &way.join(".env"),
        "/a/way is a symbolic link of nobody (uid 65534), who can make it lead ",
    );
}

/// H-2: for a user other than root, whose files are not root's.
#[test]
fn h_2_a_user_enrolls_into_their_own_files() {
    if !is_root("h_2_a_user_enrolls_into_their_own_files") {
        return;
    }
    let server = Server::start(|_| answer(200, ISSUED));
    // The program must be in a place that this user can reach.
    let place = Place::new("");
    let program = copy_program(place.folder.path());
    fs::set_permissions(place.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let home = place.folder.path().join("home");
    fs::create_dir(&home).unwrap();
    chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
    let run = |file: &Path| {
        let enroll = enroll("tokio", &server.url(), file);
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(&program)
            .args(enroll.get_args());
        for (name, value) in enroll.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        ended(command)
    };
    for mode in [0o700, 0o770, 0o1777] {
        fs::set_permissions(&home, fs::Permissions::from_mode(mode)).unwrap();
        let ended = run(&home.join(".env"));
        assert_eq!(ended.code, Some(0), "{mode:o}: {}", ended.stderr);
    }
    assert_eq!(fs::metadata(home.join(".env")).unwrap().uid(), NOBODY);
    server.came();
    // Root's file is not theirs, and they cannot write to root's folder.
    for file in [place.file(), place.folder.path().join("new")] {
        let ended = run(&file);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    }
    assert_eq!(server.came().len(), 0);
}

/// H-2: a signal at any moment of the write, or during the request, leaves no other file.
fn h_2_an_interrupted_enrolment_leaves_no_file(runtime: &str) {
    let large = format!("# {}\n", "x".repeat(8 << 20));
    let server = Server::start(|_| answer(200, ISSUED));
    let (mut ended_by_signal, mut at) = (0, Duration::ZERO);
    for round in 0..20 {
        let place = Place::new(&large);
        let signal = if round % 2 == 0 { Signal::TERM } else { Signal::INT };
        let mut child = enroll(runtime, &server.url(), &place.file())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The signal comes after the second file appears, a little later each time.
        let begun = || fs::read_dir(place.folder.path()).unwrap().count() > 1;
        while !begun() && child.try_wait().unwrap().is_none() {}
        let until = Instant::now() + at;
        while Instant::now() < until {}
        at += Duration::from_micros(700);
        let _ = rustix::process::kill_process(Pid::from_child(&child), signal);
        let status = child.wait().unwrap();
        ended_by_signal += usize::from(status.signal() == Some(signal.as_raw()));
        place.is_tidy();
    }
    assert!(ended_by_signal > 5, "{ended_by_signal} of 20 were interrupted");

    let server = Server::start(|_| Answer::Hang);
    let place = Place::new(OLD);
    let mut child = enroll(runtime, &server.url(), &place.file()).stderr(Stdio::null()).spawn().unwrap();
    server.seen.recv_timeout(crate::support::SOON).unwrap();
    place.is_tidy();
    // Not SIGINT, which is ignored if the tests run in the background of a script.
    rustix::process::kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::TERM.as_raw()));
    assert_eq!(place.text(), OLD);
    place.is_tidy();
}

/// H-2: the URL is written without its slash, and the last line of the output is a command that runs the gateway.
fn h_2_the_last_line_runs_the_gateway(runtime: &str) {
    let config = ConnectorConfig::default().enroll_token("0nce", "acme").identity("acc3ss", "acme");
    let connector = EmbeddedConnector::start(config, "127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my gateway.env");
    let url = connector.url().replace("ws://", "http://");
    let ended = ended(enroll(runtime, &format!("{url}/"), &file));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let line = ended.stdout.lines().last().unwrap().to_owned();
    let smol = if runtime == "smol" { " --runtime smol" } else { "" };
    assert_eq!(line, format!("relayline run --env-file '{}'{smol}", file.display()));
    assert!(ended.stdout.contains(&format!("GATEWAY_RELAY_URL={url}\n")), "{}", ended.stdout);
    assert!(fs::read_to_string(&file).unwrap().contains(&format!("GATEWAY_RELAY_URL={url}\n")));

    // The command runs unchanged, in a shell without any of the gateway's variables.
    let mut command = Command::new("sh");
    let programs = Path::new(env!("CARGO_BIN_EXE_relayline")).parent().unwrap().display();
    command.args(["-c", &format!("exec {line} --platform discord --exec cat")]).env_clear();
    command.env("PATH", format!("{programs}:/usr/bin:/bin"));
    let mut run = Program::start(command);
    let dial =
        connector.wait_for(|saw| matches!(saw, Observation::Dial { .. }), crate::support::SOON).unwrap();
    let Observation::Dial { authenticated, .. } = dial else { panic!("a dial") };
    assert!(authenticated);
    let hello =
        |saw: &Observation| matches!(saw, Observation::Frame { frame, .. } if frame["type"] == "hello");
    connector.wait_for(hello, crate::support::SOON).unwrap();
    connector.control(Act::Revoke { on: true }).unwrap();
    assert_eq!(run.wait(), Some(3), "{}", run.log());
}
