//! The event types that a brand may subscribe to: those of the catalogue that support enabled for it.

use domain::event::catalogue::Enablement;
use domain::event::event_type::{EventType, TypePattern};
use domain::ids::BrandId;
use store::api::{brands, event_types};
use store::{Executor, StoreError};

use crate::validation::errors::ValidationErrors;

/// The event types that a brand may subscribe to.
#[derive(Debug)]
pub(crate) struct SubscribableTypes {
    catalogue: Vec<String>,
    enablement: Enablement,
}

impl SubscribableTypes {
    /// Loads the types that the brand may subscribe to at present.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn load(db: &impl Executor, brand: &BrandId) -> Result<Self, StoreError> {
        let catalogue = event_types::list_names(db).await?;
        let enablement =
            brands::find_brand(db, brand).await?.map(|brand| brand.enablement).unwrap_or_default();
        Ok(Self { catalogue, enablement })
    }

    /// Adds an error for each pattern that the brand may not subscribe to. `*` is always accepted, and so is a
    /// group with at least one enabled type.
    pub(crate) fn check_patterns(
        &self,
        patterns: &[TypePattern],
        pointer: &str,
        errors: &mut ValidationErrors,
    ) {
        for detail in patterns.iter().filter_map(|pattern| self.explain_refusal(pattern)) {
            errors.add(pointer, detail);
        }
    }

    /// Adds an error if the brand may not receive this type.
    pub(crate) fn check_type(&self, event_type: &EventType, pointer: &str, errors: &mut ValidationErrors) {
        let name = event_type.as_str();
        if !self.catalogue.iter().any(|own| own == name) {
            errors.add(pointer, format!("{name} is not an event type of the catalogue"));
        } else if !self.enablement.is_enabled(name) {
            errors.add(pointer, format!("{name} is not enabled for this brand; ask support to enable it"));
        }
    }

    /// The first type, by name, that these patterns cover and the brand may receive.
    #[must_use]
    pub(crate) fn first_match(&self, patterns: &[TypePattern]) -> Option<&str> {
        let covered = |name: &&String| patterns.iter().any(|pattern| pattern.covers(name));
        let enabled = |name: &&String| self.enablement.is_enabled(name);
        self.catalogue.iter().filter(covered).filter(enabled).map(String::as_str).min()
    }

    fn explain_refusal(&self, pattern: &TypePattern) -> Option<String> {
        if *pattern == TypePattern::All {
            return None;
        }
        let mut covered = self.catalogue.iter().filter(|name| pattern.covers(name)).peekable();
        if covered.peek().is_none() {
            return Some(format!("{pattern} is not an event type or group of the catalogue"));
        }
        let enabled = covered.any(|name| self.enablement.is_enabled(name));
        (!enabled).then(|| format!("{pattern} is not enabled for this brand; ask support to enable it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(pattern: &str) -> Option<String> {
        let catalogue = ["A.X", "A.Y", "B.X", "WEBHOOK.DISABLED"].map(str::to_owned).to_vec();
        let enablement = Enablement::from_switches([("A.X".to_owned(), true)]);
        SubscribableTypes { catalogue, enablement }.explain_refusal(&pattern.parse().expect("pattern"))
    }

    #[test]
    fn a_refusal_says_whether_the_type_is_unknown_or_not_enabled() {
        for accepted in ["A.X", "A", "*", "WEBHOOK.DISABLED", "WEBHOOK"] {
            assert_eq!(refusal(accepted), None, "{accepted}");
        }
        for unknown in ["C", "A.Z", "A.X.Y", "WEB"] {
            assert!(refusal(unknown).is_some_and(|why| why.contains("catalogue")), "{unknown}");
        }
        for disabled in ["A.Y", "B", "B.X"] {
            assert!(refusal(disabled).is_some_and(|why| why.contains("not enabled")), "{disabled}");
        }
    }
}
