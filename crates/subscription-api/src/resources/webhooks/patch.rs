//! A change of a webhook: read field by field, checked, then applied.

use domain::event::event_type::TypePattern;
use domain::ids::{BrandId, WebhookId};
use domain::limits::{DEFAULT_MAX_CONCURRENCY, MAX_CONCURRENCY, MAX_RATE_PER_SECOND, MAX_TEXT_CHARS};
use domain::time::Timestamp;
use domain::webhook::address::AllowedNetworks;
use domain::webhook::endpoint::Endpoint;
use domain::webhook::{CustomHeaders, WebhookStatus};
use serde_json::value::RawValue;
use store::api::webhooks::Webhook;
use uuid::Uuid;

use crate::http::problem::{Problem, Result};
use crate::http::problem_kind::ProblemKind;
use crate::validation::endpoint_resolver::EndpointResolver;
use crate::validation::errors::ValidationErrors;
use crate::validation::fields::Fields;
use crate::validation::header_patch::HeaderPatch;
use crate::validation::patch::Patch;
use crate::validation::validators;

/// JSON pointer for errors of the endpoint.
const ENDPOINT_POINTER: &str = "/endpoint";
/// JSON pointer for errors of the headers.
const HEADERS_POINTER: &str = "/headers";
/// JSON pointer for errors of the events.
pub(crate) const EVENTS_POINTER: &str = "/events";

/// The fields of a request that creates or changes a webhook.
// No Debug: the values of headers may be secrets.
pub struct WebhookPatch {
    endpoint: Option<Endpoint>,
    events: Option<Vec<TypePattern>>,
    enabled: Option<bool>,
    description: Patch<String>,
    headers: Patch<HeaderPatch>,
    max_concurrency: Patch<i32>,
    rate_per_second: Patch<i32>,
    asymmetric: Patch<bool>,
}

impl WebhookPatch {
    /// Parses the body of a new webhook, in which the endpoint and the events are required.
    pub fn parse_new(
        raw: &RawValue,
        allowed: &AllowedNetworks,
        errors: &mut ValidationErrors,
    ) -> Option<Self> {
        let mut fields = Fields::parse(raw, "", errors)?;
        let endpoint = fields.required("endpoint", parse_endpoint(allowed));
        let events = fields.required("events", validators::type_patterns);
        let headers = fields.clearable("headers", validators::custom_headers);
        Some(Self::parse_rest(fields, endpoint, events, headers))
    }

    /// Parses a merge patch, in which every field is optional.
    pub fn parse_patch(
        raw: &RawValue,
        allowed: &AllowedNetworks,
        errors: &mut ValidationErrors,
    ) -> Option<Self> {
        let mut fields = Fields::parse(raw, "", errors)?;
        let endpoint = fields.optional("endpoint", parse_endpoint(allowed));
        let events = fields.optional("events", validators::type_patterns);
        let headers = fields.clearable("headers", validators::header_patch);
        Some(Self::parse_rest(fields, endpoint, events, headers))
    }

    fn parse_rest(
        mut fields: Fields<'_, '_>,
        endpoint: Option<Endpoint>,
        events: Option<Vec<TypePattern>>,
        headers: Patch<HeaderPatch>,
    ) -> Self {
        let patch = Self {
            endpoint,
            events,
            enabled: fields.optional("enabled", validators::boolean),
            description: fields.clearable("description", validators::free_text(MAX_TEXT_CHARS)),
            headers,
            max_concurrency: fields.clearable("maxConcurrency", validators::integer(1..=MAX_CONCURRENCY)),
            rate_per_second: fields.clearable("ratePerSecond", validators::integer(1..=MAX_RATE_PER_SECOND)),
            asymmetric: fields.clearable("signatures", validators::signature_schemes),
        };
        fields.finish();
        patch
    }

    /// Whether the patch resumes `webhook`, so that its stored endpoint and events must be checked again.
    #[must_use]
    pub(crate) fn resumes(&self, webhook: &Webhook) -> bool {
        self.enabled == Some(true) && webhook.status == WebhookStatus::Paused
    }

    /// Checks the addresses of the new endpoint, if there is one.
    pub(crate) async fn check_endpoint(
        &self,
        brand: &BrandId,
        resolver: &EndpointResolver,
        errors: &mut ValidationErrors,
    ) {
        if let Some(endpoint) = &self.endpoint {
            check_address(brand, endpoint, resolver, errors).await;
        }
    }

    /// Whether the patch has a new endpoint.
    #[must_use]
    pub(crate) fn has_endpoint(&self) -> bool {
        self.endpoint.is_some()
    }

    /// Whether the patch requests `v1a` signatures.
    #[must_use]
    pub(crate) fn requests_v1a(&self) -> bool {
        self.asymmetric == Patch::Set(true)
    }

    /// The new events, if there are any.
    #[must_use]
    pub(crate) fn events(&self) -> Option<&[TypePattern]> {
        self.events.as_deref()
    }

    /// Whether the new headers depend on the present ones.
    #[must_use]
    pub(crate) fn merges_headers(&self) -> bool {
        matches!(self.headers, Patch::Set(_))
    }

    /// Applies the patch to a webhook with these custom headers, and returns the new headers if they change.
    ///
    /// # Errors
    /// 409 when it would enable a webhook that support or the platform disabled; 422 when the webhook would have too
    /// many headers.
    pub(crate) fn apply(
        self,
        webhook: &mut Webhook,
        headers: &CustomHeaders,
    ) -> Result<Option<CustomHeaders>> {
        if let Some(endpoint) = self.endpoint {
            endpoint.as_str().clone_into(&mut webhook.endpoint);
        }
        if let Some(events) = self.events {
            webhook.events = events;
        }
        self.description.apply_to_option(&mut webhook.description);
        let mut errors = ValidationErrors::default();
        let new_headers = match self.headers {
            Patch::Keep => None,
            Patch::Clear => (!webhook.header_names.is_empty()).then(CustomHeaders::default),
            Patch::Set(patch) => {
                let mut patched = headers.clone();
                patch.apply(&mut patched, HEADERS_POINTER, &mut errors);
                (patched != *headers).then_some(patched)
            }
        };
        if let Some(headers) = &new_headers {
            webhook.header_names = headers.names();
        }
        self.max_concurrency.apply(&mut webhook.max_concurrency, DEFAULT_MAX_CONCURRENCY);
        self.rate_per_second.apply_to_option(&mut webhook.rate_per_second);
        self.asymmetric.apply(&mut webhook.asymmetric, false);
        errors.into_result(Some(()))?;
        apply_enabled(webhook, self.enabled)?;
        Ok(new_headers)
    }

    /// Creates a webhook from the patch, and its custom headers.
    ///
    /// # Errors
    /// 422 when the webhook would have too many headers.
    pub(crate) fn into_webhook(self, brand: &BrandId) -> Result<(Webhook, CustomHeaders)> {
        let mut webhook = default_webhook(brand);
        let headers = self.apply(&mut webhook, &CustomHeaders::default())?;
        Ok((webhook, headers.unwrap_or_default()))
    }
}

fn apply_enabled(webhook: &mut Webhook, enabled: Option<bool>) -> Result<()> {
    match (enabled, webhook.status) {
        (Some(true), WebhookStatus::Disabled) => Err(Problem::new(
            ProblemKind::WebhookDisabled,
            "this webhook was disabled by support or the platform; ask support to enable it",
        )),
        (Some(true), WebhookStatus::Paused) => {
            webhook.status = WebhookStatus::Active;
            Ok(())
        }
        (Some(false), WebhookStatus::Active) => {
            webhook.status = WebhookStatus::Paused;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Checks a stored endpoint as if it were new, because names and rules change.
pub(crate) async fn check_stored_endpoint(
    webhook: &Webhook,
    resolver: &EndpointResolver,
    errors: &mut ValidationErrors,
) {
    match Endpoint::parse(&webhook.endpoint, resolver.allowed_networks()) {
        Ok(endpoint) => check_address(&webhook.brand_id, &endpoint, resolver, errors).await,
        Err(error) => errors.add(ENDPOINT_POINTER, error),
    }
}

async fn check_address(
    brand: &BrandId,
    endpoint: &Endpoint,
    resolver: &EndpointResolver,
    errors: &mut ValidationErrors,
) {
    if let Err(not_public) = resolver.check(brand, endpoint).await {
        errors.add(ENDPOINT_POINTER, not_public);
    }
}

fn parse_endpoint(
    allowed: &AllowedNetworks,
) -> impl Fn(&RawValue, &str, &mut ValidationErrors) -> Option<Endpoint> {
    move |raw, pointer, errors| {
        let text = validators::any_text(raw, pointer, errors)?;
        Endpoint::parse(&text, allowed).map_err(|error| errors.add(pointer, error)).ok()
    }
}

/// A webhook before the patch is applied. The database sets its times.
fn default_webhook(brand: &BrandId) -> Webhook {
    Webhook {
        id: WebhookId(Uuid::new_v4()),
        brand_id: brand.clone(),
        endpoint: String::new(),
        events: Vec::new(),
        status: WebhookStatus::Active,
        disabled: None,
        description: None,
        header_names: Vec::new(),
        max_concurrency: DEFAULT_MAX_CONCURRENCY,
        rate_per_second: None,
        asymmetric: false,
        created: Timestamp::UNIX_EPOCH,
        updated: Timestamp::UNIX_EPOCH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::webhook::DisabledReason;
    use store::api::webhooks::Disabled;

    fn parse(json: &str) -> WebhookPatch {
        let raw: Box<RawValue> = serde_json::from_str(json).expect("JSON");
        let mut errors = ValidationErrors::default();
        let patch = WebhookPatch::parse_patch(&raw, &AllowedNetworks::default(), &mut errors);
        errors.into_result(patch).expect("valid")
    }

    fn webhook(status: WebhookStatus) -> Webhook {
        let at = Timestamp::UNIX_EPOCH;
        let disabled = Disabled { reason: DisabledReason::Gone, detail: None, at };
        let disabled = (status == WebhookStatus::Disabled).then_some(disabled);
        Webhook { status, disabled, ..default_webhook(&"acme".parse().expect("brand")) }
    }

    #[test]
    fn enabled_changes_the_status_as_specified() {
        use WebhookStatus::{Active, Disabled, Paused};
        for (from, json, to) in [
            (Active, r#"{"enabled":true}"#, Some(Active)),
            (Active, r#"{"enabled":false}"#, Some(Paused)),
            (Active, "{}", Some(Active)),
            (Paused, r#"{"enabled":true}"#, Some(Active)),
            (Paused, r#"{"enabled":false}"#, Some(Paused)),
            (Paused, "{}", Some(Paused)),
            (Disabled, r#"{"enabled":true}"#, None),
            (Disabled, r#"{"enabled":false}"#, Some(Disabled)),
            (Disabled, "{}", Some(Disabled)),
        ] {
            let mut changed = webhook(from);
            let result = parse(json).apply(&mut changed, &CustomHeaders::default());
            assert_eq!(result.is_ok(), to.is_some(), "{from} {json}");
            assert_eq!(changed.status, to.unwrap_or(from), "{from} {json}");
            assert_eq!(changed.disabled.is_some(), changed.status == Disabled, "{from} {json}");
        }
    }

    #[test]
    fn null_clears_optional_fields() {
        let mut changed = webhook(WebhookStatus::Active);
        let full = r#"{"description":"d","headers":{"X-A":"1"},"maxConcurrency":3,"ratePerSecond":7}"#;
        let headers = parse(full).apply(&mut changed, &CustomHeaders::default()).expect("applies");
        let headers = headers.expect("a new header");
        assert_eq!((changed.max_concurrency, changed.rate_per_second), (3, Some(7)));
        assert_eq!((&changed.header_names[..], headers.0["X-A"].as_str()), (&["X-A".to_owned()][..], "1"));
        assert_eq!(parse("{}").apply(&mut changed, &headers).expect("applies"), None);
        assert_eq!(changed.description.as_deref(), Some("d"));
        let clear = r#"{"description":null,"headers":null,"maxConcurrency":null,"ratePerSecond":null}"#;
        let cleared = parse(clear).apply(&mut changed, &CustomHeaders::default()).expect("applies");
        assert_eq!(cleared, Some(CustomHeaders::default()), "without the present values");
        assert_eq!((changed.max_concurrency, changed.rate_per_second), (10, None));
        assert!(changed.header_names.is_empty());
        assert_eq!(changed.description, None);
    }
}
