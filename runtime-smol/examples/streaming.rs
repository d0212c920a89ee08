//! `examples/streaming.rs` on smol.

use relayline_smol as relayline;

include!("../../examples/streaming.rs");
