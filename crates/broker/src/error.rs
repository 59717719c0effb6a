//! Errors of RabbitMQ. All of them can pass by themselves, so the caller retries.

use std::time::Duration;

use runtime::error::Chain;

/// AMQP's reply code for an internal error of the broker.
const INTERNAL_ERROR: u16 = 541;
/// AMQP's reply code for an object that does not exist.
const NOT_FOUND: u16 = 404;

/// An error of RabbitMQ or of the connection to it.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The connection or channel failed.
    #[error("RabbitMQ failed")]
    Failed(#[from] lapin::Error),
    /// RabbitMQ did not answer in time: it blocks the operation, or the connection hangs.
    #[error("RabbitMQ did not {what} within {within:?}")]
    Timeout {
        /// The operation, as an infinitive.
        what: &'static str,
        /// The timeout that passed.
        within: Duration,
    },
    /// None of several nodes accepted the connection; each with its error.
    #[error("no node of RabbitMQ accepted the connection: {}", describe_nodes(.0))]
    NoNode(Vec<(String, BrokerError)>),
    /// RabbitMQ could not be reached a moment ago, and was not tried again yet.
    #[error("RabbitMQ could not be reached a moment ago")]
    Unreachable,
    /// RabbitMQ could not store a message, and said so.
    #[error("RabbitMQ refused a message")]
    Nacked,
    /// No queue is bound for a message.
    #[error("no queue takes messages for {0}")]
    Unroutable(String),
}

impl BrokerError {
    /// Returns whether RabbitMQ did not answer, or answered with an internal error. A queue without a leader behaves
    /// so.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        match self {
            Self::Timeout { .. } => true,
            Self::NoNode(failures) => failures.iter().all(|(_, failure)| failure.is_silence()),
            Self::Failed(error) => {
                matches!(error.kind(), lapin::ErrorKind::ProtocolError(error) if error.get_id() == INTERNAL_ERROR)
            }
            _ => false,
        }
    }

    /// Returns whether the object does not exist, such as a queue that was deleted.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        let Self::Failed(error) = self else { return false };
        matches!(error.kind(), lapin::ErrorKind::ProtocolError(error) if error.get_id() == NOT_FOUND)
    }
}

fn describe_nodes(failures: &[(String, BrokerError)]) -> String {
    let each = failures.iter().map(|(node, error)| format!("{node}: {}", Chain(error)));
    each.collect::<Vec<_>>().join("; ")
}

/// Limits the time of an operation on RabbitMQ, because each of them was seen to hang.
pub(crate) async fn within<T, E: Into<BrokerError>>(
    timeout: Duration,
    what: &'static str,
    operation: impl Future<Output = Result<T, E>>,
) -> Result<T, BrokerError> {
    match tokio::time::timeout(timeout, operation).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(BrokerError::Timeout { what, within: timeout }),
    }
}
