//! A connected machine, for tests of its later behavior.

use relayline_core::config::{Config, Identity};
use relayline_core::machine::{IoEvent, RelayMachine};
use relayline_core::output::{Action, Conn};
use relayline_core::time::{Now, Time};
use std::sync::Arc;

/// Time of all inputs.
pub(crate) const NOW: Now = Now { mono: Time::ZERO, unix_s: 1_800_000_000 };
pub(crate) const DESCRIPTOR: &str = r#"{"type":"descriptor","descriptor":{"contract_version":1,"platform":"discord","label":"D","max_message_length":2000,"supports_draft_streaming":false,"supports_edit":true,"supports_threads":true,"markdown_dialect":"discord","len_unit":"chars"}}"#;

/// Returns a connected machine with this configuration, and its connection.
pub(crate) fn served(adjust: impl FnOnce(&mut Config)) -> (RelayMachine, Conn) {
    let identity = Identity::new("discord", "1");
    let mut config = Config::new(identity);
    adjust(&mut config);
    let mut machine = RelayMachine::new(Arc::new(config), [1; 32], NOW);
    let Some(Action::Dial { conn, .. }) = machine.poll_action() else { panic!("it dials first") };
    machine.handle_io(NOW, IoEvent::Opened { conn });
    machine.handle_bytes(NOW, conn, format!("{DESCRIPTOR}\n").as_bytes());
    (machine, conn)
}
