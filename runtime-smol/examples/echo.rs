//! `examples/echo.rs` on smol.

use relayline_smol as relayline;

include!("../../examples/echo.rs");
