//! What a configuration file says, and what goes before it.

use super::*;
use crate::http::identity::TokenSource;
use proptest::prelude::*;

/// Each setting in each place, and what of the result shows it: its flag goes before its variable, and that before its
/// key (H-9).
#[test]
fn h_9_argument_else_environment_else_file() {
    type Row = (&'static str, fn(&mut Arguments, &str), &'static str, &'static str, fn(&Resolved) -> String);
    let text = |text: &str| Some(text.to_owned());
    let rows: Vec<Row> = vec![
        (
            "wss://{}.example",
            |a, v| a.url = Some(v.into()),
            "URL",
            "url",
            |r| r.config.url.as_str().trim_end_matches("/relay").to_owned(),
        ),
        (
            "{}",
            |a, v| a.gateway_id = Some(v.into()),
            "ID",
            "gateway-id",
            |r| r.config.machine.credentials.as_ref().unwrap().gateway_id.clone(),
        ),
        (
            "{}",
            |a, v| a.secret = Some(v.into()),
            "SECRET",
            "secret",
            |r| r.config.machine.credentials.as_ref().unwrap().secret.expose().to_owned(),
        ),
        (
            "{}",
            |a, v| a.delivery_key = Some(v.into()),
            "DELIVERY_KEY",
            "delivery-key",
            |r| r.config.machine.delivery_keys[0].expose().to_owned(),
        ),
        (
            "{}",
            |a, v| a.platform = Some(v.into()),
            "PLATFORM",
            "platform",
            |r| r.config.machine.identities[0].platform.clone(),
        ),
        (
            "{}",
            |a, v| a.bot_id = Some(v.into()),
            "BOT_ID",
            "bot-id",
            |r| r.config.machine.identities[0].bot_id.clone(),
        ),
        (
            "{}:1",
            |a, v| a.inbound_listen = Some(v.into()),
            "INBOUND_LISTEN",
            "inbound-listen",
            |r| r.config.inbound_listen.clone().unwrap(),
        ),
        (
            "{}",
            |a, v| a.endpoint = Some(v.into()),
            "ENDPOINT",
            "endpoint",
            |r| profile_of(r).gateway_endpoint.clone(),
        ),
        (
            "{}",
            |a, v| a.route_keys = Some(v.into()),
            "ROUTE_KEYS",
            "route-keys",
            |r| profile_of(r).route_keys.concat(),
        ),
        (
            "{}",
            |a, v| a.instance_id = Some(v.into()),
            "INSTANCE_ID",
            "instance-id",
            |r| profile_of(r).instance_id.clone().unwrap(),
        ),
        (
            "{}",
            |a, v| a.wake_url = Some(v.into()),
            "WAKE_URL",
            "wake-url",
            |r| profile_of(r).wake_url.clone().unwrap(),
        ),
        (
            "{}",
            |a, v| a.display_name = Some(v.into()),
            "DISPLAY_NAME",
            "display-name",
            |r| profile_of(r).display_name.clone().unwrap(),
        ),
        (
            "{}",
            |a, v| a.access_token_command = Some(v.into()),
            "ACCESS_TOKEN_COMMAND",
            "access-token-command",
            |r| match r.plan.as_ref().unwrap().source.as_ref().unwrap() {
                TokenSource::Command(command) => command.expose().to_owned(),
                other => panic!("{other:?}"),
            },
        ),
        (
            "{}",
            |a, v| a.access_token_file = Some(v.into()),
            "ACCESS_TOKEN_FILE",
            "access-token-file",
            |r| match r.plan.as_ref().unwrap().source.as_ref().unwrap() {
                TokenSource::File(file) => file.path().to_owned(),
                other => panic!("{other:?}"),
            },
        ),
    ];
    assert_eq!(
        rows.len(),
        names::ALL.len() - 20,
        "every setting that has all three, but for tokens, switches and certificates"
    );
    for (pattern, give, variable, key, seen) in rows {
        let variable = format!("GATEWAY_RELAY_{variable}");
        let [argument, environment, file] = ["one", "two", "three"].map(|word| pattern.replace("{}", word));
        for (with_argument, with_variable, expected) in
            [(true, true, &argument), (false, true, &environment), (false, false, &file)]
        {
            let mut arguments = Arguments {
                gateway_id: text("gw"),
                secret: Some("s".into()),
                policy: text(r#"{"allowOtherBots":true}"#),
                ..Arguments::default()
            };
            match key {
                "gateway-id" => arguments.gateway_id = None,
                "secret" => arguments.secret = None,
                "bot-id" => arguments.platform = text("discord"),
                "access-token-command" | "access-token-file" => {
                    (arguments.gateway_id, arguments.secret) = (None, None)
                }
                _ => {}
            }
            let mut variables = vec![("GATEWAY_RELAY_URL", "wss://c.example")];
            if key == "url" {
                variables.clear();
            }
            if with_variable {
                variables.push((&variable, &environment));
            }
            if with_argument {
                give(&mut arguments, &argument);
            }
            let resolved = with_file(&arguments, &variables, &format!("{key} = \"{file}\"\n")).unwrap();
            assert_eq!(seen(&resolved), *expected, "{key}");
        }
    }
}

fn profile_of(resolved: &Resolved) -> &Profile {
    &resolved.plan.as_ref().expect("a plan").profile
}

#[test]
fn h_9_a_file_says_all_that_can_be_said() {
    let text = r#"
url = "wss://c.example"      # the connector
gateway-id = "gw-1"
secret = "hunter2"
delivery-key = ["new", "old"]
route-keys = ["a", "b"]
inbound-listen = "0.0.0.0:8787"
enabled = true
allow-insecure = false
provision = "never"

[[identity]]
platform = "discord"
bot-id = 123456789012345678

[[identity]]
platform = "slack"
bot-id = "B1"

[[policy]]
platform = "slack"
require-address = false
free-response-scopes = ["C1"]
allow-other-bots = true

[idp]
token-url = "https://login.example/token"
client-id = "me"
client-secret = "pw"
scope = "relay"

[set]
handshake_timeout = "1s"
chats = 100
"#;
    let Resolved { config, plan, warnings, .. } = with_file(&Arguments::default(), &[], text).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    let credentials = config.machine.credentials.as_ref().unwrap();
    assert_eq!((credentials.gateway_id.as_str(), credentials.secret.expose()), ("gw-1", "hunter2"));
    let keys: Vec<_> = config.machine.delivery_keys.iter().map(Secret::expose).collect();
    assert_eq!((keys, config.inbound_listen.as_deref()), (vec!["new", "old"], Some("0.0.0.0:8787")));
    let identities = config.machine.identities.iter().map(|i| (i.platform.as_str(), i.bot_id.as_str()));
    assert_eq!(identities.collect::<Vec<_>>(), [("discord", "123456789012345678"), ("slack", "B1")]);
    assert_eq!((config.machine.timing.handshake_timeout.as_secs(), config.machine.limits.chats), (1, 100));
    let plan = plan.unwrap();
    assert_eq!((plan.provisioning, plan.profile.route_keys.join(" ")), (Provisioning::Never, "a b".into()));
    assert!(matches!(plan.source, Some(TokenSource::Endpoint(_))));
    let [policy] = &plan.policies[..] else { panic!("{:?}", plan.policies) };
    let scopes = vec!["C1".to_owned()];
    assert_eq!(
        (policy.platform.as_str(), policy.require_address, policy.free_response_scopes.as_ref()),
        ("slack", Some(false), Some(&scopes))
    );
    // An argument's `--set` goes before the file's.
    let arguments = Arguments { set: vec!["chats=7".into()], ..Arguments::default() };
    assert_eq!(with_file(&arguments, &[], text).unwrap().config.machine.limits.chats, 7);
}

/// What a caller must read or look after itself: the last secret is found as the first is.
#[test]
fn h_9_a_glance_at_a_file() {
    for (text, ca_file, secret) in [
        ("url = \"wss://c.example\"\ngateway-id = \"gw-1\"\nsecret = \" \"", None, None),
        ("ca-file = \"ca.pem\"\nsecret = \"x\"", Some("ca.pem f.toml:1: ca-file"), Some("f.toml:2: secret")),
        ("delivery-key = [\"x\"]", None, Some("f.toml:1: delivery-key")),
        ("enroll-token = \"x\"", None, Some("f.toml:1: enroll-token")),
        ("access-token = \"x\"", None, Some("f.toml:1: access-token")),
        ("[idp]\nclient-secret = \"x\"", None, Some("f.toml:2: idp.client-secret")),
    ] {
        let files = Files { config: Some(FileText { name: "f.toml", text }), ..Files::default() };
        let glance = glance(&files).unwrap();
        let found = glance.ca_file.map(|(file, from)| format!("{file} {from}"));
        assert_eq!(
            (found.as_deref(), glance.secret.map(|from| from.to_string()).as_deref()),
            (ca_file, secret)
        );
    }
}

/// The bot id of a file is that of the file's platform (H-9).
#[test]
fn h_9_a_bot_id_goes_with_its_platform() {
    let file = |rest: &str| format!("url = \"wss://c.example\"\n{rest}");
    let one = file("platform = \"discord\"\nbot-id = \"1\"\n");
    let two =
        file("[[identity]]\nplatform = \"discord\"\nbot-id = \"1\"\n[[identity]]\nplatform = \"irc\"\n");
    let platform = |name: &str| Arguments { platform: Some(name.into()), ..Arguments::default() };
    let bot = Arguments { bot_id: Some("9".into()), ..Arguments::default() };
    let single = ("GATEWAY_RELAY_PLATFORM", "slack");
    let id = ("GATEWAY_RELAY_BOT_ID", "B1");
    let ids = ("GATEWAY_RELAY_BOT_IDS", r#"{"slack":{"botId":"B2"}}"#);
    let plural = ("GATEWAY_RELAY_PLATFORMS", "slack,irc");
    for (arguments, environment, text, expected, warnings) in [
        (platform("discord"), &[][..], &one, "discord:1", 0),
        (platform("slack"), &[], &one, "slack:", 0),
        (platform("discord"), &[], &two, "discord:1", 0),
        (bot.clone(), &[], &one, "discord:9", 0),
        (bot.clone(), &[ids, single], &one, "slack:9", 0),
        (Arguments::default(), &[], &two, "discord:1 irc:", 0),
        (Arguments::default(), &[single], &two, "slack:", 0),
        (Arguments::default(), &[single, id], &two, "slack:B1", 0),
        (Arguments::default(), &[single, id, ids], &two, "slack:B2", 1),
        (Arguments::default(), &[plural, id], &two, "slack: irc:", 0),
        (Arguments::default(), &[plural, id, single], &two, "slack:B1 irc:", 0),
        (platform("irc"), &[single, id], &one, "irc:", 0),
        (platform("irc"), &[id], &one, "irc:B1", 0),
    ] {
        let resolved = with_file(&arguments, environment, text).unwrap();
        let list = resolved.config.machine.identities.iter().map(|i| format!("{}:{}", i.platform, i.bot_id));
        let seen = (list.collect::<Vec<_>>().join(" "), resolved.warnings.len());
        assert_eq!(seen, (expected.to_owned(), warnings), "{arguments:?} {environment:?} {text}");
    }
}

/// What is wrong with a file is named with its line, and none of its secrets is quoted (C-4, H-9).
#[test]
fn h_9_c_4_a_bad_file_is_an_error_with_its_line() {
    for (text, expected) in [
        ("url = \"ftp://x\"", r#"f.toml:1: url: "ftp://x" is no ws, wss, http or https URL"#),
        ("\n\ngateway_id = \"x\"", r#"f.toml:3: there is no key "gateway_id"; there are access-token, "#),
        ("[idp]\nsecret = \"hunter2\"", r#"f.toml:2: there is no key "idp.secret"; there are "#),
        ("secret = 7", "f.toml:1: secret: write a text in quotes"),
        ("enabled = \"no\"", "f.toml:1: enabled: write true or false"),
        (
            "route-keys = [\"a,b\"]",
            "f.toml:1: route-keys: write an array of texts, none of them with a comma",
        ),
        ("set = 1", "f.toml:1: set: write a table, [set]"),
        ("[set]\nchats = true", "f.toml:2: chats: write a text or a whole number, as in \"1s\""),
        ("policy = 1", "f.toml:1: policy: write tables, [[policy]]"),
        ("[[policy]]\nplatform = 1", "f.toml:2: platform: write a text in quotes"),
        (
            "[[policy]]\nplatfrom = \"x\"",
            "f.toml:2: policy: there is no key \"platfrom\"; there are platform, ",
        ),
        (
            "[[identity]]\nbot-id = \"1\"",
            "f.toml:1: identity: it names no platform: write platform = \"discord\"",
        ),
        (
            "[[identity]]\nname = \"1\"",
            "f.toml:2: identity: there is no key \"name\"; there are platform, bot-id",
        ),
        (
            "platform = \"a\"\n[[identity]]\nplatform = \"b\"",
            "f.toml:1: write platform and bot-id, or [[identity]], not both",
        ),
        ("secret = \"s\"\nsecret-file = \"s\"", "f.toml:2: write secret or secret-file, not both"),
        (
            "delivery-key-file = \"s\"\ndelivery-key = \"s\"",
            "f.toml:1: write delivery-key or delivery-key-file, not both",
        ),
        ("auto-ack = true", "f.toml:1: there is no key \"auto-ack\"; there are "),
        ("url = \"a\"\nsecret = \"hunter2\nid = 1", "f.toml:2: "),
        ("secret = hunter2", "f.toml:1: "),
        ("url = \"wss://c.example\"\nurl = \"x\"", "f.toml:2: duplicate key"),
    ] {
        let error = with_file(&Arguments::default(), &[], text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text:?}: {error}");
        assert!(!error.contains("hunter2") && !error.contains('\n'), "{text:?}: {error}");
    }
    // These are found once the whole is put together.
    let url = "url = \"wss://c.example\"\n";
    for (text, expected) in [
        (
            "gateway-id = \"g\"",
            "f.toml:2: gateway-id is set, but there is no secret to it: set GATEWAY_RELAY_SECRET",
        ),
        ("secret = \"s\"", "f.toml:2: secret is set, but there is no id to it: "),
        ("provision = \"maybe\"", "f.toml:2: provision: \"maybe\" is none of auto, always, never"),
        (
            "inbound-listen = \"8787\"",
            "f.toml:2: inbound-listen: \"8787\" is no address to listen on: write HOST:PORT",
        ),
        ("wake-url = \"a\\nb\"", "f.toml:2: wake-url holds a line break or another control character"),
        ("[set]\nchats = 0", "f.toml:3: set.chats: \"0\" is out of range: 1 to 1073741824"),
        (
            "[idp]\nclient-id = \"x\"",
            "f.toml:3: idp.client-id is set, but idp.client-secret is not: set both, or neither",
        ),
        ("access-token = \"a b\"", "f.toml:2: access-token: the access token holds blanks, "),
        (
            "[[policy]]\nplatform = \"irc\"",
            "f.toml:2: policy: this gateway does not speak for \"irc\": leave it out",
        ),
    ] {
        let error = with_file(&Arguments::default(), &[], &format!("{url}{text}")).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
}

proptest! {
    /// Whatever a file holds: it is a configuration or one line that says what is wrong (H-9), and quotes no secret (C-4).
    #[test]
    fn h_9_c_4_any_file_is_read_or_refused(
        lines in prop::collection::vec(
            prop::sample::select(vec![
                "url = \"wss://c.example\"", "secret = \"hunter2\"", "set = 1", "[set]", "chats = 7", "[[identity]]",
                "platform = \"é\"", "bot-id = -0x7f", "[[policy]]", "[idp", "client-id = [", "\"", "'''", "\u{0}", "]]",
            ]),
            0..8,
        ),
        tail in ".{0,12}",
    ) {
        let text = lines.join("\n") + &tail;
        if let Err(error) = with_file(&Arguments::default(), &[URL], &text) {
            let error = error.to_string();
            prop_assert!(!error.contains("hunter2") && !error.contains('\n'), "{}", error);
        }
    }
}
