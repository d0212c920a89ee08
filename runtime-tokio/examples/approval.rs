//! `examples/approval.rs` on tokio.

use relayline_tokio as relayline;

include!("../../examples/approval.rs");
