//! The event types that a brand may receive, which support enables and disables with switches.

use std::collections::BTreeMap;

use super::event_type::{TypePattern, group_covers, patterns_covering};

/// The built-in type that informs a brand's other webhooks that a webhook was disabled (contract §5).
///
/// It is always enabled for every brand.
pub const WEBHOOK_DISABLED: &str = "WEBHOOK.DISABLED";

/// Returns whether only the platform publishes events of this type.
#[must_use]
pub fn is_built_in(type_name: &str) -> bool {
    type_name == WEBHOOK_DISABLED
}

/// A brand's switches: on or off for each type or group that support has set.
///
/// The most specific switch decides. A type without a switch is off, because nothing is enabled by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Enablement {
    switches: BTreeMap<String, bool>,
}

impl Enablement {
    /// Creates the switches from their stored form.
    pub fn from_switches(switches: impl IntoIterator<Item = (String, bool)>) -> Self {
        Self { switches: switches.into_iter().collect() }
    }

    /// Returns all switches in their stored form.
    pub fn switches(&self) -> impl Iterator<Item = (&str, bool)> {
        self.switches.iter().map(|(pattern, on)| (pattern.as_str(), *on))
    }

    /// Returns whether the brand receives events of this type.
    #[must_use]
    pub fn is_enabled(&self, type_name: &str) -> bool {
        type_name == WEBHOOK_DISABLED
            || patterns_covering(type_name)
                .find_map(|pattern| self.switches.get(pattern))
                .copied()
                .unwrap_or(false)
    }

    /// Switches every type that the pattern covers `on` or off.
    pub fn set_switch(&mut self, pattern: &TypePattern, on: bool) {
        let covered = |key: &str| match pattern {
            TypePattern::All => true,
            TypePattern::Prefix(prefix) => group_covers(prefix, key),
        };
        self.switches.retain(|key, _| !covered(key));
        let inherited = patterns_covering(pattern.as_str())
            .skip(1)
            .find_map(|above| self.switches.get(above))
            .copied()
            .unwrap_or(false);
        if inherited != on {
            self.switches.insert(pattern.as_str().to_owned(), on);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> TypePattern {
        text.parse().expect("pattern")
    }

    #[test]
    fn only_the_built_in_type_is_enabled_by_default() {
        let none = Enablement::default();
        assert!(!none.is_enabled("NOTIFICATION.SMS.RECEIPT"));
        assert!(none.is_enabled(WEBHOOK_DISABLED));
    }

    #[test]
    fn the_most_specific_switch_decides() {
        let mut brand = Enablement::default();
        brand.set_switch(&pattern("NOTIFICATION"), true);
        brand.set_switch(&pattern("NOTIFICATION.SMS"), false);
        brand.set_switch(&pattern("NOTIFICATION.SMS.RECEIPT"), true);
        assert!(brand.is_enabled("NOTIFICATION.EMAIL"));
        assert!(!brand.is_enabled("NOTIFICATION.SMS.REPLY"));
        assert!(brand.is_enabled("NOTIFICATION.SMS.RECEIPT"));
        brand.set_switch(&pattern("NOTIFICATION"), false);
        assert!(!brand.is_enabled("NOTIFICATION.SMS.RECEIPT"));
        assert_eq!(brand.switches().count(), 0);
    }

    proptest! {
        #[test]
        fn a_switch_changes_exactly_the_types_that_it_covers(
            steps in prop::collection::vec(("(\\*|[AB](\\.[AB]){0,2})", any::<bool>()), 1..12),
            probe in "[AB](\\.[AB]){0,3}",
        ) {
            let mut brand = Enablement::default();
            for (text, on) in steps {
                let before = brand.is_enabled(&probe);
                let switched = pattern(&text);
                brand.set_switch(&switched, on);
                let expected = if switched.covers(&probe) { on } else { before };
                prop_assert_eq!(brand.is_enabled(&probe), expected);
            }
        }
    }
}
