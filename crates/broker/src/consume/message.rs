//! A message that was received, and the means to acknowledge it.

use std::sync::Arc;

use domain::trace::TraceParent;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicNackOptions};

use super::ack_batcher::{ACK_TIMEOUT, AckBatcher, ConsumerQuota};
use super::headers::{self, Death};
use super::unreadable::{self, Unreadable};
use crate::error::{BrokerError, within};

/// A message from a subscription. RabbitMQ redelivers it if the channel closes before it is acknowledged.
#[derive(Debug)]
pub struct Message {
    /// The body.
    pub body: Vec<u8>,
    /// The routing key. Bytes that are not UTF-8 are replaced, and [`Self::unreadable`] says so.
    pub key: String,
    /// The AMQP property `message_id`; `None` if it is not UTF-8, because its bytes cannot be published again.
    pub message_id: Option<String>,
    /// The first part of the message that cannot be read, if any.
    pub unreadable: Option<Unreadable>,
    /// The producer's trace, if the header `traceparent` is valid.
    pub trace: Option<TraceParent>,
    /// Whether RabbitMQ delivered the message before. Its first consumer may have handled it.
    pub redelivered: bool,
    /// How often the message was returned to its quorum queue.
    pub returns: i64,
    /// Why RabbitMQ dead-lettered the message from other queues, the latest reason first.
    pub deaths: Vec<Death>,
    /// Whether the message has the header of a probe ([`Outgoing::probe`](crate::Outgoing::probe)).
    pub is_marked_probe: bool,
    /// Whether the message was sent on from the queue of unrouted deliveries before
    /// ([`Outgoing::marked_sent_on`](crate::Outgoing::marked_sent_on)).
    pub is_sent_on: bool,
    /// Reason and detail of an earlier rejection by a router.
    pub rejection: Option<(String, String)>,
    /// The exchange that the message came through last.
    pub exchange: String,
    delivery: Delivery,
    acks: Arc<AckBatcher>,
    quota: Arc<ConsumerQuota>,
    /// Memory of the texts that were read from headers.
    header_bytes: usize,
}

impl Message {
    pub(super) fn new(mut delivery: Delivery, acks: Arc<AckBatcher>, quota: Arc<ConsumerQuota>) -> Self {
        // The properties are dropped here, because parsed headers take many times the memory of their bytes on the
        // wire. The link's budget has to know, because headers that are gone would keep it from reading.
        let properties = std::mem::take(&mut delivery.properties);
        let deaths = headers::read_deaths(&properties);
        let rejection = headers::read_rejection(&properties);
        let header_bytes = deaths.iter().map(Death::memory_bytes).sum::<usize>()
            + rejection.as_ref().map_or(0, |(reason, detail)| reason.len() + detail.len());
        delivery.release_properties(header_bytes);
        Self {
            body: std::mem::take(&mut delivery.data),
            key: delivery.routing_key.to_string(),
            message_id: unreadable::utf8_message_id(&properties),
            unreadable: Unreadable::find(&delivery.routing_key, &properties),
            trace: headers::read_trace(&properties),
            redelivered: delivery.redelivered,
            returns: headers::count_returns(&properties),
            deaths,
            is_marked_probe: headers::has_probe_mark(&properties),
            is_sent_on: headers::has_sent_on_mark(&properties),
            rejection,
            exchange: delivery.exchange.to_string(),
            delivery,
            acks,
            quota,
            header_bytes,
        }
    }

    /// Returns the bytes of memory that the message takes. Headers that are not kept do not count.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.body.len() + self.header_bytes
    }

    /// Returns the message's number on its channel.
    #[must_use]
    pub fn delivery_tag(&self) -> u64 {
        self.delivery.delivery_tag
    }

    /// Returns whether the message has no body, as probes and nudges have none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// Returns whether the channel is open, and so whether an unacknowledged message is still ours. If it is not,
    /// RabbitMQ delivers the message again.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.acks.channel().status().connected()
    }

    /// Acknowledges the message soon, in a batch with others. RabbitMQ delivers the message again if the channel closes
    /// before. Not for channels that use [`Self::ack_multiple`].
    pub fn ack(&self) {
        self.acks.acknowledge_soon(self.delivery.delivery_tag, &self.quota);
    }

    /// Acknowledges the message and all messages before it on its channel, at once.
    ///
    /// # Errors
    /// When the channel is closed; RabbitMQ delivers the messages again.
    pub async fn ack_multiple(&self) -> Result<(), BrokerError> {
        let options = BasicAckOptions { multiple: true };
        within(ACK_TIMEOUT, "take an acknowledgement", self.delivery.ack(options)).await.map(|_| ())
    }

    /// Returns the message to its queue, so that RabbitMQ delivers it again.
    ///
    /// # Errors
    /// When the channel is closed; RabbitMQ requeues the message then, too.
    pub async fn requeue(&self) -> Result<(), BrokerError> {
        let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
        within(ACK_TIMEOUT, "requeue a message", self.delivery.nack(options)).await?;
        self.acks.record_requeued(self.delivery.delivery_tag);
        Ok(())
    }
}
