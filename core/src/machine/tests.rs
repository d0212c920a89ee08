//! Tests of the rules: scripts of inputs and their expected outputs. Names begin with the rule's id.

mod dead_letters;
mod delivery;
mod disconnect;
mod driver;
mod ends;
mod handshake;
mod idle;
mod keepalive;
mod limits;
mod memory;
mod ops;
mod passthrough;
mod pressure;
mod prompts;
mod redial;
mod refusal;
mod replies;
mod requests;
mod streams;
mod verbatim;
mod webhooks;
mod wire;
