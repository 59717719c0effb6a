//! What a brand may receive: support's switches over the catalogue of event types.

use std::collections::BTreeMap;

use super::event_type::{TypePattern, covering, covers};

/// The built-in type that tells a brand's other webhooks of one that was disabled (contract §5).
/// It is enabled for every brand, always.
pub const WEBHOOK_DISABLED: &str = "WEBHOOK.DISABLED";

/// A brand's switches: for each type or group that support touched, on or off. The most specific
/// switch decides; without one a type is off, for nothing is enabled by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Enablement {
    switches: BTreeMap<String, bool>,
}

impl Enablement {
    /// The stored switches.
    pub fn from_switches(switches: impl IntoIterator<Item = (String, bool)>) -> Self {
        Self { switches: switches.into_iter().collect() }
    }

    /// All switches as they are stored.
    pub fn switches(&self) -> impl Iterator<Item = (&str, bool)> {
        self.switches.iter().map(|(pattern, on)| (pattern.as_str(), *on))
    }

    /// Whether events of this type reach the brand.
    #[must_use]
    pub fn enables(&self, type_name: &str) -> bool {
        type_name == WEBHOOK_DISABLED
            || covering(type_name).find_map(|pattern| self.switches.get(pattern)).copied().unwrap_or(false)
    }

    /// Switches a type, a group or everything: afterwards all that the pattern covers is `on`.
    pub fn switch(&mut self, pattern: &TypePattern, on: bool) {
        let covered = |key: &str| match pattern {
            TypePattern::All => true,
            TypePattern::Prefix(prefix) => covers(prefix, key),
        };
        self.switches.retain(|key, _| !covered(key));
        let inherited = covering(pattern.as_str())
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
    fn nothing_is_enabled_by_default_but_the_built_in_notice() {
        let none = Enablement::default();
        assert!(!none.enables("NOTIFICATION.SMS.RECEIPT"));
        assert!(none.enables(WEBHOOK_DISABLED));
    }

    #[test]
    fn the_most_specific_switch_decides() {
        let mut brand = Enablement::default();
        brand.switch(&pattern("NOTIFICATION"), true);
        brand.switch(&pattern("NOTIFICATION.SMS"), false);
        brand.switch(&pattern("NOTIFICATION.SMS.RECEIPT"), true);
        assert!(brand.enables("NOTIFICATION.EMAIL"));
        assert!(!brand.enables("NOTIFICATION.SMS.REPLY"));
        assert!(brand.enables("NOTIFICATION.SMS.RECEIPT"));
        brand.switch(&pattern("NOTIFICATION"), false);
        assert!(!brand.enables("NOTIFICATION.SMS.RECEIPT"));
        assert_eq!(brand.switches().count(), 0);
    }

    proptest! {
        #[test]
        fn after_a_switch_all_it_covers_agrees_and_nothing_else_changed(
            steps in prop::collection::vec(("(\\*|[AB](\\.[AB]){0,2})", any::<bool>()), 1..12),
            probe in "[AB](\\.[AB]){0,3}",
        ) {
            let mut brand = Enablement::default();
            for (text, on) in steps {
                let before = brand.enables(&probe);
                let switched = pattern(&text);
                brand.switch(&switched, on);
                let expected = if switched.covers(&probe) { on } else { before };
                prop_assert_eq!(brand.enables(&probe), expected);
            }
        }
    }
}
