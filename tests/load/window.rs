//! The observations of a span of time: deliveries, their latency, and the processor time of each part.

use std::collections::HashSet;
use std::time::Duration;

use serde::Serialize;

use crate::board::{Arrival, Board};
use crate::cpu::{Meter, Seconds};

/// Latencies in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) longest_ms: f64,
}

/// The observations of one span.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Window {
    pub(crate) seconds: f64,
    pub(crate) deliveries: usize,
    pub(crate) per_second: f64,
    /// Seconds of processor for 1,000 deliveries, by part.
    pub(crate) cpu_s_per_1000: Seconds,
    /// From publish to arrival.
    pub(crate) latency: Latency,
}

/// The owed deliveries, and the missing ones among them.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Account {
    pub(crate) published: usize,
    pub(crate) confirmed: usize,
    pub(crate) owed: usize,
    pub(crate) missing: usize,
    pub(crate) repeated: usize,
    /// Arrivals without a publish.
    pub(crate) invented: usize,
}

impl Window {
    /// Watches for this long. Arrivals at endpoints that `counts` excludes are not counted.
    pub(crate) async fn watch_span(
        board: &Board,
        meter: &Meter,
        span: Duration,
        counts: impl Fn(u32) -> bool,
    ) -> Self {
        let from = board.now();
        let before = meter.read_times();
        tokio::time::sleep(span).await;
        let to = board.now();
        let after = meter.read_times();
        Self::of(board, (from, to), after.time_since(&before), counts)
    }

    /// Returns the observations between two instants of the board, with their cost.
    pub(crate) fn of(
        board: &Board,
        (from, to): (Duration, Duration),
        cpu: Seconds,
        counts: impl Fn(u32) -> bool,
    ) -> Self {
        let mut arrivals = board.arrivals();
        arrivals.retain(|arrival| (from..to).contains(&arrival.at) && counts(arrival.endpoint));
        let seconds = (to - from).as_secs_f64();
        let deliveries = arrivals.len();
        let thousands = as_float(deliveries.max(1)) / 1000.0;
        Self {
            seconds,
            deliveries,
            per_second: as_float(deliveries) / seconds,
            cpu_s_per_1000: cpu.into_iter().map(|(part, spent)| (part, spent / thousands)).collect(),
            latency: measure_latency(board, &arrivals),
        }
    }
}

impl Latency {
    /// Computes the percentiles of these latencies, in any order.
    pub(crate) fn of(mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        let at = |share: usize| {
            let place = (latencies.len() * share / 100).min(latencies.len().saturating_sub(1));
            latencies.get(place).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
        };
        Self { p50_ms: at(50), p99_ms: at(99), longest_ms: at(100) }
    }
}

fn measure_latency(board: &Board, arrivals: &[Arrival]) -> Latency {
    let published = board.published_events();
    let took = |arrival: &Arrival| {
        let event = published.get(arrival.event as usize)?;
        Some(arrival.at.saturating_sub(event.at))
    };
    Latency::of(arrivals.iter().filter_map(took).collect())
}

impl Account {
    /// Accounts for everything published so far; `fan_out` endpoints follow one another for each group.
    pub(crate) fn of(board: &Board, fan_out: u32) -> Self {
        let published = board.published_events();
        let arrivals = board.arrivals();
        let owed: HashSet<(u32, u32)> = published
            .iter()
            .zip(0..)
            .flat_map(|(event, number)| {
                (event.group * fan_out..(event.group + 1) * fan_out).map(move |endpoint| (endpoint, number))
            })
            .collect();
        let arrived: HashSet<(u32, u32)> = arrivals.iter().map(|a| (a.endpoint, a.event)).collect();
        Self {
            published: published.len(),
            confirmed: board.count_confirmed() as usize,
            owed: owed.len(),
            missing: owed.difference(&arrived).count(),
            repeated: arrivals.len() - arrived.len(),
            invented: arrived.difference(&owed).count(),
        }
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.missing == 0 && self.invented == 0 && self.confirmed == self.published
    }
}

/// Converts a count to a number for the report.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn as_float(count: usize) -> f64 {
    count as f64
}
