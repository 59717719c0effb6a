//! Lists: `{"items":[…],"nextCursor":null|"…"}`.

use domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use store::place::Place;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::http::cursor::{self, InvalidCursor};
use crate::http::query::Query;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The items, in the list's order
    pub items: Vec<T>,
    /// Give it as `cursor` for the page after this one; null when this was the last
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// How a list is asked for.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "for the OpenAPI document; Query reads the parameters")]
pub struct PageParams {
    /// Items of a page at most
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// The nextCursor of the page before
    cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page of the first `limit` of `rows`, which has one more if the list goes on. `place` is
    /// where a row stands in the list.
    pub fn from_rows<R, P: Serialize>(
        list: &str,
        mut rows: Vec<R>,
        limit: i64,
        place: impl FnOnce(&R) -> P,
        view: impl FnMut(R) -> T,
    ) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        let next_cursor = last.map(|row| cursor::encode(list, &place(row)));
        Self { items: rows.into_iter().map(view).collect(), next_cursor }
    }
}

/// A [`Place`] as it stands in a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CursorPosition(#[serde(with = "domain::time::rfc3339")] Timestamp, Uuid);

impl From<Place> for CursorPosition {
    fn from(place: Place) -> Self {
        Self(place.at, place.id)
    }
}

impl From<CursorPosition> for Place {
    fn from(CursorPosition(at, id): CursorPosition) -> Self {
        Self { at, id }
    }
}

/// Takes `cursor` of a list that is ordered by time and id.
pub fn take_position(query: &mut Query, list: &str) -> Option<Place> {
    let read = |text: &str| cursor::decode::<CursorPosition>(list, text).map(Place::from);
    query.take::<Place, InvalidCursor>("cursor", read)
}
