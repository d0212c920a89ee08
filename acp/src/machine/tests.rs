//! Tests of the machine in virtual time, with an agent and a relay that the test plays.

mod approvals;
mod ends;
mod life;
mod permissions;
mod random;
mod shows;
mod world;
