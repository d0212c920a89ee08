//! The simulation: a gateway and a connector over a network in virtual time, one seed a run, with all that can go wrong.
//! How it works, and which bugs it is known to find: `harness/docs/simulation.md`.

mod answering;
mod asking;
pub mod coverage;
mod deed;
mod doing;
mod faults;
mod fickle;
mod host;
mod huge;
mod judge;
mod keep;
mod life;
mod log;
mod model;
mod network;
mod peer;
mod posts;
mod profile;
mod random;
mod reads;
mod run;
mod schedule;
mod setup;
mod shown;
mod shrink;
mod spelling;
mod terms;
mod trouble;
mod users;
mod world;

pub use judge::Violation;
pub use keep::Keep;
pub use profile::Profile;
pub use run::{Exercised, Run, run};
pub use shrink::shrink;
pub use terms::{Counter, Terms};
