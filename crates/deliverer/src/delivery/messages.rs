//! Creates the messages that follow from a delivery: its retry, its copy, and its message as the database knows it.

use broker::Outgoing;
use broker::wire::{self, DeliveryMessage, Progress, WireData};
use domain::delivery::attempt::Trigger;
use domain::delivery::envelope::EventHead;
use domain::time::Timestamp;
use store::delivery::orphaned::PendingDelivery;
use store::redelivery::queue::{DueDelivery, DueRedelivery};

/// Returns the progress of the attempt that follows a recorded one.
pub(crate) fn next_progress(
    progress: &Progress,
    first_started: Option<Timestamp>,
    recorded: i32,
    at: Timestamp,
) -> Progress {
    Progress {
        recorded,
        attempt: progress.attempt + 1,
        trigger: Trigger::Retry,
        first_started,
        not_before: Some(at),
        repeated: false,
        ..progress.clone()
    }
}

/// Creates a message of deliveries that another message may hold, too. It says so, so that the database is asked.
pub(crate) fn duplicate_message(deliveries: Vec<DeliveryMessage>) -> Outgoing {
    let encode = |delivery: DeliveryMessage| {
        let progress = Progress { repeated: true, ..delivery.progress };
        wire::encode(&progress, &delivery.head, WireData::of(&delivery.data))
    };
    Outgoing::new(wire::join_deliveries(deliveries.into_iter().map(encode).collect()))
}

/// Creates the message of an orphaned delivery's next attempt.
pub(crate) fn pending_message(delivery: PendingDelivery) -> DeliveryMessage {
    let attempts_of_round = delivery.attempts - delivery.round_base;
    let progress = Progress {
        round: delivery.round,
        recorded: delivery.attempts,
        attempt: u32::try_from(attempts_of_round + 1).unwrap_or(1),
        trigger: if attempts_of_round == 0 { Trigger::Fresh } else { Trigger::Retry },
        // So that the database is asked before the attempt, whatever else is on its way.
        repeated: true,
        first_started: delivery.first_attempt_at,
        not_before: delivery.next_attempt_at,
        ..Progress::fresh(delivery.generation)
    };
    let head = EventHead {
        id: delivery.event,
        brand_id: delivery.brand_id,
        created: delivery.created,
        event_type: delivery.event_type,
    };
    DeliveryMessage { progress, head, data: delivery.data }
}

/// Creates the message of a redelivery's first attempt. Returns `None` if the event has expired.
pub(crate) fn redelivery_message(due: DueRedelivery) -> Option<DeliveryMessage> {
    let DueDelivery { trigger, brand_id, event_type, generation, round_base, data } = due.delivery?;
    let progress =
        Progress { round: due.round, recorded: round_base, trigger, ..Progress::fresh(generation) };
    let head = EventHead { id: due.event, brand_id, created: due.created, event_type };
    Some(DeliveryMessage { progress, head, data })
}

#[cfg(test)]
pub(crate) mod tests {
    use chrono::TimeDelta;
    use domain::delivery::envelope::EventData;
    use domain::trace::TraceParent;

    use super::*;

    fn created() -> Timestamp {
        domain::time::parse_timestamp("2021-04-08T19:36:02.938Z").expect("an instant")
    }

    fn data() -> EventData {
        EventData::Inline("{\"a\":1}".into())
    }

    /// A message of a fresh delivery.
    pub(crate) fn message(trace: Option<TraceParent>) -> DeliveryMessage {
        let head = EventHead {
            id: "01F2SFVYVD0H873S2VRT8VQSPM".parse().expect("an id"),
            brand_id: "acme".parse().expect("a brand"),
            created: created(),
            event_type: "ORDER.PAID".parse().expect("a type"),
        };
        DeliveryMessage { progress: Progress { trace, ..Progress::fresh(3) }, head, data: data() }
    }

    fn orphaned(attempts: i32, round_base: i32) -> PendingDelivery {
        let head = message(None).head;
        PendingDelivery {
            created: head.created,
            event: head.id,
            brand_id: head.brand_id,
            event_type: head.event_type,
            generation: 3,
            round: 2,
            attempts,
            round_base,
            first_attempt_at: Some(created()),
            next_attempt_at: Some(created() + TimeDelta::seconds(5)),
            data: data(),
        }
    }

    #[test]
    fn a_retry_counts_on_and_keeps_the_rest() {
        let at = created() + TimeDelta::seconds(5);
        let progress = Progress { repeated: true, received: Some(created()), round: 2, ..Progress::fresh(3) };
        let next = next_progress(&progress, Some(created()), 7, at);
        let expected = Progress {
            recorded: 7,
            attempt: 2,
            trigger: Trigger::Retry,
            first_started: Some(created()),
            not_before: Some(at),
            repeated: false,
            ..progress
        };
        assert_eq!(next, expected);
    }

    #[test]
    fn a_copy_says_of_each_delivery_that_another_message_may_hold_it() {
        let copy = duplicate_message(vec![message(None), message(None)]);
        let decoded = wire::decode(&copy.body).expect("deliveries");
        let expected = DeliveryMessage {
            progress: Progress { repeated: true, ..message(None).progress },
            ..message(None)
        };
        assert_eq!(decoded, [expected.clone(), expected]);
    }

    #[test]
    fn an_orphaned_delivery_goes_on_where_its_round_stands() {
        let progress = |attempts, base| pending_message(orphaned(attempts, base)).progress;
        let first = progress(4, 4);
        assert_eq!((first.attempt, first.trigger, first.recorded), (1, Trigger::Fresh, 4));
        let third = progress(6, 4);
        assert_eq!((third.attempt, third.trigger, third.recorded), (3, Trigger::Retry, 6));
        assert!(first.repeated && third.repeated, "the database is asked");
        assert_eq!(third.not_before, Some(created() + TimeDelta::seconds(5)));
        assert_eq!((third.round, third.generation), (2, 3));
    }

    #[test]
    fn a_redelivery_begins_its_round_and_an_expired_one_has_no_message() {
        let head = message(None).head;
        let due = |delivery| DueRedelivery {
            created: head.created,
            event: head.id,
            round: 3,
            queued_at: head.created,
            of_job: true,
            delivery,
        };
        let delivery = DueDelivery {
            trigger: Trigger::Redeliver,
            brand_id: head.brand_id.clone(),
            event_type: head.event_type.clone(),
            generation: 5,
            round_base: 9,
            data: data(),
        };
        let message = redelivery_message(due(Some(delivery))).expect("a message");
        let expected = Progress { round: 3, recorded: 9, trigger: Trigger::Redeliver, ..Progress::fresh(5) };
        assert_eq!((message.progress, message.head), (expected, head.clone()));
        assert!(redelivery_message(due(None)).is_none());
    }
}
