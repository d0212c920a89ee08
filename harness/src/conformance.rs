//! Conformance of gateways and connectors: scenarios as data, a player for each side, and verdicts.
//!
//! A scenario is a file below `harness/conformance/`: a claim, the rules of `PROTOCOL.md` that it proves, and steps. The
//! player carries the steps out in real time, against a process or a connector of its own, and compares what comes with
//! the expectations.

mod against_connector;
mod against_gateway;
mod baseline;
mod catalog;
mod connector_player;
mod connector_port;
mod gateway_player;
mod journal;
mod pattern;
mod play;
mod program;
pub mod report;
mod run;
mod scenario;
mod socket;
mod step;
mod timings;
mod verdict;

pub use against_connector::ConnectorTarget;
pub use against_gateway::GatewayTarget;
pub use baseline::{Baseline, BaselineError};
pub use catalog::{Selection, UNSEEN_RULES, scenarios};
pub use run::{RunControl, run_connector, run_gateway};
pub use scenario::{Level, Scenario, ScenarioError, Side};
pub use timings::{Timings, TimingsError};
pub use verdict::{Finding, ScenarioResult, Verdict};
