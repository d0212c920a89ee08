//! `examples/webhook.rs` on smol.

use relayline_smol as relayline;

include!("../../examples/webhook.rs");
