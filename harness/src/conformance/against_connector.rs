//! Scenarios against a connector: one gateway's account, and a connection for each.

use super::connector_player::ConnectorPlayer;
use super::pattern::Variables;
use super::play::Play;
use super::scenario::{Scenario, Side};
use super::step::Step;
use super::timings::Timings;
use super::verdict::{Finding, ScenarioResult, Verdict};
use data_encoding::HEXLOWER;
use relayline_control::network::Network;
use relayline_control::url::DialUrl;
use relayline_core::secret::Secret;
use serde_json::json;
use tokio::time::Instant;

/// A connector, and the account of a gateway on it.
#[derive(Clone, Debug)]
pub struct ConnectorTarget {
    /// URL, as a gateway is configured with it.
    pub url: DialUrl,
    /// Proxies and trusted authorities.
    pub network: Network,
    /// Id of the gateway.
    pub gateway_id: String,
    /// Secret of the gateway.
    pub secret: Secret,
    /// Platform of the first hello.
    pub platform: String,
    /// Id of the bot on that platform; may be empty.
    pub bot_id: String,
    /// Shell command that has the connector deliver a message. Without one, scenarios that need it are skipped.
    pub inbound_command: Option<String>,
}

/// Plays a scenario against the connector.
pub(super) async fn play(target: &ConnectorTarget, scenario: Scenario) -> ScenarioResult {
    if scenario.needs_inbound && target.inbound_command.is_none() {
        let reason = "no way to make the connector deliver a message: give --inbound-command CMD";
        return ScenarioResult::skipped(scenario, reason.to_owned());
    }
    let (started, timings) = (Instant::now(), Timings::default());
    let mut nonce = [0; 6];
    let prepared = getrandom::fill(&mut nonce).map_err(|error| error.to_string());
    let nonce = HEXLOWER.encode(&nonce);
    let player = prepared.and_then(|()| ConnectorPlayer::new(target, &nonce));
    let player = match player {
        Ok(player) => player,
        Err(came) => {
            let expected = "a client that can dial".to_owned();
            let verdict = Verdict::Fail(Box::new(Finding { line: 0, expected, came, frame: None }));
            let (recording, log) = (None, String::new());
            return ScenarioResult { scenario, verdict, took: started.elapsed(), recording, log };
        }
    };
    let variables = Variables::new([
        ("platform", target.platform.clone()),
        ("bot", target.bot_id.clone()),
        ("chat", format!("chat-{nonce}")),
        ("nonce", nonce),
    ]);
    let start = if scenario.starts_cold { Vec::new() } else { connected() };
    let mut play = Play::new(player, &timings, variables);
    let mut verdict = play.run(&scenario, &start).await;
    verdict.redact(&target.secret);
    let recording = Some(play.player.finish(&scenario.title).await);
    ScenarioResult { scenario, verdict, took: started.elapsed(), recording, log: String::new() }
}

/// Returns the steps that connect.
fn connected() -> Vec<Step> {
    let lines = [
        json!({"do": "dial"}),
        json!({
            "expect": {"saw": "frame", "frame": {"type": "descriptor"}},
            "within": "handshake_timeout",
            "says": "the connector answers the hello with a descriptor",
        }),
    ];
    let mut known = Vec::new();
    lines.iter().flat_map(|line| Step::parse(Side::Connector, 0, &line.to_string(), &mut known)).collect()
}
