//! The filter and the position of the list of a brand's events, read from the query and its cursor.
//!
//! The cursor carries the whole filter, so that a request with only the cursor continues the list and the default of
//! `from` does not move with the clock. Parameters next to the cursor must agree with it.

use domain::event::event_type::TypePattern;
use domain::event::is_event_key;
use domain::ids::BrandId;
use domain::limits::MAX_EVENT_KEY_CHARS;
use domain::lookup::Disposition;
use domain::time::{Timestamp, rfc3339};
use serde::{Deserialize, Serialize};
use store::api::event_lookup::EventRange;
use store::keyset::KeysetPosition;

use super::list_name;
use crate::http::cursor;
use crate::http::page::CursorPosition;
use crate::http::problem::Result;
use crate::http::query::Query;
use crate::validation::timestamp::parse_bound;

/// The filter and the position of a request for events.
#[derive(Debug)]
pub(super) struct BrandEventListing {
    filter: Filter,
    before: Option<KeysetPosition>,
}

/// The filter of a list, which its cursor carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Filter {
    from: Option<Instant>,
    to: Option<Instant>,
    key: Option<String>,
    pattern: Option<TypePattern>,
    disposition: Option<Disposition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Instant(#[serde(with = "rfc3339")] Timestamp);

impl Filter {
    fn take(query: &mut Query) -> Self {
        let parse_key = |text: &str| match is_event_key(text) {
            true => Ok(text.to_owned()),
            false => Err(format!("must have at most {MAX_EVENT_KEY_CHARS} characters")),
        };
        let filter = Self {
            from: query.take("from", parse_bound).map(Instant),
            to: query.take("to", parse_bound).map(Instant),
            key: query.take("key", parse_key),
            pattern: query.take_parsed("type"),
            disposition: query.take_parsed("disposition"),
        };
        if let (Some(Instant(from)), Some(Instant(to))) = (filter.from, filter.to)
            && from >= to
        {
            query.add_error("from", "must be before to");
        }
        filter
    }

    /// Whether every parameter of the query has the value that it has in `own`.
    fn agrees_with(&self, own: &Self) -> bool {
        fn agrees<T: PartialEq>(requested: Option<&T>, own: Option<&T>) -> bool {
            requested.is_none() || requested == own
        }
        agrees(self.from.as_ref(), own.from.as_ref())
            && agrees(self.to.as_ref(), own.to.as_ref())
            && agrees(self.key.as_ref(), own.key.as_ref())
            && agrees(self.pattern.as_ref(), own.pattern.as_ref())
            && agrees(self.disposition.as_ref(), own.disposition.as_ref())
    }
}

impl BrandEventListing {
    /// Parses the rest of a query. A list ends at `earliest` by default.
    ///
    /// # Errors
    /// A 400 that names every invalid parameter.
    pub(super) fn parse(mut query: Query, brand: &BrandId, earliest: Timestamp) -> Result<Self> {
        let mut requested = Filter::take(&mut query);
        let read = |text: &str| cursor::decode::<(Filter, CursorPosition)>(&list_name(brand), text);
        let listing = match query.take("cursor", read) {
            None => {
                let earliest = Instant(domain::time::truncate_to_millis(earliest));
                requested.from.get_or_insert(earliest);
                Self { filter: requested, before: None }
            }
            Some((filter, before)) => {
                if !requested.agrees_with(&filter) {
                    query.add_error(
                        "cursor",
                        "belongs to this list with other filters; repeat them or leave them out",
                    );
                }
                Self { filter, before: Some(before.into()) }
            }
        };
        query.finish()?;
        Ok(listing)
    }

    /// Whether the page reads rows that it does not return.
    pub(super) fn has_filter(&self) -> bool {
        self.filter.pattern.is_some() || self.filter.disposition.is_some()
    }

    /// The range of events from which the page is read.
    pub(super) fn range(&self) -> EventRange {
        let filter = &self.filter;
        let first_of = |Instant(to): Instant| KeysetPosition { at: to, id: KeysetPosition::FIRST.id };
        let end = filter.to.map_or_else(KeysetPosition::last, first_of);
        EventRange {
            from: filter.from.map_or(KeysetPosition::FIRST.at, |Instant(from)| from),
            before: self.before.map_or(end, |before| before.min(end)),
            key: filter.key.clone(),
            pattern: filter.pattern.clone(),
            disposition: filter.disposition,
        }
    }

    /// The cursor of the page that starts after `place`.
    pub(super) fn cursor(&self, brand: &BrandId, place: KeysetPosition) -> String {
        cursor::encode(&list_name(brand), &(&self.filter, CursorPosition::from(place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<BrandEventListing> {
        let earliest = domain::time::parse_timestamp("2026-11-22T00:00:00Z").expect("valid");
        BrandEventListing::parse(Query::parse(query), &"acme".parse().expect("a brand"), earliest)
    }

    #[test]
    fn a_cursor_carries_the_filter_and_other_filters_are_refused() {
        let first = parse("key=a&disposition=routed&to=2026-11-29T00:00:00Z").expect("valid");
        assert_eq!(first.range().before.at, first.filter.to.expect("a bound").0);
        let place = KeysetPosition { at: first.range().from, id: uuid::Uuid::max() };
        let cursor = first.cursor(&"acme".parse().expect("a brand"), place);
        let next = parse(&format!("cursor={cursor}")).expect("valid");
        assert_eq!((next.filter.clone(), next.range().before), (first.filter.clone(), place));
        assert!(parse(&format!("cursor={cursor}&key=a")).is_ok());
        assert!(parse(&format!("cursor={cursor}&key=b")).is_err());
    }

    #[test]
    fn invalid_filters_are_refused() {
        let long = format!("key={}", "x".repeat(129));
        for bad in ["disposition=lost", "type=a", "from=2026-11-29T00:00:00Z&to=2026-11-29T00:00:00Z", &long]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
