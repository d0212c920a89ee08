//! `examples/platforms.rs` on tokio.

use relayline_tokio as relayline;

include!("../../examples/platforms.rs");
