//! `relayline doctor`: why does it not connect? From the settings to the handshake, a line for each step.

mod clock;
mod handshake;
mod probe;
mod reach;

use crate::boot::carry_out;
use crate::fail;
use crate::gateway::{GatewayArguments, Unresolved};
use crate::run::RunArguments;
use clap::Args;
use relayline_control::http::TIMEOUT;
use relayline_control::http::boot::{Plan, Report};
use relayline_control::settings::{ConfigError, Resolved};
use std::fmt::{self, Display};
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// Find out why a gateway does not connect: each step from the settings to the handshake has its line
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  GATEWAY_RELAY_URL=wss://connector.example GATEWAY_RELAY_ID=gw-1 GATEWAY_RELAY_SECRET=... relayline doctor

It takes every flag of `run`, but starts no agent, and opens no port.

A line begins with ok, warn or fail, names the step, and says what was found and what to do about it: settings, dns, tcp,
tls, upgrade, clock, credentials, handshake. One that begins with wait says for how long the step that comes next may
wait. After a step without which the next cannot be, there are no more. Where a secret is provisioned, it is asked for,
as `run` would: where the connector issues a new one each time, that makes void what a running gateway of the same id was
issued.

It connects as the gateway that it is told to be, and leaves again. A gateway that runs with the same id may be cut off
by that for a moment, and what is said in that moment may be lost.

Exit codes: 0 no step failed, 1 one failed, 2 flags, environment or configuration file wrong.")]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    pub(crate) run: RunArguments,
}

/// How well a step went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// The step has begun, and may take its time.
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

/// A step that failed, so that there is no next one.
#[derive(Debug)]
struct Stop;

/// What is said, a line as soon as it is known.
#[derive(Debug, Default)]
struct Findings {
    failed: bool,
}

impl Findings {
    fn say(&mut self, verdict: Verdict, step: &str, what: impl Display) {
        self.failed |= verdict == Verdict::Fail;
        // A reader that has left is none to tell.
        let _ = writeln!(io::stdout(), "{:<4} {step}: {what}", verdict.to_string());
    }

    fn wait(&mut self, step: &str, up_to: Duration) {
        // Whole seconds: nobody waits for a shorter time with a watch in hand.
        let seconds = up_to.as_secs() + u64::from(up_to.subsec_nanos() > 0);
        self.say(Verdict::Wait, step, format_args!("waiting up to {seconds} s"));
    }

    fn ok(&mut self, step: &str, what: impl Display) {
        self.say(Verdict::Ok, step, what);
    }

    fn warn(&mut self, step: &str, what: impl Display) {
        self.say(Verdict::Warn, step, what);
    }

    fn stop(&mut self, step: &str, what: impl Display) -> Stop {
        self.say(Verdict::Fail, step, what);
        Stop
    }
}

pub(crate) fn run(arguments: &DoctorArguments) -> ExitCode {
    let mut findings = Findings::default();
    let gateway = &arguments.run.gateway;
    let resolved = match gateway.resolve_silently() {
        Ok(resolved) => resolved,
        Err(Unresolved::Settings(off @ ConfigError::Disabled(_))) => {
            findings.warn("settings", off);
            return ExitCode::SUCCESS;
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
        let what = "no platform is set, so that the gateway says it is \"relay\": give --platform or --identity, or set \
                    GATEWAY_RELAY_PLATFORM";
        findings.warn("settings", what);
    }
    match examine(gateway, resolved, &mut findings) {
        Ok(Ok(()) | Err(Stop)) if findings.failed => ExitCode::from(1),
        Ok(Ok(()) | Err(Stop)) => ExitCode::SUCCESS,
        Err(error) => fail(1, error),
    }
}

fn examine(
    gateway: &GatewayArguments,
    resolved: Resolved,
    findings: &mut Findings,
) -> io::Result<Result<(), Stop>> {
    let Resolved { mut config, plan, names_platform, .. } = resolved;
    let runtime = gateway.network.runtime;
    findings.ok("settings", &config.url);
    // Nobody is to deliver anything to an examination.
    config.inbound_listen = None;
    if let Err(stop) = reach::reach(runtime, &config, findings)? {
        return Ok(Err(stop));
    }
    let network = config.network.clone();
    let probed = runtime.with_client(&network, |client| {
        let (config, findings) = (&mut config, &mut *findings);
        async move {
            if let Some(plan) = plan.filter(|plan| plan.credentials.is_none()) {
                let plan = Plan { policies: Vec::new(), ..plan };
                findings.wait("provisioning", TIMEOUT * u32::try_from(plan.identities.len()).unwrap_or(1));
                config.machine.credentials =
                    match carry_out(&client, plan, |report| tell(findings, report)).await {
                        Ok(booted) => booted.credentials,
                        Err(known) => return Err(findings.stop("credentials", known)),
                    };
            }
            probe::probe(&client, config, findings).await
        }
    })?;
    match probed {
        Ok(()) => handshake::handshake(runtime, config, names_platform, findings),
        Err(stop) => Ok(Err(stop)),
    }
}

fn tell(findings: &mut Findings, report: Report) {
    match report {
        Report::Provisioned(platform, true) => findings.ok("provisioning", platform),
        Report::Provisioned(platform, false) => {
            findings.warn("provisioning", format_args!("{platform}: known already, no secret issued"));
        }
        Report::Failed { what, why } => findings.say(Verdict::Fail, &what, why),
        Report::Identity | Report::Policy(_) | Report::Nothing => {}
    }
}
