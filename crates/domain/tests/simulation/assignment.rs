//! Replicas that join and leave: each webhook has one owner, few webhooks move, and loads are even.
//!
//! When a replica dies, another one is still subscribed to each of its webhooks.

use std::collections::HashMap;

use domain::assignment::{Assignment, Role};
use domain::ids::WebhookId;
use uuid::Uuid;

use crate::rng::{Rng, for_each_seed};

const WEBHOOKS: usize = 60;
const STEPS: usize = 10;
const MAX_REPLICAS: usize = 7;

/// Maximum number of moved webhooks of one change, in shares of a replica plus rounding.
const MAX_MOVED_SHARES: usize = 2;

/// The owner and the standby of each webhook.
type Roles = HashMap<WebhookId, (Uuid, Option<Uuid>)>;

#[test]
fn each_webhook_has_one_owner_and_few_webhooks_move_when_replicas_change() {
    for_each_seed(1_000, |rng| {
        let webhooks: Vec<WebhookId> = (0..WEBHOOKS).map(|_| WebhookId(rng.id())).collect();
        let mut replicas: Vec<Uuid> = (0..rng.count(1..=4)).map(|_| rng.id()).collect();
        let mut before = assign_roles(&replicas, &webhooks);
        for _ in 0..STEPS {
            change_replicas(&mut replicas, rng);
            let after = assign_roles(&replicas, &webhooks);
            check_moves(&before, &after, &replicas);
            check_loads(&after, &replicas);
            before = after;
        }
    });
}

/// Adds or removes a replica, and rotates the replicas.
///
/// The database may list replicas in any order.
fn change_replicas(replicas: &mut Vec<Uuid>, rng: &mut Rng) {
    if replicas.len() == 1 || (replicas.len() < MAX_REPLICAS && rng.percent(50)) {
        replicas.push(rng.id());
    } else {
        replicas.swap_remove(rng.count(0..=replicas.len() - 1));
    }
    let turn = rng.count(0..=replicas.len() - 1);
    replicas.rotate_left(turn);
}

/// Returns the roles of all replicas.
///
/// Checks that there is one owner and, if there are two replicas, one standby.
fn assign_roles(replicas: &[Uuid], webhooks: &[WebhookId]) -> Roles {
    let assignment = Assignment::compute(replicas, webhooks);
    assert!(
        webhooks.iter().all(|id| assignment.role_of(Uuid::nil(), *id) == Role::Unassigned),
        "an unknown replica has no role"
    );
    let assigned = |webhook: &WebhookId| {
        let find = |wanted: Role| {
            let found: Vec<Uuid> =
                replicas.iter().copied().filter(|me| assignment.role_of(*me, *webhook) == wanted).collect();
            assert!(found.len() <= 1, "{} are {wanted:?} of one webhook", found.len());
            found.first().copied()
        };
        let owner = find(Role::Owner).expect("an owner");
        let standby = find(Role::Standby);
        assert_eq!(standby.is_some(), replicas.len() > 1, "two replicas, but no standby");
        (*webhook, (owner, standby))
    };
    webhooks.iter().map(assigned).collect()
}

/// Checks that a change of one replica moves little more than its share.
///
/// Each webhook of a replica that left had a standby, so that a replica is still subscribed to it.
fn check_moves(before: &Roles, after: &Roles, replicas: &[Uuid]) {
    let moved = before.iter().filter(|(webhook, (owner, _))| after[webhook].0 != *owner).count();
    let share = WEBHOOKS.div_ceil(replicas.len());
    assert!(moved <= MAX_MOVED_SHARES * (share + replicas.len()), "{moved} moved, a share is {share}");
    for (owner, standby) in before.values().filter(|(owner, _)| !replicas.contains(owner)) {
        assert!(
            standby.is_some_and(|standby| replicas.contains(&standby)),
            "no replica is subscribed after {owner} left"
        );
    }
}

/// Checks that no load differs from the average by more than a tenth and rounding.
#[expect(clippy::cast_precision_loss, reason = "the counts are small")]
fn check_loads(roles: &Roles, replicas: &[Uuid]) {
    let average = WEBHOOKS as f64 / replicas.len() as f64;
    for replica in replicas {
        let owned = roles.values().filter(|(owner, _)| owner == replica).count();
        assert!((owned as f64 - average).abs() < average / 10.0 + 1.0, "{owned} of {average}");
    }
}
