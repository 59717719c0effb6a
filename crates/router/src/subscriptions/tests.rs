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

fn decode_all(batch: &[TestMessage]) -> Vec<AcceptedEvent<'_, TestMessage>> {
    let DecodedBatch { accepted, rejected } = decode_batch(batch, chrono::Utc::now(), TimeDelta::days(7));
    assert!(rejected.is_empty());
    accepted
}

/// Returns the data of the events to store, the reasons of the rejections, and the number of duplicates.
fn match_batch(batch: &[TestMessage]) -> (Vec<String>, Vec<RejectReason>, usize) {
    let accepted = decode_all(batch);
    let matched = match_subscriptions(&accepted, &new_index());
    let stored = matched.new_events().iter().map(|event| event.data.to_owned()).collect();
    let rejected = matched.rejected.iter().map(|rejected| rejected.rejection.reason).collect();
    (stored, rejected, matched.duplicates)
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
