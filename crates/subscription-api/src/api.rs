//! The shared state of all handlers.

use runtime::tasks;
use std::sync::Arc;
use std::time::Duration;

use broker::{Namespace, Publisher, RejectedQueue, Topology};
use domain::ids::WebhookId;
use domain::webhook::health::HealthRule;
use runtime::error::Chain;
use store::Store;
use store::api::overview::BacklogMeter;
use store::secrets::keyring::SecretKeyring;
use tokio::sync::Notify;
use tracing::warn;

use crate::auth::rate_limiter::TokenRateLimiter;
use crate::auth::token::SupportToken;
use crate::auth::token_directory::TokenDirectory;
use crate::budget::Budgets;
use crate::intake::EventIntake;
use crate::security_log::SecurityLog;
use crate::validation::endpoint_resolver::EndpointResolver;

/// Longest time that the response to a new webhook waits for its queue. The deliverer creates the queue otherwise.
const QUEUE_DECLARE_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time that the broker may take to confirm the messages of one request.
pub(crate) const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);

/// The shared state of all handlers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Api {
    parts: Arc<ApiParts>,
    /// Refused requests and reads of secrets, for the log.
    pub(crate) security_log: SecurityLog,
    /// Wakes the worker when this process creates a job on rejected messages.
    pub(crate) rejected_jobs: Arc<Notify>,
}

/// The parts of [`Api`].
#[derive(Debug)]
pub struct ApiParts {
    /// PostgreSQL, for requests.
    pub store: Store,
    /// PostgreSQL, for the process itself: its health, its entry, the rules of publishing, the metrics of the platform.
    pub control: Store,
    /// Looks up the tokens of brands and of support, with connections of its own.
    pub tokens: TokenDirectory,
    /// Bounds what the requests of each brand use at once.
    pub budgets: Budgets,
    /// Measures the pending deliveries of all webhooks.
    pub backlog: BacklogMeter,
    /// Encrypts and decrypts the secrets of webhooks.
    pub keyring: SecretKeyring,
    /// Declares the queues of webhooks and counts their messages.
    pub topology: Topology,
    /// The names of the queues and exchanges.
    pub names: Namespace,
    /// Publishes the events that arrive over HTTP.
    pub publisher: Publisher,
    /// Checks these events against the catalogue and the quotas of their brand.
    pub intake: EventIntake,
    /// The queue of messages that the router rejected.
    pub rejected: RejectedQueue,
    /// The delays of the delay queues.
    pub retry_delays: Vec<Duration>,
    /// Checks the addresses of endpoints.
    pub resolver: EndpointResolver,
    /// The support token of the settings, if one is set.
    pub support_token: SupportToken,
    /// Limits the requests of each token.
    pub rate_limiter: TokenRateLimiter,
    /// Time for which events stay readable; Get Events lists this range by default.
    pub retention: Duration,
    /// The rule by which the deliverers disable webhooks.
    pub health: HealthRule,
}

impl From<ApiParts> for Api {
    fn from(parts: ApiParts) -> Self {
        Self { parts: Arc::new(parts), security_log: SecurityLog::default(), rejected_jobs: Arc::default() }
    }
}

impl std::ops::Deref for Api {
    type Target = ApiParts;

    fn deref(&self) -> &ApiParts {
        &self.parts
    }
}

impl Api {
    /// Declares the queue of a new webhook, so that its first event does not wait until the deliverer finds the queue
    /// missing. A failure is logged and otherwise ignored, because the deliverer declares the queue, too.
    pub async fn declare_queue(&self, id: WebhookId) {
        let topology = self.topology.clone();
        // A task of its own, because cancelling a declaration half way would close the channel.
        let declaring = tasks::spawn_named("declare queue", async move {
            if let Err(error) = topology.declare_webhook_queue(id).await {
                let error = Chain(&error);
                warn!(webhook = %id, %error, "could not declare the queue; the deliverer will");
            }
        });
        let _ = tokio::time::timeout(QUEUE_DECLARE_TIMEOUT, declaring).await;
    }
}
