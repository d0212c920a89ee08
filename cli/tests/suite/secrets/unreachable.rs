//! `run` with connectors that refuse it: the messages about each dial.

use super::armed::{FORMATS, armed, echoing, generous, keyed, refused, server, swept, without};
use crate::support::http::{Server, answer};

on_both_runtimes! {
    c_4_a_dial_that_fails_prints_no_secret
}

fn c_4_a_dial_that_fails_prints_no_secret(runtime: &str) {
    let (refusing, moved, issuing) = (server(echoing(401)), server(echoing(307)), server(generous));
    let garbled = Server::start(|_| answer(101, ""));
    let unknown: &[&str] = &["SECRET", "ACCESS_TOKEN_COMMAND"];
    for (url, left_out, says, logged) in [
        (refusing.url(), &[][..], "401 Unauthorized", ""),
        (moved.url(), &[], "307", ""),
        (garbled.url(), &[], "the upgrade failed", ""),
        (format!("ws://{}", refused()), &[], "no connection", ""),
        (format!("wss://{}", refusing.address), &[], "TLS failed", ""),
        ("wss://c.example".to_owned(), &[], "(HTTPS_PROXY)", ""),
        // The steps before the dial, refused and accepted.
        (refusing.url(), unknown, "401 Unauthorized", "boot_failed"),
        (issuing.url(), unknown, "401 Unauthorized", "provisioned"),
    ] {
        for format in FORMATS {
            let mut command =
                armed(&["run", "--runtime", runtime, "--platform", "slack", "--url", &keyed(&url)], format);
            command.args(["--policy", r#"{"allowOtherBots":true}"#, "--set", "backoff_first=10s"]);
            without(&mut command, left_out);
            let ended = swept(command, "\"disconnected\"");
            assert_eq!(ended.code, Some(0), "{url}: {ended:?}");
            assert!(ended.stdout.contains(says) && ended.stderr.contains(logged), "{url}: {ended:?}");
            assert!(ended.stderr.contains("dial "), "the trace is in it: {}", ended.stderr);
        }
    }
}
