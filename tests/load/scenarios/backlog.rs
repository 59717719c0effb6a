//! A backlog waits in the endpoints' queues when the deliverers start.

use std::time::Duration;

use e2e::poll::eventually;

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
    for deliverer in &mut stage.platform.deliverers {
        let _ = deliverer.terminate().await;
    }
    stage.source.start(stage.groups(), Pace::Flood(args.backlog)).end().await;
    wait_routed(stage, args).await;
    let meter = stage.meter();
    let (from, before) = (stage.board.now(), meter.read());
    for deliverer in &mut stage.platform.deliverers {
        deliverer.start();
    }
    let meter = stage.meter();
    let owed = stage.board.published().len() * args.fan_out as usize;
    let (least, most) = drained(stage, &meter, owed).await;
    let (to, after) = (stage.board.now(), meter.read());
    let window = Window::of(&stage.board, (from, to), after.since(&before), |_| true);
    Measured::new("backlog", window)
        .with("deliverers_mib_at_start", least)
        .with("deliverers_mib_at_most", most)
}

/// Waits until all of it lies in the endpoints' queues.
async fn wait_routed(stage: &Stage, args: &Args) {
    let rabbit = stage.platform.rabbit().await;
    let owed = u64::from(args.backlog) * u64::from(args.fan_out);
    eventually("the backlog is routed", PATIENCE, async || {
        let mut queued = 0;
        for (_, webhook) in &stage.webhooks {
            queued += u64::from(rabbit.depth(&format!("webhook.{}", webhook.id)).await.unwrap_or(0));
        }
        if queued >= owed { Ok(()) } else { Err(format!("{queued} of {owed}")) }
    })
    .await;
}

/// Waits until everything has arrived. The memory of the deliverers, when they were ready and at most.
async fn drained(stage: &Stage, meter: &crate::cpu::Meter, owed: usize) -> (f64, f64) {
    let memory = || meter.memory_mib().get("deliverer").copied().unwrap_or_default();
    let began = stage.board.now();
    let (mut least, mut most) = (0.0_f64, 0.0_f64);
    while stage.board.count() < owed {
        assert!(stage.board.now() - began < PATIENCE, "{} of {owed}", float(stage.board.count()));
        tokio::time::sleep(LOOK_EVERY).await;
        let now = memory();
        most = most.max(now);
        if least == 0.0 && stage.board.arrivals().last().is_some_and(|last| last.at > began) {
            least = now;
        }
    }
    (least, most)
}
