//! Scenarios against a gateway: each with a process and a port of its own.

use super::connector_port::ConnectorPort;
use super::gateway_player::GatewayPlayer;
use super::pattern::Variables;
use super::play::Play;
use super::scenario::{Scenario, Side};
use super::step::Step;
use super::timings::Timings;
use super::verdict::{Finding, ScenarioResult, Verdict};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Number of messages that may wait for the player.
const WAITING: usize = 1024;

/// A gateway program that speaks the bridge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GatewayTarget {
    /// Program and arguments.
    pub command: Vec<String>,
    /// True if it takes `--set NAME=VALUE`: then scenarios shorten its time-outs.
    pub takes_set: bool,
    /// Its time-outs, where they are not shortened.
    pub timings: Timings,
}

/// Plays a scenario against a new process of the program.
pub(super) async fn play(target: &GatewayTarget, scenario: Scenario) -> ScenarioResult {
    let (started, scenario) = (Instant::now(), &scenario);
    let mut timings = target.timings.clone();
    let mut words = target.command.clone();
    if target.takes_set {
        for (name, value) in &scenario.set {
            // The reader of scenarios has checked the names that are time-outs.
            let _ = timings.set(name, value);
            words.extend(["--set".to_owned(), format!("{name}={value}")]);
        }
    }
    let (port_inputs, inputs) = mpsc::channel(WAITING);
    let finish = |mut verdict: Verdict, player: Option<GatewayPlayer>| {
        if let Some(player) = &player {
            player.redact(&mut verdict);
        }
        let evidence = player.map(|player| player.into_evidence(&scenario.title));
        let (recording, log) =
            evidence.map_or((None, String::new()), |(recording, log)| (Some(recording), log));
        ScenarioResult { scenario: scenario.clone(), verdict, took: started.elapsed(), recording, log }
    };
    let failed = |expected: &str, came: String| {
        let expected = expected.to_owned();
        Verdict::Fail(Box::new(Finding { line: 0, expected, came, frame: None }))
    };
    let port = match ConnectorPort::bind(port_inputs).await {
        Ok(port) => port,
        Err(error) => return finish(failed("a free port", error.to_string()), None),
    };
    let player = port.url().and_then(|url| GatewayPlayer::start(scenario, words, &url, inputs));
    let player = match player {
        Ok(player) => player,
        Err(error) => return finish(failed("a program that starts", error.to_string()), None),
    };
    let start = if scenario.starts_cold { Vec::new() } else { connected(scenario) };
    let mut play = Play::new(player, &timings, Variables::default());
    let verdict = tokio::select! {
        verdict = async {
            let verdict = play.run(scenario, &start).await;
            play.player.finish().await;
            verdict
        } => verdict,
        () = port.serve() => failed("a port that serves", "it has ended".to_owned()),
    };
    finish(verdict, Some(play.player))
}

/// Returns the steps that wait for the connection.
fn connected(scenario: &Scenario) -> Vec<Step> {
    let platforms: Vec<&str> = scenario.identities.iter().map(|(platform, _)| platform.as_str()).collect();
    let line = json!({
        "expect": {"event": "connected", "platforms": {"$with": platforms}},
        "within": "handshake_timeout + 10s",
        "says": "the gateway connects, and says so to its agent",
    });
    Step::parse(Side::Gateway, 0, &line.to_string(), &mut Vec::new()).into_iter().collect()
}
