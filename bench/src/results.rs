//! `bench/latest.json`: the figures of the latest run of each part.

use crate::parts::bridge::BridgeFigures;
use crate::parts::build::BuildFigures;
use crate::parts::idle::IdleFigures;
use crate::parts::machine::MachineFigures;
use crate::parts::program::ProgramFigures;
use crate::parts::simulator::SimulatorFigures;
use crate::parts::sockets::SocketFigures;
use crate::{Result, root};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

/// Content of the file. A part that was never measured is left out.
///
/// ```json
/// {
///   "machine": {
///     "time_ns": { "<bench>": 1211.0, "<bench>/<size>": 1221.0 },
///     "instructions": { "<workload>": 16033.3 },
///     "allocations": { "<workload>": 2.0 }
///   },
///   "sockets": {
///     "events": { "<receiver>": { "cpu_ns": 3120.0, "per_second": 305000.0 } },
///     "round_trips": { "<requester>": { "p50_ns": 83000.0, "p99_ns": 152000.0 } }
///   },
///   "bridge": {
///     "events": { "bridge": 102000.0, "library": 219000.0 },
///     "ops": { "bridge": 61000.0, "library": 130000.0 }
///   },
///   "idle": {
///     "plain": { "resident_kib": 15.5, "cores": 0.0004 },
///     "tls": { "resident_kib": 25.5, "cores": 0.0005 }
///   },
///   "simulator": { "per_second": 410000.0 },
///   "program": { "mib": 7.5, "start_ms": 2.5, "fastest_start_ms": 2.0 },
///   "build": { "seconds": 110.0 }
/// }
/// ```
///
/// Benches and workloads are functions of `bench/benches/machine.rs` and entries of `bench/src/workloads.rs`. Receivers
/// are `hand-written`, `tokio`, `smol`, `bare` and `python`, requesters `tokio`, `smol`, `bare-tokio` and `bare-smol`.
/// Without valgrind `instructions` is empty, without the `websockets` of Python there is no `python`.
#[derive(Serialize, Deserialize, Default)]
pub(crate) struct Results {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) machine: Option<MachineFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sockets: Option<SocketFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bridge: Option<BridgeFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) idle: Option<IdleFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) simulator: Option<SimulatorFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) program: Option<ProgramFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) build: Option<BuildFigures>,
}

impl Results {
    /// Reads the file. Without a file, no part is measured yet.
    ///
    /// # Errors
    /// The file cannot be read, or has another form.
    pub(crate) fn read() -> Result<Results> {
        let path = path();
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| {
                format!("{}: {error}: delete it, and measure all parts", path.display()).into()
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Results::default()),
            Err(error) => Err(format!("{}: {error}", path.display()).into()),
        }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path(), text).map_err(|error| format!("{}: {error}", path().display()).into())
    }
}

fn path() -> PathBuf {
    root().join("bench/latest.json")
}
