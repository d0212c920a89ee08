//! `relayline token` and `relayline verify`, with frozen vectors and with independent implementations.

use crate::support::{Program, relayline};
use std::fs;
use std::process::{Command, Output, Stdio};

const AT: &str = "1782554400";
const BODY: &str = "{\"text\":\"h\u{e9}llo \u{1f680}\",\"n\":1}";
/// Signature of this body at this time, with the key `dk`, from the vectors.
const SIGNATURE: &str = "ce724c79e00ca62bc5c8c986586e2a04f008de8a0d2a8e1a6d00ec00206a6683";
/// Token of `gw-acme:eu-1` at this time, from the vectors.
const TOKEN: &str = "Z3ctYWNtZTpldS0xOjE3ODI1NTQ3MDA6N2U2ODUxMGZhNTMyMGQ3ZmQxZGZlYmRjMzNmMWJjYWRhZTNhOTVjODgwNGU3OTg5M2I0OGU4M2NlNGRmNWFkOA";
const SECRET: (&str, &str) = ("GATEWAY_RELAY_SECRET", "s3cr3t-f\u{fc}r-relay");
const KEY: (&str, &str) = ("GATEWAY_RELAY_DELIVERY_KEY", "dk");

/// Runs the program with this stdin. Returns exit code, stdout and stderr.
fn run(arguments: &[&str], environment: &[(&str, &str)], stdin: &str) -> (Option<i32>, String, String) {
    let mut command = relayline(arguments);
    command.envs(environment.iter().copied());
    let mut program = Program::start(command);
    // A program that does not read stdin may have ended.
    program.offer(stdin.as_bytes());
    program.close_stdin();
    let ended = program.ended();
    (ended.code, ended.stdout, ended.stderr)
}

fn and<'a>(arguments: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [arguments, more].concat()
}

fn said(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{text}\n") }
}

#[test]
fn c_1_a_minted_token_is_alone_on_stdout() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    // As some editors write it.
    write_secret(&file, &format!("\u{feff}{}\n", SECRET.1));
    let file = file.to_str().unwrap();
    let id = ["--gateway-id", "gw-acme:eu-1", "--at", AT];
    let no_id = "relayline: no gateway id: give --gateway-id or set GATEWAY_RELAY_ID";
    let no_secret =
        "relayline: no secret: set GATEWAY_RELAY_SECRET, or give --secret-file with a file that is not empty";
    let in_environment = ("GATEWAY_RELAY_ID", "gw-acme:eu-1");
    for (arguments, environment, code, stdout, stderr) in [
        (&id[..], &[SECRET][..], 0, TOKEN, ""),
        (&[&id[..], &["--secret-file", file]].concat(), &[("GATEWAY_RELAY_SECRET", "other")], 0, TOKEN, ""),
        (&["--at", AT], &[SECRET, in_environment], 0, TOKEN, ""),
        (&[&id[..2], &["--ttl", "1000", "--at", "1782553700"]].concat(), &[SECRET], 0, TOKEN, ""),
        (&[], &[SECRET], 2, "", no_id),
        (&id, &[("GATEWAY_RELAY_SECRET", " ")], 2, "", no_secret),
    ] {
        let arguments = [&["token"], arguments].concat();
        let expected = (Some(code), said(stdout), said(stderr));
        assert_eq!(run(&arguments, environment, ""), expected, "{arguments:?}");
    }
}

#[test]
fn c_2_c_3_a_verdict_is_one_line_and_an_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("body"), BODY).unwrap();
    write_secret(path("old"), "dk\n");
    write_secret(path("new"), "new\n");
    let (body, old, new) = (path("body"), path("old"), path("new"));
    let token = ["--at", AT];
    let delivery = ["--at", AT, "--timestamp", AT, "--signature", SIGNATURE];
    let bytes = "valid: a delivery of 28 bytes";
    let stale = "relayline: not valid: signed more than 300 s ago or ahead: check the clocks of both sides";
    let wrong = "relayline: not valid: the signature is of another key, body or timestamp";
    let foreign = "relayline: not valid: it is not a token, or another secret signed it";
    let line = format!("  {TOKEN}\n");
    for (arguments, environment, stdin, code, stdout, stderr) in [
        (token.to_vec(), &[SECRET][..], line.as_str(), 0, "valid: a token of gateway \"gw-acme:eu-1\"", ""),
        (token.to_vec(), &[("GATEWAY_RELAY_SECRET", "other")], &line, 1, "", foreign),
        (token.to_vec(), &[SECRET], "", 1, "", foreign),
        (
            vec!["--at", "1782554701"],
            &[SECRET],
            &line,
            1,
            "",
            "relayline: not valid: the token has expired: mint a new one, and check the clocks of both sides",
        ),
        (
            token.to_vec(),
            &[],
            &line,
            2,
            "",
            "relayline: no secret to check with: set GATEWAY_RELAY_SECRET, or give --secret-file with a file that \
             is not empty",
        ),
        (delivery.to_vec(), &[KEY], BODY, 0, bytes, ""),
        (delivery.to_vec(), &[("GATEWAY_RELAY_DELIVERY_KEY", "new, dk")], BODY, 0, bytes, ""),
        (and(&delivery, &["--body", &body]), &[KEY], "", 0, bytes, ""),
        (and(&delivery, &["--secret-file", &new, "--secret-file", &old]), &[], BODY, 0, bytes, ""),
        (and(&delivery, &["--secret-file", &new]), &[KEY], BODY, 1, "", wrong),
        (delivery.to_vec(), &[KEY], "{}", 1, "", wrong),
        (delivery[2..].to_vec(), &[KEY], BODY, 1, "", stale),
    ] {
        let arguments = [&["verify"], &arguments[..]].concat();
        let expected = (Some(code), said(stdout), said(stderr));
        assert_eq!(run(&arguments, environment, stdin), expected, "{arguments:?}");
    }
}

/// Returns an HMAC-SHA256 of another implementation, in hex; `None` if it is not installed.
fn theirs(program: &str, key: &str, message: &[u8]) -> Option<String> {
    let mut command = Command::new(program);
    match program {
        "openssl" => command.args(["dgst", "-sha256", "-hmac", key]),
        _ => command.args([
            "-c",
            "import hmac, sys; print(hmac.new(sys.argv[1].encode(), sys.stdin.buffer.read(), 'sha256').hexdigest())",
            key,
        ]),
    };
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().ok()?;
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, message).ok()?;
    drop(stdin);
    let Output { status, stdout, .. } = child.wait_with_output().unwrap();
    let text = String::from_utf8(stdout).unwrap();
    let hex = text.split_whitespace().last().filter(|hex| hex.len() == 64);
    hex.filter(|_| status.success()).map(str::to_owned)
}

#[test]
fn c_1_c_3_others_compute_the_same() {
    for program in ["openssl", "python3"] {
        if theirs(program, "key", b"").is_none() {
            eprintln!("skipped: {program} is not installed, or computes no HMAC");
            continue;
        }
        let theirs = |key: &str, message: &str| theirs(program, key, message.as_bytes()).unwrap();
        for (id, secret) in [("gw-1", "secret"), ("gw:\u{fc} 1", "p\u{e4}ss \u{1f511}")] {
            let arguments = ["token", "--gateway-id", id, "--at", AT, "--ttl", "60"];
            let (code, token, _) = run(&arguments, &[("GATEWAY_RELAY_SECRET", secret)], "");
            assert_eq!(code, Some(0));
            let token = data_encoding::BASE64URL_NOPAD.decode(token.trim_end().as_bytes()).unwrap();
            let payload = format!("{id}:1782554460");
            assert_eq!(String::from_utf8(token).unwrap(), format!("{payload}:{}", theirs(secret, &payload)));
        }
        for body in ["", "{}", BODY, "a\0b\r\n"] {
            let signature = theirs("dk", &format!("{AT}.{body}"));
            let arguments = ["verify", "--at", AT, "--timestamp", AT, "--signature", &signature];
            let (code, _, stderr) = run(&arguments, &[KEY], body);
            assert_eq!((code, stderr.as_str()), (Some(0), ""), "{program}: {body:?}");
        }
    }
}

/// Writes a file that only its owner can read. Otherwise the program would warn (C-4).
fn write_secret(path: impl AsRef<std::path::Path>, text: &str) {
    fs::write(&path, text).unwrap();
    #[cfg(unix)]
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}
