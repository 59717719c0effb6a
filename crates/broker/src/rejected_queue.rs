//! The queue of rejected messages, for support: list, count, republish, or delete them.
//!
//! RabbitMQ can only hand out messages from the head of a queue. To reach the messages of a brand, a walk takes every
//! message, keeps the others unacknowledged and without their bodies, and requeues them at its end. If the process dies
//! meanwhile, RabbitMQ requeues them. The routers publish to the queue unhindered.
//!
//! Two walks at the same time would hide messages from each other, so a [`RejectedReader`] is the only one of its process.
//! The caller sees to the other processes.

use std::sync::Arc;
use std::time::Duration;

use domain::event::{RejectReason, read_brand_id, read_event_type};
use domain::ids::BrandId;
use domain::time::{Timestamp, parse_timestamp};
use lapin::message::{BasicGetMessage, Delivery};
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions};
use lapin::types::AMQPValue;
use lapin::{BasicProperties, Channel};
use runtime::error::Chain;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;
use tracing::warn;

use crate::connection::{Link, OPERATION_TIMEOUT};
use crate::consume::{Death, read_deaths, utf8_message_id};
use crate::error::{BrokerError, within};
use crate::names::Namespace;
use crate::publish::{Outgoing, Publisher, Route};
pub use crate::rejected_groups::{Group, Groups, MessageCount};
use crate::rejected_groups::{add_to_group, merge_groups};

/// The header with the stable reason.
pub const REASON_HEADER: &str = "x-reject-reason";
/// The header with the brand, if the message has a valid one.
pub const BRAND_HEADER: &str = "x-brand-id";
/// The header with the explanation.
pub const DETAIL_HEADER: &str = "x-reject-detail";

/// The header with the time of the rejection, in RFC 3339. Messages that RabbitMQ or an earlier release moved have none.
pub const TIME_HEADER: &str = "x-rejected-at";

/// Largest list, in bytes of bodies, which bounds the memory of a request.
const MAX_LIST_BYTES: usize = 8 * 1024 * 1024;
/// Longest walk over the queue, so that the request ends within its timeout.
pub const WALK_TIMEOUT: Duration = Duration::from_secs(20);
/// Messages that a walk takes, because RabbitMQ keeps track of each until it is requeued.
const MAX_WALKED: u64 = 200_000;

/// A message that the router rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedMessage {
    /// The header `x-reject-reason`.
    pub reason: Option<String>,
    /// The header `x-reject-detail`.
    pub detail: Option<String>,
    /// The brand: the header `x-brand-id`, or the `brandId` of the body.
    pub brand: Option<BrandId>,
    /// The `type` of the body, if it is valid.
    pub event_type: Option<String>,
    /// When the router rejected it.
    pub rejected_at: Option<Timestamp>,
    /// The AMQP property `message_id`, if it is UTF-8.
    pub message_id: Option<String>,
    /// The complete body.
    pub body: Vec<u8>,
}

/// The messages that an operation is about: all of them, unless a field is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RejectedFilter {
    /// Messages of this brand.
    pub brand: Option<BrandId>,
    /// Messages that were rejected for this reason.
    pub reason: Option<String>,
    /// Messages of this type.
    pub event_type: Option<String>,
    /// Messages that were rejected before this time. A message without a time counts as older, because RabbitMQ or an
    /// earlier release moved it to the queue.
    pub rejected_before: Option<Timestamp>,
}

/// The bounds of one walk that takes messages out of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakeLimit {
    /// Most messages that leave the queue.
    pub max_messages: u64,
    /// Longest time before the walk ends, at most [`WALK_TIMEOUT`]. Other readers wait for it.
    pub timeout: Duration,
}

/// The result of a walk over the queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Walked<T> {
    /// What the walk found or did.
    pub found: T,
    /// Messages in the queue when the walk began.
    pub total: u64,
    /// Whether the walk saw all of them. Otherwise it took too long, or reached its limit.
    pub complete: bool,
}

/// The queue of rejected messages. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RejectedQueue {
    link: Link,
    names: Namespace,
    /// Held while messages are read, because a concurrent reader would miss the messages that another one holds.
    reading: Arc<Mutex<()>>,
}

/// The reader of the queue. Another one has to wait until it is dropped.
#[derive(Debug)]
pub struct RejectedReader {
    queue: RejectedQueue,
    _turn: OwnedMutexGuard<()>,
}

/// A walk from the head of the queue.
struct Walk {
    channel: Channel,
    queue: String,
    deadline: Instant,
    taken: u64,
    /// Messages in the queue at the begin; `None` before the first message.
    total: Option<u64>,
    complete: bool,
    /// The last message that goes back, without its body.
    last_kept: Option<Delivery>,
}

impl RejectedFilter {
    /// Returns whether an operation with this filter is about the message.
    #[must_use]
    pub fn matches(&self, message: &RejectedMessage) -> bool {
        let brand = self.brand.as_ref().is_none_or(|brand| message.brand.as_ref() == Some(brand));
        let reason = self.reason.as_ref().is_none_or(|reason| message.reason.as_ref() == Some(reason));
        let of_type = |own: &String| message.event_type.as_ref() == Some(own);
        let is_older = |end: Timestamp| message.rejected_at.is_none_or(|at| at < end);
        brand
            && reason
            && self.event_type.as_ref().is_none_or(of_type)
            && self.rejected_before.is_none_or(is_older)
    }
}

impl RejectedQueue {
    /// Creates a reader of this namespace's queue, over a link that nothing else uses.
    #[must_use]
    pub fn new(link: Link, names: Namespace) -> Self {
        Self { link, names, reading: Arc::default() }
    }

    /// Waits until no other reader of this process reads the queue.
    pub async fn wait_turn(&self) -> RejectedReader {
        let turn = Arc::clone(&self.reading).lock_owned().await;
        RejectedReader { queue: self.clone(), _turn: turn }
    }

    /// Returns whether RabbitMQ can be reached, so that a failure has another cause.
    pub async fn is_reachable(&self) -> bool {
        let Ok(channel) = self.link.open_channel().await else { return false };
        within(OPERATION_TIMEOUT, "close a channel", channel.close(200, "done".into())).await.is_ok()
    }

    async fn begin_walk(&self, timeout: Duration) -> Result<Walk, BrokerError> {
        Ok(Walk {
            channel: self.link.open_channel().await?,
            queue: self.names.rejected_queue(),
            deadline: Instant::now() + timeout.min(WALK_TIMEOUT),
            taken: 0,
            total: None,
            complete: false,
            last_kept: None,
        })
    }

    async fn republish_message(
        &self,
        publisher: &Publisher,
        rejected: RejectedMessage,
    ) -> Result<(), BrokerError> {
        let message =
            Outgoing { body: rejected.body, message_id: rejected.message_id, ..Outgoing::default() };
        // The router reads the event type from the body, so the routing key is free.
        let exchange = self.names.events_exchange();
        publisher.publish_mandatory(Route { exchange: &exchange, key: "republished" }, &message).await
    }
}

impl RejectedReader {
    /// Returns the first messages that match, at most `limit`. The messages stay in the queue; a quorum queue may move
    /// the listed ones to its end.
    ///
    /// # Errors
    /// When RabbitMQ fails before a message is found.
    pub async fn list(
        &self,
        filter: &RejectedFilter,
        limit: usize,
    ) -> Result<Walked<Vec<RejectedMessage>>, BrokerError> {
        let mut walk = self.queue.begin_walk(WALK_TIMEOUT).await?;
        let mut found = Vec::new();
        let walking = async {
            let mut bytes = 0;
            while found.len() < limit && bytes < MAX_LIST_BYTES {
                let Some(got) = walk.next().await? else { break };
                let (message, delivery) = split(got);
                walk.last_kept = Some(delivery);
                if filter.matches(&message) {
                    bytes += message.body.len();
                    found.push(message);
                }
            }
            Ok(())
        };
        let walked = walking.await;
        walk.end(walked, found, Vec::is_empty).await
    }

    /// Counts the messages that match.
    ///
    /// # Errors
    /// When RabbitMQ fails. A part of a count would not say whether the walk ended early.
    pub async fn count(&self, filter: &RejectedFilter) -> Result<Walked<u64>, BrokerError> {
        let mut walk = self.queue.begin_walk(WALK_TIMEOUT).await?;
        let mut count = 0;
        let walking = async {
            while let Some(got) = walk.next().await? {
                let (message, delivery) = split(got);
                walk.last_kept = Some(delivery);
                count += u64::from(filter.matches(&message));
            }
            Ok(())
        };
        let walked = walking.await;
        walk.end(walked, count, |_| true).await
    }

    /// Counts the messages by brand, reason and type.
    ///
    /// # Errors
    /// When RabbitMQ fails before a message is counted.
    pub async fn summarize(&self) -> Result<Walked<Groups>, BrokerError> {
        let mut walk = self.queue.begin_walk(WALK_TIMEOUT).await?;
        let mut groups = Groups::new();
        let walking = async {
            while let Some(got) = walk.next().await? {
                let (message, delivery) = split(got);
                walk.last_kept = Some(delivery);
                add_to_group(&mut groups, &message);
            }
            Ok(())
        };
        let walked = walking.await;
        walk.end(walked, groups, Groups::is_empty).await
    }

    /// Publishes messages that match as events again, within `limit`, and returns how many of each group. A message
    /// leaves the queue once its republished copy is confirmed. None is published twice, because a copy that is rejected
    /// again goes to the end, behind the messages that the walk takes.
    ///
    /// # Errors
    /// When RabbitMQ fails before a message has left the queue. A later failure ends the walk before it is complete.
    pub async fn republish(
        &self,
        publisher: &Publisher,
        filter: &RejectedFilter,
        limit: TakeLimit,
    ) -> Result<Walked<Groups>, BrokerError> {
        self.take_out(filter, limit, Some(publisher)).await
    }

    /// Deletes messages that match, within `limit`, and returns how many of each group. It does not purge the queue,
    /// because a purge also deletes the messages that arrived after the request.
    ///
    /// # Errors
    /// When RabbitMQ fails before a message has left the queue. A later failure ends the walk before it is complete.
    pub async fn delete(
        &self,
        filter: &RejectedFilter,
        limit: TakeLimit,
    ) -> Result<Walked<Groups>, BrokerError> {
        self.take_out(filter, limit, None).await
    }

    /// Takes messages that match out of the queue; the others go back.
    async fn take_out(
        &self,
        filter: &RejectedFilter,
        limit: TakeLimit,
        republish: Option<&Publisher>,
    ) -> Result<Walked<Groups>, BrokerError> {
        let mut walk = self.queue.begin_walk(limit.timeout).await?;
        let mut groups = Groups::new();
        let walking = async {
            let mut done = 0;
            while done < limit.max_messages {
                let Some(got) = walk.next().await? else { break };
                let (message, delivery) = split(got);
                if !filter.matches(&message) {
                    walk.last_kept = Some(delivery);
                    continue;
                }
                let mut counted = Groups::new();
                add_to_group(&mut counted, &message);
                if let Some(publisher) = republish
                    && let Err(error) = self.queue.republish_message(publisher, message).await
                {
                    walk.last_kept = Some(delivery);
                    return Err(error);
                }
                let acking = delivery.acker.ack(BasicAckOptions::default());
                within(OPERATION_TIMEOUT, "take an acknowledgement", acking).await?;
                merge_groups(&mut groups, counted);
                done += 1;
            }
            Ok(())
        };
        let walked = walking.await;
        walk.end(walked, groups, Groups::is_empty).await
    }
}

impl Walk {
    /// Takes the next message. `None` when the walk has taken all messages that were in the queue at its begin, or when
    /// it has reached a limit.
    async fn next(&mut self) -> Result<Option<BasicGetMessage>, BrokerError> {
        if self.total.is_some_and(|total| self.taken >= total) {
            self.complete = true;
            return Ok(None);
        }
        if self.taken >= MAX_WALKED || Instant::now() >= self.deadline {
            return Ok(None);
        }
        let getting = self.channel.basic_get(self.queue.as_str().into(), BasicGetOptions::default());
        let Some(got) = within(OPERATION_TIMEOUT, "get a message", getting).await? else {
            self.complete = true;
            return Ok(None);
        };
        self.taken += 1;
        self.total.get_or_insert_with(|| u64::from(got.message_count) + 1);
        Ok(Some(got))
    }

    /// Requeues the kept messages, and returns what the walk found or did. A walk that failed half way is not complete. Its
    /// result counts nevertheless, because messages that have left the queue are gone, and their room has to be returned.
    async fn end<T>(
        mut self,
        walked: Result<(), BrokerError>,
        found: T,
        is_empty: impl FnOnce(&T) -> bool,
    ) -> Result<Walked<T>, BrokerError> {
        let total = self.total.unwrap_or(0);
        let complete = self.complete || self.taken >= total;
        let requeued = self.requeue_kept().await;
        match walked.and(requeued) {
            Ok(()) => Ok(Walked { found, total, complete }),
            Err(error) if is_empty(&found) => Err(error),
            Err(error) => {
                warn!(error = %Chain(&error), "a walk over the rejected messages ended early");
                Ok(Walked { found, total, complete: false })
            }
        }
    }

    async fn requeue_kept(&mut self) -> Result<(), BrokerError> {
        // Closing the channel requeues the messages, too, but only after RabbitMQ has confirmed the close. Without this
        // requeue, a reader that follows at once would find fewer messages.
        if let Some(kept) = self.last_kept.take() {
            let options = BasicNackOptions { multiple: true, requeue: true };
            within(OPERATION_TIMEOUT, "requeue messages", kept.acker.nack(options)).await?;
        }
        within(OPERATION_TIMEOUT, "close a channel", self.channel.close(200, "done".into())).await
    }
}

/// Splits a message from its delivery, so that the body of a kept message is freed.
fn split(got: BasicGetMessage) -> (RejectedMessage, Delivery) {
    let mut delivery = got.delivery;
    let body = std::mem::take(&mut delivery.data);
    let properties = &delivery.properties;
    let brand = text_header(properties, BRAND_HEADER).and_then(|brand| brand.parse().ok());
    let message = RejectedMessage {
        reason: text_header(properties, REASON_HEADER).or_else(|| dead_letter_reason(properties)),
        detail: text_header(properties, DETAIL_HEADER),
        brand: brand.or_else(|| read_brand_id(&body)),
        event_type: read_event_type(&body).map(|event_type| event_type.as_str().to_owned()),
        rejected_at: text_header(properties, TIME_HEADER).and_then(|text| parse_timestamp(&text)),
        message_id: utf8_message_id(properties),
        body,
    };
    (message, delivery)
}

/// Returns the reason of a message that RabbitMQ dead-lettered to this queue, past the router that adds a reason.
fn dead_letter_reason(properties: &BasicProperties) -> Option<String> {
    let deaths = read_deaths(properties);
    let expired = deaths.last()?.reason == Death::EXPIRED;
    let reason = if expired { RejectReason::Expired } else { RejectReason::Poison };
    Some(reason.as_str().to_owned())
}

fn text_header(properties: &BasicProperties, name: &str) -> Option<String> {
    match properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        _ => None,
    }
}
