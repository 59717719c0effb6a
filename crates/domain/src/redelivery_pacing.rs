//! Decides how fast a webhook's deliveries are sent from the database, and by which replica.
//!
//! Two kinds of deliveries are sent from PostgreSQL instead of the webhook's queue: retries that are overdue, and
//! redeliveries that a brand or support asked for. Retries have a window in which they must start, so that they may use
//! all permits of the endpoint. Redeliveries have no deadline, and may use half of the permits, so that fresh events
//! keep their latency.
//!
//! The replica that receives the webhook's queue sends them, because one limiter then sees all requests to the endpoint.
//! If the queue works for nobody, its owner sends them. If it is not known which replica receives the queue, the owner
//! publishes a nudge: the replica that gets it knows.

use std::time::Duration;

use chrono::TimeDelta;

/// Deliveries in progress for each permit: while some are sent, others are recorded.
const IN_PROGRESS_FACTOR: u16 = 4;
/// Deliveries loaded for each one in progress: the larger the page, the fewer pauses between pages.
const PAGE_FACTOR: u16 = 4;
/// How long a retry must be overdue before it is sent from the database. Without a backlog its message comes within less
/// than a second.
pub const MIN_OVERDUE: TimeDelta = TimeDelta::seconds(2);
/// The same for a webhook without a backlog, whose retries are missing only if their delay queue stores nothing.
const MIN_OVERDUE_WITHOUT_BACKLOG: TimeDelta = TimeDelta::seconds(5);
/// How often overdue retries of webhooks with a backlog are looked for.
pub const BACKLOG_SEARCH_INTERVAL: Duration = Duration::from_secs(1);
/// How often overdue retries of all webhooks are looked for.
pub const FULL_SEARCH_INTERVAL: Duration = Duration::from_secs(10);

/// How many deliveries of one webhook are sent from the database at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Permits of the endpoint's limiter that redeliveries may hold.
    pub redelivery_permits: u16,
    /// Redeliveries in progress at once.
    pub redeliveries: u16,
    /// Redeliveries of one page.
    pub page: u32,
    /// Overdue retries in progress at once, and in one page.
    pub retries: u16,
}

impl Pace {
    /// Derives the pace from the number of requests that the endpoint may get at once.
    #[must_use]
    pub fn for_concurrency(max_concurrency: u16) -> Self {
        let redelivery_permits = (max_concurrency / 2).max(1);
        let redeliveries = redelivery_permits.saturating_mul(IN_PROGRESS_FACTOR);
        Self {
            redelivery_permits,
            redeliveries,
            page: u32::from(redeliveries.saturating_mul(PAGE_FACTOR)),
            retries: max_concurrency.saturating_mul(IN_PROGRESS_FACTOR),
        }
    }
}

/// Whether a run is over: the last turn found neither an overdue retry nor a redelivery.
#[must_use]
pub fn is_exhausted(retries: usize, redeliveries: usize) -> bool {
    retries == 0 && redeliveries == 0
}

/// A webhook as the replica sees it that serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServedWebhook {
    /// Whether this replica is the webhook's owner, and not its standby.
    pub is_owner: bool,
    /// Whether this replica receives the queue's messages.
    pub is_active: bool,
    /// Whether no replica can receive from the queue.
    pub is_cut_off: bool,
    /// Whether the queue may hold many messages, so that a retry may be far behind.
    pub is_backlogged: bool,
}

/// The replica that sends a webhook's deliveries from the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// This replica.
    ThisReplica,
    /// Not known: this replica has to publish a nudge.
    Unknown,
    /// Another replica.
    AnotherReplica,
}

impl ServedWebhook {
    /// Returns who sends the webhook's deliveries from the database.
    #[must_use]
    pub fn sender(self) -> Sender {
        if self.is_active || self.is_cut_off {
            Sender::ThisReplica
        } else if self.is_owner {
            Sender::Unknown
        } else {
            Sender::AnotherReplica
        }
    }
}

/// Which webhooks are asked for overdue retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverdueSearch {
    /// Only webhooks whose retries may be late: those with a backlog, and those without a working queue.
    Backlogged,
    /// All webhooks that this replica is responsible for.
    All,
}

impl OverdueSearch {
    /// Returns the search that is due, by the time since the last one of any kind and since the last one of all.
    #[must_use]
    pub fn next_due(since_any: Duration, since_all: Duration) -> Option<Self> {
        if since_any < BACKLOG_SEARCH_INTERVAL {
            None
        } else if since_all < FULL_SEARCH_INTERVAL {
            Some(Self::Backlogged)
        } else {
            Some(Self::All)
        }
    }

    /// Returns how long a retry must be overdue to be found.
    #[must_use]
    pub fn min_overdue(self) -> TimeDelta {
        match self {
            Self::Backlogged => MIN_OVERDUE,
            Self::All => MIN_OVERDUE_WITHOUT_BACKLOG,
        }
    }

    /// Whether the search covers a webhook.
    #[must_use]
    pub fn includes(self, webhook: ServedWebhook) -> bool {
        match self {
            Self::Backlogged => webhook.is_backlogged || webhook.is_cut_off,
            Self::All => webhook.is_owner || webhook.is_active,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_webhooks() -> Vec<ServedWebhook> {
        let bit = |number: u8, at: u8| number & (1 << at) != 0;
        (0..16)
            .map(|n| ServedWebhook {
                is_owner: bit(n, 0),
                is_active: bit(n, 1),
                is_cut_off: bit(n, 2),
                is_backlogged: bit(n, 3),
            })
            .collect()
    }

    #[test]
    fn redeliveries_get_half_of_the_permits_and_at_least_one() {
        let permits = |most| Pace::for_concurrency(most).redelivery_permits;
        assert_eq!([0, 1, 2, 3, 4, 20, u16::MAX].map(permits), [1, 1, 1, 1, 2, 10, u16::MAX / 2]);
    }

    #[test]
    fn pages_grow_with_the_permits_and_never_overflow() {
        let pace = Pace::for_concurrency(20);
        assert_eq!((pace.redeliveries, pace.page, pace.retries), (40, 160, 80));
        let largest = Pace::for_concurrency(u16::MAX);
        assert_eq!((largest.redeliveries, largest.page, largest.retries), (u16::MAX, 65_535, u16::MAX));
        assert_eq!(
            Pace::for_concurrency(1),
            Pace { redelivery_permits: 1, redeliveries: 4, page: 16, retries: 4 }
        );
    }

    #[test]
    fn a_run_ends_when_a_turn_finds_nothing_of_either_kind() {
        let found = [(0, 0), (0, 1), (1, 0), (5, 5)];
        assert_eq!(
            found.map(|(retries, redeliveries)| is_exhausted(retries, redeliveries)),
            [true, false, false, false]
        );
    }

    #[test]
    fn the_active_replica_sends_and_an_owner_that_is_not_active_asks_who_is() {
        for webhook in all_webhooks() {
            let expected = match (webhook.is_active, webhook.is_cut_off, webhook.is_owner) {
                (false, false, true) => Sender::Unknown,
                (false, false, false) => Sender::AnotherReplica,
                _ => Sender::ThisReplica,
            };
            assert_eq!(webhook.sender(), expected, "{webhook:?}");
        }
    }

    #[test]
    fn webhooks_with_a_backlog_are_searched_every_second_and_all_every_ten() {
        let due = |any, all| OverdueSearch::next_due(Duration::from_millis(any), Duration::from_millis(all));
        assert_eq!(due(999, 60_000), None);
        assert_eq!(due(1_000, 9_999), Some(OverdueSearch::Backlogged));
        assert_eq!(due(1_000, 10_000), Some(OverdueSearch::All));
    }

    #[test]
    fn a_search_covers_the_webhooks_that_this_replica_answers_for() {
        for webhook in all_webhooks() {
            let late = webhook.is_backlogged || webhook.is_cut_off;
            assert_eq!(OverdueSearch::Backlogged.includes(webhook), late, "{webhook:?}");
            let ours = webhook.is_owner || webhook.is_active;
            assert_eq!(OverdueSearch::All.includes(webhook), ours, "{webhook:?}");
        }
    }

    #[test]
    fn a_retry_without_a_backlog_has_longer_to_come_by_itself() {
        assert!(OverdueSearch::All.min_overdue() > OverdueSearch::Backlogged.min_overdue());
    }
}
