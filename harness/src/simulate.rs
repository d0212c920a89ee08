//! The simulation: a gateway and a connector over a network in virtual time, with faults. Each seed is one
//! reproducible run. `harness/docs/simulation.md` describes the simulation and the bugs that it is known to find.

mod actions;
mod active_faults;
mod chat_view;
mod connector_side;
pub mod coverage;
mod faults;
mod host;
mod inbound;
mod json_variants;
mod log;
mod model;
mod network;
mod ops;
mod oracle;
mod oversized;
mod plan_subset;
mod planned_action;
mod posts;
mod process;
mod profile;
mod random;
mod replies;
mod run;
mod run_options;
mod schedule;
mod setup;
mod shrink;
mod unreliable_results;
mod users;
mod world;

pub use oracle::Violation;
pub use plan_subset::PlanSubset;
pub use profile::Profile;
pub use run::{Exercised, SimulatedRun, run};
pub use run_options::{Counter, RunOptions};
pub use shrink::shrink;
