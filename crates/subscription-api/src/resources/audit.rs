//! The audit: who changed what and when. Support reads all of it, a brand its own part.

use axum::Json;
use axum::extract::State;
use domain::ids::BrandId;
// utoipa recognizes the type by this name.
use domain::time::Timestamp as DateTime;
use domain::time::{Timestamp, rfc3339};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::api::audit::{self, EntryFilter, EntryPage, RecordedEntry, SUPPORT};
use store::keyset::KeysetPosition;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::api::Api;
use crate::auth::{BrandReader, Support};
use crate::http::cursor::{self, InvalidCursor};
use crate::http::page::{CursorPosition, Page, PageParams};
use crate::http::path::BrandPath;
use crate::http::problem::Result;
use crate::http::query::Query;
use crate::openapi::samples;
use crate::validation::timestamp::parse_bound;

/// Name of the list of support in its cursors.
const LIST: &str = "audit";
/// Most entries on a page of a brand, whatever its `limit`, because the states of an entry have no size limit of their own
/// and a replica builds the whole page in memory.
const MAX_BRAND_PAGE_SIZE: i64 = 100;
/// Longest actor, action or subject of a filter, in bytes. A token's name is part of its actor.
const MAX_FILTER_BYTES: usize = 256;
/// The member of an entry that support writes for itself.
const INTERNAL_MEMBER: &str = "note";
/// The member of an entry that names who created the job that it is about.
const ACTOR_MEMBER: &str = "actor";

/// A recorded change.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditEntry, example = samples::audit_entry)]
pub(crate) struct EntryView {
    /// Id of the entry
    id: Uuid,
    /// When the change was made
    #[serde(with = "rfc3339")]
    at: DateTime,
    /// `support`, `platform`, or `support:` or `token:` with the id and name of the token. A brand sees `support` for
    /// everyone of support
    actor: String,
    /// Name of the action
    action: String,
    /// Brand that the change concerns; null if none
    #[schema(required)]
    brand_id: Option<String>,
    /// Subject of the change: the id of a webhook, token or brand, or an event type
    subject: String,
    /// State before the change; null if it was created. Never contains secrets or header values
    #[schema(required)]
    before: Option<Value>,
    /// State after the change; null if it was deleted
    #[schema(required)]
    after: Option<Value>,
    /// Outcome. `unknown` while a longer action goes on, and if its process died
    #[schema(value_type = OutcomeWord)]
    outcome: &'static str,
}

/// The outcome of an action.
#[derive(Debug, ToSchema)]
#[schema(as = AuditOutcome, rename_all = "snake_case")]
#[allow(dead_code, reason = "only the OpenAPI document uses the variants")]
pub(crate) enum OutcomeWord {
    /// It was done
    Done,
    /// It failed, perhaps after a part of it was done
    Failed,
    /// It goes on, or its process died
    Unknown,
}

/// The filters of a brand's audit.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "only the OpenAPI document uses it; Filter reads the parameters")]
pub(crate) struct EntryParams {
    /// Only entries of this actor: `support` for everyone of support, `platform`, or `support:` or `token:` with the id of a
    /// token
    actor: Option<String>,
    /// Only entries of this action, such as `webhook.create`
    action: Option<String>,
    /// Only entries about this subject: the id of a webhook, token or brand, or an event type
    subject: Option<String>,
    /// Only entries of this instant or later
    #[param(format = DateTime)]
    from: Option<String>,
    /// Only entries before this instant
    #[param(format = DateTime)]
    to: Option<String>,
}

/// The filter of support that a brand does not have.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[allow(dead_code, reason = "only the OpenAPI document uses it; Filter reads the parameters")]
pub(crate) struct BrandParam {
    /// Only entries that concern this brand
    #[param(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    brand_id: Option<String>,
}

/// The page of a brand's audit.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "only the OpenAPI document uses it; Query reads the parameters")]
pub(crate) struct BrandPageParams {
    /// Maximum number of items on a page. A page never has more than 100, also if this is larger
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `nextCursor` of the previous page
    cursor: Option<String>,
}

/// The filter of a list, which its cursor carries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Filter {
    brand: Option<BrandId>,
    actor: Option<String>,
    action: Option<String>,
    subject: Option<String>,
    from: Option<Instant>,
    to: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Instant(#[serde(with = "rfc3339")] Timestamp);

impl Filter {
    fn parse(query: &mut Query) -> Self {
        let filter = Self {
            brand: None,
            actor: query.take("actor", parse_actor),
            action: query.take("action", parse_text),
            subject: query.take("subject", parse_text),
            from: query.take("from", parse_bound).map(Instant),
            to: query.take("to", parse_bound).map(Instant),
        };
        if let (Some(Instant(from)), Some(Instant(to))) = (filter.from, filter.to)
            && from >= to
        {
            query.add_error("from", "must be before to");
        }
        filter
    }

    /// Returns the filter and the position of a request. A cursor carries its filter; parameters beside it must agree.
    fn with_cursor(self, query: &mut Query, list: &str) -> (Self, KeysetPosition) {
        let read = |text: &str| match cursor::decode::<(Self, CursorPosition)>(list, text) {
            Ok((own, after)) if own.is_valid() => Ok((own, after)),
            _ => Err(InvalidCursor),
        };
        let Some((own, after)) = query.take("cursor", read) else {
            let newest =
                self.to.map_or_else(KeysetPosition::last, |Instant(to)| KeysetPosition::just_before(to));
            // The position itself is outside of the page, and no entry has the id that follows `just_before`.
            return (self, newest);
        };
        if !self.agrees_with(&own) {
            query.add_error(
                "cursor",
                "belongs to this list with other filters; repeat them or leave them out",
            );
        }
        (own, after.into())
    }

    /// Whether every parameter of the query has the value that it has in the cursor.
    fn agrees_with(&self, own: &Self) -> bool {
        fn agrees<T: PartialEq>(requested: Option<&T>, own: Option<&T>) -> bool {
            requested.is_none() || requested == own
        }
        agrees(self.brand.as_ref(), own.brand.as_ref())
            && agrees(self.actor.as_ref(), own.actor.as_ref())
            && agrees(self.action.as_ref(), own.action.as_ref())
            && agrees(self.subject.as_ref(), own.subject.as_ref())
            && agrees(self.from.as_ref(), own.from.as_ref())
            && agrees(self.to.as_ref(), own.to.as_ref())
    }

    /// Whether a query could have had these values. A client may have changed the filter of its cursor.
    fn is_valid(&self) -> bool {
        let mut texts = [&self.actor, &self.action, &self.subject].into_iter().flatten();
        texts.all(|text| parse_text(text).is_ok())
    }

    fn entries(&self) -> EntryFilter {
        EntryFilter {
            brand: self.brand.clone(),
            actor: self.actor.clone(),
            action: self.action.clone(),
            subject: self.subject.clone(),
            from: self.from.map(|Instant(from)| from),
        }
    }
}

fn parse_text(text: &str) -> std::result::Result<String, String> {
    let is_plain = !text.is_empty() && text.len() <= MAX_FILTER_BYTES && !text.contains('\0');
    if is_plain {
        Ok(text.to_owned())
    } else {
        Err(format!("must have 1 to {MAX_FILTER_BYTES} bytes of text"))
    }
}

/// Reads an actor. The name of a token does not count, because its id is unique.
fn parse_actor(text: &str) -> std::result::Result<String, String> {
    const FORM: &str = "must be support, platform, or support: or token: with the id of a token";
    let text = parse_text(text)?;
    let kind = text.split(' ').next().unwrap_or_default();
    let id = kind.strip_prefix("token:").or_else(|| kind.strip_prefix("support:"));
    let is_token = id.is_some_and(|id| id.parse::<Uuid>().is_ok());
    let is_known = is_token || kind == SUPPORT || kind == audit::PLATFORM;
    if is_known { Ok(kind.to_owned()) } else { Err(FORM.to_owned()) }
}

/// Read the audit
///
/// Newest first. With several filters a page may have fewer items than `limit`; the list ends only when `nextCursor` is
/// null.
#[utoipa::path(
    get, path = "/admin/v1/audit", tag = "support", operation_id = "listAudit",
    params(BrandParam, EntryParams, PageParams),
    responses((status = 200, description = "A page of audit entries.", body = Page<EntryView>))
)]
pub(crate) async fn list_audit(
    State(api): State<Api>,
    _: Support,
    mut query: Query,
) -> Result<Json<Page<EntryView>>> {
    let limit = query.take_limit();
    let brand = query.take_parsed("brandId");
    let requested = Filter { brand, ..Filter::parse(&mut query) };
    let (filter, before) = requested.with_cursor(&mut query, LIST);
    query.finish()?;
    let page = audit::list_entries(&api.store, &filter.entries(), before, limit + 1).await?;
    Ok(Json(page_view(LIST, &filter, page, limit, entry_view)))
}

/// Read the audit of a brand
///
/// Who changed what in this brand, newest first, including support and the platform. Notes that support writes for itself
/// are left out, and so is who of support it was. A page has at most 100 items. With several filters a page may have fewer
/// items than `limit`; the list ends only when `nextCursor` is null.
#[utoipa::path(
    get, path = "/v1/{brandId}/audit", tag = "webhooks", operation_id = "listBrandAudit",
    params(BrandPath, EntryParams, BrandPageParams),
    responses((status = 200, description = "A page of audit entries.", body = Page<EntryView>))
)]
pub(crate) async fn list_brand_audit(
    State(api): State<Api>,
    by: BrandReader,
    mut query: Query,
) -> Result<Json<Page<EntryView>>> {
    let limit = query.take_limit().min(MAX_BRAND_PAGE_SIZE);
    let list = format!("audit/{}", by.brand);
    let requested = Filter { brand: Some(by.brand.clone()), ..Filter::parse(&mut query) };
    let (filter, before) = requested.with_cursor(&mut query, &list);
    query.finish()?;
    // Whatever the cursor says, a brand reads its own entries.
    let mut entries = EntryFilter { brand: Some(by.brand.clone()), ..filter.entries() };
    if !by.is_support {
        // Otherwise the filter would tell which entries are of the same person.
        entries.actor = entries.actor.map(hide_person);
    }
    let page = audit::list_entries(&api.store, &entries, before, limit + 1).await?;
    let view = |entry| if by.is_support { entry_view(entry) } else { entry_view_of_brand(entry) };
    Ok(Json(page_view(&list, &filter, page, limit, view)))
}

/// Returns a page of at most `limit` entries. It continues if there are more, or if there may be more.
fn page_view(
    list: &str,
    filter: &Filter,
    page: EntryPage,
    limit: i64,
    view: impl FnMut(RecordedEntry) -> EntryView,
) -> Page<EntryView> {
    let position = |place: KeysetPosition| (filter.clone(), CursorPosition::from(place));
    let scanned_to = page.scanned_to.map(|place| cursor::encode(list, &position(place)));
    let last = |entry: &RecordedEntry| position(KeysetPosition { at: entry.at, id: entry.id });
    let page = Page::from_rows(list, page.entries, limit, last, view);
    Page { next_cursor: page.next_cursor.or(scanned_to), ..page }
}

fn entry_view(entry: RecordedEntry) -> EntryView {
    EntryView {
        id: entry.id,
        at: entry.at,
        actor: entry.actor,
        action: entry.action,
        brand_id: entry.brand_id.map(|brand| brand.to_string()),
        subject: entry.subject,
        before: entry.before,
        after: entry.after,
        outcome: entry.outcome.as_str(),
    }
}

/// The view of an entry without anything that support wrote for itself, and without who of support it was.
fn entry_view_of_brand(entry: RecordedEntry) -> EntryView {
    let mut view = entry_view(entry);
    view.actor = hide_person(view.actor);
    for state in [&mut view.before, &mut view.after] {
        if let Some(Value::Object(members)) = state {
            members.remove(INTERNAL_MEMBER);
            if let Some(Value::String(actor)) = members.get_mut(ACTOR_MEMBER) {
                *actor = hide_person(std::mem::take(actor));
            }
        }
    }
    view
}

/// Returns the actor that a brand sees: `support` for everyone of support.
pub(crate) fn hide_person(actor: String) -> String {
    if actor.starts_with(SUPPORT) { SUPPORT.to_owned() } else { actor }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use store::api::audit::ActOutcome;

    #[test]
    fn an_actor_is_found_without_its_name() {
        let id = "token:9e21c694-ee9e-48a7-b016-522fd8ef08c1";
        assert_eq!(parse_actor(&format!("{id} my ci")).as_deref(), Ok(id));
        let person = id.replace("token", "support");
        for actor in ["support", "platform", &person, id] {
            assert_eq!(parse_actor(actor).as_deref(), Ok(actor));
        }
        for bad in ["", "nobody", "token:", "token:1", "support:ada", "supporter", "platform:x", "a\0b"] {
            assert!(parse_actor(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_cursor_with_a_filter_that_no_query_has_is_refused() {
        let is_read = |subject: &str| {
            let filter = Filter { subject: Some(subject.to_owned()), ..Filter::default() };
            let position =
                CursorPosition::from(KeysetPosition { at: Timestamp::UNIX_EPOCH, id: Uuid::nil() });
            let mut query = Query::parse(&format!("cursor={}", cursor::encode(LIST, &(filter, position))));
            Filter::default().with_cursor(&mut query, LIST);
            query.finish().is_ok()
        };
        assert!(is_read("acme"));
        for bad in ["", "a\0b", &"x".repeat(MAX_FILTER_BYTES + 1)] {
            assert!(!is_read(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_brand_does_not_read_notes_of_support() {
        let entry = RecordedEntry {
            id: Uuid::nil(),
            at: Timestamp::UNIX_EPOCH,
            actor: "support:1 Ada".to_owned(),
            action: "webhook.enable".to_owned(),
            brand_id: None,
            subject: String::new(),
            before: Some(json!({"status": "disabled", "actor": "support:1 Ada"})),
            after: Some(json!({"status": "active", "note": "they did not pay"})),
            outcome: ActOutcome::Done,
        };
        let view = entry_view_of_brand(entry.clone());
        assert_eq!((view.actor.as_str(), view.after), ("support", Some(json!({"status": "active"}))));
        assert_eq!(view.before, Some(json!({"status": "disabled", "actor": "support"})));
        assert_eq!(entry_view(entry).after.expect("a state")["note"], "they did not pay");
    }
}
