//! C-4: every secret stays where it belongs, whatever the program does, and however much it logs.
//!
//! Each command runs with all secrets in its environment, all of them at trace level; what it prints is swept for each
//! of them, in every form that a library could have given it.

mod armed;
mod bad_input;
mod by_hand;
mod children;
mod connector;
mod elsewhere;
mod known;
mod neighbours;
mod panics;
mod recordings;
mod running;
mod unreachable;
