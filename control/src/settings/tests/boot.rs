//! Resolution of the boot's plan, if there is one.

use super::*;
use crate::http::access_token::TokenSource;

/// H-9: an explicit "disabled" overrides every URL, in whatever source. Among several such settings the nearest source
/// counts.
#[test]
fn h_9_disabled_overrides_every_url() {
    let url = given(&table::URL, "wss://c.example");
    let (off, on) = (("GATEWAY_RELAY_ENABLED", "off"), ("GATEWAY_RELAY_ENABLED", "True"));
    let flag = |on: bool| url.clone().with(&table::ENABLED, on.to_string().as_str());
    let file = Some("enabled = false");
    for (arguments, environment, text, by) in [
        (url.clone(), &[][..], file, Some("f.toml:1: enabled")),
        (url.clone(), &[URL, off], None, Some("GATEWAY_RELAY_ENABLED")),
        (flag(false), &[on], None, Some("--enabled")),
        (flag(true), &[off], file, None),
        (url.clone(), &[on], file, None),
        (Arguments::default(), &[off], None, Some("GATEWAY_RELAY_ENABLED")),
        // Neither a token to provision with nor a managed install changes this.
        (
            url.clone(),
            &[("GATEWAY_RELAY_ACCESS_TOKEN", "t"), ("HERMES_MANAGED", "1")],
            file,
            Some("f.toml:1: enabled"),
        ),
    ] {
        match (with_file(&arguments, environment, text.unwrap_or_default()), by) {
            (Ok(_), None) => {}
            (Err(ConfigError::Disabled(from)), Some(by)) => assert_eq!(from.to_string(), by),
            (other, by) => panic!("{by:?}: {other:?}"),
        }
    }
    fails(
        &url,
        &[("GATEWAY_RELAY_ENABLED", "maybe")],
        "GATEWAY_RELAY_ENABLED: \"maybe\" is not one of true, false, on, off",
    );
}

/// If provisioning is possible, an id needs no secret. Checks when it is possible.
#[test]
fn h_4_an_id_alone_is_enough_where_a_secret_is_provisioned() {
    let id = ("GATEWAY_RELAY_ID", "gw-1");
    let secret = ("GATEWAY_RELAY_SECRET", "s");
    let token = ("GATEWAY_RELAY_ACCESS_TOKEN", "t");
    let managed = |value| ("HERMES_MANAGED", value);
    let when = |when| Arguments { hostname: Some("box".into()), ..given(&table::PROVISION, when) };
    let auto = || when("auto");
    for (arguments, environment, expected) in [
        (auto(), &[URL, id, token][..], Ok(Some("gw-1"))),
        (auto(), &[URL, token], Ok(Some("gw-box"))),
        (Arguments { hostname: None, ..auto() }, &[URL, token], Ok(Some("gw-hermes"))),
        (auto(), &[URL, id, managed("nixos")], Ok(Some("gw-1"))),
        (auto(), &[URL, id, managed("0")], Err("GATEWAY_RELAY_ID is set, but there is no secret for it")),
        (auto(), &[URL, managed(" off ")], Ok(None)),
        (Arguments { managed: true, ..auto() }, &[URL, id], Ok(Some("gw-1"))),
        (when("always"), &[URL, id], Ok(Some("gw-1"))),
        (when("never"), &[URL, id, token], Err("GATEWAY_RELAY_ID is set, but there is no secret for it")),
        (when("never"), &[URL, token], Ok(None)),
        // Configured credentials are respected: there is nothing to provision.
        (when("always"), &[URL, id, secret, token], Ok(None)),
        // A secret without an id is still a mistake.
        (auto(), &[URL, secret, token], Err("GATEWAY_RELAY_SECRET is set, but there is no id for it")),
        // C-6: an access token is not sent unencrypted either.
        (
            auto(),
            &[("GATEWAY_RELAY_URL", "ws://c.example"), token],
            Err("ws://c.example/relay is not a loopback address"),
        ),
    ] {
        let seen = run(&arguments, environment)
            .map(|resolved| resolved.plan.map(|plan| plan.profile.gateway_id))
            .map_err(|error| error.to_string());
        match (seen, expected) {
            (Err(error), Err(start)) => assert!(error.starts_with(start), "{environment:?}: {error}"),
            (seen, expected) => {
                let expected = expected.map(|id| id.map(str::to_owned)).map_err(str::to_owned);
                assert_eq!(seen, expected, "{environment:?}");
            }
        }
    }
}

/// H-8: in one source a token overrides the other ways, but a nearer source overrides all of them.
#[test]
fn h_8_the_nearer_source_of_access_tokens_counts() {
    let token = ("GATEWAY_RELAY_ACCESS_TOKEN", "t");
    let command = ("GATEWAY_RELAY_ACCESS_TOKEN_COMMAND", "print-token");
    let file = ("GATEWAY_RELAY_ACCESS_TOKEN_FILE", "token.json#access_token");
    let client = [
        ("GATEWAY_RELAY_IDP_TOKEN_URL", "https://login.example"),
        ("GATEWAY_RELAY_IDP_CLIENT_ID", "me"),
        ("GATEWAY_RELAY_IDP_CLIENT_SECRET", "pw"),
    ];
    let argument = given(&table::ACCESS_TOKEN_COMMAND, "c");
    let none = Arguments::default();
    for (arguments, environment, text, expected) in [
        (&none, [&[token, command][..], &client].concat(), "", "given"),
        (&none, [&[command][..], &client].concat(), "", "print-token"),
        (&none, client.to_vec(), "", "client"),
        (&none, client.to_vec(), "access-token = \"t\"", "client"),
        (&none, vec![], "access-token = \"t\"\naccess-token-command = \"x\"", "given"),
        (&argument, [&[token][..], &client].concat(), "access-token = \"t\"", "c"),
        (&none, vec![command], "access-token = \"t\"", "print-token"),
        (&none, [&[file][..], &client].concat(), "", "token.json"),
        (&none, vec![command, file], "", "print-token"),
        (&none, vec![file], "access-token = \"t\"", "token.json"),
        (&none, vec![], "access-token-file = \"t\"", "t"),
        // One value of the client may come from another source.
        (&none, client[..2].to_vec(), "[idp]\nclient-secret = \"pw\"", "client"),
    ] {
        let mut environment = environment;
        environment.push(URL);
        let resolved = with_file(arguments, &environment, text).unwrap();
        let seen = match resolved.plan.unwrap().source.unwrap() {
            TokenSource::Given(_) => "given".to_owned(),
            TokenSource::Command(command) => command.expose().to_owned(),
            TokenSource::File(file) => file.path().to_owned(),
            TokenSource::Endpoint(_) => "client".to_owned(),
        };
        assert_eq!(seen, expected, "{environment:?} {text}");
    }
}

#[test]
fn webhooks_without_a_key_cause_a_warning() {
    let listen = ("GATEWAY_RELAY_INBOUND_LISTEN", "[::1]:8787");
    let key = ("GATEWAY_RELAY_DELIVERY_KEY", "new, old,");
    let warned = |environment: &[_]| run(&Arguments::default(), environment).unwrap();
    assert_eq!(warned(&[URL, listen]).warnings.len(), 1);
    let both = warned(&[URL, listen, key]);
    let keys: Vec<_> = both.config.machine.delivery_keys.iter().map(Secret::expose).collect();
    assert_eq!((both.warnings.len(), keys), (0, vec!["new", "old"]));
    // A key may be provisioned.
    assert_eq!(warned(&[URL, listen, ("GATEWAY_RELAY_ACCESS_TOKEN", "t")]).warnings.len(), 0);
}

/// Enrollment fails without an enrollment token, an access token or a URL.
#[test]
fn h_1_h_2_an_enrolment_needs_token_and_access_token() {
    let token = ("GATEWAY_RELAY_ENROLL_TOKEN", "once");
    let access = ("GATEWAY_RELAY_ACCESS_TOKEN", "t");
    let url = |url| given(&table::CONNECTOR_URL, url);
    let given = Arguments {
        hostname: Some("box".into()),
        ..url(" https://c.example ").with(&table::WAKE_URL, "https://wake.example")
    };
    let enroll = |arguments: &Arguments, environment: &[(&str, &str)]| {
        enrollment(&Sources::new(&of_a_program(arguments), &look_up(environment)))
            .map_err(|error| error.to_string())
    };
    let full = enroll(&given, &[token, access]).unwrap();
    assert_eq!(
        (full.url.as_deref(), full.wake_url.as_deref()),
        (Some("https://c.example"), Some("https://wake.example"))
    );
    assert_eq!((full.gateway_id.as_str(), full.token.expose()), ("gw-box", "once"));
    let environment =
        [URL, token, access, ("GATEWAY_RELAY_ID", "gw-1"), ("GATEWAY_RELAY_WAKE_URL", "https://w")];
    let least = enroll(&Arguments::default(), &environment).unwrap();
    assert_eq!((least.url, least.wake_url, least.gateway_id.as_str()), (None, None, "gw-1"));
    // A relay that is switched off can be enrolled.
    assert!(enroll(&given, &[token, access, ("GATEWAY_RELAY_ENABLED", "0")]).is_ok());
    for (environment, expected) in [
        (&[access][..], "no enrollment token: give --token or set GATEWAY_RELAY_ENROLL_TOKEN"),
        (&[token], "no access token: give --access-token-command"),
    ] {
        let error = enroll(&given, environment).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
    let error = enroll(&Arguments::default(), &[token, access]).unwrap_err();
    assert!(error.starts_with("no connector URL: give --connector-url or set GATEWAY_RELAY_URL"), "{error}");
    // A URL parser ignores a line break, but an env file cannot hold it (H-2).
    let broken = url("https://c.\nexample");
    let error = enroll(&broken, &[token, access]).unwrap_err();
    assert!(error.starts_with("--connector-url holds a line break"), "{error}");
    let far = url("http://c.example");
    assert!(enroll(&far, &[token, access]).unwrap_err().contains("not a loopback address"), "C-6");
    assert!(enroll(&far.with(&table::ALLOW_INSECURE, "true"), &[token, access]).is_ok());
}

/// H-5: a policy that cannot be sent causes a warning. A policy that waits for provisioning may still be sent.
#[test]
fn h_5_a_policy_that_is_never_sent_causes_a_warning() {
    let policy = ("GATEWAY_RELAY_POLICY", r#"{"requireAddress":false}"#);
    let (id, secret) = (("GATEWAY_RELAY_ID", "gw-1"), ("GATEWAY_RELAY_SECRET", "s"));
    for (environment, warned) in [
        (&[URL, policy][..], true),
        (&[URL, policy, id, secret], false),
        (&[URL, policy, ("GATEWAY_RELAY_ACCESS_TOKEN", "t")], false),
        (&[URL, ("GATEWAY_RELAY_POLICY", "{}")], false),
    ] {
        let warnings = run(&Arguments::default(), environment).unwrap().warnings;
        let ours = warnings.iter().any(|warning| warning.starts_with("a policy is set but is not sent"));
        assert_eq!(ours, warned, "{environment:?} {warnings:?}");
    }
}
