//! Fills a database with the deliveries of one webhook, spread over the last seven days.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

/// How far the deliveries reach back; this is within the default range of Get Events.
const SPREAD: TimeDelta = TimeDelta::minutes(7 * 24 * 60 - 10);

/// Selects the events and deliveries number 0 to $3 - 1. `made` gives each its time and its id, which is a
/// ULID of 48 bits of milliseconds and a drawn part.
const MADE: &str = "
    SELECT n, to_timestamp(ms / 1000.0)::timestamptz(3) AS created,
           (lpad(to_hex(ms), 12, '0') || substr(md5(n::text), 1, 20))::uuid AS id,
           CASE WHEN n % 500 = 11 THEN 'NOTIFICATION.PUSH.FAILED'
                WHEN n % 10 = 4 THEN 'NOTIFICATION.EMAIL.SENT'
                ELSE 'NOTIFICATION.SMS.RECEIPT' END AS type,
           CASE WHEN n % 500 = 7 THEN 'failed' WHEN n % 100 = 3 THEN 'discarded' ELSE 'delivered' END AS status
    FROM (SELECT n, $1::bigint + n * $2::bigint / $3::bigint AS ms FROM generate_series(0, $3::bigint - 1) AS n) AS at
";

/// 600 bytes of JSON for each event.
const EVENTS: &str = r#"
    INSERT INTO events (id, brand_id, created, type, received, routing_version, key, data)
    SELECT id, $4::text, created, type, created, 1, CASE WHEN n % 10 = 0 THEN 'order ' || n END,
           rpad('{"phoneNumber":"+49' || lpad(n::text, 11, '0') || '","locale":"de-DE","message":"'
                || md5(n::text) || md5('a' || n) || md5('b' || n), 598, md5('c' || n)) || '"}'
    FROM made
"#;

/// The deduplication keys, as if each event had been published with a `message_id`.
const KEYS: &str = "
    INSERT INTO event_keys (brand_id, key, epoch, event_id, created)
    SELECT $4::text, 'm:message-' || n, 1, id, created FROM made
";

const DELIVERIES: &str = "
    INSERT INTO deliveries (webhook_id, created, event_id, brand_id, type, status, generation, attempts,
                            first_attempt_at, last_attempt_at, last_error)
    SELECT $5::text::uuid, created, id, $4::text, type, status, 1, attempts, attempted, attempted, error
    FROM made, LATERAL (
        SELECT CASE status WHEN 'failed' THEN 8 WHEN 'discarded' THEN 0 ELSE 1 END AS attempts,
               CASE WHEN status <> 'discarded' THEN created + interval '40 ms' END AS attempted,
               CASE status WHEN 'failed' THEN 'the endpoint answered 500' END AS error
    ) AS state
";

/// The contents of a filled database.
#[derive(Debug)]
pub struct Filled {
    /// Number of events.
    pub events: i64,
    /// Time of the first event.
    pub began: DateTime<Utc>,
}

impl Filled {
    /// Fills the tables and brings their statistics up to date.
    ///
    /// # Panics
    /// When the database refuses.
    pub async fn fill(client: &Client, brand: &str, webhook: &str, events: i64) -> Self {
        let started = Instant::now();
        let filled = Self { events, began: Utc::now() - SPREAD };
        client.batch_execute("SET synchronous_commit = off").await.expect("a setting");
        filled.insert(client, EVENTS, &[&brand]).await;
        filled.insert(client, KEYS, &[&brand]).await;
        filled.insert(client, DELIVERIES, &[&brand, &webhook]).await;
        client.batch_execute("VACUUM (ANALYZE) events, event_keys, deliveries").await.expect("statistics");
        eprintln!("filled with {events} deliveries in {:?}", started.elapsed());
        filled
    }

    async fn insert(&self, client: &Client, insert: &str, owner: &[&(dyn ToSql + Sync)]) {
        let began = self.began.timestamp_millis();
        let spread = SPREAD.num_milliseconds();
        let statement = insert.replace("made", &format!("({MADE}) AS made"));
        let made: [&(dyn ToSql + Sync); 3] = [&began, &spread, &self.events];
        let params = [&made, owner].concat();
        let inserted = client.execute(&statement, &params).await.expect("rows");
        assert_eq!(i64::try_from(inserted), Ok(self.events));
    }

    /// Returns the time of event number `n`.
    #[must_use]
    pub fn created(&self, n: i64) -> DateTime<Utc> {
        self.began + TimeDelta::milliseconds(n * SPREAD.num_milliseconds() / self.events)
    }
}
