//! Channels for steps that may fail or hang: an error closes a channel with all that is on it, so each step has
//! one to itself. One that worked is used again: to open and close one costs the broker more than most steps.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::Channel;
use lapin::options::ConfirmSelectOptions;
use tokio::sync::Semaphore;

use crate::error::{BrokerError, within};
use crate::link::{Link, OPERATION};

/// A link's channels for steps. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Channels {
    link: Link,
    /// Whether what is published on them is confirmed.
    confirms: bool,
    places: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Channel>>>,
}

impl Channels {
    /// So many at once, opened when they are needed.
    pub(crate) fn new(link: Link, at_once: usize) -> Self {
        Self { link, confirms: false, places: Arc::new(Semaphore::new(at_once)), idle: Arc::default() }
    }

    /// The same with confirms.
    pub(crate) fn confirming(self) -> Self {
        Self { confirms: true, ..self }
    }

    /// Runs a step that takes `bound` at most on a channel of its own.
    ///
    /// # Errors
    /// When the broker refuses it or does not answer.
    pub(crate) async fn run<T>(
        &self,
        bound: Duration,
        what: &'static str,
        step: impl AsyncFnOnce(&Channel) -> lapin::Result<T>,
    ) -> Result<T, BrokerError> {
        // Nobody closes it: `None` is for the type.
        let permit = tokio::time::timeout(bound, self.places.acquire()).await.ok();
        let Some(_permit) = permit else { return Err(BrokerError::Timeout { what, within: bound }) };
        let channel = match self.take_idle() {
            Some(channel) => channel,
            None => self.open().await?,
        };
        let done = within(bound, what, step(&channel)).await;
        if done.is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(channel);
        }
        done
    }

    /// One that is open; those of a connection that is gone are forgotten.
    fn take_idle(&self) -> Option<Channel> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop()).find(|channel| channel.status().connected())
    }

    async fn open(&self) -> Result<Channel, BrokerError> {
        let channel = self.link.channel().await?;
        if self.confirms {
            let asking = channel.confirm_select(ConfirmSelectOptions::default());
            within(OPERATION, "confirm what is published", asking).await?;
        }
        Ok(channel)
    }
}
