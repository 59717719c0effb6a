//! Get Events: listing the deliveries of one webhook with their events, always by index range.

use deadpool_postgres::Transaction;
use domain::delivery::DeliveryStatus;
use domain::delivery::attempt::Outcome;
use domain::event::event_type::TypePattern;
use domain::ids::{BrandId, EventId, WebhookId};
use domain::time::Timestamp;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{IsolationLevel, Row};

use crate::db::Executor;
use crate::error::StoreError;
use crate::keyset::KeysetPosition;
use crate::pool::Store;
use crate::rows::{read, read_word};

/// Bounds the rows that are scanned for one page when a filter skips rows. A page of a rare type stays fast, and may
/// therefore be short.
pub const MAX_SCANNED_ROWS: i64 = 10_000;
/// Bounds the `data` of one page in bytes, and with it the memory of a request. A longer page ends early.
pub const MAX_PAGE_BYTES: i64 = 8 * 1024 * 1024;

/// Settings of the transaction that force the planner to read indexes in order.
///
/// Its statistics are not enough, because they lag behind a webhook that has just received its first million events.
pub const IN_INDEX_ORDER: &str =
    "SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off";

/// A selection of the deliveries of a webhook.
#[derive(Debug, Clone)]
pub struct DeliveryRange {
    /// Only deliveries after this position,
    pub after: KeysetPosition,
    /// up to and including this one.
    pub up_to: KeysetPosition,
    /// Only events of this type or group.
    pub pattern: Option<TypePattern>,
    /// Only deliveries of this status.
    pub status: Option<DeliveryStatus>,
    /// Only deliveries whose last attempt ended like this.
    pub last_attempt: LastAttemptFilter,
    /// The order of the list.
    pub order: Order,
}

/// The result of the last attempt of a delivery.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LastAttemptFilter {
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// The HTTP status of the response.
    pub status_code: Option<u16>,
}

impl DeliveryRange {
    /// Returns the status if an index covers it, which holds for all but `delivered`.
    fn status_in_index(&self) -> Option<DeliveryStatus> {
        self.status.filter(|status| *status != DeliveryStatus::Delivered)
    }

    fn row_filter(&self) -> RowFilter<'_> {
        let pattern = self.pattern.as_ref().filter(|pattern| **pattern != TypePattern::All);
        let status = self.status.filter(|status| *status == DeliveryStatus::Delivered);
        let last_attempt = self.last_attempt;
        RowFilter { pattern: pattern.map(TypePattern::as_str), status, last_attempt }
    }

    /// Returns whether the index range contains deliveries that the filter skips.
    fn filters_rows(&self) -> bool {
        let filter = self.row_filter();
        filter.pattern.is_some()
            || filter.status.is_some()
            || filter.last_attempt != LastAttemptFilter::default()
    }
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    Descending,
}

/// An event on its way to one webhook.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The event.
    pub event_id: EventId,
    /// The brand.
    pub brand_id: BrandId,
    /// When it happened.
    pub created: Timestamp,
    /// The type of the event.
    pub event_type: String,
    /// The data of the event: JSON, byte for byte as received.
    pub data: String,
    /// Whether it is a test event.
    pub test: bool,
    /// The status of the delivery.
    pub status: DeliveryStatus,
    /// The number of attempts.
    pub attempts: i32,
    /// When the last attempt started.
    pub last_attempt_at: Option<Timestamp>,
    /// When the next attempt may start.
    pub next_attempt_at: Option<Timestamp>,
    /// The error of the last attempt.
    pub last_error: Option<String>,
}

impl Delivery {
    /// Returns its position in the webhook's list.
    #[must_use]
    pub fn position(&self) -> KeysetPosition {
        KeysetPosition { at: self.created, id: self.event_id.to_uuid() }
    }
}

/// A page of deliveries.
#[derive(Debug)]
pub struct DeliveryPage {
    /// The deliveries, in the requested order.
    pub items: Vec<Delivery>,
    /// The position after which the next page continues, unless the range ended.
    pub more_after: Option<KeysetPosition>,
}

/// Lists at most `limit` deliveries of a webhook, fewer if the page reached another bound.
///
/// # Errors
/// When the database fails.
pub async fn list_deliveries(
    store: &Store,
    webhook: WebhookId,
    range: &DeliveryRange,
    limit: i64,
) -> Result<DeliveryPage, StoreError> {
    // One snapshot for both statements, because the second one asks for the position where the first one stopped.
    let mut client = store.client().await?;
    let options = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let snapshot = options.start().await?;
    snapshot.batch_execute(IN_INDEX_ORDER).await?;
    let (items, mut more_after) = load_page(&snapshot, webhook, range, limit).await?;
    if more_after.is_none() && range.filters_rows() {
        more_after = find_scan_end(&snapshot, webhook, range).await?;
    }
    snapshot.commit().await?;
    Ok(DeliveryPage { items, more_after })
}

/// Loads the deliveries that pass the filter, and the last position if a bound cut the page.
async fn load_page(
    snapshot: &Transaction<'_>,
    webhook: WebhookId,
    range: &DeliveryRange,
    limit: i64,
) -> Result<(Vec<Delivery>, Option<KeysetPosition>), StoreError> {
    let rows = run_page_query(snapshot, webhook, range, &range.row_filter(), (limit + 1, 0)).await?;
    let mut items = rows.iter().map(read_delivery).collect::<Result<Vec<_>, _>>()?;
    let bytes: Option<i64> = rows.last().map(|row| read(row, "bytes")).transpose()?.flatten();
    let full = i64::try_from(items.len()).is_ok_and(|found| found > limit);
    if full {
        items.pop();
    }
    let cut = full || bytes.is_some_and(|bytes| bytes >= MAX_PAGE_BYTES);
    let more_after = items.last().filter(|_| cut).map(Delivery::position);
    Ok((items, more_after))
}

/// Finds the position where the scan stopped because it had read [`MAX_SCANNED_ROWS`] rows.
async fn find_scan_end(
    snapshot: &Transaction<'_>,
    webhook: WebhookId,
    range: &DeliveryRange,
) -> Result<Option<KeysetPosition>, StoreError> {
    let rows =
        run_page_query(snapshot, webhook, range, &RowFilter::default(), (1, MAX_SCANNED_ROWS - 1)).await?;
    rows.first().map(|row| read_delivery(row).map(|delivery| delivery.position())).transpose()
}

/// The filter on the rows of the index range.
#[derive(Default)]
struct RowFilter<'a> {
    pattern: Option<&'a str>,
    status: Option<DeliveryStatus>,
    last_attempt: LastAttemptFilter,
}

/// Runs the statement of a page, planned for these values.
async fn run_page_query(
    snapshot: &Transaction<'_>,
    webhook: WebhookId,
    range: &DeliveryRange,
    filter: &RowFilter<'_>,
    (limit, skip): (i64, i64),
) -> Result<Vec<Row>, StoreError> {
    let sql = match range.order {
        Order::Ascending => sql!("deliveries/page_asc"),
        Order::Descending => sql!("deliveries/page_desc"),
    };
    let in_index = range.status_in_index().map(DeliveryStatus::as_str);
    let status = filter.status.map(DeliveryStatus::as_str);
    let outcome = filter.last_attempt.outcome.map(Outcome::as_str);
    let status_code = filter.last_attempt.status_code.map(i32::from);
    let from = &range.after;
    let to = &range.up_to;
    let params: [(&(dyn ToSql + Sync), Type); 14] = [
        (&webhook.0, Type::UUID),
        (&from.at, Type::TIMESTAMPTZ),
        (&from.id, Type::UUID),
        (&to.at, Type::TIMESTAMPTZ),
        (&to.id, Type::UUID),
        (&in_index, Type::TEXT),
        (&status, Type::TEXT),
        (&filter.pattern, Type::TEXT),
        (&limit, Type::INT8),
        (&skip, Type::INT8),
        (&MAX_SCANNED_ROWS, Type::INT8),
        (&MAX_PAGE_BYTES, Type::INT8),
        (&outcome, Type::TEXT),
        (&status_code, Type::INT4),
    ];
    Ok(snapshot.query_typed(sql, &params).await?)
}

/// Finds the delivery of one event to one webhook of the brand.
///
/// # Errors
/// When the database fails.
pub async fn find_delivery(
    db: &impl Executor,
    brand: &BrandId,
    webhook: WebhookId,
    event: EventId,
) -> Result<Option<Delivery>, StoreError> {
    let row = db.query_row(sql!("deliveries/find"), &[&webhook.0, &event.to_uuid(), &brand.as_str()]).await?;
    row.as_ref().map(read_delivery).transpose()
}

fn read_delivery(row: &Row) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        event_id: EventId::from_uuid(read(row, "event_id")?),
        brand_id: read_word(row, "brand_id")?,
        created: read(row, "created")?,
        event_type: read(row, "type")?,
        data: read(row, "data")?,
        test: read(row, "test")?,
        status: read_word(row, "status")?,
        attempts: read(row, "attempts")?,
        last_attempt_at: read(row, "last_attempt_at")?,
        next_attempt_at: read(row, "next_attempt_at")?,
        last_error: read(row, "last_error")?,
    })
}
