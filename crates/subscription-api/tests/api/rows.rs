//! Inserts events, deliveries and attempts into the database as the router and the deliverer do.

use chrono::{DateTime, Utc};
use domain::ids::{AttemptId, EventId};
use tokio_postgres::Client;
use uuid::Uuid;

/// An event and its delivery.
#[derive(Clone)]
pub(crate) struct Event {
    pub(crate) id: EventId,
    brand: String,
    webhook: Uuid,
    pub(crate) created: DateTime<Utc>,
    pub(crate) event_type: &'static str,
    data: String,
    status: &'static str,
    test: bool,
}

impl Event {
    pub(crate) fn new() -> Self {
        let created = domain::time::truncate_to_millis(Utc::now());
        Self {
            id: EventId::generate(u64::try_from(created.timestamp_millis()).expect("after 1970")),
            brand: "acme".to_owned(),
            webhook: Uuid::nil(),
            created,
            event_type: "NOTIFICATION.SMS.RECEIPT",
            data: r#"{"n":1}"#.to_owned(),
            status: "pending",
            test: false,
        }
    }

    pub(crate) fn of(self, brand: &str) -> Self {
        Self { brand: brand.to_owned(), ..self }
    }

    pub(crate) fn to(self, webhook: &str) -> Self {
        Self { webhook: webhook.parse().expect("a UUID"), ..self }
    }

    pub(crate) fn created(self, created: DateTime<Utc>) -> Self {
        Self { created: domain::time::truncate_to_millis(created), ..self }
    }

    pub(crate) fn event_type(self, event_type: &'static str) -> Self {
        Self { event_type, ..self }
    }

    pub(crate) fn data(self, data: &str) -> Self {
        Self { data: data.to_owned(), ..self }
    }

    pub(crate) fn status(self, status: &'static str) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn test(self) -> Self {
        Self { test: true, ..self }
    }

    /// Inserts the event and its delivery, and returns its id.
    pub(crate) async fn insert(&self, sql: &Client) -> String {
        let event =
            "INSERT INTO events (id, brand_id, created, type, data, test) VALUES ($1, $2, $3, $4, $5, $6)";
        let id = self.id.to_uuid();
        sql.execute(event, &[&id, &self.brand, &self.created, &self.event_type, &self.data, &self.test])
            .await
            .expect("event");
        let attempted = matches!(self.status, "delivered" | "failed");
        let delivery = "INSERT INTO deliveries (webhook_id, created, event_id, brand_id, type, status, generation, \
                        attempts, last_attempt_at, test) VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9)";
        sql.execute(
            delivery,
            &[
                &self.webhook,
                &self.created,
                &id,
                &self.brand,
                &self.event_type,
                &self.status,
                &i32::from(attempted),
                &attempted.then_some(self.created),
                &self.test,
            ],
        )
        .await
        .expect("delivery");
        self.id.to_string()
    }

    /// Inserts an attempt that took 12 ms, and returns its id.
    pub(crate) async fn attempt(&self, sql: &Client, outcome: &str, trigger: &str) -> String {
        let started = Utc::now();
        let id = AttemptId::generate(u64::try_from(started.timestamp_millis()).expect("after 1970"));
        let attempt = "INSERT INTO attempts (webhook_id, created, event_id, attempt_id, started_at, duration_ms, \
                       outcome, status_code, error, response_body, trigger) \
                       VALUES ($1, $2, $3, $4, $5, 12, $6, 500, 'answered 500', 'oops', $7)";
        sql.execute(
            attempt,
            &[&self.webhook, &self.created, &self.id.to_uuid(), &id.to_uuid(), &started, &outcome, &trigger],
        )
        .await
        .expect("attempt");
        id.to_string()
    }
}
