//! `examples/echo.rs` on tokio.

use relayline_tokio as relayline;

include!("../../examples/echo.rs");
