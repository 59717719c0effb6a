//! What every handler works with.

use std::sync::Arc;
use std::time::Duration;

use broker::{Namespace, Publisher, RejectedQueue, Topology};
use domain::health::HealthRule;
use domain::ids::WebhookId;
use runtime::error::Chain;
use store::Store;
use store::vault::Vault;
use tracing::warn;

use crate::auth::SupportToken;
use crate::auth::rate_limiter::TokenRateLimiter;
use crate::validation::endpoint_resolver::EndpointResolver;

/// How long a new webhook's answer waits for its queue; the deliverer makes it otherwise.
const QUEUE_DECLARE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the broker may take to confirm what one request publishes.
pub(crate) const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);

/// What every handler works with. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Api(Arc<ApiParts>);

/// The parts of [`Api`].
#[derive(Debug)]
pub struct ApiParts {
    /// PostgreSQL.
    pub store: Store,
    /// Seals and opens webhook secrets.
    pub keyring: Vault,
    /// What webhooks' queues are declared with.
    pub topology: Topology,
    /// What everything in the broker is called.
    pub names: Namespace,
    /// Publishes the events of those who have no AMQP client.
    pub publisher: Publisher,
    /// What the router refused.
    pub rejected: RejectedQueue,
    /// The delays for which there is a wait queue.
    pub retry_delays: Vec<Duration>,
    /// Looks at where an endpoint leads.
    pub resolver: EndpointResolver,
    /// The support token, if there is one.
    pub support_token: SupportToken,
    /// Keeps the rates.
    pub rate_limiter: TokenRateLimiter,
    /// How long events stay readable: what Get Events lists unless asked otherwise.
    pub retention: Duration,
    /// When webhooks are disabled.
    pub health: HealthRule,
}

impl From<ApiParts> for Api {
    fn from(parts: ApiParts) -> Self {
        Self(Arc::new(parts))
    }
}

impl std::ops::Deref for Api {
    type Target = ApiParts;

    fn deref(&self) -> &ApiParts {
        &self.0
    }
}

impl Api {
    /// Declares the queue of a new webhook, so that its first event need not wait for the deliverer
    /// to find it missing. Whether it works out is of no matter.
    pub async fn declare_queue(&self, id: WebhookId) {
        let topology = self.topology.clone();
        // A task of its own, for a declaration that is given up half way would cost the channel.
        let declaring = tokio::spawn(async move {
            if let Err(error) = topology.declare_webhook(id).await {
                warn!(webhook = %id, error = %Chain(&error), "left a webhook's queue to the deliverer");
            }
        });
        let _ = tokio::time::timeout(QUEUE_DECLARE_TIMEOUT, declaring).await;
    }
}
