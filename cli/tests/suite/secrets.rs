//! C-4: no command reveals a secret, whatever it does and however much it logs.
//!
//! Each command runs with all secrets in its environment, at trace level. Its output is searched for each of them, in
//! every form that a library could have given it.

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
