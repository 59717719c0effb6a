//! Messages to publish, and where they go.

use std::time::Duration;

use domain::text::truncate_text;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

/// The header that marks a probe, so that the consumer of a queue that producers publish to can tell a probe from an
/// event without a body.
pub(crate) const PROBE_HEADER: &str = "x-postrider-probe";
/// The header of a message that was sent on from the queue of unrouted deliveries, so that a second visit there shows that
/// its queue is missing.
pub(crate) const SENT_ON_HEADER: &str = "x-postrider-sent-on";
/// AMQP's delivery mode of messages that survive a restart.
const PERSISTENT: u8 = 2;
/// Longest value of a header, in bytes. The longest value in the contract is that of `x-reject-detail`.
const MAX_HEADER_VALUE_BYTES: usize = domain::limits::MAX_REJECT_DETAIL_BYTES;
/// Largest header table, in bytes. A content header must fit one frame, and a frame may be limited to 4,096 bytes. The
/// other properties take less than 400 of them, and RabbitMQ adds headers of its own on the way, such as `x-death`.
const MAX_HEADER_TABLE_BYTES: usize = 3072;
/// Bytes of a header beside its name and value: two lengths and a type.
const HEADER_OVERHEAD_BYTES: usize = 1 + 1 + 4;

/// Where a message goes.
#[derive(Debug, Clone, Copy)]
pub struct Route<'a> {
    /// The exchange; empty for the default exchange, whose routing keys are queue names.
    pub exchange: &'a str,
    /// The routing key.
    pub key: &'a str,
}

/// A message to publish, always persistent.
///
/// Long headers are shortened, and a message id that AMQP cannot carry is left out, because a content header that is
/// larger than a frame costs the connection at each retry.
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    /// The body.
    pub body: Vec<u8>,
    /// Headers, in order.
    pub headers: Vec<(&'static str, String)>,
    /// The AMQP property `message_id`; at most 255 bytes.
    pub message_id: Option<String>,
    /// Time to live. RabbitMQ expires the message when it reaches the head of the queue.
    pub expiration: Option<Duration>,
}

impl Outgoing {
    /// Creates a message without headers.
    #[must_use]
    pub fn new(body: Vec<u8>) -> Self {
        Self { body, ..Self::default() }
    }

    /// Creates a message that expires before a consumer gets it. Its confirm shows that a queue stores messages.
    #[must_use]
    pub fn probe() -> Self {
        Self { headers: vec![(PROBE_HEADER, "1".to_owned())], ..Self::empty_expiring(Duration::ZERO) }
    }

    /// Creates a probe that stays until its consumer drops it, for queues that dead-letter expired messages.
    #[must_use]
    pub fn kept_probe() -> Self {
        Self { expiration: None, ..Self::probe() }
    }

    /// Creates an empty message for a consumer that takes it before it expires.
    #[must_use]
    pub fn empty_expiring(expiration: Duration) -> Self {
        Self { expiration: Some(expiration), ..Self::default() }
    }

    /// Marks a message that is sent on ([`Message::is_sent_on`](crate::Message::is_sent_on)).
    #[must_use]
    pub fn marked_sent_on(mut self) -> Self {
        self.headers.push((SENT_ON_HEADER, "1".to_owned()));
        self
    }

    pub(crate) fn properties(&self) -> BasicProperties {
        let mut properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/json".into());
        if let Some(id) = self.message_id.as_deref().and_then(|id| ShortString::try_new(id).ok()) {
            properties = properties.with_message_id(id);
        }
        if let Some(expiration) = self.expiration {
            properties = properties.with_expiration(expiration.as_millis().to_string().into());
        }
        if !self.headers.is_empty() {
            properties = properties.with_headers(self.header_table());
        }
        properties
    }

    /// Builds the header table within [`MAX_HEADER_TABLE_BYTES`]: the last headers are shortened most, or left out.
    fn header_table(&self) -> FieldTable {
        let mut table = FieldTable::default();
        let mut room = MAX_HEADER_TABLE_BYTES;
        for (name, value) in &self.headers {
            let left = room.checked_sub(name.len() + HEADER_OVERHEAD_BYTES);
            let (Ok(name), Some(left)) = (ShortString::try_new(*name), left) else { continue };
            let value = truncate_text(value, left.min(MAX_HEADER_VALUE_BYTES));
            room = left - value.len();
            table.insert(name, AMQPValue::LongString(value.as_ref().into()));
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::protocol::basic::gen_properties;
    use proptest::prelude::*;

    /// The smallest frame that two AMQP peers may agree on.
    const MIN_FRAME_BYTES: usize = 4096;
    /// A frame's type, channel, size and end, and the fields before the properties in a content header.
    const FRAME_OVERHEAD_BYTES: usize = 1 + 2 + 4 + 1 + 2 + 2 + 8;
    const NAMES: [&str; 3] = ["x-reject-reason", "x-reject-detail", "traceparent"];

    fn frame_bytes(message: &Outgoing) -> usize {
        let properties = message.properties();
        let written = gen_properties(&properties)(Vec::new().into()).expect("properties are written");
        FRAME_OVERHEAD_BYTES + usize::try_from(written.position).expect("a size")
    }

    fn header_value(message: &Outgoing, name: &str) -> Option<String> {
        let properties = message.properties();
        let value = properties.headers().as_ref()?.inner().get(name)?.as_long_string()?.to_string();
        Some(value)
    }

    #[test]
    fn a_header_that_is_too_long_is_shortened_and_the_other_headers_stay() {
        let message = Outgoing {
            headers: vec![(NAMES[0], "schema_violation".into()), (NAMES[1], "k".repeat(200_000))],
            ..Outgoing::default()
        };
        assert_eq!(header_value(&message, NAMES[0]).as_deref(), Some("schema_violation"));
        let detail = header_value(&message, NAMES[1]).expect("it is there");
        assert!(detail.len() <= MAX_HEADER_VALUE_BYTES && detail.ends_with("k…"), "{} bytes", detail.len());
        assert!(frame_bytes(&message) <= MIN_FRAME_BYTES);
    }

    #[test]
    fn a_message_id_that_amqp_cannot_carry_is_left_out() {
        let named = |id: String| Outgoing { message_id: Some(id), ..Outgoing::default() }.properties();
        let longest = "x".repeat(255);
        assert_eq!(named(longest.clone()).message_id().as_ref().map(ShortString::as_str), Some(&*longest));
        for id in ["x".repeat(256), "😀".repeat(128)] {
            assert_eq!(named(id).message_id(), &None);
        }
    }

    proptest! {
        #[test]
        fn a_content_header_always_fits_the_smallest_frame(
            values in prop::collection::vec(("[\\PC]{0,3}", 0usize..5_000), 0..8),
            long_name in 0usize..600,
            id in prop::option::of(("[\\PC]{1,2}", 0usize..300)),
            expiration in any::<Option<Duration>>(),
        ) {
            let long_name: &str = "n".repeat(long_name).leak();
            let mut headers: Vec<_> = values
                .into_iter()
                .zip(NAMES.into_iter().chain([long_name]).cycle())
                .map(|((text, times), name)| (name, text.repeat(times)))
                .collect();
            headers.reverse();
            let message_id = id.map(|(text, times)| text.repeat(times));
            let message = Outgoing { headers, message_id, expiration, ..Outgoing::default() };
            let size = frame_bytes(&message);
            prop_assert!(size <= MIN_FRAME_BYTES, "{} bytes", size);
        }
    }
}
