//! The gateway of `relayline dev`. One that was revoked starts again when the workbench admits it.

use super::agent_process::{AgentControl, DevAgents};
use crate::acp::{self, AcpArguments, AcpEnd, AcpOptions, MessageFiles};
use crate::bridge::{self, AgentKind, End, Facilities, MediaFolder, Options};
use crate::exec::Current;
use crate::gateway::{HostLimits, RuntimeName};
use crate::signals::Shutdown;
use crate::workbench::WorkbenchPage;
use crate::{fail, run};
use futures_util::FutureExt;
use relayline_acp::AcpMachine;
use relayline_control::config::GatewayConfig;
use serde_json::Value;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Interval of checks of whether a revoked gateway is admitted again.
const CHECK: Duration = Duration::from_millis(100);

/// Parts of the gateway.
pub(super) struct GatewayLoop<'a> {
    pub(super) runtime: RuntimeName,
    pub(super) config: GatewayConfig,
    pub(super) limits: HostLimits,
    pub(super) manifest: Option<Vec<Value>>,
    pub(super) media: MediaFolder,
    pub(super) acp: &'a AcpArguments,
    pub(super) media_dir: Option<&'a Path>,
    pub(super) auto_ack: bool,
    pub(super) current: Current,
    pub(super) shutdown: Shutdown,
    pub(super) page: Arc<WorkbenchPage>,
    pub(super) agent: AgentControl,
}

impl GatewayLoop<'_> {
    /// Runs the gateway until a request to stop. Prints errors, and returns the exit code.
    pub(super) fn run(self, mut agents: DevAgents) -> ExitCode {
        loop {
            let ended = match self.acp.is_given() {
                true => self.run_acp(&mut agents),
                false => self.run_bridge(&mut agents),
            };
            match ended {
                Ok(Ok(End::Disabled(fatal))) => {
                    tracing::warn!(%fatal, "revoked");
                    self.page.set_revoked(true);
                    if !self.wait_until_admitted() {
                        return ExitCode::SUCCESS;
                    }
                    self.page.set_revoked(false);
                    // The end of the gateway was the end of its agent.
                    self.agent.restart("the gateway started again");
                }
                Ok(ended) => return run::end(ended.map(|end| (end, true))),
                Err(code) => return code,
            }
        }
    }

    /// Returns true once the workbench admits the gateway again, and false at a request to stop.
    fn wait_until_admitted(&self) -> bool {
        while self.shutdown.triggered().now_or_never().is_none() {
            if !self.page.refuses_gateway() {
                return true;
            }
            std::thread::sleep(CHECK);
        }
        false
    }

    fn run_bridge(&self, agents: &mut DevAgents) -> Result<io::Result<End>, ExitCode> {
        let limits = self.limits.clone();
        let mut config = self.config.clone();
        config.machine.command_manifest.clone_from(&self.manifest);
        let prompts = self.acp.prompt_policy(&run::platforms(&config)).map_err(|error| fail(2, error))?;
        let options = Options {
            auto_ack: self.auto_ack,
            facilities: Facilities::default(),
            settings: limits.agent,
            kind: AgentKind::Exec,
            media: self.media.clone(),
            prompts,
        };
        Ok(bridge::run(self.runtime, config, agents, options, &self.shutdown))
    }

    fn run_acp(&self, agents: &mut DevAgents) -> Result<io::Result<End>, ExitCode> {
        let limits = self.limits.clone();
        let mut config = self.config.clone();
        let mut acp_config = self.acp.config(&limits.acp).map_err(|error| fail(2, error))?;
        acp_config.platforms = run::platforms(&config);
        acp_config.approvals = self.acp.approvals(&acp_config.platforms).map_err(|error| fail(2, error))?;
        let saved = self.acp.saved().map_err(|error| fail(1, error))?;
        let machine = AcpMachine::new(acp_config, &saved);
        let (transfers, max) = (limits.agent.media_transfers, limits.acp.acp_file_bytes);
        let files = MessageFiles::new(self.media_dir, transfers, max).map_err(|error| {
            fail(2, format_args!("the folder for files of messages: {error}; name one with --media-dir"))
        })?;
        let declares_commands = self.manifest.is_none();
        config.machine.command_manifest = self.manifest.clone().or_else(|| machine.command_manifest());
        let options = AcpOptions {
            machine,
            state: self.acp.state().map(acp::SessionFile::new),
            files,
            facilities: Facilities::default(),
            limits,
            declares_commands,
            current: self.current.clone(),
            queue: None,
        };
        match acp::run(self.runtime, config, agents, options, &self.shutdown) {
            Ok(AcpEnd::Gateway(end)) => Ok(Ok(end)),
            Ok(AcpEnd::Unusable(cause)) => Err(fail(if cause.is_configuration() { 2 } else { 1 }, cause)),
            Err(error) => Ok(Err(error)),
        }
    }
}
