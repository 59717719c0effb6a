//! The table of exchanges, queues and bindings, and their AMQP arguments.

use std::time::Duration;

use domain::delivery::retry::DelayLevels;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

use crate::names::Namespace;

/// Delivery limit of queues that only we publish to. A lost connection must not lose a message, but RabbitMQ 4 drops
/// a message after 20 returns unless the queue sets a limit.
const DELIVERY_LIMIT: i64 = 1_000_000;
/// Delivery limit of a queue that producers publish to. RabbitMQ moves a message that was returned this often to the
/// quarantine, because it probably kills its consumer. A lost connection counts as a return for all unacknowledged
/// messages, so the limit is well above the number of connections that a message is likely to see fail.
pub const INGEST_DELIVERY_LIMIT: i64 = 50;
/// Delivery limit of the quarantine. Its consumer takes a few messages at a time, so that a message that kills it takes
/// few others along. It returns a message that it cannot pass on every half minute, so this limit lasts for an hour.
const QUARANTINE_DELIVERY_LIMIT: i64 = 100;

/// Binding key of a topic exchange that matches every routing key.
pub(super) const ALL_TYPES: &str = "#";

/// A row of the table.
pub(super) enum Object {
    Exchange { name: String, kind: ExchangeKind, alternate: Option<String> },
    Queue { name: String, kind: QueueKind },
    Binding { exchange: String, queue: String, key: String },
}

/// The kinds of queues in the table.
#[derive(Clone)]
pub(super) enum QueueKind {
    /// Several consumers compete.
    Shared,
    /// Several consumers compete. RabbitMQ dead-letters a message to the exchange `to` when it expires, when it was
    /// returned more than `limit` times, or when the consumer refuses it.
    DeadLettering { limit: i64, to: String },
    /// One consumer at a time; the next takes over when its connection dies.
    SingleActive,
    /// No consumer: every message leaves for the exchange `to` after `delay`.
    Delay { delay: Duration, to: String },
}

/// Lists everything except the queues of webhooks.
pub(super) fn objects(names: &Namespace, levels: Option<&DelayLevels>) -> Vec<Object> {
    let mut objects = exchanges(names);
    objects.extend(shared_queues(names));
    for delay in levels.into_iter().flat_map(DelayLevels::delays) {
        objects.extend(delay_queue(names, *delay));
    }
    objects
}

fn exchanges(names: &Namespace) -> Vec<Object> {
    let exchange = |name, kind, alternate| Object::Exchange { name, kind, alternate };
    vec![
        // Without arguments, so that a producer can declare it as the contract describes it.
        exchange(names.events_exchange(), ExchangeKind::Topic, None),
        exchange(names.notices_exchange(), ExchangeKind::Topic, None),
        exchange(names.unrouted_queue(), ExchangeKind::Fanout, None),
        exchange(names.deliveries_exchange(), ExchangeKind::Direct, Some(names.unrouted_queue())),
        exchange(names.rejected_queue(), ExchangeKind::Fanout, None),
        exchange(names.quarantine_queue(), ExchangeKind::Fanout, None),
        exchange(names.ingest_exchange(), ExchangeKind::Direct, None),
        exchange(names.probe_queue(), ExchangeKind::Fanout, None),
        exchange(names.backlog_exchange(), ExchangeKind::Direct, None),
    ]
}

/// The queues that exist once in a namespace, each followed by its bindings.
fn shared_queues(names: &Namespace) -> Vec<Object> {
    let shared = |name| Object::Queue { name, kind: QueueKind::Shared };
    let dead_lettering =
        |name, limit, to| Object::Queue { name, kind: QueueKind::DeadLettering { limit, to } };
    let bind = |exchange, queue, key: &str| Object::Binding { exchange, queue, key: key.to_owned() };
    let ingest = names.ingest_queue();
    let spare = names.ingest_spare_queue();
    vec![
        shared(names.rejected_queue()),
        bind(names.rejected_queue(), names.rejected_queue(), ""),
        dead_lettering(names.quarantine_queue(), QUARANTINE_DELIVERY_LIMIT, names.rejected_queue()),
        bind(names.quarantine_queue(), names.quarantine_queue(), ""),
        dead_lettering(ingest.clone(), INGEST_DELIVERY_LIMIT, names.quarantine_queue()),
        bind(names.ingest_exchange(), ingest.clone(), &ingest),
        bind(names.events_exchange(), ingest, ALL_TYPES),
        dead_lettering(spare.clone(), INGEST_DELIVERY_LIMIT, names.quarantine_queue()),
        bind(names.ingest_exchange(), spare.clone(), &spare),
        shared(names.unrouted_queue()),
        bind(names.unrouted_queue(), names.unrouted_queue(), ""),
        shared(names.probe_queue()),
        bind(names.probe_queue(), names.probe_queue(), ""),
    ]
}

fn delay_queue(names: &Namespace, delay: Duration) -> [Object; 3] {
    let name = names.delay_queue(delay);
    let kind = QueueKind::Delay { delay, to: names.deliveries_exchange() };
    [
        // A fanout exchange ignores the routing key, so the key can be the webhook's id, which dead-lettering keeps.
        Object::Exchange { name: name.clone(), kind: ExchangeKind::Fanout, alternate: None },
        Object::Queue { name: name.clone(), kind },
        Object::Binding { exchange: name.clone(), queue: name, key: String::new() },
    ]
}

/// Unbinds a queue from a topic exchange.
pub(super) async fn unbind_queue(channel: &Channel, exchange: &str, queue: &str) -> lapin::Result<()> {
    channel.queue_unbind(queue.into(), exchange.into(), ALL_TYPES.into(), FieldTable::default()).await
}

/// Declares one row of the table.
pub(super) async fn declare_object(channel: &Channel, object: &Object) -> lapin::Result<()> {
    match object {
        Object::Exchange { name, kind, alternate } => {
            let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
            let mut arguments = FieldTable::default();
            if let Some(alternate) = alternate {
                arguments.insert("alternate-exchange".into(), long_string(alternate));
            }
            channel.exchange_declare(name.as_str().into(), kind.clone(), options, arguments).await
        }
        Object::Queue { name, kind } => {
            let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(name.as_str().into(), options, kind.arguments()).await.map(|_| ())
        }
        Object::Binding { exchange, queue, key } => {
            let (queue, exchange, key) =
                (queue.as_str().into(), exchange.as_str().into(), key.as_str().into());
            channel.queue_bind(queue, exchange, key, QueueBindOptions::default(), FieldTable::default()).await
        }
    }
}

impl QueueKind {
    fn arguments(&self) -> FieldTable {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), long_string("quorum"));
        match self {
            Self::Shared => {
                arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
            }
            Self::SingleActive => {
                arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
                arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
            }
            Self::DeadLettering { limit, to } => {
                arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(*limit));
                // Without a confirm, because RabbitMQ 3.10's dead-lettering with confirms dies of a malformed `x-death`
                // header from a producer: for all queues of the node, and again at each start. The router publishes the
                // messages that it rejects itself, so no message of ours depends on this strategy.
                arguments.insert("x-dead-letter-exchange".into(), long_string(to));
            }
            Self::Delay { delay, to } => {
                arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
                let millis = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
                arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(millis));
                dead_letter_at_least_once(&mut arguments, to);
            }
        }
        arguments
    }
}

/// Makes RabbitMQ wait for a confirm before it removes a dead-lettered message from the queue. It does that only for a
/// queue that rejects messages when it is full; a queue without a length limit is never full. For queues that only we
/// publish to.
fn dead_letter_at_least_once(arguments: &mut FieldTable, to: &str) {
    arguments.insert("x-dead-letter-exchange".into(), long_string(to));
    arguments.insert("x-dead-letter-strategy".into(), long_string("at-least-once"));
    arguments.insert("x-overflow".into(), long_string("reject-publish"));
}

fn long_string(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}
