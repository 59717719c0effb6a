//! Latencies of a window.

use std::time::{Duration, Instant};

/// A measured span of time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) from: Instant,
    pub(crate) to: Instant,
}

impl Window {
    pub(crate) fn contains(&self, at: Instant) -> bool {
        self.from <= at && at < self.to
    }
}

/// Latencies in ascending order.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl FromIterator<Duration> for Samples {
    fn from_iter<I: IntoIterator<Item = Duration>>(all: I) -> Self {
        let mut all: Vec<Duration> = all.into_iter().collect();
        all.sort_unstable();
        Self(all)
    }
}

impl Samples {
    /// Returns the latency that this number of hundredths of the samples do not exceed.
    pub(crate) fn percentile(&self, hundredths: usize) -> Duration {
        let rank = (self.0.len() * hundredths).div_ceil(100).saturating_sub(1);
        self.0.get(rank).copied().unwrap_or_default()
    }

    pub(crate) fn max(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns how many times the 99th percentile of `before` this one's is.
    pub(crate) fn ratio(&self, before: &Self) -> f64 {
        self.percentile(99).as_secs_f64() / before.percentile(99).as_secs_f64()
    }
}

#[test]
fn a_percentile_is_a_sample() {
    let samples: Samples = (1..=200).map(Duration::from_millis).collect();
    assert_eq!(samples.percentile(50), Duration::from_millis(100));
    assert_eq!(samples.percentile(99), Duration::from_millis(198));
    assert_eq!((samples.max(), samples.len()), (Duration::from_millis(200), 200));
    assert_eq!(Samples::default().percentile(99), Duration::ZERO);
}
