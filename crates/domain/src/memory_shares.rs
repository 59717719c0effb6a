//! Decides which part of a deliverer's memory one brand may use.
//!
//! Two things of a brand take memory: messages in hand, and attempts. RabbitMQ hands out as many messages as a
//! subscription's prefetch, which cannot change while the subscription lasts. So a brand's webhooks share a number of
//! messages, and the prefetch of each follows from the brand's configuration alone, in coarse steps: every replica
//! computes the same, and no change of replicas renews a subscription. Attempts begin and end all the time, so that
//! their memory is shared by use ([`admits`]).

use crate::limits::MAX_WEBHOOKS_PER_BRAND;

/// Maximum number of messages that one deliverer has in hand for all webhooks of a brand. It gives seven webhooks with
/// the greatest concurrency, and 76 with the default, all the messages that they use; the deliverer's memory is this
/// number times the largest message.
pub const MAX_BRAND_MESSAGES: u32 = 3072;
/// A brand's webhooks get more messages again only if they then use at most this many. Otherwise a webhook that is
/// created and deleted again and again would renew the subscriptions of all others each time.
const MAX_RELAXED_MESSAGES: u32 = MAX_BRAND_MESSAGES / 4 * 3;
/// Minimum prefetch of a webhook: while a message is handled, the next one is on its way.
const MIN_PREFETCH: u16 = 2;
/// Largest exponent of a [`PrefetchScale`].
const MAX_EXPONENT: u32 = u16::BITS - 1;

const _: () = assert!(MIN_PREFETCH as i64 * MAX_WEBHOOKS_PER_BRAND <= MAX_RELAXED_MESSAGES as i64);

/// The part of the prefetch which they could use that a brand's webhooks get: a power of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrefetchScale {
    exponent: u32,
}

impl PrefetchScale {
    /// Chooses the scale for webhooks that could use these numbers of messages. `self` is the scale so far.
    #[must_use]
    pub fn adapt(self, wanted: &[u16]) -> Self {
        let total = |exponent: u32| {
            let scale = Self { exponent };
            wanted.iter().map(|wanted| u32::from(scale.apply(*wanted))).sum::<u32>()
        };
        let first_within =
            |max: u32| (0..MAX_EXPONENT).find(|exponent| total(*exponent) <= max).unwrap_or(MAX_EXPONENT);
        let strictest = first_within(MAX_BRAND_MESSAGES);
        let relaxed = first_within(MAX_RELAXED_MESSAGES);
        Self { exponent: self.exponent.clamp(strictest, relaxed) }
    }

    /// Returns the prefetch of a webhook that could use `wanted` messages.
    #[must_use]
    pub fn apply(self, wanted: u16) -> u16 {
        (wanted >> self.exponent).max(MIN_PREFETCH.min(wanted))
    }
}

/// Whether a brand that uses `used_by_brand` bytes may take `bytes` more, if all brands together use `used` of `total`.
///
/// A brand may use at most the same amount that stays free. So one brand gets half of the total, two get a third each, and so on:
/// nothing is reserved, and there is always room for the next brand.
#[must_use]
pub fn admits(total: u64, used: u64, used_by_brand: u64, bytes: u64) -> bool {
    let free = total.saturating_sub(used);
    let is_within_share = used_by_brand == 0 || used_by_brand + 2 * bytes <= free;
    bytes <= free && is_within_share
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FULL: PrefetchScale = PrefetchScale { exponent: 0 };

    fn total(scale: PrefetchScale, wanted: &[u16]) -> u32 {
        wanted.iter().map(|wanted| u32::from(scale.apply(*wanted))).sum()
    }

    #[test]
    fn few_webhooks_get_all_that_they_could_use() {
        for wanted in [vec![400; 7], vec![40; 76], vec![4; 768]] {
            assert_eq!(FULL.adapt(&wanted), FULL);
            assert!(wanted.iter().all(|each| FULL.apply(*each) == *each));
        }
    }

    #[test]
    fn many_webhooks_share() {
        for (number, wanted, expected) in
            [(8, 400, 200), (100, 400, 25), (1000, 400, 3), (77, 40, 20), (1000, 40, 2), (1000, 4, 2)]
        {
            let scale = FULL.adapt(&vec![wanted; number]);
            assert_eq!(scale.apply(wanted), expected, "{number} webhooks with {wanted}");
        }
    }

    #[test]
    fn a_webhook_that_comes_and_goes_changes_the_others_once() {
        let many = vec![40; 77];
        let strict = FULL.adapt(&many);
        assert_ne!(strict, FULL);
        assert_eq!(strict.adapt(&many[1..]), strict);
        assert_eq!(strict.adapt(&many[20..]), FULL);
    }

    proptest! {
        #[test]
        fn a_brand_never_has_more_messages_in_hand_than_its_share(
            sets in prop::collection::vec(prop::collection::vec(1..=400_u16, 0..1000), 1..6),
        ) {
            let mut scale = PrefetchScale::default();
            for wanted in sets {
                let before = scale;
                scale = scale.adapt(&wanted);
                prop_assert!(total(scale, &wanted) <= MAX_BRAND_MESSAGES);
                prop_assert!(wanted.iter().all(|each| (1..=*each).contains(&scale.apply(*each))));
                prop_assert_eq!(scale.adapt(&wanted), scale, "it settles at once");
                // It changes only if it has to, or if much is unused.
                prop_assert!(
                    scale == before
                        || total(before, &wanted) > MAX_BRAND_MESSAGES
                        || total(scale, &wanted) <= MAX_RELAXED_MESSAGES
                );
            }
        }

        #[test]
        fn brands_share_memory_equally_and_leave_room_for_the_next(brands in 1..20_u64, bytes in 1..100_u64) {
            let total = 100_000;
            let mut used = vec![0; usize::try_from(brands).expect("few")];
            // Each takes as much as it may, in turn.
            let mut is_full = false;
            while !is_full {
                is_full = true;
                for brand in 0..used.len() {
                    if admits(total, used.iter().sum(), used[brand], bytes) {
                        used[brand] += bytes;
                        is_full = false;
                    }
                }
            }
            let share = total / (brands + 1);
            prop_assert!(admits(total, used.iter().sum(), 0, share / 2), "a newcomer finds room");
            for own in used {
                prop_assert!(own.abs_diff(share) <= (brands + 3) * bytes, "{own} of {share}");
            }
        }
    }

    #[test]
    fn one_brand_gets_half_and_never_more_than_there_is() {
        assert!(admits(100, 0, 0, 100));
        assert!(!admits(100, 0, 0, 101));
        assert!(admits(100, 49, 49, 1));
        assert!(!admits(100, 50, 50, 1));
        assert!(admits(100, 99, 0, 1));
        assert!(!admits(100, 100, 0, 1) && !admits(100, 120, 0, 1));
    }
}
