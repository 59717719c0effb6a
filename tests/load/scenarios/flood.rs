//! One brand's trickle, alone and beside another brand's flood.

use crate::args::Args;
use crate::report::Measured;
use crate::source::Pace;
use crate::stage::{ARRIVAL_TIMEOUT, Stage};
use crate::window::Window;

/// Events a second of the trickle.
const TRICKLE: u32 = 20;

pub(super) async fn measure(stage: &Stage, args: &Args) -> Vec<Measured> {
    let groups = args.groups();
    assert!(groups >= 2, "this needs two brands");
    // The first half of the groups belongs to one brand, and floods.
    let flooding = 0..groups.div_ceil(2);
    let trickling = vec![groups - 1];
    let trickle = stage.source.start(trickling, Pace::Open(TRICKLE));
    tokio::time::sleep(args.warm_up()).await;
    let counts = |endpoint: u32| endpoint / args.fan_out == groups - 1;
    let alone = Window::watch_span(&stage.board, &stage.meter(), args.span(), counts).await;
    let flood = stage.source.start(flooding.collect(), Pace::Flood(args.backlog));
    let beside = Window::watch_span(&stage.board, &stage.meter(), args.span(), counts).await;
    flood.end().await;
    trickle.stop().await;
    stage.wait_drained(ARRIVAL_TIMEOUT * 5).await;
    vec![Measured::new("a trickle alone", alone), Measured::new("a trickle beside a flood", beside)]
}
