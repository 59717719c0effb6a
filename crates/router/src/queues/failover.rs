//! Keeps events flowing when the queue that takes them stores nothing any more, because the broker lost it or none of
//! its members is up: they are led to its spare until it stores messages again. What is in it stays there, for it is
//! nowhere else.

use std::time::Duration;

use broker::{Hearing, Intake as Target, Prober, Route, Topology};
use runtime::error::Chain;
use tokio::sync::watch;
use tracing::warn;

use crate::events;

/// How often the queue is probed.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// Probes in a row that a queue leaves unanswered before events are led past it.
const MAX_UNANSWERED: u32 = 2;

/// Where events are led.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leading {
    /// Wherever the process before this one led them.
    Unknown,
    /// To the queue itself; it left so many probes in a row unanswered.
    Main { unanswered: u32 },
    /// To its spare.
    Spare,
}

/// What a probe of the queue found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Stores,
    Silent,
    Refuses,
    /// The broker stores nothing anywhere.
    BrokerAway,
}

impl Leading {
    /// Where events are to be led after a probe.
    pub(crate) fn after(self, answer: Answer) -> Self {
        match (self, answer) {
            (before, Answer::BrokerAway) => before,
            (_, Answer::Stores) => Self::Main { unanswered: 0 },
            (_, Answer::Refuses) | (Self::Spare, Answer::Silent) => Self::Spare,
            (Self::Unknown, Answer::Silent) => Self::Main { unanswered: 1 },
            (Self::Main { unanswered }, Answer::Silent) if unanswered + 1 < MAX_UNANSWERED => {
                Self::Main { unanswered: unanswered + 1 }
            }
            (Self::Main { .. }, Answer::Silent) => Self::Spare,
        }
    }

    fn target(self) -> Option<Target> {
        match self {
            Self::Unknown => None,
            Self::Main { .. } => Some(Target::Main),
            Self::Spare => Some(Target::Spare),
        }
    }
}

/// Probes the queue for good; has the subscription to it renewed when it answers again.
pub(crate) async fn watch(topology: Topology, prober: Prober, renewals: watch::Sender<u32>) {
    let mut leading = Leading::Unknown;
    loop {
        let answer = probe(&topology, &prober).await;
        let next = leading.after(answer);
        // Events are led again in each round: a process that starts leads them to the queue, whatever it stores, and a
        // queue that somebody deleted by hand was declared again without its binding. But to the queue itself only when
        // it stores messages, because another router may know better.
        let sure = answer == Answer::Stores || next == Leading::Spare;
        if sure && let Some(target) = next.target() {
            match topology.lead_events(target).await {
                Ok(()) => {
                    if leading == Leading::Spare && target == Target::Main {
                        renewals.send_modify(|number| *number += 1);
                    }
                    tell(leading, target);
                    leading = next;
                }
                Err(error) => {
                    warn!(error = %Chain(&error), ?target, "events could not be led elsewhere; trying again")
                }
            }
        } else {
            leading = next;
        }
        events::ingest_blocked(leading == Leading::Spare);
        tokio::time::sleep(PROBE_INTERVAL).await;
    }
}

fn tell(before: Leading, target: Target) {
    match target {
        Target::Spare if before != Leading::Spare => {
            warn!(
                "the queue of events stores nothing; its spare takes them. What is in it waits until it answers"
            );
        }
        Target::Main if before == Leading::Spare => warn!("the queue of events stores messages again"),
        _ => {}
    }
}

async fn probe(topology: &Topology, prober: &Prober) -> Answer {
    let (exchange, queue) = (topology.names().ingest(), topology.names().ingest());
    match prober.hear(Route { exchange: &exchange, key: &queue }).await {
        Hearing::Stores => Answer::Stores,
        Hearing::Silent(_) => Answer::Silent,
        Hearing::Refuses => Answer::Refuses,
        Hearing::BrokerAway(_) => Answer::BrokerAway,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_led_past_a_queue_that_refuses_at_once_and_past_a_silent_one_after_two_probes() {
        let after =
            |answers: &[Answer]| answers.iter().fold(Leading::Unknown, |leading, a| leading.after(*a));
        use Answer::{BrokerAway, Refuses, Silent, Stores};
        let main = |unanswered| Leading::Main { unanswered };
        for (answers, expected) in [
            (&[BrokerAway][..], Leading::Unknown),
            (&[Stores], main(0)),
            (&[Silent], main(1)),
            (&[Silent, Silent], Leading::Spare),
            (&[Stores, Silent, Stores, Silent], main(1)),
            (&[Stores, Silent, BrokerAway, Silent], Leading::Spare),
            (&[Refuses], Leading::Spare),
            (&[Stores, Refuses], Leading::Spare),
            (&[Refuses, Silent], Leading::Spare),
            (&[Refuses, BrokerAway], Leading::Spare),
            (&[Refuses, Stores], main(0)),
        ] {
            assert_eq!(after(answers), expected, "{answers:?}");
        }
    }
}
