//! A backlog waits in the endpoints' queues when the deliverers start.

use std::cell::Cell;
use std::time::Duration;

use e2e::poll::eventually;
use e2e::process::Process;

use crate::args::Args;
use crate::report::Measured;
use crate::source::Pace;
use crate::stage::Stage;
use crate::window::{Window, float};

/// How long a backlog may take to be routed, and to be delivered.
const PATIENCE: Duration = Duration::from_secs(1800);
/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn measure(stage: &mut Stage, args: &Args) -> Measured {
    // While there are deliverers to find; those that are started later begin at nothing.
    let meter = stage.meter();
    for deliverer in &mut stage.platform.deliverers {
        let _ = deliverer.terminate().await;
    }
    let routers = Memory::of(&stage.platform.routers);
    stage.source.start(stage.groups(), Pace::Flood(args.backlog)).end().await;
    wait_routed(stage, args, &routers).await;
    let (from, before) = (stage.board.now(), meter.read());
    for deliverer in &mut stage.platform.deliverers {
        deliverer.start();
    }
    let owed = stage.board.published().len() * args.fan_out as usize;
    let deliverers = drained(stage, owed).await;
    let (to, after) = (stage.board.now(), stage.meter().read());
    let window = Window::of(&stage.board, (from, to), after.since(&before), |_| true);
    Measured::new("backlog", window)
        .with("routers_mib_before", routers.at_first)
        .with("routers_mib_at_most", routers.at_most.get())
        .with("deliverers_mib_at_start", deliverers.at_first)
        .with("deliverers_mib_at_most", deliverers.at_most.get())
}

/// What the processes of a service have together, in MiB.
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

/// Waits until all of it lies in the endpoints' queues.
async fn wait_routed(stage: &Stage, args: &Args, routers: &Memory) {
    let rabbit = stage.platform.rabbit().await;
    let owed = u64::from(args.backlog) * u64::from(args.fan_out);
    eventually("the backlog is routed", PATIENCE, async || {
        let mut queued = 0;
        for (_, webhook) in &stage.webhooks {
            queued += u64::from(rabbit.depth(&format!("webhook.{}", webhook.id)).await.unwrap_or(0));
        }
        routers.look(&stage.platform.routers);
        if queued >= owed { Ok(()) } else { Err(format!("{queued} of {owed}")) }
    })
    .await;
}

/// Waits until everything has arrived. The memory of the deliverers, first when something had.
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
