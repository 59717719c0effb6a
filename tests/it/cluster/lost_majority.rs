//! While two of three nodes are away nothing can be delivered; once they are back, everything is delivered
//! without a restart.

use std::time::Duration;

use e2e::rabbit_cluster::PartitionHandling;
use e2e::rabbit_server::Server;

use super::scene::Scene;

/// How long two nodes stay away, four times as long as the services wait for a subscription.
const OUTAGE: Duration = Duration::from_secs(40);

on_each_server!(two_of_three_nodes_are_away_and_everything_converges_without_a_restart);

/// With RabbitMQ's default for partitions, the remaining node keeps its connections and does not answer
/// requests that need a majority.
async fn two_of_three_nodes_are_away_and_everything_converges_without_a_restart(server: Server) {
    let mut scene = Scene::start(server, PartitionHandling::Ignore).await;
    let load = scene.start_load();
    scene.wait_flowing().await;

    scene.cluster.kill(0);
    scene.cluster.kill(2);
    scene.log_step("two nodes are killed");
    tokio::time::sleep(OUTAGE).await;
    scene.cluster.restart(&[0, 2]).await;
    scene.cluster.wait_in_sync().await;
    scene.log_step("both are back and all queues are in sync");

    scene.wait_converged(load).await;
    scene.wait_no_ghost_consumers().await;
}
