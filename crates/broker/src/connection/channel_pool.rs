//! A pool of channels for operations that may fail or hang.
//!
//! An error closes a channel together with everything else on it, so each operation has a channel of its own. A channel
//! whose operation succeeded is used again, because opening and closing one costs RabbitMQ more than most operations.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::Channel;
use lapin::options::ConfirmSelectOptions;
use tokio::sync::Semaphore;

use super::link::{Link, OPERATION_TIMEOUT};
use crate::error::{BrokerError, within};

/// Channels of one link. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ChannelPool {
    link: Link,
    /// Whether RabbitMQ confirms the messages that are published on the channels.
    confirms: bool,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Channel>>>,
}

impl ChannelPool {
    /// Creates a pool of at most `max_channels` channels, opened when they are needed.
    pub(crate) fn new(link: Link, max_channels: usize) -> Self {
        Self { link, confirms: false, permits: Arc::new(Semaphore::new(max_channels)), idle: Arc::default() }
    }

    /// Returns the same pool with confirms.
    pub(crate) fn with_confirms(self) -> Self {
        Self { confirms: true, ..self }
    }

    /// Runs an operation on a channel of its own, for `timeout` at most. `what` names the operation in the error.
    ///
    /// # Errors
    /// When RabbitMQ refuses the operation or does not answer.
    pub(crate) async fn run<T, E: Into<BrokerError>>(
        &self,
        timeout: Duration,
        what: &'static str,
        operation: impl AsyncFnOnce(&Channel) -> Result<T, E>,
    ) -> Result<T, BrokerError> {
        // An error of `acquire` would mean that the semaphore is closed, which never happens.
        let permit = tokio::time::timeout(timeout, self.permits.acquire()).await.ok();
        let Some(_permit) = permit else { return Err(BrokerError::Timeout { what, within: timeout }) };
        let channel = match self.take_idle() {
            Some(channel) => channel,
            None => self.open_channel().await?,
        };
        let result = within(timeout, what, operation(&channel)).await;
        if result.is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(channel);
        }
        result
    }

    /// Drops the idle channels. Operations that follow have new ones.
    pub(crate) fn drop_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Returns an idle channel that is open, and drops the channels of a lost connection.
    fn take_idle(&self) -> Option<Channel> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop()).find(|channel| channel.status().connected())
    }

    async fn open_channel(&self) -> Result<Channel, BrokerError> {
        let channel = self.link.open_channel().await?;
        if self.confirms {
            let selecting = channel.confirm_select(ConfirmSelectOptions::default());
            within(OPERATION_TIMEOUT, "turn on confirms", selecting).await?;
        }
        Ok(channel)
    }
}
