//! The env file: below the environment and above the configuration file (H-9).

use super::*;

fn with_both(
    arguments: &Arguments,
    environment: &[(&str, &str)],
    env_file: &str,
    config: &str,
) -> Result<Resolved, ConfigError> {
    let env_file = EnvFile::parse("gw.env", env_file)?;
    let config_file = ConfigFile::parse("f.toml", config, &[])?;
    let environment = look_up(environment);
    let sources = Sources::new(arguments, &environment);
    resolve(&Sources { env_file: Some(&env_file), config_file: Some(&config_file), ..sources })
}

#[test]
fn h_9_sources_have_an_order_of_precedence() {
    let host = |arguments: &Arguments, environment: &[(&str, &str)], env_file: &str| {
        let config = "url = \"wss://config.example\"\n";
        with_both(arguments, environment, env_file, config).unwrap().config.url.host().to_owned()
    };
    let none = Arguments::default();
    let argument = given(&table::URL, "wss://argument.example");
    let variable = [("GATEWAY_RELAY_URL", "wss://environment.example")];
    let env_file = "GATEWAY_RELAY_URL='wss://env-file.example'\n";
    assert_eq!(host(&argument, &variable, env_file), "argument.example");
    assert_eq!(host(&none, &variable, env_file), "environment.example");
    assert_eq!(host(&none, &[], env_file), "env-file.example");
    // A blank value is unset (L-2).
    assert_eq!(host(&none, &[("GATEWAY_RELAY_URL", " ")], env_file), "env-file.example");
    assert_eq!(host(&none, &[], "GATEWAY_RELAY_URL=\n"), "config.example");
}

/// The plural variable overrides the singular one in its own source only, not one of a nearer source.
#[test]
fn h_9_a_nearer_source_overrides_the_plural() {
    let env_file = "GATEWAY_RELAY_PLATFORMS=discord,telegram\n\
                    GATEWAY_RELAY_BOT_IDS='{\"discord\":\"1\",\"telegram\":\"2\"}'\n";
    let single = ("GATEWAY_RELAY_PLATFORM", "discord");
    let id = ("GATEWAY_RELAY_BOT_ID", "9");
    for (environment, expected) in [
        (&[][..], "discord:1 telegram:2"),
        (&[single], "discord:1"),
        (&[single, id], "discord:9"),
        (&[("GATEWAY_RELAY_PLATFORMS", "telegram"), single], "telegram:2"),
    ] {
        let mut all = vec![URL];
        all.extend(environment);
        let resolved = with_both(&Arguments::default(), &all, env_file, "").unwrap();
        let list = resolved.config.machine.identities.iter().map(|i| format!("{}:{}", i.platform, i.bot_id));
        assert_eq!(list.collect::<Vec<_>>().join(" "), expected, "{environment:?}");
    }
}

/// A bot id belongs to the platform of its own source, or of a nearer one.
#[test]
fn h_9_a_bot_id_belongs_to_the_platform_of_its_source() {
    let env_file = "GATEWAY_RELAY_PLATFORM=slack\nGATEWAY_RELAY_BOT_ID=1\n";
    let id = ("GATEWAY_RELAY_BOT_ID", "2");
    let discord = given(&table::PLATFORM, "discord");
    for (arguments, environment, expected) in [
        (&Arguments::default(), &[][..], "slack:1"),
        (&Arguments::default(), &[id], "slack:2"),
        (&discord, &[], "discord:"),
        (&discord, &[id], "discord:2"),
        (&Arguments::default(), &[("GATEWAY_RELAY_PLATFORM", "irc")], "irc:"),
        (&Arguments::default(), &[("GATEWAY_RELAY_PLATFORM", "irc"), id], "irc:2"),
    ] {
        let mut all = vec![URL];
        all.extend(environment);
        let resolved = with_both(arguments, &all, env_file, "").unwrap();
        let list = resolved.config.machine.identities.iter().map(|i| format!("{}:{}", i.platform, i.bot_id));
        assert_eq!(list.collect::<Vec<_>>().join(" "), expected, "{environment:?}");
    }
}

#[test]
fn h_9_an_error_in_an_env_file_names_its_line() {
    let fails = |env_file: &str| with_both(&Arguments::default(), &[], env_file, "").unwrap_err().to_string();
    assert_eq!(
        fails("\nGATEWAY_RELAY_URL=ftp://x"),
        r#"gw.env:2: GATEWAY_RELAY_URL: "ftp://x" is not a ws, wss, http or https URL"#
    );
    let error = fails("GATEWAY_RELAY_URL=wss://c.example\nGATEWAY_RELAY_ID=gw-1\n");
    assert!(error.starts_with("gw.env:2: GATEWAY_RELAY_ID is set, but there is no secret for it"), "{error}");
    let error = fails("OTHER=\u{fffd}\nGATEWAY_RELAY_SECRET=\u{fffd}\n");
    assert_eq!(error, "gw.env:2: GATEWAY_RELAY_SECRET is not UTF-8: set it again, or unset it");
}

/// Variables that are not the relay's own are read there, too: proxies, and the manager of the install.
#[test]
fn h_9_an_env_file_may_name_proxies_and_the_manager() {
    let proxied = |environment: &[(&str, &str)], env_file: &str| {
        let mut all = vec![("GATEWAY_RELAY_URL", "wss://c.example")];
        all.extend(environment);
        let resolved = with_both(&Arguments::default(), &all, env_file, "").unwrap();
        let proxy = resolved
            .config
            .network
            .proxies
            .choose(true, "c.example", 443)
            .map(|proxy| proxy.host().to_owned());
        (proxy, resolved.plan.is_some_and(|plan| plan.managed))
    };
    let env_file = "HTTPS_PROXY=http://proxy.example:3128\nHERMES_MANAGED=true\n";
    assert_eq!(proxied(&[], env_file), (Some("proxy.example".to_owned()), true));
    assert_eq!(proxied(&[("HTTPS_PROXY", ""), ("HERMES_MANAGED", "0")], env_file), (None, false));
}

/// C-4: quotes that a shell would have removed cause a warning in every source, which shows no value.
#[test]
fn h_9_c_4_quotes_around_a_value_cause_a_warning() {
    let what = "the quotes around its value are taken as a part of it: set it without them";
    let warnings = |environment: &[(&str, &str)], env_file: &str| {
        let mut all = vec![URL];
        all.extend(environment);
        with_both(&Arguments::default(), &all, env_file, "").unwrap().warnings
    };
    assert_eq!(
        warnings(&[("GATEWAY_RELAY_PLATFORM", "\"discord\"")], ""),
        [format!("GATEWAY_RELAY_PLATFORM: {what}")]
    );
    let secret = [("GATEWAY_RELAY_ID", "gw-1"), ("GATEWAY_RELAY_SECRET", " 'hunter2' ")];
    assert_eq!(warnings(&secret, ""), [format!("GATEWAY_RELAY_SECRET: {what}")]);
    assert_eq!(
        warnings(&[], "GATEWAY_RELAY_PLATFORMS=\"'discord'\"\n"),
        [format!("gw.env:1: GATEWAY_RELAY_PLATFORMS: {what}")]
    );
    assert_eq!(warnings(&[("GATEWAY_RELAY_PLATFORM", "o'brien\"")], "GATEWAY_RELAY_BOT_ID=\"1\"\n"), [""; 0]);
}

#[test]
fn h_9_files_name_secrets_and_the_hosts_settings() {
    let env_file = EnvFile::parse("gw.env", "A=1\nGATEWAY_RELAY_ACCESS_TOKEN=x\n").unwrap();
    assert_eq!(env_file.secret().unwrap().to_string(), "gw.env:2: GATEWAY_RELAY_ACCESS_TOKEN");
    let keys = ["auto-ack".to_owned(), "exec".to_owned(), "restart".to_owned()];
    let text = "auto-ack = true\nexec = [\"./agent\", \"-x\"]\nrestart = \"never\"\nsecret-file = \"s\"\n";
    let file = ConfigFile::parse("f.toml", text, &keys).unwrap();
    assert_eq!(file.file_of(&table::SECRET).unwrap().text(), "s");
    let host: Vec<_> =
        file.host().iter().map(|setting| (setting.source.to_string(), &setting.value)).collect();
    let list = HostValue::List(vec!["./agent".into(), "-x".into()]);
    assert_eq!(
        host,
        [
            ("f.toml:1: auto-ack".to_owned(), &HostValue::Switch(true)),
            ("f.toml:2: exec".to_owned(), &list),
            ("f.toml:3: restart".to_owned(), &HostValue::Text("never".into())),
        ]
    );
    let wrong = ConfigFile::parse("f.toml", "exec = 1.5", &keys).unwrap_err().to_string();
    assert!(wrong.starts_with("f.toml:1: exec: write a text, "), "{wrong}");
}

#[test]
fn h_9_the_content_of_a_secret_file_is_the_secret() {
    let text = "url = \"wss://c.example\"\ngateway-id = \"gw-1\"\nsecret-file = \"s\"\n";
    let mut file = ConfigFile::parse("f.toml", text, &[]).unwrap();
    file.set_content(&table::SECRET, Secret::from("from-a-file"));
    let secret = |environment: &[(&str, &str)]| {
        let (arguments, environment) = (Arguments::default(), look_up(environment));
        let sources = Sources { config_file: Some(&file), ..Sources::new(&arguments, &environment) };
        let config = resolve(&sources).unwrap().config;
        config.machine.credentials.unwrap().secret.expose().to_owned()
    };
    assert_eq!(secret(&[]), "from-a-file");
    assert_eq!(secret(&[("GATEWAY_RELAY_SECRET", "from-the-environment")]), "from-the-environment");
}
