//! What every command needs that opens a gateway: its flags, its configuration, its runtime.

use crate::bridge::AgentSettings;
use crate::{config_file, fail};
use clap::{Args, ValueEnum};
use relayline_control::config::GatewayConfig;
use relayline_control::http::boot::Provisioning;
use relayline_control::network::Network;
use relayline_control::settings::{self, Arguments, ConfigError, FileText, Files, Glance, Resolved, Source};
use relayline_core::secret::Secret;
use relayline_runtime::files::{self, Contents};
use relayline_runtime::http::Client;
use relayline_runtime::{
    Inbox, Relay, ca_certificates, default_env_file, detect_host, read_certificates, with_environment,
};
use std::env::VarError;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Which runtime does the socket work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RuntimeName {
    Tokio,
    Smol,
}

/// When provisioning happens (H-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ProvisionName {
    Auto,
    Always,
    Never,
}

/// The flags of every command that speaks to a connector as a gateway.
#[derive(Debug, Args)]
pub(crate) struct GatewayArguments {
    /// The connector, as in wss://connector.example [env: GATEWAY_RELAY_URL]
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// The gateway's id; its secret comes from GATEWAY_RELAY_SECRET or --secret-file [env: GATEWAY_RELAY_ID]
    #[arg(long, value_name = "ID")]
    gateway_id: Option<String>,

    /// A file that holds the gateway's secret and nothing else [env: GATEWAY_RELAY_SECRET, the secret itself]
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// The platform to speak for [env: GATEWAY_RELAY_PLATFORM]
    #[arg(long, value_name = "NAME")]
    platform: Option<String>,

    /// The bot's id there [env: GATEWAY_RELAY_BOT_ID]
    #[arg(long, value_name = "ID")]
    bot_id: Option<String>,

    /// One of several platforms to speak for, with the bot's id there; the first is the default [env: GATEWAY_RELAY_PLATFORMS and GATEWAY_RELAY_BOT_IDS, with commas]
    #[arg(long, value_name = "PLATFORM[:BOT_ID]", conflicts_with_all = ["platform", "bot_id"])]
    identity: Vec<String>,

    #[command(flatten)]
    account: AccountArguments,

    #[command(flatten)]
    pub(crate) network: NetworkArguments,

    /// What messages of shared chats are meant for this gateway, as JSON [env: GATEWAY_RELAY_POLICY]
    #[arg(long, value_name = "JSON")]
    policy: Option<String>,

    /// Where signed deliveries over HTTP are taken [env: GATEWAY_RELAY_INBOUND_LISTEN]
    #[arg(long, value_name = "HOST:PORT")]
    inbound_listen: Option<String>,

    /// A file that holds the key of signed deliveries, or several with commas between them [env: GATEWAY_RELAY_DELIVERY_KEY, the keys themselves]
    #[arg(long, value_name = "FILE")]
    delivery_key_file: Option<PathBuf>,

    /// An env file, as enroll writes it: it counts where neither a flag nor the environment says otherwise
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,

    #[command(flatten)]
    sessions: SessionArguments,

    /// Set a limit or a time-out, as in handshake_timeout=1s; a wrong name lists them all
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,

    #[command(flatten)]
    shown: ShownArguments,

    /// Whether the op turn shows a turn's state by reactions on its message; true by default [env: GATEWAY_RELAY_TURN_REACTIONS]
    #[arg(long, value_name = "BOOL")]
    turn_reactions: Option<bool>,

    /// Whether there is a relay at all: false beats every URL [env: GATEWAY_RELAY_ENABLED]
    #[arg(long, value_name = "BOOL")]
    enabled: Option<bool>,
}

/// Settings of what the agent is shown of the connector's frames.
#[derive(Debug, Args)]
struct ShownArguments {
    /// Show with each event and forward the JSON it came as, as raw [env: GATEWAY_RELAY_RAW_EVENTS, true or false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    raw_events: Option<bool>,

    /// Show frames of a type that the gateway does not know, as frame lines [env: GATEWAY_RELAY_UNKNOWN_FRAMES, true or false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    unknown_frames: Option<bool>,

    /// Recognise answers to prompts (on, the default), or deliver them as plain messages (off) [env: GATEWAY_RELAY_PROMPTS]
    #[arg(long, value_enum, value_name = "WHEN")]
    prompts: Option<OnOff>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnOff {
    On,
    Off,
}

/// Settings that decide which messages share a session.
#[derive(Debug, Args)]
struct SessionArguments {
    /// Whether answers to Slack's top-level messages go into threads; true by default [env: GATEWAY_RELAY_SLACK_REPLY_IN_THREAD]
    #[arg(long, value_name = "BOOL")]
    slack_reply_in_thread: Option<bool>,

    /// Whether each top-level message on Slack is a session of its own, if answers go into threads; true by default [env: GATEWAY_RELAY_SLACK_THREAD_SESSIONS]
    #[arg(long, value_name = "BOOL")]
    slack_thread_sessions: Option<bool>,

    /// Whether each user of a group or channel has a session of their own; true by default [env: GATEWAY_RELAY_GROUP_SESSIONS_PER_USER]
    #[arg(long, value_name = "BOOL")]
    group_sessions_per_user: Option<bool>,

    /// Whether each user of a thread has a session of their own, if users of groups have; false by default [env: GATEWAY_RELAY_THREAD_SESSIONS_PER_USER]
    #[arg(long, value_name = "BOOL")]
    thread_sessions_per_user: Option<bool>,
}

/// What a gateway says of itself when it is provisioned, and how it shows whose it is.
#[derive(Debug, Args)]
struct AccountArguments {
    /// When to ask the connector for a secret: auto is when there is none and the install is managed or has access tokens
    #[arg(long, value_name = "WHEN")]
    provision: Option<ProvisionName>,

    /// A command that prints an access token; others come from GATEWAY_RELAY_ACCESS_TOKEN and GATEWAY_RELAY_IDP_TOKEN_URL [env: GATEWAY_RELAY_ACCESS_TOKEN_COMMAND]
    #[arg(long, value_name = "CMD")]
    access_token_command: Option<Secret>,

    /// A file that holds an access token, or FILE#dotted.path for a place in a JSON file; nothing is refreshed or written [env: GATEWAY_RELAY_ACCESS_TOKEN_FILE]
    #[arg(long, value_name = "FILE[#PATH]")]
    access_token_file: Option<String>,

    /// Where the connector reaches this gateway for signed deliveries [env: GATEWAY_RELAY_ENDPOINT]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,

    /// What the connector routes to this gateway by, with commas between [env: GATEWAY_RELAY_ROUTE_KEYS]
    #[arg(long, value_name = "KEYS")]
    route_keys: Option<String>,

    /// Which instance of its tenant this gateway is [env: GATEWAY_RELAY_INSTANCE_ID]
    #[arg(long, value_name = "ID")]
    instance_id: Option<String>,

    /// What wakes this gateway when it sleeps [env: GATEWAY_RELAY_WAKE_URL]
    #[arg(long, value_name = "URL")]
    wake_url: Option<String>,

    /// How people know this gateway [env: GATEWAY_RELAY_DISPLAY_NAME]
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
}

/// How the connector is reached, and where else settings come from.
#[derive(Debug, Args)]
pub(crate) struct NetworkArguments {
    /// A TOML file with settings that neither a flag, the environment nor an env file gives; its keys are the flags' names
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Send credentials over plain ws:// or http:// beyond this machine, too
    #[arg(long)]
    pub(crate) allow_insecure: bool,

    /// Trust these certificates, too, of authorities or of the server itself: a file in PEM form, or one in DER [env: SSL_CERT_FILE]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Which runtime does the socket work
    #[arg(long, value_enum, default_value_t = RuntimeName::Tokio, value_name = "NAME")]
    pub(crate) runtime: RuntimeName,
}

/// Why there is no configuration.
#[derive(Debug)]
pub(crate) enum Unresolved {
    /// The settings say so themselves.
    Settings(ConfigError),
    /// A file or a variable cannot be read.
    Unreadable(String),
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unresolved::Settings(error) => error.fmt(f),
            Unresolved::Unreadable(what) => f.write_str(what),
        }
    }
}

impl From<ConfigError> for Unresolved {
    fn from(error: ConfigError) -> Unresolved {
        Unresolved::Settings(error)
    }
}

impl Unresolved {
    /// Says it, and gives the exit code: a relay that is switched off is nothing wrong (H-9).
    pub(crate) fn end(&self) -> ExitCode {
        let code = if matches!(self, Unresolved::Settings(ConfigError::Disabled(_))) { 0 } else { 2 };
        fail(code, self)
    }
}

/// Where settings come from besides flags, the environment and `--config`.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sources<'a> {
    /// The env file that is read.
    pub(crate) env_file: Option<&'a Path>,
    /// The env file beside which a `.managed` says that the install is managed (H-3).
    pub(crate) managed_by: Option<&'a Path>,
}

/// A setting's file and its content.
type Given<'a> = (&'a Path, String, Contents);

/// What the files that the configuration file names hold.
#[derive(Default)]
struct Opened {
    secret: Option<Secret>,
    delivery_key: Option<Secret>,
    warnings: Vec<String>,
}

impl NetworkArguments {
    /// Fills in what these flags and the machine say, and resolves with `how`, giving it environment and files. Files
    /// with secrets that others can read are warned of.
    pub(crate) fn resolve<T>(
        &self,
        mut arguments: Arguments,
        sources: Sources<'_>,
        how: impl FnOnce(&Arguments, &dyn Fn(&str) -> Option<String>, &Files<'_>) -> Result<T, ConfigError>,
    ) -> Result<(T, Vec<String>), Unresolved> {
        arguments.allow_insecure = self.allow_insecure;
        arguments.ca_certificates = ca_certificates(self.ca_file.as_deref())?;
        detect_host(&mut arguments, sources.managed_by);
        let env_file = sources.env_file.map(|path| given("--env-file", path)).transpose()?;
        let config = self.config.as_deref().map(|path| given("--config", path)).transpose()?;
        let env_text = env_file.as_ref().map(|(.., contents)| contents.lossy_text());
        let host_keys = config_file::host_keys();
        let mut files = Files { host_keys: &host_keys, ..Files::default() };
        if let (Some((_, name, _)), Some(text)) = (&env_file, &env_text) {
            files.env_file = Some(FileText { name, text });
        }
        if let Some((path, name, contents)) = &config {
            files.config = Some(FileText { name, text: text("--config", path, contents)? });
        }
        let glance = settings::glance(&files)?;
        let opened = self.follow(&glance, &mut arguments)?;
        (files.secret, files.delivery_key) = (opened.secret.as_ref(), opened.delivery_key.as_ref());
        let mut warnings = opened.warnings;
        for (origin, file) in [(&glance.env_file_secret, &env_file), (&glance.secret, &config)] {
            if let (Some(origin), Some((path, _, contents))) = (origin, file) {
                warnings.extend(contents.warning(origin, path));
            }
        }
        Ok((with_environment(|environment| how(&arguments, environment, &files))?, warnings))
    }

    /// Reads the files that the configuration file names; their paths begin at its folder.
    fn follow(&self, glance: &Glance, arguments: &mut Arguments) -> Result<Opened, Unresolved> {
        let beside = |name: &str| match &self.config {
            Some(config) => config.with_file_name("").join(name),
            None => PathBuf::from(name),
        };
        if let (None, Some((name, from))) = (&arguments.ca_certificates, &glance.ca_file) {
            arguments.ca_certificates = Some(read_certificates(&from.to_string(), &beside(name))?);
        }
        let mut opened = Opened::default();
        let mut secret = |named: &Option<(String, Source)>| match named {
            Some((name, from)) => secret(&from.to_string(), &beside(name), &mut opened.warnings).map(Some),
            None => Ok(None),
        };
        let (of_gateway, of_deliveries) = (secret(&glance.secret_file)?, secret(&glance.delivery_key_file)?);
        (opened.secret, opened.delivery_key) = (of_gateway, of_deliveries);
        Ok(opened)
    }

    /// The flags that were given, and their values: another command that is to do the same needs them, too.
    pub(crate) fn given(&self) -> Vec<(&'static str, Option<OsString>)> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| Some(path.as_os_str().to_owned()));
        let smol = (self.runtime == RuntimeName::Smol).then(|| Some(OsString::from("smol")));
        let flags = [
            ("--config", path(&self.config)),
            ("--allow-insecure", self.allow_insecure.then_some(None)),
            ("--ca-file", path(&self.ca_file)),
            ("--runtime", smol),
        ];
        flags.into_iter().filter_map(|(flag, value)| Some((flag, value?))).collect()
    }
}

/// Logs what the host should be warned of.
fn told(resolved: Resolved) -> Resolved {
    for warning in &resolved.warnings {
        tracing::warn!(warning, "configuration");
    }
    resolved
}

impl GatewayArguments {
    /// The configuration, and what comes before the dial. What the host should be warned of is in the log.
    pub(crate) fn resolve(&self) -> Result<Resolved, Unresolved> {
        Ok(told(self.resolve_silently(None)?))
    }

    /// The same, with the bridge's settings.
    pub(crate) fn resolve_for_agent(&self) -> Result<(Resolved, AgentSettings), Unresolved> {
        let mut settings = AgentSettings::default();
        let resolved = self.resolve_all(None, &mut settings)?;
        Ok((told(resolved), settings))
    }

    /// The same, always provisioning.
    pub(crate) fn resolve_to_provision(&self) -> Result<Resolved, Unresolved> {
        Ok(told(self.resolve_silently(Some(Provisioning::Always))?))
    }

    /// The same, for a caller that tells of the warnings itself.
    pub(crate) fn resolve_silently(&self, provision: Option<Provisioning>) -> Result<Resolved, Unresolved> {
        self.resolve_all(provision, &mut AgentSettings::default())
    }

    fn resolve_all(
        &self,
        provision: Option<Provisioning>,
        others: &mut AgentSettings,
    ) -> Result<Resolved, Unresolved> {
        let mut warnings = Vec::new();
        let mut secret = |flag, file: &Option<PathBuf>| {
            file.as_ref().map(|file| secret(flag, file, &mut warnings)).transpose()
        };
        let (gateway, deliveries) = (
            secret("--secret-file", &self.secret_file)?,
            secret("--delivery-key-file", &self.delivery_key_file)?,
        );
        let arguments = Arguments { secret: gateway, delivery_key: deliveries, ..self.arguments(provision) };
        let default = default_env_file();
        let env_file = self.env_file.as_deref();
        let sources = Sources { env_file, managed_by: env_file.or(default.as_deref()) };
        let (mut resolved, of_files) =
            self.network.resolve(arguments, sources, |arguments, environment, files| {
                settings::resolve_with(arguments, environment, files, &mut [others])
            })?;
        resolved.warnings.splice(0..0, warnings.into_iter().chain(of_files));
        Ok(resolved)
    }

    fn arguments(&self, provision: Option<Provisioning>) -> Arguments {
        let (account, sessions) = (&self.account, &self.sessions);
        let provision = provision.or(account.provision.map(|when| match when {
            ProvisionName::Auto => Provisioning::Auto,
            ProvisionName::Always => Provisioning::Always,
            ProvisionName::Never => Provisioning::Never,
        }));
        Arguments {
            enabled: self.enabled,
            url: self.url.clone(),
            gateway_id: self.gateway_id.clone(),
            platform: self.platform.clone(),
            bot_id: self.bot_id.clone(),
            identities: self.identity.clone(),
            endpoint: account.endpoint.clone(),
            route_keys: account.route_keys.clone(),
            instance_id: account.instance_id.clone(),
            wake_url: account.wake_url.clone(),
            display_name: account.display_name.clone(),
            access_token_command: account.access_token_command.clone(),
            access_token_file: account.access_token_file.clone(),
            policy: self.policy.clone(),
            inbound_listen: self.inbound_listen.clone(),
            slack_reply_in_thread: sessions.slack_reply_in_thread,
            slack_thread_sessions: sessions.slack_thread_sessions,
            group_sessions_per_user: sessions.group_sessions_per_user,
            thread_sessions_per_user: sessions.thread_sessions_per_user,
            turn_reactions: self.turn_reactions,
            raw_events: self.shown.raw_events,
            unknown_frames: self.shown.unknown_frames,
            prompts: self.shown.prompts.map(|prompts| prompts == OnOff::On),
            provision,
            set: self.set.clone(),
            ..Arguments::default()
        }
    }
}

fn unreadable(what: &str, path: &Path, error: &io::Error) -> Unresolved {
    Unresolved::Unreadable(format!("{what} {}: {error}", path.display()))
}

/// Reads the file of a flag, which messages call by its path.
fn given<'a>(flag: &str, path: &'a Path) -> Result<Given<'a>, Unresolved> {
    let contents = files::read(path).map_err(|error| unreadable(flag, path, &error))?;
    Ok((path, path.display().to_string(), contents))
}

fn text<'a>(what: &str, path: &Path, contents: &'a Contents) -> Result<&'a str, Unresolved> {
    contents.text().map_err(|error| unreadable(what, path, &error))
}

/// Reads a file that holds a secret and nothing else; `what` names it.
fn secret(what: &str, path: &Path, warnings: &mut Vec<String>) -> Result<Secret, Unresolved> {
    let contents = files::read(path).map_err(|error| unreadable(what, path, &error))?;
    warnings.extend(contents.warning(format_args!("{what} {}", path.display()), path));
    text(what, path, &contents).map(Secret::from)
}

/// What a file of `--secret-file` holds; what is wrong with it has been said otherwise.
pub(crate) fn secret_file(file: &Path) -> Result<Secret, ExitCode> {
    let mut warnings = Vec::new();
    let secret = secret("--secret-file", file, &mut warnings).map_err(|error| error.end())?;
    for warning in warnings {
        tracing::warn!(warning, "configuration");
    }
    Ok(secret)
}

/// An environment variable, blank ones counting as unset. One that is no text must not: it is an error.
pub(crate) fn variable(name: &str) -> Result<Option<Secret>, ExitCode> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(Secret::new(value)).filter(|value| !value.is_blank())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            Err(fail(2, format_args!("{name} is not UTF-8: set it again, or unset it")))
        }
    }
}

impl RuntimeName {
    /// Starts a gateway on this runtime, and runs `host` with it to its end.
    pub(crate) fn host<F: Future>(
        self,
        config: GatewayConfig,
        host: impl FnOnce(Relay, Inbox) -> F,
    ) -> io::Result<F::Output> {
        self.run(|| async move {
            let (relay, inbox) = match self {
                RuntimeName::Tokio => relayline_tokio::connect(config)?,
                RuntimeName::Smol => relayline_smol::connect(config)?,
            };
            Ok(host(relay, inbox).await)
        })
    }

    /// Serves the metrics page over a port that is open.
    pub(crate) fn serve_metrics(self, relay: &Relay, listener: TcpListener) -> io::Result<()> {
        match self {
            RuntimeName::Tokio => relayline_tokio::serve_metrics(relay, listener),
            RuntimeName::Smol => relayline_smol::serve_metrics(relay, listener),
        }
    }

    /// Runs `job` to its end with an HTTP client on this runtime.
    pub(crate) fn with_client<F: Future>(
        self,
        network: &Network,
        job: impl FnOnce(Client) -> F,
    ) -> io::Result<F::Output> {
        self.run(|| async move {
            let client = match self {
                RuntimeName::Tokio => relayline_tokio::http_client(network)?,
                RuntimeName::Smol => relayline_smol::http_client(network)?,
            };
            Ok(job(client).await)
        })
    }

    /// Runs `job` to its end.
    pub(crate) fn run<T, F: Future<Output = io::Result<T>>>(self, job: impl FnOnce() -> F) -> io::Result<T> {
        match self {
            RuntimeName::Tokio => relayline_tokio::block_on(async { job().await })?,
            RuntimeName::Smol => relayline_smol::block_on(async { job().await })?,
        }
    }
}
