//! `relayline doctor`: checks each step of a connection, from the settings to the handshake.

mod agent;
mod clock;
mod handshake;
mod probe;
mod queue;
mod reach;

use crate::boot::run_plan;
use crate::fail;
use crate::gateway::{GatewayArguments, ResolvedSilently, Unresolved};
use crate::run::RunArguments;
use clap::Args;
use relayline_control::http::TIMEOUT;
use relayline_control::http::boot::Report;
use relayline_control::settings::{ConfigError, Resolved};
use std::fmt::{self, Display};
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// Diagnose a gateway that does not connect, step by step from the settings to the handshake.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  GATEWAY_RELAY_URL=wss://connector.example GATEWAY_RELAY_ID=gw-1 GATEWAY_RELAY_SECRET=... relayline doctor
  relayline doctor --url wss://connector.example --acp -- claude-agent-acp

It takes every flag of `run`, but opens no port. It starts no agent, except with --acp: then it first initializes the agent,
opens a session, and says what is missing. With --queue it examines the queue: a file's mode, content, settings and lock, or
the servers' version, replicas and leader.
Without a URL it checks the agent and the queue only. The agent's log is shown with -v.

Each line begins with ok, warn or fail, names the step, and says what was found and what to do: settings, dns, tcp, tls,
upgrade, clock, credentials, handshake. A line that begins with wait shows how long the next step may take. The output
ends after a step that prevents the next one. If a secret is to be provisioned, it requests one as `run` does. A connector
that issues a new secret each time makes the previous one of a running gateway with the same id invalid.

It connects as the configured gateway, and disconnects again. That may interrupt a running gateway with the same id for a
moment. Messages of that moment may be lost.

Exit codes: 0 no step failed; 1 a step failed; 2 flags, environment or config file wrong.")]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    pub(crate) run: RunArguments,
}

/// Result of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// The step has begun, and may take some time.
    Wait,
    Ok,
    Warn,
    Fail,
}

impl Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Wait => "wait",
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        })
    }
}

/// Advice for credentials that the connector has rejected.
const CHECK_CREDENTIALS: &str = "check the gateway's id and secret, and enroll again if they were revoked";
/// Advice for a gateway without credentials that the connector rejects.
const MISSING_CREDENTIALS: &str = "none are set, and the connector requires them: set GATEWAY_RELAY_ID and \
                                   GATEWAY_RELAY_SECRET, or enroll";

/// Failure that prevents the next step.
#[derive(Debug)]
enum Stop {
    /// The failure is printed as a finding.
    Reported,
    /// The check itself failed.
    Failed(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Failed(error)
    }
}

/// Printer of findings, one line each.
#[derive(Debug, Default)]
struct Findings {
    failed: bool,
}

impl Findings {
    fn say(&mut self, verdict: Verdict, step: &str, what: impl Display) {
        self.failed |= verdict == Verdict::Fail;
        // A closed stdout is ignored.
        let _ = writeln!(io::stdout(), "{:<4} {step}: {what}", verdict.to_string());
    }

    fn wait(&mut self, step: &str, up_to: Duration) {
        // Rounded up to whole seconds.
        let seconds = up_to.as_secs() + u64::from(up_to.subsec_nanos() > 0);
        self.say(Verdict::Wait, step, format_args!("waiting up to {seconds} s"));
    }

    fn ok(&mut self, step: &str, what: impl Display) {
        self.say(Verdict::Ok, step, what);
    }

    fn warn(&mut self, step: &str, what: impl Display) {
        self.say(Verdict::Warn, step, what);
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::from(u8::from(self.failed))
    }

    fn stop(&mut self, step: &str, what: impl Display) -> Stop {
        self.say(Verdict::Fail, step, what);
        Stop::Reported
    }
}

pub(crate) fn run(arguments: &DoctorArguments) -> ExitCode {
    let mut findings = Findings::default();
    let (gateway, acp) = (&arguments.run.gateway, &arguments.run.acp);
    let flags: Vec<String> = acp.limits().into_iter().chain(arguments.run.queue.limits()).collect();
    let ResolvedSilently { resolved, limits, gateway_id } = gateway.resolve_silently(&flags);
    if acp.is_given() {
        agent::examine(acp, &limits.acp, &mut findings);
    }
    if let Some(location) = arguments.run.queue.location() {
        queue::examine(location, gateway_id.as_deref(), &mut findings);
    }
    let resolved = match resolved {
        Ok(resolved) => resolved,
        Err(Unresolved::Settings(off @ ConfigError::Disabled(_))) => {
            findings.warn("settings", off);
            return findings.exit_code();
        }
        Err(Unresolved::Settings(ConfigError::NoUrl { .. })) if acp.is_given() => {
            findings.warn("settings", "no URL, so only the agent was checked");
            return findings.exit_code();
        }
        Err(Unresolved::Settings(ConfigError::NoUrl { .. })) if arguments.run.queue.is_given() => {
            findings.warn("settings", "no URL, so only the queue was checked");
            return findings.exit_code();
        }
        Err(error) => {
            findings.say(Verdict::Fail, "settings", error);
            return ExitCode::from(2);
        }
    };
    for warning in &resolved.warnings {
        findings.warn("settings", warning);
    }
    if !resolved.names_platform {
        let what = "no platform is set, so the gateway uses \"relay\": give --platform or --identity, or set \
                    GATEWAY_RELAY_PLATFORM";
        findings.warn("settings", what);
    }
    match examine(gateway, resolved, &mut findings) {
        Err(Stop::Failed(error)) => fail(1, error),
        Ok(()) | Err(Stop::Reported) => findings.exit_code(),
    }
}

/// Checks each step from the settings to the handshake.
fn examine(gateway: &GatewayArguments, resolved: Resolved, findings: &mut Findings) -> Result<(), Stop> {
    let Resolved { mut config, plan, names_platform, .. } = resolved;
    let runtime = gateway.network.runtime;
    findings.ok("settings", &config.url);
    // `doctor` serves no webhooks.
    config.inbound_listen = None;
    reach::reach(runtime, &config, findings)?;
    let network = config.network.clone();
    let probed = runtime.with_client(&network, |client| {
        let (config, findings) = (&mut config, &mut *findings);
        async move {
            if let Some(mut plan) = plan.filter(|plan| plan.credentials.is_none()) {
                plan.policies.clear();
                findings.wait("provisioning", TIMEOUT * u32::try_from(plan.identities.len()).unwrap_or(1));
                config.machine.credentials =
                    match run_plan(&client, plan, |report| report_provisioning(findings, report)).await {
                        Ok(booted) => booted.credentials,
                        Err(known) => return Err(findings.stop("credentials", known)),
                    };
            }
            probe::probe(&client, config, findings).await
        }
    })?;
    probed?;
    handshake::handshake(runtime, config, names_platform, findings)
}

fn report_provisioning(findings: &mut Findings, report: Report) {
    match report {
        Report::Provisioned(platform, true) => findings.ok("provisioning", platform),
        Report::Provisioned(platform, false) => {
            findings.warn(
                "provisioning",
                format_args!("{platform}: the gateway is known already, no secret issued"),
            );
        }
        Report::Failed { what, why } => findings.say(Verdict::Fail, &what, why),
        Report::AccessToken | Report::Policy(_) | Report::Nothing => {}
    }
}
