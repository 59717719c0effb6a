//! The subscriptions in memory, at a known version of the configuration.

use std::collections::HashMap;

use domain::event::catalogue::Enablement;
use domain::event::event_type::{EventType, patterns_covering};
use domain::event::schema::DataSchema;
use domain::ids::{BrandId, WebhookId};
use domain::quota::BrandQuota;
use domain::webhook::WebhookStatus;
use store::routing::configuration::{EventTypeChange, NO_VERSION, RoutingChange, RoutingChanges};
use store::routing::ingest::Recipient;

use crate::telemetry;

/// The result of matching an event.
#[derive(Debug, PartialEq, Eq)]
pub enum Match {
    /// These webhooks subscribe to the event, perhaps none.
    Webhooks(Vec<Recipient>),
    /// The type is not enabled for the brand, which is normal.
    NotEnabled,
    /// The brand does not exist.
    UnknownBrand,
    /// The catalogue does not have the type.
    UnknownType,
    /// The data violates the schema that is enforced for the type.
    SchemaViolation(String),
}

/// The subscription index.
#[derive(Debug)]
pub struct Index {
    version: i64,
    /// The types of the catalogue, each with its enforced schema if it has one.
    types: HashMap<String, Option<DataSchema>>,
    brands: HashMap<BrandId, Brand>,
    /// The brand that has the webhook in its index.
    brand_of: HashMap<WebhookId, BrandId>,
}

#[derive(Debug, Default)]
struct Brand {
    enablement: Enablement,
    quotas: BrandQuota,
    webhooks: HashMap<WebhookId, Subscriber>,
    /// The webhooks that subscribe to a pattern.
    by_pattern: HashMap<String, Vec<WebhookId>>,
}

#[derive(Debug)]
struct Subscriber {
    generation: i32,
    /// Whether the platform or support has disabled it, so that its deliveries are held.
    held: bool,
    patterns: Vec<String>,
}

impl Default for Index {
    fn default() -> Self {
        Self { version: NO_VERSION, types: HashMap::new(), brands: HashMap::new(), brand_of: HashMap::new() }
    }
}

impl Index {
    /// Returns the version of the configuration that the index shows.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Applies the changes since the index's version.
    pub fn apply_changes(&mut self, changes: RoutingChanges) {
        for change in changes.event_types {
            if change.removed {
                self.types.remove(&change.name);
            } else {
                let schema = parse_enforced_schema(&change);
                self.types.insert(change.name, schema);
            }
        }
        for change in changes.brands {
            let brand = self.brands.entry(change.id).or_default();
            brand.enablement = change.enablement;
            brand.quotas = change.quotas;
        }
        for change in changes.webhooks {
            self.replace_webhook(change);
        }
        self.version = changes.version;
    }

    /// Returns the quotas of the brands with a limited rate.
    #[must_use]
    pub fn limited_quotas(&self) -> HashMap<BrandId, BrandQuota> {
        let limited = self.brands.iter().filter(|(_, brand)| brand.quotas.limits_rate());
        limited.map(|(brand_id, brand)| (brand_id.clone(), brand.quotas)).collect()
    }

    /// Returns whether the data of a type is checked against a schema.
    #[must_use]
    pub fn has_schema(&self, event_type: &str) -> bool {
        self.types.get(event_type).is_some_and(Option::is_some)
    }

    /// Matches an event of this brand, type and data. Adds the steps of checking the data to `steps`.
    #[must_use]
    pub fn match_event(&self, brand_id: &BrandId, event_type: &str, data: &str, steps: &mut u64) -> Match {
        let Some(brand) = self.brands.get(brand_id) else { return Match::UnknownBrand };
        let Some(enforced_schema) = self.types.get(event_type) else { return Match::UnknownType };
        if !brand.enablement.is_enabled(event_type) {
            return Match::NotEnabled;
        }
        match enforced_schema.as_ref().and_then(|schema| schema.check_counted(data, steps).err()) {
            Some(violation) => Match::SchemaViolation(violation.to_string()),
            None => Match::Webhooks(brand.find_subscribers(event_type)),
        }
    }

    /// Returns an upper bound of the webhooks that receive an event, at the version of the index.
    #[must_use]
    pub fn max_recipients(&self, brand_id: &BrandId, event_type: &EventType) -> usize {
        let Some(brand) = self.brands.get(brand_id) else { return 0 };
        let patterns = patterns_covering(event_type.as_str());
        patterns.filter_map(|pattern| brand.by_pattern.get(pattern)).map(Vec::len).sum()
    }

    /// Returns the brands.
    pub fn brands(&self) -> impl ExactSizeIterator<Item = &BrandId> {
        self.brands.keys()
    }

    fn replace_webhook(&mut self, change: RoutingChange) {
        if let Some(brand) = self.brand_of.remove(&change.id).and_then(|brand| self.brands.get_mut(&brand)) {
            brand.remove_webhook(change.id);
        }
        let held = change.status == WebhookStatus::Disabled;
        if held || change.status == WebhookStatus::Active {
            let patterns = change.events.iter().map(|pattern| pattern.as_str().to_owned()).collect();
            let brand = self.brands.entry(change.brand_id.clone()).or_default();
            brand.insert_webhook(change.id, Subscriber { generation: change.generation, held, patterns });
            self.brand_of.insert(change.id, change.brand_id);
        }
    }
}

/// Parses an enforced schema. A schema that cannot be parsed stops no events, because the API accepts only valid
/// schemas and so the error is ours.
fn parse_enforced_schema(change: &EventTypeChange) -> Option<DataSchema> {
    let text = change.enforced_schema.as_deref()?;
    DataSchema::parse_stored(text).map_err(|error| telemetry::schema_unreadable(&change.name, &error)).ok()
}

impl Brand {
    fn insert_webhook(&mut self, id: WebhookId, subscriber: Subscriber) {
        for pattern in &subscriber.patterns {
            self.by_pattern.entry(pattern.clone()).or_default().push(id);
        }
        self.webhooks.insert(id, subscriber);
    }

    fn remove_webhook(&mut self, id: WebhookId) {
        let Some(subscriber) = self.webhooks.remove(&id) else { return };
        for pattern in &subscriber.patterns {
            if let Some(ids) = self.by_pattern.get_mut(pattern) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.by_pattern.remove(pattern);
                }
            }
        }
    }

    /// Returns the webhooks that subscribe to the type, to a group above it, or to everything; each once.
    fn find_subscribers(&self, event_type: &str) -> Vec<Recipient> {
        let mut ids: Vec<WebhookId> = patterns_covering(event_type)
            .filter_map(|pattern| self.by_pattern.get(pattern))
            .flatten()
            .copied()
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let target = |webhook| {
            let subscriber = self.webhooks.get(&webhook)?;
            Some(Recipient { webhook, generation: subscriber.generation, held: subscriber.held })
        };
        ids.into_iter().filter_map(target).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::event::event_type::TypePattern;
    use domain::quota::Quota;
    use store::routing::configuration::{BrandChange, EventTypeChange};

    fn parse_pattern(text: &str) -> TypePattern {
        text.parse().expect("pattern")
    }

    fn webhook_change(id: u128, brand: &str, events: &[&str], status: WebhookStatus) -> RoutingChange {
        RoutingChange {
            id: WebhookId(uuid::Uuid::from_u128(id)),
            brand_id: brand.parse().expect("brand"),
            events: events.iter().map(|text| parse_pattern(text)).collect(),
            status,
            generation: 1,
        }
    }

    fn new_index(webhooks: Vec<RoutingChange>) -> Index {
        let mut index = Index::default();
        let mut enablement = Enablement::default();
        enablement.set_switch(&parse_pattern("A"), true);
        let types = ["A.B", "A.C", "X"].map(|name| EventTypeChange {
            name: name.to_owned(),
            removed: false,
            enforced_schema: (name == "A.C").then(|| r#"{"type":"object"}"#.to_owned()),
        });
        let brand = |id: &str| BrandChange {
            id: id.parse().expect("brand"),
            enablement: enablement.clone(),
            quotas: BrandQuota::default(),
        };
        let brands = vec![brand("one"), brand("two")];
        index.apply_changes(RoutingChanges { version: 5, event_types: types.into(), brands, webhooks });
        index
    }

    fn matching_ids(index: &Index, brand: &str, event_type: &str) -> Vec<u128> {
        match index.match_event(&brand.parse().expect("brand"), event_type, "{}", &mut 0) {
            Match::Webhooks(recipients) => {
                recipients.into_iter().map(|target| target.webhook.0.as_u128()).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn types_groups_and_everything_match_once_and_only_for_the_brand() {
        let index = new_index(vec![
            webhook_change(1, "one", &["A.B"], WebhookStatus::Active),
            webhook_change(2, "one", &["A", "A.B", "*"], WebhookStatus::Active),
            webhook_change(3, "one", &["A.C"], WebhookStatus::Active),
            webhook_change(4, "two", &["*"], WebhookStatus::Active),
            webhook_change(5, "one", &["*"], WebhookStatus::Paused),
            webhook_change(6, "one", &["A.C"], WebhookStatus::Disabled),
        ]);
        assert_eq!(matching_ids(&index, "one", "A.B"), [1, 2]);
        assert_eq!(
            matching_ids(&index, "one", "A.C"),
            [2, 3, 6],
            "a disabled webhook matches, because its deliveries are held"
        );
        assert_eq!(matching_ids(&index, "two", "A.B"), [4]);
        assert_eq!(index.version(), 5);
    }

    #[test]
    fn unknown_and_not_enabled_are_different_results() {
        let index = new_index(vec![]);
        let find = |brand: &str, name| index.match_event(&brand.parse().expect("brand"), name, "{}", &mut 0);
        assert_eq!(find("three", "A.B"), Match::UnknownBrand);
        assert_eq!(find("one", "A.D"), Match::UnknownType);
        assert_eq!(find("one", "X"), Match::NotEnabled);
        assert_eq!(find("one", "A.B"), Match::Webhooks(vec![]));
    }

    #[test]
    fn data_is_checked_where_a_schema_is_enforced() {
        let index = new_index(vec![]);
        let brand = "one".parse().expect("brand");
        assert_eq!(index.match_event(&brand, "A.B", "[]", &mut 0), Match::Webhooks(vec![]));
        assert_eq!(index.match_event(&brand, "A.C", "{}", &mut 0), Match::Webhooks(vec![]));
        assert!(matches!(index.match_event(&brand, "A.C", "[]", &mut 0), Match::SchemaViolation(_)));
    }

    #[test]
    fn a_change_replaces_the_quotas_and_keeps_the_webhooks() {
        let mut index = new_index(vec![webhook_change(1, "one", &["A.B"], WebhookStatus::Active)]);
        let one: BrandId = "one".parse().expect("brand");
        assert!(index.limited_quotas().is_empty());
        let mut enablement = Enablement::default();
        enablement.set_switch(&parse_pattern("A"), true);
        let mut quotas = BrandQuota::default();
        quotas.set(Quota::EventsPerSecond, Some(7)).expect("in range");
        let brands = vec![BrandChange { id: one.clone(), enablement, quotas }];
        index.apply_changes(RoutingChanges { version: 6, event_types: vec![], brands, webhooks: vec![] });
        assert_eq!(index.limited_quotas(), HashMap::from([(one, quotas)]));
        assert_eq!(matching_ids(&index, "one", "A.B"), [1]);
    }

    #[test]
    fn a_change_replaces_the_webhook() {
        let mut index = new_index(vec![webhook_change(1, "one", &["A.B"], WebhookStatus::Active)]);
        let only = |webhooks| RoutingChanges { version: 6, event_types: vec![], brands: vec![], webhooks };
        index.apply_changes(only(vec![webhook_change(1, "one", &["A.C"], WebhookStatus::Active)]));
        assert_eq!(
            (matching_ids(&index, "one", "A.B"), matching_ids(&index, "one", "A.C")),
            (vec![], vec![1])
        );
        index.apply_changes(only(vec![webhook_change(1, "one", &["A.C"], WebhookStatus::Deleted)]));
        assert!(matching_ids(&index, "one", "A.C").is_empty());
    }
}
