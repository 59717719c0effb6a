//! Reading the quotas of a brand from a request.

use domain::quota::{BrandQuota, Quota};
use serde_json::value::RawValue;

use crate::validation::errors::ValidationErrors;
use crate::validation::fields::Fields;
use crate::validation::patch::Patch;
use crate::validation::validators;

/// Accepts a merge patch of the quotas `own`. A quota that is `null` gets its default.
pub(super) fn parse_patch(
    own: BrandQuota,
) -> impl Fn(&RawValue, &str, &mut ValidationErrors) -> Option<BrandQuota> {
    move |raw, pointer, errors| {
        let mut quotas = own;
        let mut fields = Fields::parse(raw, pointer, errors)?;
        for quota in Quota::ALL {
            let value = match fields.clearable(quota.field(), validators::large_integer(quota.range())) {
                Patch::Keep => continue,
                Patch::Clear => None,
                Patch::Set(value) => Some(value),
            };
            if let Err(error) = quotas.set(quota, value) {
                fields.add_error(quota.field(), &error.to_string());
            }
        }
        fields.finish();
        Some(quotas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(own: BrandQuota, json: &str) -> (Option<BrandQuota>, usize) {
        let raw: Box<RawValue> = serde_json::from_str(json).expect("JSON");
        let mut errors = ValidationErrors::default();
        (parse_patch(own)(&raw, "/quotas", &mut errors), errors.len())
    }

    #[test]
    fn absent_null_and_value_differ() {
        let mut own = BrandQuota::default();
        own.set(Quota::EventsPerSecond, Some(5)).expect("in range");
        own.set(Quota::WaitingBytes, Some(1 << 20)).expect("in range");
        let (after, errors) = patched(own, r#"{"eventsPerSecond":null,"deliveriesPerSecond":7.0}"#);
        let after = after.expect("quotas");
        let values = Quota::ALL.map(|quota| after.get(quota));
        assert_eq!((values, errors), ([None, None, Some(7), Some(1 << 20)], 0));
    }

    #[test]
    fn every_error_is_named() {
        let (_, errors) = patched(
            BrandQuota::default(),
            r#"{"eventsPerSecond":0,"bytesPerSecond":"1","waitingBytes":1.5,"x":1}"#,
        );
        assert_eq!(errors, 4);
    }
}
