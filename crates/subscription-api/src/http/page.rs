//! Pages of lists: `{"items":[…],"nextCursor":null|"…"}`.

use domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use store::keyset::KeysetPosition;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::http::cursor::{self, InvalidCursor};
use crate::http::query::Query;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page<T> {
    /// The items, in the order of the list
    pub(crate) items: Vec<T>,
    /// Pass it as `cursor` to get the next page; null on the last page
    #[schema(required)]
    pub(crate) next_cursor: Option<String>,
}

/// The query parameters of every list.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "only the OpenAPI document uses it; Query reads the parameters")]
pub(crate) struct PageParams {
    /// Maximum number of items on a page
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// `nextCursor` of the previous page
    cursor: Option<String>,
}

impl<T> Page<T> {
    /// Builds a page of the first `limit` rows. One more row means that the list continues; the cursor then holds
    /// the position of the last row on the page.
    pub(crate) fn from_rows<R, P: Serialize>(
        list: &str,
        mut rows: Vec<R>,
        limit: i64,
        position: impl FnOnce(&R) -> P,
        view: impl FnMut(R) -> T,
    ) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| has_more);
        let next_cursor = last.map(|row| cursor::encode(list, &position(row)));
        Self { items: rows.into_iter().map(view).collect(), next_cursor }
    }
}

/// The form of a [`KeysetPosition`] in a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CursorPosition(#[serde(with = "domain::time::rfc3339")] Timestamp, Uuid);

impl From<KeysetPosition> for CursorPosition {
    fn from(place: KeysetPosition) -> Self {
        Self(place.at, place.id)
    }
}

impl From<CursorPosition> for KeysetPosition {
    fn from(CursorPosition(at, id): CursorPosition) -> Self {
        Self { at, id }
    }
}

/// Takes the parameter `cursor` of a list that is ordered by time and id.
pub(crate) fn take_position(query: &mut Query, list: &str) -> Option<KeysetPosition> {
    let read = |text: &str| cursor::decode::<CursorPosition>(list, text).map(KeysetPosition::from);
    query.take::<KeysetPosition, InvalidCursor>("cursor", read)
}
