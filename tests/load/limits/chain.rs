//! The bare steps one after the other, at the rate of the open loop. This is the lower bound for any service
//! that keeps an event in two durable queues and in a database before it sends the request.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::Consumer;
use lapin::options::BasicAckOptions;
use tokio::task::JoinSet;

use super::hop::{Hop, Taking};
use super::post::Poster;
use super::rows::Inserter;
use crate::args::Args;
use crate::stage::Stage;
use crate::window::Latency;

/// Start of the measurement that does not count.
const WARM_UP: Duration = Duration::from_secs(1);

/// Measures the time from the publish of an event to the arrival of its request: a hop, its rows committed, a
/// hop, the request.
pub(super) async fn measure_latency(stage: &Stage, args: &Args) -> Latency {
    let events = Hop::declare(&stage.platform, "limit-chain-events", 1).await;
    let deliveries = Hop::declare(&stage.platform, "limit-chain-deliveries", 1).await;
    let poster = Arc::new(Poster::new(stage, args));
    let inserter = Inserter::new(stage, args).await;
    let routing = tokio::spawn(forward_events(only_consumer(&events).await, inserter, deliveries.clone()));
    let delivering = tokio::spawn(post_deliveries(only_consumer(&deliveries).await, Arc::clone(&poster)));

    let publisher = events.publisher().await;
    let mut confirming = JoinSet::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / args.rate.max(1));
    while poster.board.now() < WARM_UP + args.span() {
        ticks.tick().await;
        let mut body = poster.board.record_publish(0).into_bytes();
        body.resize(args.bytes.max(body.len()), b' ');
        let confirm = events.send(&publisher, &events.queues[0], &body).await;
        confirming.spawn(async move { assert!(confirm.await.expect("a confirm").is_ack()) });
    }
    confirming.join_all().await;
    while poster.board.count_arrivals() < poster.board.published_events().len() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    routing.abort();
    delivering.abort();
    events.delete().await;
    deliveries.delete().await;
    poster.latency_after(WARM_UP)
}

async fn only_consumer(hop: &Hop) -> Consumer {
    hop.consume(Taking::EVENTS.prefetch).await.remove(0)
}

/// Inserts the rows and forwards each message, which is acknowledged when the next queue has it.
async fn forward_events(mut events: Consumer, inserter: Inserter, deliveries: Hop) {
    let publisher = deliveries.publisher().await;
    while let Some(Ok(event)) = events.next().await {
        inserter.insert(1).await;
        let confirm = deliveries.send(&publisher, &deliveries.queues[0], &event.data).await;
        tokio::spawn(async move {
            assert!(confirm.await.expect("a confirm").is_ack());
            event.ack(BasicAckOptions::default()).await.expect("an open channel");
        });
    }
}

async fn post_deliveries(mut deliveries: Consumer, poster: Arc<Poster>) {
    while let Some(Ok(delivery)) = deliveries.next().await {
        let poster = Arc::clone(&poster);
        tokio::spawn(async move {
            let id = std::str::from_utf8(&delivery.data).expect("a published message").trim_end();
            poster.post(id).await;
            delivery.ack(BasicAckOptions::default()).await.expect("an open channel");
        });
    }
}
