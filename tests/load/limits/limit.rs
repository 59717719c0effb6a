//! The speed and the cost of a bare step.

use serde::Serialize;

use crate::cpu::{Reading, Seconds};
use crate::window::as_float;

/// The speed and the cost of one bare step.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Limit {
    pub(crate) per_second: f64,
    /// Seconds of processor for 1,000 steps, by part.
    pub(crate) cpu_s_per_1000: Seconds,
}

impl Limit {
    /// Computes the limit of this number of steps, from the processor time before and after them.
    pub(super) fn from_readings(done: usize, seconds: f64, before: &Reading, after: &Reading) -> Self {
        let thousands = as_float(done.max(1)) / 1000.0;
        let cpu = after.time_since(before).into_iter().map(|(part, spent)| (part, spent / thousands));
        Self { per_second: as_float(done) / seconds, cpu_s_per_1000: cpu.collect() }
    }

    /// Returns the seconds that a step needs in these parts.
    pub(super) fn seconds_for(&self, parts: &[&str]) -> f64 {
        parts.iter().filter_map(|part| self.cpu_s_per_1000.get(*part)).sum()
    }
}
