//! Parts of a run. Each is measured alone, and has its own figures and tables.

pub(crate) mod bridge;
pub(crate) mod build;
pub(crate) mod idle;
pub(crate) mod machine;
pub(crate) mod program;
pub(crate) mod simulator;
pub(crate) mod sockets;

use crate::Result;
use crate::results::Results;
use std::fmt;

/// Part of a run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Machine,
    Sockets,
    Bridge,
    Idle,
    Simulator,
    Program,
    Build,
}

impl Part {
    /// All parts, in the order of the page.
    pub(crate) const ALL: [Part; 7] =
        [Part::Machine, Part::Sockets, Part::Bridge, Part::Idle, Part::Simulator, Part::Program, Part::Build];

    /// Returns the argument that selects the part.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::Machine => "machine",
            Part::Sockets => "sockets",
            Part::Bridge => "bridge",
            Part::Idle => "idle",
            Part::Simulator => "simulator",
            Part::Program => "program",
            Part::Build => "build",
        }
    }

    /// Returns the heading of its tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Part::Machine => "Machine",
            Part::Sockets => "Sockets",
            Part::Bridge => "Bridge",
            Part::Idle => "Idle gateways",
            Part::Simulator => "Simulator",
            Part::Program => "Program",
            Part::Build => "Build",
        }
    }

    /// Measures the part, and replaces its figures.
    ///
    /// # Errors
    /// Something cannot be measured.
    pub(crate) fn measure(self, results: &mut Results) -> Result<()> {
        match self {
            Part::Machine => results.machine = Some(machine::measure()?),
            Part::Sockets => results.sockets = Some(sockets::measure()?),
            Part::Bridge => results.bridge = Some(bridge::measure()?),
            Part::Idle => results.idle = Some(idle::measure()?),
            Part::Simulator => results.simulator = Some(simulator::measure()?),
            Part::Program => results.program = Some(program::measure()?),
            Part::Build => results.build = Some(build::measure()?),
        }
        Ok(())
    }

    /// Returns the tables of the part, as Markdown; `None` if it was never measured.
    pub(crate) fn tables(self, results: &Results) -> Option<String> {
        match self {
            Part::Machine => results.machine.as_ref().map(machine::tables),
            Part::Sockets => results.sockets.as_ref().map(sockets::tables),
            Part::Bridge => results.bridge.as_ref().map(bridge::tables),
            Part::Idle => results.idle.as_ref().map(idle::tables),
            Part::Simulator => results.simulator.as_ref().map(simulator::tables),
            Part::Program => results.program.as_ref().map(program::tables),
            Part::Build => results.build.as_ref().map(build::tables),
        }
    }
}

/// Returns the median of a figure. Of an even number of rounds it is the greater one of the two in the middle.
fn median<T>(rounds: &[T], figure: impl Fn(&T) -> f64) -> f64 {
    let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
