//! Which replica serves which webhook: rendezvous hashing (highest random weight, Thaler and
//! Ravishankar 1998) with bounded loads (Mirrokni, Thorup and Zadimoghaddam 2016, above and below).
//! Every replica that sees the same members and webhooks comes to the same answer. A member that comes
//! or goes moves hardly more webhooks than it gains or had, a webhook that comes or goes a few.

use std::cmp::Reverse;
use std::collections::HashMap;

use uuid::Uuid;

use crate::ids::WebhookId;

/// By how many percent of the average the shares differ at most, rounded to whole webhooks: hashing alone shares
/// forty webhooks out 27 to 13. With nothing to spare, each new webhook would move others.
const SLACK: usize = 10;

/// The part a replica plays for one webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// First: subscribes first and does the work.
    Owner,
    /// Second: subscribes after the owner, so that the broker moves on at once when
    /// the owner's connection dies.
    Standby,
    /// Neither: does not subscribe.
    Bystander,
}

/// Who serves each of some webhooks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shares {
    of: HashMap<WebhookId, Servants>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Servants {
    owner: Uuid,
    standby: Option<Uuid>,
}

impl Shares {
    /// Shares webhooks out over members; the order of either changes nothing. Costs time and, for a moment,
    /// memory for each pair.
    #[must_use]
    pub fn of(members: &[Uuid], webhooks: &[WebhookId]) -> Self {
        let pairs = members.iter().flat_map(|member| webhooks.iter().map(|id| (*member, *id)));
        let mut pairs: Vec<_> = pairs.map(|(member, id)| Reverse((weight(member, id), member, id))).collect();
        pairs.sort_unstable();
        let mut of: HashMap<WebhookId, Servants> = HashMap::with_capacity(webhooks.len());
        let mut loads: HashMap<Uuid, usize> = HashMap::new();
        // First everyone gets the least that it must have, then the rest goes where it likes best.
        for most in bounds(members.len(), webhooks.len()) {
            for Reverse((_, member, id)) in &pairs {
                let load = loads.entry(*member).or_default();
                if *load < most && !of.contains_key(id) {
                    *load += 1;
                    of.insert(*id, Servants { owner: *member, standby: None });
                }
            }
        }
        for Reverse((_, member, id)) in &pairs {
            if let Some(servants) = of.get_mut(id).filter(|servants| servants.owner != *member) {
                servants.standby.get_or_insert(*member);
            }
        }
        Self { of }
    }

    /// The role of `me` for a webhook. A replica that is not among the members is a bystander.
    #[must_use]
    pub fn role(&self, me: Uuid, webhook: WebhookId) -> Role {
        match self.of.get(&webhook) {
            Some(servants) if servants.owner == me => Role::Owner,
            Some(servants) if servants.standby == Some(me) => Role::Standby,
            _ => Role::Bystander,
        }
    }
}

/// How many of `webhooks` each of `members` has at least and at most.
fn bounds(members: usize, webhooks: usize) -> [usize; 2] {
    let members = members.max(1);
    let share = |percent: usize| webhooks * percent / (members * 100);
    [share(100 - SLACK), share(100 + SLACK).max(webhooks.div_ceil(members))]
}

/// A well-mixed number from a replica and a webhook: splitmix64's finalizer over their bits.
fn weight(member: Uuid, webhook: WebhookId) -> u64 {
    let (a, b) = member.as_u64_pair();
    let (c, d) = webhook.0.as_u64_pair();
    [a, b, c, d].into_iter().fold(0x9e37_79b9_7f4a_7c15, |state, part| mix(state ^ part))
}

fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(n: u64) -> Uuid {
        Uuid::from_u64_pair(mix(n), mix(!n))
    }

    fn ids(from: u64, number: u64) -> Vec<Uuid> {
        (from..from + number).map(id).collect()
    }

    fn webhooks(seed: u64, number: u64) -> Vec<WebhookId> {
        ids(1_000_000 * (seed + 1), number).into_iter().map(WebhookId).collect()
    }

    fn owned(shares: &Shares, member: Uuid) -> usize {
        shares.of.values().filter(|servants| servants.owner == member).count()
    }

    fn moved(before: &Shares, after: &Shares) -> usize {
        let owner = |id: &WebhookId| after.of.get(id).map(|servants| servants.owner);
        before
            .of
            .iter()
            .filter(|(id, servants)| owner(id).is_some_and(|owner| owner != servants.owner))
            .count()
    }

    proptest! {
        #[test]
        fn exactly_one_owner_and_one_standby(members in 2u64..9, number in 0u64..200, seed in 0u64..1000) {
            let (all, webhooks) = (ids(seed, members), webhooks(seed, number));
            let shares = Shares::of(&all, &webhooks);
            for webhook in &webhooks {
                let count = |role| all.iter().filter(|me| shares.role(**me, *webhook) == role).count();
                prop_assert_eq!((count(Role::Owner), count(Role::Standby)), (1, 1));
            }
        }

        #[test]
        fn shares_differ_by_no_more_than_the_slack(members in 1u64..9, number in 0u64..600, seed in 0u64..1000) {
            let (all, webhooks) = (ids(seed, members), webhooks(seed, number));
            let shares = Shares::of(&all, &webhooks);
            let average = number as f64 / members as f64;
            for member in &all {
                let owned = owned(&shares, *member) as f64;
                prop_assert!(owned > average * 0.9 - 1.0 && owned < average * 1.1 + 1.0, "{} of {}", owned, average);
            }
        }

        #[test]
        fn the_order_changes_nothing(members in 1u64..6, number in 0u64..50, seed in 0u64..1000) {
            let (mut all, mut webhooks) = (ids(seed, members), webhooks(seed, number));
            let shares = Shares::of(&all, &webhooks);
            all.reverse();
            webhooks.reverse();
            prop_assert_eq!(Shares::of(&all, &webhooks), shares);
        }
    }

    #[test]
    fn one_that_comes_or_goes_moves_few() {
        for members in [2u64, 4, 8] {
            for number in [40u64, 1000, 10_000] {
                let (all, webhooks) = (ids(0, members), webhooks(0, number));
                let shares = Shares::of(&all, &webhooks);
                let fewer = moved(&shares, &Shares::of(&all[1..], &webhooks));
                assert!(fewer < 3 * (number / members) as usize, "{fewer} of {number} moved over {members}");
                let newer = moved(&Shares::of(&all, &webhooks[1..]), &shares);
                assert!(newer <= 2 * members as usize, "{newer} of {number} moved over {members}");
            }
        }
    }

    #[test]
    fn without_members_or_webhooks_nobody_serves() {
        let webhook = WebhookId(id(7));
        assert_eq!(Shares::of(&[], &[webhook]).role(id(1), webhook), Role::Bystander);
        assert_eq!(Shares::of(&[id(1)], &[]).role(id(1), webhook), Role::Bystander);
        assert_eq!(Shares::of(&[id(1)], &[webhook]).role(id(1), webhook), Role::Owner);
    }
}
