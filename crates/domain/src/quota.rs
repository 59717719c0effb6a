//! The quotas of a brand: how much it may publish each second, and how much may wait to be routed.
//!
//! Support sets them (contract §4.2). Over HTTP the API refuses the surplus with 429 and `Retry-After`. Over AMQP nothing
//! is refused: the surplus waits in the brand's own backlog, where support sees it.
//!
//! The rates have no default, because fair routing protects the other brands: a brand's events wait for the events of
//! the same brand only. The waiting bytes have one, because RabbitMQ's disk is shared and a full disk stops every producer.

mod brand_meter;
mod pulled_room;
mod rate_bucket;

use std::ops::RangeInclusive;

pub use brand_meter::{BrandMeter, Cost};
pub use pulled_room::{PulledBytes, StoppedEvents};
pub use rate_bucket::{BURST, RateBucket};

use crate::limits::MAX_EVENT_BODY_BYTES;

/// Bytes that may wait for a brand, unless support sets another number.
///
/// A GiB is 5 % of the disk that the shipped manifest gives RabbitMQ, and a million events of 1 KiB.
pub const DEFAULT_WAITING_BYTES: u64 = 1 << 30;
/// Largest quota of events or deliveries per second, above what a large installation routes.
pub const MAX_QUOTA_RATE: u64 = 1_000_000;
/// Smallest quota of bytes per second: the largest event is paid for within five minutes.
pub const MIN_QUOTA_BYTES: u64 = 1 << 10;
/// Largest quota of bytes per second, above the throughput of a disk.
pub const MAX_QUOTA_BYTES: u64 = 1 << 34;
/// Smallest quota of waiting bytes: the largest event may wait.
pub const MIN_QUOTA_WAITING_BYTES: u64 = MAX_EVENT_BODY_BYTES as u64;
/// Largest quota of waiting bytes, above the disk of a broker.
pub const MAX_QUOTA_WAITING_BYTES: u64 = 1 << 44;

/// One quota of a brand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quota {
    /// Events that the brand may publish each second.
    EventsPerSecond,
    /// Bytes of event messages that the brand may publish each second.
    BytesPerSecond,
    /// Deliveries that the brand's events may cause each second: each event once for every webhook that it matches.
    DeliveriesPerSecond,
    /// Bytes of event messages that may wait in the brand's backlog.
    WaitingBytes,
}

impl Quota {
    /// All quotas, in the order of the API.
    pub const ALL: [Self; 4] =
        [Self::EventsPerSecond, Self::BytesPerSecond, Self::DeliveriesPerSecond, Self::WaitingBytes];

    /// Returns the name of the quota in the API.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::EventsPerSecond => "eventsPerSecond",
            Self::BytesPerSecond => "bytesPerSecond",
            Self::DeliveriesPerSecond => "deliveriesPerSecond",
            Self::WaitingBytes => "waitingBytes",
        }
    }

    /// Returns the values that support may set.
    #[must_use]
    pub const fn range(self) -> RangeInclusive<u64> {
        match self {
            Self::EventsPerSecond | Self::DeliveriesPerSecond => 1..=MAX_QUOTA_RATE,
            Self::BytesPerSecond => MIN_QUOTA_BYTES..=MAX_QUOTA_BYTES,
            Self::WaitingBytes => MIN_QUOTA_WAITING_BYTES..=MAX_QUOTA_WAITING_BYTES,
        }
    }
}

/// A quota outside of its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} must be from {} to {}", .0.field(), .0.range().start(), .0.range().end())]
pub struct QuotaOutOfRange(pub Quota);

/// The quotas that support set for a brand. `None` is the default of the platform.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct BrandQuota {
    events_per_second: Option<u64>,
    bytes_per_second: Option<u64>,
    deliveries_per_second: Option<u64>,
    waiting_bytes: Option<u64>,
}

impl BrandQuota {
    /// Returns the value that support set.
    #[must_use]
    pub const fn get(&self, quota: Quota) -> Option<u64> {
        match quota {
            Quota::EventsPerSecond => self.events_per_second,
            Quota::BytesPerSecond => self.bytes_per_second,
            Quota::DeliveriesPerSecond => self.deliveries_per_second,
            Quota::WaitingBytes => self.waiting_bytes,
        }
    }

    /// Sets a quota, or restores its default with `None`.
    ///
    /// # Errors
    /// When the value is outside of the quota's range.
    pub fn set(&mut self, quota: Quota, value: Option<u64>) -> Result<(), QuotaOutOfRange> {
        if value.is_some_and(|value| !quota.range().contains(&value)) {
            return Err(QuotaOutOfRange(quota));
        }
        let field = match quota {
            Quota::EventsPerSecond => &mut self.events_per_second,
            Quota::BytesPerSecond => &mut self.bytes_per_second,
            Quota::DeliveriesPerSecond => &mut self.deliveries_per_second,
            Quota::WaitingBytes => &mut self.waiting_bytes,
        };
        *field = value;
        Ok(())
    }

    /// Returns the value that applies: what support set, otherwise the default. `None` means no limit.
    #[must_use]
    pub const fn limit(&self, quota: Quota) -> Option<u64> {
        match (quota, self.get(quota)) {
            (Quota::WaitingBytes, None) => Some(DEFAULT_WAITING_BYTES),
            (_, value) => value,
        }
    }

    /// Returns the bytes that may wait for the brand.
    #[must_use]
    pub fn max_waiting_bytes(&self) -> u64 {
        self.waiting_bytes.unwrap_or(DEFAULT_WAITING_BYTES)
    }

    /// Returns whether any rate is limited.
    #[must_use]
    pub const fn limits_rate(&self) -> bool {
        self.events_per_second.is_some()
            || self.bytes_per_second.is_some()
            || self.deliveries_per_second.is_some()
    }
}

const _: () = assert!(MIN_QUOTA_WAITING_BYTES <= DEFAULT_WAITING_BYTES);
const _: () = assert!(DEFAULT_WAITING_BYTES <= MAX_QUOTA_WAITING_BYTES);
// JSON numbers are exact up to 2^53.
const _: () = assert!(MAX_QUOTA_WAITING_BYTES < 1 << 53);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brand_without_quotas_has_unlimited_rates_and_a_bounded_backlog() {
        let quotas = BrandQuota::default();
        let limits = Quota::ALL.map(|quota| quotas.limit(quota));
        assert_eq!(limits, [None, None, None, Some(DEFAULT_WAITING_BYTES)]);
        assert!(!quotas.limits_rate());
    }

    #[test]
    fn a_quota_is_set_and_cleared_alone() {
        for quota in Quota::ALL {
            let mut quotas = BrandQuota::default();
            let value = *quota.range().start();
            quotas.set(quota, Some(value)).expect("in range");
            for other in Quota::ALL {
                assert_eq!(quotas.get(other), (other == quota).then_some(value), "{other:?}");
            }
            assert_eq!(quotas.limit(quota), Some(value));
            assert_eq!(quotas.limits_rate(), quota != Quota::WaitingBytes);
            quotas.set(quota, None).expect("the default");
            assert_eq!(quotas, BrandQuota::default());
        }
    }

    #[test]
    fn values_outside_of_the_range_are_refused_and_change_nothing() {
        for quota in Quota::ALL {
            let range = quota.range();
            let mut quotas = BrandQuota::default();
            for bad in [0, range.start() - 1, range.end() + 1, u64::MAX] {
                assert_eq!(quotas.set(quota, Some(bad)), Err(QuotaOutOfRange(quota)), "{bad}");
            }
            assert_eq!(quotas, BrandQuota::default());
            for good in [*range.start(), *range.end()] {
                assert_eq!(quotas.set(quota, Some(good)), Ok(()), "{good}");
            }
        }
        let text = QuotaOutOfRange(Quota::EventsPerSecond).to_string();
        assert_eq!(text, "eventsPerSecond must be from 1 to 1000000");
    }
}
