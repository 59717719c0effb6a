//! Router and deliverers restart. This measures the time until every queue is subscribed to, and until every
//! webhook has received an event that waited for it.

use std::time::Duration;

use e2e::poll::eventually;

use crate::args::Args;
use crate::report::Measured;
use crate::stage::{ARRIVAL_TIMEOUT, Stage};
use crate::window::Window;

pub(super) async fn measure(stage: &mut Stage, args: &Args) -> Vec<Measured> {
    stop_services(stage).await;
    let from = stage.board.now();
    start_services(stage);
    wait_subscribed(stage).await;
    let subscribed = measure_since(stage, "from start until every queue was subscribed to", from);

    stop_services(stage).await;
    for group in stage.group_numbers() {
        stage.source.publish_event(group).await;
    }
    let from = stage.board.now();
    start_services(stage);
    stage.wait_drained(ARRIVAL_TIMEOUT).await;
    let owed = stage.board.published_events().len() * args.fan_out as usize;
    assert!(stage.board.count_arrivals() >= owed, "{} of {owed} arrived", stage.board.count_arrivals());
    vec![subscribed, measure_since(stage, "from start until every webhook got its waiting event", from)]
}

async fn stop_services(stage: &mut Stage) {
    for process in stage.platform.routers.iter_mut().chain(&mut stage.platform.deliverers) {
        let _ = process.terminate().await;
    }
}

fn start_services(stage: &mut Stage) {
    for process in stage.platform.routers.iter_mut().chain(&mut stage.platform.deliverers) {
        process.start();
    }
}

/// Waits until the deliverers are subscribed to one queue for each webhook.
async fn wait_subscribed(stage: &mut Stage) {
    let webhooks = u32::try_from(stage.webhooks.len()).expect("few enough");
    for deliverer in &mut stage.platform.deliverers {
        deliverer.wait_ready().await;
    }
    eventually("all queues are subscribed to", ARRIVAL_TIMEOUT, async || {
        let mut subscribed = 0.0;
        for deliverer in &stage.platform.deliverers {
            subscribed += deliverer.read_metric("postrider_deliverer_webhooks_subscribed").await;
        }
        if subscribed >= f64::from(webhooks) { Ok(()) } else { Err(subscribed.to_string()) }
    })
    .await;
}

fn measure_since(stage: &Stage, name: &str, from: Duration) -> Measured {
    let to = stage.board.now();
    let window = Window::of(&stage.board, (from, to), [].into(), |_| true);
    Measured::new(name, window).with("seconds", (to - from).as_secs_f64())
}
