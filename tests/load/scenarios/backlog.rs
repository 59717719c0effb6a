//! A backlog waits in the endpoints' queues when the deliverers start.

use std::cell::Cell;
use std::time::Duration;

use e2e::poll::eventually;
use e2e::process::Process;
use futures_util::future::join_all;

use crate::args::Args;
use crate::report::Measured;
use crate::source::Pace;
use crate::stage::Stage;
use crate::window::{Window, as_float};

/// How long a backlog may take to be routed, and to be delivered.
const BACKLOG_TIMEOUT: Duration = Duration::from_secs(1800);
/// Interval of the memory readings.
const MEMORY_INTERVAL: Duration = Duration::from_millis(100);

pub(super) async fn measure(stage: &mut Stage, args: &Args) -> Measured {
    // The meter needs running deliverers; ones that start later begin at zero.
    let meter = stage.meter();
    for deliverer in &mut stage.platform.deliverers {
        let _ = deliverer.terminate().await;
    }
    let routers = Memory::of(&stage.platform.routers);
    let before = count_queued(stage).await;
    stage.source.start(stage.group_numbers(), Pace::Flood(args.backlog)).end().await;
    wait_routed(stage, args, &routers, before).await;
    let from = stage.board.now();
    let before = meter.read_times();
    for deliverer in &mut stage.platform.deliverers {
        deliverer.start();
    }
    let owed = stage.board.published_events().len() * args.fan_out as usize;
    let deliverers = wait_drained(stage, owed).await;
    let to = stage.board.now();
    let after = stage.meter().read_times();
    let window = Window::of(&stage.board, (from, to), after.time_since(&before), |_| true);
    Measured::new("backlog", window)
        .with("routers_mib_before", routers.at_first)
        .with("routers_mib_at_most", routers.at_most.get())
        .with("deliverers_mib_at_start", deliverers.at_first)
        .with("deliverers_mib_at_most", deliverers.at_most.get())
}

/// The memory of a service's processes together, in MiB.
struct Memory {
    at_first: f64,
    at_most: Cell<f64>,
}

impl Memory {
    fn of(processes: &[Process]) -> Self {
        let now = memory_mib(processes);
        Self { at_first: now, at_most: Cell::new(now) }
    }

    fn update_peak(&self, processes: &[Process]) {
        self.at_most.set(self.at_most.get().max(memory_mib(processes)));
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
fn memory_mib(processes: &[Process]) -> f64 {
    processes.iter().map(|process| process.read_memory().now).sum::<u64>() as f64 / 1_048_576.0
}

/// Waits until all events are in the endpoints' queues, by the routers' own count, because a message holds
/// several.
async fn wait_routed(stage: &Stage, args: &Args, routers: &Memory, before: f64) {
    let owed = before + f64::from(args.backlog) * f64::from(args.fan_out);
    eventually("the backlog is routed", BACKLOG_TIMEOUT, async || {
        let queued = count_queued(stage).await;
        routers.update_peak(&stage.platform.routers);
        if queued >= owed { Ok(()) } else { Err(format!("{queued} of {owed}")) }
    })
    .await;
}

/// Deliveries that the routers have queued.
async fn count_queued(stage: &Stage) -> f64 {
    let counted =
        stage.platform.routers.iter().map(|router| router.read_metric("postrider_deliveries_queued_total"));
    join_all(counted).await.into_iter().sum()
}

/// Waits until everything has arrived. Returns the memory of the deliverers, beginning with the first
/// arrival.
async fn wait_drained(stage: &Stage, owed: usize) -> Memory {
    let began = stage.board.now();
    let arrived = || stage.board.arrivals().last().is_some_and(|last| last.at > began);
    while !arrived() {
        assert!(stage.board.now() - began < BACKLOG_TIMEOUT, "nothing arrives");
        tokio::time::sleep(MEMORY_INTERVAL).await;
    }
    let deliverers = Memory::of(&stage.platform.deliverers);
    while stage.board.count_arrivals() < owed {
        assert!(
            stage.board.now() - began < BACKLOG_TIMEOUT,
            "{} of {owed}",
            as_float(stage.board.count_arrivals())
        );
        tokio::time::sleep(MEMORY_INTERVAL).await;
        deliverers.update_peak(&stage.platform.deliverers);
    }
    deliverers
}
