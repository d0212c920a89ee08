#![forbid(unsafe_code)]
#![deny(missing_docs)]
//! Agent Client Protocol (ACP), version 1, behind a relay: sessions and turns of an agent as a machine without I/O.
//!
//! An ACP agent is a program that exchanges lines of JSON-RPC 2.0 with its client on stdin and stdout. [`AcpMachine`] is
//! the client. It turns messages of chats into prompts, and what the agent reports into operations on the relay. It has
//! no clock, no pipe and no socket: the host passes in what has happened, and performs what the machine returns.
//!
//! # How to drive the machine
//!
//! 1. Start the agent's process, and call [`handle_agent_started`](AcpMachine::handle_agent_started).
//! 2. Call a `handle_…` method for each event: a line of the agent, a message, the result of an operation, an interrupt,
//!    the end of the agent, a change of the connection.
//! 3. After each call, drain [`poll_output`](AcpMachine::poll_output), and perform each [`Output`].
//! 4. Call [`handle_tick`](AcpMachine::handle_tick) at [`deadline`](AcpMachine::deadline).
//! 5. Pass in messages only while [`takes_deliveries`](AcpMachine::takes_deliveries) returns true. Otherwise they wait
//!    in the inbox of the relay.
//!
//! The same configuration and inputs give the same outputs. Bytes of the agent never cause a panic or an error: what
//! cannot be used is counted in [`AcpStats`]. All tables are bounded by [`AcpLimits`].

mod agent;
mod answer;
mod approval;
mod config;
mod delivery;
mod fields;
mod known;
mod machine;
mod manifest;
mod output;
mod permission;
mod probe;
mod progress;
mod prompt;
mod rpc;
mod session;
mod stats;
mod texts;
mod turn;

pub use agent::AgentInfo;
pub use agent_client_protocol_schema::McpServer;
pub use config::{
    AcpConfig, AcpLimits, ApprovalPolicy, ApprovalRoute, Approvals, Busy, PromptChat, Settling,
};
pub use delivery::{AcpDelivery, ChatAbilities};
pub use known::{SavedState, SavedStateError};
pub use machine::AcpMachine;
pub use output::{Fetched, HostOp, HostResult, LogEntry, LogLevel, OpId, Output, StopCause};
pub use probe::{Probe, ProbeFailure, ProbeStep};
pub use stats::AcpStats;
