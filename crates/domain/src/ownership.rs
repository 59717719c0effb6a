//! Which replica serves which webhook: rendezvous hashing (highest random weight, Thaler and
//! Ravishankar 1998). Every replica that sees the same members comes to the same answer, and a
//! member that comes or goes moves only the webhooks that it gains or had.

use uuid::Uuid;

use crate::ids::WebhookId;

/// The part a replica plays for one webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// First in the hash: subscribes first and does the work.
    Owner,
    /// Second in the hash: subscribes after the owner, so that the broker moves on at once when
    /// the owner's connection dies.
    Standby,
    /// Neither: does not subscribe.
    Bystander,
}

/// The role of `me` for `webhook` among `members`. A replica that is not among the members is a
/// bystander.
#[must_use]
pub fn role(me: Uuid, members: &[Uuid], webhook: WebhookId) -> Role {
    if !members.contains(&me) {
        return Role::Bystander;
    }
    let mine = (weight(me, webhook), me);
    match members.iter().filter(|other| (weight(**other, webhook), **other) > mine).take(2).count() {
        0 => Role::Owner,
        1 => Role::Standby,
        _ => Role::Bystander,
    }
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

    proptest! {
        #[test]
        fn exactly_one_owner_and_one_standby(members in 2usize..9, webhook in any::<u64>()) {
            let all: Vec<_> = (0..members as u64).map(id).collect();
            let roles: Vec<_> = all.iter().map(|me| role(*me, &all, WebhookId(id(webhook)))).collect();
            prop_assert_eq!(roles.iter().filter(|r| **r == Role::Owner).count(), 1);
            prop_assert_eq!(roles.iter().filter(|r| **r == Role::Standby).count(), 1);
        }

        #[test]
        fn the_standby_inherits_and_nobody_else_moves(members in 2usize..9, gone in 0usize..9, webhook in any::<u64>()) {
            let all: Vec<_> = (0..members as u64).map(id).collect();
            let gone = all[gone % members];
            let rest: Vec<_> = all.iter().copied().filter(|m| *m != gone).collect();
            let webhook = WebhookId(id(webhook));
            let owner_before = *all.iter().find(|m| role(**m, &all, webhook) == Role::Owner).expect("one");
            let standby = *all.iter().find(|m| role(**m, &all, webhook) == Role::Standby).expect("one");
            let owner_after = *rest.iter().find(|m| role(**m, &rest, webhook) == Role::Owner).expect("one");
            prop_assert_eq!(owner_after, if owner_before == gone { standby } else { owner_before });
        }
    }

    #[test]
    fn replicas_share_evenly() {
        for members in [2u64, 3, 4, 8] {
            let all: Vec<_> = (0..members).map(id).collect();
            for me in &all {
                let owned = (0..10_000)
                    .filter(|n| role(*me, &all, WebhookId(id(1_000_000 + n))) == Role::Owner)
                    .count();
                let fair = 10_000.0 / members as f64;
                assert!((owned as f64 - fair).abs() < 0.1 * fair, "{owned} of {fair}");
            }
        }
    }
}
