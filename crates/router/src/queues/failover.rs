//! Routes events to the spare of the ingest queue while that queue stores nothing.
//!
//! RabbitMQ may have lost the queue, or none of its members may be running. The messages in it stay there, because they
//! are nowhere else. Once the queue stores messages again, events go to it again.

use std::time::Duration;

use broker::{IngestQueue, ProbeResult, Prober, Route, Topology};
use runtime::error::Chain;
use tokio::sync::watch;
use tracing::warn;

use crate::telemetry;

/// Time between two probes of the ingest queue.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// Unanswered probes in a row after which events go to the spare.
const MAX_UNANSWERED: u32 = 2;

/// The queue that events are routed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EventRoute {
    /// The queue that an earlier process chose.
    Unknown,
    /// The ingest queue, which left this many probes in a row unanswered.
    Main { unanswered: u32 },
    /// The spare.
    Spare,
}

/// The result of a probe, without the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Stores,
    Silent,
    Refuses,
    /// RabbitMQ stores nothing in any queue.
    BrokerUnreachable,
}

impl EventRoute {
    /// Returns the route after a probe.
    fn after_probe(self, answer: Answer) -> Self {
        match (self, answer) {
            (before, Answer::BrokerUnreachable) => before,
            (_, Answer::Stores) => Self::Main { unanswered: 0 },
            (_, Answer::Refuses) | (Self::Spare, Answer::Silent) => Self::Spare,
            (Self::Unknown, Answer::Silent) => Self::Main { unanswered: 1 },
            (Self::Main { unanswered }, Answer::Silent) if unanswered + 1 < MAX_UNANSWERED => {
                Self::Main { unanswered: unanswered + 1 }
            }
            (Self::Main { .. }, Answer::Silent) => Self::Spare,
        }
    }

    fn ingest_queue(self) -> Option<IngestQueue> {
        match self {
            Self::Unknown => None,
            Self::Main { .. } => Some(IngestQueue::Main),
            Self::Spare => Some(IngestQueue::Spare),
        }
    }
}

/// Probes the ingest queue forever, and routes events past it while it stores nothing. When the queue stores messages
/// again, `renewals` makes its consumer subscribe again.
pub(crate) async fn keep_events_routed(topology: Topology, prober: Prober, renewals: watch::Sender<u32>) {
    let mut route = EventRoute::Unknown;
    loop {
        let answer = probe_ingest_queue(&topology, &prober).await;
        let next = route.after_probe(answer);
        // The route is set after each probe, because a process that starts routes events to the ingest queue in any
        // case, and because a queue that someone deleted by hand is declared again without its binding. But it is set
        // to the ingest queue only if that stores messages, because another router may know better.
        let is_certain = answer == Answer::Stores || next == EventRoute::Spare;
        if is_certain && let Some(queue) = next.ingest_queue() {
            match topology.route_events_to(queue).await {
                Ok(()) => {
                    if route == EventRoute::Spare && queue == IngestQueue::Main {
                        renewals.send_modify(|number| *number += 1);
                    }
                    log_change(route, queue);
                    route = next;
                }
                Err(error) => {
                    warn!(error = %Chain(&error), ?queue, "could not route events to this ingest queue; retrying")
                }
            }
        } else {
            route = next;
        }
        telemetry::ingest_queue_blocked(route == EventRoute::Spare);
        tokio::time::sleep(PROBE_INTERVAL).await;
    }
}

fn log_change(before: EventRoute, queue: IngestQueue) {
    match queue {
        IngestQueue::Spare if before != EventRoute::Spare => {
            warn!(
                "the ingest queue stores nothing; its spare takes events. Messages in the ingest queue wait until it answers"
            );
        }
        IngestQueue::Main if before == EventRoute::Spare => {
            warn!("the ingest queue stores messages again and takes events")
        }
        _ => {}
    }
}

async fn probe_ingest_queue(topology: &Topology, prober: &Prober) -> Answer {
    let exchange = topology.names().ingest_exchange();
    let queue = topology.names().ingest_queue();
    match prober.probe_queue(Route { exchange: &exchange, key: &queue }).await {
        ProbeResult::Stores => Answer::Stores,
        ProbeResult::Silent(_) => Answer::Silent,
        ProbeResult::Refuses => Answer::Refuses,
        ProbeResult::BrokerUnreachable(_) => Answer::BrokerUnreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_bypass_a_refusing_queue_at_once_and_a_silent_queue_after_two_probes() {
        let after =
            |answers: &[Answer]| answers.iter().fold(EventRoute::Unknown, |route, a| route.after_probe(*a));
        use Answer::{BrokerUnreachable, Refuses, Silent, Stores};
        let main = |unanswered| EventRoute::Main { unanswered };
        for (answers, expected) in [
            (&[BrokerUnreachable][..], EventRoute::Unknown),
            (&[Stores], main(0)),
            (&[Silent], main(1)),
            (&[Silent, Silent], EventRoute::Spare),
            (&[Stores, Silent, Stores, Silent], main(1)),
            (&[Stores, Silent, BrokerUnreachable, Silent], EventRoute::Spare),
            (&[Refuses], EventRoute::Spare),
            (&[Stores, Refuses], EventRoute::Spare),
            (&[Refuses, Silent], EventRoute::Spare),
            (&[Refuses, BrokerUnreachable], EventRoute::Spare),
            (&[Refuses, Stores], main(0)),
        ] {
            assert_eq!(after(answers), expected, "{answers:?}");
        }
    }
}
