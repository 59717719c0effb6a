//! A platform of two of each service on a cluster of three nodes, under steady load.

use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::WAIT_TIMEOUT;
use e2e::brand::put_type;
use e2e::ledger::{Kind, Ledger, Subscriber, Totals};
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::rabbit_cluster::{PartitionHandling, RabbitCluster};
use e2e::rabbit_server::Server;
use e2e::receiver::Receiver;
use e2e::silence::Silence;
use e2e::traffic::{RunningLoad, Traffic};
use serde_json::json;

/// Webhooks, each with a type of events of its own.
const WEBHOOKS: usize = 10;
/// Replicas of the router and of the deliverer.
pub(super) const REPLICAS: usize = 2;
/// Retries that outlast every fault.
const RETRIES: &str = "1s,1s,2s,3s,5s,5s,10s,10s,10s,10s,10s,10s";
/// Events a second. Each goes to two webhooks, so that each webhook gets twenty a second.
const PACE: usize = 100;
/// How long everything may take to arrive once all nodes are back.
const CONVERGENCE_TIMEOUT: Duration = Duration::from_secs(90);

/// The platform and its surroundings. Fields are dropped in order, the platform first.
pub(super) struct Scene {
    pub(super) platform: Platform,
    pub(super) cluster: RabbitCluster,
    /// How long each webhook has been silent; its path is `/` and its number.
    pub(super) silence: Arc<Silence>,
    ledger: Arc<Ledger>,
    traffic: Traffic,
    began: Instant,
    _receiver: Receiver,
}

impl Scene {
    /// Starts all of it, and waits until each webhook is served.
    pub(super) async fn start(server: Server, handling: PartitionHandling) -> Self {
        Self::start_with(server, handling, RabbitCluster::url).await
    }

    /// Starts all of it, with the services' `AMQP_URL` from this function.
    pub(super) async fn start_with(
        server: Server,
        handling: PartitionHandling,
        amqp_url: impl FnOnce(&RabbitCluster) -> String,
    ) -> Self {
        let began = Instant::now();
        let cluster = RabbitCluster::start(server, handling).await;
        let builder = Platform::builder().broker(&cluster.url()).set("AMQP_URL", &amqp_url(&cluster));
        // Five processes with the default of 8 may open 94 of the 100 connections that PostgreSQL allows by default.
        let builder = builder.retries(RETRIES).without_health_rule().set("POSTRIDER_DATABASE_POOL", "4");
        let platform = builder.apis(1).routers(REPLICAS).deliverers(REPLICAS).start().await;
        let ledger = Arc::new(Ledger::default());
        let silence = Arc::new(Silence::in_front_of(ledger.clone()));
        let receiver = Receiver::start_with_witness(&platform.authority, silence.clone()).await;
        let kinds = create_webhooks(&platform, &ledger, &receiver).await;
        let amqp_url = cluster.url();
        let namespace = platform.namespace.clone();
        let traffic = Traffic { amqp_url, namespace, kinds, ledger: ledger.clone() };
        let scene = Self { platform, cluster, silence, ledger, traffic, began, _receiver: receiver };
        scene.wait_flowing().await;
        // A node that dies within a second of the declarations may leave RabbitMQ 3.10 with the dead node as the leader of
        // its queues, so that it refuses all messages until that node is back.
        scene.cluster.wait_in_sync().await;
        scene.log_step("each webhook is served, and all queues are in sync");
        scene
    }

    /// Prints an action and its time, for the test's log.
    pub(super) fn log_step(&self, what: &str) {
        let count = self.ledger.totals();
        eprintln!("{:6.1} s  {what}; {} missing", self.began.elapsed().as_secs_f64(), count.missing);
    }

    /// The queue of a webhook.
    pub(super) fn webhook_queue(&self, webhook: usize) -> String {
        format!("{}.webhook.{}", self.platform.namespace, self.ledger.subscribers()[webhook].webhook.id)
    }

    /// Publishes at a steady pace until the load is ended.
    pub(super) fn start_load(&self) -> RunningLoad {
        self.traffic.start(0, PACE)
    }

    /// Waits until an event of each kind, published now, has arrived at each of its webhooks.
    pub(super) async fn wait_flowing(&self) {
        let drawn = self.traffic.publish(&self.traffic.kinds).await;
        if self
            .ledger
            .wait_until(WAIT_TIMEOUT, |ledger| ledger.describe_unseen(&drawn).is_empty())
            .await
            .is_err()
        {
            panic!("not within {WAIT_TIMEOUT:?}: {:#?}", self.ledger.describe_unseen(&drawn));
        }
    }

    /// Ends the load, and waits until every owed event has arrived without a restart.
    ///
    /// # Panics
    /// When something is lost, altered or invented.
    pub(super) async fn wait_converged(&self, load: RunningLoad) {
        load.finish().await;
        self.log_step("the load has ended");
        let converged =
            self.ledger.wait_until(CONVERGENCE_TIMEOUT, |ledger| ledger.count_missing() == 0).await;
        let count = self.ledger.totals();
        let silent = self.silence.pauses_longer_than(CONVERGENCE_TIMEOUT / 2);
        assert!(
            converged.is_ok(),
            "not within {CONVERGENCE_TIMEOUT:?}: {count:#?}; silent: {silent:?}; consumers: {:?}",
            self.cluster.count_consumers().await
        );
        let Totals { missing, violations, .. } = &count;
        assert_eq!((*missing, violations.altered, violations.invented), (0, 0, 0), "{count:#?}");
        self.log_step(&format!(
            "{} events, {} pairs, {} duplicates",
            count.events, count.pairs, count.duplicates
        ));
        self.wait_flowing().await;
    }

    /// Waits until no queue has a consumer that no process reads. Each replica consumes the shared queues
    /// once, and no more than all replicas consume a webhook's queue.
    pub(super) async fn wait_no_ghost_consumers(&self) {
        eventually("each consumer belongs to a process", WAIT_TIMEOUT, async || {
            let consumers = self.cluster.count_consumers().await?;
            let shared = |name: &str| consumers.get(&format!("{}.{name}", self.platform.namespace)).copied();
            let routers = shared("ingest").or_else(|| shared("router"));
            let right = consumers.values().all(|number| *number <= REPLICAS)
                && (routers, shared("unrouted")) == (Some(REPLICAS), Some(REPLICAS));
            if right { Ok(()) } else { Err(format!("{consumers:?}")) }
        })
        .await;
    }
}

/// Creates the webhooks, each for the events of its own type and of the next webhook's.
async fn create_webhooks(platform: &Platform, ledger: &Ledger, receiver: &Receiver) -> Vec<Kind> {
    let brand = platform.create_brand("acme").await;
    let types: Vec<String> = (0..WEBHOOKS).map(|number| format!("NOTIFICATION.CLUSTER.T{number}")).collect();
    for name in &types {
        put_type(&brand.support, name, &json!({"description": "of the cluster tests"})).await;
    }
    let kinds: Vec<Kind> = types.iter().map(|name| ledger.add_kind(&brand.id, name)).collect();
    for own in 0..WEBHOOKS {
        let next = (own + 1) % WEBHOOKS;
        let endpoint = receiver.endpoint(&format!("/{}", ledger.next_place()));
        let webhook =
            brand.create_webhook(endpoint.url(), &[types[own].as_str(), types[next].as_str()]).await;
        let subscriber = Subscriber { brand: brand.id.clone(), webhook };
        ledger.add_webhook(subscriber, &[kinds[own], kinds[next]]);
    }
    kinds
}
