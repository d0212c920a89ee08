#![forbid(unsafe_code)]
#![deny(missing_docs)]
//! Settings and HTTP exchanges of a relay gateway, without I/O.
//!
//! [`settings`] resolves flags, environment variables and files into a [`GatewayConfig`](config::GatewayConfig).
//! [`http`] has the exchanges with a connector and an identity provider: each makes a request, and reads its answer.
//! [`http::boot`] puts those that come before the first dial in order. [`network`] chooses proxies, [`url`] knows what is
//! dialed, and [`env_file`] reads and changes env files.
//!
//! The feature `config-file`, which is on by default, adds the parser of the configuration file:
//! [`settings::ConfigFile`]'s `parse`.
//!
//! This crate opens no socket and no file, and starts no process: `relayline-runtime` does that.

pub mod config;
pub mod env_file;
pub mod http;
pub mod network;
pub mod settings;
pub mod url;
