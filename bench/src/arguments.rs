//! Arguments of `bench-all`.

use crate::parts::Part;

pub(crate) const HELP: &str = "\
Measures relayline beside hand-written code, and renews bench/latest.json and docs/performance.md.

Usage: cargo bench-all [PART]...

Without a part, all parts are measured. The figures of other parts are kept.

Parts:
  machine    the protocol machine alone: time, instructions (if valgrind is installed), allocations
  sockets    events and round trips over a socket, beside a hand-written loop and a bare WebSocket (Unix)
  bridge     events and ops per second by `relayline run --exec`, beside the library (Unix)
  idle       memory and processor time of 2,000 idle gateways (Linux)
  simulator  events per second of processor time by `relayline simulate` (Linux)
  program    size of `relayline`, and the time that it takes to start
  build      `cargo build --release` from clean";

/// Request of the user.
pub(crate) enum Request {
    Help,
    Measure(Vec<Part>),
}

impl Request {
    /// Parses the arguments.
    ///
    /// # Errors
    /// An argument is unknown. The error lists the parts.
    pub(crate) fn parse(arguments: &[String]) -> Result<Request, String> {
        if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
            return Ok(Request::Help);
        }
        // All parts, or each named one once, in the order of the page.
        let is_named = |part: &Part| arguments.is_empty() || arguments.iter().any(|name| name == part.name());
        if let Some(unknown) =
            arguments.iter().find(|name| Part::ALL.iter().all(|part| part.name() != **name))
        {
            let parts = Part::ALL.map(Part::name).join(", ");
            return Err(format!("unknown part \"{unknown}\": the parts are {parts}"));
        }
        Ok(Request::Measure(Part::ALL.into_iter().filter(is_named).collect()))
    }
}
