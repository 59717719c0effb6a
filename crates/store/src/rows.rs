//! Reading columns of a row. An error names the column that holds an unknown value.

use std::str::FromStr;
use std::time::Duration;

use domain::delivery::envelope::EventData;
use domain::quota::{BrandQuota, Quota};
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

/// Reads the columns `data` and `data_bytes` of an event, of which `data` is NULL if it is large.
pub(crate) fn read_event_data(row: &Row) -> Result<EventData, StoreError> {
    let data: Option<&str> = read(row, "data")?;
    let size: i32 = read(row, "data_bytes")?;
    Ok(match data {
        Some(data) => EventData::Inline(data.into()),
        None => EventData::Stored { bytes: usize::try_from(size).unwrap_or_default() },
    })
}

/// Reads a text column that holds a word of an enum, or an id.
pub(crate) fn read_word<T: FromStr>(row: &Row, column: &str) -> Result<T, StoreError>
where
    T::Err: std::fmt::Display,
{
    let text: &str = read(row, column)?;
    text.parse().map_err(|error| StoreError::Unreadable(format!("column {column}: {error}")))
}

/// Reads the quotas of a brand.
pub(crate) fn read_quotas(row: &Row) -> Result<BrandQuota, StoreError> {
    let mut quotas = BrandQuota::default();
    for quota in Quota::ALL {
        let column = quota_column(quota);
        let value: Option<i64> = read(row, column)?;
        // A negative number becomes one that is out of range.
        let value = value.map(|value| u64::try_from(value).unwrap_or(0));
        quotas
            .set(quota, value)
            .map_err(|error| StoreError::Unreadable(format!("column {column}: {error}")))?;
    }
    Ok(quotas)
}

/// Returns the values of the columns of a brand's quotas, in the order of [`Quota::ALL`].
pub(crate) fn quota_values(quotas: &BrandQuota) -> [Option<i64>; Quota::ALL.len()] {
    Quota::ALL.map(|quota| quotas.get(quota).map(|value| i64::try_from(value).unwrap_or(i64::MAX)))
}

fn quota_column(quota: Quota) -> &'static str {
    match quota {
        Quota::EventsPerSecond => "quota_events_per_second",
        Quota::BytesPerSecond => "quota_bytes_per_second",
        Quota::DeliveriesPerSecond => "quota_deliveries_per_second",
        Quota::WaitingBytes => "quota_waiting_bytes",
    }
}
