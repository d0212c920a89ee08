//! Setup of a run by its seed: configurations of the gateway and the connector, and the chats.

use super::network::LinkConfig;
use super::profile::Profile;
use super::random::Random;
use relayline_connector::chats::Platform;
use relayline_connector::{ConnectorConfig, Duplicates, UpgradeRefusal};
use relayline_core::config::{Config, Credentials, Identity};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// Id of the gateway. It contains a colon, because an id may have one (C-2).
pub(crate) const GATEWAY: &str = "gw:1";
/// Key of webhook requests.
pub(crate) const DELIVERY_KEY: &str = "simulated delivery key";
const SECRET: &str = "simulated secret";

/// A chat on a platform.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Chat {
    pub(crate) platform: &'static str,
    pub(crate) id: String,
    pub(crate) kind: &'static str,
}

/// Setup of a run.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) config: Arc<Config>,
    pub(crate) connector: ConnectorConfig,
    pub(crate) chats: Vec<Chat>,
    pub(crate) link_config: LinkConfig,
    /// Seed of the links' draws.
    pub(crate) link_seed: u64,
    /// True if the connector's WebSocket layer sends pings.
    pub(crate) connector_pings: bool,
    /// True if the connector refuses credentials with a 4401 close after the upgrade, false if with a 401 (L-7).
    pub(crate) refuses_after_upgrade: bool,
    /// Number of deliveries that the host works on at a time.
    pub(crate) host_concurrency: usize,
    /// Maximum time in which the host settles a delivery, in microseconds.
    pub(crate) max_settle_us: u64,
}

const PLATFORMS: [&str; 4] = ["discord", "telegram", "slack", "matrix"];

impl Setup {
    pub(crate) fn new(seed: u64, profile: Profile) -> Self {
        let mut random = Random::new(seed, 2);
        let identities = 1 + random.index(3);
        let first = random.index(PLATFORMS.len());
        let platforms: Vec<&str> =
            (0..identities).map(|at| PLATFORMS[(first + at) % PLATFORMS.len()]).collect();
        let mut connector =
            ConnectorConfig::default().upgrade_refusal(UpgradeRefusal::Http).unacked_after(None);
        let mut config = config(&mut random, &platforms);
        sign(&mut Random::new(seed, 6), &mut config);
        sessions(&mut Random::new(seed, 10), &mut config);
        let mut few = Random::new(seed, 7);
        if few.chance(20) {
            config.limits.prompts = 1 + few.index(3);
        }
        budget(&mut Random::new(seed, 11), &mut config);
        answers(&mut Random::new(seed, 17), &mut config, &mut connector);
        keep_alive(&mut Random::new(seed, 18), &mut config);
        if config.credentials.is_some() {
            connector = connector.gateway(GATEWAY, SECRET);
        }
        if random.chance(15) {
            connector.duplicates = Duplicates::Refuse;
        }
        if random.chance(20) {
            connector.limits.write_bytes = 8 << 10;
        }
        let rough = profile != Profile::Calm;
        let most_us = if rough { *random.pick(&[2_000, 40_000, 400_000]) } else { 5_000 };
        Setup {
            config: Arc::new(config),
            chats: chats(&mut random, &platforms),
            link_seed: random.draw(),
            link_config: LinkConfig {
                latency_us: most_us,
                split: if rough { random.below(60) } else { random.below(10) },
                merge: if rough { random.below(60) } else { random.below(10) },
            },
            connector,
            connector_pings: random.chance(50),
            refuses_after_upgrade: Random::new(seed, 19).chance(50),
            host_concurrency: 1 + random.index(24),
            max_settle_us: *random.pick(&[1, 20_000, 900_000, 8_000_000]),
        }
    }
}

impl Setup {
    /// Returns the connector's initial descriptor of a platform.
    pub(crate) fn initial_descriptor(&self, platform: &str) -> Map<String, Value> {
        let known = self.connector.platforms.iter().find(|known| known.name == platform);
        known.cloned().unwrap_or_else(|| Platform::generic(platform)).descriptor
    }
}

/// Varies how answers are shown: drafts on Slack, few or short turns, and few deliveries that can be answered.
fn answers(random: &mut Random, config: &mut Config, connector: &mut ConnectorConfig) {
    let has_few_names = random.chance(20);
    let (few, is_short) = (random.chance(30), random.chance(30));
    let drafts = random.chance(70);
    for Platform { name, descriptor, .. } in &mut connector.platforms {
        let Some(Value::Array(ops)) = descriptor.get_mut("supported_ops") else { continue };
        if has_few_names {
            // An op whose name is too long to be kept (D-6).
            ops.push("o".repeat(1030).into());
        }
        if name == "slack" && drafts {
            ops.push("draft".into());
            descriptor.insert("supports_draft_streaming".to_owned(), true.into());
        }
        if is_short && random.chance(50) {
            descriptor.insert("max_message_length".to_owned(), 300.into());
        }
    }
    if few {
        config.limits.turns = 1 + random.index(3);
        config.limits.reply_targets = 1 + random.index(12);
    }
    if random.chance(10) {
        config.limits.reply_target_bytes = 1024;
    }
    config.turn_reactions = !random.chance(15);
    config.timing.turn_timeout = Duration::from_secs(*random.pick(&[5, 40, 300, 1800]));
    config.timing.typing_interval = Duration::from_secs(*random.pick(&[1, 4, 4, 15]));
}

/// Sets a short ping interval, which ends connections that nothing else ends.
fn keep_alive(random: &mut Random, config: &mut Config) {
    if random.chance(25) {
        config.timing.ping_interval = Duration::from_millis(random.between(500, 2000));
        config.timing.ping_timeout = Duration::from_millis(random.between(500, 2000));
    }
}

fn config(random: &mut Random, platforms: &[&str]) -> Config {
    let identity = |platform: &&str| Identity::new(*platform, format!("bot-{platform}"));
    let mut config = Config::new(identity(&platforms[0]));
    config.identities = platforms.iter().map(identity).collect();
    if !random.chance(8) {
        config.credentials = Some(Credentials::new(GATEWAY, SECRET));
    }
    config.confirm_revocation = !random.chance(15);
    config.passthrough = random.chance(50);
    if random.chance(35) {
        tighten(random, &mut config);
    }
    config
}

/// Sets the keys of webhook requests, and the limit of pending ones.
fn sign(random: &mut Random, config: &mut Config) {
    // One of the two keys is being rotated out.
    match random.below(10) {
        0 => {}
        1..4 => config.delivery_keys = vec!["an old key".into(), DELIVERY_KEY.into()],
        _ => config.delivery_keys = vec![DELIVERY_KEY.into()],
    }
    if random.chance(50) {
        config.limits.deliveries = 1 + random.index(6);
    }
}

/// Sets which messages share a session (S-3, S-7).
fn sessions(random: &mut Random, config: &mut Config) {
    config.slack_reply_in_thread = !random.chance(20);
    config.slack_thread_sessions = !random.chance(20);
    config.sessions.group_sessions_per_user = !random.chance(30);
    config.sessions.thread_sessions_per_user = random.chance(30);
}

/// Sets small limits for deliveries, down to one that a single delivery exceeds.
fn budget(random: &mut Random, config: &mut Config) {
    if random.chance(40) {
        config.limits.unsettled_bytes = 1 + random.index(8000);
    }
    if random.chance(40) {
        config.limits.host_queue_bytes = 1 + random.index(8000);
    }
    if random.chance(40) {
        config.limits.host_queue = 1 + random.index(24);
    }
}

/// Sets limits small enough to be reached.
fn tighten(random: &mut Random, config: &mut Config) {
    let limits = &mut config.limits;
    limits.max_line_bytes = 2048;
    limits.read_ahead_bytes = 600 + random.index(4000);
    limits.max_in_flight = 1 + random.index(6);
    limits.write_queue_bytes = 1024 + random.index(2048);
    limits.chats = 1 + random.index(4);
    limits.dedupe = 6 + random.index(24);
    limits.streams = 1 + random.index(3);
}

fn chats(random: &mut Random, platforms: &[&str]) -> Vec<Chat> {
    let count = 3 + random.index(8);
    let name = |wanted: &str| PLATFORMS.iter().find(|known| **known == wanted).copied().unwrap_or("relay");
    (0..count)
        .map(|at| Chat {
            // At times a platform that this gateway does not front.
            platform: if random.chance(4) { "signal" } else { name(platforms[at % platforms.len()]) },
            id: format!("c{at}"),
            kind: ["dm", "group", "thread", "channel"][at % 4],
        })
        .collect()
}
