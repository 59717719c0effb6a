//! The limits of the machine, measured in the same run: the bare request, the bare hops through the broker,
//! the bare rows. Absolute numbers mean little on a shared machine; ratios to these limits do.

mod chain;
mod hop;
mod limit;
mod post;
mod rows;

use serde::Serialize;

use self::hop::Taking;
pub(crate) use self::limit::Limit;
use crate::args::Args;
use crate::cpu::LOAD;
use crate::stage::Stage;
use crate::window::Latency;

/// Maximum number of endpoint queues of the bare hop.
const MAX_HOP_QUEUES: u32 = 200;

/// All limits of a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Limits {
    /// Signed requests with the deliverer's own client.
    pub(crate) post: Limit,
    /// Messages through the ingest queue.
    pub(crate) ingest_hop: Limit,
    /// Messages through the endpoints' queues.
    pub(crate) delivery_hop: Limit,
    /// Deliveries with their share of an event, as rows.
    pub(crate) rows: Limit,
    /// Signed requests at the rate of the open loop, from start to arrival.
    pub(crate) post_latency: Latency,
    /// Messages through one queue, at that rate, from publish to delivery.
    pub(crate) hop_latency: Latency,
    /// An event with its deliveries as rows, at that rate, until the commit.
    pub(crate) rows_latency: Latency,
    /// All of these one after the other, at that rate, from the publish of an event to the arrival of its
    /// request.
    pub(crate) chain_latency: Latency,
    /// Seconds of processor for 1,000 deliveries, as the sum of the steps without the receiver.
    pub(crate) cpu_s_per_1000: f64,
}

impl Limits {
    pub(crate) async fn measure(stage: &Stage, args: &Args) -> Self {
        let post = post::measure_throughput(stage, args).await;
        let post_latency = post::measure_latency(stage, args).await;
        let ingest_hop = hop::measure_throughput(stage, args, "limit-ingest", 1, Taking::EVENTS).await;
        let queues = args.webhooks.min(MAX_HOP_QUEUES);
        let taking = Taking::for_deliveries(args.max_concurrency);
        let delivery_hop = hop::measure_throughput(stage, args, "limit-deliveries", queues, taking).await;
        let hop_latency = hop::measure_latency(stage, args, "limit-latency").await;
        let rows = rows::measure_throughput(stage, args).await;
        let rows_latency = rows::measure_latency(stage, args).await;
        let chain_latency = chain::measure_latency(stage, args).await;
        let cpu_s_per_1000 = post.seconds_for(&[LOAD])
            + ingest_hop.seconds_for(&[LOAD, "broker"]) / f64::from(args.fan_out)
            + delivery_hop.seconds_for(&[LOAD, "broker"])
            + rows.seconds_for(&[LOAD, "postgres"]);
        Self {
            post,
            ingest_hop,
            delivery_hop,
            rows,
            post_latency,
            hop_latency,
            rows_latency,
            chain_latency,
            cpu_s_per_1000,
        }
    }
}
