//! The simulation: a gateway and a connector over a network in virtual time, with faults. Each seed is one
//! reproducible run. `harness/docs/simulation.md` describes the simulation and the bugs that it is known to find.

// A run: its options, its plan and its loop.
mod plan_subset;
mod planned_action;
mod profile;
mod random;
mod run;
mod run_options;
mod schedule;
mod setup;
mod world;

// Actions of a plan, and the inputs that they make.
mod actions;
mod faults;
mod json_variants;
mod ops;
mod oversized;
mod posts;
mod replies;
mod unreliable_results;
mod users;

// Sides of the simulated world.
mod active_faults;
mod connector_side;
mod host;
mod inbound;
mod network;
mod process;

// Checks of a run, and its report.
mod chat_view;
pub mod coverage;
mod log;
mod model;
mod oracle;
mod shrink;

pub use oracle::Violation;
pub use plan_subset::PlanSubset;
pub use profile::Profile;
pub use run::{Exercised, SimulatedRun, run};
pub use run_options::{Counter, RunOptions};
pub use shrink::shrink;
