//! Many endpoints, of which one behaves badly: what the others notice, in its own brand and in another.

use e2e::poll::eventually;

use super::PATIENCE;
use crate::args::Args;
use crate::report::Measured;
use crate::sink::Manner;
use crate::source::Pace;
use crate::stage::Stage;
use crate::window::Window;

/// Events a second for the one that behaves badly.
const FOR_THE_BAD_ONE: u32 = 100;

/// The others beside a good one, and beside one that is moved to a bad endpoint.
pub(super) async fn measure(
    stage: &Stage,
    args: &Args,
    name: &str,
    bad: impl Fn(&Stage, u32) -> String,
) -> Vec<Measured> {
    measure_behind(stage, args, name, bad, 0).await
}

/// The same when so many events wait for the bad one already.
pub(super) async fn measure_behind(
    stage: &Stage,
    args: &Args,
    name: &str,
    bad: impl Fn(&Stage, u32) -> String,
    backlog: u32,
) -> Vec<Measured> {
    assert!(args.fan_out == 1 && args.webhooks > 2, "this needs fan-out 1 and some webhooks");
    let last = args.webhooks - 1;
    stage.behave(last, Manner::Uncounted).await;
    let mut measured = under(stage, args, last, "beside a good one").await;
    stage.drain(PATIENCE).await;
    stage.move_to(last, &bad(stage, last)).await;
    if backlog > 0 {
        stage.source.start(vec![last], Pace::Flood(backlog)).end().await;
        wait_routed(stage).await;
    }
    measured.extend(under(stage, args, last, name).await);
    // What it was sent meanwhile arrives after all.
    stage.behave(last, Manner::Uncounted).await;
    stage.drain(PATIENCE).await;
    stage.behave(last, Manner::Well).await;
    measured
}

/// Waits until the routers have nothing to do.
async fn wait_routed(stage: &Stage) {
    let rabbit = stage.platform.rabbit().await;
    eventually("all is routed", PATIENCE, async || match rabbit.depth("router").await {
        Some(0) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

/// A closed loop over the others, while the last one gets its events at a fixed rate.
async fn under(stage: &Stage, args: &Args, last: u32, name: &str) -> Vec<Measured> {
    let others = stage.source.start((0..last).collect(), Pace::Closed(args.on_the_way));
    let flow = stage.source.start(vec![last], Pace::Open(FOR_THE_BAD_ONE));
    tokio::time::sleep(args.warm_up()).await;
    let (meter, from) = (stage.meter(), stage.board.now());
    let window = Window::watch(&stage.board, &meter, args.span(), |endpoint| endpoint < last).await;
    let seen = (from, stage.board.now());
    flow.stop().await;
    others.stop().await;
    let own_brand = args.webhooks.div_ceil(2);
    let part = |of: &str, range: std::ops::Range<u32>| {
        let window = Window::of(&stage.board, seen, [].into(), |endpoint| range.contains(&endpoint));
        Measured::new(&format!("{name}: {of}"), window)
    };
    vec![
        Measured::new(name, window),
        part("of its brand", own_brand..last),
        part("of another brand", 0..own_brand),
    ]
}
