//! The assignment of webhooks to the replicas of the deliverer.
//!
//! The algorithm is rendezvous hashing (highest random weight, Thaler and Ravishankar 1998) with a lower and an upper
//! bound of the load (after Mirrokni, Thorup and Zadimoghaddam 2016). Replicas that see the same replicas and webhooks
//! compute the same assignment, so that they need not agree on it. When a replica joins or leaves, hardly more webhooks
//! move than it gets or had. When a webhook is added or removed, only a few others move.

use std::cmp::Reverse;
use std::collections::HashMap;

use uuid::Uuid;

use crate::ids::WebhookId;

/// Maximum difference of a replica's load from the average, in percent, rounded to whole webhooks.
///
/// Hashing alone would distribute forty webhooks 27 to 13. Without any difference, each new webhook would move others.
const MAX_LOAD_DEVIATION_PERCENT: usize = 10;

/// The role of a replica for one webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The replica subscribes first and delivers.
    Owner,
    /// The replica subscribes after the owner.
    ///
    /// RabbitMQ continues with it as soon as the owner's connection ends.
    Standby,
    /// The replica does not subscribe.
    Unassigned,
}

/// The owner and the standby of each webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assignment {
    by_webhook: HashMap<WebhookId, Replicas>,
}

/// The replicas that subscribe to the queue of one webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Replicas {
    owner: Uuid,
    standby: Option<Uuid>,
}

impl Assignment {
    /// Computes the assignment of webhooks to replicas, which does not depend on the order of either.
    ///
    /// It takes time, and temporarily memory, for each pair of a replica and a webhook.
    #[must_use]
    pub fn compute(replicas: &[Uuid], webhooks: &[WebhookId]) -> Self {
        let pairs = replicas.iter().flat_map(|replica| webhooks.iter().map(|id| (*replica, *id)));
        let mut pairs: Vec<_> =
            pairs.map(|(replica, id)| Reverse((rendezvous_weight(replica, id), replica, id))).collect();
        pairs.sort_unstable();
        let mut by_webhook: HashMap<WebhookId, Replicas> = HashMap::with_capacity(webhooks.len());
        let mut loads: HashMap<Uuid, usize> = HashMap::new();
        // First fill every replica to its minimum load, then assign the remaining webhooks by weight.
        for max_load in load_bounds(replicas.len(), webhooks.len()) {
            for Reverse((_, replica, id)) in &pairs {
                let load = loads.entry(*replica).or_default();
                if *load < max_load && !by_webhook.contains_key(id) {
                    *load += 1;
                    by_webhook.insert(*id, Replicas { owner: *replica, standby: None });
                }
            }
        }
        for Reverse((_, replica, id)) in &pairs {
            if let Some(assigned) = by_webhook.get_mut(id).filter(|assigned| assigned.owner != *replica) {
                assigned.standby.get_or_insert(*replica);
            }
        }
        Self { by_webhook }
    }

    /// Returns the role of the replica `me` for a webhook.
    #[must_use]
    pub fn role_of(&self, me: Uuid, webhook: WebhookId) -> Role {
        match self.by_webhook.get(&webhook) {
            Some(assigned) if assigned.owner == me => Role::Owner,
            Some(assigned) if assigned.standby == Some(me) => Role::Standby,
            _ => Role::Unassigned,
        }
    }
}

/// Returns the minimum and the maximum number of webhooks of one replica.
fn load_bounds(replicas: usize, webhooks: usize) -> [usize; 2] {
    let replicas = replicas.max(1);
    let share = |percent: usize| webhooks * percent / (replicas * 100);
    let min = share(100 - MAX_LOAD_DEVIATION_PERCENT);
    let max = share(100 + MAX_LOAD_DEVIATION_PERCENT).max(webhooks.div_ceil(replicas));
    [min, max]
}

/// Returns the weight of a replica for a webhook: the finalizer of splitmix64 over the bits of both.
fn rendezvous_weight(replica: Uuid, webhook: WebhookId) -> u64 {
    let (a, b) = replica.as_u64_pair();
    let (c, d) = webhook.0.as_u64_pair();
    [a, b, c, d].into_iter().fold(0x9e37_79b9_7f4a_7c15, |state, part| mix_bits(state ^ part))
}

fn mix_bits(mut x: u64) -> u64 {
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
        Uuid::from_u64_pair(mix_bits(n), mix_bits(!n))
    }

    fn ids(from: u64, number: u64) -> Vec<Uuid> {
        (from..from + number).map(id).collect()
    }

    fn webhooks(seed: u64, number: u64) -> Vec<WebhookId> {
        ids(1_000_000 * (seed + 1), number).into_iter().map(WebhookId).collect()
    }

    fn owned(assignment: &Assignment, replica: Uuid) -> usize {
        assignment.by_webhook.values().filter(|assigned| assigned.owner == replica).count()
    }

    fn moved(before: &Assignment, after: &Assignment) -> usize {
        let owner = |id: &WebhookId| after.by_webhook.get(id).map(|assigned| assigned.owner);
        before
            .by_webhook
            .iter()
            .filter(|(id, assigned)| owner(id).is_some_and(|owner| owner != assigned.owner))
            .count()
    }

    proptest! {
        #[test]
        fn each_webhook_has_one_owner_and_one_standby(replicas in 2u64..9, number in 0u64..200, seed in 0u64..1000) {
            let all = ids(seed, replicas);
            let webhooks = webhooks(seed, number);
            let assignment = Assignment::compute(&all, &webhooks);
            for webhook in &webhooks {
                let count = |role| all.iter().filter(|me| assignment.role_of(**me, *webhook) == role).count();
                prop_assert_eq!((count(Role::Owner), count(Role::Standby)), (1, 1));
            }
        }

        #[test]
        fn loads_differ_from_the_average_by_at_most_the_maximum(replicas in 1u64..9, number in 0u64..600, seed in 0u64..1000) {
            let all = ids(seed, replicas);
            let webhooks = webhooks(seed, number);
            let assignment = Assignment::compute(&all, &webhooks);
            let average = number as f64 / replicas as f64;
            for replica in &all {
                let owned = owned(&assignment, *replica) as f64;
                prop_assert!(owned > average * 0.9 - 1.0 && owned < average * 1.1 + 1.0, "{} of {}", owned, average);
            }
        }

        #[test]
        fn the_assignment_does_not_depend_on_the_order(replicas in 1u64..6, number in 0u64..50, seed in 0u64..1000) {
            let mut all = ids(seed, replicas);
            let mut webhooks = webhooks(seed, number);
            let assignment = Assignment::compute(&all, &webhooks);
            all.reverse();
            webhooks.reverse();
            prop_assert_eq!(Assignment::compute(&all, &webhooks), assignment);
        }
    }

    #[test]
    fn a_replica_or_webhook_that_is_added_or_removed_moves_few_webhooks() {
        for replicas in [2u64, 4, 8] {
            for number in [40u64, 1000, 10_000] {
                let all = ids(0, replicas);
                let webhooks = webhooks(0, number);
                let assignment = Assignment::compute(&all, &webhooks);
                let fewer = moved(&assignment, &Assignment::compute(&all[1..], &webhooks));
                assert!(
                    fewer < 3 * (number / replicas) as usize,
                    "{fewer} of {number} moved over {replicas}"
                );
                let newer = moved(&Assignment::compute(&all, &webhooks[1..]), &assignment);
                assert!(newer <= 2 * replicas as usize, "{newer} of {number} moved over {replicas}");
            }
        }
    }

    #[test]
    fn without_replicas_or_webhooks_nothing_is_assigned() {
        let webhook = WebhookId(id(7));
        assert_eq!(Assignment::compute(&[], &[webhook]).role_of(id(1), webhook), Role::Unassigned);
        assert_eq!(Assignment::compute(&[id(1)], &[]).role_of(id(1), webhook), Role::Unassigned);
        assert_eq!(Assignment::compute(&[id(1)], &[webhook]).role_of(id(1), webhook), Role::Owner);
    }
}
