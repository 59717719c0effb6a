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
use crate::window::{Window, float};

/// How long a backlog may take to be routed, and to be delivered.
const PATIENCE: Duration = Duration::from_secs(1800);
/// Interval of the memory readings.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn measure(stage: &mut Stage, args: &Args) -> Measured {
    // The meter needs running deliverers; ones that start later begin at zero.
    let meter = stage.meter();
    for deliverer in &mut stage.platform.deliverers {
        let _ = deliverer.terminate().await;
    }
    let routers = Memory::of(&stage.platform.routers);
    let before = queued(stage).await;
    stage.source.start(stage.groups(), Pace::Flood(args.backlog)).end().await;
    wait_routed(stage, args, &routers, before).await;
    let from = stage.board.now();
    let before = meter.read();
    for deliverer in &mut stage.platform.deliverers {
        deliverer.start();
    }
    let owed = stage.board.published().len() * args.fan_out as usize;
    let deliverers = drained(stage, owed).await;
    let to = stage.board.now();
    let after = stage.meter().read();
    let window = Window::of(&stage.board, (from, to), after.since(&before), |_| true);
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
        let now = mib(processes);
        Self { at_first: now, at_most: Cell::new(now) }
    }

    fn look(&self, processes: &[Process]) {
        self.at_most.set(self.at_most.get().max(mib(processes)));
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
fn mib(processes: &[Process]) -> f64 {
    processes.iter().map(|process| process.memory().now).sum::<u64>() as f64 / 1_048_576.0
}

/// Waits until all events are in the endpoints' queues, by the routers' own count, because a message holds
/// several.
async fn wait_routed(stage: &Stage, args: &Args, routers: &Memory, before: f64) {
    let owed = before + f64::from(args.backlog) * f64::from(args.fan_out);
    eventually("the backlog is routed", PATIENCE, async || {
        let queued = queued(stage).await;
        routers.look(&stage.platform.routers);
        if queued >= owed { Ok(()) } else { Err(format!("{queued} of {owed}")) }
    })
    .await;
}

/// Deliveries that the routers have queued.
async fn queued(stage: &Stage) -> f64 {
    let counted =
        stage.platform.routers.iter().map(|router| router.metric("postrider_deliveries_queued_total"));
    join_all(counted).await.into_iter().sum()
}

/// Waits until everything has arrived. Returns the memory of the deliverers, beginning with the first
/// arrival.
async fn drained(stage: &Stage, owed: usize) -> Memory {
    let began = stage.board.now();
    let arrived = || stage.board.arrivals().last().is_some_and(|last| last.at > began);
    while !arrived() {
        assert!(stage.board.now() - began < PATIENCE, "nothing arrives");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let deliverers = Memory::of(&stage.platform.deliverers);
    while stage.board.count() < owed {
        assert!(stage.board.now() - began < PATIENCE, "{} of {owed}", float(stage.board.count()));
        tokio::time::sleep(LOOK_EVERY).await;
        deliverers.look(&stage.platform.deliverers);
    }
    deliverers
}
