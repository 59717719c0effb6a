//! Messages that the router rejected: support lists them, fixes the cause and republishes or deletes them.
//!
//! Republishing and deleting are jobs ([`jobs`]). One runs at a time, and [`worker`] does its work step by step in whichever
//! replica holds its lease.

pub(crate) mod jobs;
mod turn;
mod views;
pub(crate) mod worker;

use std::fmt::Display;
use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use broker::RejectedFilter;
use broker::rejected_queue::Walked;
use domain::event::event_type::EventType;
use domain::ids::BrandId;
use domain::rejected_share::USAGE_DAYS;
use store::api::rejected_jobs::{JobAction, NewJob};
use store::api::rejected_usage;

use self::jobs::{JobView, create_job};
use self::turn::run_in_turn;
use self::views::{FilterParams, RejectedPage, RejectedParams, RejectedSummary, rejected_view, summarize};
use crate::api::Api;
use crate::auth::Support;
use crate::http::body::OptionalJsonBody;
use crate::http::problem::Result;
use crate::http::query::Query;
use crate::openapi::request_schemas;
use crate::validation::errors::ValidationErrors;
use crate::validation::fields::Fields;
use crate::validation::validators;

/// Most messages of a job that names a number.
const MAX_MESSAGES: i32 = 1_000_000;
/// Most brands whose dropped messages a summary counts.
const MAX_DROPPED_BRANDS: i64 = 1_000;
/// Longest reason of a filter, in bytes. The reasons are short words.
const MAX_REASON_BYTES: usize = 64;

/// A reason that a filter names.
struct Reason(String);

impl FromStr for Reason {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let is_word = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if is_word && (1..=MAX_REASON_BYTES).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be a reason, such as unknown_type")
        }
    }
}

/// List rejected messages
///
/// Lists the first messages that the router rejected. The order is not guaranteed. One request at a time reads the queue;
/// others wait for some seconds, and then get 503 with `Retry-After`.
#[utoipa::path(
    get, path = "/admin/v1/rejected", tag = "support", operation_id = "listRejected",
    params(RejectedParams),
    responses((status = 200, description = "The first rejected messages.", body = RejectedPage))
)]
pub(crate) async fn list_rejected(
    State(api): State<Api>,
    _: Support,
    mut query: Query,
) -> Result<Json<RejectedPage>> {
    let limit = usize::try_from(query.take_limit()).unwrap_or(0);
    let filter = take_filter(&mut query);
    query.finish()?;
    let walked =
        run_in_turn(&api, move |_, reader| async move { Ok(reader.list(&filter, limit).await?) }).await?;
    let Walked { found, total, complete } = walked;
    let items = found.into_iter().map(rejected_view).collect();
    Ok(Json(RejectedPage { items, next_cursor: None, total, complete }))
}

/// Count rejected messages
///
/// Counts the rejected messages by brand, reason and type, and the messages that did not fit their brand's share of the
/// queue.
#[utoipa::path(
    get, path = "/admin/v1/rejected/summary", tag = "support", operation_id = "summarizeRejected",
    responses((status = 200, description = "The counts.", body = RejectedSummary))
)]
pub(crate) async fn summarize_rejected(
    State(api): State<Api>,
    _: Support,
    query: Query,
) -> Result<Json<RejectedSummary>> {
    query.finish()?;
    let walked = run_in_turn(&api, move |_, reader| async move { Ok(reader.summarize().await?) }).await?;
    let usage = rejected_usage::load_usage(&api.store, USAGE_DAYS, MAX_DROPPED_BRANDS).await?;
    Ok(Json(summarize(walked, usage)))
}

/// Republish rejected messages
///
/// Starts a job that publishes the messages unchanged: all of them, or those of a brand, with a reason or of a type. Fix the
/// cause first, because a message that is rejected again returns to the list. One job runs at a time. The
/// filter may also be given as query parameters.
#[utoipa::path(
    post, path = "/admin/v1/rejected/republish", tag = "support", operation_id = "republishRejected",
    params(FilterParams), request_body = request_schemas::Republishing,
    responses(
        (status = 202, description = "The job.", body = JobView,
         headers(("Location" = String, description = "Path of the job"))),
        (status = 409, description = "Another job is running; `jobId` names it."),
    )
)]
pub(crate) async fn republish_rejected(
    State(api): State<Api>,
    by: Support,
    query: Query,
    body: OptionalJsonBody,
) -> Result<Response> {
    let (filter, limit) = read_selection(query, &body, JobAction::Republish)?;
    create_job(&api, new_job(by, JobAction::Republish, filter, limit)).await
}

/// Delete rejected messages
///
/// Starts a job that deletes all rejected messages, or those of a brand, with a reason or of a type. One job runs at a time.
#[utoipa::path(
    delete, path = "/admin/v1/rejected", tag = "support", operation_id = "deleteRejected",
    params(FilterParams),
    responses(
        (status = 202, description = "The job.", body = JobView,
         headers(("Location" = String, description = "Path of the job"))),
        (status = 409, description = "Another job is running; `jobId` names it."),
    )
)]
pub(crate) async fn delete_rejected(
    State(api): State<Api>,
    by: Support,
    query: Query,
    body: OptionalJsonBody,
) -> Result<Response> {
    let (filter, _) = read_selection(query, &body, JobAction::Delete)?;
    create_job(&api, new_job(by, JobAction::Delete, filter, None)).await
}

/// Reads the filter of a job, and its maximum number of messages. Both the query and the body are read, because a job that
/// ignored the place of its filter would handle all messages.
fn read_selection(
    mut query: Query,
    body: &OptionalJsonBody,
    action: JobAction,
) -> Result<(RejectedFilter, Option<i64>)> {
    let mut errors = ValidationErrors::default();
    let parsed = Fields::parse(&body.0, "", &mut errors).map(|mut fields| {
        let limit = match action {
            JobAction::Republish => fields.optional("limit", validators::integer(1..=MAX_MESSAGES)),
            JobAction::Delete => None,
        };
        let brand = take_once(&mut query, &mut fields, "brandId");
        let reason = take_once(&mut query, &mut fields, "reason");
        let event_type = take_once(&mut query, &mut fields, "type");
        fields.finish();
        (new_filter(brand, reason, event_type), limit.map(i64::from))
    });
    let selection = errors.into_result(parsed)?;
    query.finish()?;
    Ok(selection)
}

/// Takes a value from the query or from the body, but not from both.
fn take_once<T>(query: &mut Query, fields: &mut Fields<'_, '_>, name: &str) -> Option<T>
where
    T: FromStr,
    T::Err: Display,
{
    let in_body = fields.optional(name, validators::parsed_text::<T>);
    let in_query = query.take_parsed(name);
    if in_body.is_some() && in_query.is_some() {
        fields.add_error(name, "is also a query parameter; give it once");
    }
    in_body.or(in_query)
}

fn new_job(by: Support, action: JobAction, filter: RejectedFilter, max_messages: Option<i64>) -> NewJob {
    let RejectedFilter { brand, reason, event_type, rejected_before: _ } = filter;
    NewJob { action, brand, reason, event_type, max_messages, actor: by.actor }
}

fn take_filter(query: &mut Query) -> RejectedFilter {
    let (brand, reason) = (query.take_parsed("brandId"), query.take_parsed("reason"));
    new_filter(brand, reason, query.take_parsed("type"))
}

fn new_filter(
    brand: Option<BrandId>,
    reason: Option<Reason>,
    event_type: Option<EventType>,
) -> RejectedFilter {
    let event_type = event_type.map(|event_type| event_type.as_str().to_owned());
    RejectedFilter { brand, reason: reason.map(|reason| reason.0), event_type, rejected_before: None }
}
