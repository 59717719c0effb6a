//! A cluster of three RabbitMQ nodes of the test's own, and a balancer in front of them.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use futures_util::future::join_all;

use crate::WAIT_TIMEOUT;
use crate::balancer::Balancer;
use crate::poll::eventually;
use crate::rabbit_node::Node;
use crate::rabbit_server::{PortMapper, Server};
use crate::settings::unique_name;

/// Nodes of a cluster, the smallest number that loses one and goes on.
pub const NODES: usize = 3;
/// Followers that lag behind their leader by at most this many log entries are in sync, because under load some
/// entries are always on their way.
const MAX_LAG: u64 = 200;

/// A node of a cluster, by its number.
pub type NodeIndex = usize;

/// The behaviour of nodes that see fewer than half of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionHandling {
    /// They go on, which is RabbitMQ's default.
    Ignore,
    /// They close their connections until they see more nodes.
    PauseMinority,
}

impl PartitionHandling {
    fn name(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::PauseMinority => "pause_minority",
        }
    }
}

/// A cluster that is killed when it is dropped.
#[derive(Debug)]
pub struct RabbitCluster {
    balancer: Balancer,
    nodes: Vec<Node>,
    // Dropped after the nodes, which are registered there.
    _port_mapper: Option<PortMapper>,
    home: HomeDir,
}

/// The directory of a cluster, removed after its nodes.
#[derive(Debug)]
struct HomeDir(PathBuf);

impl Drop for HomeDir {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

impl RabbitCluster {
    /// Starts three nodes of this server, and waits until they are one cluster.
    ///
    /// # Panics
    /// When RabbitMQ is not installed or does not start.
    pub async fn start(server: Server, handling: PartitionHandling) -> Self {
        let unique = unique_name();
        let home = HomeDir(std::env::temp_dir().join(format!("postrider-e2e-cluster-{unique}")));
        std::fs::create_dir_all(&home.0).expect("a directory for the cluster");
        let port_mapper = PortMapper::start_for(&server).await;
        let mapped = port_mapper.as_ref().map(PortMapper::port);
        let node = |number: NodeIndex| {
            let dir = home.0.join(number.to_string());
            Node::new(server.clone(), &format!("pr{unique}-{number}"), dir, home.0.clone(), mapped)
        };
        let nodes: Vec<Node> = (0..NODES).map(node).collect();
        let balancer = Balancer::in_front_of(nodes.iter().map(|node| node.port().address()).collect()).await;
        let mut cluster = Self { balancer, nodes, _port_mapper: port_mapper, home };
        cluster.configure(handling, &unique);
        cluster.join_nodes().await;
        cluster
    }

    /// Gives all nodes the same cookie, and the first node as their peer. The first node has no peer itself,
    /// because RabbitMQ 4 does not start before its peer is up.
    fn configure(&self, handling: PartitionHandling, cookie: &str) {
        let path = self.home.0.join(".erlang.cookie");
        std::fs::write(&path, cookie).expect("the cookie of the cluster");
        std::fs::set_permissions(&path, Permissions::from_mode(0o400))
            .expect("a cookie with private permissions");
        let handling = format!("cluster_partition_handling = {}\n", handling.name());
        self.nodes[0].configure(&handling);
        for node in &self.nodes[1..] {
            node.configure(&format!(
                "{handling}cluster_formation.peer_discovery_backend = classic_config\n\
                 cluster_formation.classic_config.nodes.1 = {}\n\
                 cluster_formation.classic_config.nodes.2 = {}\n",
                self.nodes[0].name(),
                node.name()
            ));
        }
    }

    /// Starts the first node, then all others, which join it.
    async fn join_nodes(&mut self) {
        self.restart(&[0]).await;
        self.restart(&(1..NODES).collect::<Vec<_>>()).await;
        self.nodes[0].rabbitmqctl(&["await_online_nodes", &NODES.to_string()]).await;
    }

    /// Returns the URL that leads to the nodes in turn.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@{}/%2f", self.balancer.address())
    }

    /// Returns the URL of each node.
    #[must_use]
    pub fn node_urls(&self) -> Vec<String> {
        self.nodes.iter().map(|node| format!("amqp://guest:guest@{}/%2f", node.port().address())).collect()
    }

    /// `kill -9` of a node.
    pub fn kill(&mut self, node: NodeIndex) {
        self.nodes[node].kill();
    }

    /// Stops a node in order.
    ///
    /// # Panics
    /// When it does not run.
    pub fn stop(&mut self, node: NodeIndex) {
        self.nodes[node].stop();
    }

    /// Starts these nodes at once with their state, and waits until they accept clients.
    pub async fn restart(&mut self, nodes: &[NodeIndex]) {
        for node in nodes {
            self.nodes[*node].launch();
        }
        join_all(nodes.iter().map(|node| self.nodes[*node].wait_ready())).await;
    }

    fn running_node(&self) -> &Node {
        self.nodes.iter().find(|node| node.is_started()).expect("a node that runs")
    }

    /// Runs `rabbitmqctl` on a running node, and returns its output.
    pub async fn rabbitmqctl(&self, args: &[&str]) -> String {
        self.running_node().rabbitmqctl(args).await
    }

    /// Evaluates an Erlang expression for each queue `Q` with the name `Name`, on a running node, and returns
    /// the values by queue name. The expression must evaluate to a text.
    async fn eval_per_queue(&self, erlang: &str) -> BTreeMap<String, String> {
        self.try_eval_per_queue(erlang).await.unwrap_or_else(|complaint| panic!("{complaint}"))
    }

    /// Evaluates it while nodes may be recovering.
    async fn try_eval_per_queue(&self, erlang: &str) -> Result<BTreeMap<String, String>, String> {
        let all = format!(
            "[io_lib:format(\"~ts=~ts \", [Name, {erlang}]) || Q <- rabbit_amqqueue:list(), \
             amqqueue:get_type(Q) =:= rabbit_quorum_queue, {{resource, _, _, Name}} <- [amqqueue:get_name(Q)]]"
        );
        let output = self.running_node().try_eval(&format!("lists:flatten({all}).")).await?;
        let pairs =
            output.trim().trim_matches('"').split_whitespace().filter_map(|pair| pair.split_once('='));
        Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Returns the node that leads each quorum queue.
    async fn queue_leaders(&self) -> BTreeMap<String, NodeIndex> {
        let leaders = self.eval_per_queue("atom_to_list(element(2, amqqueue:get_pid(Q)))").await;
        let number = |name: &str| self.nodes.iter().position(|node| node.name() == name);
        leaders.into_iter().filter_map(|(queue, name)| Some((queue, number(&name)?))).collect()
    }

    /// Returns the node that leads most quorum queues.
    ///
    /// # Panics
    /// When there is none.
    pub async fn busiest_leader(&self) -> NodeIndex {
        let leaders = self.queue_leaders().await;
        let led = |node: &NodeIndex| leaders.values().filter(|leader| *leader == node).count();
        (0..NODES).max_by_key(led).expect("a node")
    }

    /// Reduces a quorum queue to one member, its leader, and returns the node of that member.
    ///
    /// # Panics
    /// When there is no such queue, or a member stays.
    pub async fn shrink_to_leader(&self, queue: &str) -> NodeIndex {
        let leader = *self.queue_leaders().await.get(queue).unwrap_or_else(|| panic!("no queue {queue}"));
        for (number, node) in self.nodes.iter().enumerate() {
            if number != leader {
                let delete = format!(
                    "rabbit_quorum_queue:delete_member(<<\"/\">>, <<\"{queue}\">>, '{}').",
                    node.name()
                );
                assert_eq!(
                    self.running_node().eval(&delete).await.trim(),
                    "ok",
                    "{queue} keeps {}",
                    node.name()
                );
            }
        }
        leader
    }

    /// Returns the number of consumers of each quorum queue, including waiting ones of a single active
    /// consumer.
    ///
    /// # Errors
    /// When the node does not answer yet.
    pub async fn count_consumers(&self) -> Result<BTreeMap<String, usize>, String> {
        let consumers = "integer_to_list(length(rabbit_amqqueue:consumers(Q)))";
        let consumers = self.try_eval_per_queue(consumers).await?;
        Ok(consumers.into_iter().map(|(queue, number)| (queue, number.parse().expect("a number"))).collect())
    }

    /// Waits until all members of all quorum queues run, and have the entries of their leader.
    ///
    /// # Panics
    /// When they do not in time.
    pub async fn wait_in_sync(&self) {
        let behind = format!(
            "(fun() -> Members = rabbit_quorum_queue:status(<<\"/\">>, Name), \
              Value = fun(Key, Member) -> proplists:get_value(Key, Member, 0) end, \
              Indexes = [Value(<<\"Commit Index\">>, Member) || Member <- Members, \
                lists:member(Value(<<\"Raft State\">>, Member), [leader, follower])], \
              case length(Indexes) =:= length(Members) andalso \
                lists:max(Indexes) - lists:min(Indexes) =< {MAX_LAG} of \
              true -> \"yes\"; false -> \"no\" end end)()"
        );
        eventually("all quorum queues are in sync", WAIT_TIMEOUT * 2, async || {
            let synced = self.try_eval_per_queue(&behind).await?;
            let behind: Vec<_> = synced.into_iter().filter(|(_, synced)| synced != "yes").collect();
            if behind.is_empty() { Ok(()) } else { Err(format!("{behind:?}")) }
        })
        .await;
    }
}
