//! Equal endpoints: a closed loop for throughput, an open one for latency.

use crate::args::Args;
use crate::report::Measured;
use crate::sink::Manner;
use crate::source::Pace;
use crate::stage::{ARRIVAL_TIMEOUT, Stage};
use crate::window::Window;

pub(super) async fn throughput(stage: &Stage, args: &Args) -> Measured {
    let window = under(stage, args, Pace::Closed(args.on_the_way)).await;
    Measured::new("throughput", window)
}

pub(super) async fn latency(stage: &Stage, args: &Args) -> Measured {
    let window = under(stage, args, Pace::Open(args.rate)).await;
    Measured::new("latency", window)
}

/// Measures throughput with endpoints that fail a fifth of the first attempts.
pub(super) async fn failing(stage: &Stage, args: &Args) -> Measured {
    behave(stage, Manner::Fails).await;
    let window = under(stage, args, Pace::Closed(args.on_the_way)).await;
    behave(stage, Manner::Well).await;
    Measured::new("a fifth fails at first", window)
}

async fn behave(stage: &Stage, manner: Manner) {
    for endpoint in 0..u32::try_from(stage.webhooks.len()).expect("few enough") {
        stage.behave(endpoint, manner).await;
    }
}

/// Measures a span under this load.
async fn under(stage: &Stage, args: &Args, pace: Pace) -> Window {
    let flow = stage.source.start(stage.groups(), pace);
    tokio::time::sleep(args.warm_up()).await;
    let window = Window::watch(&stage.board, &stage.meter(), args.span(), |_| true).await;
    flow.stop().await;
    stage.drain(ARRIVAL_TIMEOUT).await;
    window
}
