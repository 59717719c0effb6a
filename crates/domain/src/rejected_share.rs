//! The share of the queue of rejected messages that a brand may use.
//!
//! The queue belongs to all brands. A brand that fills its share loses its own further rejected messages, which are
//! counted, and never another brand's place.

use std::time::Duration;

use crate::event::RejectReason;
use crate::ids::BrandId;

/// The share of messages that name no brand of the platform. No brand has this name.
pub const NO_BRAND: &str = "";
/// Time for which a rejected message stays in the queue: long enough for support to fix the cause.
pub const REJECTED_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);
/// Days whose usage counts, beside today: as many as in [`REJECTED_RETENTION`].
pub const USAGE_DAYS: i32 = 7;
/// Size of a brand's share. It holds 256 events of the largest size, or some 65,000 small ones.
pub const MAX_BRAND_BYTES: i64 = 64 * 1024 * 1024;
/// Size of the queue. RabbitMQ keeps it on the disk that the queues of webhooks share.
pub const MAX_TOTAL_BYTES: i64 = 1024 * 1024 * 1024;
/// Size of a brand's share when the queue is full: each brand finds room for its first messages, because a few
/// brands fill it.
pub const MIN_BRAND_BYTES: i64 = 1024 * 1024;
/// Bytes that RabbitMQ keeps for a message beside its body: properties and headers.
const MESSAGE_OVERHEAD_BYTES: usize = 1024;

const _: () = assert!(MIN_BRAND_BYTES < MAX_BRAND_BYTES && MAX_BRAND_BYTES < MAX_TOTAL_BYTES);
const _: () = assert!(USAGE_DAYS as u64 * 24 * 3600 >= REJECTED_RETENTION.as_secs());

/// Returns the bytes that a message with a body of this size uses.
#[must_use]
pub fn message_bytes(body: usize) -> i64 {
    i64::try_from(body.saturating_add(MESSAGE_OVERHEAD_BYTES)).unwrap_or(i64::MAX)
}

/// Returns the name of the share that a rejected message uses, given the brand that the message names and the reason.
///
/// Producers may invent any number of brands. Messages of unknown ones share a place, whatever they are rejected for,
/// so that they take no place of a real brand. The router takes room with this name, and the API returns room with it.
pub fn share_name<'a>(
    brand: Option<&'a BrandId>,
    reason: &str,
    is_known: impl FnOnce(&BrandId) -> bool,
) -> &'a str {
    // A brand that was created since did not exist when its message was rejected for this reason.
    let may_be_known = reason != RejectReason::UnknownBrand.as_str();
    brand.filter(|brand| may_be_known && is_known(brand)).map_or(NO_BRAND, BrandId::as_str)
}

/// Returns whether a brand may put one more message into the queue, given the bytes of its own and of all messages.
///
/// The size of the message does not count, so that the largest message fits, too, while there is room.
#[must_use]
pub fn has_room(brand_bytes: i64, total_bytes: i64) -> bool {
    let share = if total_bytes < MAX_TOTAL_BYTES { MAX_BRAND_BYTES } else { MIN_BRAND_BYTES };
    brand_bytes < share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brand_has_room_until_it_has_used_its_share() {
        for (brand, total, expected) in [
            (0, 0, true),
            (-5, -5, true),
            (MAX_BRAND_BYTES - 1, MAX_BRAND_BYTES - 1, true),
            (MAX_BRAND_BYTES, MAX_BRAND_BYTES, false),
            (MAX_BRAND_BYTES - 1, MAX_TOTAL_BYTES, false),
            (0, MAX_TOTAL_BYTES, true),
            (MIN_BRAND_BYTES - 1, i64::MAX, true),
            (MIN_BRAND_BYTES, MAX_TOTAL_BYTES, false),
        ] {
            assert_eq!(has_room(brand, total), expected, "{brand} of {total}");
        }
        assert_eq!(message_bytes(0), 1024);
        assert_eq!(message_bytes(usize::MAX), i64::MAX);
    }

    #[test]
    fn messages_of_unknown_brands_share_a_place_whatever_the_reason() {
        let known: BrandId = "acme".parse().expect("a brand");
        let invented: BrandId = "ghost".parse().expect("a brand");
        for (brand, reason, expected) in [
            (Some(&known), "unknown_type", "acme"),
            (Some(&known), "missing_field", "acme"),
            (Some(&known), "unknown_brand", NO_BRAND),
            (Some(&invented), "unknown_brand", NO_BRAND),
            (Some(&invented), "missing_field", NO_BRAND),
            (None, "invalid_json", NO_BRAND),
        ] {
            assert_eq!(share_name(brand, reason, |brand| *brand == known), expected, "{brand:?} {reason}");
        }
    }
}
