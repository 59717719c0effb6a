//! Publishing events over HTTP, for producers without an AMQP client.
//!
//! The API publishes to the same exchange as every other producer, and responds only after the broker has confirmed
//! the messages.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use broker::{BrokerError, Outgoing, Route};
use chrono::{TimeDelta, Utc};
use domain::event::event_type::EventType;
use domain::event::{self, RejectReason, Rejection};
use domain::ids::{BrandId, EventId};
use domain::limits::MAX_EVENT_KEY_CHARS;
use domain::quota::Cost;
use domain::time::Timestamp;
use domain::trace::{TRACEPARENT, TraceParent};
use runtime::error::Chain;
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use store::api::idempotency::{self, Fingerprint, KeptRequest};
use tracing::warn;
use utoipa::ToSchema;

use crate::api::{Api, PUBLISH_TIMEOUT};
use crate::auth::BrandWriter;
use crate::auth::request_cost::events_surcharge;
use crate::http::body::JsonBody;
use crate::http::path::BrandPath;
use crate::http::problem::{Problem, Result};
use crate::intake::EventToCheck;
use crate::openapi::request_schemas;
use crate::validation::errors::{ValidationErrors, member_pointer};
use crate::validation::fields::Fields;
use crate::validation::validators;

/// Most events of one request (contract §2).
pub(crate) const MAX_EVENTS: usize = 500;
/// Longest `Idempotency-Key`, in characters.
pub(crate) const MAX_KEY_CHARS: usize = 255;
/// The header that makes a retried request idempotent.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The events that were published.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Published {
    /// Ids of the events, in the order of the request
    #[schema(value_type = Vec<String>)]
    ids: Vec<EventId>,
}

/// An event of a request.
struct RequestedEvent<'a> {
    pointer: String,
    id: Option<EventId>,
    event_type: EventType,
    created: Option<Timestamp>,
    key: Option<String>,
    data: &'a str,
}

impl RequestedEvent<'_> {
    fn to_check(&self) -> EventToCheck<'_> {
        EventToCheck { pointer: &self.pointer, event_type: &self.event_type, data: self.data }
    }
}

/// Publish events
///
/// Publishes one event, or up to 500 as `{"events":[…]}`. The response is sent after the broker has confirmed all of
/// them. Send an `Idempotency-Key` to retry safely: a retried request gets the same ids, and no event is delivered
/// twice because of the retry. A request that is refused does not use up its key, and a retry of a request that was
/// published counts for no quota.
///
/// The events are checked against the catalogue: an unknown or built-in type, and data that violates an enforced schema,
/// is a 422 that names the event. Events of a type that is not enabled for the brand are accepted and dropped. A brand
/// over a quota is refused with 429 until the time in `Retry-After` is over.
#[utoipa::path(
    post, path = "/v1/{brandId}/events", tag = "events", operation_id = "publishEvents",
    params(BrandPath, ("Idempotency-Key" = Option<String>, Header, description = "Identifies the request, so that it can be retried safely. It belongs to the request: events are not found by it, but by the ids of the response")),
    request_body = request_schemas::Publishing,
    responses((status = 202, description = "Accepted. The broker has confirmed the events.", body = Published))
)]
pub(crate) async fn publish_events(
    State(api): State<Api>,
    by: BrandWriter,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<impl IntoResponse> {
    let key = read_idempotency_key(&headers)?;
    let mut errors = ValidationErrors::default();
    let events = parse_events(&body.0, &by.brand, &mut errors);
    let events = errors.into_result(events)?;
    by.charge.spend(&api, events_surcharge(events.len()))?;
    if let Some(ids) = find_published(&api, &by, key, &body.0).await? {
        return Ok((StatusCode::ACCEPTED, Json(Published { ids })));
    }
    let drawn = draw_ids(&events);
    let messages = build_messages(&api, &by.brand, &events, &drawn)?;
    let cost = admit_events(&api, &by.brand, &events, &messages).await?;
    let request = Admitted { raw: &body.0, key, trace: read_trace_parent(&headers), events, drawn, messages };
    let outcome = publish_admitted(&api, &by, request).await;
    if !matches!(outcome, Ok(Outcome::Published(_))) {
        api.intake.give_back(&by.brand, cost);
    }
    let (Outcome::Published(ids) | Outcome::WasPublished(ids)) = outcome?;
    Ok((StatusCode::ACCEPTED, Json(Published { ids })))
}

/// Returns the ids of a request that was published under the same key before, whatever the catalogue and the quotas allow
/// by now.
async fn find_published(
    api: &Api,
    by: &BrandWriter,
    key: Option<&str>,
    raw: &RawValue,
) -> Result<Option<Vec<EventId>>> {
    let Some(key) = key else { return Ok(None) };
    let kept = idempotency::find_request(&api.store, &by.brand, key).await?;
    let published = kept.filter(|kept| kept.published && kept.fingerprint == fingerprint(raw));
    Ok(published.map(|kept| kept.ids))
}

fn fingerprint(raw: &RawValue) -> Fingerprint {
    Sha256::digest(raw.get().as_bytes()).into()
}

/// A request whose events are valid and within the quotas.
struct Admitted<'a> {
    raw: &'a RawValue,
    key: Option<&'a str>,
    trace: Option<TraceParent>,
    events: Vec<RequestedEvent<'a>>,
    /// The ids that were drawn for this request.
    drawn: Vec<EventId>,
    /// The messages with these ids.
    messages: Vec<(String, Outgoing)>,
}

/// How a request ended that was not refused. It contains the ids of the events.
enum Outcome {
    /// The broker has confirmed the events of this request.
    Published(Vec<EventId>),
    /// The broker had confirmed the events of an earlier request with the same key, so nothing was published.
    WasPublished(Vec<EventId>),
}

/// Publishes the events of a request, unless an earlier request with its key did.
async fn publish_admitted(api: &Api, by: &BrandWriter, request: Admitted<'_>) -> Result<Outcome> {
    let Admitted { raw, key, trace, events, drawn, mut messages } = request;
    // Before the key is kept, so that a request that gets no turn does not use up its key.
    let turn = by.charge.begin_publishing().await?;
    let ids = match keep_ids(api, by, key, raw, drawn).await? {
        Ids::Drawn(ids) => ids,
        Ids::OfFirstRequest(ids) => {
            messages = build_messages(api, &by.brand, &events, &ids)?;
            ids
        }
        Ids::Published(ids) => return Ok(Outcome::WasPublished(ids)),
    };
    if let Some(trace) = trace {
        messages.iter_mut().for_each(|(_, message)| message.headers.push((TRACEPARENT, trace.to_string())));
    }
    // The messages count as the body's bytes while the broker confirms them.
    let publishing = publish_all(api, &messages);
    match tokio::time::timeout(PUBLISH_TIMEOUT, publishing).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            warn!(error = %Chain(&error), "responding 503: the broker did not confirm the events");
            return Err(not_confirmed());
        }
        Err(_) => return Err(not_confirmed()),
    }
    drop(turn);
    if let Some(key) = key {
        mark_published(api, by, key).await;
    }
    Ok(Outcome::Published(ids))
}

fn not_confirmed() -> Problem {
    Problem::service_unavailable(
        "the broker does not confirm; send the request again soon, with the same ids or Idempotency-Key",
    )
}

fn read_idempotency_key(headers: &HeaderMap) -> Result<Option<&str>> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=MAX_KEY_CHARS).contains(&key.len()));
    let invalid =
        || Problem::bad_request(format!("Idempotency-Key must have 1 to {MAX_KEY_CHARS} visible characters"));
    key.map(Some).ok_or_else(invalid)
}

/// Reads the trace of the producer, which continues with the events.
fn read_trace_parent(headers: &HeaderMap) -> Option<TraceParent> {
    headers.get(TRACEPARENT)?.to_str().ok()?.parse().ok()
}

fn parse_events<'a>(
    raw: &'a RawValue,
    brand: &BrandId,
    errors: &mut ValidationErrors,
) -> Option<Vec<RequestedEvent<'a>>> {
    let mut fields = Fields::parse(raw, "", errors)?;
    if !fields.has("events") {
        return parse_event(fields, "", brand).map(|event| vec![event]);
    }
    let events = fields.required("events", validators::bounded_list(MAX_EVENTS));
    fields.finish();
    let mut parsed = Vec::new();
    for (index, raw) in events?.into_iter().enumerate() {
        let pointer = member_pointer("/events", &index.to_string());
        if let Some(event) =
            Fields::parse(raw, &pointer, errors).and_then(|fields| parse_event(fields, &pointer, brand))
        {
            parsed.push(event);
        }
    }
    Some(parsed)
}

fn parse_event<'a>(mut fields: Fields<'a, '_>, pointer: &str, brand: &BrandId) -> Option<RequestedEvent<'a>> {
    let id = fields.optional("id", validators::parsed_text);
    let own: Option<BrandId> = fields.optional("brandId", validators::parsed_text);
    if own.is_some_and(|own| own != *brand) {
        fields.add_error("brandId", "must be the brand of the path, or be left out");
    }
    let event_type = fields.required("type", validators::parsed_text);
    let created = fields.optional("created", validators::instant);
    let key = fields.optional("key", validators::free_text(MAX_EVENT_KEY_CHARS));
    let data = fields.required("data", |raw, _, _| Some(raw.get()));
    fields.finish();
    Some(RequestedEvent {
        pointer: pointer.to_owned(),
        id,
        event_type: event_type?,
        created,
        key,
        data: data?,
    })
}

/// The ids of the events of a request, in their order.
enum Ids {
    /// The ids that were drawn for this request.
    Drawn(Vec<EventId>),
    /// The ids of the first request with the same key, which the broker may not have confirmed.
    OfFirstRequest(Vec<EventId>),
    /// The ids of a request with the same key that the broker has confirmed.
    Published(Vec<EventId>),
}

/// Draws an id for each event without an id of its own.
fn draw_ids(events: &[RequestedEvent<'_>]) -> Vec<EventId> {
    let now = u64::try_from(Utc::now().timestamp_millis()).unwrap_or(0);
    events.iter().map(|event| event.id.unwrap_or_else(|| EventId::generate(now))).collect()
}

/// Checks the events against the catalogue, and takes their cost from the brand's quotas.
async fn admit_events(
    api: &Api,
    brand: &BrandId,
    events: &[RequestedEvent<'_>],
    messages: &[(String, Outgoing)],
) -> Result<Cost> {
    let checks: Vec<_> = events.iter().map(RequestedEvent::to_check).collect();
    let bytes = messages.iter().map(|(_, message)| message.body.len()).sum();
    api.intake.admit(&api.store, brand, &checks, bytes).await
}

/// Keeps the ids under the idempotency key. A retried request gets the ids of the first request with its key.
async fn keep_ids(
    api: &Api,
    by: &BrandWriter,
    key: Option<&str>,
    raw: &RawValue,
    ids: Vec<EventId>,
) -> Result<Ids> {
    let Some(key) = key else { return Ok(Ids::Drawn(ids)) };
    let request = KeptRequest { fingerprint: fingerprint(raw), ids, published: false };
    by.charge.enter_share_again().await?;
    let kept = idempotency::keep_request(&api.store, &by.brand, key, request.clone()).await?;
    by.charge.leave_share();
    if kept == request {
        return Ok(Ids::Drawn(kept.ids));
    }
    if kept.fingerprint == request.fingerprint {
        return Ok(if kept.published { Ids::Published(kept.ids) } else { Ids::OfFirstRequest(kept.ids) });
    }
    let mut errors = ValidationErrors::default();
    errors.add(
        "",
        "differs from the request that first used this Idempotency-Key; use another key for another request",
    );
    Err(errors.into())
}

/// Marks the request of a key as published, so that a retry of it publishes nothing and costs nothing of the quotas.
///
/// A failure has no other effect than that, because the router drops events with the ids of the first request.
async fn mark_published(api: &Api, by: &BrandWriter, key: &str) {
    if by.charge.enter_share_again().await.is_err() {
        return;
    }
    if let Err(error) = idempotency::mark_published(&api.store, &by.brand, key).await {
        warn!(error = %Chain(&error), "could not mark a request as published; a retry will publish it again");
    }
}

/// Builds the messages and checks them with the rules of the router, which would reject them later.
fn build_messages(
    api: &Api,
    brand: &BrandId,
    events: &[RequestedEvent<'_>],
    ids: &[EventId],
) -> Result<Vec<(String, Outgoing)>> {
    let retention = TimeDelta::from_std(api.retention).unwrap_or(TimeDelta::MAX);
    let mut errors = ValidationErrors::default();
    let mut messages = Vec::with_capacity(events.len());
    for (event, id) in events.iter().zip(ids) {
        let body = encode_event(event, *id, brand);
        if let Err(rejection) = event::decode_event(&body, None, Utc::now(), retention) {
            errors.add(format!("{}{}", event.pointer, rejected_field(&rejection)), rejection.detail());
        }
        messages.push((event.event_type.as_str().to_owned(), Outgoing::new(body)));
    }
    Ok(errors.into_result(Some(messages))?)
}

fn encode_event(event: &RequestedEvent<'_>, id: EventId, brand: &BrandId) -> Vec<u8> {
    let created = event.created.map(|at| format!("\"created\":\"{}\",", domain::time::format_timestamp(at)));
    let created = created.unwrap_or_default();
    let key = event.key.as_deref().map(|key| format!("\"key\":{},", serde_json::Value::from(key)));
    let key = key.unwrap_or_default();
    let event_type = &event.event_type;
    let data = event.data;
    // Nothing else needs escaping: the data is JSON already, and the other values have a restricted alphabet.
    format!(
        "{{\"id\":\"{id}\",\"brandId\":\"{brand}\",\"type\":\"{event_type}\",{created}{key}\"data\":{data}}}"
    )
    .into_bytes()
}

/// The pointer to the field that a rejection is about.
fn rejected_field(rejection: &Rejection) -> &'static str {
    match rejection.reason {
        RejectReason::InvalidCreated | RejectReason::CreatedOutOfRange => "/created",
        RejectReason::InvalidId => "/id",
        RejectReason::InvalidType => "/type",
        RejectReason::InvalidKey => "/key",
        RejectReason::InvalidBrandId => "/brandId",
        RejectReason::TooLarge | RejectReason::InvalidJson => "/data",
        _ => "",
    }
}

/// Publishes the messages as mandatory, because a 202 promises that the broker has stored each of them in a queue.
async fn publish_all(api: &Api, messages: &[(String, Outgoing)]) -> std::result::Result<(), BrokerError> {
    let exchange = api.names.events_exchange();
    let routed: Vec<_> =
        messages.iter().map(|(key, message)| (Route { exchange: &exchange, key }, message)).collect();
    api.publisher.publish_all_mandatory(&routed).await
}
