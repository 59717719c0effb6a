//! The configuration in memory by which events are checked.

use std::collections::{HashMap, HashSet};

use domain::event::catalogue::Enablement;
use domain::ids::BrandId;
use domain::quota::BrandQuota;
use store::routing::configuration::{BrandChange, NO_VERSION};
use store::routing::publishing::{PublishedType, PublishingChanges};
use tokio::time::Instant;

/// The rules at a version of the configuration.
#[derive(Debug)]
pub(super) struct Rules {
    version: i64,
    types: HashMap<String, TypeRule>,
    /// The brands that have a quota of their own. The other brands have the default.
    brands: HashMap<BrandId, LimitedBrand>,
    /// The version at which a type was last added or removed.
    types_changed_at: i64,
    full_backlogs: HashSet<BrandId>,
    loaded_at: Option<Instant>,
}

/// An event type of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TypeRule {
    /// Whether only the platform publishes it.
    pub(super) built_in: bool,
    /// The version of its enforced schema, if it has one.
    pub(super) enforced_at: Option<i64>,
}

#[derive(Debug)]
struct LimitedBrand {
    quotas: BrandQuota,
    enablement: Enablement,
    /// The version at which its enablement or one of its webhooks last changed.
    changed_at: i64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            version: NO_VERSION,
            types: HashMap::new(),
            brands: HashMap::new(),
            types_changed_at: NO_VERSION,
            full_backlogs: HashSet::new(),
            loaded_at: None,
        }
    }
}

impl Rules {
    /// Returns the version of the configuration that the rules show.
    pub(super) fn version(&self) -> i64 {
        self.version
    }

    /// Returns when the last complete load began.
    pub(super) fn loaded_at(&self) -> Option<Instant> {
        self.loaded_at
    }

    /// Finds a type of the catalogue.
    pub(super) fn find_type(&self, name: &str) -> Option<TypeRule> {
        self.types.get(name).copied()
    }

    /// Returns the quotas of a brand.
    pub(super) fn quotas_of(&self, brand: &BrandId) -> BrandQuota {
        self.brands.get(brand).map(|brand| brand.quotas).unwrap_or_default()
    }

    /// Returns whether as many bytes wait for the brand as its quota allows.
    pub(super) fn has_full_backlog(&self, brand: &BrandId) -> bool {
        self.full_backlogs.contains(brand)
    }

    /// Returns the version since which the number of webhooks for each type of a brand is the same. `None` for a brand
    /// without quotas, whose deliveries nobody counts.
    pub(super) fn fan_out_version(&self, brand: &BrandId) -> Option<i64> {
        self.brands.get(brand).map(|brand| brand.changed_at.max(self.types_changed_at))
    }

    /// Lists the types that are enabled for a brand with quotas.
    pub(super) fn list_enabled_types(&self, brand: &BrandId) -> Vec<String> {
        let Some(brand) = self.brands.get(brand) else { return Vec::new() };
        self.types.keys().filter(|name| brand.enablement.is_enabled(name)).cloned().collect()
    }

    /// Applies the changes since the rules' version.
    pub(super) fn apply_changes(&mut self, changes: PublishingChanges) {
        for change in changes.event_types {
            self.replace_type(change, changes.version);
        }
        for change in changes.brands {
            self.replace_brand(change, changes.version);
        }
        for brand in changes.changed_subscribers {
            if let Some(brand) = self.brands.get_mut(&brand) {
                brand.changed_at = changes.version;
            }
        }
        self.version = changes.version;
    }

    /// Sets the brands with a full backlog, and when the load began that is complete now.
    pub(super) fn set_loaded(&mut self, at: Instant, full_backlogs: Vec<BrandId>) {
        self.full_backlogs = full_backlogs.into_iter().collect();
        self.loaded_at = Some(at);
    }

    fn replace_type(&mut self, change: PublishedType, version: i64) {
        let is_known = self.types.contains_key(&change.name);
        if is_known == change.removed {
            self.types_changed_at = version;
        }
        if change.removed {
            self.types.remove(&change.name);
        } else {
            let enforced_at = change.enforced.then_some(change.version);
            self.types.insert(change.name, TypeRule { built_in: change.built_in, enforced_at });
        }
    }

    fn replace_brand(&mut self, change: BrandChange, version: i64) {
        if change.quotas == BrandQuota::default() {
            self.brands.remove(&change.id);
        } else {
            let BrandChange { id, enablement, quotas } = change;
            self.brands.insert(id, LimitedBrand { quotas, enablement, changed_at: version });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::quota::Quota;

    fn acme() -> BrandId {
        "acme".parse().expect("a brand")
    }

    fn published(name: &str, version: i64) -> PublishedType {
        PublishedType { name: name.to_owned(), removed: false, built_in: false, enforced: false, version }
    }

    fn limited(events: Option<u64>) -> BrandChange {
        let mut quotas = BrandQuota::default();
        quotas.set(Quota::EventsPerSecond, events).expect("in range");
        let enablement = Enablement::from_switches([("A".to_owned(), true)]);
        BrandChange { id: acme(), enablement, quotas }
    }

    fn changes(version: i64) -> PublishingChanges {
        PublishingChanges { version, event_types: vec![], brands: vec![], changed_subscribers: vec![] }
    }

    #[test]
    fn types_are_added_changed_and_removed() {
        let mut rules = Rules::default();
        rules.apply_changes(PublishingChanges {
            event_types: vec![published("A.B", 2), PublishedType { built_in: true, ..published("X", 3) }],
            ..changes(3)
        });
        assert_eq!(rules.find_type("A.B"), Some(TypeRule { built_in: false, enforced_at: None }));
        assert_eq!(rules.find_type("X").map(|rule| rule.built_in), Some(true));
        assert_eq!((rules.version(), rules.find_type("A")), (3, None));
        let enforced = PublishedType { enforced: true, ..published("A.B", 5) };
        rules.apply_changes(PublishingChanges { event_types: vec![enforced], ..changes(6) });
        assert_eq!(rules.find_type("A.B"), Some(TypeRule { built_in: false, enforced_at: Some(5) }));
        let removed = PublishedType { removed: true, ..published("A.B", 7) };
        rules.apply_changes(PublishingChanges { event_types: vec![removed], ..changes(7) });
        assert_eq!(rules.find_type("A.B"), None);
    }

    #[test]
    fn a_brand_without_quotas_takes_no_memory() {
        let mut rules = Rules::default();
        rules.apply_changes(PublishingChanges { brands: vec![limited(Some(5))], ..changes(2) });
        assert_eq!(rules.quotas_of(&acme()).get(Quota::EventsPerSecond), Some(5));
        rules.apply_changes(PublishingChanges { brands: vec![limited(None)], ..changes(3) });
        assert_eq!(rules.quotas_of(&acme()), BrandQuota::default());
        assert!(rules.brands.is_empty());
    }

    #[test]
    fn a_count_of_webhooks_is_old_after_each_change_that_matters() {
        let mut rules = Rules::default();
        assert_eq!(rules.fan_out_version(&acme()), None);
        let types = vec![published("A.B", 2), published("B", 2)];
        rules.apply_changes(PublishingChanges {
            event_types: types,
            brands: vec![limited(Some(5))],
            ..changes(2)
        });
        assert_eq!(rules.fan_out_version(&acme()), Some(2));
        assert_eq!(rules.list_enabled_types(&acme()), ["A.B"]);
        let enforced = PublishedType { enforced: true, ..published("A.B", 3) };
        rules.apply_changes(PublishingChanges { event_types: vec![enforced], ..changes(3) });
        assert_eq!(rules.fan_out_version(&acme()), Some(2), "a schema changes no webhook");
        let other = vec!["other".parse().expect("a brand")];
        rules.apply_changes(PublishingChanges { changed_subscribers: other, ..changes(4) });
        assert_eq!(rules.fan_out_version(&acme()), Some(2), "another brand's webhooks do not matter");
        rules.apply_changes(PublishingChanges { changed_subscribers: vec![acme()], ..changes(5) });
        assert_eq!(rules.fan_out_version(&acme()), Some(5));
        rules.apply_changes(PublishingChanges { event_types: vec![published("A.C", 6)], ..changes(6) });
        assert_eq!(rules.fan_out_version(&acme()), Some(6));
    }

    #[test]
    fn full_backlogs_are_replaced() {
        let mut rules = Rules::default();
        rules.set_loaded(Instant::now(), vec![acme()]);
        assert!(rules.has_full_backlog(&acme()));
        rules.set_loaded(Instant::now(), vec![]);
        assert!(!rules.has_full_backlog(&acme()));
    }
}
