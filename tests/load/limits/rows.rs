//! The bare rows of events and their deliveries, with one durably committed statement for each batch.

use std::time::{Duration, Instant};

use e2e::database::connect;
use tokio_postgres::{Client, Statement};

use super::limit::Limit;
use crate::args::Args;
use crate::source;
use crate::stage::Stage;
use crate::window::Latency;

/// Deliveries in a batch, the same as the recorder's maximum.
const BATCH: usize = 500;

/// Inserts the rows that the platform has when everything is delivered at the first attempt: a key and an
/// event, and a delivery and an attempt for each of its webhooks. The array contains an event's id for each
/// delivery.
const INSERT: &str = "
    WITH d AS (
        SELECT event_id, webhook_id, now() AS created
        FROM unnest($1::uuid[], $2::uuid[]) AS d(event_id, webhook_id)
    ), e AS (
        SELECT DISTINCT event_id, created FROM d
    ), keys AS (
        INSERT INTO event_keys (brand_id, key, epoch, event_id, created)
        SELECT 'limit', 'i:' || event_id, 1, event_id, created FROM e
    ), events AS (
        INSERT INTO events (id, brand_id, created, type, data)
        SELECT event_id, 'limit', created, 'NOTIFICATION.LOAD.G0', $3 FROM e
    ), attempts AS (
        INSERT INTO attempts (webhook_id, created, event_id, attempt_id, started_at, duration_ms, outcome,
                              status_code, trigger)
        SELECT webhook_id, created, event_id, gen_random_uuid(), created, 1, 'delivered', 200, 'fresh' FROM d
    )
    INSERT INTO deliveries (webhook_id, created, event_id, brand_id, type, generation, status, attempts,
                            first_attempt_at, last_attempt_at)
    SELECT webhook_id, created, event_id, 'limit', 'NOTIFICATION.LOAD.G0', 1, 'delivered', 1, created, created
    FROM d
";

pub(super) async fn measure_throughput(stage: &Stage, args: &Args) -> Limit {
    let inserter = Inserter::new(stage, args).await;
    let meter = stage.meter();
    let began = Instant::now();
    let before = meter.read_times();
    let mut done = 0;
    while began.elapsed() < args.span() {
        done += inserter.insert(BATCH).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let after = meter.read_times();
    Limit::from_readings(done, seconds, &before, &after)
}

/// Measures one event after the other, at the rate of the open loop, until its rows are committed.
pub(super) async fn measure_latency(stage: &Stage, args: &Args) -> Latency {
    let inserter = Inserter::new(stage, args).await;
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / args.rate.max(1));
    let began = Instant::now();
    let mut took = Vec::new();
    while began.elapsed() < args.span() {
        ticks.tick().await;
        let began = Instant::now();
        inserter.insert(1).await;
        took.push(began.elapsed());
    }
    Latency::of(took)
}

pub(super) struct Inserter {
    client: Client,
    statement: Statement,
    webhooks: Vec<uuid::Uuid>,
    fan_out: u32,
    data: String,
}

impl Inserter {
    pub(super) async fn new(stage: &Stage, args: &Args) -> Self {
        let client = connect(&stage.platform.database_url()).await.expect("the database");
        let statement = client.prepare(INSERT).await.expect("a statement");
        let webhooks = (0..args.webhooks).map(|_| uuid::Uuid::new_v4()).collect();
        Self { client, statement, webhooks, fan_out: args.fan_out, data: source::event_data(args.bytes) }
    }

    /// Inserts whole events until there is at least this number of deliveries, and returns their number.
    pub(super) async fn insert(&self, deliveries: usize) -> usize {
        let mut events = Vec::new();
        while events.len() < deliveries {
            let event = uuid::Uuid::from_u128(ulid::Ulid::generate().0);
            events.extend((0..self.fan_out).map(|_| event));
        }
        let webhooks: Vec<_> = self.webhooks.iter().cycle().take(events.len()).copied().collect();
        let inserted = self.client.execute(&self.statement, &[&events, &webhooks, &self.data]).await;
        assert_eq!(inserted.expect("rows"), events.len() as u64);
        events.len()
    }
}
