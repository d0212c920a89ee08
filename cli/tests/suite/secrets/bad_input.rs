//! Errors in the settings: each names the setting, and quotes nothing that may be a secret.

use super::armed::{armed, swept, without};
use super::known::{ACCESS, CLIENT_SECRET, DELIVERY_KEY, ENROLLMENT, PROXY_PASSWORD, SECRET, TOML_SECRET};

#[test]
fn c_4_c_6_errors_of_settings_quote_no_secret() {
    let spaced = format!("{ACCESS} twice");
    let proxy = |host: &str| format!("http://me:{PROXY_PASSWORD}@{host}");
    let (no_host, ftp, socks) =
        (proxy(""), format!("ftp://me:{PROXY_PASSWORD}@x"), format!("socks5://me:{PROXY_PASSWORD}@x"));
    let idp = format!("https://me:{CLIENT_SECRET}@idp.example");
    let url = format!("wss://me:{SECRET}@c.example");
    for (left_out, name, value, says) in [
        (&[][..], "GATEWAY_RELAY_URL", url.as_str(), "user-info"),
        (&[], "GATEWAY_RELAY_URL", "ws://c.example", "--allow-insecure"),
        (&["ID"], "GATEWAY_RELAY_URL", "wss://c.example", "there is no id for it"),
        (&["SECRET"], "GATEWAY_RELAY_ACCESS_TOKEN", &spaced, "no header carries"),
        (
            &["SECRET", "ACCESS_TOKEN", "ACCESS_TOKEN_COMMAND"],
            "GATEWAY_RELAY_IDP_TOKEN_URL",
            &idp,
            "must be an https URL",
        ),
        (
            &["SECRET", "ACCESS_TOKEN", "ACCESS_TOKEN_COMMAND"],
            "GATEWAY_RELAY_IDP_TOKEN_URL",
            "http://idp.example",
            "neither https nor on this machine",
        ),
        (&[], "https_proxy", &no_host, "https_proxy: it is no"),
        (&[], "https_proxy", &ftp, "https_proxy: it is no"),
        (&[], "https_proxy", &socks, "SOCKS"),
    ] {
        for words in [["run"], ["provision"], ["policy"], ["doctor"]] {
            let mut command = armed(&words, "json");
            command.env("GATEWAY_RELAY_URL", "wss://c.example");
            without(&mut command, left_out);
            command.env(name, value);
            let ended = swept(command, "");
            assert_eq!(ended.code, Some(2), "{words:?} {name}: {ended:?}");
            let said = ended.stdout + &ended.stderr;
            assert!(said.contains(says), "{words:?} {name}: {said}");
        }
    }
}

/// Each line contains a secret and an error.
#[test]
fn c_4_errors_of_a_configuration_file_quote_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("relayline.toml");
    for text in [
        format!("secret = {TOML_SECRET}"),
        format!("secret = '{TOML_SECRET}"),
        format!("secret = '{TOML_SECRET}' more"),
        format!("secret = ['{TOML_SECRET}']"),
        format!("secret = {{ is = '{TOML_SECRET}' }}"),
        format!("secrets = '{TOML_SECRET}'"),
        format!("delivery-key = ['{DELIVERY_KEY}', 1]"),
        format!("delivery-key = ['{DELIVERY_KEY},{DELIVERY_KEY}']"),
        format!("[idp]\nclient-secret = '{CLIENT_SECRET}'\nclient_secret = '{CLIENT_SECRET}'"),
        format!("[set]\nhandshake_timeout = ['{SECRET}']"),
        format!("secret = '{TOML_SECRET}'\nsecret = '{TOML_SECRET}'"),
    ] {
        std::fs::write(&file, &text).unwrap();
        let mut command = armed(&["run", "--url", "wss://c.example"], "text");
        command.arg("--config").arg(&file);
        let ended = swept(command, "");
        assert_eq!(ended.code, Some(2), "{text}: {ended:?}");
        assert!(ended.stderr.contains("relayline.toml:"), "{text}: {ended:?}");
    }
}

/// No command takes a positional argument: it may be a secret whose flag is missing.
#[test]
fn c_4_a_wrong_argument_is_not_repeated() {
    let url = format!("wss://me:{SECRET}@c.example");
    for words in [
        &["enroll", SECRET][..],
        &["enroll", "--token", ENROLLMENT, ACCESS],
        &["run", "--url", "wss://c.example", SECRET],
        &["provision", SECRET],
        &["token", SECRET],
        &["verify", SECRET],
        &["connector", SECRET],
        &["record", "--out", "x.jsonl", "--upstream", &url],
        &["record", "--out", "x.jsonl", "--upstream", "wss://c.example", SECRET],
    ] {
        let command = armed(words, "text");
        let ended = swept(command, "");
        assert_eq!(ended.code, Some(2), "{words:?}: {ended:?}");
    }
}
