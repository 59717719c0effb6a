//! Replicas that come and go: one owner under one view, few webhooks move, shares are even, and one death
//! leaves no webhook without someone subscribed.

use std::collections::HashMap;

use domain::assignment::{Role, Shares};
use domain::ids::WebhookId;
use uuid::Uuid;

use crate::rng::{Dice, for_each_seed};

const WEBHOOKS: usize = 60;
const STEPS: usize = 10;
const MOST_REPLICAS: usize = 7;

/// One change moves no more than so many times the webhooks of one share, and the rounding of each share.
const MOVES: usize = 2;

/// Who is first and who is second for each webhook.
type Assignment = HashMap<WebhookId, (Uuid, Option<Uuid>)>;

#[test]
fn one_owner_and_few_moves_whoever_comes_and_goes() {
    for_each_seed(1_000, |dice| {
        let webhooks: Vec<WebhookId> = (0..WEBHOOKS).map(|_| WebhookId(dice.id())).collect();
        let mut members: Vec<Uuid> = (0..dice.count(1..=4)).map(|_| dice.id()).collect();
        let mut before = assign(&members, &webhooks);
        for _ in 0..STEPS {
            change(&mut members, dice);
            let after = assign(&members, &webhooks);
            check_moves(&before, &after, &members);
            check_shares(&after, &members);
            before = after;
        }
    });
}

/// One comes or goes, in whatever order the database then lists them.
fn change(members: &mut Vec<Uuid>, dice: &mut Dice) {
    if members.len() == 1 || (members.len() < MOST_REPLICAS && dice.percent(50)) {
        members.push(dice.id());
    } else {
        members.swap_remove(dice.count(0..=members.len() - 1));
    }
    let turn = dice.count(0..=members.len() - 1);
    members.rotate_left(turn);
}

/// Asks every member for its role; exactly one is the owner, and one the standby where there are two.
fn assign(members: &[Uuid], webhooks: &[WebhookId]) -> Assignment {
    let shares = Shares::of(members, webhooks);
    assert!(
        webhooks.iter().all(|id| shares.role(Uuid::nil(), *id) == Role::Bystander),
        "a stranger owns nothing"
    );
    let assigned = |webhook: &WebhookId| {
        let of = |wanted: Role| {
            let found: Vec<Uuid> =
                members.iter().copied().filter(|me| shares.role(*me, *webhook) == wanted).collect();
            assert!(found.len() <= 1, "{} are {wanted:?} of one webhook", found.len());
            found.first().copied()
        };
        let (owner, standby) = (of(Role::Owner).expect("an owner"), of(Role::Standby));
        assert_eq!(standby.is_some(), members.len() > 1, "a standby where there are two");
        (*webhook, (owner, standby))
    };
    webhooks.iter().map(assigned).collect()
}

/// A change of one member moves little more than its share, and of a dead one's webhooks each has someone
/// subscribed: its standby is another.
fn check_moves(before: &Assignment, after: &Assignment, members: &[Uuid]) {
    let moved = before.iter().filter(|(webhook, (owner, _))| after[webhook].0 != *owner).count();
    let share = WEBHOOKS.div_ceil(members.len());
    assert!(moved <= MOVES * (share + members.len()), "{moved} moved, a share is {share}");
    for (owner, standby) in before.values().filter(|(owner, _)| !members.contains(owner)) {
        assert!(
            standby.is_some_and(|standby| members.contains(&standby)),
            "nobody is subscribed after {owner}"
        );
    }
}

/// No share is further from the fair one than a tenth and rounding.
#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn check_shares(assignment: &Assignment, members: &[Uuid]) {
    let fair = WEBHOOKS as f64 / members.len() as f64;
    for member in members {
        let owned = assignment.values().filter(|(owner, _)| owner == member).count();
        assert!((owned as f64 - fair).abs() < fair / 10.0 + 1.0, "{owned} of {fair}");
    }
}
