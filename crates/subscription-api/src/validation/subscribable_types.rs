//! What a brand may subscribe to: the catalogue, and what of it support enabled for the brand.

use domain::catalogue::Enablement;
use domain::event_type::{EventType, TypePattern};
use domain::ids::BrandId;
use store::{Db, StoreError, brands, event_types};

use crate::validation::errors::ValidationErrors;

/// What a brand may subscribe to.
#[derive(Debug)]
pub struct SubscribableTypes {
    catalogue: Vec<String>,
    enablement: Enablement,
}

impl SubscribableTypes {
    /// The offer to a brand as it stands.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn load(db: &impl Db, brand: &BrandId) -> Result<Self, StoreError> {
        let catalogue = event_types::names(db).await?;
        let enablement = brands::find(db, brand).await?.map(|brand| brand.enablement).unwrap_or_default();
        Ok(Self { catalogue, enablement })
    }

    /// Notes which of the patterns are not on offer. `*` always is, and so is a group of which one
    /// type is enabled.
    pub fn check_patterns(&self, patterns: &[TypePattern], pointer: &str, errors: &mut ValidationErrors) {
        for detail in patterns.iter().filter_map(|pattern| self.explain_refusal(pattern)) {
            errors.add(pointer, detail);
        }
    }

    /// Notes that this is no type which the brand may receive.
    pub fn check_type(&self, event_type: &EventType, pointer: &str, errors: &mut ValidationErrors) {
        let name = event_type.as_str();
        if !self.catalogue.iter().any(|own| own == name) {
            errors.add(pointer, format!("{name} is no event type of the catalogue"));
        } else if !self.enablement.enables(name) {
            errors.add(pointer, format!("{name} is not enabled for this brand; ask support to enable it"));
        }
    }

    /// The first type, by name, that these patterns cover and the brand may receive.
    #[must_use]
    pub fn first_match(&self, patterns: &[TypePattern]) -> Option<&str> {
        let covered = |name: &&String| patterns.iter().any(|pattern| pattern.covers(name));
        let enabled = |name: &&String| self.enablement.enables(name);
        self.catalogue.iter().filter(covered).filter(enabled).map(String::as_str).min()
    }

    fn explain_refusal(&self, pattern: &TypePattern) -> Option<String> {
        if *pattern == TypePattern::All {
            return None;
        }
        let mut covered = self.catalogue.iter().filter(|name| pattern.covers(name)).peekable();
        if covered.peek().is_none() {
            return Some(format!("{pattern} is no event type or group of the catalogue"));
        }
        let enabled = covered.any(|name| self.enablement.enables(name));
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
    fn a_type_is_known_and_enabled_or_refused_with_the_reason() {
        for taken in ["A.X", "A", "*", "WEBHOOK.DISABLED", "WEBHOOK"] {
            assert_eq!(refusal(taken), None, "{taken}");
        }
        for unknown in ["C", "A.Z", "A.X.Y", "WEB"] {
            assert!(refusal(unknown).is_some_and(|why| why.contains("catalogue")), "{unknown}");
        }
        for disabled in ["A.Y", "B", "B.X"] {
            assert!(refusal(disabled).is_some_and(|why| why.contains("not enabled")), "{disabled}");
        }
    }
}
