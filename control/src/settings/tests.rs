mod boot;
mod env_file;
mod every_setting;
mod file;

use super::*;
use relayline_core::session_key::SessionKeyOptions;

fn look_up<'a>(environment: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
    |name| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

fn run(arguments: &Arguments, environment: &[(&str, &str)]) -> Result<Resolved, ConfigError> {
    resolve(&Sources::new(&of_a_program(arguments), &look_up(environment)))
}

/// Arguments whose names in messages are flags.
fn of_a_program(arguments: &Arguments) -> Arguments {
    Arguments { names: Names::Flags, ..arguments.clone() }
}

/// Resolves with a configuration file `f.toml`.
fn with_file(
    arguments: &Arguments,
    environment: &[(&str, &str)],
    text: &str,
) -> Result<Resolved, ConfigError> {
    let file = ConfigFile::parse("f.toml", text, &[])?;
    let arguments = of_a_program(arguments);
    resolve(&Sources { config_file: Some(&file), ..Sources::new(&arguments, &look_up(environment)) })
}

/// Returns arguments with the value of a flag.
fn given(spec: &table::Spec, value: &str) -> Arguments {
    Arguments::default().with(spec, value)
}

#[track_caller]
fn fails(arguments: &Arguments, environment: &[(&str, &str)], message: &str) {
    assert_eq!(run(arguments, environment).unwrap_err().to_string(), message);
}

const URL: (&str, &str) = ("GATEWAY_RELAY_URL", "ws://127.0.0.1:9");

#[test]
fn h_9_an_argument_overrides_the_environment() {
    let arguments = given(&table::URL, "wss://a.example");
    assert_eq!(run(&arguments, &[URL]).unwrap().config.url.as_str(), "wss://a.example/relay");
    assert_eq!(run(&Arguments::default(), &[URL]).unwrap().config.url.as_str(), "ws://127.0.0.1:9/relay");
}

#[test]
fn l_2_id_and_secret_come_together_or_not_at_all() {
    let id = ("GATEWAY_RELAY_ID", "gw-1");
    let secret = ("GATEWAY_RELAY_SECRET", "hunter2\n");
    let none = Arguments::default();
    let both = run(&none, &[URL, id, secret]).unwrap().config.machine.credentials.unwrap();
    assert_eq!((both.gateway_id.as_str(), both.secret.expose()), ("gw-1", "hunter2"));
    assert_eq!(run(&none, &[URL]).unwrap().config.machine.credentials, None);
    let blank = [URL, ("GATEWAY_RELAY_ID", " "), ("GATEWAY_RELAY_SECRET", "\t")];
    assert_eq!(run(&none, &blank).unwrap().config.machine.credentials, None);
    fails(
        &none,
        &[URL, id],
        "GATEWAY_RELAY_ID is set, but there is no secret for it: set GATEWAY_RELAY_SECRET or give \
         --secret-file, or unset the id",
    );
    // Two secrets in one file are unusable: nobody knows the two lines as one secret. This also holds for keys (C-3).
    let what = "holds a line break or another control character: write it on one line";
    let two = given(&table::SECRET, "old\nnew");
    fails(&two, &[URL, id], &format!("--secret-file {what}"));
    fails(&none, &[URL, secret, ("GATEWAY_RELAY_ID", "gw\r1")], &format!("GATEWAY_RELAY_ID {what}"));
    let keys = ("GATEWAY_RELAY_DELIVERY_KEY", "old\nnew");
    fails(&none, &[URL, keys], &format!("GATEWAY_RELAY_DELIVERY_KEY {what}"));
    fails(
        &none,
        &[URL, secret],
        "GATEWAY_RELAY_SECRET is set, but there is no id for it: set GATEWAY_RELAY_ID or give --gateway-id, \
         or unset the secret",
    );
}

#[test]
fn c_6_unencrypted_credentials_stay_on_loopback() {
    let far = [
        ("GATEWAY_RELAY_URL", "ws://c.example"),
        ("GATEWAY_RELAY_ID", "gw-1"),
        ("GATEWAY_RELAY_SECRET", "hunter2"),
    ];
    assert!(matches!(run(&Arguments::default(), &far), Err(ConfigError::Insecure(_))));
    assert!(run(&given(&table::ALLOW_INSECURE, "true"), &far).is_ok());
    assert!(run(&Arguments::default(), &far[..1]).is_ok());
}

#[test]
fn l_1_errors_name_the_source_of_the_url() {
    let none = Arguments::default();
    fails(&none, &[], "no connector URL: give --url or set GATEWAY_RELAY_URL, as in wss://connector.example");
    fails(
        &none,
        &[("GATEWAY_RELAY_URL", "ftp://x")],
        r#"GATEWAY_RELAY_URL: "ftp://x" is not a ws, wss, http or https URL"#,
    );
    let arguments = given(&table::URL, "ftp://x");
    fails(&arguments, &[URL], r#"--url: "ftp://x" is not a ws, wss, http or https URL"#);
}

#[test]
fn a_host_of_the_library_reads_methods_for_flags() {
    let error = |arguments: &Arguments| resolve(&Sources::new(arguments, &|_| None)).unwrap_err().to_string();
    let fails = |arguments: &Arguments, expected: &str| {
        assert!(error(arguments).starts_with(expected), "{}", error(arguments));
    };
    let none = Arguments::default();
    let url = none.clone().with(&table::URL, "wss://c.example");
    fails(&none, "no connector URL: call Builder::new or set GATEWAY_RELAY_URL");
    fails(&none.clone().with(&table::URL, "ftp://x"), r#"Builder::new: "ftp://x""#);
    fails(&url.clone().with(&table::SET, "x"), "Builder::limit x: write NAME=VALUE");
    fails(
        &url.clone().with(&table::GATEWAY_ID, "gw-1"),
        "Builder::credentials is set, but there is no secret for it: set GATEWAY_RELAY_SECRET or call \
         Builder::credentials, or unset the id",
    );
    let far =
        none.with(&table::URL, "ws://c.example").with(&table::GATEWAY_ID, "gw-1").with(&table::SECRET, "s");
    let error = error(&far);
    assert!(error.contains("or call Builder::allow_insecure to send credentials in the clear"), "{error}");
    // Settings without a flag are told apart.
    let setting = "Builder::setting(table::IDP_CLIENT_ID) is set, but GATEWAY_RELAY_IDP_CLIENT_SECRET is not";
    fails(&url.with(&table::IDP_CLIENT_ID, "me"), setting);
}

#[test]
fn h_9_identities() {
    let identities = |arguments: &Arguments, environment: &[(&str, &str)]| {
        let mut all = vec![URL];
        all.extend(environment);
        let resolved = run(arguments, &all).unwrap();
        let list = resolved.config.machine.identities.iter().map(|i| format!("{}:{}", i.platform, i.bot_id));
        (list.collect::<Vec<_>>().join(" "), resolved.warnings.len())
    };
    let none = Arguments::default();
    let flags = |list: &[&str]| {
        list.iter().fold(Arguments::default(), |given, identity| given.with(&table::IDENTITY, *identity))
    };
    let plural = ("GATEWAY_RELAY_PLATFORMS", "discord, telegram");
    let ids = ("GATEWAY_RELAY_BOT_IDS", r#"{"discord":{"botId":"1"},"telegram":{"botId":7}}"#);
    for (arguments, environment, expected) in [
        (&none, vec![], ("relay:", 0)),
        (&none, vec![("GATEWAY_RELAY_PLATFORM", "slack"), ("GATEWAY_RELAY_BOT_ID", "B1")], ("slack:B1", 0)),
        (&none, vec![plural, ids], ("discord:1 telegram:7", 0)),
        (&none, vec![plural, ids, ("GATEWAY_RELAY_PLATFORM", "slack")], ("discord:1 telegram:7", 1)),
        // A blank value is unset (L-2).
        (&given(&table::PLATFORM, " "), vec![plural, ids], ("discord:1 telegram:7", 0)),
        (&flags(&["discord:1", "matrix:@a:b"]), vec![plural], ("discord:1 matrix:@a:b", 0)),
    ] {
        assert_eq!(identities(arguments, &environment), (expected.0.to_owned(), expected.1));
    }
    fails(&flags(&[":1"]), &[URL], "--identity: \":1\" names no platform: write PLATFORM or PLATFORM:BOT_ID");
    let twice = "discord is named twice: a gateway speaks for one bot of each platform, so run a second gateway for the other";
    fails(&flags(&["discord:1", "slack", "discord:2"]), &[URL], twice);
    fails(&none, &[URL, ("GATEWAY_RELAY_PLATFORMS", "discord,discord")], twice);
    fails(
        &none,
        &[URL, plural, ("GATEWAY_RELAY_BOT_IDS", "[]")],
        r#"GATEWAY_RELAY_BOT_IDS: not a JSON object: write {"discord": {"botId": "123"}}"#,
    );
}

#[test]
fn s_7_s_8_session_settings_come_from_flag_environment_and_file() {
    let read = |arguments: &Arguments, environment: &[(&str, &str)], file: &str| {
        let mut all = vec![URL];
        all.extend(environment);
        let config = with_file(arguments, &all, file).unwrap().config;
        let SessionKeyOptions { group_sessions_per_user, thread_sessions_per_user, .. } =
            config.machine.sessions;
        [
            config.machine.slack_reply_in_thread,
            config.machine.slack_thread_sessions,
            group_sessions_per_user,
            thread_sessions_per_user,
        ]
    };
    let none = Arguments::default();
    assert_eq!(read(&none, &[], ""), [true, true, true, false]);
    let file = "slack-reply-in-thread = false\nslack-thread-sessions = false\ngroup-sessions-per-user = false\n\
                thread-sessions-per-user = true\n";
    assert_eq!(read(&none, &[], file), [false, false, false, true]);
    let environment = [
        ("GATEWAY_RELAY_SLACK_REPLY_IN_THREAD", "yes"),
        ("GATEWAY_RELAY_SLACK_THREAD_SESSIONS", "1"),
        ("GATEWAY_RELAY_GROUP_SESSIONS_PER_USER", "on"),
        ("GATEWAY_RELAY_THREAD_SESSIONS_PER_USER", "off"),
    ];
    assert_eq!(read(&none, &environment, file), [true, true, true, false]);
    let arguments = given(&table::SLACK_REPLY_IN_THREAD, "false")
        .with(&table::SLACK_THREAD_SESSIONS, "false")
        .with(&table::GROUP_SESSIONS_PER_USER, "false")
        .with(&table::THREAD_SESSIONS_PER_USER, "true");
    assert_eq!(read(&arguments, &environment, ""), [false, false, false, true]);
    let wrong = ("GATEWAY_RELAY_SLACK_THREAD_SESSIONS", "maybe");
    fails(
        &none,
        &[URL, wrong],
        r#"GATEWAY_RELAY_SLACK_THREAD_SESSIONS: "maybe" is not one of true, false, on, off"#,
    );
}

#[test]
fn o_15_turn_reactions_come_from_flag_environment_and_file() {
    let read = |flag: Option<bool>, environment: &[(&str, &str)], file: &str| {
        let mut all = vec![URL];
        all.extend(environment);
        let arguments = flag.map(|flag: bool| given(&table::TURN_REACTIONS, &flag.to_string()));
        let arguments = arguments.unwrap_or_default();
        with_file(&arguments, &all, file).unwrap().config.machine.turn_reactions
    };
    let file = "turn-reactions = false\n";
    let variable = |value| [("GATEWAY_RELAY_TURN_REACTIONS", value)];
    assert!(read(None, &[], ""));
    assert!(!read(None, &[], file));
    assert!(read(None, &variable("true"), file));
    assert!(!read(Some(false), &variable("true"), ""));
    fails(
        &Arguments::default(),
        &[URL, variable("maybe")[0]],
        r#"GATEWAY_RELAY_TURN_REACTIONS: "maybe" is not one of true, false, on, off"#,
    );
}

/// X-4, X-5, I-6: the parts of the connector's frames that the host sees are settings.
#[test]
fn x_4_x_5_i_6_switches_come_from_flag_environment_and_file() {
    type Read = fn(&Config) -> bool;
    let rows: [(&table::Spec, bool, Read); 3] = [
        (&table::RAW_EVENTS, false, |c| c.raw_events),
        (&table::UNKNOWN_FRAMES, false, |c| c.unknown_frames),
        (&table::PROMPTS, true, |c| c.prompts),
    ];
    for (spec, default, shown) in rows {
        let key = spec.key;
        let other = !default;
        let word = |on| if on { "on" } else { "off" };
        let file = format!("{key} = {other}\n");
        let read = |flag: Option<bool>, value: Option<&str>, file: &str| {
            let arguments = flag.map(|on| given(spec, &on.to_string())).unwrap_or_default();
            let mut environment = vec![URL];
            environment.extend(value.map(|value| (spec.variable, value)));
            shown(&with_file(&arguments, &environment, file).unwrap().config.machine)
        };
        assert_eq!(read(None, None, ""), default, "{key}");
        assert_eq!(read(None, None, &file), other, "{key}");
        assert_eq!(read(None, Some(word(default)), &file), default, "{key}");
        assert_eq!(read(Some(other), Some(word(default)), ""), other, "{key}");
        if key == "prompts" {
            assert!(!read(None, None, "prompts = \"off\"\n") && read(None, None, "prompts = \"on\"\n"));
        }
    }
    let wrong = with_file(&Arguments::default(), &[URL], "prompts = 7\n").unwrap_err().to_string();
    assert!(wrong.ends_with("prompts: write \"on\" or \"off\""), "{wrong}");
}

#[test]
fn settings_by_name() {
    let set = |text: &str| given(&table::SET, text);
    let resolved = run(&set("handshake_timeout=1s"), &[URL]).unwrap();
    assert_eq!(resolved.config.machine.timing.handshake_timeout, std::time::Duration::from_secs(1));
    fails(&set("handshake_timeout"), &[URL], "--set handshake_timeout: write NAME=VALUE");
}
