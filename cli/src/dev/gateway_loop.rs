//! The gateway of `relayline dev`. One that was revoked starts again when the workbench admits it.

use super::agent_process::{AgentControl, DevAgents};
use crate::acp::{self, AcpArguments, AcpEnd, AcpOptions};
use crate::bridge::{self, AgentKind, End, Facilities, MediaFolder, Options};
use crate::exec::Current;
use crate::gateway::{HostLimits, RuntimeName};
use crate::signals::Shutdown;
use crate::workbench::WorkbenchPage;
use crate::{fail, run};
use relayline_acp::Settling;
use relayline_control::config::GatewayConfig;
use serde_json::Value;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

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
                    if !self.page.wait_until_admitted(&self.shutdown) {
                        return ExitCode::SUCCESS;
                    }
                    // The end of the gateway was the end of its agent.
                    self.agent.restart("the gateway started again");
                }
                Ok(ended) => return run::end(ended.map(|end| (end, true))),
                Err(code) => return code,
            }
        }
    }

    fn run_bridge(&self, agents: &mut DevAgents) -> Result<io::Result<End>, ExitCode> {
        let mut config = self.config.clone();
        config.machine.command_manifest.clone_from(&self.manifest);
        let prompts = self.acp.prompt_policy(&run::platforms(&config)).map_err(|error| fail(2, error))?;
        let options = Options {
            auto_ack: self.auto_ack,
            facilities: Facilities::default(),
            settings: self.limits.agent.clone(),
            kind: AgentKind::Exec,
            media: self.media.clone(),
            prompts,
        };
        Ok(bridge::run(self.runtime, config, agents, options, &self.shutdown))
    }

    fn run_acp(&self, agents: &mut DevAgents) -> Result<io::Result<End>, ExitCode> {
        let mut config = self.config.clone();
        let machine = acp::machine(self.acp, &self.limits, &config, Settling::default())?;
        let state = acp::session_file(self.acp, &machine)?;
        let files = acp::message_files(self.media_dir, &self.limits)?;
        let declares_commands = self.manifest.is_none();
        config.machine.command_manifest = self.manifest.clone().or_else(|| machine.command_manifest());
        let options = AcpOptions {
            machine,
            state,
            files,
            facilities: Facilities::default(),
            limits: self.limits.clone(),
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
