//! The failure of an operation that needs both servers.

use broker::BrokerError;
use store::StoreError;

/// PostgreSQL or RabbitMQ failed. Either way the caller tries again later.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    /// PostgreSQL failed.
    #[error(transparent)]
    PostgreSql(#[from] StoreError),
    /// RabbitMQ failed.
    #[error(transparent)]
    RabbitMq(#[from] BrokerError),
}
