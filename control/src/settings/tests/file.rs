//! Content of a configuration file, and the sources that override it.

use super::table::Kind;
use super::*;
use crate::http::access_token::TokenSource;
use proptest::prelude::*;

/// H-9: each setting in each source, and the part of the result that shows it: its flag overrides its variable, which
/// overrides its key.
#[test]
fn h_9_argument_else_environment_else_file() {
    type Row = (&'static table::Spec, &'static str, fn(&Resolved) -> String);
    let command = |r: &Resolved| match r.plan.as_ref().unwrap().source.as_ref().unwrap() {
        TokenSource::Command(text) => text.expose().to_owned(),
        TokenSource::File(file) => file.path().to_owned(),
        other => panic!("{other:?}"),
    };
    let rows: [Row; 14] = [
        (&table::URL, "wss://{}.example", |r| r.config.url.as_str().trim_end_matches("/relay").to_owned()),
        (&table::GATEWAY_ID, "{}", |r| r.config.machine.credentials.as_ref().unwrap().gateway_id.clone()),
        (&table::SECRET, "{}", |r| r.config.machine.credentials.as_ref().unwrap().secret.expose().to_owned()),
        (&table::DELIVERY_KEY, "{}", |r| r.config.machine.delivery_keys[0].expose().to_owned()),
        (&table::PLATFORM, "{}", |r| r.config.machine.identities[0].platform.clone()),
        (&table::BOT_ID, "{}", |r| r.config.machine.identities[0].bot_id.clone()),
        (&table::INBOUND_LISTEN, "{}:1", |r| r.config.inbound_listen.clone().unwrap()),
        (&table::ENDPOINT, "{}", |r| profile_of(r).gateway_endpoint.clone()),
        (&table::ROUTE_KEYS, "{}", |r| profile_of(r).route_keys.concat()),
        (&table::INSTANCE_ID, "{}", |r| profile_of(r).instance_id.clone().unwrap()),
        (&table::WAKE_URL, "{}", |r| profile_of(r).wake_url.clone().unwrap()),
        (&table::DISPLAY_NAME, "{}", |r| profile_of(r).display_name.clone().unwrap()),
        (&table::ACCESS_TOKEN_COMMAND, "{}", command),
        (&table::ACCESS_TOKEN_FILE, "{}", command),
    ];
    // Switches, tokens and tables have tests of their own.
    let others =
        [&table::ENROLL_TOKEN, &table::ACCESS_TOKEN, &table::IDENTITY, &table::POLICY].map(|spec| spec.flag);
    for spec in table::ALL {
        let has_all = !spec.flag.is_empty() && spec.variable().is_some() && !spec.key.is_empty();
        let is_text = matches!(spec.kind, Kind::Text | Kind::Id | Kind::List);
        let is_here = rows.iter().any(|(row, ..)| row.flag == spec.flag) || others.contains(&spec.flag);
        assert!(is_here || !has_all || !is_text, "{} is not tried", spec.flag);
    }
    for (spec, pattern, seen) in rows {
        let [argument, environment, file] = ["one", "two", "three"].map(|word| pattern.replace("{}", word));
        for (with_argument, with_variable, expected) in
            [(true, true, &argument), (false, true, &environment), (false, false, &file)]
        {
            let mut arguments = given(&table::POLICY, r#"{"allowOtherBots":true}"#);
            for (other, value) in [(&table::GATEWAY_ID, "gw"), (&table::SECRET, "s")] {
                if other.key != spec.key && !spec.key.starts_with("access-token") {
                    arguments.push(other, value);
                }
            }
            if spec.key == "bot-id" {
                arguments.push(&table::PLATFORM, "discord");
            }
            let mut variables = vec![("GATEWAY_RELAY_URL", "wss://c.example")];
            if spec.key == "url" {
                variables.clear();
            }
            if with_variable {
                variables.push((spec.variable, &environment));
            }
            if with_argument {
                arguments.push(spec, argument.as_str());
            }
            let text = format!("{} = \"{file}\"\n", spec.key);
            let resolved = with_file(&arguments, &variables, &text).unwrap();
            assert_eq!(seen(&resolved), *expected, "{}", spec.key);
        }
    }
}

fn profile_of(resolved: &Resolved) -> &Profile {
    &resolved.plan.as_ref().expect("a plan").profile
}

#[test]
fn h_9_a_file_can_hold_every_setting() {
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
bot-id = 123456789012345678901234567890

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
    assert_eq!(
        identities.collect::<Vec<_>>(),
        [("discord", "123456789012345678901234567890"), ("slack", "B1")]
    );
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
    // `--set` as an argument overrides the file.
    let arguments = given(&table::SET, "chats=7");
    assert_eq!(with_file(&arguments, &[], text).unwrap().config.machine.limits.chats, 7);
}

/// Lists the files and secrets that a caller must read or protect. The last secret is found like the first.
#[test]
fn h_9_c_4_a_file_names_its_secrets_and_other_files() {
    for (text, ca_file, secret) in [
        ("url = \"wss://c.example\"\ngateway-id = \"gw-1\"\nsecret = \" \"", None, None),
        ("ca-file = \"ca.pem\"\nsecret = \"x\"", Some("ca.pem f.toml:1: ca-file"), Some("f.toml:2: secret")),
        ("delivery-key = [\"x\"]", None, Some("f.toml:1: delivery-key")),
        ("enroll-token = \"x\"", None, Some("f.toml:1: enroll-token")),
        ("access-token = \"x\"", None, Some("f.toml:1: access-token")),
        ("[idp]\nclient-secret = \"x\"", None, Some("f.toml:2: idp.client-secret")),
    ] {
        let file = ConfigFile::parse("f.toml", text, &[]).unwrap();
        let found = file.setting(&table::CA_FILE);
        let found = found.map(|setting| format!("{} {}", setting.text(), setting.source));
        assert_eq!(
            (found.as_deref(), file.secret().map(|source| source.to_string()).as_deref()),
            (ca_file, secret)
        );
    }
}

/// H-9: the bot id of a file belongs to the file's platform.
#[test]
fn h_9_a_bot_id_belongs_to_its_platform() {
    let file = |rest: &str| format!("url = \"wss://c.example\"\n{rest}");
    let one = file("platform = \"discord\"\nbot-id = \"1\"\n");
    let two =
        file("[[identity]]\nplatform = \"discord\"\nbot-id = \"1\"\n[[identity]]\nplatform = \"irc\"\n");
    let platform = |name: &str| given(&table::PLATFORM, name);
    let bot = given(&table::BOT_ID, "9");
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

/// C-4, H-9: an error in a file names its line, and quotes none of its secrets.
#[test]
fn h_9_c_4_a_bad_file_is_an_error_with_its_line() {
    for (text, expected) in [
        ("url = \"ftp://x\"", r#"f.toml:1: url: "ftp://x" is not a ws, wss, http or https URL"#),
        ("\n\ngateway_id = \"x\"", "f.toml:3: gateway_id: there is no such key; there are access-token, "),
        ("[idp]\nsecret = \"hunter2\"", "f.toml:2: idp.secret: there is no such key; there are "),
        ("secret = 7", "f.toml:1: secret: write a text in quotes"),
        ("enabled = \"no\"", "f.toml:1: enabled: write true or false"),
        (
            "route-keys = [\"a,b\"]",
            "f.toml:1: route-keys: write an array of texts, none of them with a comma",
        ),
        ("set = 1", "f.toml:1: set: write a table, [set]"),
        ("idp = \"hunter2\"", "f.toml:1: idp: write a table, [idp]"),
        ("identity = \"x\"", "f.toml:1: identity: write tables, [[identity]]"),
        (
            "[[identity]]\nplatform = \" \"",
            "f.toml:2: identity.platform: it names no platform: write platform = ",
        ),
        (
            "[[identity]]\nplatform = \"x\"\nbot-id = true",
            "f.toml:3: identity.bot-id: write a text in quotes, or a whole number",
        ),
        ("[[policy]]\nrequire-address = 1", "f.toml:2: policy.require-address: write true or false"),
        ("secret = 99999999999999999999", "f.toml:1: secret: write a text in quotes"),
        ("secret = [\"hunter2\", 1979-05-27]", "f.toml:1: secret: write a text in quotes"),
        ("\"\\n\" = 1", "f.toml:1: \\n: there is no such key; there are "),
        ("[set]\nchats = true", "f.toml:2: set.chats: write a text or a whole number, as in \"1s\""),
        ("policy = 1", "f.toml:1: policy: write tables, [[policy]]"),
        ("[[policy]]\nplatform = 1", "f.toml:2: policy.platform: write a text in quotes"),
        (
            "[[policy]]\nplatfrom = \"x\"",
            "f.toml:2: policy: unknown field `platfrom`, expected one of `platform`, `require-address`, ",
        ),
        (
            "[[identity]]\nbot-id = \"1\"",
            "f.toml:1: identity: it names no platform: write platform = \"discord\"",
        ),
        (
            "[[identity]]\nname = \"1\"",
            "f.toml:2: identity: unknown field `name`, expected `platform` or `bot-id`",
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
        ("auto-ack = true", "f.toml:1: auto-ack: there is no such key; there are "),
        ("url = \"a\"\nsecret = \"hunter2\nid = 1", "f.toml:2: "),
        ("secret = hunter2", "f.toml:1: "),
        ("url = \"wss://c.example\"\nurl = \"x\"", "f.toml:2: duplicate key"),
    ] {
        let error = with_file(&Arguments::default(), &[], text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text:?}: {error}");
        assert!(!error.contains("hunter2") && !error.contains('\n'), "{text:?}: {error}");
    }
    // These are found when the whole configuration is resolved.
    let url = "url = \"wss://c.example\"\n";
    for (text, expected) in [
        (
            "gateway-id = \"g\"",
            "f.toml:2: gateway-id is set, but there is no secret for it: set GATEWAY_RELAY_SECRET",
        ),
        ("secret = \"s\"", "f.toml:2: secret is set, but there is no id for it: "),
        ("provision = \"maybe\"", "f.toml:2: provision: \"maybe\" is not one of auto, always, never"),
        (
            "inbound-listen = \"8787\"",
            "f.toml:2: inbound-listen: \"8787\" is not an address to listen on: write HOST:PORT",
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
    /// H-9, C-4: any file is either a configuration or an error of one line, which quotes no secret.
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
