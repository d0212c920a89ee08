//! `examples/streaming.rs` on tokio.

use relayline_tokio as relayline;

include!("../../examples/streaming.rs");
