//! The shapes of the answers, as the contract has them (§4), and what the audit keeps of them.

use std::collections::BTreeMap;

use domain::signature::{Keys, Scheme};
use domain::signing_key::SigningKey;
// By this name utoipa knows it.
use domain::time::Timestamp as DateTime;
use domain::time::rfc3339;
use domain::webhook::WebhookStatus;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use store::brands::Brand;
use store::event_types::CatalogueType;
use store::tokens::Token;
use store::webhooks::Webhook;
use utoipa::ToSchema;
use uuid::Uuid;

/// What stands in the audit for the values of custom headers, which may be secrets.
const HIDDEN_VALUE: &str = "(hidden)";

/// A brand's subscription.
// No Debug: the values of headers may be secrets.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Webhook)]
pub struct WebhookView {
    id: Uuid,
    brand_id: String,
    /// Where requests go, as it was given
    endpoint: String,
    /// Event types and groups, or `*`
    events: Vec<String>,
    /// Whether it receives events
    enabled: bool,
    /// `paused` by the brand, or `disabled` by the platform or support
    #[schema(value_type = WebhookStatusWord)]
    status: &'static str,
    /// Only when it is disabled
    #[schema(required)]
    disabled: Option<DisabledView>,
    #[schema(required)]
    description: Option<String>,
    /// Custom headers of every request
    headers: BTreeMap<String, String>,
    /// Requests in flight at most
    #[schema(minimum = 1, maximum = 100)]
    max_concurrency: i32,
    /// Requests a second at most; null for no limit
    #[schema(required, minimum = 1, maximum = 10000)]
    rate_per_second: Option<i32>,
    /// How requests are signed; left out where it is `v1` alone
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = Vec<SchemeWord>)]
    signatures: Option<Vec<&'static str>>,
    #[serde(with = "rfc3339")]
    created: DateTime,
    #[serde(with = "rfc3339")]
    updated: DateTime,
}

/// Why a webhook is disabled.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Disabled)]
pub struct DisabledView {
    #[schema(value_type = DisabledReasonWord)]
    reason: &'static str,
    /// The rule with its figures, or what support wrote
    #[schema(required)]
    detail: Option<String>,
    #[serde(with = "rfc3339")]
    at: DateTime,
}

/// A webhook that was just made, with its secret.
// No Debug: it holds the secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedWebhook {
    #[serde(flatten)]
    webhook: WebhookView,
    /// Signs the requests; shown only here and at `/secret`
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: String,
    /// `whpk_` and base64: verifies the signatures `v1a`; only where the webhook asks for them
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    public_key: Option<String>,
}

impl CreatedWebhook {
    /// The webhook with what verifies its requests.
    #[must_use]
    pub fn new(webhook: Webhook, keys: &Keys) -> Self {
        Self { webhook: webhook.into(), secret: keys.secret.reveal(), public_key: public_key(keys) }
    }
}

/// What verifies the signatures `v1a`, where there are any.
#[must_use]
pub fn public_key(keys: &Keys) -> Option<String> {
    keys.signing_key.as_ref().map(SigningKey::public_key)
}

impl From<Webhook> for WebhookView {
    fn from(webhook: Webhook) -> Self {
        Self {
            id: webhook.id.0,
            brand_id: webhook.brand_id.to_string(),
            endpoint: webhook.endpoint,
            events: webhook.events.iter().map(ToString::to_string).collect(),
            enabled: webhook.status == WebhookStatus::Active,
            status: webhook.status.as_str(),
            disabled: webhook.disabled.map(|disabled| DisabledView {
                reason: disabled.reason.as_str(),
                detail: disabled.detail,
                at: disabled.at,
            }),
            description: webhook.description,
            headers: webhook.headers,
            max_concurrency: webhook.max_concurrency,
            rate_per_second: webhook.rate_per_second,
            signatures: webhook
                .asymmetric
                .then(|| Scheme::ALL.iter().map(|scheme| scheme.as_str()).collect()),
            created: webhook.created,
            updated: webhook.updated,
        }
    }
}

/// What the audit keeps of a webhook: the view, without the values of its headers.
#[must_use]
pub fn audit_webhook(webhook: &Webhook) -> Value {
    let mut view = WebhookView::from(webhook.clone());
    view.headers.values_mut().for_each(|value| HIDDEN_VALUE.clone_into(value));
    audit_value(&view)
}

/// A brand.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Brand)]
pub struct BrandView {
    brand_id: String,
    name: String,
    #[schema(required)]
    contact: Option<ContactView>,
    /// What support switched, most general first; the most specific switch decides
    event_types: Vec<SwitchView>,
    #[serde(with = "rfc3339")]
    created: DateTime,
    #[serde(with = "rfc3339")]
    updated: DateTime,
}

/// The brand's point of contact.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Contact)]
pub struct ContactView {
    name: String,
    email: String,
}

/// A type, a group or `*` that support switched for a brand.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Switch)]
pub struct SwitchView {
    type_or_group: String,
    enabled: bool,
}

impl From<&Brand> for BrandView {
    fn from(brand: &Brand) -> Self {
        let switch =
            |(pattern, enabled): (&str, bool)| SwitchView { type_or_group: pattern.to_owned(), enabled };
        let contact = brand.contact.as_ref();
        Self {
            brand_id: brand.id.to_string(),
            name: brand.name.clone(),
            contact: contact
                .map(|contact| ContactView { name: contact.name.clone(), email: contact.email.clone() }),
            event_types: brand.enablement.switches().map(switch).collect(),
            created: brand.created,
            updated: brand.updated,
        }
    }
}

/// A brand's token, without the token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub struct TokenView {
    id: Uuid,
    name: String,
    #[schema(value_type = RoleWord)]
    role: &'static str,
    #[serde(with = "rfc3339")]
    created: DateTime,
}

/// A token that was just made.
// No Debug: it holds the token.
#[derive(Serialize, ToSchema)]
pub struct CreatedToken {
    #[serde(flatten)]
    view: TokenView,
    /// The token itself; it is shown only here
    token: String,
}

impl CreatedToken {
    /// The token with what is known of it.
    #[must_use]
    pub fn new(view: &Token, token: String) -> Self {
        Self { view: view.into(), token }
    }
}

impl From<&Token> for TokenView {
    fn from(token: &Token) -> Self {
        Self { id: token.id, name: token.name.clone(), role: token.role.as_str(), created: token.created }
    }
}

/// An entry of the catalogue.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventType)]
pub struct EventTypeView {
    #[serde(rename = "type")]
    name: String,
    description: String,
    /// JSON Schema of `data`
    #[schema(value_type = Option<Value>, required)]
    schema: Option<Box<RawValue>>,
    /// Whether events that do not fit the schema are refused
    enforce_schema: bool,
    /// A sample of `data`
    #[schema(value_type = Option<Value>, required)]
    example: Option<Box<RawValue>>,
    /// Whether it is the platform's own
    built_in: bool,
    #[serde(with = "rfc3339")]
    created: DateTime,
    #[serde(with = "rfc3339")]
    updated: DateTime,
}

impl From<CatalogueType> for EventTypeView {
    fn from(entry: CatalogueType) -> Self {
        Self {
            name: entry.name.to_string(),
            description: entry.description,
            schema: entry.schema,
            enforce_schema: entry.enforce_schema,
            example: entry.example,
            built_in: entry.built_in,
            created: entry.created,
            updated: entry.updated,
        }
    }
}

/// An entry of the catalogue, and whether the brand may receive it.
#[derive(Debug, Serialize, ToSchema)]
pub struct OfferedType {
    #[serde(flatten)]
    entry: EventTypeView,
    /// Whether events of this type reach the brand
    enabled: bool,
}

impl OfferedType {
    /// The entry with its switch.
    #[must_use]
    pub fn new(entry: CatalogueType, enabled: bool) -> Self {
        Self { entry: entry.into(), enabled }
    }
}

/// What the audit keeps of a view.
#[must_use]
pub fn audit_value<T: Serialize>(view: &T) -> Value {
    serde_json::to_value(view).unwrap_or_else(|_| json!("(not plain JSON)"))
}

/// Writes an instant that may not be there.
///
/// # Errors
/// Only those of the serializer.
pub fn serialize_optional<S: Serializer>(at: &Option<DateTime>, to: S) -> Result<S::Ok, S::Error> {
    at.map(domain::time::format).serialize(to)
}

/// Declares the words of an enum for the OpenAPI document.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident as $shown:ident = $of:ty { $($variant:ident),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, ToSchema)]
        #[schema(as = $shown, rename_all = "snake_case")]
        #[allow(missing_docs, reason = "the words are documented where they are defined")]
        pub enum $name { $($variant),+ }

        impl $name {
            /// The words, as the domain has them.
            pub const WORDS: &[$of] = &[$(<$of>::$variant),+];
        }
    )+};
}

words! {
    /// Where a webhook stands.
    WebhookStatusWord as WebhookStatus = WebhookStatus { Active, Paused, Disabled }
    /// Why a webhook is disabled.
    DisabledReasonWord as DisabledReason = domain::webhook::DisabledReason { Gone, Failing, Unresponsive, Support }
    /// Where a delivery stands.
    DeliveryStatusWord as DeliveryStatus = domain::delivery::DeliveryStatus { Pending, Delivered, Failed, Held, Discarded }
    /// How an attempt ended.
    OutcomeWord as Outcome = domain::outcome::Outcome { Delivered, HttpStatus, Timeout, Dns, Connect, Tls, Blocked, Protocol }
    /// Why an attempt was made.
    TriggerWord as Trigger = domain::outcome::Trigger { Fresh, Retry, Redeliver, Held, Test }
    /// How requests are signed.
    SchemeWord as Signature = Scheme { V1, V1a }
    /// What a token may do.
    RoleWord as Role = store::tokens::Role { Read, Write }
}

#[cfg(test)]
mod tests {
    use super::*;
    use utoipa::PartialSchema;

    /// The documented words are those that are sent.
    #[test]
    fn documented_words_are_the_domains() {
        fn check<T: PartialSchema>(words: impl Iterator<Item = &'static str>) {
            let schema = serde_json::to_value(T::schema()).expect("schema");
            assert_eq!(schema["enum"], json!(words.collect::<Vec<_>>()));
        }
        check::<WebhookStatusWord>(WebhookStatusWord::WORDS.iter().map(|w| w.as_str()));
        check::<DisabledReasonWord>(domain::webhook::DisabledReason::ALL.iter().map(|w| w.as_str()));
        check::<DeliveryStatusWord>(domain::delivery::DeliveryStatus::ALL.iter().map(|w| w.as_str()));
        check::<OutcomeWord>(domain::outcome::Outcome::ALL.iter().map(|w| w.as_str()));
        check::<TriggerWord>(domain::outcome::Trigger::ALL.iter().map(|w| w.as_str()));
        check::<SchemeWord>(SchemeWord::WORDS.iter().map(|w| w.as_str()));
        check::<RoleWord>(RoleWord::WORDS.iter().map(|w| w.as_str()));
    }
}
