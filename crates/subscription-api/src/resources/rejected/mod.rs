//! Messages that the router rejected: support lists them, fixes the cause and republishes or deletes them.

mod turn;
mod views;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use broker::rejected_queue::{Groups, Walked};
use broker::{RejectedFilter, RejectedReader};
use domain::ids::BrandId;
use domain::rejected_share::{USAGE_DAYS, message_bytes, share_name};
use runtime::error::Chain;
use serde_json::{Value, json};
use store::AuditedTransaction;
use store::StoreError;
use store::api::audit::Entry;
use store::api::brands;
use store::api::rejected_usage::{self, FreedUsage};
use tracing::{error, warn};

use self::turn::run_in_turn;
use self::views::{
    Deleted, FilterParams, RejectedPage, RejectedParams, RejectedSummary, Republished, rejected_view,
    summarize,
};
use crate::api::Api;
use crate::auth::Support;
use crate::http::body::OptionalJsonBody;
use crate::http::problem::Result;
use crate::http::query::Query;
use crate::openapi::request_schemas;
use crate::validation::errors::ValidationErrors;
use crate::validation::fields::Fields;
use crate::validation::validators;

/// Most messages that one request republishes.
const MAX_REPUBLISHED: i32 = 10_000;
/// Most brands whose dropped messages a summary counts.
const MAX_DROPPED_BRANDS: i64 = 1_000;
/// Longest reason of a filter, in bytes. The reasons are short words.
const MAX_REASON_BYTES: usize = 64;

/// A reason that a filter names.
struct Reason(String);

impl std::str::FromStr for Reason {
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
/// Counts the rejected messages by brand and reason, and the messages that did not fit their brand's share of the queue.
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
/// Publishes the messages unchanged. Fix the cause first, because a message that is rejected again returns to the
/// list. If the response has `complete: false`, messages are left; send the request again.
#[utoipa::path(
    post, path = "/admin/v1/rejected/republish", tag = "support", operation_id = "republishRejected",
    request_body = request_schemas::Republishing,
    responses((status = 202, description = "Accepted. The messages were published.", body = Republished))
)]
pub(crate) async fn republish_rejected(
    State(api): State<Api>,
    by: Support,
    body: OptionalJsonBody,
) -> Result<impl IntoResponse> {
    let mut errors = ValidationErrors::default();
    let parsed = Fields::parse(&body.0, "", &mut errors).map(|mut fields| {
        let limit = fields.optional("limit", validators::integer(1..=MAX_REPUBLISHED));
        let brand = fields.optional("brandId", validators::parsed_text::<BrandId>);
        let reason = fields.optional("reason", validators::parsed_text::<Reason>);
        fields.finish();
        let limit = u64::try_from(limit.unwrap_or(MAX_REPUBLISHED)).unwrap_or(0);
        (limit, RejectedFilter { brand, reason: reason.map(|reason| reason.0) })
    });
    let (limit, filter) = errors.into_result(parsed)?;
    let operation = Operation { actor: by.actor, action: Action::Republish { limit }, filter };
    let changed = run_audited(&api, operation).await?;
    let republished = count_messages(&changed.found);
    Ok((StatusCode::ACCEPTED, Json(Republished { republished, complete: changed.complete })))
}

/// Delete rejected messages
///
/// Deletes all rejected messages, or those of a brand or with a reason. If the response has `complete: false`, messages
/// are left; send the request again.
#[utoipa::path(
    delete, path = "/admin/v1/rejected", tag = "support", operation_id = "deleteRejected",
    params(FilterParams),
    responses(
        (status = 200, description = "The messages of the brand or with the reason were deleted.", body = Deleted),
        (status = 204, description = "All rejected messages were deleted."),
    )
)]
pub(crate) async fn delete_rejected(
    State(api): State<Api>,
    by: Support,
    mut query: Query,
) -> Result<Response> {
    let filter = take_filter(&mut query);
    query.finish()?;
    let deletes_all = filter.is_empty();
    let operation = Operation { actor: by.actor, action: Action::Delete, filter };
    let changed = run_audited(&api, operation).await?;
    if deletes_all {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let deleted = count_messages(&changed.found);
    Ok(Json(Deleted { deleted, complete: changed.complete }).into_response())
}

fn take_filter(query: &mut Query) -> RejectedFilter {
    RejectedFilter {
        brand: query.take_parsed("brandId"),
        reason: query.take_parsed::<Reason>("reason").map(|reason| reason.0),
    }
}

fn count_messages(groups: &Groups) -> u64 {
    groups.values().map(|count| count.messages).sum()
}

/// What support does with rejected messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Republish { limit: u64 },
    Delete,
}

/// An operation on rejected messages. The audit has an entry when it begins, because the process may die meanwhile, and
/// an entry with its outcome.
struct Operation {
    actor: String,
    action: Action,
    filter: RejectedFilter,
}

impl Operation {
    async fn run(&self, api: &Api, reader: &RejectedReader) -> Result<Walked<Groups>> {
        let walked = match self.action {
            Action::Republish { limit } => reader.republish(&api.publisher, &self.filter, limit).await?,
            Action::Delete => reader.delete(&self.filter).await?,
        };
        Ok(walked)
    }

    fn begin_entry(&self) -> Entry {
        match self.action {
            Action::Republish { limit } => self.entry("rejected.republish.begin", json!({"limit": limit})),
            Action::Delete => self.entry("rejected.delete.begin", json!({})),
        }
    }

    fn outcome_entry(&self, outcome: &Result<Walked<Groups>>) -> Entry {
        let (action, key) = match self.action {
            Action::Republish { .. } => ("rejected.republish", "republished"),
            Action::Delete => ("rejected.delete", "deleted"),
        };
        let after = match outcome {
            // RabbitMQ tells the number alone.
            Ok(walked) if self.is_purge() => json!({key: walked.total}),
            Ok(walked) => json!({key: count_messages(&walked.found), "complete": walked.complete}),
            Err(_) => json!({"failed": true}),
        };
        self.entry(action, after)
    }

    fn is_purge(&self) -> bool {
        self.action == Action::Delete && self.filter.is_empty()
    }

    fn entry(&self, action: &'static str, mut after: Value) -> Entry {
        if let Some(brand) = &self.filter.brand {
            after["brandId"] = json!(brand);
        }
        if let Some(reason) = &self.filter.reason {
            after["reason"] = json!(reason);
        }
        Entry {
            actor: self.actor.clone(),
            action,
            brand_id: self.filter.brand.clone(),
            subject: "rejected".to_owned(),
            before: None,
            after: Some(after),
        }
    }
}

/// Runs an operation between its two entries of the audit.
async fn run_audited(api: &Api, operation: Operation) -> Result<Walked<Groups>> {
    run_in_turn(api, move |api, reader| async move {
        write_entry(&api, &operation.begin_entry()).await?;
        let outcome = operation.run(&api, &reader).await;
        if let Err(problem) = write_entry(&api, &operation.outcome_entry(&outcome)).await {
            error!(status = %problem.status(), "could not record the outcome for rejected messages in the audit");
        }
        if let Ok(walked) = &outcome {
            return_room(&api, walked, operation.is_purge()).await;
        }
        outcome
    })
    .await
}

async fn write_entry(api: &Api, entry: &Entry) -> Result<()> {
    let mut client = api.store.client().await?;
    Ok(AuditedTransaction::begin(&mut client).await?.commit(entry).await?)
}

/// Returns the room of messages that left the queue to the shares that the router took it from. If this fails, the shares
/// are free again a week later.
async fn return_room(api: &Api, walked: &Walked<Groups>, purged: bool) {
    let returned = if purged {
        rejected_usage::reset_usage(&api.store).await
    } else {
        free_room(api, &walked.found).await
    };
    if let Err(error) = returned {
        warn!(error = %Chain(&error), "could not return the room of rejected messages to their brands");
    }
}

async fn free_room(api: &Api, groups: &Groups) -> std::result::Result<(), StoreError> {
    let known = brands::list_known(&api.store, groups.keys().filter_map(|(brand, _)| brand.as_ref())).await?;
    let mut shares: BTreeMap<&str, FreedUsage> = BTreeMap::new();
    for ((brand, reason), count) in groups {
        let reason = reason.as_deref().unwrap_or_default();
        let share = share_name(brand.as_ref(), reason, |brand| known.contains(brand));
        let freed = shares.entry(share).or_default();
        share.clone_into(&mut freed.brand);
        let messages = i64::try_from(count.messages).unwrap_or(i64::MAX);
        let bytes = i64::try_from(count.bytes).unwrap_or(i64::MAX);
        freed.messages += messages;
        freed.bytes += bytes.saturating_add(messages.saturating_mul(message_bytes(0)));
    }
    let freed: Vec<FreedUsage> = shares.into_values().collect();
    rejected_usage::free_usage(&api.store, USAGE_DAYS, &freed).await
}
