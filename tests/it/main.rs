//! What Postrider promises, one test for each promise, against the real processes and servers.

mod api;
mod broker_restart;
mod crashes;
mod database_restart;
mod delivery;
mod ingest;
mod isolation;
mod lifecycle;
mod matching;
mod outage;
mod outcomes;
mod python;
mod reading;
mod settings;
mod sharing;
mod tenancy;
mod timing;

/// A platform with one brand that may receive all notifications, and a receiver.
struct Stage {
    platform: e2e::platform::Platform,
    brand: e2e::brand::Brand,
    receiver: e2e::receiver::Receiver,
}

impl Stage {
    async fn set() -> Self {
        Self::with(e2e::platform::Platform::builder()).await
    }

    async fn with(builder: e2e::platform::Builder) -> Self {
        let platform = builder.start().await;
        let brand = platform.brand("acme").await;
        let receiver = e2e::receiver::Receiver::start(&platform.authority).await;
        Self { platform, brand, receiver }
    }

    /// An endpoint at this path and a webhook that sends it all notifications.
    async fn webhook(&self, path: &str) -> (e2e::receiver::Endpoint, e2e::brand::Webhook) {
        let endpoint = self.receiver.endpoint(path);
        let webhook = self.brand.webhook(endpoint.url(), &["NOTIFICATION"]).await;
        (endpoint, webhook)
    }

    async fn publish(&self, event: &e2e::event::Event) {
        self.platform.producer().await.publish(event).await;
    }
}
