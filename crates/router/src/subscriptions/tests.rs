use broker::Unreadable;
use chrono::TimeDelta;
use domain::event::catalogue::Enablement;
use domain::quota::BrandQuota;
use domain::trace::TraceParent;
use domain::webhook::WebhookStatus;
use store::routing::configuration::{BrandChange, EventTypeChange, RoutingChange, RoutingChanges};

use super::*;
use crate::intake::{DecodedBatch, decode_batch};

/// A message without a broker.
struct TestMessage {
    body: String,
    redelivered: bool,
}

impl IncomingMessage for TestMessage {
    fn body(&self) -> &[u8] {
        self.body.as_bytes()
    }

    fn message_id(&self) -> Option<&str> {
        None
    }

    fn unreadable(&self) -> Option<Unreadable> {
        None
    }

    fn trace(&self) -> Option<&TraceParent> {
        None
    }

    fn redelivered(&self) -> bool {
        self.redelivered
    }

    fn is_from_platform(&self, _: &str) -> bool {
        false
    }
}

fn new_message(event_type: &str, data: &str) -> TestMessage {
    let id = "01JD3ZJ8Q0000000000000000A";
    let body = format!(r#"{{"id":"{id}","brandId":"acme","type":"{event_type}","data":{data}}}"#);
    TestMessage { body, redelivered: false }
}

/// Creates an index with a brand that has a webhook for everything. The data of the type `A` must be a number.
fn new_index() -> Index {
    let all = "*".parse().expect("a pattern");
    let mut enablement = Enablement::default();
    enablement.set_switch(&all, true);
    let brand_id: BrandId = "acme".parse().expect("a brand");
    let mut index = Index::default();
    index.apply_changes(RoutingChanges {
        version: 1,
        event_types: vec![EventTypeChange {
            name: "A".to_owned(),
            removed: false,
            enforced_schema: Some(r#"{"type":"number"}"#.to_owned()),
        }],
        brands: vec![BrandChange { id: brand_id.clone(), enablement, quotas: BrandQuota::default() }],
        webhooks: vec![RoutingChange {
            id: domain::ids::WebhookId(uuid::Uuid::nil()),
            brand_id,
            events: vec![all],
            status: WebhookStatus::Active,
            generation: 1,
        }],
    });
    index
}

/// Adds a type to the index.
fn add_type(index: &mut Index, name: &str, schema: Option<&str>) {
    let added =
        EventTypeChange { name: name.to_owned(), removed: false, enforced_schema: schema.map(str::to_owned) };
    index.apply_changes(RoutingChanges {
        version: index.version() + 1,
        event_types: vec![added],
        brands: vec![],
        webhooks: vec![],
    });
}

fn decode_all(batch: &[TestMessage]) -> Vec<AcceptedEvent<'_, TestMessage>> {
    let DecodedBatch { accepted, rejected } =
        decode_batch(batch, chrono::Utc::now(), TimeDelta::days(7), "test.ingest");
    assert!(rejected.is_empty());
    accepted
}

/// Returns the data of the events to store, the reasons of the rejections, and the number of duplicates.
fn match_batch(batch: &[TestMessage]) -> (Vec<String>, Vec<RejectReason>, usize) {
    let accepted = decode_all(batch);
    let matched = match_subscriptions(&accepted, &new_index());
    let stored = matched.new_events().iter().map(|event| event.data.to_owned()).collect();
    let rejected = matched.rejected.iter().map(|rejected| rejected.rejection.reason).collect();
    (stored, rejected, matched.duplicates.len())
}

/// Returns whether the stored event counts as redelivered.
fn is_redelivered(batch: &[TestMessage]) -> bool {
    let accepted = decode_all(batch);
    match_subscriptions(&accepted, &new_index()).matched[0].redelivered
}

#[test]
fn the_first_event_of_an_identity_is_stored() {
    let batch = [new_message("A", "1"), new_message("A", "2"), new_message("A", "3")];
    assert_eq!(match_batch(&batch), (vec!["1".to_owned()], vec![], 2));
}

#[test]
fn a_valid_event_is_stored_beside_rejected_ones_of_its_identity() {
    let batch =
        [new_message("A", "\"a\""), new_message("B", "1"), new_message("A", "1"), new_message("A", "null")];
    let reasons =
        vec![RejectReason::SchemaViolation, RejectReason::UnknownType, RejectReason::SchemaViolation];
    assert_eq!(match_batch(&batch), (vec!["1".to_owned()], reasons, 0));
}

#[test]
fn a_redelivered_duplicate_marks_the_stored_event() {
    let redelivered = |data| TestMessage { redelivered: true, ..new_message("A", data) };
    assert!(is_redelivered(&[new_message("A", "1"), redelivered("1")]));
    assert!(!is_redelivered(&[new_message("A", "1"), redelivered("null")]), "the second event is rejected");
}

#[test]
fn events_whose_check_takes_long_are_left_for_the_next_batch_and_others_are_not() {
    let mut index = new_index();
    add_type(&mut index, "LONG", Some(r#"{"items":{"type":"number"}}"#));
    add_type(&mut index, "FREE", None);
    let numbers = format!("[{}1]", "1,".repeat(10_000));
    let mut batch: Vec<TestMessage> = (0..100).map(|_| new_message("LONG", &numbers)).collect();
    batch.push(new_message("FREE", "1"));
    let accepted = decode_all(&batch);
    let matched = match_subscriptions(&accepted, &index);
    let handled = batch.len() - matched.postponed.len();
    assert!((2..50).contains(&handled), "{handled}");
    let next: Vec<usize> = (handled - 1..100).collect();
    assert_eq!(matched.postponed, next, "the last ones wait, and the event without a schema does not");
    let alone = match_subscriptions(&accepted[..1], &index);
    assert!(alone.postponed.is_empty() && alone.matched.len() == 1);
}
