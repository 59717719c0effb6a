//! The filter and the position of Get Events, read from the query and its cursor.
//!
//! The cursor carries the whole filter, so that a request with only the cursor continues the list and the default of
//! `from` does not move with the clock. Parameters next to the cursor must agree with it.

use domain::delivery::DeliveryStatus;
use domain::delivery::attempt::Outcome;
use domain::event::event_type::TypePattern;
use domain::ids::WebhookId;
use domain::time::{Timestamp, rfc3339};
use serde::{Deserialize, Serialize};
use store::delivery::deliveries::{DeliveryRange, LastAttemptFilter, Order};
use store::keyset::KeysetPosition;

use crate::http::cursor;
use crate::http::page::CursorPosition;
use crate::http::problem::Result;
use crate::http::query::Query;
use crate::validation::timestamp::parse_bound;

/// The filter and the position of a request for events.
#[derive(Debug)]
pub struct EventListing {
    filter: Filter,
    after: Option<KeysetPosition>,
}

/// The filter of a list, which its cursor carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Filter {
    #[serde(with = "rfc3339")]
    from: Timestamp,
    to: Option<Instant>,
    pattern: Option<TypePattern>,
    status: Option<DeliveryStatus>,
    outcome: Option<Outcome>,
    status_code: Option<u16>,
    descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Instant(#[serde(with = "rfc3339")] Timestamp);

/// The filter in the query of a request.
struct RequestedFilter {
    from: Option<Timestamp>,
    to: Option<Instant>,
    pattern: Option<TypePattern>,
    status: Option<DeliveryStatus>,
    outcome: Option<Outcome>,
    status_code: Option<u16>,
    descending: Option<bool>,
}

impl RequestedFilter {
    fn parse(query: &mut Query) -> Self {
        let parse_order = |text: &str| match text {
            "asc" => Ok(false),
            "desc" => Ok(true),
            _ => Err("must be asc or desc"),
        };
        let requested = Self {
            from: query.take("from", parse_bound),
            to: query.take("to", parse_bound).map(Instant),
            pattern: query.take_parsed("type"),
            status: query.take_parsed("status"),
            outcome: query.take_parsed("outcome"),
            status_code: query.take("statusCode", |text| match text.parse() {
                Ok(code) if (100..=599).contains(&code) => Ok(code),
                _ => Err("must be a status code from 100 to 599"),
            }),
            descending: query.take("order", parse_order),
        };
        if let (Some(from), Some(Instant(to))) = (requested.from, requested.to)
            && from >= to
        {
            query.add_error("from", "must be before to");
        }
        requested
    }

    /// Whether every parameter of the query has the value that it has in `filter`.
    fn agrees_with(&self, filter: &Filter) -> bool {
        fn agrees<T: PartialEq>(requested: Option<&T>, own: Option<&T>) -> bool {
            requested.is_none() || requested == own
        }
        agrees(self.from.as_ref(), Some(&filter.from))
            && agrees(self.to.as_ref(), filter.to.as_ref())
            && agrees(self.pattern.as_ref(), filter.pattern.as_ref())
            && agrees(self.status.as_ref(), filter.status.as_ref())
            && agrees(self.outcome.as_ref(), filter.outcome.as_ref())
            && agrees(self.status_code.as_ref(), filter.status_code.as_ref())
            && agrees(self.descending.as_ref(), Some(&filter.descending))
    }

    fn into_filter(self, earliest: Timestamp) -> Filter {
        Filter {
            from: self.from.unwrap_or_else(|| domain::time::truncate_to_millis(earliest)),
            to: self.to,
            pattern: self.pattern,
            status: self.status,
            outcome: self.outcome,
            status_code: self.status_code,
            descending: self.descending.unwrap_or(false),
        }
    }
}

impl EventListing {
    /// Parses the rest of a query. A list starts at `earliest` by default.
    ///
    /// # Errors
    /// A 400 that names every invalid parameter.
    pub fn parse(mut query: Query, webhook: WebhookId, earliest: Timestamp) -> Result<Self> {
        let requested = RequestedFilter::parse(&mut query);
        let cursor = query
            .take("cursor", |text| cursor::decode::<(Filter, CursorPosition)>(&list_name(webhook), text));
        let listing = match cursor {
            None => Self { filter: requested.into_filter(earliest), after: None },
            Some((filter, after)) => {
                if !requested.agrees_with(&filter) {
                    query.add_error(
                        "cursor",
                        "belongs to this list with other filters; repeat them or leave them out",
                    );
                }
                Self { filter, after: Some(after.into()) }
            }
        };
        query.finish()?;
        Ok(listing)
    }

    /// Whether the page reads rows that it does not return.
    #[must_use]
    pub(crate) fn has_filter(&self) -> bool {
        let filter = &self.filter;
        filter.pattern.is_some()
            || filter.status.is_some()
            || filter.outcome.is_some()
            || filter.status_code.is_some()
    }

    /// The range of deliveries from which the page is read.
    #[must_use]
    pub fn range(&self) -> DeliveryRange {
        let filter = &self.filter;
        let mut after = KeysetPosition::just_before(filter.from);
        let mut up_to =
            filter.to.map_or_else(KeysetPosition::last, |Instant(to)| KeysetPosition::just_before(to));
        let order = if filter.descending { Order::Descending } else { Order::Ascending };
        match (self.after, order) {
            (None, _) => {}
            (Some(place), Order::Ascending) => after = after.max(place),
            (Some(place), Order::Descending) => up_to = up_to.min(place.previous()),
        }
        DeliveryRange {
            after,
            up_to,
            pattern: filter.pattern.clone(),
            status: filter.status,
            last_attempt: LastAttemptFilter { outcome: filter.outcome, status_code: filter.status_code },
            order,
        }
    }

    /// The cursor of the page that starts after `place`.
    #[must_use]
    pub fn cursor(&self, webhook: WebhookId, place: KeysetPosition) -> String {
        cursor::encode(&list_name(webhook), &(&self.filter, CursorPosition::from(place)))
    }
}

fn list_name(webhook: WebhookId) -> String {
    format!("events/{webhook}")
}
