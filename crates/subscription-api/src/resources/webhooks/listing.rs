//! Lists of webhooks with their filters, for brands and for support.
//!
//! The database orders webhooks by their creation, and their health follows from what was counted. So a list is a row of
//! segments ([`Segment`]): the few webhooks that fail or rest are found by one statement over the activity of all, the others
//! are pages in the order of the database. A position names the segment and the last webhook in it, so that a list stays
//! stable while webhooks are added. A webhook whose state changes between two pages may move to another segment.

use domain::ids::BrandId;
use domain::time::Timestamp;
use domain::webhook::WebhookStatus;
use domain::webhook::health_state::{Health, HealthState};
use serde::{Deserialize, Serialize};
use store::api::webhooks::{self, Webhook, WebhookSelection};
use store::clock;
use store::delivery::health_facts;
use store::keyset::KeysetPosition;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::api::Api;
use crate::http::cursor;
use crate::http::page::{CursorPosition, Page};
use crate::http::problem::Result;
use crate::http::query::Query;
use crate::openapi::words::{HealthStateWord, WebhookStatusWord};
use crate::resources::views::WebhookView;
use crate::resources::webhooks::health_state::view_webhooks;

/// Longest text that is searched for.
const MAX_SEARCH_CHARS: usize = 200;
/// Most pages of webhooks that a request reads to find those of one state. It bounds the cost of a request; a page that
/// ends early has a cursor.
const MAX_SCANNED_PAGES: usize = 10;
/// Webhooks on such a page.
const SCANNED_PAGE_SIZE: i64 = 1000;

/// The filters of a list of webhooks.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[allow(dead_code, reason = "only the OpenAPI document uses it; WebhookListing reads the parameters")]
pub(crate) struct WebhookListParams {
    /// Only webhooks with this status
    status: Option<WebhookStatusWord>,
    /// Only webhooks whose health is in this state
    health: Option<HealthStateWord>,
    /// Only webhooks whose endpoint or description contains this text, in upper or lower case
    #[param(max_length = 200)]
    q: Option<String>,
    /// `created`: oldest first, the default; `attention`: the worst first
    #[param(pattern = "^(created|attention)$", example = "attention")]
    order: Option<String>,
}

/// The filter and the order of a list, which its cursor carries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Filter {
    brand: Option<BrandId>,
    status: Option<WebhookStatus>,
    health: Option<HealthState>,
    text: Option<String>,
    by_attention: Option<bool>,
}

/// Webhooks that belong together in the order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segment {
    /// Active webhooks that are failing or resting.
    Suspects(HealthState),
    /// Webhooks of a status, or of all.
    OfStatus(Option<WebhookStatus>),
    /// Active webhooks that are neither failing nor resting, if given only those of this state.
    Others(Option<HealthState>),
}

/// A list of webhooks with its position.
#[derive(Debug)]
pub(crate) struct WebhookListing {
    list: String,
    filter: Filter,
    segment: usize,
    after: KeysetPosition,
}

impl Filter {
    fn parse(query: &mut Query, brand: Option<BrandId>) -> Self {
        Self {
            brand,
            status: query.take("status", |text| {
                text.parse()
                    .ok()
                    .filter(|status| *status != WebhookStatus::Deleted)
                    .ok_or("must be active, paused or disabled")
            }),
            health: query.take_parsed("health"),
            text: query.take("q", |text| match text.chars().count() {
                1..=MAX_SEARCH_CHARS => Ok(text.to_lowercase()),
                _ => Err(format!("must have 1 to {MAX_SEARCH_CHARS} characters")),
            }),
            by_attention: query.take("order", |text| match text {
                "created" => Ok(false),
                "attention" => Ok(true),
                _ => Err("must be created or attention"),
            }),
        }
    }

    /// Whether every parameter of the query has the value that it has in `own`.
    fn agrees_with(&self, own: &Self) -> bool {
        fn agrees<T: PartialEq>(requested: Option<&T>, own: Option<&T>) -> bool {
            requested.is_none() || requested == own
        }
        agrees(self.brand.as_ref(), own.brand.as_ref())
            && agrees(self.status.as_ref(), own.status.as_ref())
            && agrees(self.health.as_ref(), own.health.as_ref())
            && agrees(self.text.as_ref(), own.text.as_ref())
            && agrees(self.by_attention.as_ref(), Some(&own.by_attention.unwrap_or(false)))
    }

    /// Returns the segments of the list in its order.
    fn segments(&self) -> Vec<Segment> {
        let wants = |status| self.status.is_none_or(|own| own == status);
        let all = match self.health {
            Some(state @ (HealthState::Failing | HealthState::Resting)) => vec![Segment::Suspects(state)],
            Some(HealthState::Paused) => vec![Segment::OfStatus(Some(WebhookStatus::Paused))],
            Some(HealthState::Disabled) => vec![Segment::OfStatus(Some(WebhookStatus::Disabled))],
            Some(state @ (HealthState::Healthy | HealthState::Idle)) => vec![Segment::Others(Some(state))],
            None if self.by_attention == Some(true) => vec![
                Segment::Suspects(HealthState::Failing),
                Segment::OfStatus(Some(WebhookStatus::Disabled)),
                Segment::Suspects(HealthState::Resting),
                Segment::Others(None),
                Segment::OfStatus(Some(WebhookStatus::Paused)),
            ],
            None => return vec![Segment::OfStatus(self.status)],
        };
        let status_of = |segment: &Segment| match segment {
            Segment::OfStatus(status) => *status,
            Segment::Suspects(_) | Segment::Others(_) => Some(WebhookStatus::Active),
        };
        all.into_iter().filter(|segment| status_of(segment).is_none_or(wants)).collect()
    }
}

impl WebhookListing {
    /// Reads the filters and the position. With a cursor, the filter of the cursor applies; a filter in the query must
    /// agree with it. `list` names the list in cursors.
    pub(crate) fn parse(query: &mut Query, list: String, brand: Option<BrandId>) -> Self {
        let requested = Filter::parse(query, brand);
        let read = |text: &str| cursor::decode::<(Filter, usize, CursorPosition)>(&list, text);
        let Some((filter, segment, after)) = query.take("cursor", read) else {
            return Self { list, filter: requested, segment: 0, after: KeysetPosition::FIRST };
        };
        if !requested.agrees_with(&filter) {
            query.add_error(
                "cursor",
                "belongs to this list with other filters; repeat them or leave them out",
            );
        }
        Self { list, filter, segment, after: after.into() }
    }

    /// Returns whether the list depends on the health of webhooks, which follows from the activity of each of them.
    pub(crate) fn reads_health(&self) -> bool {
        self.filter.health.is_some() || self.filter.by_attention == Some(true)
    }

    /// Reads a page of at most `limit` webhooks.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn read_page(&self, api: &Api, limit: i64) -> Result<Page<WebhookView>> {
        let segments = self.filter.segments();
        let suspects = Suspects::find(api, &self.filter, &segments).await?;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut rows = Vec::new();
        let mut position = (self.segment, self.after);
        while let Some(segment) = segments.get(position.0)
            && rows.len() < wanted
        {
            let missing = i64::try_from(wanted - rows.len()).unwrap_or(limit);
            let read = self.read_segment(api, *segment, &suspects, position.1, missing).await?;
            rows.extend(read.rows);
            position = match read.more_after {
                Some(after) => (position.0, after),
                None => (position.0 + 1, KeysetPosition::FIRST),
            };
            if read.is_cut {
                break;
            }
        }
        let next_cursor = segments.get(position.0).map(|_| {
            cursor::encode(&self.list, &(&self.filter, position.0, CursorPosition::from(position.1)))
        });
        Ok(Page { items: view_webhooks(api, rows).await?, next_cursor })
    }

    async fn read_segment(
        &self,
        api: &Api,
        segment: Segment,
        suspects: &Suspects,
        after: KeysetPosition,
        limit: i64,
    ) -> Result<SegmentPage> {
        let text = self.filter.text.as_deref();
        match segment {
            Segment::Suspects(state) => {
                let found = webhooks::find_webhooks(&api.store, &suspects.in_state(state), text).await?;
                Ok(SegmentPage::of_sorted(found, after, limit))
            }
            Segment::OfStatus(status) => {
                let selection = self.select(status, &[]);
                let rows = webhooks::list_webhooks(&api.store, &selection, after, limit + 1).await?;
                Ok(SegmentPage::of_rows(rows, limit))
            }
            Segment::Others(state) => self.scan_others(api, state, suspects, after, limit).await,
        }
    }

    fn select<'a>(&'a self, status: Option<WebhookStatus>, except: &'a [Uuid]) -> WebhookSelection<'a> {
        let filter = &self.filter;
        WebhookSelection { brand: filter.brand.as_ref(), status, text: filter.text.as_deref(), except }
    }

    /// Reads active webhooks that are no suspects. If a state is asked for, pages are read until enough webhooks have it.
    async fn scan_others(
        &self,
        api: &Api,
        state: Option<HealthState>,
        suspects: &Suspects,
        after: KeysetPosition,
        limit: i64,
    ) -> Result<SegmentPage> {
        let selection = self.select(Some(WebhookStatus::Active), &suspects.ids);
        let Some(state) = state else {
            let rows = webhooks::list_webhooks(&api.store, &selection, after, limit + 1).await?;
            return Ok(SegmentPage::of_rows(rows, limit));
        };
        let mut found = Vec::new();
        let mut position = after;
        for _ in 0..MAX_SCANNED_PAGES {
            let rows = webhooks::list_webhooks(&api.store, &selection, position, SCANNED_PAGE_SIZE).await?;
            let is_last = i64::try_from(rows.len()).is_ok_and(|read| read < SCANNED_PAGE_SIZE);
            let ids: Vec<_> = rows.iter().map(|webhook| webhook.id).collect();
            let now = clock::now();
            let health = health_facts::assess_webhooks(&api.store, &ids, &api.health, now).await?;
            let has_state = |health: &Health| health.state == state;
            for webhook in rows {
                position = position_of(&webhook);
                if health.get(&webhook.id).is_some_and(has_state) {
                    found.push(webhook);
                    if i64::try_from(found.len()).is_ok_and(|number| number > limit) {
                        return Ok(SegmentPage::of_rows(found, limit));
                    }
                }
            }
            if is_last {
                return Ok(SegmentPage::of_rows(found, limit));
            }
        }
        Ok(SegmentPage { rows: found, more_after: Some(position), is_cut: true })
    }
}

/// A part of a segment.
struct SegmentPage {
    rows: Vec<Webhook>,
    /// The position after which the segment continues.
    more_after: Option<KeysetPosition>,
    /// Whether the page ends here although it has room, because enough webhooks were read for it.
    is_cut: bool,
}

impl SegmentPage {
    /// The first `limit` of these rows. One more row means that the segment continues.
    fn of_rows(mut rows: Vec<Webhook>, limit: i64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let more_after = rows.last().filter(|_| has_more).map(position_of);
        Self { rows, more_after, is_cut: false }
    }

    /// The first `limit` of these webhooks after a position.
    fn of_sorted(mut found: Vec<Webhook>, after: KeysetPosition, limit: i64) -> Self {
        found.retain(|webhook| position_of(webhook) > after);
        found.sort_unstable_by_key(position_of);
        Self::of_rows(found, limit)
    }
}

/// The active webhooks that are failing or resting.
#[derive(Debug, Default)]
struct Suspects {
    ids: Vec<Uuid>,
    states: Vec<HealthState>,
}

impl Suspects {
    /// Finds them, if a segment needs them.
    async fn find(api: &Api, filter: &Filter, segments: &[Segment]) -> Result<Self> {
        if segments.iter().all(|segment| matches!(segment, Segment::OfStatus(_))) {
            return Ok(Self::default());
        }
        let now: Timestamp = clock::now();
        let found = health_facts::find_suspects(&api.store, filter.brand.as_ref(), &api.health, now).await?;
        let is_suspect = |state| matches!(state, HealthState::Failing | HealthState::Resting);
        let states = found.into_iter().map(|(id, facts)| (id.0, facts.state(now)));
        let (ids, states) = states.filter(|(_, state)| is_suspect(*state)).unzip();
        Ok(Self { ids, states })
    }

    fn in_state(&self, state: HealthState) -> Vec<Uuid> {
        self.ids.iter().zip(&self.states).filter(|(_, own)| **own == state).map(|(id, _)| *id).collect()
    }
}

fn position_of(webhook: &Webhook) -> KeysetPosition {
    KeysetPosition { at: webhook.created, id: webhook.id.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(query: &str) -> Vec<Segment> {
        let mut query = Query::parse(query);
        let listing = WebhookListing::parse(&mut query, "test".to_owned(), None);
        assert!(query.finish().is_ok());
        listing.filter.segments()
    }

    #[test]
    fn a_list_by_health_reads_it() {
        let reads_health = |query: &str| {
            WebhookListing::parse(&mut Query::parse(query), "test".to_owned(), None).reads_health()
        };
        assert!(reads_health("health=failing") && reads_health("order=attention"));
        assert!(!reads_health("") && !reads_health("order=created&status=active&q=x"));
    }

    #[test]
    fn a_list_without_health_is_one_segment_of_the_database() {
        assert_eq!(segments(""), [Segment::OfStatus(None)]);
        assert_eq!(segments("order=created&status=paused"), [Segment::OfStatus(Some(WebhookStatus::Paused))]);
    }

    /// The segments of `attention` are in the order of the severity, and each state is in exactly one of them.
    #[test]
    fn the_worst_states_come_first() {
        let severities: Vec<u8> = segments("order=attention")
            .into_iter()
            .map(|segment| match segment {
                Segment::Suspects(state) => state.severity(),
                Segment::OfStatus(Some(WebhookStatus::Disabled)) => HealthState::Disabled.severity(),
                Segment::OfStatus(_) => HealthState::Paused.severity(),
                Segment::Others(_) => HealthState::Healthy.severity(),
            })
            .collect();
        assert_eq!(severities, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn filters_that_exclude_each_other_leave_nothing() {
        for state in HealthState::ALL {
            for status in ["active", "paused", "disabled"] {
                let is_possible = match state {
                    HealthState::Paused => status == "paused",
                    HealthState::Disabled => status == "disabled",
                    _ => status == "active",
                };
                let found = segments(&format!("health={state}&status={status}&order=attention"));
                assert_eq!(found.len(), usize::from(is_possible), "{state} {status}");
            }
        }
        assert_eq!(segments("status=active&order=attention").len(), 3);
    }

    #[test]
    fn invalid_filters_are_refused() {
        for bad in ["status=deleted", "health=well", "order=worst", "q=", "status=x", "cursor=x"] {
            let mut query = Query::parse(bad);
            WebhookListing::parse(&mut query, "test".to_owned(), None);
            assert!(query.finish().is_err(), "{bad}");
        }
    }
}
