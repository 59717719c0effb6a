//! The catalogue of event types: brands read it, support maintains it.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use domain::event::catalogue::Enablement;
use domain::event::event_type::EventType;
use domain::event::schema::DataSchema;
use domain::limits::{MAX_EVENT_BODY_BYTES, MAX_TEXT_CHARS};
use serde_json::value::RawValue;
use store::AuditedTransaction;
use store::api::audit::Entry;
use store::api::event_types::{self, CatalogueType, Definition};
use store::api::{brands, webhooks};
use tokio::sync::Semaphore;
use utoipa::IntoParams;

use crate::api::Api;
use crate::auth::{BrandReader, Support};
use crate::http::body::JsonBody;
use crate::http::cursor::{self, InvalidCursor};
use crate::http::page::{Page, PageParams};
use crate::http::path::{self, BrandPath};
use crate::http::problem::{Problem, Result};
use crate::http::problem_kind::ProblemKind;
use crate::http::query::Query;
use crate::openapi::request_schemas;
use crate::resources::views::{EventTypeView, OfferedType, audit_value};
use crate::validation::errors::ValidationErrors;
use crate::validation::fields::Fields;
use crate::validation::validators;

/// Largest schema or example, in bytes, because an example must fit into an event.
const MAX_JSON_BYTES: usize = MAX_EVENT_BODY_BYTES - 1024;
/// Name of both lists in their cursors. They share it, because both continue from a type name.
const LIST: &str = "event-types";

/// The path parameter of an event type.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "only the OpenAPI document uses it; TypeInPath reads the path")]
pub(crate) struct TypePath {
    /// Event type
    #[param(
        pattern = "^[A-Z0-9_]+(\\.[A-Z0-9_]+){0,7}$",
        max_length = 128,
        example = "NOTIFICATION.SMS.RECEIPT"
    )]
    r#type: String,
}

/// `{type}` of the path. An invalid type is a 422.
#[derive(Debug)]
pub(crate) struct TypeInPath(EventType);

impl<S: Send + Sync> FromRequestParts<S> for TypeInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let mut errors = ValidationErrors::default();
        let text = path::read_parameter(parts, state, "type").await?;
        let name = text.parse().map_err(|error| errors.add("/type", format!("(in the path) {error}"))).ok();
        Ok(Self(errors.into_result(name)?))
    }
}

/// List the event types for a brand
///
/// Lists the whole catalogue, ordered by name. `enabled` tells whether the brand receives events of the type.
#[utoipa::path(
    get, path = "/v1/{brandId}/event-types", tag = "events", operation_id = "listOfferedEventTypes",
    params(BrandPath, PageParams),
    responses((status = 200, description = "A page of event types.", body = Page<OfferedType>))
)]
pub(crate) async fn list_brand_event_types(
    State(api): State<Api>,
    by: BrandReader,
    query: Query,
) -> Result<Json<Page<OfferedType>>> {
    let (rows, limit) = read_page(&api, query).await?;
    let brand = brands::find_brand(&api.store, &by.brand).await?;
    let enablement: Enablement = brand.map(|brand| brand.enablement).unwrap_or_default();
    let view = |entry: CatalogueType| {
        let enabled = enablement.is_enabled(entry.name.as_str());
        OfferedType::new(entry, enabled)
    };
    Ok(Json(Page::from_rows(LIST, rows, limit, entry_name, view)))
}

/// List the catalogue
///
/// Ordered by name.
#[utoipa::path(
    get, path = "/admin/v1/event-types", tag = "support", operation_id = "listEventTypes",
    params(PageParams),
    responses((status = 200, description = "A page of event types.", body = Page<EventTypeView>))
)]
pub(crate) async fn list_event_types(
    State(api): State<Api>,
    _: Support,
    query: Query,
) -> Result<Json<Page<EventTypeView>>> {
    let (rows, limit) = read_page(&api, query).await?;
    Ok(Json(Page::from_rows(LIST, rows, limit, entry_name, EventTypeView::from)))
}

async fn read_page(api: &Api, mut query: Query) -> Result<(Vec<CatalogueType>, i64)> {
    let limit = query.take_limit();
    let read = |text: &str| cursor::decode::<String>(LIST, text)?.parse().map_err(|_| InvalidCursor);
    let after: Option<EventType> = query.take("cursor", read);
    query.finish()?;
    Ok((event_types::list_event_types(&api.store, after.as_ref(), limit + 1).await?, limit))
}

fn entry_name(entry: &CatalogueType) -> String {
    entry.name.to_string()
}

/// Create or replace an event type
///
/// Adds the event type to the catalogue, or replaces its entry as a whole. A schema is refused if its evaluation could
/// explode: its references expand to more than 10,000 subschemas, more than 64 are nested for one value, a definition
/// refers to itself several times for the same part of a value, it has more than 100 patterns, or a pattern needs
/// look-around or back-references.
#[utoipa::path(
    put, path = "/admin/v1/event-types/{type}", tag = "support", operation_id = "putEventType",
    params(TypePath), request_body = request_schemas::EventTypeDefinition,
    responses(
        (status = 200, description = "The event type was replaced.", body = EventTypeView),
        (status = 201, description = "The event type was created.", body = EventTypeView),
        (status = 409, description = "The event type is built in."),
    )
)]
pub(crate) async fn put_event_type(
    State(api): State<Api>,
    by: Support,
    TypeInPath(name): TypeInPath,
    body: JsonBody,
) -> Result<impl IntoResponse> {
    let definition = parse_in_background(body.0).await?;
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    let before = event_types::lock_event_type(&change, &name).await?;
    let after = event_types::put_event_type(&change, &name, &definition).await?;
    let after = after.ok_or_else(|| {
        Problem::new(ProblemKind::BuiltIn, format!("{name} is built in; it cannot be changed"))
    })?;
    let status = if before.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    change.commit(&audit_entry(by, "event_type.put", &name, before, Some(after.clone()))).await?;
    Ok((status, Json(EventTypeView::from(after))))
}

/// Delete an event type
///
/// Removes the event type from the catalogue. Webhooks must not name it any more; events that arrived stay readable.
#[utoipa::path(
    delete, path = "/admin/v1/event-types/{type}", tag = "support", operation_id = "deleteEventType",
    params(TypePath),
    responses(
        (status = 204, description = "The event type was deleted."),
        (status = 409, description = "Webhooks still use the event type, or it is built in."),
    )
)]
pub(crate) async fn delete_event_type(
    State(api): State<Api>,
    by: Support,
    TypeInPath(name): TypeInPath,
) -> Result<StatusCode> {
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    let unknown = || Problem::not_found("the catalogue has no such event type");
    let before = event_types::lock_event_type(&change, &name).await?.ok_or_else(unknown)?;
    if before.built_in {
        return Err(Problem::new(ProblemKind::BuiltIn, format!("{name} is built in; it cannot be removed")));
    }
    change.lock_configuration().await?;
    let users = webhooks::count_webhooks_naming_type(&change, name.as_str()).await?;
    match users {
        0 => {}
        1 => {
            return Err(Problem::new(
                ProblemKind::InUse,
                format!("1 webhook still uses {name}; remove it from its events first"),
            ));
        }
        n => {
            return Err(Problem::new(
                ProblemKind::InUse,
                format!("{n} webhooks still use {name}; remove it from their events first"),
            ));
        }
    }
    event_types::remove_event_type(&change, &name).await?;
    change.commit(&audit_entry(by, "event_type.delete", &name, Some(before), None)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Parses a definition on a thread that may block, because compiling a schema and checking an example may take a tenth of
/// a second. One at a time, so that schemas take no more than one processor and the memory of one.
async fn parse_in_background(raw: Box<RawValue>) -> Result<Definition> {
    static TURN: Semaphore = Semaphore::const_new(1);
    let turn = TURN.acquire().await.map_err(|_| Problem::internal_error())?;
    let parsing = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        parse_definition(&raw)
    });
    parsing.await.unwrap_or_else(|_| Err(Problem::internal_error()))
}

fn parse_definition(raw: &RawValue) -> Result<Definition> {
    let mut errors = ValidationErrors::default();
    let read = Fields::parse(raw, "", &mut errors).and_then(|mut fields| {
        let description = fields.required("description", validators::nonempty_text(MAX_TEXT_CHARS));
        let has_schema = fields.has("schema");
        let schema = fields.clearable("schema", parse_schema).into_option();
        let enforce_schema = fields.optional("enforceSchema", validators::boolean).unwrap_or(false);
        let example = fields.clearable("example", validators::raw_json(MAX_JSON_BYTES)).into_option();
        if enforce_schema && !has_schema {
            fields.add_error("enforceSchema", "must be false without a schema");
        }
        if let Some(misfit) = explain_misfit(schema.as_deref(), example.as_deref()) {
            fields.add_error("example", &misfit);
        }
        fields.finish();
        Some(Definition { description: description?, schema, enforce_schema, example })
    });
    Ok(errors.into_result(read)?)
}

fn parse_schema(raw: &RawValue, pointer: &str, errors: &mut ValidationErrors) -> Option<Box<RawValue>> {
    if !matches!(raw.get().as_bytes().first(), Some(b'{' | b't' | b'f')) {
        errors.add(pointer, "must be a JSON Schema: an object, true or false");
        return None;
    }
    let kept = validators::raw_json(MAX_JSON_BYTES)(raw, pointer, errors)?;
    match DataSchema::parse(kept.get()) {
        Ok(_) => Some(kept),
        Err(error) => {
            errors.add(pointer, format!("cannot be used as a JSON Schema (2020-12): {error}"));
            None
        }
    }
}

/// Explains how the example violates the schema, if both are given.
fn explain_misfit(schema: Option<&RawValue>, example: Option<&RawValue>) -> Option<String> {
    let schema = DataSchema::parse(schema?.get()).ok()?;
    let violation = schema.check(example?.get()).err()?;
    Some(format!("does not fit the schema: {violation}"))
}

fn audit_entry(
    by: Support,
    action: &'static str,
    name: &EventType,
    before: Option<CatalogueType>,
    after: Option<CatalogueType>,
) -> Entry {
    let view = |entry: CatalogueType| audit_value(&EventTypeView::from(entry));
    Entry {
        actor: by.actor,
        action,
        brand_id: None,
        subject: name.to_string(),
        before: before.map(view),
        after: after.map(view),
    }
}
