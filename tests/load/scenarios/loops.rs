//! Equal endpoints: a closed loop for throughput, an open one for latency.

use crate::args::Args;
use crate::report::Measured;
use crate::sink::Manner;
use crate::source::Pace;
use crate::stage::{ARRIVAL_TIMEOUT, Stage};
use crate::window::Window;

pub(super) async fn measure_throughput(stage: &Stage, args: &Args) -> Measured {
    let window = run_window(stage, args, Pace::Closed(args.on_the_way)).await;
    Measured::new("throughput", window)
}

pub(super) async fn measure_latency(stage: &Stage, args: &Args) -> Measured {
    let window = run_window(stage, args, Pace::Open(args.rate)).await;
    Measured::new("latency", window)
}

/// Measures throughput with endpoints that fail a fifth of the first attempts.
pub(super) async fn measure_failing(stage: &Stage, args: &Args) -> Measured {
    set_manners(stage, Manner::Fails).await;
    let window = run_window(stage, args, Pace::Closed(args.on_the_way)).await;
    set_manners(stage, Manner::Well).await;
    Measured::new("a fifth fails at first", window)
}

async fn set_manners(stage: &Stage, manner: Manner) {
    for endpoint in 0..u32::try_from(stage.webhooks.len()).expect("few enough") {
        stage.set_manner(endpoint, manner).await;
    }
}

/// Measures a span under this load.
async fn run_window(stage: &Stage, args: &Args, pace: Pace) -> Window {
    let flow = stage.source.start(stage.group_numbers(), pace);
    tokio::time::sleep(args.warm_up()).await;
    let window = Window::watch_span(&stage.board, &stage.meter(), args.span(), |_| true).await;
    flow.stop().await;
    stage.wait_drained(ARRIVAL_TIMEOUT).await;
    window
}
