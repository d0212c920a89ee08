//! `examples/platforms.rs` on smol.

use relayline_smol as relayline;

include!("../../examples/platforms.rs");
