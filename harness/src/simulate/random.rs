//! Random draws from a run's seed.

use rand_core::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// A stream of draws. Equal seeds and streams give equal draws on every machine and in every build.
#[derive(Clone, Debug)]
pub(crate) struct Random(Pcg64Mcg);

impl Random {
    /// Streams of one seed are independent, so that the draws of one part do not change those of another.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut state = [0; 16];
        state[..8].copy_from_slice(&seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
        state[8..].copy_from_slice(
            &(stream ^ seed.rotate_left(32)).wrapping_mul(0xD6E8_FEB8_6659_FD93).to_le_bytes(),
        );
        let mut random = Random(Pcg64Mcg::from_seed(state));
        // The first draws of similar seeds are similar.
        for _ in 0..4 {
            random.draw();
        }
        random
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Returns a number below `n`, which must not be 0. The bias of the modulo is acceptable.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.draw() % n
    }

    /// Returns a number in `low..=high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// Returns an index below `n`, which must not be 0.
    pub(crate) fn index(&mut self, n: usize) -> usize {
        usize::try_from(self.below(n as u64)).unwrap_or(0)
    }

    /// Returns true with this probability, in percent.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.index(from.len())]
    }

    /// Returns a seed for a machine.
    pub(crate) fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.0.fill_bytes(&mut seed);
        seed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A seed that failed once must fail again, whatever the version of the generator's crate.
    #[test]
    fn the_draws_of_a_seed_are_fixed() {
        let mut random = Random::new(7, 1);
        let first: Vec<u64> = (0..3).map(|_| random.draw()).collect();
        assert_eq!(
            first,
            [18_309_112_179_927_110_843, 14_183_367_656_295_740_481, 12_600_065_494_014_979_286]
        );
        assert_ne!(Random::new(7, 2).draw(), Random::new(7, 1).draw());
        assert_ne!(Random::new(8, 1).draw(), Random::new(7, 1).draw());
    }
}
