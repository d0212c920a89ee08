//! Problems and links that the components of the analyzer return.

use super::model::{Link, LinkKind, ViewUpdate};
use super::problems::{Problem, ProblemKind};

/// Collected problems and links.
#[derive(Debug, Default)]
pub(super) struct Marks(pub(super) Vec<ViewUpdate>);

impl Marks {
    pub(super) fn problem(&mut self, at: usize, kind: ProblemKind, detail: impl Into<String>) {
        self.0.push(ViewUpdate::Problem(Problem { at, kind, detail: detail.into() }));
    }

    pub(super) fn link(&mut self, from: Place, to: Place, kind: LinkKind) {
        let ms = to.t.saturating_sub(from.t);
        self.0.push(ViewUpdate::Link(Link { from: from.at, to: to.at, kind, ms }));
    }
}

/// Position and time of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) at: usize,
    pub(super) t: u64,
}

/// Returns a duration for people: `350 ms`, `2.5 s`, `3 min 20 s`.
pub(super) fn duration(ms: u64) -> String {
    let tenths = ms.saturating_add(50) / 100;
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 if tenths.is_multiple_of(10) => format!("{} s", tenths / 10),
        1000..60_000 => format!("{}.{} s", tenths / 10, tenths % 10),
        _ => format!("{} min {} s", ms / 60_000, ms / 1000 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (ms, shown) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1000, "1 s"),
            (1470, "1.5 s"),
            (30_010, "30 s"),
            (60_000, "1 min 0 s"),
            (200_999, "3 min 20 s"),
        ] {
            assert_eq!(duration(ms), shown);
        }
        assert!(duration(u64::MAX).ends_with(" s"));
    }
}
