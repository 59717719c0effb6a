//! What is measured, and in what size.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Closed loop: as many deliveries a second as go through
    Throughput,
    /// Open loop: from publish to arrival, beside a bare POST at the same rate
    Latency,
    /// Ten endpoints, all of them good, as if one were bad: how far windows of the same differ
    Control,
    /// Ten endpoints, of which one hangs
    Hanging,
    /// Ten endpoints, of which one refuses connections
    Refusing,
    /// Ten endpoints, of which one takes 500 ms
    Slow,
    /// Ten endpoints, of which one is slow and has a backlog of its own
    Queued,
    /// A fifth of the first attempts fails
    Failing,
    /// A backlog in the queues when the deliverers start
    Backlog,
    /// One brand's flood beside another brand's trickle
    Flood,
    /// Router and deliverers start anew: how soon every webhook is served
    Restart,
    /// Deliverers come, stop and die: their shares, and the longest silence at an endpoint
    Handover,
}

/// Measures how fast Postrider is on this machine, and what the machine itself could do.
#[derive(Debug, Parser)]
#[command(name = "load", version)]
pub(crate) struct Args {
    /// What is measured, one after the other on one platform
    #[arg(value_enum, default_values = ["throughput", "latency"])]
    pub(crate) scenarios: Vec<Scenario>,
    /// Webhooks
    #[arg(long, default_value_t = 10)]
    pub(crate) webhooks: u32,
    /// Webhooks that want the same event
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
    /// Events on their way in a closed loop
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
    /// Start a broker for this run alone: on a shared one the work of others is counted, too
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

    /// Sets of webhooks that want the same events.
    pub(crate) fn groups(&self) -> u32 {
        self.webhooks.div_ceil(self.fan_out)
    }
}
