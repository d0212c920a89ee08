//! Configuration of a gateway in code, and its first connection.

use crate::environment::resolve_with_environment;
use crate::error::ConnectError;
use crate::http::Client;
use crate::inbox::Inbox;
use crate::relay::Relay;
use crate::{Runtime, boot, start_prepared};
use relayline_control::config::GatewayConfig;
use relayline_control::network::CaCertificates;
use relayline_control::settings::table::{self, Spec};
use relayline_control::settings::{self, Arguments, Resolved, Sources};
use relayline_core::config::Identity;
use relayline_core::id::Id;
use relayline_core::secret::Secret;
use std::fmt;
use std::marker::PhantomData;

/// A runtime that knows whether the caller is on it.
pub trait CurrentRuntime: Runtime {
    /// Returns the runtime of the caller.
    ///
    /// # Errors
    /// The caller is not on this runtime.
    fn current() -> Result<Self, ConnectError>;
}

type Change = Box<dyn FnOnce(&mut GatewayConfig) + Send>;
type Preparation = Box<dyn FnOnce(&Relay) + Send>;

/// Builder of a gateway.
///
/// Each setter overrides the environment, if the environment is read.
#[must_use = "it does nothing until it connects"]
pub struct Builder<R> {
    arguments: Arguments,
    reads_environment: bool,
    retries: bool,
    /// Set with the feature `platform-verifier` only.
    pub(crate) platform_verifier: bool,
    changes: Vec<Change>,
    preparations: Vec<Preparation>,
    runtime: PhantomData<fn() -> R>,
}

impl<R> fmt::Debug for Builder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("arguments", &self.arguments)
            .field("reads_environment", &self.reads_environment)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

impl<R: CurrentRuntime> Builder<R> {
    /// Creates a builder for a connector's URL, as in `wss://connector.example`.
    pub fn new(url: impl Into<String>) -> Builder<R> {
        Builder::empty().setting(&table::URL, url.into())
    }

    /// Creates a builder that reads all settings from the environment: `GATEWAY_RELAY_URL` and so on.
    pub fn from_env() -> Builder<R> {
        Builder::empty().environment()
    }

    fn empty() -> Builder<R> {
        Builder {
            arguments: Arguments::default(),
            reads_environment: false,
            retries: false,
            platform_verifier: false,
            changes: Vec::new(),
            preparations: Vec::new(),
            runtime: PhantomData,
        }
    }

    /// Reads settings that are not set here from the environment, which is not read by default. That includes proxies and
    /// certificates: `HTTPS_PROXY`, `SSL_CERT_FILE`.
    pub fn environment(mut self) -> Self {
        self.reads_environment = true;
        self
    }

    /// Adds a platform and the bot's id there. The first one is the default.
    pub fn identity(self, identity: impl Into<Identity>) -> Self {
        let Identity { platform, bot_id, .. } = identity.into();
        self.setting(&table::IDENTITY, format!("{platform}:{bot_id}"))
    }

    /// Sets the gateway's id and secret. Without them, dials are unauthenticated.
    pub fn credentials(self, gateway_id: impl Into<Id>, secret: impl Into<Secret>) -> Self {
        let gateway_id = String::from(gateway_id.into());
        self.setting(&table::GATEWAY_ID, gateway_id).setting(&table::SECRET, secret)
    }

    /// Sets an access token. The gateway uses it to request credentials before the first dial.
    pub fn access_token(self, token: impl Into<Secret>) -> Self {
        self.setting(&table::ACCESS_TOKEN, token)
    }

    /// Trusts certificates besides the authorities that browsers trust, or besides those of the operating system: one or
    /// more in PEM form, or one in DER form. Errors refer to them as `name`.
    pub fn certificates(mut self, name: impl Into<String>, certificates: impl Into<Vec<u8>>) -> Self {
        self.arguments.ca_certificates = Some(CaCertificates::new(name, certificates));
        self
    }

    /// Sends credentials over unencrypted connections to other machines, too.
    pub fn allow_insecure(self) -> Self {
        self.setting(&table::ALLOW_INSECURE, "true")
    }

    /// Sets a limit or a time-out by its name: `limit("handshake_timeout", "1s")`.
    pub fn limit(self, name: &str, value: &str) -> Self {
        self.setting(&table::SET, format!("{name}={value}"))
    }

    /// Sets any setting of the program, by its row of the table of settings.
    pub fn setting(mut self, setting: &Spec, value: impl Into<Secret>) -> Self {
        self.arguments.push(setting, value);
        self
    }

    /// Changes the configuration after everything else is resolved.
    pub fn configure(mut self, change: impl FnOnce(&mut GatewayConfig) + Send + 'static) -> Self {
        self.changes.push(Box::new(change));
        self
    }

    /// Calls `prepare` before the first dial, for instance to [prime](Relay::prime) chats.
    pub fn prepare(mut self, prepare: impl FnOnce(&Relay) + Send + 'static) -> Self {
        self.preparations.push(Box::new(prepare));
        self
    }

    /// Keeps dialing until the gateway is connected. By default the first dial that fails is an error.
    pub fn retry_initial_connect(mut self) -> Self {
        self.retries = true;
        self
    }

    /// Resolves the configuration, without connecting.
    ///
    /// # Errors
    /// A setting is missing or malformed. The error names it and its source.
    pub fn resolve(&mut self) -> Result<Resolved, ConnectError> {
        let mut resolved = if self.reads_environment {
            resolve_with_environment(&mut self.arguments)
        } else {
            settings::resolve(&Sources::new(&self.arguments, &|_| None))
        }?;
        resolved.config.network.platform_verifier = self.platform_verifier;
        Ok(resolved)
    }

    /// Connects: provisions credentials and sends policies if the configuration asks for it, dials, and waits for the
    /// handshake. After that the gateway connects again by itself whenever it loses the connection.
    ///
    /// Dropping the future disconnects the gateway.
    ///
    /// # Errors
    /// The configuration is wrong, the caller is not on the runtime, or the first dial failed. The last is not an error
    /// with [`retry_initial_connect`](Self::retry_initial_connect).
    pub async fn connect(mut self) -> Result<(Relay, Inbox), ConnectError> {
        let runtime = R::current()?;
        let resolved = self.resolve()?;
        let client = Client::new(runtime.clone(), &resolved.config.network)?;
        let mut config = boot(&client, resolved).await?;
        for change in self.changes {
            change(&mut config);
        }
        let preparations = self.preparations;
        let prepare = |relay: &Relay| preparations.into_iter().for_each(|prepare| prepare(relay));
        let (relay, inbox) = start_prepared(runtime, config, prepare)?;
        relay.first_connection(self.retries).await?;
        Ok((relay, inbox))
    }
}
