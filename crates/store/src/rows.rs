//! Reading columns of a row. An error names the column that holds an unknown value.

use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::error::StoreError;

/// Returns a duration in whole milliseconds, as statements take it.
pub(crate) fn to_millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Reads a column.
pub(crate) fn read<'a, T: FromSql<'a>>(row: &'a Row, column: &str) -> Result<T, StoreError> {
    row.try_get(column).map_err(|error| StoreError::Unreadable(format!("column {column}: {error}")))
}

/// Reads a text column that holds a word of an enum, or an id.
pub(crate) fn read_word<T: FromStr>(row: &Row, column: &str) -> Result<T, StoreError>
where
    T::Err: std::fmt::Display,
{
    let text: &str = read(row, column)?;
    text.parse().map_err(|error| StoreError::Unreadable(format!("column {column}: {error}")))
}
