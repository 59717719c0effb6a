//! Which events a request lists, from its query and its cursor.
//!
//! The cursor carries the whole filter: a request with nothing but the cursor goes on with the list,
//! and the default of `from` does not move along with the clock. What is given beside it must agree.

use domain::delivery::DeliveryStatus;
use domain::event_type::TypePattern;
use domain::ids::WebhookId;
use domain::time::{Timestamp, rfc3339};
use serde::{Deserialize, Serialize};
use store::deliveries::{Order, Range};
use store::place::Place;

use crate::http::cursor;
use crate::http::page::CursorPosition;
use crate::http::problem::Result;
use crate::http::query::{Query, instant};

/// Which events a request lists.
#[derive(Debug)]
pub struct EventListing {
    filter: Filter,
    after: Option<Place>,
}

/// What a list is narrowed to, as it stands in a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Filter {
    #[serde(with = "rfc3339")]
    from: Timestamp,
    to: Option<Instant>,
    pattern: Option<TypePattern>,
    status: Option<DeliveryStatus>,
    descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Instant(#[serde(with = "rfc3339")] Timestamp);

/// What the query itself says.
struct RequestedFilter {
    from: Option<Timestamp>,
    to: Option<Instant>,
    pattern: Option<TypePattern>,
    status: Option<DeliveryStatus>,
    descending: Option<bool>,
}

impl RequestedFilter {
    fn read(query: &mut Query) -> Self {
        let descending = |text: &str| match text {
            "asc" => Ok(false),
            "desc" => Ok(true),
            _ => Err("must be asc or desc"),
        };
        let given = Self {
            from: query.take("from", instant),
            to: query.take("to", instant).map(Instant),
            pattern: query.take_parsed("type"),
            status: query.take_parsed("status"),
            descending: query.take("order", descending),
        };
        if let (Some(from), Some(Instant(to))) = (given.from, given.to)
            && from >= to
        {
            query.add_error("from", "must be before to");
        }
        given
    }

    /// Whether nothing of it says otherwise than `filter`.
    fn agrees_with(&self, filter: &Filter) -> bool {
        fn agrees<T: PartialEq>(given: Option<&T>, own: Option<&T>) -> bool {
            given.is_none() || given == own
        }
        agrees(self.from.as_ref(), Some(&filter.from))
            && agrees(self.to.as_ref(), filter.to.as_ref())
            && agrees(self.pattern.as_ref(), filter.pattern.as_ref())
            && agrees(self.status.as_ref(), filter.status.as_ref())
            && agrees(self.descending.as_ref(), Some(&filter.descending))
    }

    fn into_filter(self, earliest: Timestamp) -> Filter {
        Filter {
            from: self.from.unwrap_or_else(|| domain::time::whole_millis(earliest)),
            to: self.to,
            pattern: self.pattern,
            status: self.status,
            descending: self.descending.unwrap_or(false),
        }
    }
}

impl EventListing {
    /// Reads what is left of a query; `earliest` is where a list begins unless asked otherwise.
    ///
    /// # Errors
    /// A 400 that names everything that is wrong.
    pub fn read(mut query: Query, webhook: WebhookId, earliest: Timestamp) -> Result<Self> {
        let given = RequestedFilter::read(&mut query);
        let cursor = query
            .take("cursor", |text| cursor::decode::<(Filter, CursorPosition)>(&list_name(webhook), text));
        let listing = match cursor {
            None => Self { filter: given.into_filter(earliest), after: None },
            Some((filter, after)) => {
                if !given.agrees_with(&filter) {
                    query.add_error(
                        "cursor",
                        "is of this list with other filters; repeat them, or leave them out",
                    );
                }
                Self { filter, after: Some(after.into()) }
            }
        };
        query.finish()?;
        Ok(listing)
    }

    /// The deliveries that the page is of.
    #[must_use]
    pub fn range(&self) -> Range {
        let filter = &self.filter;
        let (mut after, mut up_to) = (
            Place::just_before(filter.from),
            filter.to.map_or_else(Place::last, |Instant(to)| Place::just_before(to)),
        );
        let order = if filter.descending { Order::Descending } else { Order::Ascending };
        match (self.after, order) {
            (None, _) => {}
            (Some(place), Order::Ascending) => after = after.max(place),
            (Some(place), Order::Descending) => up_to = up_to.min(place.previous()),
        }
        Range { after, up_to, pattern: filter.pattern.clone(), status: filter.status, order }
    }

    /// The cursor of the page that goes on after `place`.
    #[must_use]
    pub fn cursor(&self, webhook: WebhookId, place: Place) -> String {
        cursor::encode(&list_name(webhook), &(&self.filter, CursorPosition::from(place)))
    }
}

fn list_name(webhook: WebhookId) -> String {
    format!("events/{webhook}")
}
