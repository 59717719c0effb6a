//! One of three nodes is killed, and each queue that keeps its majority is served again within seconds.

use std::time::Duration;

use e2e::rabbit_cluster::PartitionHandling;
use e2e::rabbit_server::Server;

use super::scene::Scene;

/// How long a webhook whose queue has a majority may receive nothing. A blocked queue would hold up others for the ten
/// seconds of a confirm at least.
const MAX_SILENCE: Duration = Duration::from_secs(9);
/// How long the killed node stays away.
const OUTAGE: Duration = Duration::from_secs(15);
/// How long the only member of a queue stays away, longer than twice the router's confirm timeout.
const LONG_OUTAGE: Duration = Duration::from_secs(30);

on_each_server!(
    the_node_that_leads_most_is_killed_and_nobody_waits,
    a_queue_whose_only_member_is_away_holds_up_nobody_else,
);

async fn the_node_that_leads_most_is_killed_and_nobody_waits(server: Server) {
    let mut scene = Scene::start(server, PartitionHandling::PauseMinority).await;
    let load = scene.start_load();
    scene.wait_flowing().await;

    let leader = scene.cluster.busiest_leader().await;
    scene.silence.restart();
    scene.cluster.kill(leader);
    scene.log_step("the node that leads most is killed");
    tokio::time::sleep(OUTAGE).await;
    eprintln!("the longest silences: {:?}", scene.silence.longest_pauses());
    let silent = scene.silence.pauses_longer_than(MAX_SILENCE);
    scene.cluster.restart(&[leader]).await;
    scene.cluster.wait_in_sync().await;
    scene.log_step("it is back and all queues are in sync");

    assert_eq!(silent, [].into(), "silent for longer than {MAX_SILENCE:?}");
    scene.wait_converged(load).await;
    scene.wait_no_ghost_consumers().await;
}

async fn a_queue_whose_only_member_is_away_holds_up_nobody_else(server: Server) {
    let mut scene = Scene::start(server, PartitionHandling::PauseMinority).await;
    let only = scene.cluster.shrink_to_leader(&scene.webhook_queue(0)).await;
    let load = scene.start_load();
    scene.wait_flowing().await;

    scene.silence.restart();
    scene.cluster.kill(only);
    scene.log_step("the only member is killed");
    tokio::time::sleep(LONG_OUTAGE).await;
    let mut silent = scene.silence.pauses_longer_than(MAX_SILENCE);
    scene.cluster.restart(&[only]).await;
    scene.log_step("it is back");

    eprintln!("the longest silences: {:?}", scene.silence.longest_pauses());
    silent.remove("/0");
    assert_eq!(
        silent,
        [].into(),
        "silent for longer than {MAX_SILENCE:?} although their queues have a majority"
    );
    scene.wait_converged(load).await;
    scene.wait_no_ghost_consumers().await;
}
