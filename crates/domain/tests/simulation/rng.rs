//! Random numbers from a seed: splitmix64, which is the same on every machine and in every version.

use std::ops::RangeInclusive;

/// A source of random numbers.
pub(crate) struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// Draws a number of the range.
    pub(crate) fn number(&mut self, range: RangeInclusive<u64>) -> u64 {
        range.start() + self.next() % (range.end() - range.start() + 1)
    }

    /// Draws an index or a count of the range.
    pub(crate) fn count(&mut self, range: RangeInclusive<usize>) -> usize {
        range.start() + usize::try_from(self.number(0..=(range.end() - range.start()) as u64)).expect("fits")
    }

    /// Returns true in `share` percent of the calls.
    pub(crate) fn percent(&mut self, share: u64) -> bool {
        self.number(0..=99) < share
    }

    /// Draws one of these items.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.count(0..=from.len() - 1)]
    }

    /// Draws an id.
    pub(crate) fn id(&mut self) -> uuid::Uuid {
        uuid::Uuid::from_u64_pair(self.next(), self.next())
    }
}

/// Prints the seed when its simulation panics.
struct PrintSeedOnPanic(u64);

impl Drop for PrintSeedOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("POSTRIDER_SEED={} fails", self.0);
        }
    }
}

/// Runs a simulation for each seed below `seeds`, or only for the seed in `POSTRIDER_SEED`.
pub(crate) fn for_each_seed(seeds: u64, simulate: impl Fn(&mut Rng)) {
    let chosen = std::env::var("POSTRIDER_SEED").ok().map(|seed| seed.parse().expect("a seed"));
    for seed in chosen.map_or(0..seeds, |seed: u64| seed..seed + 1) {
        let _guard = PrintSeedOnPanic(seed);
        simulate(&mut Rng(seed));
    }
}
