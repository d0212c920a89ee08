//! What a configuration is resolved from, but for the environment.

use crate::http::boot::Provisioning;
use crate::network::CaCertificates;
use relayline_core::secret::Secret;
use std::fmt;

/// What the caller was given as arguments, each of which goes before environment and file (H-9); and what it has
/// looked up of the machine.
#[derive(Clone, Default, Debug)]
pub struct Arguments {
    /// `--enabled`
    pub enabled: Option<bool>,
    /// `--url`
    pub url: Option<String>,
    /// `--gateway-id`
    pub gateway_id: Option<String>,
    /// The secret out of `--secret-file`; never an argument itself.
    pub secret: Option<Secret>,
    /// The comma list out of `--delivery-key-file`.
    pub delivery_key: Option<Secret>,
    /// `--platform`
    pub platform: Option<String>,
    /// `--bot-id`
    pub bot_id: Option<String>,
    /// `--identity PLATFORM[:BOT_ID]`, each; they go before `--platform`.
    pub identities: Vec<String>,
    /// `--endpoint`
    pub endpoint: Option<String>,
    /// `--route-keys`, a comma list.
    pub route_keys: Option<String>,
    /// `--instance-id`
    pub instance_id: Option<String>,
    /// `--wake-url`
    pub wake_url: Option<String>,
    /// `--display-name`
    pub display_name: Option<String>,
    /// `--token`: the enrollment token.
    pub enroll_token: Option<Secret>,
    /// `--access-token`
    pub access_token: Option<Secret>,
    /// `--access-token-command`; its text may hold a password.
    pub access_token_command: Option<Secret>,
    /// `--access-token-file FILE[#dotted.path]`
    pub access_token_file: Option<String>,
    /// `--policy`, JSON.
    pub policy: Option<String>,
    /// `--inbound-listen`
    pub inbound_listen: Option<String>,
    /// `--slack-reply-in-thread`
    pub slack_reply_in_thread: Option<bool>,
    /// `--slack-thread-sessions`
    pub slack_thread_sessions: Option<bool>,
    /// `--group-sessions-per-user`
    pub group_sessions_per_user: Option<bool>,
    /// `--thread-sessions-per-user`
    pub thread_sessions_per_user: Option<bool>,
    /// `--turn-reactions`
    pub turn_reactions: Option<bool>,
    /// `--raw-events`
    pub raw_events: Option<bool>,
    /// `--unknown-frames`
    pub unknown_frames: Option<bool>,
    /// `--prompts`
    pub prompts: Option<bool>,
    /// `--provision`
    pub provision: Option<Provisioning>,
    /// `--set NAME=VALUE`, each.
    pub set: Vec<String>,
    /// `--allow-insecure` (C-6)
    pub allow_insecure: bool,
    /// What the file of `--ca-file` or `SSL_CERT_FILE` holds.
    pub ca_certificates: Option<CaCertificates>,
    /// Whether a file `.managed` lies beside the env file (H-3).
    pub managed: bool,
    /// What the machine is called; the gateway's id when it has none (H-3).
    pub hostname: Option<String>,
}

/// A configuration file's text. It may hold secrets, and so is not shown (C-4).
#[derive(Clone, Copy)]
pub struct FileText<'a> {
    /// What messages call it.
    pub name: &'a str,
    /// What it holds.
    pub text: &'a str,
}

impl fmt::Debug for FileText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileText({}, {} bytes hidden)", self.name, self.text.len())
    }
}

/// Texts that settings are read from where neither an argument nor the environment gives them.
#[derive(Clone, Copy, Default, Debug)]
pub struct Files<'a> {
    /// An env file: the environment's lower layer.
    pub env_file: Option<FileText<'a>>,
    /// The configuration file, which counts after it.
    pub config: Option<FileText<'a>>,
    /// The content of the file that the configuration file names as `secret-file`.
    pub secret: Option<&'a Secret>,
    /// The content of the file that it names as `delivery-key-file`.
    pub delivery_key: Option<&'a Secret>,
    /// Further keys of the configuration file, which the host reads itself: see
    /// [`Glance::host`](super::Glance::host).
    pub host_keys: &'a [String],
}
