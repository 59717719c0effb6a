//! Counts of rejected messages by brand, reason and type, in a bounded number of groups.
//!
//! A publisher chooses the types of its events, and so the number of its groups. Groups with a type are therefore limited
//! for each brand and reason, and leave places to groups without a type, so that one brand does not displace others.

use std::collections::BTreeMap;

use domain::ids::BrandId;
use domain::time::Timestamp;

use crate::rejected_queue::RejectedMessage;

/// Groups of a summary. Messages of further groups are counted together.
const MAX_GROUPS: usize = 1_000;
/// Groups up to which a type has its own one. The other places are for groups of a brand and a reason.
const MAX_GROUPS_WITH_TYPES: usize = 750;
/// Types of one brand and reason that have their own group. Further types are counted without a type.
const MAX_TYPES_PER_REASON: usize = 50;

/// Numbers of messages, and the bytes of their bodies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MessageCount {
    /// Number of messages.
    pub messages: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// When the first of them was rejected, as far as that is known.
    pub first: Option<Timestamp>,
    /// When the last of them was rejected, as far as that is known.
    pub last: Option<Timestamp>,
}

/// A brand, a reason and an event type, each `None` if the messages have none.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The brand.
    pub brand: Option<BrandId>,
    /// The reason.
    pub reason: Option<String>,
    /// The event type.
    pub event_type: Option<String>,
}

/// Counts of messages by brand, reason and type.
pub type Groups = BTreeMap<Group, MessageCount>;

/// Adds a message to the count of its group.
pub(crate) fn add_to_group(groups: &mut Groups, message: &RejectedMessage) {
    let RejectedMessage { brand, reason, event_type, rejected_at, body, .. } = message;
    let group = Group { brand: brand.clone(), reason: reason.clone(), event_type: event_type.clone() };
    let at = *rejected_at;
    let count = MessageCount { messages: 1, bytes: body.len() as u64, first: at, last: at };
    merge_groups(groups, Groups::from([(group, count)]));
}

/// Adds counts to the counts of the same groups.
pub(crate) fn merge_groups(groups: &mut Groups, added: Groups) {
    for (group, added) in added {
        let group = fit_group(groups, group);
        let count = groups.entry(group).or_default();
        count.messages += added.messages;
        count.bytes += added.bytes;
        count.first = count.first.into_iter().chain(added.first).min();
        count.last = count.last.max(added.last);
    }
}

/// Returns the group that counts the messages of `group`: itself, the one without its type, or the one of all others.
fn fit_group(groups: &Groups, group: Group) -> Group {
    if groups.contains_key(&group) {
        return group;
    }
    let untyped = Group { event_type: None, ..group.clone() };
    let has_own_place =
        groups.len() < MAX_GROUPS_WITH_TYPES && count_types(groups, &untyped) < MAX_TYPES_PER_REASON;
    if group.event_type.is_some() && has_own_place {
        return group;
    }
    if groups.len() < MAX_GROUPS || groups.contains_key(&untyped) { untyped } else { Group::default() }
}

/// Counts the types of a brand and reason, at most as many as have their own group.
fn count_types(groups: &Groups, untyped: &Group) -> usize {
    groups
        .range(untyped.clone()..)
        .take_while(|(group, _)| group.brand == untyped.brand && group.reason == untyped.reason)
        .filter(|(group, _)| group.event_type.is_some())
        .take(MAX_TYPES_PER_REASON)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(brand: &str, event_type: Option<&str>) -> Group {
        Group {
            brand: Some(brand.parse().expect("a brand")),
            reason: Some("unknown_type".to_owned()),
            event_type: event_type.map(str::to_owned),
        }
    }

    fn add(groups: &mut Groups, group: Group) {
        let count = MessageCount { messages: 1, bytes: 2, ..MessageCount::default() };
        merge_groups(groups, Groups::from([(group, count)]));
    }

    #[test]
    fn a_brand_with_many_types_leaves_room_for_others() {
        let mut groups = Groups::new();
        for number in 0..2_000 {
            add(&mut groups, group("acme", Some(&format!("A.T{number}"))));
        }
        add(&mut groups, group("globex", Some("A.B")));
        assert_eq!(groups.len(), MAX_TYPES_PER_REASON + 2);
        let rest = (2_000 - MAX_TYPES_PER_REASON) as u64;
        let messages = |group: &Group| groups.get(group).map(|count| count.messages);
        assert_eq!(messages(&group("acme", None)), Some(rest));
        assert_eq!(messages(&group("acme", Some("A.T0"))), Some(1));
        assert_eq!(messages(&group("globex", Some("A.B"))), Some(1));
    }

    #[test]
    fn messages_of_further_groups_lose_their_type_first_and_then_their_brand() {
        let mut groups = Groups::new();
        for number in 0..1_500 {
            add(&mut groups, group(&format!("b{number}"), Some("A.B")));
        }
        assert_eq!(groups.len(), MAX_GROUPS + 1, "and the group of all others");
        assert!(groups.contains_key(&group("b749", Some("A.B"))));
        assert!(groups.contains_key(&group("b999", None)));
        let total: u64 = groups.values().map(|count| count.messages).sum();
        assert_eq!((total, groups[&Group::default()].messages), (1_500, 500));
    }
}
