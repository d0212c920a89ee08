//! `relayline connector`: the embedded connector, controlled by JSON lines or a script.

mod flags;

use crate::gateway::RuntimeName;
use crate::inspector::{InspectArguments, Inspected, Inspector, InspectorPort};
use crate::page_server::PageApp;
use crate::workbench::WorkbenchPage;
use clap::{Args, ValueEnum};
use relayline_connector::script::{Step, is_part_of};
use relayline_connector::{
    ConnectorConfig, Control, EmbeddedConnector, Like, Observation, StateError, StateFile, Stats,
};
use relayline_core::line::{Line, LineSplitter};
use relayline_core::secret::Secret;
use relayline_harness::recording::Gateway;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, IsTerminal, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Returns the part of the help below the flags.
fn after_help() -> String {
    let likes = Like::ALL.map(|like| format!("  {:<12}  {}", like.name(), like.description()));
    AFTER_HELP.replace("{likes}", &likes.join("\n"))
}

const AFTER_HELP: &str = "\
Example:
  relayline connector --listen 127.0.0.1:8080 --gateway my-agent=s3cret --platform discord
  {\"do\":\"inbound\",\"event\":{\"text\":\"hi\",\"source\":{\"platform\":\"discord\",\"chat_id\":\"1\"}}}

On a terminal a line that is not JSON is a message from a user, in a chat of the connected gateway's
platform, or else of the first --platform.

Commands are JSON objects, one per line, with `do` and its fields (those with ? are optional):
  inbound       event, buffered? (true: through the buffer; false: live or not at all)
  passthrough   forward, buffered?
  interrupt     session_key, chat_id?
  drop          cuts the TCP connection
  half_open     reads and writes nothing more on the connection, and leaves it open
  close         code? (1000), reason?
  revoke        on? (true): closes with 4401 `unauthorized`, and every dial with 4401 `revoked` (or 401)
  expire        closes with 4401 `expired`: the connection, or else the next dial (or 401)
  mute          on? (true): accepts upgrades, and sends nothing
  idle_ack      on: false withholds the confirmation
  answer        op, result (null restores the default)
  delay         op, ms (0 turns it off)
  descriptor    descriptor, platform?: from the next hello on
  raw           text: sent as one message; a frame needs its own newline
  enroll_token  token, tenant?, ttl_s?
  rotate        overlap_ms? (60000), secret?, delivery_key?
  deliver       event or interrupt, url?, key?, skew_s?: posted as a signed webhook
  press         option_id: the option's id, label or number; prompt_id?, chat_id?:
                by default the last open prompt; user_id?, user_name?: by default the chat's
                last author; buffered?
Each command may have `gateway`, the id of a gateway; by default it is for all gateways, or for the only one. Besides the
WebSocket it serves POST /relay/enroll, /relay/provision, /relay/policy and /relay/media, and GET /relay/media/ID. Each
request, and the result of each `deliver`, is a line {\"saw\":\"http\"} with secrets as <hidden>. Each provisioning issues
a new secret, and invalidates the gateway's previous ones. To let a gateway enroll:
  relayline connector --listen 127.0.0.1:8080 --enroll-token once --access-token let-me-in
A buffered entry that is not acknowledged within 10 s is a line {\"saw\":\"unacked\"}, once. The drain waits for it.

Behavior of other connectors, for --like:
{likes}

--inspect ADDR serves two pages, whose URLs are printed on stderr. The inspector shows the frames of each gateway as they
pass. The workbench has chats to type in and faults to cause, for the gateway that dials first; --inspect-hide-text
leaves it out.

With --state FILE, buffers, issued secrets, used tokens, and revoked and idle gateways are restored at the next start,
even if the process is killed. Flags apply in addition. {\"saw\":\"buffered\"} means that an entry is on disk,
{\"saw\":\"restored\"} lists the restored entries of a gateway. The file holds secrets in plain text, and only its owner
can read it.

A script may also wait, {\"wait_ms\":200}, and expect,
{\"expect\":{\"saw\":\"frame\",\"frame\":{\"type\":\"hello\"}},\"within_ms\":5000}.
Ctrl-C ends it. The end of stdin does not.

Exit codes: 0 done; 1 the port, the state file, the script or an expectation failed; 2 wrong flags.";

/// Run a connector for development: write commands to its stdin, read observations from its stdout.
#[derive(Debug, Args)]
#[command(after_long_help = after_help())]
pub(crate) struct ConnectorArgs {
    /// Address to listen on, as IP:PORT. Port 0 takes a free port, and the first line on stdout names it.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = address)]
    listen: SocketAddr,

    /// Gateway that may connect, with its secret. Repeatable.
    ///
    /// A gateway may have several secrets. Its tenant is `default`. Without this flag and the tokens below, any gateway may
    /// connect. For development only: `ps` shows the secret to other users of this machine.
    #[arg(long, value_name = "ID=SECRET", value_parser = |text: &str| Ok::<_, Infallible>(Secret::from(text)))]
    gateway: Vec<Secret>,

    /// Enrollment token, which works once. Repeatable.
    ///
    /// TENANT is `default` unless it is given; a token that contains `=` requires it. To enroll, a gateway also needs an
    /// access token of the same tenant. For development only: `ps` shows the token.
    #[arg(long, value_name = "TOKEN[=TENANT]", value_parser = |text: &str| Ok::<_, Infallible>(Secret::from(text)))]
    enroll_token: Vec<Secret>,

    /// Access token of TENANT (`default`), which enrolls and provisions gateways. Repeatable.
    ///
    /// With an access token only known gateways may connect. For development only: `ps` shows the token.
    #[arg(long, value_name = "TOKEN[=TENANT]", value_parser = |text: &str| Ok::<_, Infallible>(Secret::from(text)))]
    access_token: Vec<Secret>,

    /// Key that signs the webhooks of `deliver` for a gateway that did not enroll. For development only.
    #[arg(long, value_name = "ID=KEY", value_parser = |text: &str| Ok::<_, Infallible>(Secret::from(text)))]
    delivery_key: Vec<Secret>,

    /// URL that wakes up a gateway that did not provision. Repeatable.
    ///
    /// It gets a GET when something is buffered for the gateway while that is not connected, and every 30 s until it
    /// connects. A gateway that provisions brings its own URL.
    #[arg(long, value_name = "ID=URL")]
    wake_url: Vec<String>,

    /// Time that an uploaded file is kept, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 3_600_000)]
    media_ttl_ms: u64,

    /// Platform to offer. Repeatable; discord, telegram and slack by default.
    ///
    /// Other platforms get a minimal descriptor.
    #[arg(long, value_name = "NAME")]
    platform: Vec<String>,

    /// Refusal of an upgrade with a bad, expired or revoked token.
    ///
    /// close accepts the upgrade, and closes the connection with 4401 `unauthorized`, `expired` or `revoked`. http answers
    /// 401.
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Refuse::Close)]
    refuse: Refuse,

    /// Imitate an independent connector. The list below describes each.
    #[arg(long, value_name = "NAME")]
    like: Option<Like>,

    /// File that keeps buffers, issued secrets and idle gateways for the next start. It is created if it is missing.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,

    #[command(flatten)]
    inspect: InspectArguments,

    /// Play the commands of this file instead of reading stdin, then exit.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

/// Refusal of an upgrade.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Refuse {
    Close,
    Http,
}

/// Place of the workbench on the inspector's port.
const CHATS: &str = "/chats/";
/// Maximum length of a line of stdin, in bytes.
const MAX_LINE_BYTES: usize = 16 << 20;
/// Maximum number of observations that are kept for the next `expect`. The oldest is dropped first.
const MAX_KEPT: usize = 4096;

/// Runs the command.
pub(crate) fn run(args: ConnectorArgs) -> ExitCode {
    // The workbench shows texts.
    let has_workbench = args.inspect.inspect.is_some() && !args.inspect.inspect_hide_text;
    let config = match flags::config(&args) {
        Ok(config) => config.observes_output(has_workbench),
        Err(message) => return fail(2, &message),
    };
    // Before it listens: no part of a malformed script is played.
    let script = match args.script.as_deref().map(|file| load(file).map(|steps| (file, steps))).transpose() {
        Ok(script) => script,
        Err(message) => return fail(1, &message),
    };
    let inspector = match args.inspect.open() {
        Ok(inspector) => inspector,
        Err(error) => return fail(error.code(), &error.to_string()),
    };
    let connector = match start(config, args.listen, args.state.as_deref()) {
        Ok(connector) => Arc::new(connector),
        Err(message) => return fail(1, &message),
    };
    let workbench = has_workbench.then(|| Arc::new(WorkbenchPage::new(connector.clone(), None, None, "../")));
    let inspector = inspector.map(|port| inspect(port, &connector, known_secrets(&args), workbench.clone()));
    let inspector = match inspector.transpose() {
        Ok(inspector) => inspector,
        Err(error) => return fail(1, &format!("--inspect: {error}")),
    };
    let mut out = ObservationPrinter { kept: VecDeque::new(), keeps: script.is_some(), workbench };
    let listening = out.print(&Observation::Listening { url: connector.url() });
    let result = listening.map_err(Stop::from).and_then(|()| match script {
        Some((file, steps)) => play(&connector, &mut out, file, steps),
        None => bridge(&connector, &mut out),
    });
    drop(inspector);
    match result {
        // The reader of stdout has closed it.
        Ok(()) | Err(Stop::StdoutClosed) => ExitCode::SUCCESS,
        Err(Stop::Failed(message)) => fail(1, &message),
    }
}

/// Starts the connector, with the state of the file that `--state` names.
fn start(
    config: ConnectorConfig,
    listen: SocketAddr,
    state: Option<&Path>,
) -> Result<EmbeddedConnector, String> {
    let started = match state {
        None => EmbeddedConnector::start(config, listen),
        Some(path) => {
            let file = StateFile::open(path).map_err(|error| format!("--state: {error}"))?;
            EmbeddedConnector::start_with_state(config, listen, file)
        }
    };
    started.map_err(|error| match error.downcast::<StateError>() {
        Ok(error) => format!("--state: {error}"),
        Err(error) => format!("cannot listen on {listen}: {error}; choose another address with --listen"),
    })
}

/// Returns the secrets of the flags, without the names before them.
fn known_secrets(args: &ConnectorArgs) -> Vec<Secret> {
    let named = args.gateway.iter().chain(&args.delivery_key);
    let named =
        named.filter_map(|flag| flag.expose().split_once('=').map(|(_, secret)| Secret::from(secret)));
    let tokens = args.enroll_token.iter().chain(&args.access_token);
    let tokens = tokens.filter_map(|flag| flag.expose().split('=').next().map(Secret::from));
    named.chain(tokens).collect()
}

/// Starts the inspector of a connector, with its workbench beside it, and prints their URLs.
fn inspect(
    port: InspectorPort,
    connector: &Arc<EmbeddedConnector>,
    secrets: Vec<Secret>,
    workbench: Option<Arc<WorkbenchPage>>,
) -> io::Result<Inspector> {
    connector.observe(port.observer());
    let (url, chats) = (port.url("/"), workbench.is_some().then(|| port.url(CHATS)));
    let pages = workbench.map(|page| (CHATS, page as Arc<dyn PageApp>)).into_iter().collect();
    // The connector runs on tokio.
    let inspector = port.start_beside(RuntimeName::Tokio, inspected(connector, secrets), "/", pages)?;
    crate::complain(format_args!("inspector: {url}"));
    if let Some(chats) = chats {
        crate::complain(format_args!("workbench: {chats}"));
    }
    Ok(inspector)
}

/// Returns a connector as the subject of an inspector. `secrets` are redacted.
pub(crate) fn inspected(connector: &Arc<EmbeddedConnector>, secrets: Vec<Secret>) -> Inspected {
    // Weak: the inspector must not keep the connector running.
    let connector = Arc::downgrade(connector);
    let status = move || {
        let stats = connector.upgrade().map(|connector| connector.stats());
        let counters = stats.iter().flat_map(Stats::all);
        let counters: Map<String, Value> =
            counters.map(|(name, count)| (name.to_owned(), count.into())).collect();
        json!({ "counters": counters })
    };
    let status = Box::new(status);
    Inspected { is_connector: true, gateway: Gateway::default(), secrets, status }
}

/// Reason to end the command early.
enum Stop {
    /// The reader of stdout has closed it.
    StdoutClosed,
    /// Failure, as a message for the user.
    Failed(String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Stop::StdoutClosed,
            _ => Stop::Failed(format!("cannot write to stdout: {error}")),
        }
    }
}

/// Prints a failure, and returns the exit code.
fn fail(code: u8, message: &str) -> ExitCode {
    warn(message);
    ExitCode::from(code)
}

/// Prints a line on stderr.
fn warn(message: &str) {
    // A closed stderr is ignored.
    let _ = writeln!(io::stderr(), "relayline connector: {message}");
}

/// Parses the address of `--listen`.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|error| format!("{error}: write IP:PORT, as in 127.0.0.1:8765"))
}

// ---- stdout -----------------------------------------------------------------------------------------------

/// Printer of observations. For a script it also keeps them, until an expectation searches them.
struct ObservationPrinter {
    /// Kept observations, the oldest first.
    kept: VecDeque<Value>,
    /// True if a script is played.
    keeps: bool,
    /// Workbench, which sees more than is printed.
    workbench: Option<Arc<WorkbenchPage>>,
}

impl ObservationPrinter {
    /// Prints an observation as a line on stdout.
    fn print(&mut self, observation: &Observation) -> io::Result<()> {
        if let Some(workbench) = &self.workbench {
            workbench.observe(observation);
        }
        if observation.is_output() {
            return Ok(());
        }
        let mut line = serde_json::to_vec(observation)?;
        if self.keeps {
            if self.kept.len() == MAX_KEPT {
                self.kept.pop_front();
            }
            self.kept.push_back(serde_json::from_slice(&line)?);
        }
        line.push(b'\n');
        let mut stdout = io::stdout().lock();
        stdout.write_all(&line)?;
        stdout.flush()
    }
}

// ---- the bridge -------------------------------------------------------------------------------------------

/// Prints observations and executes the commands of stdin until stdout is closed. The end of stdin does not end it: a
/// service may have no stdin.
fn bridge(connector: &Arc<EmbeddedConnector>, out: &mut ObservationPrinter) -> Result<(), Stop> {
    // Weak: a thread that waits for stdin must not keep the connector running.
    let weak = Arc::downgrade(connector);
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || execute_stdin(&weak))
        .map_err(|error| Stop::Failed(format!("cannot start a thread: {error}")))?;
    loop {
        match (connector.next_observation(Duration::MAX), connector.failure()) {
            (_, Some(why)) => return Err(Stop::Failed(why)),
            (Some(observation), None) => out.print(&observation)?,
            (None, None) => {}
        }
    }
}

/// Executes the lines of stdin until its end, or until the connector has ended.
fn execute_stdin(connector: &Weak<EmbeddedConnector>) {
    let is_terminal = io::stdin().is_terminal();
    let mut lines = LineSplitter::new(MAX_LINE_BYTES);
    let mut number = 0;
    let mut chunk = [0; 8192];
    loop {
        let mut input = match io::stdin().lock().read(&mut chunk) {
            // The last line may lack a newline.
            Ok(0) if lines.pending_bytes() > 0 => b"\n".as_slice(),
            Ok(0) => return,
            Ok(n) => &chunk[..n],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return warn(&format!("cannot read stdin: {error}")),
        };
        while let Some(line) = lines.next(&mut input) {
            number += 1;
            let Some(connector) = connector.upgrade() else { return };
            if let Err(message) = execute(&connector, line, is_terminal) {
                warn(&format!("line {number}: {message}"));
            }
        }
    }
}

/// Executes one line: a command, or on a terminal a message from a user.
fn execute(connector: &EmbeddedConnector, line: Line<'_>, is_terminal: bool) -> Result<(), String> {
    let text = match line {
        Line::Whole(bytes) => std::str::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())?,
        Line::TooLong => return Err(format!("longer than {MAX_LINE_BYTES} bytes: ignored")),
    };
    if text.trim().is_empty() {
        return Ok(());
    }
    let is_json = text.trim_start().starts_with('{');
    if is_terminal && !is_json {
        return connector.say(text.trim()).map_err(|error| error.to_string());
    }
    let control = Control::parse(text).map_err(|error| match is_json {
        true => error.to_string(),
        false => format!(
            "{error}; it is a message from a user on a terminal only: write \
             {{\"do\":\"inbound\",\"event\":{{\"text\":…,\"source\":…}}}}"
        ),
    })?;
    connector.control(control).map_err(|error| error.to_string())
}

// ---- scripts ----------------------------------------------------------------------------------------------

/// Reads the steps of a script, with their line numbers.
fn load(file: &Path) -> Result<Vec<(usize, Step)>, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("cannot read the script {}: {error}", file.display()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let number = index + 1;
            let step = Step::parse(line).map_err(|error| format!("{}:{number}: {error}", file.display()))?;
            Ok((number, step))
        })
        .collect()
}

/// Plays the steps of a script, and prints observations meanwhile.
fn play(
    connector: &EmbeddedConnector,
    out: &mut ObservationPrinter,
    file: &Path,
    steps: Vec<(usize, Step)>,
) -> Result<(), Stop> {
    for (number, step) in steps {
        let failed = |what: String| Stop::Failed(format!("{}:{number}: {what}", file.display()));
        match step {
            Step::Control(control) => {
                connector.control(control).map_err(|error| failed(error.to_string()))?;
            }
            Step::Wait(time) => watch(connector, out, time)?,
            Step::Expect { expect, within } => expect_next(connector, out, expect, within, failed)?,
        }
    }
    // Prints the observations of the last steps.
    watch(connector, out, Duration::ZERO)?;
    connector.failure().map_or(Ok(()), |why| Err(Stop::Failed(why)))
}

/// Prints observations for some time.
fn watch(connector: &EmbeddedConnector, out: &mut ObservationPrinter, time: Duration) -> Result<(), Stop> {
    let until = Instant::now().checked_add(time);
    while let Some(observation) = connector.next_observation(left(until)) {
        out.print(&observation)?;
    }
    Ok(())
}

/// Skips the observations since the last expectation until one matches. Fails after `within`.
fn expect_next(
    connector: &EmbeddedConnector,
    out: &mut ObservationPrinter,
    expect: Map<String, Value>,
    within: Duration,
    failed: impl Fn(String) -> Stop,
) -> Result<(), Stop> {
    let expect = Value::Object(expect);
    let until = Instant::now().checked_add(within);
    let mut last = None;
    loop {
        while let Some(observation) = out.kept.pop_front() {
            if is_part_of(&expect, &observation) {
                return Ok(());
            }
            last = Some(observation);
        }
        match connector.next_observation(left(until)) {
            Some(observation) => out.print(&observation)?,
            None => {
                let last = last.map_or("nothing".to_owned(), |observation| observation.to_string());
                return Err(failed(format!(
                    "expected {expect} within {within:?}; the last observation: {last}"
                )));
            }
        }
    }
}

/// Returns the time until `until`; the maximum if there is no such time.
fn left(until: Option<Instant>) -> Duration {
    until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()))
}
