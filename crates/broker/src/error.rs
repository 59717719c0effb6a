//! What can go wrong with the broker. All of it passes: the caller tries again.

use std::time::Duration;

/// AMQP's reply code for a fault inside the broker.
const INTERNAL_ERROR: u16 = 541;

/// A failure of the broker or of the way there.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The connection or channel failed.
    #[error("RabbitMQ failed")]
    Failed(#[from] lapin::Error),
    /// No answer in time: a broker that blocks, or a connection that is only half there.
    #[error("RabbitMQ did not {what} within {within:?}")]
    Timeout {
        /// What was asked of it.
        what: &'static str,
        /// The bound that was kept.
        within: Duration,
    },
    /// It could not be reached a moment ago, and was not asked again.
    #[error("RabbitMQ could not be reached a moment ago")]
    Away,
    /// The broker said that it could not store a message.
    #[error("RabbitMQ did not take a message")]
    Nacked,
    /// A message came back that no queue takes.
    #[error("no queue takes messages for {0}")]
    Unroutable(String),
}

impl BrokerError {
    /// Whether the broker answers nothing, or with an error of its own: so does a queue whose
    /// leader is missing.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        match self {
            Self::Timeout { .. } => true,
            Self::Failed(error) => {
                matches!(error.kind(), lapin::ErrorKind::ProtocolError(error) if error.get_id() == INTERNAL_ERROR)
            }
            _ => false,
        }
    }

    /// Whether what was asked for does not exist, such as a queue that was deleted.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        let Self::Failed(error) = self else { return false };
        matches!(error.kind(), lapin::ErrorKind::ProtocolError(error) if error.get_id() == 404)
    }
}

/// Bounds a step that talks to the broker: each of them was seen to hang.
pub(crate) async fn within<T, E: Into<BrokerError>>(
    limit: Duration,
    what: &'static str,
    step: impl Future<Output = Result<T, E>>,
) -> Result<T, BrokerError> {
    match tokio::time::timeout(limit, step).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(BrokerError::Timeout { what, within: limit }),
    }
}
