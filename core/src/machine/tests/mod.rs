//! The rules, one by one: scripts of inputs, and what must come of them. Names begin with the rule's id.

mod driver;
mod handshake;
mod redial;
mod refusal;
