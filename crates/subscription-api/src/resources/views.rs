//! Views that several resources or the audit use (contract §4).

use std::collections::BTreeMap;

use domain::quota::{BrandQuota, Quota};
use domain::webhook::signature::{Keys, Scheme};
use domain::webhook::signing_key::SigningKey;
// utoipa recognizes the type by this name.
use domain::time::Timestamp as DateTime;
use domain::time::rfc3339;
use domain::webhook::endpoint::hide_query;
use domain::webhook::{HIDDEN_HEADER_VALUE, WebhookStatus};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use store::api::backlogs::Backlog;
use store::api::brands::Brand;
use store::api::event_types::CatalogueType;
use store::api::support_tokens::NamedSupportToken;
use store::api::tokens::Token;
use store::api::webhooks::Webhook;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::openapi::samples;
use crate::openapi::words::{DisabledReasonWord, RoleWord, SchemeWord, WebhookStatusWord};
use crate::resources::webhooks::health_state::WebhookHealthView;

/// A webhook: the subscription of a brand.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Webhook, example = samples::webhook)]
pub(crate) struct WebhookView {
    /// Id of the webhook
    id: Uuid,
    /// Id of the brand
    brand_id: String,
    /// URL that requests are sent to, as it was given
    endpoint: String,
    /// Event types and groups that the webhook subscribes to, or `*` for all
    events: Vec<String>,
    /// Whether the webhook receives events
    enabled: bool,
    /// `active`, `paused` by the brand, or `disabled` by the platform or support
    #[schema(value_type = WebhookStatusWord)]
    status: &'static str,
    /// Why the webhook is disabled; null unless `status` is `disabled`
    #[schema(required)]
    disabled: Option<DisabledView>,
    /// Free text for people
    #[schema(required)]
    description: Option<String>,
    /// Names of the custom headers of every request, each with the value `(hidden)`; only `/secret` returns the values
    #[schema(value_type = BTreeMap<String, String>)]
    headers: BTreeMap<String, &'static str>,
    /// Maximum number of requests in flight
    #[schema(minimum = 1, maximum = 100)]
    max_concurrency: i32,
    /// Maximum number of requests a second; null for no limit
    #[schema(required, minimum = 1, maximum = 10000)]
    rate_per_second: Option<i32>,
    /// Signature schemes; absent if requests are signed with `v1` only
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = Vec<SchemeWord>)]
    signatures: Option<Vec<&'static str>>,
    /// State of its health
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required, value_type = WebhookHealthView)]
    health: Option<WebhookHealthView>,
    /// When the webhook was created
    #[serde(with = "rfc3339")]
    created: DateTime,
    /// When the webhook was last changed
    #[serde(with = "rfc3339")]
    updated: DateTime,
}

/// The reason why a webhook is disabled.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Disabled, example = samples::disabled)]
pub(crate) struct DisabledView {
    /// Kind of the reason
    #[schema(value_type = DisabledReasonWord)]
    reason: &'static str,
    /// The health rule with its numbers, or the reason that support gave
    #[schema(required)]
    detail: Option<String>,
    /// When the webhook was disabled
    #[serde(with = "rfc3339")]
    at: DateTime,
}

/// A new webhook with its secret.
// No Debug: it holds the secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = samples::created_webhook)]
pub(crate) struct CreatedWebhook {
    #[serde(flatten)]
    webhook: WebhookView,
    /// Secret that signs the requests; shown only here and at `/secret`
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: String,
    /// Public key that verifies `v1a` signatures: `whpk_` and base64. Present only if `signatures` includes `v1a`
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    public_key: Option<String>,
}

impl CreatedWebhook {
    /// Combines the webhook with its secret and public key.
    #[must_use]
    pub(crate) fn new(webhook: WebhookView, keys: &Keys) -> Self {
        Self { webhook, secret: keys.secret.reveal(), public_key: public_key(keys) }
    }
}

/// The public key that verifies `v1a` signatures, if the webhook has one.
#[must_use]
pub(crate) fn public_key(keys: &Keys) -> Option<String> {
    keys.signing_key.as_ref().map(SigningKey::public_key)
}

/// The view without the health, which the audit has.
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
            headers: webhook.header_names.into_iter().map(|name| (name, HIDDEN_HEADER_VALUE)).collect(),
            max_concurrency: webhook.max_concurrency,
            rate_per_second: webhook.rate_per_second,
            signatures: webhook
                .asymmetric
                .then(|| Scheme::ALL.iter().map(|scheme| scheme.as_str()).collect()),
            health: None,
            created: webhook.created,
            updated: webhook.updated,
        }
    }
}

impl WebhookView {
    /// The view of a webhook with its health.
    #[must_use]
    pub(crate) fn with_health(webhook: Webhook, health: Option<WebhookHealthView>) -> Self {
        Self { health, ..webhook.into() }
    }
}

/// The audit form of a webhook: its view without the query of the endpoint, which may be a credential.
#[must_use]
pub(crate) fn audit_webhook(webhook: &Webhook) -> Value {
    let view = WebhookView::from(webhook.clone());
    audit_value(&WebhookView { endpoint: hide_query(&view.endpoint).into_owned(), ..view })
}

/// A brand, which is a tenant of the platform.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Brand, example = samples::brand)]
pub(crate) struct BrandView {
    /// Id of the brand
    brand_id: String,
    /// Display name
    name: String,
    /// Point of contact; null if there is none
    #[schema(required)]
    contact: Option<ContactView>,
    /// Types and groups that support enabled or disabled, most general first; the most specific entry decides
    event_types: Vec<SwitchView>,
    /// How much the brand may publish; null is the default
    quotas: QuotasView,
    /// Events that wait for the brand, because it publishes faster than they are routed
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required)]
    waiting: Option<WaitingView>,
    /// When the brand was created
    #[serde(with = "rfc3339")]
    created: DateTime,
    /// When the brand was last changed
    #[serde(with = "rfc3339")]
    updated: DateTime,
}

/// The quotas of a brand.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Quotas)]
pub(crate) struct QuotasView {
    /// Events a second; null for no limit
    #[schema(required, minimum = 1, maximum = 1_000_000)]
    events_per_second: Option<u64>,
    /// Bytes of event messages a second; null for no limit
    #[schema(required, minimum = 1024, maximum = 17_179_869_184_u64)]
    bytes_per_second: Option<u64>,
    /// Deliveries a second, which is each event once for every webhook that it matches; null for no limit
    #[schema(required, minimum = 1, maximum = 1_000_000)]
    deliveries_per_second: Option<u64>,
    /// Bytes of event messages that may wait to be routed; null for 1 GiB
    #[schema(required, minimum = 262_144, maximum = 17_592_186_044_416_u64)]
    waiting_bytes: Option<u64>,
}

/// The events that wait for a brand.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WaitingEvents)]
pub(crate) struct WaitingView {
    /// Number of events
    #[schema(minimum = 0)]
    events: i64,
    /// Size of their messages in bytes
    #[schema(minimum = 0)]
    bytes: i64,
    /// Start of the wait: at least one event has waited ever since; null if none waits
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    since: Option<DateTime>,
}

impl From<&BrandQuota> for QuotasView {
    fn from(quotas: &BrandQuota) -> Self {
        Self {
            events_per_second: quotas.get(Quota::EventsPerSecond),
            bytes_per_second: quotas.get(Quota::BytesPerSecond),
            deliveries_per_second: quotas.get(Quota::DeliveriesPerSecond),
            waiting_bytes: quotas.get(Quota::WaitingBytes),
        }
    }
}

impl BrandView {
    /// The view of a brand with the events that wait for it. The audit has the view without them.
    #[must_use]
    pub(crate) fn with_backlog(brand: &Brand, backlog: Option<&Backlog>) -> Self {
        let waiting = WaitingView {
            events: backlog.map_or(0, |backlog| backlog.events),
            bytes: backlog.map_or(0, |backlog| backlog.bytes),
            since: backlog.map(|backlog| backlog.since),
        };
        Self { waiting: Some(waiting), ..brand.into() }
    }
}

/// The point of contact of a brand.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Contact, example = samples::contact)]
pub(crate) struct ContactView {
    /// Name of a person or team
    name: String,
    /// Email address
    email: String,
}

impl ContactView {
    /// The view of a brand's point of contact, if it has one.
    #[must_use]
    pub(crate) fn of_brand(brand: &Brand) -> Option<Self> {
        let contact = brand.contact.as_ref()?;
        Some(Self { name: contact.name.clone(), email: contact.email.clone() })
    }
}

/// An event type, a group or `*` that support enabled or disabled for a brand.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Switch)]
pub(crate) struct SwitchView {
    /// Event type, group, or `*` for all
    type_or_group: String,
    /// Whether support enabled or disabled it
    enabled: bool,
}

impl From<&Brand> for BrandView {
    fn from(brand: &Brand) -> Self {
        let switch =
            |(pattern, enabled): (&str, bool)| SwitchView { type_or_group: pattern.to_owned(), enabled };
        Self {
            brand_id: brand.id.to_string(),
            name: brand.name.clone(),
            contact: ContactView::of_brand(brand),
            event_types: brand.enablement.switches().map(switch).collect(),
            quotas: (&brand.quotas).into(),
            waiting: None,
            created: brand.created,
            updated: brand.updated,
        }
    }
}

/// A brand token, without its text.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Token, example = samples::token)]
pub(crate) struct TokenView {
    /// Id of the token
    id: Uuid,
    /// Name of the token
    name: String,
    /// Role of the token
    #[schema(value_type = RoleWord)]
    role: &'static str,
    /// When the token was created
    #[serde(with = "rfc3339")]
    created: DateTime,
    /// When the token was last used, to the minute; null if it was never used
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    last_used_at: Option<DateTime>,
    /// When the token stops being valid; null if it does not
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    expires: Option<DateTime>,
}

/// A new token with its text.
// No Debug: it holds the token.
#[derive(Serialize, ToSchema)]
#[schema(example = samples::created_token)]
pub(crate) struct CreatedToken {
    #[serde(flatten)]
    view: TokenView,
    /// The token itself; shown only here
    token: String,
}

impl CreatedToken {
    /// Combines the view with the text of the token.
    #[must_use]
    pub(crate) fn new(view: &Token, token: String) -> Self {
        Self { view: view.into(), token }
    }
}

impl From<&Token> for TokenView {
    fn from(token: &Token) -> Self {
        Self {
            id: token.id,
            name: token.name.clone(),
            role: token.role.as_str(),
            created: token.created,
            last_used_at: token.last_used,
            expires: token.expires,
        }
    }
}

/// A named token of support, without its text.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SupportToken, example = samples::support_token)]
pub(crate) struct SupportTokenView {
    /// Id of the token; it does not authenticate
    id: Uuid,
    /// Name of the person or program that uses the token
    name: String,
    /// When the token was created
    #[serde(with = "rfc3339")]
    created: DateTime,
    /// When the token was last used, at most a minute old; null if it was never used
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    last_used_at: Option<DateTime>,
    /// When the token stops being valid; null if it does not
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    expires: Option<DateTime>,
}

impl From<&NamedSupportToken> for SupportTokenView {
    fn from(token: &NamedSupportToken) -> Self {
        Self {
            id: token.id,
            name: token.name.clone(),
            created: token.created,
            last_used_at: token.last_used,
            expires: token.expires,
        }
    }
}

/// A new named token of support with its text.
// No Debug: it holds the token.
#[derive(Serialize, ToSchema)]
#[schema(example = samples::created_support_token)]
pub(crate) struct CreatedSupportToken {
    #[serde(flatten)]
    view: SupportTokenView,
    /// The token itself; shown only here
    token: String,
}

impl CreatedSupportToken {
    /// Combines the view with the text of the token.
    #[must_use]
    pub(crate) fn new(view: &NamedSupportToken, token: String) -> Self {
        Self { view: view.into(), token }
    }
}

/// An event type of the catalogue.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventType, example = samples::event_type)]
pub(crate) struct EventTypeView {
    /// Event type
    #[serde(rename = "type")]
    name: String,
    /// Description for people
    description: String,
    /// JSON Schema of `data`
    #[schema(value_type = Option<Value>, required)]
    schema: Option<Box<RawValue>>,
    /// Whether events whose `data` violates the schema are rejected
    enforce_schema: bool,
    /// Example of `data`; test events contain it
    #[schema(value_type = Option<Value>, required)]
    example: Option<Box<RawValue>>,
    /// Whether the type is built in and cannot be changed
    built_in: bool,
    /// When the event type was created
    #[serde(with = "rfc3339")]
    created: DateTime,
    /// When the event type was last changed
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

/// An event type of the catalogue, with whether it is enabled for the brand.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = samples::offered_type)]
pub(crate) struct OfferedType {
    #[serde(flatten)]
    entry: EventTypeView,
    /// Whether the brand receives events of this type
    enabled: bool,
}

impl OfferedType {
    /// Combines the entry with its enablement.
    #[must_use]
    pub(crate) fn new(entry: CatalogueType, enabled: bool) -> Self {
        Self { entry: entry.into(), enabled }
    }
}

/// The audit form of a view.
#[must_use]
pub(crate) fn audit_value<T: Serialize>(view: &T) -> Value {
    serde_json::to_value(view).unwrap_or_else(|_| json!("(not plain JSON)"))
}

/// Serializes an optional instant as RFC 3339 or null.
///
/// # Errors
/// When the serializer fails.
pub(crate) fn serialize_optional<S: Serializer>(at: &Option<DateTime>, to: S) -> Result<S::Ok, S::Error> {
    at.map(domain::time::format_timestamp).serialize(to)
}
