//! Parts of a run. Each is measured alone, and has its own figures and tables.

pub(crate) mod machine;

use crate::Result;
use crate::results::Results;
use std::fmt;

/// Part of a run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Machine,
}

impl Part {
    /// All parts, in the order of the page.
    pub(crate) const ALL: [Part; 1] = [Part::Machine];

    /// Returns the argument that selects the part.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::Machine => "machine",
        }
    }

    /// Returns the heading of its tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Part::Machine => "Machine",
        }
    }

    /// Measures the part, and replaces its figures.
    ///
    /// # Errors
    /// Something cannot be measured.
    pub(crate) fn measure(self, results: &mut Results) -> Result<()> {
        match self {
            Part::Machine => results.machine = Some(machine::measure()?),
        }
        Ok(())
    }

    /// Returns the tables of the part, as Markdown; `None` if it was never measured.
    pub(crate) fn tables(self, results: &Results) -> Option<String> {
        match self {
            Part::Machine => results.machine.as_ref().map(machine::tables),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
