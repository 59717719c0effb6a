//! Postrider's promises, one test for each, against the real processes and servers.

mod addresses;
mod api;
mod asymmetric;
mod audit;
mod backup;
mod boards;
mod broker_restart;
mod catalogue;
mod catching_up;
mod certificates;
mod cli;
mod cli_listen;
mod cli_lookup;
mod cluster;
mod crashes;
mod database_failover;
mod database_restart;
mod delivery;
mod disabled;
mod docs;
mod encrypted;
mod exchange;
mod failing_backlog;
mod fair_routing;
mod fuzzed_api;
mod health;
mod health_states;
mod hostile_tenants;
mod http_ingest;
mod ingest;
mod isolation;
mod kept_connections;
mod leaks;
mod lifecycle;
mod limits;
mod lookup;
mod matching;
mod memory;
mod metrics;
mod names;
mod odd_answers;
mod outage;
mod outcomes;
mod overview;
mod paging;
mod paused_backlog;
mod pgbouncer;
mod platform_queues;
mod poison;
mod python;
mod quarantine;
mod readiness;
mod reading;
mod receivers;
mod redeliver;
mod redelivery_jobs;
mod refused;
mod rejected;
mod rejected_jobs;
mod retries_first;
mod sealed_headers;
mod secrets;
mod security_log;
mod settings;
mod several_addresses;
mod sharing;
mod silent_queue;
mod slow_clients;
mod stats;
mod stopping;
mod tenancy;
mod test_events;
mod timing;
mod timing_hostile;
mod timing_pace;
mod tracing;
mod unreadable_webhook;
mod upgrade;
mod waiting;

/// Maximum number of messages in flight when a test publishes many.
const MAX_PUBLISHES_IN_FLIGHT: usize = 1000;
/// How long thousands of events may take.
const LONG_WAIT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(300);

/// A platform with one brand that may receive all notifications, and a receiver.
struct Stage {
    platform: e2e::platform::Platform,
    brand: e2e::brand::Brand,
    receiver: e2e::receiver::Receiver,
}

/// [`Stage::with_one_of_each`].
struct OneOfEach {
    stage: Stage,
    endpoint: e2e::receiver::Endpoint,
    webhook: e2e::brand::Webhook,
    disabled: e2e::brand::Webhook,
}

impl Stage {
    async fn new() -> Self {
        Self::with_builder(e2e::platform::Platform::builder()).await
    }

    async fn with_builder(builder: e2e::platform::Builder) -> Self {
        Self::on_platform(builder.start().await).await
    }

    async fn on_platform(platform: e2e::platform::Platform) -> Self {
        let brand = platform.create_brand("acme").await;
        let receiver = e2e::receiver::Receiver::start(&platform.authority).await;
        Self { platform, brand, receiver }
    }

    /// Creates an active, a disabled and a paused webhook. The endpoint of the first accepts two requests;
    /// all later ones fail and are retried after ten minutes.
    async fn with_one_of_each() -> OneOfEach {
        use e2e::script::Reply;
        let stage = Self::with_builder(e2e::platform::Platform::builder().retries("10m")).await;
        let (endpoint, webhook) = stage.create_webhook("/hook").await;
        let (_, disabled) = stage.create_webhook("/off").await;
        let (_, paused) = stage.create_webhook("/paused").await;
        e2e::support::disable_webhook(&stage.brand.support, &disabled, "a test").await;
        stage.brand.patch_webhook(&paused, &serde_json::json!({"enabled": false})).await;
        endpoint.answer([Reply::ok(), Reply::ok(), Reply::status(500)]);
        OneOfEach { stage, endpoint, webhook, disabled }
    }

    /// Creates an endpoint at this path and a webhook that sends it all notifications.
    async fn create_webhook(&self, path: &str) -> (e2e::receiver::Endpoint, e2e::brand::Webhook) {
        let endpoint = self.receiver.endpoint(path);
        let webhook = self.brand.create_webhook(endpoint.url(), &["NOTIFICATION"]).await;
        (endpoint, webhook)
    }

    async fn publish_event(&self, event: &e2e::event::Event) {
        self.platform.producer().await.publish(event).await;
    }

    /// Publishes this number of SMS receipts.
    async fn publish_many(&self, number: usize) -> Vec<e2e::event::Event> {
        let events = e2e::event::Event::sms_batch("acme", number);
        for some in events.chunks(MAX_PUBLISHES_IN_FLIGHT) {
            self.platform.producer().await.publish_all(some).await;
        }
        events
    }

    /// Waits until these events are in the webhook's queue, and stops the router, which may put several
    /// events into a message.
    async fn wait_queued(&mut self, webhook: &e2e::brand::Webhook, ids: &std::collections::BTreeSet<String>) {
        self.brand.wait_listed(webhook, "status=pending", ids, e2e::WAIT_TIMEOUT).await;
        // A stored event is not queued yet; a stopping router finishes its work.
        self.platform.routers[0].terminate().await;
    }

    /// Publishes this number of SMS receipts and waits until the webhook has received and answered them.
    async fn deliver_many(&self, webhook: &e2e::brand::Webhook, number: usize) -> Vec<e2e::event::Event> {
        let events = self.publish_many(number).await;
        self.wait_settled(webhook, "delivered", &events).await;
        events
    }

    /// Publishes one more SMS receipt and waits until the webhook has received and answered it.
    async fn deliver_one(&self, webhook: &e2e::brand::Webhook) -> e2e::event::Event {
        let event = self.publish_many(1).await.remove(0);
        self.brand.wait_delivery_status(webhook, event.id(), "delivered").await;
        event
    }

    /// Waits until no request is in flight, so that everything sent so far has arrived.
    async fn wait_no_request(&self) {
        for deliverer in &self.platform.deliverers {
            e2e::poll::eventually("no request is in flight", e2e::WAIT_TIMEOUT, async || {
                match deliverer.read_metric("postrider_attempts_in_flight").await {
                    0.0 => Ok(()),
                    some => Err(some.to_string()),
                }
            })
            .await;
        }
    }

    /// Waits until exactly these events have this status.
    async fn wait_settled(&self, webhook: &e2e::brand::Webhook, status: &str, events: &[e2e::event::Event]) {
        let query = format!("status={status}");
        let ids = e2e::event::ids(events);
        self.brand.wait_listed(webhook, &query, &ids, LONG_WAIT_TIMEOUT).await;
    }
}
