//! `AMQP_URL` lists the nodes of a cluster. The services pass by nodes that refuse or hang, and leave a node that dies.

use std::time::Duration;

use e2e::ports::Port;
use e2e::rabbit_cluster::PartitionHandling;
use e2e::rabbit_server::Server;
use e2e::silent_server::SilentServer;

use super::scene::Scene;

/// How long a webhook may receive nothing while the services change to another node. It would be silent for the whole
/// outage if they did not.
const MAX_SILENCE: Duration = Duration::from_secs(12);
/// How long the killed node stays away.
const OUTAGE: Duration = Duration::from_secs(20);
/// The node of the list that all services use, because it is the first that answers.
const IN_USE: usize = 0;

on_each_server!(the_services_leave_a_killed_node_of_the_list);

async fn the_services_leave_a_killed_node_of_the_list(server: Server) {
    let refusing = Port::reserve();
    let silent = SilentServer::start().await;
    let others = [refusing.address(), silent.address()].map(|a| format!("amqp://guest:guest@{a}/%2f"));
    let mut scene = Scene::start_with(server, PartitionHandling::PauseMinority, |cluster| {
        [others.to_vec(), cluster.node_urls()].concat().join(",")
    })
    .await;
    assert!(silent.count_connections() > 0, "the silent node was not tried");
    let load = scene.start_load();
    scene.wait_flowing().await;

    scene.silence.restart();
    scene.cluster.kill(IN_USE);
    scene.log_step("the node in use is killed");
    tokio::time::sleep(OUTAGE).await;
    eprintln!("the longest silences: {:?}", scene.silence.longest_pauses());
    let silences = scene.silence.pauses_longer_than(MAX_SILENCE);
    scene.cluster.restart(&[IN_USE]).await;
    scene.cluster.wait_in_sync().await;
    scene.log_step("it is back and all queues are in sync");

    assert_eq!(silences, [].into(), "silent for longer than {MAX_SILENCE:?}");
    scene.wait_converged(load).await;
    scene.wait_no_ghost_consumers().await;
}
