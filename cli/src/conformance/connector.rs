//! `relayline conformance connector`: plays a gateway against a connector.

use super::files::ReportArguments;
use super::output::Printer;
use super::selection::{self, SelectionArguments};
use super::{finish, interrupted};
use crate::gateway::secret_file;
use crate::network::network;
use crate::{fail, flags, print};
use clap::Args;
use relayline_control::settings::table;
use relayline_control::url::DialUrl;
use relayline_core::secret::Secret;
use relayline_harness::conformance::report::Report;
use relayline_harness::conformance::{ConnectorTarget, RunControl, Side, run_connector};
use std::path::PathBuf;
use std::process::ExitCode;

/// Judge a connector, as one of its gateways.
///
/// Scenarios run one after the other, each on connections of its own. No other gateway may use the id meanwhile.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  relayline conformance connector ws://127.0.0.1:8080 --gateway-id gw-1 --secret-file gateway.secret
  relayline conformance connector wss://connector.example --gateway-id gw-1 --secret-file s --html report.html
  relayline conformance connector wss://127.0.0.1:8443 --ca-file server.pem --gateway-id gw-1 --secret-file s
  relayline conformance connector ws://127.0.0.1:8080 --gateway-id gw-1 --secret-file s --inbound-command 'cat > pipe'

--inbound-command has the connector deliver a message of a user: the shell runs it once for each message. It reads one line,
{\"do\":\"inbound\",\"event\":{…},\"buffered\":bool}, as relayline connector reads it, and has INBOUND_TEXT,
INBOUND_CHAT_ID, INBOUND_PLATFORM and INBOUND_BUFFERED (1: the gateway may be away) in its environment. Without it the
scenarios that need a message are skipped.

Exit codes: 0 no scenario that must pass has failed, except the expected ones; 1 one has failed, or an expected failure has
passed, or a file could not be written; 2 wrong flags; 130 interrupted, after printing the results so far.")]
pub(super) struct ConnectorArguments {
    /// URL of the connector, as a gateway is configured with it.
    #[arg(value_name = "URL", required_unless_present = "list")]
    url: Option<String>,

    /// Id of the gateway to play.
    #[arg(long, value_name = "ID", required_unless_present = "list")]
    gateway_id: Option<String>,

    /// File that holds the gateway's secret and nothing else.
    #[arg(long, value_name = "FILE", required_unless_present = "list")]
    secret_file: Option<PathBuf>,

    /// Platform of the hello, and the bot's id there.
    #[arg(long, value_name = "PLATFORM[:BOT_ID]", default_value = "discord:1001")]
    identity: String,

    /// Shell command that has the connector deliver a message.
    #[arg(long, value_name = "CMD")]
    inbound_command: Option<String>,

    #[arg(long, value_name = "FILE", help = flags::help(&table::CA_FILE))]
    ca_file: Option<PathBuf>,

    /// Send tokens unencrypted to a connector on another machine.
    #[arg(long)]
    allow_insecure: bool,

    #[command(flatten)]
    selection: SelectionArguments,

    #[command(flatten)]
    reports: ReportArguments,
}

/// Runs the command.
pub(super) fn run(arguments: &ConnectorArguments) -> ExitCode {
    let scenarios = match arguments.selection.scenarios(Side::Connector) {
        Ok(scenarios) => scenarios,
        Err(message) => return fail(2, message),
    };
    if arguments.selection.list {
        return print(selection::list(&scenarios).trim_end());
    }
    let baseline = match arguments.reports.baseline(Side::Connector) {
        Ok(baseline) => baseline,
        Err(message) => return fail(2, message),
    };
    let target = match target(arguments) {
        Ok(target) => target,
        Err(code) => return code,
    };
    let printer = Printer::new(scenarios.len(), arguments.reports.takes_stdout());
    let interrupted = interrupted();
    let progress = |result: &_| printer.result(result);
    let control = RunControl { jobs: 1, progress: &progress, is_stopped: &interrupted };
    let results = run_connector(scenarios, &target, &control);
    let report = Report::new(Side::Connector, target.url.to_string(), None, results);
    finish(&report, &baseline, &printer, &arguments.reports, &interrupted)
}

/// Reads the flags of the account.
fn target(arguments: &ConnectorArguments) -> Result<ConnectorTarget, ExitCode> {
    let url = arguments.url.as_deref().unwrap_or_default();
    let url = DialUrl::parse(url).map_err(|error| fail(2, format_args!("URL: {error}")))?;
    if !url.is_secure() && !url.is_loopback() && !arguments.allow_insecure {
        return Err(fail(
            2,
            "URL: tokens would be sent unencrypted: use a wss URL, or give --allow-insecure",
        ));
    }
    let network = network(arguments.ca_file.as_deref()).map_err(|error| fail(2, error))?;
    let secret = match &arguments.secret_file {
        Some(file) => secret_file(file)?,
        None => Secret::from(""),
    };
    // As a gateway reads it: a file may end with a newline.
    let secret = Secret::from(secret.expose().trim());
    if secret.is_blank() {
        return Err(fail(2, "--secret-file: the file is empty: write the gateway's secret into it"));
    }
    let (platform, bot_id) = arguments.identity.split_once(':').unwrap_or((&arguments.identity, ""));
    Ok(ConnectorTarget {
        url,
        network,
        gateway_id: arguments.gateway_id.clone().unwrap_or_default(),
        secret,
        platform: platform.to_owned(),
        bot_id: bot_id.to_owned(),
        inbound_command: arguments.inbound_command.clone(),
    })
}
