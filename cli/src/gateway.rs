//! Settings, files and runtime of the commands that use a gateway.

use crate::bridge::{AgentSettings, ControlSettings, Monitor};
use crate::config_file::LoadedConfig;
use crate::fail;
use crate::flags::{GatewayCommands, Given, SettingFlags};
use crate::queue::QueueStart;
use clap::{Args, ValueEnum};
use relayline_acp::AcpLimits;
use relayline_control::config::GatewayConfig;
use relayline_control::network::Network;
use relayline_control::settings::table::{self, Kind};
use relayline_control::settings::{self, ConfigError, ConfigFile, EnvFile, Resolved, Sources};
use relayline_core::secret::Secret;
use relayline_queue::config::QueueLimits;
use relayline_queue::inbox::{DurableQueue, OpenError};
use relayline_runtime::files::{self, Contents};
use relayline_runtime::http::Client;
use relayline_runtime::observe::WireObserver;
use relayline_runtime::{
    CurrentRuntime, Inbox, Relay, ca_certificates, default_env_file, detect_host, read_certificates,
    start_prepared, with_environment,
};
use relayline_smol::Smol;
use relayline_tokio::Tokio;
use std::env::VarError;
use std::fmt;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Runtime that does the socket work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RuntimeName {
    Tokio,
    Smol,
}

/// Limits and time-outs of the program, besides those of the gateway.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostLimits {
    pub(crate) agent: AgentSettings,
    pub(crate) queue: QueueLimits,
    pub(crate) acp: AcpLimits,
    pub(crate) control: ControlSettings,
}

/// Configuration of a caller that goes on without a URL.
#[derive(Debug)]
pub(crate) struct ResolvedSilently {
    pub(crate) resolved: Result<Resolved, Unresolved>,
    pub(crate) limits: HostLimits,
    pub(crate) gateway_id: Option<String>,
}

fn gateway_id_of(resolved: &Resolved) -> Option<String> {
    resolved.config.machine.credentials.as_ref().map(|credentials| credentials.gateway_id.clone())
}

/// Flags of the commands that connect as a gateway.
#[derive(Debug, Args)]
pub(crate) struct GatewayArguments {
    #[command(flatten)]
    settings: SettingFlags<GatewayCommands>,

    #[command(flatten)]
    pub(crate) network: NetworkArguments,

    /// Env file with settings, as enroll writes it.
    ///
    /// Flags and environment variables override it, and it overrides the config file. Example:
    /// --env-file gateway.env.
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    env_file: Option<PathBuf>,
}

/// Flags of the commands that connect to a connector and resolve settings.
#[derive(Debug, Args)]
pub(crate) struct NetworkArguments {
    /// TOML config file, whose keys are the names of flags.
    ///
    /// Flags override environment variables, which override the env file, which overrides the config file. Example:
    /// --config relayline.toml, with lines such as url = "wss://connector.example".
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    pub(crate) config: Option<PathBuf>,

    /// Contents of the file of `--config`, or the error.
    #[arg(skip)]
    pub(crate) loaded: Option<Result<LoadedConfig, Unresolved>>,

    /// Async runtime that does the socket work.
    #[arg(long, help_heading = "Configuration", value_enum, default_value_t = RuntimeName::Tokio, value_name = "NAME")]
    pub(crate) runtime: RuntimeName,
}

/// Error returned when the configuration cannot be resolved.
#[derive(Clone, Debug)]
pub(crate) enum Unresolved {
    /// A setting is wrong or missing.
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
    /// Prints the error and returns the exit code: a relay that is switched off is not a failure (H-9).
    pub(crate) fn end(&self) -> ExitCode {
        let code = if matches!(self, Unresolved::Settings(ConfigError::Disabled(_))) { 0 } else { 2 };
        fail(code, self)
    }
}

/// Env files of a command.
#[derive(Clone, Copy, Default)]
pub(crate) struct EnvFiles<'a> {
    /// Env file with settings.
    pub(crate) settings: Option<&'a Path>,
    /// Env file beside which a `.managed` says that the install is managed (H-3).
    pub(crate) managed_by: Option<&'a Path>,
}

impl NetworkArguments {
    /// Reads the files with settings, and resolves them with `resolve`. Also returns warnings about files with secrets that
    /// other users can read.
    pub(crate) fn resolve<T>(
        &self,
        Given { mut arguments, files }: Given,
        env_files: EnvFiles<'_>,
        resolve: impl FnOnce(&Sources<'_>) -> Result<T, ConfigError>,
    ) -> Result<(T, Vec<String>), Unresolved> {
        let mut warnings = Vec::new();
        let mut ca_file = None;
        for (spec, path) in &files {
            match spec.kind {
                // The CA file is the only setting of this kind. All other files hold secrets.
                Kind::File => ca_file = Some(path.as_path()),
                _ => arguments.push(spec, secret(spec.flag, path, &mut warnings)?),
            }
        }
        arguments.ca_certificates = ca_certificates(ca_file)?;
        detect_host(&mut arguments, env_files.managed_by);
        let env_file = env_files.settings.map(read_env_file).transpose()?;
        let config = self.loaded.as_ref().map(|loaded| loaded.as_ref().map_err(Clone::clone)).transpose()?;
        let mut config_file = config.map(|config| config.file.clone());
        if let (Some(config), Some(file)) = (config, &mut config_file) {
            if let (None, Some(setting)) = (&arguments.ca_certificates, file.setting(&table::CA_FILE)) {
                let path = config.folder().join(setting.text());
                arguments.ca_certificates = Some(read_certificates(&setting.source.to_string(), &path)?);
            }
            read_contents(file, &config.folder(), &mut warnings)?;
        }
        if let Some((path, contents, file)) = &env_file {
            warnings.extend(file.secret().and_then(|source| contents.warning(source, path)));
        }
        if let Some(LoadedConfig { path, contents, file }) = config {
            warnings.extend(file.secret().and_then(|source| contents.warning(source, path)));
        }
        let resolved = with_environment(|environment| {
            let mut sources = Sources::new(&arguments, environment);
            sources.env_file = env_file.as_ref().map(|(.., file)| file);
            sources.config_file = config_file.as_ref();
            resolve(&sources)
        })?;
        Ok((resolved, warnings))
    }
}

/// Reads the files of secrets that the configuration file names. Their paths are relative to its folder.
fn read_contents(file: &mut ConfigFile, folder: &Path, warnings: &mut Vec<String>) -> Result<(), Unresolved> {
    for spec in table::ALL {
        if let Some(named) = file.file_of(spec) {
            let content = secret(&named.source.to_string(), &folder.join(named.text()), warnings)?;
            file.set_content(spec, content);
        }
    }
    Ok(())
}

fn read_env_file(path: &Path) -> Result<(&Path, Contents, EnvFile), Unresolved> {
    let contents = files::read(path).map_err(|error| unreadable("--env-file", path, &error))?;
    let file = EnvFile::parse(&path.display().to_string(), &contents.lossy_text())?;
    Ok((path, contents, file))
}

/// Logs the warnings of a configuration.
fn log_warnings(warnings: &[String]) {
    for warning in warnings {
        tracing::warn!(warning, "configuration");
    }
}

/// URL with which the other settings are resolved if there is none.
const NO_URL: &str = "wss://none.invalid";

impl GatewayArguments {
    /// Resolves the configuration, and the plan of the steps before the dial. Logs warnings.
    pub(crate) fn resolve(&self) -> Result<Resolved, Unresolved> {
        let resolved = self.resolve_all(self.settings.given.clone(), &mut HostLimits::default())?;
        log_warnings(&resolved.warnings);
        Ok(resolved)
    }

    /// Resolves the configuration and the limits of the program. `limits` are texts `NAME=VALUE` that come after those
    /// of `--set`. Logs warnings.
    pub(crate) fn resolve_for_agent(&self, limits: &[String]) -> Result<(Resolved, HostLimits), Unresolved> {
        let (mut given, mut settings) = (self.settings.given.clone(), HostLimits::default());
        limits.iter().for_each(|limit| given.arguments.push(&table::SET, limit.as_str()));
        let resolved = self.resolve_all(given, &mut settings)?;
        log_warnings(&resolved.warnings);
        Ok((resolved, settings))
    }

    /// Resolves the configuration of a gateway that is always provisioned. Logs warnings.
    pub(crate) fn resolve_to_provision(&self) -> Result<Resolved, Unresolved> {
        let mut given = self.settings.given.clone();
        given.arguments.push(&table::PROVISION, "always");
        let resolved = self.resolve_all(given, &mut HostLimits::default())?;
        log_warnings(&resolved.warnings);
        Ok(resolved)
    }

    /// Resolves the configuration and the limits as [`resolve_for_agent`](Self::resolve_for_agent), for a caller that
    /// shows the warnings itself. Without a URL the limits and the gateway's id are resolved nevertheless.
    pub(crate) fn resolve_silently(&self, limits: &[String]) -> ResolvedSilently {
        let (mut given, mut settings) = (self.settings.given.clone(), HostLimits::default());
        limits.iter().for_each(|limit| given.arguments.push(&table::SET, limit.as_str()));
        let mut resolved = self.resolve_all(given.clone(), &mut settings);
        let mut gateway_id = resolved.as_ref().ok().and_then(gateway_id_of);
        if let Err(Unresolved::Settings(ConfigError::NoUrl { .. })) = resolved {
            given.arguments.push(&table::URL, NO_URL);
            match self.resolve_all(given, &mut settings) {
                Ok(others) => gateway_id = gateway_id_of(&others),
                // Another error is that of the settings.
                Err(error) => resolved = Err(error),
            }
        }
        ResolvedSilently { resolved, limits: settings, gateway_id }
    }

    fn resolve_all(&self, given: Given, limits: &mut HostLimits) -> Result<Resolved, Unresolved> {
        let HostLimits { agent, queue, acp, control } = limits;
        let default = default_env_file();
        let settings = self.env_file.as_deref();
        let env_files = EnvFiles { settings, managed_by: settings.or(default.as_deref()) };
        let (mut resolved, warnings) = self.network.resolve(given, env_files, |sources| {
            settings::resolve_with(sources, &mut [agent, queue, acp, control])
        })?;
        resolved.warnings.splice(0..0, warnings);
        Ok(resolved)
    }
}

pub(crate) fn unreadable(name: &str, path: &Path, error: &io::Error) -> Unresolved {
    Unresolved::Unreadable(format!("{name} {}: {error}", path.display()))
}

/// Reads a file that contains only a secret. `name` is the name of its setting.
fn secret(name: &str, path: &Path, warnings: &mut Vec<String>) -> Result<Secret, Unresolved> {
    let contents = files::read(path).map_err(|error| unreadable(name, path, &error))?;
    warnings.extend(contents.warning(format_args!("{name} {}", path.display()), path));
    contents.text().map(Secret::from).map_err(|error| unreadable(name, path, &error))
}

/// Reads the file of `--secret-file`. Logs warnings and prints the error.
pub(crate) fn secret_file(file: &Path) -> Result<Secret, ExitCode> {
    let mut warnings = Vec::new();
    let secret = secret("--secret-file", file, &mut warnings).map_err(|error| error.end())?;
    log_warnings(&warnings);
    Ok(secret)
}

/// Returns an environment variable. A blank one counts as unset; one that is not UTF-8 is an error.
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
    /// Starts a gateway on this runtime, and runs `host` with it to completion. `observer` sees its wire from the first dial
    /// on.
    pub(crate) fn host<F: Future>(
        self,
        config: GatewayConfig,
        observer: Option<Arc<dyn WireObserver>>,
        host: impl FnOnce(Relay, Inbox) -> F,
    ) -> io::Result<F::Output> {
        self.run(|| async move {
            let prepare = |relay: &Relay| observer.into_iter().for_each(|observer| relay.observe(observer));
            let (relay, inbox) = match self {
                RuntimeName::Tokio => start_prepared(Tokio::current()?, config, prepare)?,
                RuntimeName::Smol => start_prepared(Smol::current()?, config, prepare)?,
            };
            Ok(host(relay, inbox).await)
        })
    }

    /// Starts a gateway with a queue on this runtime, and runs `host` with the queue to completion.
    pub(crate) fn host_with_queue<T, F: Future<Output = io::Result<T>>>(
        self,
        config: GatewayConfig,
        start: QueueStart,
        observer: Option<Arc<dyn WireObserver>>,
        host: impl FnOnce(DurableQueue) -> F,
    ) -> io::Result<Result<T, OpenError>> {
        self.run(|| async move {
            let opened = match self {
                RuntimeName::Tokio => start.open(Tokio::current()?, config, observer).await?,
                RuntimeName::Smol => start.open(Smol::current()?, config, observer).await?,
            };
            Ok(match opened {
                Ok(queue) => Ok(host(queue).await?),
                Err(error) => Err(error),
            })
        })
    }

    /// Serves the metrics page on `listener`, with counters and gauges of the host.
    pub(crate) fn serve_metrics(
        self,
        relay: &Relay,
        listener: TcpListener,
        monitor: &Monitor,
    ) -> io::Result<()> {
        let monitor = monitor.clone();
        let metrics = move || monitor.metrics();
        match self {
            RuntimeName::Tokio => relayline_tokio::serve_metrics_with(relay, listener, metrics),
            RuntimeName::Smol => relayline_smol::serve_metrics_with(relay, listener, metrics),
        }
    }

    /// Runs `job` to completion with an HTTP client on this runtime.
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

    /// Runs `job` to completion.
    pub(crate) fn run<T, F: Future<Output = io::Result<T>>>(self, job: impl FnOnce() -> F) -> io::Result<T> {
        match self {
            RuntimeName::Tokio => relayline_tokio::block_on(async { job().await })?,
            RuntimeName::Smol => relayline_smol::block_on(async { job().await })?,
        }
    }
}
