//! `examples/deliveries.rs` on smol.

use relayline_smol as relayline;

include!("../../examples/deliveries.rs");
