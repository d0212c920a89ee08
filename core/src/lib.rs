#![forbid(unsafe_code)]
#![deny(missing_docs)]
//! The gateway side of the relay protocol, as a pure state machine.

pub mod chats;
pub mod command;
pub mod config;
pub mod descriptor;
mod encode;
pub mod env_file;
pub mod event;
mod hash;
pub mod http;
mod inbox;
pub mod json;
pub mod lifecycle;
pub mod line;
pub mod machine;
mod outbox;
pub mod output;
pub mod passthrough;
pub mod prompts;
mod result;
pub mod secret;
pub mod session_key;
pub mod settings;
pub mod signature;
pub mod slack;
pub mod split;
pub mod stats;
mod stream;
pub mod time;
pub mod token;
pub mod trace;
pub mod url;
