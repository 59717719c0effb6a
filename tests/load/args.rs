//! The measurements and their sizes.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// A scenario to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Closed loop: maximum number of deliveries a second
    Throughput,
    /// Open loop: time from publish to arrival, beside a bare POST at the same rate
    Latency,
    /// Ten good endpoints, measured as if one were bad, to show how far equal windows differ
    Control,
    /// Nine good endpoints and a hanging one
    Hanging,
    /// Nine good endpoints and a refusing one
    Refusing,
    /// Nine good endpoints and a slow one, which takes 500 ms
    Slow,
    /// Nine good endpoints and a slow one with a backlog of its own
    Queued,
    /// A fifth of the first attempts fails
    Failing,
    /// A backlog in the queues when the deliverers start
    Backlog,
    /// One brand's flood beside another brand's trickle
    Flood,
    /// Router and deliverers restart: time until every webhook is served
    Restart,
    /// Deliverers start, stop and die: their shares, and the longest silence at an endpoint
    Handover,
}

/// Measures the speed of Postrider on this machine, and the limits of the machine itself.
#[derive(Debug, Parser)]
#[command(name = "load", version)]
pub(crate) struct Args {
    /// Scenarios to measure, one after the other on one platform
    #[arg(value_enum, default_values = ["throughput", "latency"])]
    pub(crate) scenarios: Vec<Scenario>,
    /// Webhooks
    #[arg(long, default_value_t = 10)]
    pub(crate) webhooks: u32,
    /// Webhooks that subscribe to the same event
    #[arg(long, default_value_t = 1)]
    pub(crate) fan_out: u32,
    /// Size of an event's message
    #[arg(long, default_value_t = 600)]
    pub(crate) bytes: usize,
    /// Length of each measurement
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Load before the first measurement
    #[arg(long, default_value_t = 3)]
    warm_up_seconds: u64,
    /// Measurements of each scenario; the report has all of them and the median
    #[arg(long, default_value_t = 1)]
    pub(crate) rounds: usize,
    /// Events in flight in a closed loop
    #[arg(long, default_value_t = 1000)]
    pub(crate) on_the_way: u32,
    /// Events a second of an open loop
    #[arg(long, default_value_t = 200)]
    pub(crate) rate: u32,
    /// Events of a backlog or a flood
    #[arg(long, default_value_t = 100_000)]
    pub(crate) backlog: u32,
    /// Requests in flight to each webhook
    #[arg(long, default_value_t = 10)]
    pub(crate) max_concurrency: u16,
    /// Routers
    #[arg(long, default_value_t = 1)]
    pub(crate) routers: usize,
    /// Deliverers
    #[arg(long, default_value_t = 1)]
    pub(crate) deliverers: usize,
    /// The receiver offers HTTP/2
    #[arg(long)]
    pub(crate) http2: bool,
    /// Start a broker for this run alone, because a shared one also counts the work of others
    #[arg(long)]
    pub(crate) own_broker: bool,
    /// Leave out the limits of the machine
    #[arg(long)]
    pub(crate) no_limits: bool,
    /// Also write the report here, as JSON
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

impl Args {
    pub(crate) fn span(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    pub(crate) fn warm_up(&self) -> Duration {
        Duration::from_secs(self.warm_up_seconds)
    }

    /// Returns the number of sets of webhooks that subscribe to the same events.
    pub(crate) fn groups(&self) -> u32 {
        self.webhooks.div_ceil(self.fan_out)
    }
}
