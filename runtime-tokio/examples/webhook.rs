//! `examples/webhook.rs` on tokio.

use relayline_tokio as relayline;

include!("../../examples/webhook.rs");
