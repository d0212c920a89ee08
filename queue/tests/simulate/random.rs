//! Random draws from a run's seed.

use rand_core::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// Stream of draws. Equal seeds give equal draws on every machine and in every build.
pub(crate) struct Random(Pcg64Mcg);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random(Pcg64Mcg::seed_from_u64(seed));
        // The first draws of similar seeds are similar.
        for _ in 0..4 {
            random.below(2);
        }
        random
    }

    /// Returns a number below `n`, which must not be 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0.next_u64() % n
    }

    /// Returns a number in `low..=high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// Returns true with this probability, in per mille.
    pub(crate) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    pub(crate) fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

/// Returns the seeds to run.
pub(crate) fn seeds(few: std::ops::Range<u64>) -> std::ops::Range<u64> {
    // The seeds of a long run are given from outside.
    #[allow(clippy::disallowed_methods)]
    let Ok(text) = std::env::var("RELAYLINE_QUEUE_SEEDS") else { return few };
    let (first, end) = text.split_once("..").expect("RELAYLINE_QUEUE_SEEDS is FIRST..END");
    first.parse().expect("the first seed")..end.parse().expect("the end of the seeds")
}
