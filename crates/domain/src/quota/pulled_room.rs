//! The memory for events from backlogs, and how long events of a brand over its quota may stay in it.

use std::time::Duration;

/// Bytes of events from backlogs of brands without a limited rate.
const MAX_PULLED_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of events from backlogs of brands with a limited rate. They have a part of their own, because they may wait for
/// minutes.
const MAX_LIMITED_PULLED_BYTES: usize = 8 * 1024 * 1024;
/// Time for which the events of a brand over its quota may wait in memory; longer, they wait in its backlog, where support
/// sees them.
const MAX_DIRECT_WAIT: Duration = Duration::from_secs(2);
/// Time for which events from a backlog may wait in memory for their brand's quota. The waits of a message's events, each
/// at most this time divided by the events left, add up to less than RabbitMQ's `consumer_timeout` of 30 minutes.
const MAX_PULLED_WAIT: Duration = Duration::from_secs(240);
/// The same while other brands need the room.
const MAX_CROWDED_WAIT: Duration = Duration::from_secs(2);

/// Bytes of the events from backlogs that are in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PulledBytes {
    /// Of brands with a limited rate.
    pub limited: usize,
    /// Of all brands.
    pub all: usize,
}

impl PulledBytes {
    /// Returns whether there is room for another message of a brand.
    #[must_use]
    pub const fn has_room(&self, is_limited: bool) -> bool {
        if is_limited {
            self.limited < MAX_LIMITED_PULLED_BYTES
        } else {
            self.all.saturating_sub(self.limited) < MAX_PULLED_BYTES
        }
    }

    /// Returns whether brands with a limited rate may soon find no room, so that events that wait for long have to go back.
    #[must_use]
    pub const fn is_crowded(&self) -> bool {
        self.limited > MAX_LIMITED_PULLED_BYTES / 2
    }
}

/// Where the events of a brand over its quota came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoppedEvents {
    /// From a queue that all brands share.
    Direct,
    /// From the backlog of the brand.
    Pulled {
        /// [`PulledBytes::is_crowded`].
        is_crowded: bool,
    },
}

impl StoppedEvents {
    /// Returns whether this number of events goes into the backlog of their brand, because they would wait for long. `wait` is the
    /// time until the next of them may be routed.
    #[must_use]
    pub fn must_move(self, wait: Duration, events: usize) -> bool {
        let max_wait = match self {
            Self::Direct => MAX_DIRECT_WAIT,
            Self::Pulled { is_crowded: true } => MAX_CROWDED_WAIT,
            Self::Pulled { is_crowded: false } => MAX_PULLED_WAIT,
        };
        events > 0 && wait.saturating_mul(u32::try_from(events).unwrap_or(u32::MAX)) > max_wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    #[test]
    fn events_that_wait_for_quotas_take_no_room_of_the_other_brands() {
        let waiting = PulledBytes { limited: MAX_LIMITED_PULLED_BYTES, all: MAX_LIMITED_PULLED_BYTES };
        assert!(!waiting.has_room(true) && waiting.has_room(false));
        let all = MAX_LIMITED_PULLED_BYTES + MAX_PULLED_BYTES;
        let full = PulledBytes { all, ..waiting };
        assert!(!full.has_room(true) && !full.has_room(false));
        let unlimited = PulledBytes { limited: 0, all: MAX_PULLED_BYTES };
        assert!(unlimited.has_room(true) && !unlimited.has_room(false));
    }

    #[test]
    fn events_that_wait_for_quotas_go_back_before_their_room_is_full() {
        let crowded = |limited| PulledBytes { limited, all: limited }.is_crowded();
        assert!(!crowded(MAX_LIMITED_PULLED_BYTES / 2) && crowded(MAX_LIMITED_PULLED_BYTES / 2 + 1));
        let at_most = PulledBytes { limited: 5 * MIB, all: 5 * MIB };
        assert!(at_most.is_crowded() && at_most.has_room(true), "a message fits while others go back");
    }

    #[test]
    fn events_wait_in_memory_for_a_time_that_depends_on_the_room() {
        let second = Duration::from_secs(1);
        for (stopped, fits, too_many) in [
            (StoppedEvents::Direct, 2, 3),
            (StoppedEvents::Pulled { is_crowded: true }, 2, 3),
            (StoppedEvents::Pulled { is_crowded: false }, 240, 241),
        ] {
            assert!(!stopped.must_move(second, fits), "{stopped:?}");
            assert!(stopped.must_move(second, too_many), "{stopped:?}");
            assert!(!stopped.must_move(Duration::MAX, 0), "there is nothing to move");
            assert!(stopped.must_move(Duration::MAX, usize::MAX));
        }
    }
}
