//! `examples/approval.rs` on smol.

use relayline_smol as relayline;

include!("../../examples/approval.rs");
