//! The bare rows of events and their deliveries: one statement a batch, committed durably.

use std::time::Instant;

use e2e::database::connect;
use tokio_postgres::{Client, Statement};

use super::Limit;
use crate::args::Args;
use crate::source;
use crate::stage::Stage;

/// Deliveries in a batch: as many as the recorder takes at once.
const BATCH: u32 = 500;

/// Rows as the platform has them when all is delivered at the first attempt: a key and an event, and
/// for each of its webhooks a delivery and an attempt. The array has an event's id for each delivery.
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

pub(super) async fn measure(stage: &Stage, args: &Args) -> Limit {
    let client = connect(&stage.platform.database_url()).await.expect("the database");
    let statement = client.prepare(INSERT).await.expect("a statement");
    let webhooks: Vec<_> = (0..args.webhooks).map(|_| uuid::Uuid::new_v4()).collect();
    let data = source::data(args.bytes);
    let meter = stage.meter();
    let (began, before) = (Instant::now(), meter.read());
    let mut done = 0;
    while began.elapsed() < args.span() {
        done += insert(&client, &statement, &webhooks, args.fan_out, &data).await;
    }
    let (seconds, after) = (began.elapsed().as_secs_f64(), meter.read());
    Limit::of(done, seconds, &before, &after)
}

/// One batch; how many deliveries it had.
async fn insert(
    client: &Client,
    statement: &Statement,
    webhooks: &[uuid::Uuid],
    fan_out: u32,
    data: &str,
) -> usize {
    let mut events = Vec::new();
    while events.len() < BATCH as usize {
        let event = uuid::Uuid::from_u128(ulid::Ulid::generate().0);
        events.extend((0..fan_out).map(|_| event));
    }
    let webhooks: Vec<_> = webhooks.iter().cycle().take(events.len()).copied().collect();
    let inserted = client.execute(statement, &[&events, &webhooks, &data]).await.expect("rows");
    assert_eq!(inserted, events.len() as u64);
    events.len()
}
