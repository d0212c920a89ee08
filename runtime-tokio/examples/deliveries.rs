//! `examples/deliveries.rs` on tokio.

use relayline_tokio as relayline;

include!("../../examples/deliveries.rs");
