//! Who wants what, in memory, at a known version of the configuration.

use std::collections::HashMap;

use domain::catalogue::Enablement;
use domain::event_type::covering;
use domain::ids::{BrandId, WebhookId};
use domain::schema::DataSchema;
use domain::webhook::WebhookStatus;
use store::config::{EventTypeChange, NO_VERSION, RoutingChange, RoutingChanges};
use store::ingest::Target;

use crate::events;

/// What to do with an event of a brand and type.
#[derive(Debug, PartialEq, Eq)]
pub enum Match {
    /// It is for these webhooks; perhaps none.
    Targets(Vec<Target>),
    /// The type is not enabled for the brand: the normal state of a brand.
    NotEnabled,
    /// There is no such brand.
    UnknownBrand,
    /// The catalogue has no such type.
    UnknownType,
}

/// The subscription index.
#[derive(Debug)]
pub struct Index {
    version: i64,
    /// The catalogue, each type with the schema that is enforced for it.
    types: HashMap<String, Option<DataSchema>>,
    brands: HashMap<BrandId, Brand>,
    /// Which brand a webhook is filed under.
    filed: HashMap<WebhookId, BrandId>,
}

#[derive(Debug, Default)]
struct Brand {
    enablement: Enablement,
    webhooks: HashMap<WebhookId, Subscriber>,
    /// By the text of each pattern, the webhooks that subscribe to it.
    by_pattern: HashMap<String, Vec<WebhookId>>,
}

#[derive(Debug)]
struct Subscriber {
    generation: i32,
    /// Disabled by the platform or support: what arrives is held.
    held: bool,
    patterns: Vec<String>,
}

impl Default for Index {
    fn default() -> Self {
        Self { version: NO_VERSION, types: HashMap::new(), brands: HashMap::new(), filed: HashMap::new() }
    }
}

impl Index {
    /// The version of the configuration that it shows.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Takes in what changed since its version.
    pub fn apply(&mut self, changes: RoutingChanges) {
        for change in changes.event_types {
            if change.removed {
                self.types.remove(&change.name);
            } else {
                let schema = enforced(&change);
                self.types.insert(change.name, schema);
            }
        }
        for change in changes.brands {
            self.brands.entry(change.id).or_default().enablement = change.enablement;
        }
        for change in changes.webhooks {
            self.file(change);
        }
        self.version = changes.version;
    }

    /// What becomes of an event of this brand and type.
    #[must_use]
    pub fn find(&self, brand_id: &BrandId, event_type: &str) -> Match {
        let Some(brand) = self.brands.get(brand_id) else { return Match::UnknownBrand };
        if !self.types.contains_key(event_type) {
            return Match::UnknownType;
        }
        if !brand.enablement.enables(event_type) {
            return Match::NotEnabled;
        }
        Match::Targets(brand.wanting(event_type))
    }

    /// The schema that the type's events must fit, if one is enforced.
    #[must_use]
    pub fn enforced_schema(&self, event_type: &str) -> Option<&DataSchema> {
        self.types.get(event_type)?.as_ref()
    }

    fn file(&mut self, change: RoutingChange) {
        if let Some(brand) = self.filed.remove(&change.id).and_then(|brand| self.brands.get_mut(&brand)) {
            brand.remove(change.id);
        }
        let held = change.status == WebhookStatus::Disabled;
        if held || change.status == WebhookStatus::Active {
            let patterns = change.events.iter().map(|pattern| pattern.as_str().to_owned()).collect();
            let brand = self.brands.entry(change.brand_id.clone()).or_default();
            brand.insert(change.id, Subscriber { generation: change.generation, held, patterns });
            self.filed.insert(change.id, change.brand_id);
        }
    }
}

/// A schema that cannot be read holds up no events: the API takes none, so it is ours that is at fault.
fn enforced(change: &EventTypeChange) -> Option<DataSchema> {
    let text = change.enforced_schema.as_deref()?;
    DataSchema::parse(text).map_err(|error| events::schema_unreadable(&change.name, &error)).ok()
}

impl Brand {
    fn insert(&mut self, id: WebhookId, subscriber: Subscriber) {
        for pattern in &subscriber.patterns {
            self.by_pattern.entry(pattern.clone()).or_default().push(id);
        }
        self.webhooks.insert(id, subscriber);
    }

    fn remove(&mut self, id: WebhookId) {
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

    /// The webhooks that subscribe to the type, a group above it, or everything; each once.
    fn wanting(&self, event_type: &str) -> Vec<Target> {
        let mut ids: Vec<WebhookId> = covering(event_type)
            .filter_map(|pattern| self.by_pattern.get(pattern))
            .flatten()
            .copied()
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let target = |webhook| {
            let subscriber = self.webhooks.get(&webhook)?;
            Some(Target { webhook, generation: subscriber.generation, held: subscriber.held })
        };
        ids.into_iter().filter_map(target).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::event_type::TypePattern;
    use store::config::{BrandChange, EventTypeChange};

    fn pattern(text: &str) -> TypePattern {
        text.parse().expect("pattern")
    }

    fn webhook(id: u128, brand: &str, events: &[&str], status: WebhookStatus) -> RoutingChange {
        RoutingChange {
            id: WebhookId(uuid::Uuid::from_u128(id)),
            brand_id: brand.parse().expect("brand"),
            events: events.iter().map(|text| pattern(text)).collect(),
            status,
            generation: 1,
        }
    }

    fn index(webhooks: Vec<RoutingChange>) -> Index {
        let mut index = Index::default();
        let mut enablement = Enablement::default();
        enablement.switch(&pattern("A"), true);
        let types = ["A.B", "A.C", "X"].map(|name| EventTypeChange {
            name: name.to_owned(),
            removed: false,
            enforced_schema: (name == "A.C").then(|| r#"{"type":"object"}"#.to_owned()),
        });
        let brand = |id: &str| BrandChange { id: id.parse().expect("brand"), enablement: enablement.clone() };
        let brands = vec![brand("one"), brand("two")];
        index.apply(RoutingChanges { version: 5, event_types: types.into(), brands, webhooks });
        index
    }

    fn ids(index: &Index, brand: &str, event_type: &str) -> Vec<u128> {
        match index.find(&brand.parse().expect("brand"), event_type) {
            Match::Targets(targets) => targets.into_iter().map(|target| target.webhook.0.as_u128()).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn types_groups_and_everything_match_once_and_only_for_the_brand() {
        let index = index(vec![
            webhook(1, "one", &["A.B"], WebhookStatus::Active),
            webhook(2, "one", &["A", "A.B", "*"], WebhookStatus::Active),
            webhook(3, "one", &["A.C"], WebhookStatus::Active),
            webhook(4, "two", &["*"], WebhookStatus::Active),
            webhook(5, "one", &["*"], WebhookStatus::Paused),
            webhook(6, "one", &["A.C"], WebhookStatus::Disabled),
        ]);
        assert_eq!(ids(&index, "one", "A.B"), [1, 2]);
        assert_eq!(ids(&index, "one", "A.C"), [2, 3, 6], "what arrives for a disabled one is held");
        assert_eq!(ids(&index, "two", "A.B"), [4]);
        assert_eq!(index.version(), 5);
    }

    #[test]
    fn what_is_unknown_or_not_enabled_is_told_apart() {
        let index = index(vec![]);
        let find = |brand: &str, name| index.find(&brand.parse().expect("brand"), name);
        assert_eq!(find("three", "A.B"), Match::UnknownBrand);
        assert_eq!(find("one", "A.D"), Match::UnknownType);
        assert_eq!(find("one", "X"), Match::NotEnabled);
        assert_eq!(find("one", "A.B"), Match::Targets(vec![]));
    }

    #[test]
    fn a_schema_is_there_where_it_is_enforced() {
        let index = index(vec![]);
        assert!(index.enforced_schema("A.B").is_none() && index.enforced_schema("A.D").is_none());
        assert!(index.enforced_schema("A.C").is_some_and(|schema| schema.check("[]").is_err()));
    }

    #[test]
    fn a_change_replaces_what_was_filed() {
        let mut index = index(vec![webhook(1, "one", &["A.B"], WebhookStatus::Active)]);
        let only = |webhooks| RoutingChanges { version: 6, event_types: vec![], brands: vec![], webhooks };
        index.apply(only(vec![webhook(1, "one", &["A.C"], WebhookStatus::Active)]));
        assert_eq!((ids(&index, "one", "A.B"), ids(&index, "one", "A.C")), (vec![], vec![1]));
        index.apply(only(vec![webhook(1, "one", &["A.C"], WebhookStatus::Deleted)]));
        assert!(ids(&index, "one", "A.C").is_empty());
    }
}
